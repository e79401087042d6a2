"""Learned clipping thresholds (PACT) of the tiny Llama's inputs in E4M3, by PyTorch's autograd and AdamW.

usage: python3 make_clip_fixtures.py    (writes clips.json and clips.bin beside itself)
Made with Python 3.11.7, torch 2.13.0. Weights and tokens are those of llama.bin under "distilled", weights
rounded to MXFP4, straight through. The inputs of linear layers are clipped to +-u r, r being 0.6 times the largest
magnitude in a pass without clipping and u 1 at first, then rounded to float8_e4m3fn under the scale u r / 448,
straight through. The loss is cross-entropy and LAMBDA times the sum of squares of u; three steps of AdamW (lr 0.02)
on u alone. Thresholds are in the order of layers, of each for q/k/v, o, gate/up, down.
"""
import json, math, pathlib, torch, torch.nn.functional as F
import make_llama_fixtures as llama

torch.set_num_threads(1)
here = pathlib.Path(__file__).parent
index = json.loads((here / "llama.json").read_text())
blob = torch.frombuffer(bytearray((here / "llama.bin").read_bytes()), dtype=torch.float32)
B, T, L, H, KV, D = llama.B, llama.T, llama.L, llama.H, llama.KV, llama.D
LAMBDA = 0.05


def clip(x, limit):
    y = torch.where(x.abs() < limit, x, torch.sign(x) * limit)
    scale = limit.detach() / 448
    rounded = (y.detach() / scale).to(torch.float8_e4m3fn).float() * scale
    return y + (rounded - y.detach())


def forward(p, tokens, limits, seen=None):
    q = llama.StraightThrough.apply
    site = iter(range(4 * L))

    def take(x):
        i = next(site)
        if seen is not None:
            seen.append(x.detach().abs().max())
        return clip(x, limits[i]) if limits is not None else x

    x = p["model.embed_tokens.weight"][tokens]
    for i in range(L):
        g = lambda n: p[f"model.layers.{i}.{n}.weight"]
        heads = lambda y, n: y.view(B, T, n, D).transpose(1, 2)
        h = take(llama.norm(x, g("input_layernorm")))
        query = llama.rope(heads(h @ q(g("self_attn.q_proj")).T, H))
        key = llama.rope(heads(h @ q(g("self_attn.k_proj")).T, KV)).repeat_interleave(H // KV, 1)
        value = heads(h @ q(g("self_attn.v_proj")).T, KV).repeat_interleave(H // KV, 1)
        score = query @ key.transpose(-1, -2) / math.sqrt(D)
        score = score.masked_fill(torch.ones(T, T, dtype=torch.bool).triu(1), float("-inf"))
        a = take((score.softmax(-1) @ value).transpose(1, 2).reshape(B, T, H * D))
        x = x + a @ q(g("self_attn.o_proj")).T
        h = take(llama.norm(x, g("post_attention_layernorm")))
        inner = take(F.silu(h @ q(g("mlp.gate_proj")).T) * (h @ q(g("mlp.up_proj")).T))
        x = x + inner @ q(g("mlp.down_proj")).T
    return llama.norm(x, p["model.norm.weight"]) @ p["lm_head.weight"].T


start, count = index["distilled.weights"]
values, parameters = blob[start:start + count], {}
for name, shape in llama.names(False):
    size = torch.Size(shape).numel()
    parameters[name], values = values[:size].reshape(shape).clone().requires_grad_(), values[size:]
tokens = torch.tensor(index["distilled.tokens"]).reshape(B, T)
seen = []
with torch.no_grad():
    forward(parameters, tokens, None, seen)
ranges = torch.stack(seen) * 0.6
u = torch.ones(4 * L, requires_grad=True)
optimizer = torch.optim.AdamW([u], lr=0.02, betas=(.9, .95), eps=1e-8, weight_decay=0)
losses, result = [], {}
for step in range(3):
    optimizer.zero_grad()
    logits = forward(parameters, tokens, u * ranges)
    loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    (loss + LAMBDA * u.square().sum()).backward()
    losses.append(loss.item())
    if step == 0:
        result["thresholds"] = u.grad.tolist()
        gradients = torch.cat([parameters[n].grad.flatten() for n, _ in llama.names(False)])
    optimizer.step()
result |= {"ranges": ranges.tolist(), "seen": torch.stack(seen).tolist(), "losses": losses,
           "updated": u.tolist(), "gradients": [0, gradients.numel()]}
(here / "clips.json").write_text(json.dumps(result) + "\n")
(here / "clips.bin").write_bytes(gradients.numpy().astype("<f4").tobytes())
print(torch.__version__, losses, result["thresholds"], u.tolist())
