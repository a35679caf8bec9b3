#!/bin/sh
# Asks a running Weft what a client asks: which model, and one streamed completion that ends in [DONE].
#   WEFT_URL      its address, such as http://weft:8080
#   WEFT_API_KEY  the key, if it asks for one
set -eu

ask() {
    if [ -n "${WEFT_API_KEY:-}" ]; then
        printf 'header = "Authorization: Bearer %s"\n' "$WEFT_API_KEY"
    fi | curl --config - --fail-with-body --silent --show-error --max-time 120 "$@"
}

fail() {
    printf 'FAILED: %s\n' "$@" >&2
    exit 1
}

models=$(ask "$WEFT_URL/v1/models") || fail "no list of models: $models"
model=$(printf '%s' "$models" | sed -n 's/.*"id" *: *"\([^"]*\)".*/\1/p' | head -n 1)
[ -n "$model" ] || fail "no model in $models"
echo "ok: model $model"

stream=$(ask --no-buffer "$WEFT_URL/v1/completions" -H 'Content-Type: application/json' \
    --data "{\"model\": \"$model\", \"prompt\": \"Once upon a time\", \"max_tokens\": 8, \"stream\": true}") \
    || fail "no completion: $stream"
chunks=$(printf '%s\n' "$stream" | grep -c '^data: {') || fail "no chunk in: $stream"
last=$(printf '%s\n' "$stream" | grep -v '^$' | tail -n 1)
[ "$last" = 'data: [DONE]' ] || fail "the stream ends in: $last"
echo "ok: $chunks chunks, then [DONE]"
