#!/usr/bin/env python3
"""Times one training step of a Llama of SmolLM2-135M's shape in PyTorch, for comparison with
`qat-bench train`: the same shape, batch, length, optimizer and clipping, random weights and tokens.

usage: pytorch_step.py KIND [--steps N]
KIND: fp32; bf16 (autocast, not quantized); torchao-mxfp4 (weights and inputs fake-quantized, FP32);
torchao-mxfp4-bf16 (the same under autocast). Needs torch, transformers and, for the last two, torchao.
Prints one JSON object: the median step in seconds after one that warms up, tokens per second, peak memory.
"""
import argparse
import json
import resource
import statistics
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM

BATCH, LENGTH, VOCABULARY = 2, 256, 49152


def make_model():
    torch.manual_seed(1)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=576,
            intermediate_size=1536,
            num_hidden_layers=30,
            num_attention_heads=9,
            num_key_value_heads=3,
            max_position_embeddings=8192,
            rope_theta=100000.0,
            tie_word_embeddings=True,
            attn_implementation="sdpa",
        )
    )


def quantize(model):
    """Every linear layer but the head computes with MXFP4 weights and inputs."""
    from torchao.prototype.qat import MXFakeQuantizeConfig, MXFakeQuantizedLinear

    config = MXFakeQuantizeConfig(dtype=torch.float4_e2m1fn_x2, block_size=32)
    for name, module in list(model.named_modules()):
        if isinstance(module, torch.nn.Linear) and name != "lm_head":
            parent, _, child = name.rpartition(".")
            replacement = MXFakeQuantizedLinear.from_linear(module, config, config)
            setattr(model.get_submodule(parent), child, replacement)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "kind", choices=["fp32", "bf16", "torchao-mxfp4", "torchao-mxfp4-bf16"]
    )
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args()
    model = make_model()
    if options.kind.startswith("torchao"):
        quantize(model)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    tokens = torch.randint(0, VOCABULARY, (BATCH, LENGTH))
    seconds = []
    for _ in range(options.steps + 1):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled="bf16" in options.kind):
            loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - start)
    step = statistics.median(seconds[1:])
    print(
        json.dumps(
            {
                "peer": options.kind,
                "torch": torch.__version__,
                "threads": torch.get_num_threads(),
                "step_s": round(step, 4),
                "tokens_per_s": round(BATCH * LENGTH / step, 1),
                "maxrss_gb": round(
                    resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2
                ),
                "loss": round(loss.item(), 4),
            }
        )
    )


if __name__ == "__main__":
    main()
