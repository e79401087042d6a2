"""Divergences of a student's logits from a teacher's, and their gradients, by PyTorch's autograd in
double precision; whole training steps of the tiny Llama under them, in single precision.

usage: python3 make_divergence_fixtures.py
    writes divergences.json, distillation.json and distillation.bin beside itself
Made with Python 3.11, torch 2.13.0, seed 20261127. The model, its teacher and its tokens are those of
llama.bin under "distilled"; distillation.bin holds float32 little-endian vectors, as llama.bin does.
"""
import json, pathlib, torch, torch.nn.functional as F
import make_llama_fixtures as llama

torch.manual_seed(20261127)
torch.set_num_threads(1)
here = pathlib.Path(__file__).parent


def divergence(student, teacher, loss, beta, temperature, top_k=None):
    """Per row, times temperature ** 2. top_k: of the teacher's most likely tokens, the rest one outcome."""
    q, p = (student / temperature).log_softmax(-1), (teacher / temperature).log_softmax(-1)
    if top_k is not None:
        chosen = p.topk(top_k, -1).indices
        others = torch.ones_like(p, dtype=torch.bool).scatter(-1, chosen, False)
        lump = lambda x: x.masked_fill(~others, float("-inf")).logsumexp(-1, keepdim=True)
        parts = lambda x: [x.gather(-1, chosen)] + ([lump(x)] if top_k < x.shape[-1] else [])
        q, p = torch.cat(parts(q), -1), torch.cat(parts(p), -1)
    kl = lambda a, b: (a.exp() * (a - b)).sum(-1)
    if loss == "kl":
        value = kl(p, q)
    elif loss == "reverse_kl":
        value = kl(q, p)
    else:
        m = (beta * p.exp() + (1 - beta) * q.exp()).log()
        value = beta * kl(p, m) + (1 - beta) * kl(q, m)
    return value * temperature ** 2


KINDS = [("kl", 0), ("reverse_kl", 0), ("js", .5), ("js", .1)]


def rows():
    """Logits of three rows over 37 tokens, and every divergence of them."""
    student = (2 * torch.randn(3, 37)).double()
    teacher = (student + .7 * torch.randn(3, 37)).float().double()
    cases = []
    for loss, beta in KINDS:
        for temperature in (1, 2.5):
            for top_k in (None, 1, 5, 37):
                x = student.clone().requires_grad_()
                value = divergence(x, teacher, loss, beta, temperature, top_k).sum()
                value.backward()
                cases.append({"loss": loss, "beta": beta, "temperature": temperature, "topK": top_k,
                              "value": value.item(), "gradient": x.grad.flatten().tolist()})
    # What PyTorch itself calls KL is the first of them.
    plain = F.kl_div(student.log_softmax(-1), teacher.log_softmax(-1), log_target=True, reduction="sum")
    assert abs(plain.item() - cases[0]["value"]) < 1e-12
    return {"rows": 3, "vocabulary": 37, "student": student.flatten().tolist(),
            "teacher": teacher.flatten().tolist(), "cases": cases}


def hidden_error(student, teacher):
    """Of each layer's residual stream, per position, over the teacher's square length; the mean."""
    errors = [((s - t).pow(2).sum(-1) / t.pow(2).sum(-1)).mean() for s, t in zip(student, teacher)]
    return sum(errors) / len(errors)


def step(key, loss, beta, temperature, cross_entropy=0, hidden=0, top_k=None):
    def parameters(name):
        start, count = index[name]
        values, found = blob[start:start + count], {}
        for n, shape in llama.names(False):
            size = torch.Size(shape).numel()
            found[n], values = values[:size].reshape(shape).clone(), values[size:]
        return found

    student = {n: w.requires_grad_() for n, w in parameters("distilled.weights").items()}
    teacher = parameters("distilled.teacher")
    tokens = torch.tensor(index["distilled.tokens"]).reshape(llama.B, llama.T)
    ours, theirs = [], []
    logits = llama.forward(student, tokens, True, ours)
    wanted = llama.forward(teacher, tokens, False, theirs)
    parts = {"divergence": divergence(logits, wanted, loss, beta, temperature, top_k).mean(),
             "cross_entropy": F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()),
             "hidden": hidden_error(ours, theirs)}
    total = (1 - cross_entropy) * parts["divergence"] + cross_entropy * parts["cross_entropy"] \
        + hidden * parts["hidden"]
    total.backward()
    gradients = torch.cat([student[n].grad.flatten() for n, _ in llama.names(False)])
    out[f"{key}.gradients"] = [len(out_blob) // 4, gradients.numel()]
    out_blob.extend(gradients.numpy().astype("<f4").tobytes())
    out[f"{key}.loss"] = total.item()
    out.update({f"{key}.{name}": part.item() for name, part in parts.items()})


index = json.loads((here / "llama.json").read_text())
blob = torch.frombuffer(bytearray((here / "llama.bin").read_bytes()), dtype=torch.float32)
out, out_blob = {}, bytearray()
step("reverse", "reverse_kl", 0, 2)
step("mixed", "js", .3, 1, cross_entropy=.25)
step("hidden", "kl", 0, 1, cross_entropy=.25, hidden=.5)
step("top", "kl", 0, 2, top_k=7)
(here / "divergences.json").write_text(json.dumps(rows()) + "\n")
(here / "distillation.json").write_text(json.dumps(out) + "\n")
(here / "distillation.bin").write_bytes(out_blob)
