"""Learned rounding by PyTorch's autograd: an implementation independent of ours.

usage: python3 make_learned_rounding.py    (writes learned_rounding.bin and learned_rounding.json beside itself)
Made with Python 3.11.7, torch 2.13.0+cpu, numpy 2.4.6, seed 20261127. As published (Cheng et al., SignRound,
arXiv 2309.05516): an offset in -0.5 ... 0.5 of the distance between the two grid values around an element moves
the middle between them; rounding is straight through; offsets and the factors of blocks' steps move against the
signs of their gradients and are kept within limits. The grids are listed from the formats' definitions (OCP MX
v1.0; NVFP4's E4M3 scales), the scale of a step is the nearest there is in real numbers. No value, and no step, lies on a tie.
"""
import json, pathlib, numpy as np, torch

torch.manual_seed(20261127)
rng = np.random.default_rng(20261127)
BLOCKS, RATE, FACTOR_RATE, LOW, HIGH = 48, 0.0125, 0.25, 0.5, 1.45

def floats(bits, mantissa, bias, top):
    """Magnitudes of a small float: subnormals first, up to `top`."""
    values = [m * 2.0 ** (1 - bias - mantissa) for m in range(2 ** mantissa)]
    for exponent in range(1, 2 ** bits):
        values += [(1 + m / 2 ** mantissa) * 2.0 ** (exponent - bias) for m in range(2 ** mantissa)]
    return torch.tensor([v for v in values if v <= top], dtype=torch.float64)

GRIDS = {"mxfp4": floats(2, 1, 1, 6), "nvfp4": floats(2, 1, 1, 6), "mxfp6_e2m3": floats(2, 3, 1, 7.5),
         "mxfp6_e3m2": floats(3, 2, 3, 28), "mxfp8": floats(4, 3, 7, 448)}
E4M3 = floats(4, 3, 7, 448)[1:]
POWERS = 2.0 ** torch.arange(-40, 41, dtype=torch.float64)

blob, index = b"", []
for name, grid in GRIDS.items():
    size = 16 if name == "nvfp4" else 32
    total = np.float32(0.0123) if name == "nvfp4" else np.float32(1)
    scales = E4M3 if name == "nvfp4" else POWERS
    largest = grid[-1].item()
    while True:
        w = (rng.standard_t(4, (BLOCKS, size)) * 0.05).astype(np.float32)
        v = rng.uniform(-0.5, 0.5, (BLOCKS, size)).astype(np.float32)
        v[rng.uniform(size=v.shape) < 0.1] = 0
        amax = np.abs(w).max(1) / largest / total
        base = scales[[int(torch.argmin((scales / a).log().abs())) for a in amax]]
        # Some blocks saturate, in some the step is larger than need be.
        base = base * torch.tensor(rng.choice([0.5, 1, 1, 2], BLOCKS))
        base = scales[[int(torch.argmin((scales - b).abs())) for b in base]]
        factor = torch.tensor(rng.uniform(LOW, HIGH, BLOCKS).astype(np.float32)).double()
        scale = scales[[int(torch.argmin((scales - s).abs())) for s in base * factor]]
        x = torch.tensor(w).double()
        offset = torch.tensor(v).double().requires_grad_()
        step = (scale * float(total)).reshape(-1, 1).requires_grad_()
        a = (x / step).abs().clamp(max=largest)
        below = torch.searchsorted(grid, a.detach().contiguous(), right=True) - 1
        is_full = a.detach() >= largest
        lower, upper = grid[below], grid[(below + 1).clamp(max=len(grid) - 1)]
        unit = torch.where(is_full, torch.ones_like(a), upper - lower).detach()
        share = (a.detach() - lower) / unit + x.sign() * offset.detach()
        rounded = torch.where(is_full, torch.full_like(a, largest), torch.where(share > 0.5, upper, lower))
        # Straight through the rounding; the largest value stands still.
        soft = x / step + offset * unit
        hard = rounded * x.sign()
        value = step * torch.where(is_full, hard, soft + (hard - soft).detach())
        g = torch.tensor(rng.standard_normal((BLOCKS, size)).astype(np.float32))
        g[torch.tensor(rng.uniform(size=g.shape) < 0.05)] = 0
        (value * g.double()).sum().backward()
        if (share - 0.5).abs().min() > 1e-5 and step.grad.abs().min() > 1e-5:
            break
    moved = (offset.detach() - RATE * offset.grad.sign()).clamp(-0.5, 0.5)
    after = (factor - FACTOR_RATE * step.grad.reshape(-1).sign()).clamp(LOW, HIGH)
    wanted = base * after
    near = [int(torch.argmin((scales - s).abs())) for s in wanted]
    def bytes_of(values):
        # E8M0 is the exponent with bias 127, E4M3 the position in its own order.
        if name == "nvfp4":
            return torch.searchsorted(E4M3, values.contiguous()).to(torch.uint8) + 1
        return (torch.log2(values) + 127).to(torch.uint8)
    single = lambda t: np.asarray(t.detach(), np.float32).tobytes()
    blob += (w.tobytes() + v.tobytes() + single(g) + single(base * float(total)) + single(factor)
             + single(value) + single(moved) + single(after)
             + bytes_of(scale).numpy().tobytes() + bytes_of(scales[near]).numpy().tobytes())
    index.append({"format": name, "size": size, "scale": int(total.view(np.uint32)),
                  "full": int(is_full.sum())})
here = pathlib.Path(__file__).parent
(here / "learned_rounding.bin").write_bytes(blob)
(here / "learned_rounding.json").write_text(json.dumps({"blocks": BLOCKS, "cases": index}) + "\n")
print(index)
