"""Asks for a completion of a long prompt and prints the time to its first token, the median gap between tokens, the
cached tokens, and a hash of the text:

  python3 reuse.py URL LABEL PROMPT_TOKENS MORE_TOKENS NEW_TOKENS

Prompts of all calls begin alike: one of 100000 tokens and 100 more begins with the one of 100000 and none.
"""
import hashlib
import http.client
import json
import random
import statistics
import sys
import time
import urllib.parse

url, label, prompt, more, new = urllib.parse.urlparse(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:6])
first, rest = random.Random(7), random.Random(8)
tokens = [first.randrange(3, 128000) for _ in range(prompt)] + [rest.randrange(3, 128000) for _ in range(more)]


def connect():
    return http.client.HTTPConnection(url.hostname, url.port, timeout=500)


models = connect()
models.request("GET", "/v1/models")
body = {
    "model": json.load(models.getresponse())["data"][0]["id"],
    "prompt": tokens,
    "max_tokens": new,
    "temperature": 0,
    "ignore_eos": True,
    "stream": True,
    "stream_options": {"include_usage": True},
}
connection = connect()
began = time.perf_counter()
connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
answer = connection.getresponse()
if answer.status != 200:
    sys.exit(f"{label}: {answer.status} {answer.read(500)}")
times, text, usage = [], "", {}
for line in answer:
    if line.startswith(b"data: {"):
        chunk = json.loads(line[6:])
        if "error" in chunk:
            sys.exit(f"{label}: {chunk['error']}")
        usage = chunk.get("usage") or usage
        if chunk["choices"] and chunk["choices"][0]["text"]:
            times.append(time.perf_counter())
            text += chunk["choices"][0]["text"]
gap = statistics.median(b - a for a, b in zip(times, times[1:])) if len(times) > 1 else float("nan")
cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
print(
    f"{label}: {len(tokens)} tokens, {cached} cached: first token after {times[0] - began:.3f} s,"
    f" then one in {gap * 1e3:.1f} ms, text {hashlib.sha256(text.encode()).hexdigest()[:12]}",
    flush=True,
)
