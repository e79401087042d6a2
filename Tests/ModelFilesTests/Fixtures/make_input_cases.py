"""Writes input_cases.json: which config group compressed-tensors itself gives each linear layer of a
tiny model, and how it rounds the layer's inputs then.

Each case has config groups over a model of two layers (hidden 64, intermediate 96, keys and values
32), whose weights are all FP8 by tensor, so that the groups differ in their inputs alone. Seed 11;
compressed-tensors 0.20.0, torch 2.13.0. Run with an interpreter that has both.
"""

import base64
import json
import os

import torch
from compressed_tensors.quantization import QuantizationConfig, apply_quantization_config
from compressed_tensors.quantization.lifecycle.forward import forward_quantize

SHAPES = {"self_attn": {"q_proj": (64, 64), "k_proj": (64, 32), "v_proj": (64, 32),
                        "o_proj": (64, 64)},
          "mlp": {"gate_proj": (64, 96), "up_proj": (64, 96), "down_proj": (96, 64)}}
WEIGHTS = {"num_bits": 8, "type": "float", "strategy": "tensor"}
FP8 = {"num_bits": 8, "type": "float"}
FP4 = {"num_bits": 4, "type": "float"}
TOKEN = {"strategy": "token", "dynamic": True, **FP8}
MXFP8 = {"strategy": "group", "group_size": 32, "dynamic": True, "scale_dtype": "torch.uint8", **FP8}
STATIC = {"strategy": "tensor", "dynamic": False, **FP8}
UP, DOWN = "model.layers.1.mlp.up_proj", "model.layers.1.mlp.down_proj"
INPUT_SCALE = 0.0078125
# Of powers of two the reciprocal is exact.
INPUT_GLOBAL_SCALE = 1024.0


def one(arguments):
    return {"a": (["Linear"], arguments)}


CASES = {
    # One group: the arguments.
    "by token": one(TOKEN),
    "by token in capitals": one({**TOKEN, "strategy": "TOKEN", "type": "FLOAT"}),
    "of eight bits by default": one({"type": "float", "strategy": "token", "dynamic": True}),
    "of one tensor by default": one({**FP8, "dynamic": True}),
    "of one tensor, static": one(STATIC),
    "of a group size of minus one": one({**FP8, "group_size": -1, "dynamic": True}),
    "of one tensor with a group size of minus one": one({**STATIC, "group_size": -1}),
    "in groups by default": one({**MXFP8, "strategy": None}),
    "MXFP8": one(MXFP8),
    "MXFP4": one({**MXFP8, "num_bits": 4}),
    "by 32 under float scales": one({**MXFP8, "scale_dtype": None}),
    "by 128": one({**FP8, "strategy": "group", "group_size": 128, "dynamic": True}),
    "NVFP4 under a stored scale": one({**FP4, "strategy": "tensor_group", "group_size": 16,
                                       "dynamic": "local", "scale_dtype": "torch.float8_e4m3fn"}),
    "NVFP4 under a stored scale in capitals": one(
        {**FP4, "strategy": "tensor_group", "group_size": 16, "dynamic": "LOCAL",
         "scale_dtype": "torch.float8_e4m3fn"}),
    "NVFP4 without a stored scale": one({**FP4, "strategy": "tensor_group", "group_size": 16,
                                         "dynamic": True, "scale_dtype": "torch.float8_e4m3fn"}),
    "asymmetric by token": one({**TOKEN, "symmetric": False}),
    "asymmetric by tensor": one({**STATIC, "symmetric": False}),
    "integers by default": one({"num_bits": 8, "strategy": "token", "dynamic": True}),
    "by row": one({**TOKEN, "strategy": "row"}),
    "of another type": one({**TOKEN, "type": "fp"}),
    "by token, static": one({**TOKEN, "dynamic": False}),
    "dynamic in another word": one({**MXFP8, "dynamic": "global"}),
    "local by token": one({**TOKEN, "dynamic": "local"}),
    "by tensor of 32": one({**STATIC, "group_size": 32}),
    "by block": one({**FP8, "strategy": "block", "block_structure": [16, 16]}),
    "with another key": one({**TOKEN, "rounding": "nearest"}),
    "with an order": one({**TOKEN, "actorder": "weight"}),
    # Two groups: which of them.
    "a name before a class": {"a": (["Linear"], TOKEN), "b": ([UP], MXFP8)},
    "a class that stands first": {"a": ([UP], MXFP8), "b": (["Linear"], TOKEN)},
    "an expression before a class": {"a": (["Linear"], TOKEN), "b": (["re:.*mlp.*"], MXFP8)},
    "a name before an expression": {"a": (["re:.*up_proj"], TOKEN), "b": ([UP], MXFP8),
                                    "c": (["Linear"], STATIC)},
    "the first of two expressions by text": {"a": (["re:model.*proj"], TOKEN),
                                             "b": (["re:.*mlp"], MXFP8)},
    "an expression that is no prefix": {"a": (["re:mlp"], MXFP8), "b": (["Linear"], TOKEN)},
    "groups that share no module": {"a": (["re:.*self_attn.*"], TOKEN), "b": (["re:.*mlp.*"], None)},
    "several targets": {"a": ([UP, "re:.*q_proj$"], TOKEN), "b": ([DOWN, "re:.*k_proj$"], MXFP8),
                        "c": (["Linear"], None)},
}


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        for name, modules in SHAPES.items():
            part = torch.nn.Module()
            for key, (columns, rows) in modules.items():
                part.add_module(key, torch.nn.Linear(columns, rows, bias=False))
            self.add_module(name, part)


