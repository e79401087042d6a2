"""Writes lion.json: twelve steps of Lion on made-up gradients, in PyTorch's single precision.

Lion is not in torch.optim; this is its published definition (Chen et al. 2023, arXiv:2302.06675, program 2):
    update = sign(beta1 m + (1 - beta1) g);  w = w - lr (update + decay w);  m = beta2 m + (1 - beta2) g
The gradient is multiplied by `scale` first, as clipping does. A fifth of the gradients are zero, and so is the
moment of every fifth element: sign(0) is 0.

Usage: python make_lion_fixtures.py > lion.json
"""
import json
import torch

SEED, COUNT, STEPS = 11, 37, 12
LR, BETA1, BETA2, DECAY, SCALE = 0.01, 0.9, 0.99, 0.1, 0.5


def main():
    torch.manual_seed(SEED)
    weight = torch.randn(COUNT)
    start = weight.clone()
    moment = torch.zeros(COUNT)
    gradients = torch.randn(STEPS, COUNT)
    gradients[:, ::5] = 0
    for gradient in gradients:
        g = gradient * SCALE
        update = torch.sign(moment * BETA1 + g * (1 - BETA1))
        weight.mul_(1 - LR * DECAY).add_(update, alpha=-LR)
        moment.mul_(BETA2).add_(g, alpha=1 - BETA2)
    print(json.dumps({
        "versions": {"torch": torch.__version__},
        "seed": SEED,
        "step": {"lr": LR, "beta1": BETA1, "beta2": BETA2, "decay": DECAY, "scale": SCALE},
        "weights": start.tolist(),
        "gradients": gradients.tolist(),
        "updated": weight.tolist(),
        "moment": moment.tolist(),
    }))


if __name__ == "__main__":
    main()
