"""NVFP4 under four over six by ml_dtypes: an implementation independent of ours.

usage: python3 make_four_over_six.py    (writes four_over_six.bin and four_over_six.json beside itself)
Made with Python 3.11.7, numpy 2.4.6, ml_dtypes 0.6.0, seed 20261127. As published (Cook et al., arXiv
2512.02010) and as NVIDIA's ModelOpt has it: the scale of the tensor is amax / (6 * 256); a block of 16
has the E4M3 scale that maps its largest magnitude to 6, or the one that maps it to 4 if that has the
smaller squared error, which is summed exactly here. Elements are cast by ml_dtypes, ties to even.
"""
import json, math, pathlib, numpy as np, ml_dtypes

f32 = np.float32
rng = np.random.default_rng(20261127)
x = np.concatenate([
    rng.standard_normal((48, 16)), rng.standard_t(3, (48, 16)) * 0.02, rng.laplace(0, 0.3, (48, 16)),
    rng.uniform(-1, 1, (48, 16)), rng.standard_normal((16, 16)) * 2.0 ** -14,
]).astype(f32)
edge = np.zeros((8, 16), f32)
edge[1, 0] = 1e-30                      # a scale below the least there is
edge[2] = 3.0                           # both scales hold it exactly: six wins
edge[3, :2] = [6, 4.6]                  # 4.6 lies far from 4 and 6
edge[4] = np.linspace(-1, 1, 16)
edge[5, :3] = [-4, 3, 2]                # exact under four
edge[6] = -0.0
edge[7, 0] = 1.5e1                      # the tensor's largest
x = np.concatenate([x, edge]).astype(f32)
total = f32(np.abs(x).max()) / f32(6 * 256)

def rounded(block, largest):
    ratio = (f32(np.abs(block).max()) / f32(largest)) / total
    scale = np.clip(ratio, f32(2.0 ** -9), f32(448)).astype(ml_dtypes.float8_e4m3fn)
    step = scale.astype(f32) * total
    codes = np.clip(block / step, f32(-6), f32(6)).astype(ml_dtypes.float4_e2m1fn)
    values = codes.astype(f32) * step
    error = math.fsum((float(a) - float(b)) ** 2 for a, b in zip(block, values))
    return scale.view(np.uint8), codes.view(np.uint8), error

scales, codes, fours = [], [], 0
for block in x:
    six, four = rounded(block, 6), rounded(block, 4)
    # Sums in another order must not decide.
    assert six[2] == four[2] or abs(six[2] - four[2]) > 1e-9 * six[2], block
    best = four if four[2] < six[2] else six
    fours += best is four
    scales.append(best[0]); codes.append(best[1])
blob = x.tobytes() + np.array(scales, np.uint8).tobytes() + np.concatenate(codes).tobytes()
here = pathlib.Path(__file__).parent
(here / "four_over_six.bin").write_bytes(blob)
(here / "four_over_six.json").write_text(json.dumps(
    {"blocks": len(x), "fours": fours, "scale": int(total.view(np.uint32))}) + "\n")
print(len(x), fours, total)
