#!/bin/sh
# Downloads the files of /scripts/files.sha256 from a server with Hugging Face's layout of addresses into $MODEL.
# A file that is there with the right checksum is left alone, so a second try goes on where the first one stopped.
#   ENDPOINT REPOSITORY REVISION MODEL, and TOKEN for models that need one; LIST is for tests
set -eu

list=${LIST:-/scripts/files.sha256}

fetch() {
    url=$ENDPOINT/$REPOSITORY/resolve/$REVISION/$1
    # The token goes through standard input, where a list of processes doesn't show it.
    if [ -n "${TOKEN:-}" ]; then
        printf 'header = "Authorization: Bearer %s"\n' "$TOKEN"
    fi | curl --config - --fail --silent --show-error --location --retry 5 --retry-delay 5 \
        --continue-at - --output "$1.part" "$url"
}

is_whole() {
    [ "$(sha256sum <"$1" | cut -d ' ' -f 1)" = "$2" ]
}

mkdir -p "$MODEL"
cd "$MODEL"
while read -r sum path; do
    [ -n "$sum" ] || continue
    if [ -f "$path" ] && is_whole "$path" "$sum"; then
        echo "have $path"
        continue
    fi
    mkdir -p "$(dirname "$path")"
    echo "get  $path"
    fetch "$path" || {
        echo "download: $ENDPOINT/$REPOSITORY/resolve/$REVISION/$path cannot be fetched" >&2
        exit 1
    }
    if ! is_whole "$path.part" "$sum"; then
        rm -f "$path.part"
        echo "download: $path is not the file with SHA-256 $sum" >&2
        exit 1
    fi
    mv "$path.part" "$path"
done <"$list"
touch .complete
echo "complete: $MODEL"
