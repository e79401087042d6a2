"""Weights that flip between two codes and are frozen: algorithm 1 of Nagel et al. 2022, on codes.

usage: python3 make_flip_fixtures.py > flips.json
Made with Python 3.11.7, seed 7; no library. Of 64 weights in blocks of 32 under scales that stay, the code x is the
multiple of the scale nearest to the weight (int8: ties to even; e2m1: among its sixteen values). Each step adds a
made-up change to the weight. A change of x against the last one is a flip; f = m flip + (1 - m) f, the mean of x is
m x + (1 - m) mean. Where f > threshold the weight becomes scale times the code nearest to the mean, and stays.
"""
import json, random, struct

M, THRESHOLD, STEPS, COUNT = 0.125, 0.3, 30, 64
E2M1 = [0, .5, 1, 1.5, 2, 3, 4, 6]


def single(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def nearest(x, codes):
    # Ties go to the code whose last bit is even.
    best = min(range(len(codes)), key=lambda i: (abs(codes[i] - abs(x)), i % 2))
    return codes[best] if x >= 0 else -codes[best]


def run(codes, scales, seed):
    rng = random.Random(seed)
    top = codes[-1]
    weights = [single(rng.uniform(-.8, .8) * top * scales[i // 32]) for i in range(COUNT)]
    start = list(weights)
    # Half of them are pushed up and down around where they are, by another step each.
    size = [scales[i // 32] * codes[1] * rng.choice([.05, .6, 1.2]) for i in range(COUNT)]
    changes, frozen = [], {}
    state = [dict(x=None, sign=0, f=0.0, mean=0.0) for _ in range(COUNT)]
    for step in range(STEPS):
        change = [single((1 if (step + i) % 2 else -1) * size[i] * rng.uniform(.5, 1)) for i in range(COUNT)]
        changes.append(change)
        for i, s in enumerate(state):
            scale = scales[i // 32]
            if i in frozen:
                continue
            weights[i] = single(weights[i] + change[i])
            x = nearest(weights[i] / scale, codes)
            if s["x"] is None:
                s["x"], s["mean"] = x, x
                continue
            flip = 0
            if x != s["x"]:
                sign = 1 if x > s["x"] else -1
                flip = int(s["sign"] == -sign)
                s["sign"] = sign
            s["x"] = x
            s["f"] = M * flip + (1 - M) * s["f"]
            s["mean"] = M * x + (1 - M) * s["mean"]
            if s["f"] > THRESHOLD:
                weights[i] = scale * nearest(s["mean"], codes)
                frozen[i] = step
    return {"scales": scales, "start": start, "changes": changes, "weights": weights,
            "frozen": [frozen.get(i, -1) for i in range(COUNT)]}


# MXINT8's elements are i / 64: their scale is that of an integer times 64.
print(json.dumps({
    "momentum": M, "threshold": THRESHOLD, "seed": 7,
    "mxfp4": run(E2M1, [0.25, 0.5], 7),
    "mxint8": run([i / 64 for i in range(128)], [0.25, 0.5], 8),
}))
