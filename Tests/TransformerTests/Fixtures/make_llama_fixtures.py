"""Golden tensors of a tiny Llama in plain PyTorch: logits, loss, gradients and weights after one step.

usage: python3 make_llama_fixtures.py    (writes llama.json and llama.bin beside itself)
Made with Python 3.11.7, torch 2.15.0, seed 20261123. llama.bin holds float32 little-endian vectors;
llama.json says where. Parameters are in the order of Hugging Face's module tree.
"""
import json, math, pathlib, torch, torch.nn.functional as F

torch.manual_seed(20261123)
torch.set_num_threads(1)
V, C, FF, L, H, KV, D, B, T = 64, 32, 64, 2, 4, 2, 8, 2, 12
THETA, EPS = 10000.0, 1e-5
LEVELS = torch.tensor([0, .5, 1, 1.5, 2, 3, 4, 6], dtype=torch.float32)


def names(tied):
    out = [("model.embed_tokens.weight", (V, C))]
    for i in range(L):
        p = f"model.layers.{i}."
        out += [(p + "input_layernorm.weight", (C,)), (p + "self_attn.q_proj.weight", (H * D, C)),
                (p + "self_attn.k_proj.weight", (KV * D, C)), (p + "self_attn.v_proj.weight", (KV * D, C)),
                (p + "self_attn.o_proj.weight", (C, H * D)), (p + "post_attention_layernorm.weight", (C,)),
                (p + "mlp.gate_proj.weight", (FF, C)), (p + "mlp.up_proj.weight", (FF, C)),
                (p + "mlp.down_proj.weight", (C, FF))]
    out.append(("model.norm.weight", (C,)))
    return out if tied else out + [("lm_head.weight", (V, C))]


def mxfp4(w):
    """E2M1 with a floored power-of-two scale per 32, ties to even."""
    b = w.reshape(-1, 32)
    scale = torch.exp2(torch.floor(torch.log2(b.abs().amax(1, keepdim=True))) - 2)
    a = (b / scale).abs().clamp(max=6)
    step = torch.where(a >= 4, 2.0, torch.where(a >= 2, 1.0, 0.5))
    return (torch.round(a / step) * step * torch.sign(b) * scale).reshape(w.shape)


class StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, w):
        return mxfp4(w)

    @staticmethod
    def backward(ctx, g):
        return g


def norm(x, w):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS) * w


def rope(x):
    inv = THETA ** (-torch.arange(0, D, 2, dtype=torch.float64) / D)
    angle = torch.outer(torch.arange(T, dtype=torch.float64), inv)
    cos, sin = angle.cos().float(), angle.sin().float()
    a, b = x[..., :D // 2], x[..., D // 2:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def forward(p, tokens, quantized, streams=None):
    """Logits; `streams` receives the residual stream after each layer."""
    q = (lambda w: StraightThrough.apply(w)) if quantized else (lambda w: w)
    x = p["model.embed_tokens.weight"][tokens]
    for i in range(L):
        g = lambda n: p[f"model.layers.{i}.{n}.weight"]
        h = norm(x, g("input_layernorm"))
        heads = lambda y, n: y.view(B, T, n, D).transpose(1, 2)
        qq = rope(heads(h @ q(g("self_attn.q_proj")).T, H))
        kk = rope(heads(h @ q(g("self_attn.k_proj")).T, KV)).repeat_interleave(H // KV, 1)
        vv = heads(h @ q(g("self_attn.v_proj")).T, KV).repeat_interleave(H // KV, 1)
        s = qq @ kk.transpose(-1, -2) / math.sqrt(D)
        s = s.masked_fill(torch.ones(T, T, dtype=torch.bool).triu(1), float("-inf"))
        a = (s.softmax(-1) @ vv).transpose(1, 2).reshape(B, T, H * D)
        x = x + a @ q(g("self_attn.o_proj")).T
        h = norm(x, g("post_attention_layernorm"))
        x = x + (F.silu(h @ q(g("mlp.gate_proj")).T) * (h @ q(g("mlp.up_proj")).T)) @ q(g("mlp.down_proj")).T
        if streams is not None:
            streams.append(x)
    x = norm(x, p["model.norm.weight"])
    return x @ p.get("lm_head.weight", p["model.embed_tokens.weight"]).T


blob, index = bytearray(), {}


def put(key, tensors):
    flat = torch.cat([t.detach().reshape(-1).float() for t in tensors])
    index[key] = [len(blob) // 4, flat.numel()]
    blob.extend(flat.numpy().astype("<f4").tobytes())


def case(key, tied, distil):
    shapes = names(tied)
    make = lambda: {n: (1 + .1 * torch.randn(s) if len(s) == 1 else .15 * torch.randn(s)) for n, s in shapes}
    teacher = make()
    student = {n: (w + .05 * torch.randn(w.shape) if distil else w).clone().requires_grad_() for n, w in teacher.items()}
    tokens = torch.randint(0, V, (B, T))
    logits = forward(student, tokens, distil)
    if distil:
        target = forward(teacher, tokens, False).log_softmax(-1).flatten(0, 1)
        loss = F.kl_div(logits.log_softmax(-1).flatten(0, 1), target, log_target=True, reduction="batchmean")
    else:
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    loss.backward()
    params = [student[n] for n, _ in shapes]
    put(f"{key}.teacher", teacher.values())
    put(f"{key}.weights", params)
    put(f"{key}.logits", [logits])
    put(f"{key}.gradients", [w.grad for w in params])
    decay = [w for w in params if w.dim() > 1]
    rest = [w for w in params if w.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": .1}, {"params": rest, "weight_decay": 0.0}],
                                  lr=1e-3, betas=(.9, .95), eps=1e-8)
    gradient_norm = torch.nn.utils.clip_grad_norm_(params, .5)
    optimizer.step()
    put(f"{key}.updated", params)
    index[f"{key}.tokens"] = tokens.flatten().tolist()
    index[f"{key}.loss"] = loss.item()
    index[f"{key}.gradient_norm"] = gradient_norm.item()


if __name__ == "__main__":
    case("tied", True, False)
    case("distilled", False, True)
    here = pathlib.Path(__file__).parent
    (here / "llama.bin").write_bytes(blob)
    (here / "llama.json").write_text(json.dumps(index) + "\n")
