"""Low-rank adapters of the tiny Llama under MXFP4, trained by PyTorch's autograd and its own AdamW.

usage: python3 make_adapter_fixtures.py    (writes adapters.json and adapters.bin beside itself)
Made with Python 3.11.7, torch 2.13.0, seed 20261127. Weights and tokens are those of llama.bin under
"distilled". Every linear layer's weight is Q(W + alpha / r B A), W standing still, r 4, alpha 6; gradients pass Q
straight through, or ("clipped") are zero where the sum lies beyond what its block's scale holds. The loss is
cross-entropy; three steps of AdamW (decay 0.1, a large epsilon) with clipping to a norm of 0.5.
"""
import json, pathlib, torch, torch.nn.functional as F
import make_llama_fixtures as llama

torch.set_num_threads(1)
here = pathlib.Path(__file__).parent
index = json.loads((here / "llama.json").read_text())
blob = torch.frombuffer(bytearray((here / "llama.bin").read_bytes()), dtype=torch.float32)
# A large epsilon: without it a gradient of next to nothing moves as far as any.
RANK, ALPHA, SEED, STEPS, EPSILON = 4, 6.0, 20261127, 3, 1e-2


class Clipped(torch.autograd.Function):
    @staticmethod
    def forward(ctx, w):
        b = w.reshape(-1, 32)
        scale = torch.exp2(torch.floor(torch.log2(b.abs().amax(1, keepdim=True))) - 2)
        ctx.save_for_backward((b.abs() <= 6 * scale).reshape(w.shape))
        return llama.mxfp4(w)

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0]


def start():
    torch.manual_seed(SEED)
    adapters = []
    for name, shape in llama.names(False):
        if "_proj" in name:
            a = torch.randn(RANK, shape[1]) * .2
            b = torch.randn(shape[0], RANK) * .2
            adapters += [(name.replace(".weight", ".lora_A.weight"), a.requires_grad_()),
                         (name.replace(".weight", ".lora_B.weight"), b.requires_grad_())]
    return dict(adapters)


def loss_of(adapters, rounding):
    merged = {}
    for name, w in weights.items():
        key = name.replace(".weight", ".lora_A.weight")
        if key in adapters:
            b = adapters[key.replace("lora_A", "lora_B")]
            w = w + ALPHA / RANK * (b @ adapters[key])
        merged[name] = w
    llama.StraightThrough = rounding
    logits = llama.forward(merged, tokens, True)
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())


begin, count = index["distilled.weights"]
values, weights = blob[begin:begin + count], {}
for name, shape in llama.names(False):
    size = torch.Size(shape).numel()
    weights[name], values = values[:size].reshape(shape).clone(), values[size:]
tokens = torch.tensor(index["distilled.tokens"]).reshape(llama.B, llama.T)
out, places = bytearray(), {}


def put(key, tensors):
    flat = torch.cat([t.detach().reshape(-1) for t in tensors])
    places[key] = [len(out) // 4, flat.numel()]
    out.extend(flat.numpy().astype("<f4").tobytes())


straight = llama.StraightThrough
adapters = start()
put("adapters", adapters.values())
clipped = loss_of(adapters, Clipped)
clipped.backward()
put("clipped", [t.grad for t in adapters.values()])
for t in adapters.values():
    t.grad = None
optimizer = torch.optim.AdamW(adapters.values(), lr=1e-2, betas=(.9, .95), eps=EPSILON, weight_decay=.1)
losses = []
for step in range(STEPS):
    optimizer.zero_grad()
    loss = loss_of(adapters, straight)
    loss.backward()
    losses.append(loss.item())
    if step == 0:
        put("gradients", [t.grad for t in adapters.values()])
    torch.nn.utils.clip_grad_norm_(adapters.values(), .5)
    optimizer.step()
put("updated", adapters.values())
places["losses"] = losses
(here / "adapters.json").write_text(json.dumps(places) + "\n")
(here / "adapters.bin").write_bytes(out)
print(torch.__version__, losses, clipped.item())
