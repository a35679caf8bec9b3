#!/bin/sh
# Packs a folder so that its bytes depend on nothing but its files' names, texts and whether they are programs:
#   pack.sh FOLDER ARCHIVE TIMESTAMP [OPTION OF TAR...]
# ARCHIVE ends in .xz, or it is gzipped; TIMESTAMP is every file's, such as 2026-11-30T00:00:00Z. Needs GNU tar.
set -eu
folder=$1
archive=$2
timestamp=$3
shift 3

# One thread would pack in another way than several, whose number does not matter.
case $archive in
    *.xz) packer='xz -T4 -6' ;;
    *) packer='gzip -n -9' ;;
esac
tar -C "$(dirname "$folder")" --sort=name --mtime="$timestamp" --owner=0 --group=0 --numeric-owner --format=gnu \
    --mode=u=rwX,go=rX "$@" -cf "$archive.tar" "$(basename "$folder")"
$packer <"$archive.tar" >"$archive"
rm "$archive.tar"
