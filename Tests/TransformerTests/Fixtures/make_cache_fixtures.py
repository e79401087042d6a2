"""A training step of the tiny Llama whose keys and values are rounded to E4M3, straight through, by
PyTorch's autograd and its own float8_e4m3fn.

usage: python3 make_cache_fixtures.py    (writes cache.json and cache.bin beside itself)
Made with Python 3.11.7, torch 2.13.0. Weights and tokens are those of llama.bin under "distilled", weights
rounded to MXFP4; the scale of a layer's keys, rotated, and of its values is its largest magnitude on the
same tokens, in a pass without this rounding, over 448. The loss is cross-entropy.
"""
import json, math, pathlib, torch, torch.nn.functional as F
import make_llama_fixtures as llama

torch.set_num_threads(1)
here = pathlib.Path(__file__).parent
index = json.loads((here / "llama.json").read_text())
blob = torch.frombuffer(bytearray((here / "llama.bin").read_bytes()), dtype=torch.float32)
B, T, L, H, KV, D = llama.B, llama.T, llama.L, llama.H, llama.KV, llama.D


def e4m3(x, scale):
    rounded = (x.detach() / scale).clamp(-448, 448).to(torch.float8_e4m3fn).float() * scale
    return x + (rounded - x.detach())


def forward(p, tokens, scales, ranges):
    q = llama.StraightThrough.apply
    x = p["model.embed_tokens.weight"][tokens]
    for i in range(L):
        g = lambda n: p[f"model.layers.{i}.{n}.weight"]
        heads = lambda y, n: y.view(B, T, n, D).transpose(1, 2)
        h = llama.norm(x, g("input_layernorm"))
        query = llama.rope(heads(h @ q(g("self_attn.q_proj")).T, H))
        key = llama.rope(heads(h @ q(g("self_attn.k_proj")).T, KV))
        value = heads(h @ q(g("self_attn.v_proj")).T, KV)
        ranges.append((key.detach().abs().max(), value.detach().abs().max()))
        if scales:
            key, value = e4m3(key, scales[i][0]), e4m3(value, scales[i][1])
        score = query @ key.repeat_interleave(H // KV, 1).transpose(-1, -2) / math.sqrt(D)
        score = score.masked_fill(torch.ones(T, T, dtype=torch.bool).triu(1), float("-inf"))
        a = score.softmax(-1) @ value.repeat_interleave(H // KV, 1)
        x = x + a.transpose(1, 2).reshape(B, T, H * D) @ q(g("self_attn.o_proj")).T
        h = llama.norm(x, g("post_attention_layernorm"))
        x = x + (F.silu(h @ q(g("mlp.gate_proj")).T) * (h @ q(g("mlp.up_proj")).T)) @ q(g("mlp.down_proj")).T
    return llama.norm(x, p["model.norm.weight"]) @ p["lm_head.weight"].T


start, count = index["distilled.weights"]
values, parameters = blob[start:start + count], {}
for name, shape in llama.names(False):
    size = torch.Size(shape).numel()
    parameters[name], values = values[:size].reshape(shape).clone().requires_grad_(), values[size:]
tokens = torch.tensor(index["distilled.tokens"]).reshape(B, T)
ranges = []
with torch.no_grad():
    plain = forward(parameters, tokens, None, ranges)
scales = [(k / 448, v / 448) for k, v in ranges]
logits = forward(parameters, tokens, scales, [])
loss = lambda x: F.cross_entropy(x[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
loss(logits).backward()
gradients = torch.cat([parameters[n].grad.flatten() for n, _ in llama.names(False)])
(here / "cache.json").write_text(json.dumps({
    "loss": loss(logits).item(), "plain": loss(plain).item(), "gradients": [0, gradients.numel()],
    "keys": [k.item() for k, _ in ranges], "values": [v.item() for _, v in ranges]}) + "\n")
(here / "cache.bin").write_bytes(gradients.numpy().astype("<f4").tobytes())
print(loss(logits).item(), loss(plain).item(), ranges)
