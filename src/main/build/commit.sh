#!/bin/sh
# Notes which commit is built: commit.sh <output file>. Outside a clone of its own, or without git, it notes nothing.
set -eu
out=$1
home=$(cd "$(dirname "$0")/../../.." && pwd -P)

rm -f "$out"
[ -e "$home/.git" ] && command -v git >/dev/null || exit 0
commit=$(git -C "$home" rev-parse HEAD 2>/dev/null) || exit 0
# A figure of sources that no commit has is none of this commit.
[ -z "$(git -C "$home" status --porcelain -- src pom.xml)" ] || commit=$commit-changed
mkdir -p "$(dirname "$out")"
echo "$commit" >"$out"
