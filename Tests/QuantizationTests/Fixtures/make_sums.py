"""Sums over the codes and scales of a million values, for every format, block size, scale mode and tie
rule, computed with ml_dtypes' tables and casts: an implementation independent of ours.

usage: python3 make_sums.py    (writes sums.json beside itself)
Made with Python 3.11.7, numpy 2.4.6, ml_dtypes 0.6.0. Values come from SplitMix64, seed 20261124; a
sum is the total of (byte + 1) * mix(index) modulo 2^64, where mix is SplitMix64's output function.
"""
import json, pathlib, numpy as np, ml_dtypes

COUNT = 1 << 20
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(index):
    with np.errstate(over="ignore"):
        z = (index + np.uint64(1)) * GOLDEN
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def values():
    """Blocks of 32 with a common exponent, elements up to 7 octaves below; every second has a mantissa
    of four bits only, so that ties are common; zeros and subnormals occur."""
    index = np.arange(COUNT, dtype=np.uint64)
    r = mix(index + np.uint64(20261124))
    block = mix(index // np.uint64(32) + np.uint64(77_000_000_000))
    base = (np.uint64(1) + block % np.uint64(253)).astype(np.int64)
    exponent = np.maximum(base - (r % np.uint64(8)).astype(np.int64), 0)
    mantissa = (r >> np.uint64(8)) & np.uint64(0x7FFFFF)
    mantissa = np.where((r >> np.uint64(40)) & np.uint64(1), mantissa & np.uint64(0x780000), mantissa)
    sign = (r >> np.uint64(41)) & np.uint64(1)
    bits = sign << np.uint64(31) | exponent.astype(np.uint64) << np.uint64(23) | mantissa
    bits = np.where((r >> np.uint64(42)) % np.uint64(50) == 0, sign << np.uint64(31), bits)
    bits[64:96] &= np.uint64(0x80000000)  # a block of zeros
    return bits.astype(np.uint32).view(np.float32)


def total(data):
    with np.errstate(over="ignore"):
        weights = mix(np.arange(len(data), dtype=np.uint64))
        return int(((data.astype(np.uint64) + np.uint64(1)) * weights).sum(dtype=np.uint64))


ELEMENTS = {  # name: dtype, exponent of the largest power of two, mantissa bits, bits
    "mxfp4": (ml_dtypes.float4_e2m1fn, 2, 1, 4), "mxfp6_e2m3": (ml_dtypes.float6_e2m3fn, 2, 3, 6),
    "mxfp6_e3m2": (ml_dtypes.float6_e3m2fn, 4, 2, 6), "mxfp8": (ml_dtypes.float8_e4m3fn, 8, 3, 8),
    "mxfp8_e5m2": (ml_dtypes.float8_e5m2, 15, 2, 8), "mxint8": (None, 0, 6, 8)}


def magnitudes(name):
    dtype, _, _, bits = ELEMENTS[name]
    if dtype is None:
        return np.arange(128) / 64.0
    table = np.arange(1 << (bits - 1), dtype=np.uint8).view(dtype).astype(np.float64)
    return table[np.isfinite(table)]


def element_codes(name, scaled, negative, tie):
    grid = magnitudes(name)
    middle = (grid[1:] + grid[:-1]) / 2
    low = np.searchsorted(middle, scaled, side="left")  # a tie goes down
    high = np.searchsorted(middle, scaled, side="right")  # a tie goes up
    code = {"zero": low, "away": high, "even": np.where(low % 2 == 0, low, high)}[tie]
    dtype, _, _, bits = ELEMENTS[name]
    if dtype is None:
        return np.where(negative, -code, code).astype(np.int8).view(np.uint8)
    return (code | np.where(negative, 1 << (bits - 1), 0)).astype(np.uint8)


def exponents(name, amax, mode):
    _, emax, mantissa_bits, _ = ELEMENTS[name]
    largest = magnitudes(name)[-1]
    wide = amax.astype(np.float64)
    with np.errstate(divide="ignore"):
        floor = np.floor(np.log2(wide, where=wide > 0, out=np.full_like(wide, -1000)))
    floor = np.where(wide < np.exp2(floor), floor - 1, floor)  # log2 may round up
    floor = np.where(wide >= np.exp2(floor + 1), floor + 1, floor)
    if mode == "floor":
        e = floor - emax
    elif mode == "ceil":
        e = floor - emax + (wide != np.exp2(floor))
    elif mode in ("even", "even_ct"):
        bits = mantissa_bits if mode == "even" else 1
        # The significand rounded to `bits` bits, half up, and its power of two.
        normal = wide >= 2.0 ** -126
        up = wide / np.exp2(floor) >= 2 - 2.0 ** -(bits + 1)
        # Below the normals the float's bits are added to as they are.
        pattern = amax.view(np.uint32) + np.uint32(1 << (22 - bits))
        tiny = np.where(pattern & np.uint32(0x7F800000), -126, floor)
        e = np.where(normal, floor + up, tiny) - emax
    else:
        ratio = (amax * np.float32(1 / np.float32(largest))).astype(np.float32)
        m, x = np.frexp(ratio.astype(np.float64))
        e = np.where(ratio > 0, np.where(m == 0.5, x - 1, x), -1000)
    e = np.clip(e, -127, 127)
    return np.where(wide == 0, -127, e).astype(np.int64)


x = values()
sums = {}
for name in ELEMENTS:
    for block in (8, 16, 32):
        amax = np.abs(x).reshape(-1, block).max(1)
        for mode in ("floor", "even", "even_ct", "ceil", "rceil"):
            e = exponents(name, amax, mode)
            scaled = np.abs(x.astype(np.float64)) / np.repeat(np.exp2(e), block)
            for tie in ("even", "away", "zero"):
                codes = element_codes(name, scaled, np.signbit(x), tie)
                sums[f"{name}/{block}/{mode}/{tie}"] = [total(e + 127), total(codes)]
            dtype = ELEMENTS[name][0]
            if dtype is not None:  # the table against ml_dtypes' own cast
                clipped = np.minimum(scaled, magnitudes(name)[-1]).astype(np.float32)
                cast = np.copysign(clipped, x).astype(dtype).view(np.uint8)
                assert (cast == element_codes(name, scaled, np.signbit(x), "even")).all(), name


def names(variant):
    """The names under other kinds of scale than powers of two: nvfp4, fp8_per_tensor and so on."""
    stems = {name: name.removeprefix("mx") for name in ELEMENTS}
    return {name: f"nv{stem}" if variant == "nv" else f"{stem}_{variant}" for name, stem in stems.items()}


def tie_codes(name, values, step):
    """Codes of all tie rules, of quotients that are FP32 numbers."""
    quotient = (np.abs(values) / step).astype(np.float32).astype(np.float64)
    for tie in ("even", "away", "zero"):
        yield tie, element_codes(name, quotient, np.signbit(values), tie)


def scaled_values(name, variant):
    """A quarter million values under two levels or FP32 scales: exponents of a span that these can hold.

    Each block of 32 (two levels) or row of 512 (FP32) begins with its largest magnitude; every fifth
    value is a tie under the scale which that asks for. Largest magnitudes are such that scales are
    numbers of E4M3 and ties of it, the tensor's 1.75 * 2^8 times a power of two; or powers of two and
    other numbers."""
    dtype, emax, mantissa_bits, _ = ELEMENTS[name]
    largest = np.float32(magnitudes(name)[-1])
    index = np.arange(COUNT // 4, dtype=np.uint64)
    fraction = (mix(index) >> np.uint64(40)).astype(np.float32) / np.float32(2**24)
    power = np.exp2(-(mix(index // np.uint64(16)) % np.uint64(9)).astype(np.float32)).astype(np.float32)
    magnitude = (np.float32(1) + fraction) * power * np.float32(0.5)
    group = 32 if variant == "nv" else 512
    first = index // np.uint64(group) * np.uint64(group)
    if variant == "nv":
        sixteenths = (mix(first + np.uint64(7)) % np.uint64(13)).astype(np.float32)
        unit = np.float32(2.0**-emax) * (np.float32(1) + sixteenths / np.float32(16)) * power[first]
    else:
        unit = np.where(first // np.uint64(group) % 2 == 0, np.float32(1), np.float32(1.1))
        unit = (unit * np.float32(2.0**-emax)).astype(np.float32)
    top = (largest * unit).astype(np.float32)
    is_integer = int(dtype is None)  # its one step is that of values from 1 to 2
    ties = np.uint64(1 << (mantissa_bits - is_integer))
    odd = 2 * (mix(index + np.uint64(99)) % ties).astype(np.float32) + 1
    tie = (np.float32(2 << mantissa_bits) + odd) * np.float32(2.0 ** (emax + is_integer - mantissa_bits - 2))
    step = (top / largest).astype(np.float32)
    magnitude = np.where(index % 5 == 0, step * tie.astype(np.float32), magnitude)
    magnitude = np.where(index == first, top, magnitude).astype(np.float32)
    return np.where(index % 3 == 0, -magnitude, magnitude).astype(np.float32)


for name, key in names("nv").items():
    # amax / (448 * largest) for the tensor, E4M3 of what each block needs on top.
    largest = np.float32(magnitudes(name)[-1])
    y = scaled_values(name, "nv")
    overall = (np.abs(y).max() / (largest * np.float32(448))).astype(np.float32)
    for block in (8, 16, 32):
        amax = np.abs(y).reshape(-1, block).max(1)
        level = np.clip((amax / largest) / overall, np.float32(2.0**-9), np.float32(448)).astype(np.float32)
        scales = level.astype(ml_dtypes.float8_e4m3fn)
        step = np.repeat(scales.astype(np.float32) * overall, block)
        for tie, codes in tie_codes(name, y, step):
            sums[f"{key}/{block}/{tie}"] = [total(scales.view(np.uint8)), total(codes)]
for variant in ("per_tensor", "per_channel"):
    for name, key in names(variant).items():
        largest = np.float32(magnitudes(name)[-1])
        y = scaled_values(name, variant)
        rows = y.reshape(-1, 512) if variant == "per_channel" else y.reshape(1, -1)
        scales = (np.abs(rows).max(1) / largest).astype(np.float32)
        step = np.repeat(scales, rows.shape[1])
        for tie, codes in tie_codes(name, y, step):
            sums[f"{key}/{tie}"] = [total(scales.view(np.uint8)), total(codes)]
tied = {key: len({tuple(sums[f"{key}/{tie}"]) for tie in ("even", "away", "zero")})
        for key in (k.rpartition("/")[0] for k in sums)}
assert all(count == 3 for count in tied.values()), tied  # no tie rule goes unseen
path = pathlib.Path(__file__).parent / "sums.json"
path.write_text(json.dumps({k: [str(n) for n in v] for k, v in sums.items()}, indent=0) + "\n")
