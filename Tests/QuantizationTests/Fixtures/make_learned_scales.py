"""Gradients of learned block scales (LSQ, Esser et al. 2020) by PyTorch's autograd in double precision.

usage: python3 make_learned_scales.py    (writes learned_scales.json beside itself)
Made with Python 3.11.7, torch 2.13.0, seed 20261127. The paper's quantizer: the step's gradient is scaled
by 1 / sqrt(N * Q), the clipped quotient is rounded straight through, and so is the step to what is stored
(a power of two; E4M3 under the tensor's factor).
"""
import json, math, pathlib, torch

torch.manual_seed(20261127)
torch.set_num_threads(1)
E2M1 = torch.tensor([0, .5, 1, 1.5, 2, 3, 4, 6], dtype=torch.float64)
E2M3 = torch.tensor([(m if e == 0 else (8 + m) * 2 ** (e - 1)) / 8 for e in range(4) for m in range(8)],
                    dtype=torch.float64)


def nearest(x, grid):
    # No value here lies halfway between two, so that no tie rule matters.
    return x.sign() * grid[(x.abs().unsqueeze(-1) - grid).abs().argmin(-1)]


def straight(x, y):
    return x + (y - x).detach()


cases = []
for name, grid, block, factor in [("mxfp4", E2M1, 32, None), ("mxfp4", E2M1, 8, None),
                                  ("mxfp6_e2m3", E2M3, 32, None), ("nvfp4", E2M1, 16, 2.0 ** -10 * 1.375)]:
    blocks, largest = 12, float(grid[-1])
    weight = (torch.randn(blocks, block, dtype=torch.float64) * .03).float().double()
    upstream = torch.randn(blocks, block, dtype=torch.float64).float().double()
    # From a third of what the largest magnitude asks for to half as much again.
    step = (weight.abs().amax(1) / largest * torch.linspace(.3, 1.5, blocks)).float().double()
    if factor is None:
        stored = 2.0 ** step.log2().floor()
        stored = torch.where(step >= 1.5 * stored, 2 * stored, stored)
    else:
        stored = (step / factor).to(torch.float8_e4m3fn).double() * factor
    learned = step.clone().requires_grad_()
    scale = 1 / math.sqrt(block * largest)
    used = straight(learned * scale, step)          # the gradient scale of the paper
    used = straight(used, stored)
    quotient = (weight / used.unsqueeze(1)).clamp(-largest, largest)
    rounded = straight(quotient, nearest(quotient, grid)) * used.unsqueeze(1)
    (rounded * upstream).sum().backward()
    cases.append(dict(format=name, block=block, factor=factor or 1, weight=weight.flatten().tolist(),
                      upstream=upstream.flatten().tolist(), step=step.tolist(), stored=stored.tolist(),
                      gradient=learned.grad.tolist()))
path = pathlib.Path(__file__).parent / "learned_scales.json"
path.write_text(json.dumps({"cases": cases}) + "\n")
print({c["format"]: c["gradient"][:3] for c in cases}, path.stat().st_size)
