"""Asks for completions of prompts that repeat themselves and prints a hash of each text, and the tokens a pass:

  python3 texts.py URL LABEL REQUESTS PROMPT_TOKENS NEW_TOKENS AT_ONCE [VOCABULARY]

Every other request is greedy; the others have a seed. The hash of all texts is the same whatever the plan, the load and
the drafts, unless the policy of the cache differs.
"""
import concurrent.futures
import hashlib
import http.client
import json
import random
import sys
import time
import urllib.parse

url, label, requests, prompt, new, at_once = urllib.parse.urlparse(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:7])
vocabulary = int(sys.argv[7]) if len(sys.argv) > 7 else 128000


def ask(method, path, body=None):
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=500)
    connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        sys.exit(f"{label}: {answer.status} {content[:500]}")
    return json.loads(content)


model = ask("GET", "/v1/models")["data"][0]["id"]


def complete(index):
    rng = random.Random(index)
    document = [rng.randrange(3, vocabulary) for _ in range(prompt // 2 + index)]
    body = {
        "model": model,
        "prompt": document + document[: prompt // 2],
        "max_tokens": new,
        "temperature": index % 2 * 0.02,
        "seed": index,
        "ignore_eos": True,
        "logprobs": 0,
    }
    answer = ask("POST", "/v1/completions", body)
    choice = answer["choices"][0]
    told = json.dumps([choice["text"], choice["logprobs"]["token_logprobs"]])
    return hashlib.sha256(told.encode()).hexdigest()[:8], answer["usage"]


began = time.perf_counter()
with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
    answers = list(pool.map(complete, range(requests)))
seconds = time.perf_counter() - began
texts = [text for text, _ in answers]
usage = [usage for _, usage in answers]
details = [one.get("completion_tokens_details") or {} for one in usage]
accepted = sum(one.get("accepted_prediction_tokens") or 0 for one in details)
rejected = sum(one.get("rejected_prediction_tokens") or 0 for one in details)
print(
    f"{label}: {requests} x {prompt}+{new}, {at_once} at once, {seconds:.1f} s: {accepted} drafted tokens accepted,"
    f" {rejected} not; all texts {hashlib.sha256(''.join(texts).encode()).hexdigest()[:12]}: {' '.join(texts)}",
    flush=True,
)
print(f"  first usage {json.dumps(usage[0])}", flush=True)
