"""Codes and scales of block-scaled formats by ml_dtypes: an implementation independent of ours.

usage: python3 make_mx_fixtures.py    (writes mx.bin and mx.json beside itself)
Made with Python 3.11.7, numpy 2.4.6, ml_dtypes 0.6.0, seed 20261123. Scale exponents are the OCP
floor rule; elements are cast by ml_dtypes (ties to even) after clamping to the largest value.
"""
import json, pathlib, numpy as np, ml_dtypes

rng = np.random.default_rng(20261123)
blocks = []
for exponent in (-40, -10, -3, 0, 3, 20):
    blocks.append(rng.standard_normal((20, 32)).astype(np.float32) * np.float32(2.0 ** exponent))
edge = np.zeros((8, 32), np.float32)
edge[0, :8] = [.25, .75, 1.25, 1.75, 2.5, 3.5, 5, 6]
edge[1, :8] = -edge[0, :8]
edge[2, 0], edge[2, 1] = 1.0, -1e-30
edge[3, :] = 6.0
edge[4, :] = np.linspace(-7.2, 7.2, 32, dtype=np.float32)
edge[5, 0] = np.float32(2.0 ** -126)
edge[6, 0] = np.float32(3.4e38)
x = np.concatenate(blocks + [edge])
types = {"mxfp4": (ml_dtypes.float4_e2m1fn, 2, 6.0), "mxfp6_e2m3": (ml_dtypes.float6_e2m3fn, 2, 7.5),
         "mxfp6_e3m2": (ml_dtypes.float6_e3m2fn, 4, 28.0), "mxfp8": (ml_dtypes.float8_e4m3fn, 8, 448.0),
         "mxfp8_e5m2": (ml_dtypes.float8_e5m2, 15, 57344.0)}
blob, index = bytearray(x.tobytes()), {"values": [0, x.size], "blocks": len(x)}
amax = np.abs(x).max(1)
with np.errstate(divide="ignore"):
    exponent = np.where(amax > 0, np.floor(np.log2(amax.astype(np.float64))), -10000)
for name, (dtype, emax, largest) in types.items():
    e = np.clip(exponent - emax, -127, 127)
    scaled = np.clip(x.astype(np.float64) / np.exp2(e)[:, None], -largest, largest).astype(np.float32)
    codes = scaled.astype(dtype).view(np.uint8)
    index[name] = {"scales": len(blob), "codes": len(blob) + len(x)}
    blob += (e + 127).astype(np.uint8).tobytes() + codes.tobytes()
here = pathlib.Path(__file__).parent
(here / "mx.bin").write_bytes(blob)
(here / "mx.json").write_text(json.dumps(index) + "\n")
