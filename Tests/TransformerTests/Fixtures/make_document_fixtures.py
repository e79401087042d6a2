"""Training steps of the tiny Llama on windows of several documents, by PyTorch's autograd.

usage: python3 make_document_fixtures.py    (writes documents.json and documents.bin beside itself)
Made with Python 3.11.7, torch 2.13.0. Weights are those of llama.bin under "distilled", not rounded, the tokens too but
that END stands where documents end. Positions, mask and loss mask are made from a window as Megatron-Core 0.16's
_get_ltor_masks_and_position_ids makes them. Losses: cross-entropy, averaged over what is left of the 11 targets of each
window; of `distilled` 0.6 KL(teacher || student), averaged over the positions that are left, + 0.4 cross-entropy + 0.5
times the squared distance of the residual streams after each layer from the teacher's, relative to the teacher's square
length, averaged over layers and positions that are left; the teacher has the same positions and mask.
"""
import json, math, pathlib, torch, torch.nn.functional as F
import make_llama_fixtures as llama

torch.set_num_threads(1)
here = pathlib.Path(__file__).parent
index = json.loads((here / "llama.json").read_text())
blob = torch.frombuffer(bytearray((here / "llama.bin").read_bytes()), dtype=torch.float32)
B, T, L, H, KV, D = llama.B, llama.T, llama.L, llama.H, llama.KV, llama.D
END = 5


def parameters(key, gradient):
    start, count = index[key]
    values, out = blob[start:start + count], {}
    for name, shape in llama.names(False):
        size = torch.Size(shape).numel()
        out[name], values = values[:size].reshape(shape).clone().requires_grad_(gradient), values[size:]
    return out


def marks(window, positions, attention, loss):
    ids, mask, keep = torch.arange(T), torch.tril(torch.ones(T, T)), torch.ones(T)
    if loss:
        keep[window == END] = 0
    previous = 0
    for i in torch.arange(T)[window == END].tolist():
        if attention:
            mask[i + 1:, :i + 1] = 0
        if positions:
            ids[i + 1:] -= i + 1 - previous
            previous = i + 1
    return ids, mask > 0.5, keep > 0.5


def rope(x, ids):
    inv = llama.THETA ** (-torch.arange(0, D, 2, dtype=torch.float64) / D)
    angle = ids.double()[:, None, :, None] * inv
    cos, sin = angle.cos().float(), angle.sin().float()
    a, b = x[..., :D // 2], x[..., D // 2:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def forward(p, tokens, ids, mask, streams):
    x = p["model.embed_tokens.weight"][tokens]
    for i in range(L):
        g = lambda n: p[f"model.layers.{i}.{n}.weight"]
        heads = lambda y, n: y.view(B, T, n, D).transpose(1, 2)
        h = llama.norm(x, g("input_layernorm"))
        query = rope(heads(h @ g("self_attn.q_proj").T, H), ids)
        key = rope(heads(h @ g("self_attn.k_proj").T, KV), ids).repeat_interleave(H // KV, 1)
        value = heads(h @ g("self_attn.v_proj").T, KV).repeat_interleave(H // KV, 1)
        score = (query @ key.transpose(-1, -2) / math.sqrt(D)).masked_fill(~mask[:, None], float("-inf"))
        x = x + (score.softmax(-1) @ value).transpose(1, 2).reshape(B, T, H * D) @ g("self_attn.o_proj").T
        h = llama.norm(x, g("post_attention_layernorm"))
        x = x + (F.silu(h @ g("mlp.gate_proj").T) * (h @ g("mlp.up_proj").T)) @ g("mlp.down_proj").T
        streams.append(x)
    return llama.norm(x, p["model.norm.weight"]) @ p["lm_head.weight"].T


tokens = torch.tensor(index["distilled.tokens"]).reshape(B, T)
tokens[tokens == END] = 6
# Two documents one behind the other, an empty one, one that ends with the window, and one that the next window goes on with.
tokens[0, [3, 7]] = END
tokens[1, [0, 5, 6, 11]] = END
result, out = {"tokens": tokens.flatten().tolist()}, bytearray()


def case(name, positions, attention, loss, distils=False):
    found = [marks(w, positions, attention, loss) for w in tokens]
    ids, mask, keep = (torch.stack(m) for m in zip(*found))
    student, streams = parameters("distilled.weights", True), []
    logits = forward(student, tokens, ids, mask, streams)
    targets = tokens[:, 1:].clone()
    targets[~keep[:, :-1]] = -100
    total = F.cross_entropy(logits[:, :-1].flatten(0, 1), targets.flatten(), ignore_index=-100)
    if distils:
        wanted = []
        with torch.no_grad():
            teacher = forward(parameters("distilled.teacher", False), tokens, ids, mask, wanted).log_softmax(-1)
        divergence = F.kl_div(logits.log_softmax(-1)[keep], teacher[keep], log_target=True, reduction="batchmean")
        error = sum(((s - w).pow(2).sum(-1) / w.pow(2).sum(-1))[keep].mean() for s, w in zip(streams, wanted)) / L
        result[f"{name}.divergence"], result[f"{name}.text"] = divergence.item(), total.item()
        result[f"{name}.hidden"] = error.item()
        total = .6 * divergence + .4 * total + .5 * error
    total.backward()
    gradients = torch.cat([student[n].grad.flatten() for n, _ in llama.names(False)])
    result[f"{name}.loss"] = total.item()
    result[f"{name}.gradients"] = [len(out) // 4, gradients.numel()]
    out.extend(gradients.numpy().astype("<f4").tobytes())


case("none", False, False, False)
case("positions", True, False, False)
case("attention", False, True, False)
case("all", True, True, True)
case("distilled", True, True, True, True)
(here / "documents.json").write_text(json.dumps(result) + "\n")
(here / "documents.bin").write_bytes(out)
print({k: v for k, v in result.items() if not isinstance(v, list)})