def model():
    root, inner = torch.nn.Module(), torch.nn.Module()
    inner.add_module("layers", torch.nn.ModuleList([Block(), Block()]))
    root.add_module("model", inner)
    return root


def encoded(tensor):
    return base64.b64encode(tensor.contiguous().to(torch.float32).numpy().tobytes()).decode()


def case(name, groups, inputs, table):
    configuration = {
        "quant_method": "compressed-tensors", "quantization_status": "compressed",
        "format": "float-quantized", "ignore": [],
        "config_groups": {key: {"targets": targets, "weights": WEIGHTS,
                                "input_activations": arguments}
                          for key, (targets, arguments) in groups.items()}}
    found = {"name": name, "configuration": configuration}
    try:
        parsed = QuantizationConfig.model_validate(json.loads(json.dumps(configuration)))
    except Exception as error:
        found["error"] = str(error).splitlines()[0]
        return found
    root = model()
    apply_quantization_config(root, parsed)
    found["values"] = {}
    for path, module in root.named_modules():
        arguments = getattr(getattr(module, "quantization_scheme", None), "input_activations", None)
        if arguments is None:
            continue
        if hasattr(module, "input_scale"):
            module.input_scale.data.fill_(INPUT_SCALE)
        if hasattr(module, "input_global_scale"):
            module.input_global_scale.data.fill_(INPUT_GLOBAL_SCALE)
        # As a model has them: by sequence, token and channel.
        value = inputs[None, :, :module.weight.shape[1]]
        try:
            rounded = forward_quantize(module, value, "input", arguments)
        except Exception as error:
            found["fails"] = str(error).splitlines()[0]
            continue
        text = encoded(rounded)
        if text not in table:
            table.append(text)
        found["values"][path] = table.index(text)
    return found


def main():
    torch.manual_seed(11)
    inputs = torch.randn(2, 96) * torch.logspace(-3, 0.5, 96)
    table = []
    cases = [case(name, groups, inputs, table) for name, groups in CASES.items()]
    path = os.path.join(os.path.dirname(__file__), "input_cases.json")
    with open(path, "w") as file:
        json.dump({"inputs": encoded(inputs), "inputScale": INPUT_SCALE,
                   "inputGlobalScale": INPUT_GLOBAL_SCALE, "rounded": table, "cases": cases}, file, indent=1)
        file.write("\n")
    for found in cases:
        print(found["name"], found.get("error", found.get("fails", len(found.get("values", {})))))


main()
