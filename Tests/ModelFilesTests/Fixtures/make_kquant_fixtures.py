"""Writes kquants.json: super-blocks of Q4_K, Q5_K and Q6_K and what they dequantize to.

python3 -m venv v && v/bin/pip install gguf==0.19.0 numpy==2.4.6
v/bin/python make_kquant_fixtures.py

Blocks are seeded random bytes whose half-precision scales are finite. Expected values are the bit
patterns of gguf.quants.dequantize's FP32 numbers.
"""

import json
import pathlib

import gguf
import numpy

BLOCKS = 3
SEED = 20260
# Offsets of the half-precision scales within a super-block.
TYPES = {"Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}


def main():
    random = numpy.random.default_rng(SEED)
    output = {"numpy": numpy.__version__, "seed": SEED}
    for name, places in TYPES.items():
        kind = gguf.GGMLQuantizationType[name]
        _, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = random.integers(0, 256, (BLOCKS, size), dtype=numpy.uint8)
        for place in places:
            scales = random.normal(0, 0.05, BLOCKS).astype(numpy.float16)
            blocks[:, place : place + 2] = scales.view(numpy.uint8).reshape(BLOCKS, 2)
        # One subnormal scale.
        blocks[0, places[0] : places[0] + 2] = (0x23, 0x01)
        values = gguf.quants.dequantize(blocks, kind)
        assert numpy.isfinite(values).all()
        output[name] = {
            "bytes": blocks.tobytes().hex(),
            "bits": values.astype(numpy.float32).ravel().view(numpy.uint32).tolist(),
        }
    path = pathlib.Path(__file__).with_name("kquants.json")
    path.write_text(json.dumps(output) + "\n")


main()
