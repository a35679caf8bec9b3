#!/bin/sh
# Unpacks the native libraries of this machine's kind from the jars of a build, so that a container needs no place to
# unpack them at its start, and takes those of all kinds out of the jars.
#   unpack-natives.sh QUARKUS_APP TARGET
set -eu

app=$1
target=$2
case $(uname -m) in
    x86_64) kind=linux-x86_64 ;;
    aarch64) kind=linux-aarch64 ;;
    *) echo "unpack-natives: no libraries for $(uname -m)" >&2; exit 1 ;;
esac

jar=$(find "$app" -name 'ai.djl.huggingface.tokenizers-*.jar')
[ -f "$jar" ] || { echo "unpack-natives: not one tokenizers jar in $app: $jar" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && jar --extract --file "$jar")
mkdir -p "$target"
cp "$work/native/lib/$kind/cpu/"* "$target/"
find "$work/native/lib" -mindepth 1 -maxdepth 1 -type d -exec rm -r {} +
jar --create --file "$jar" --no-manifest -C "$work" .
