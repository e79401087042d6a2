"""Writes dialect_cases.json: what compressed-tensors itself makes of quantization configurations.

Each case is a `quantization_config` about one linear layer of [32, 64]; the package says whether it
takes the configuration, which scheme the layer gets, and which tensors it stores. Seed 7;
compressed-tensors 0.20.0, torch 2.13.0.
"""

import base64
import json
import os

import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.compressors.format import infer_module_format
from compressed_tensors.quantization import QuantizationConfig
from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam
from compressed_tensors.utils import match_targets, is_match

NAME = "model.layers.0.self_attn.k_proj"
TYPES = {torch.uint8: "U8", torch.float8_e4m3fn: "F8_E4M3", torch.float32: "F32",
         torch.bfloat16: "BF16"}


def group(targets=("re:.*layers\\.0\\.self_attn\\.k_proj",), format=None, **weights):
    found = {"targets": list(targets), "weights": weights or None}
    if format:
        found["format"] = format
    return found


FP4 = dict(num_bits=4, type="float")
FP8 = dict(num_bits=8, type="float")
EXACT = (NAME,)
CASES = {
    "NVFP4 by tensor_group": ({"a": group(strategy="tensor_group", group_size=16, **FP4)},
                              "nvfp4-pack-quantized"),
    "NVFP4 by group of 16": ({"a": group(strategy="group", group_size=16, **FP4)},
                             "nvfp4-pack-quantized"),
    "MXFP4": ({"a": group(strategy="group", group_size=32, scale_dtype="torch.uint8", **FP4)},
              "mxfp4-pack-quantized"),
    "MXFP4 without a strategy": ({"a": group(group_size=32, scale_dtype="torch.uint8", **FP4)},
                                 "mxfp4-pack-quantized"),
    "MXFP4 in capitals": ({"a": group(strategy="GROUP", group_size=32, num_bits=4, type="FLOAT",
                                      scale_dtype="torch.uint8")}, "mxfp4-pack-quantized"),
    "MXFP8": ({"a": group(strategy="group", group_size=32, scale_dtype="torch.uint8", **FP8)},
              "mxfp8-quantized"),
    "FP8 by tensor": ({"a": group(strategy="tensor", **FP8)}, "float-quantized"),
    "FP8 without a strategy": ({"a": group(**FP8)}, "float-quantized"),
    "FP8 by channel": ({"a": group(strategy="channel", **FP8)}, "float-quantized"),
    "FP8 by group of -1": ({"a": group(group_size=-1, **FP8)}, "float-quantized"),
    "FP8 by channel of -1": ({"a": group(strategy="channel", group_size=-1, **FP8)},
                             "float-quantized"),
    "FP8 by block": ({"a": group(strategy="block", block_structure=[16, 24], **FP8)},
                     "float-quantized"),
    "FP8 by block as a text": ({"a": group(strategy="block", block_structure="128x128", **FP8)},
                               "float-quantized"),
    "FP8 of weights alone": ({"a": group(strategy="tensor", **FP8)}, "naive-quantized"),
    "FP8 by block of weights alone": (
        {"a": group(strategy="block", block_structure=[16, 16], **FP8)}, "naive-quantized"),
    "a name before a class": (
        {"a": group(("Linear",), strategy="tensor", **FP8), "b": group(EXACT, strategy="channel", **FP8)},
        "float-quantized"),
    "a name before an expression": (
        {"a": group(("re:.*k_proj",), strategy="tensor", **FP8),
         "b": group(EXACT, strategy="channel", **FP8)}, "float-quantized"),
    "an expression before a class": (
        {"a": group(("Linear",), strategy="tensor", **FP8),
         "b": group(("re:.*k_proj",), strategy="channel", **FP8)}, "float-quantized"),
    "the first of two expressions by text": (
        {"a": group(("re:model.*k_proj",), strategy="tensor", **FP8),
         "b": group(("re:.*k_proj",), strategy="channel", **FP8)}, "float-quantized"),
    "a group without weights": ({"a": group(EXACT)}, "dense"),
    "FP8 by tensor of 32": ({"a": group(strategy="tensor", group_size=32, **FP8)},
                            "float-quantized"),
    "FP8 by block without a structure": ({"a": group(strategy="block", **FP8)},
                                         "float-quantized"),
    "a group without a size": ({"a": group(strategy="group", **FP4)}, "mxfp4-pack-quantized"),
    "a group of mixed precision": (
        {"a": group(format="mixed-precision", strategy="tensor", **FP8)}, "mixed-precision"),
    "no such strategy": ({"a": group(strategy="row", **FP8)}, "float-quantized"),
}


def stored(scheme, format, weight):
    """The tensors that a compressor makes of a weight, and what it makes of them."""
    arguments = scheme.weights
    state = {"weight": weight}
    if arguments.strategy == "block":
        height, width = arguments.block_structure
        rows, columns = weight.shape
        padded = torch.nn.functional.pad(weight, (0, -columns % width, 0, -rows % height))
        blocks = padded.reshape(padded.shape[0] // height, height, -1, width)
        low, high = blocks.amin((1, 3)), blocks.amax((1, 3))
    elif arguments.group_size and arguments.group_size > 0:
        blocks = weight.reshape(weight.shape[0], -1, arguments.group_size)
        low, high = blocks.amin(-1), blocks.amax(-1)
    elif arguments.strategy == "channel":
        low, high = weight.amin(1, keepdim=True), weight.amax(1, keepdim=True)
    else:
        low, high = weight.amin().reshape(1), weight.amax().reshape(1)
    scale_of = {}
    if format == "nvfp4-pack-quantized":
        state["weight_global_scale"] = generate_gparam(low.min(), high.max())
        scale_of = {"global_scale": state["weight_global_scale"]}
    scale, _ = calculate_qparams(low, high, arguments, **scale_of)
    state["weight_scale"] = scale
    compressor = BaseCompressor.get_value_from_registry(format)
    tensors = compressor.compress(state, scheme)
    return tensors, compressor.decompress(tensors, scheme)["weight"]


def encoded(tensor):
    bits = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return base64.b64encode(bits).decode()


def case(name, groups, format, layer):
    found = {"name": name, "configuration": {
        "quant_method": "compressed-tensors", "quantization_status": "compressed",
        "format": format, "ignore": [], "config_groups": groups}}
    try:
        configuration = QuantizationConfig.model_validate(found["configuration"])
    except Exception as error:
        found["error"] = str(error).splitlines()[0]
        return found
    schemes = {t: s for s in configuration.config_groups.values() for t in s.targets}
    # The order in which the package tries targets.
    scheme = schemes[match_targets(NAME, layer, list(schemes))[0]]
    if scheme.weights is None:
        return found
    own = scheme.format or configuration.format
    inferred = infer_module_format(torch.nn.Linear, scheme)
    found["inferred"] = inferred.value
    tensors, values = stored(scheme, own if own != "mixed-precision" else inferred.value,
                             layer.weight.detach())
    found["tensors"] = [
        {"name": key, "type": TYPES[value.dtype], "shape": list(value.shape),
         "bytes": encoded(value)} for key, value in tensors.items()]
    # Two rows are enough to tell one scheme from another.
    found["values"] = encoded(values.to(torch.float32)[:2])
    return found


def main():
    torch.manual_seed(7)
    layer = torch.nn.Linear(64, 32, bias=False)
    cases = [case(name, groups, format, layer) for name, (groups, format) in CASES.items()]
    folder = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(folder, "dialect_cases.json"), "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(found, sort_keys=True) for found in cases) + "\n]\n")


if __name__ == "__main__":
    main()
