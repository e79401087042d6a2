"""Blocks of GGUF's quantized types with seeded random bytes, and the values that llama.cpp's own Python
package reads from them: quantized_blocks.json. Made with gguf 0.19.0 and numpy 2.4.6.

usage: python make_quantized_blocks.py"""
import json
import pathlib

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf.quants import dequantize

# Where half-precision factors stand in a block: random bits there would be NaN now and then.
FACTORS = {Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q8_0: [0], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2],
           Type.Q6_K: [208]}
SIZES = {Type.Q4_0: (32, 18), Type.Q4_1: (32, 20), Type.Q8_0: (32, 34), Type.Q4_K: (256, 144),
         Type.Q5_K: (256, 176), Type.Q6_K: (256, 210), Type.MXFP4: (32, 17)}

rng = np.random.default_rng(20261124)
blocks = {}
for kind, (elements, size) in SIZES.items():
    data = rng.integers(0, 256, size=(3, size), dtype=np.uint8)
    for place in FACTORS.get(kind, []):
        factor = rng.uniform(-2, 2, size=(3, 1)).astype(np.float16)
        data[:, place:place + 2] = factor.view(np.uint8)
    if kind == Type.MXFP4:
        data[:, 0] = [127, 120, 131]
    values = dequantize(data, kind)
    blocks[kind.name] = {"bytes": data.tobytes().hex(),
                         "values": [int(v) for v in values.astype(np.float32).view(np.uint32).ravel()]}
path = pathlib.Path(__file__).parent / "quantized_blocks.json"
path.write_text(json.dumps(blocks) + "\n")
