"""Tiny random-weight models of further families, with what the reference's formulas, written down in NumPy, say of them
in float64. For families of which there are no values of Hugging Face transformers itself.

  python3 make_numpy_goldens.py OUT_DIR [name ...]

Each OUT_DIR/NAME/ is a Hugging Face model directory plus golden.json, as make_goldens.py says.
"""
import json, math, os, struct, sys
import numpy as np

V, D, L, H, KV, HD, F, W = 384, 64, 4, 4, 2, 32, 96, 16
base = dict(vocab_size=V, hidden_size=D, num_hidden_layers=L, num_attention_heads=H, num_key_value_heads=KV, intermediate_size=F,
            max_position_embeddings=512, bos_token_id=2, eos_token_id=2, pad_token_id=1, tie_word_embeddings=False, torch_dtype="float16")
rms, ln = dict(rms_norm_eps=1e-6), dict(layer_norm_eps=1e-5)
MODELS = {
    "mixtral": dict(base, **rms, model_type="mixtral", head_dim=HD, num_local_experts=4, num_experts_per_tok=2, sliding_window=None, rope_theta=1e6, hidden_act="silu"),
    "qwen2-moe": dict(base, **rms, model_type="qwen2_moe", num_experts=6, num_experts_per_tok=2, moe_intermediate_size=40, shared_expert_intermediate_size=56, norm_topk_prob=False,
                      mlp_only_layers=[1], use_sliding_window=True, sliding_window=W, max_window_layers=3, rope_theta=1e4, hidden_act="silu"),
    "qwen2-window": dict(base, **rms, model_type="qwen2", use_sliding_window=True, sliding_window=W, max_window_layers=2, rope_theta=1e4, hidden_act="silu"),
    "glm4": dict(base, **rms, model_type="glm4", head_dim=HD, partial_rotary_factor=0.5, attention_bias=True, rope_theta=1e4, hidden_act="silu"),
    "stablelm": dict(base, **ln, model_type="stablelm", num_key_value_heads=H, partial_rotary_factor=0.25, use_qkv_bias=True, rope_theta=1e4, hidden_act="silu"),
    "stablelm-parallel": dict(base, **ln, model_type="stablelm", partial_rotary_factor=0.25, use_parallel_residual=True, qk_layernorm=True, rope_theta=1e4, hidden_act="silu"),
    "starcoder2": dict(base, norm_epsilon=1e-5, model_type="starcoder2", sliding_window=W, use_bias=True, rope_theta=1e4, hidden_act="gelu_pytorch_tanh") | dict(tie_word_embeddings=True),
    "cohere": dict(base, **ln, model_type="cohere", logit_scale=0.25, use_qk_norm=True, rope_theta=1e4, hidden_act="silu") | dict(tie_word_embeddings=True),
    "cohere2": dict(base, **ln, model_type="cohere2", logit_scale=0.25, sliding_window=W, sliding_window_pattern=2, rope_theta=1e4, hidden_act="silu") | dict(tie_word_embeddings=True),
}
older = dict(vocab_size=V, bos_token_id=2, eos_token_id=2, torch_dtype="float16")
gpt = dict(older, n_embd=D, n_layer=L, n_head=H, n_positions=512, activation_function="gelu_new", layer_norm_epsilon=1e-5)
falcon = dict(older, model_type="falcon", hidden_size=D, num_hidden_layers=L, num_attention_heads=H, max_position_embeddings=512, activation="gelu", layer_norm_epsilon=1e-5, alibi=False, rope_theta=1e4)
MODELS |= {
    "gpt2": dict(gpt, model_type="gpt2", n_inner=None, tie_word_embeddings=True),
    "gptj": dict(gpt, model_type="gptj", n_inner=F, rotary_dim=8, tie_word_embeddings=False),
    "phi": dict(older, model_type="phi", hidden_size=D, num_hidden_layers=L, num_attention_heads=H, num_key_value_heads=None, intermediate_size=F, hidden_act="gelu_new",
                max_position_embeddings=512, layer_norm_eps=1e-5, rope_theta=1e4, partial_rotary_factor=0.5, qk_layernorm=False, tie_word_embeddings=False),
    "falcon": dict(falcon, multi_query=True, parallel_attn=True, bias=False, new_decoder_architecture=False),
    "falcon-new": dict(falcon, num_kv_heads=KV, bias=False, new_decoder_architecture=True, multi_query=True, parallel_attn=True, ffn_hidden_size=F),
    "falcon-in-turn": dict(falcon, multi_query=False, parallel_attn=False, bias=True, new_decoder_architecture=False),
}
OLDER = ("gpt2", "gptj", "phi", "falcon")

