#!/usr/bin/env bash
# Pictures of the page, of the demo model on the CPU device with a slow link and some load:
#   tools/page/pictures.sh [FOLDER]
# writes page.png (docs/images has it for the README), page-dark.png, page-phone.png, page-playground.png and
# page-whatif.png into FOLDER, by default target/pictures. It needs chromium and chromedriver, and takes some minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder=${1:-target/pictures}
port=${PORT:-8097}
address=http://127.0.0.1:$port

./weft serve --host 127.0.0.1 --port "$port" --device cpu --schedule chunked --link-gbps 0.1 &
service=$!
load() {
  while curl --silent --fail --output /dev/null --header 'Content-Type: application/json' "$address/v1/completions" \
    --data '{"prompt": "It was a dark night, and it was a dark night, and", "max_tokens": 400, "n": 6, "ignore_eos": true}'
  do :; done
}
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
until curl --silent --fail --output /dev/null "$address/q/health/ready"; do
  kill -0 "$service"
  sleep 1
done
load &
./mvnw -q -B -Dtest=PagePicturesTest -Dweft.page.address="$address" -Dweft.page.pictures="$folder" test
echo "pictures: $folder"
