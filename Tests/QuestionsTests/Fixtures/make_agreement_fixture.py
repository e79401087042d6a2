"""KL, agreement and flips of two models by transformers, on windows of random tokens.

usage: python3 make_agreement_fixture.py    (writes expected/agreement.json beside itself)
Made with Python 3.11.7, torch 2.13.0, transformers 4.57.1; seed 6. The reference is model/, the other one the
same weights under `changes` to the configuration. Everything is FP32 on one thread, sums are FP64.
"""
import json, pathlib

import torch, transformers

HERE = pathlib.Path(__file__).parent
LENGTH, WINDOWS, CHANGES = 48, 5, dict(rms_norm_eps=0.05, rope_theta=300.0)
torch.set_num_threads(1)
tokens = torch.randint(3, 320, (WINDOWS, LENGTH), generator=torch.Generator().manual_seed(6))


def outputs(**changes):
    config = transformers.AutoConfig.from_pretrained(HERE / "model", **changes)
    model = transformers.AutoModelForCausalLM.from_pretrained(HERE / "model", config=config, dtype=torch.float32)
    with torch.no_grad():
        return model(tokens).logits.double().log_softmax(-1)


reference, other = outputs(), outputs(**CHANGES)
# The model's greedy choice is often the next token, so that flips are more than chance.
tokens[:, 1:] = torch.where(torch.rand(WINDOWS, LENGTH - 1, generator=torch.Generator().manual_seed(7)) < 0.5,
                            reference.argmax(-1)[:, :-1], tokens[:, 1:])
reference, other = outputs(), outputs(**CHANGES)
top, own = reference.argmax(-1), other.argmax(-1)
hits, misses = (top[:, :-1] == tokens[:, 1:]), (own[:, :-1] == tokens[:, 1:])
document = dict(
    length=LENGTH, changes=CHANGES, tokens=tokens.flatten().tolist(),
    kl_divergence=(reference.exp() * (reference - other)).sum(-1).mean().item(),
    top1_agreement=(top == own).double().mean().item(), flips=(hits != misses).double().mean().item(),
    margin=min((x.topk(2).values @ torch.tensor([1.0, -1.0], dtype=torch.double)).min().item() for x in (reference, other)))
(HERE / "expected" / "agreement.json").write_text(json.dumps(document, separators=(",", ":")) + "\n")
print({k: v for k, v in document.items() if k != "tokens"})