def older_weights(c, random):
    t, kind = {}, c["model_type"]
    def matrix(name, rows, columns, has_bias=False, std=None):
        w = random.normal(0, std or (1.6 / columns) ** 0.5, (rows, columns))
        t[name + ".weight"] = w.T.copy() if kind == "gpt2" and ".h." in name else w
        if has_bias: t[name + ".bias"] = random.normal(0, 0.1, rows)
    def norm(name):
        t[name + ".weight"] = 1 + 0.2 * random.normal(size=D); t[name + ".bias"] = random.normal(0, 0.1, D)
    table = {"phi": "model.embed_tokens", "falcon": "transformer.word_embeddings"}.get(kind, "transformer.wte")
    matrix(table, V, D, std=0.25)
    if kind == "gpt2": matrix("transformer.wpe", 512, D, std=0.1)
    for i in range(L):
        if kind == "gpt2":
            p = f"transformer.h.{i}."; norm(p + "ln_1"); norm(p + "ln_2"); inner = c["n_inner"] or 4 * D
            matrix(p + "attn.c_attn", 3 * D, D, True); matrix(p + "attn.c_proj", D, D, True); matrix(p + "mlp.c_fc", inner, D, True); matrix(p + "mlp.c_proj", D, inner, True)
        elif kind == "gptj":
            p = f"transformer.h.{i}."; norm(p + "ln_1"); inner = c["n_inner"] or 4 * D
            for part in ("q_proj", "k_proj", "v_proj", "out_proj"): matrix(f"{p}attn.{part}", D, D)
            matrix(p + "mlp.fc_in", inner, D, True); matrix(p + "mlp.fc_out", D, inner, True)
        elif kind == "phi":
            p = f"model.layers.{i}."; norm(p + "input_layernorm")
            for part in ("q_proj", "k_proj", "v_proj", "dense"): matrix(f"{p}self_attn.{part}", D, D, True)
            matrix(p + "mlp.fc1", F, D, True); matrix(p + "mlp.fc2", D, F, True)
        else:
            p = f"transformer.h.{i}."; new = c["new_decoder_architecture"]; inner = c.get("ffn_hidden_size", 4 * D)
            kv = c["num_kv_heads"] if new else 1 if c["multi_query"] else H
            for name in (("ln_attn", "ln_mlp") if new else ("input_layernorm",) if c["parallel_attn"] else ("input_layernorm", "post_attention_layernorm")): norm(p + name)
            matrix(p + "self_attention.query_key_value", (H + 2 * kv) * (D // H), D, c["bias"]); matrix(p + "self_attention.dense", D, D, c["bias"])
            matrix(p + "mlp.dense_h_to_4h", inner, D, c["bias"]); matrix(p + "mlp.dense_4h_to_h", D, inner, c["bias"])
    norm("model.final_layernorm" if kind == "phi" else "transformer.ln_f")
    if kind in ("gptj", "phi"): matrix("lm_head", V, D, True)
    return {name: value.astype(np.float16) for name, value in t.items()}

def older_forward(c, t, ids):
    """(tokens, V) float64."""
    kind = c["model_type"]; head = D // H; n = len(ids)
    t = {name: value.astype(np.float64) for name, value in t.items()}
    lin = lambda name, x: x @ (t[name + ".weight"] if kind == "gpt2" else t[name + ".weight"].T) + t.get(name + ".bias", 0)
    gelu_new = lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))
    gelu = lambda x: 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
    softmax = lambda x: (lambda e: e / e.sum(-1, keepdims=True))(np.exp(x - x.max(-1, keepdims=True)))
    def norm(name, x):
        x = x - x.mean(-1, keepdims=True); eps = c.get("layer_norm_eps", c.get("layer_norm_epsilon"))
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * t[name + ".weight"] + t[name + ".bias"]
    width = c["rotary_dim"] if kind == "gptj" else int(head * c.get("partial_rotary_factor", 1))
    inverse = (1 / np.float32(1e4) ** (np.arange(0, width, 2, dtype=np.float32) / np.float32(width))).astype(np.float32)
    angle = (np.arange(n, dtype=np.float32)[:, None] * inverse[None]).astype(np.float64)[:, None]
    def rotate(x):
        if kind == "gpt2": return x
        r, rest = x[..., :width], x[..., width:]; cos, sin = np.cos(angle), np.sin(angle)
        if kind == "gptj":
            a, b = r[..., 0::2], r[..., 1::2]
            return np.concatenate([np.stack([a * cos - b * sin, b * cos + a * sin], -1).reshape(r.shape), rest], -1)
        a, b = r[..., : width // 2], r[..., width // 2:]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin, rest], -1)
    def attend(q, k, v):
        """(n, heads, head) each"""
        q, k = rotate(q), rotate(k); k, v = (np.repeat(x, H // x.shape[1], 1) for x in (k, v))
        s = np.einsum("ihd,jhd->hij", q, k) / math.sqrt(head)
        s = np.where(np.arange(n)[None] <= np.arange(n)[:, None], s, -1e30)
        return np.einsum("hij,jhd->ihd", softmax(s), v).reshape(n, D)
    heads = lambda x: x.reshape(n, -1, head)
    def layer(i, x):
        p = f"model.layers.{i}." if kind == "phi" else f"transformer.h.{i}."
        if kind == "gpt2":
            q, k, v = np.split(lin(p + "attn.c_attn", norm(p + "ln_1", x)), 3, -1)
            x = x + lin(p + "attn.c_proj", attend(heads(q), heads(k), heads(v)))
            return x + lin(p + "mlp.c_proj", gelu_new(lin(p + "mlp.c_fc", norm(p + "ln_2", x))))
        if kind == "gptj":
            y = norm(p + "ln_1", x); a = attend(*(heads(lin(f"{p}attn.{part}_proj", y)) for part in "qkv"))
            return x + lin(p + "attn.out_proj", a) + lin(p + "mlp.fc_out", gelu_new(lin(p + "mlp.fc_in", y)))
        if kind == "phi":
            y = norm(p + "input_layernorm", x); a = attend(*(heads(lin(f"{p}self_attn.{part}_proj", y)) for part in "qkv"))
            return x + lin(p + "self_attn.dense", a) + lin(p + "mlp.fc2", gelu_new(lin(p + "mlp.fc1", y)))
        new = c["new_decoder_architecture"]
        y = norm(p + ("ln_attn" if new else "input_layernorm"), x); fused = lin(p + "self_attention.query_key_value", y)
        if new:
            g = fused.reshape(n, c["num_kv_heads"], H // c["num_kv_heads"] + 2, head); q, k, v = g[:, :, :-2].reshape(n, H, head), g[:, :, -2], g[:, :, -1]
        elif c["multi_query"]:
            g = fused.reshape(n, H + 2, head); q, k, v = g[:, :-2], g[:, -2:-1], g[:, -1:]
        else:
            g = fused.reshape(n, H, 3, head); q, k, v = g[:, :, 0], g[:, :, 1], g[:, :, 2]
        a = lin(p + "self_attention.dense", attend(q, k, v))
        mlp = lambda z: lin(p + "mlp.dense_4h_to_h", gelu(lin(p + "mlp.dense_h_to_4h", z)))
        if new: return x + a + mlp(norm(p + "ln_mlp", x))
        if c["parallel_attn"]: return x + a + mlp(y)
        x = x + a
        return x + mlp(norm(p + "post_attention_layernorm", x))
    table = t[{"phi": "model.embed_tokens", "falcon": "transformer.word_embeddings"}.get(kind, "transformer.wte") + ".weight"]
    x = table[ids] + (t["transformer.wpe.weight"][:n] if kind == "gpt2" else 0)
    for i in range(L): x = layer(i, x)
    x = norm("model.final_layernorm" if kind == "phi" else "transformer.ln_f", x)
    return x @ t["lm_head.weight"].T + t["lm_head.bias"] if kind in ("gptj", "phi") else x @ table.T

def weights(c, random):
    if c["model_type"] in OLDER: return older_weights(c, random)
    t, kind = {}, c["model_type"]
    head = c.get("head_dim", D // H); kv = c["num_key_value_heads"]
    bias = dict(qwen2=(1, 0), qwen2_moe=(1, 0), glm4=(1, 0), starcoder2=(1, 1), stablelm=(c.get("use_qkv_bias", False), 0)).get(kind, (0, 0))
    norm_bias = kind in ("stablelm", "starcoder2")
    def matrix(name, rows, columns, has_bias=False, std=None):
        t[name + ".weight"] = random.normal(0, std or (1.6 / columns) ** 0.5, (rows, columns))
        if has_bias: t[name + ".bias"] = random.normal(0, 0.1, rows)
    def norm(name, *shape):
        t[name + ".weight"] = 1 + 0.2 * random.normal(size=shape)
        if norm_bias: t[name + ".bias"] = random.normal(0, 0.1, shape)
    def mlp(name, size, has_bias=False):
        for part in ("gate_proj", "up_proj"): matrix(f"{name}.{part}", size, D)
        matrix(f"{name}.down_proj", D, size)
    matrix("model.embed_tokens", V, D, std=0.25)
    for i in range(L):
        p = f"model.layers.{i}."
        matrix(p + "self_attn.q_proj", H * head, D, bias[0]); matrix(p + "self_attn.k_proj", kv * head, D, bias[0])
        matrix(p + "self_attn.v_proj", kv * head, D, bias[0]); matrix(p + "self_attn.o_proj", D, H * head, bias[1])
        norm(p + "input_layernorm", D)
        if not (kind.startswith("cohere") or c.get("use_parallel_residual")): norm(p + "post_attention_layernorm", D)
        if kind == "glm4": norm(p + "post_self_attn_layernorm", D); norm(p + "post_mlp_layernorm", D)
        if c.get("qk_layernorm"):
            for part, heads in (("q", H), ("k", kv)):
                for h in range(heads): t[f"{p}self_attn.{part}_layernorm.norms.{h}.weight"] = 1 + 0.2 * random.normal(size=head)
        if c.get("use_qk_norm"): norm(p + "self_attn.q_norm", H, head); norm(p + "self_attn.k_norm", kv, head)
        if kind == "mixtral":
            matrix(p + "block_sparse_moe.gate", c["num_local_experts"], D)
            for e in range(c["num_local_experts"]):
                q = f"{p}block_sparse_moe.experts.{e}."; matrix(q + "w1", F, D); matrix(q + "w3", F, D); matrix(q + "w2", D, F)
        elif kind == "qwen2_moe" and i not in c["mlp_only_layers"]:
            matrix(p + "mlp.gate", c["num_experts"], D); matrix(p + "mlp.shared_expert_gate", 1, D); mlp(p + "mlp.shared_expert", c["shared_expert_intermediate_size"])
            for e in range(c["num_experts"]): mlp(f"{p}mlp.experts.{e}", c["moe_intermediate_size"])
        elif kind == "glm4": matrix(p + "mlp.gate_up_proj", 2 * F, D); matrix(p + "mlp.down_proj", D, F)
        elif kind == "starcoder2": matrix(p + "mlp.c_fc", F, D, True); matrix(p + "mlp.c_proj", D, F, True)
        else: mlp(p + "mlp", F)
    norm("model.norm", D)
    if not c["tie_word_embeddings"]: matrix("lm_head", V, D)
    return {name: value.astype(np.float16) for name, value in t.items()}

def forward(c, t, ids):
    """(tokens, V) float64."""
    if c["model_type"] in OLDER: return older_forward(c, t, ids)
    kind = c["model_type"]; head = c.get("head_dim", D // H); kv = c["num_key_value_heads"]; n = len(ids)
    t = {name: value.astype(np.float64) for name, value in t.items()}
    lin = lambda name, x: x @ t[name + ".weight"].T + t.get(name + ".bias", 0)
    silu = lambda x: x / (1 + np.exp(-x))
    gelu = lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))
    softmax = lambda x: (lambda e: e / e.sum(-1, keepdims=True))(np.exp(x - x.max(-1, keepdims=True)))
    def norm(name, x):
        if "rms_norm_eps" in c: return x / np.sqrt((x * x).mean(-1, keepdims=True) + c["rms_norm_eps"]) * t[name + ".weight"]
        x = x - x.mean(-1, keepdims=True); eps = c.get("layer_norm_eps", c.get("norm_epsilon"))
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * t[name + ".weight"] + t.get(name + ".bias", 0)
    width = int(head * c.get("partial_rotary_factor", 1))
    inverse = (1 / np.float32(c["rope_theta"]) ** (np.arange(0, width, 2, dtype=np.float32) / np.float32(width))).astype(np.float32)
    angle = (np.arange(n, dtype=np.float32)[:, None] * inverse[None]).astype(np.float64)[:, None]
    def rotate(x):
        r, rest = x[..., :width], x[..., width:]; cos, sin = np.cos(angle), np.sin(angle)
        if kind in ("glm4", "cohere", "cohere2"):
            a, b = r[..., 0::2], r[..., 1::2]
            return np.concatenate([np.stack([a * cos - b * sin, b * cos + a * sin], -1).reshape(r.shape), rest], -1)
        a, b = r[..., : width // 2], r[..., width // 2:]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin, rest], -1)
    def windowed(i):
        if kind == "starcoder2": return True
        if kind == "cohere2": return (i + 1) % c["sliding_window_pattern"] != 0
        if kind == "qwen2": return i >= c["max_window_layers"]
        if kind == "qwen2_moe": return (i + 1) % 2 == 1 and i < c["max_window_layers"]
        return False
    def attention(i, x):
        p = f"model.layers.{i}.self_attn."
        q, k, v = (lin(p + name, x).reshape(n, heads, head) for name, heads in (("q_proj", H), ("k_proj", kv), ("v_proj", kv)))
        if c.get("qk_layernorm"): q, k = (np.stack([norm(f"{p}{part}_layernorm.norms.{h}", x[:, h]) for h in range(x.shape[1])], 1) for part, x in (("q", q), ("k", k)))
        if c.get("use_qk_norm"): q, k = norm(p + "q_norm", q), norm(p + "k_norm", k)
        if kind != "cohere2" or windowed(i): q, k = rotate(q), rotate(k)
        k, v = np.repeat(k, H // kv, 1), np.repeat(v, H // kv, 1)
        s = np.einsum("ihd,jhd->hij", q, k) / math.sqrt(head)
        i_, j_ = np.arange(n)[:, None], np.arange(n)[None]
        seen = (j_ <= i_) & ((i_ - j_ < c["sliding_window"]) if windowed(i) else True)
        return lin(p + "o_proj", np.einsum("hij,jhd->ihd", softmax(np.where(seen, s, -1e30)), v).reshape(n, H * head))
    gated = lambda p, x: lin(p + "down_proj", silu(lin(p + "gate_proj", x)) * lin(p + "up_proj", x))
    def chosen(logits, k, renormalise):
        w = softmax(logits); out = np.zeros_like(w)
        for r in range(n):
            best = np.argsort(-w[r], kind="stable")[:k]; out[r, best] = w[r, best] / (w[r, best].sum() if renormalise else 1)
        return out
    def mlp(i, x):
        p = f"model.layers.{i}."
        if kind == "mixtral":
            p += "block_sparse_moe."; w = chosen(lin(p + "gate", x), c["num_experts_per_tok"], True)
            return sum(w[:, e:e + 1] * lin(f"{p}experts.{e}.w2", silu(lin(f"{p}experts.{e}.w1", x)) * lin(f"{p}experts.{e}.w3", x)) for e in range(w.shape[1]))
        p += "mlp."
        if kind == "qwen2_moe" and i not in c["mlp_only_layers"]:
            w = chosen(lin(p + "gate", x), c["num_experts_per_tok"], c["norm_topk_prob"])
            shared = gated(p + "shared_expert.", x) / (1 + np.exp(-lin(p + "shared_expert_gate", x)))
            return shared + sum(w[:, e:e + 1] * gated(f"{p}experts.{e}.", x) for e in range(w.shape[1]))
        if kind == "glm4":
            gate, up = np.split(lin(p + "gate_up_proj", x), 2, -1)
            return lin(p + "down_proj", silu(gate) * up)
        if kind == "starcoder2": return lin(p + "c_proj", gelu(lin(p + "c_fc", x)))
        return gated(p, x)
    x = t["model.embed_tokens.weight"][ids]
    for i in range(L):
        p = f"model.layers.{i}."; y = norm(p + "input_layernorm", x)
        if kind.startswith("cohere") or c.get("use_parallel_residual"): x = x + attention(i, y) + mlp(i, y); continue
        a = attention(i, y)
        x = x + (norm(p + "post_self_attn_layernorm", a) if kind == "glm4" else a)
        m = mlp(i, norm(p + "post_attention_layernorm", x))
        x = x + (norm(p + "post_mlp_layernorm", m) if kind == "glm4" else m)
    x = norm("model.norm", x)
    return x @ t["model.embed_tokens.weight" if c["tie_word_embeddings"] else "lm_head.weight"].T * c.get("logit_scale", 1)

def save(path, tensors):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, value in tensors.items():
        header[name] = {"dtype": "F16", "shape": list(value.shape), "data_offsets": [offset, offset + value.nbytes]}; offset += value.nbytes
    text = json.dumps(header).encode(); text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for value in tensors.values(): file.write(value.tobytes())

def tokenizer(path):
    """A word tokenizer: token i is written 't<i>'."""
    vocab = {"<s>": 0, "<pad>": 1, "</s>": 2, **{f"t{i}": i for i in range(3, V)}}
    special = lambda i, text: {"id": i, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    json.dump({"version": "1.0", "truncation": None, "padding": None, "added_tokens": [special(0, "<s>"), special(1, "<pad>"), special(2, "</s>")], "normalizer": None,
               "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": None,
               "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<pad>"}}, open(path + "/tokenizer.json", "w"))
    json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "clean_up_tokenization_spaces": False}, open(path + "/tokenizer_config.json", "w"))

if __name__ == "__main__":
    out_dir, names = sys.argv[1], sys.argv[2:]
    for index, (name, config) in enumerate(MODELS.items()):
        if names and name not in names: continue
        random = np.random.default_rng(6000 + index)
        tensors, prompts = weights(config, random), []
        for length in (1, 33, 97):
            ids = random.integers(3, V, length).tolist()
            logits, step, greedy, margin = forward(config, tensors, ids), list(ids), [], 1e9
            for _ in range(16):
                top = forward(config, tensors, step)[-1]; order = np.argsort(-top)
                margin = min(margin, float(top[order[0]] - top[order[1]])); greedy.append(int(order[0])); step.append(int(order[0]))
            prompts.append(dict(input_ids=ids, last_logits=[round(x, 6) for x in logits[-1].tolist()], all_argmax=logits.argmax(-1).tolist(), greedy=greedy, greedy_margin=margin))
        path = f"{out_dir}/{name}"; os.makedirs(path, exist_ok=True)
        save(path + "/model.safetensors", tensors); tokenizer(path)
        json.dump(config, open(path + "/config.json", "w"), indent=1)
        json.dump(dict(made_by="make_numpy_goldens.py", stored_dtype="float16", prompts=prompts), open(path + "/golden.json", "w"))
        print(name, sum(v.size for v in tensors.values()), [round(p["greedy_margin"], 5) for p in prompts], [len(set(p["greedy"])) for p in prompts], flush=True)
