"""A Llama model of a few kilobytes as Hugging Face files, written by the standard library alone."""

import json
import random
import struct

CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 96,
    "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
    "tie_word_embeddings": True, "attention_bias": False, "mlp_bias": False,
    "torch_dtype": "float32", "bos_token_id": 1, "eos_token_id": 2,
}


def shapes():
    hidden, inner = CONFIG["hidden_size"], CONFIG["intermediate_size"]
    key = CONFIG["num_key_value_heads"] * CONFIG["head_dim"]
    yield "model.embed_tokens.weight", (CONFIG["vocab_size"], hidden)
    for layer in range(CONFIG["num_hidden_layers"]):
        at = f"model.layers.{layer}"
        yield f"{at}.input_layernorm.weight", (hidden,)
        yield f"{at}.post_attention_layernorm.weight", (hidden,)
        yield f"{at}.self_attn.q_proj.weight", (hidden, hidden)
        yield f"{at}.self_attn.k_proj.weight", (key, hidden)
        yield f"{at}.self_attn.v_proj.weight", (key, hidden)
        yield f"{at}.self_attn.o_proj.weight", (hidden, hidden)
        yield f"{at}.mlp.gate_proj.weight", (inner, hidden)
        yield f"{at}.mlp.up_proj.weight", (inner, hidden)
        yield f"{at}.mlp.down_proj.weight", (hidden, inner)
    yield "model.norm.weight", (hidden,)


def files(seed=1):
    """Names and bytes of the model's files; one seed gives the same bytes each time."""
    numbers = random.Random(seed)
    index, body = {}, bytearray()
    for name, shape in shapes():
        count = shape[0] * (shape[1] if len(shape) == 2 else 1)
        norm = len(shape) == 1
        values = [1.0 if norm else numbers.gauss(0, 0.05) for _ in range(count)]
        start = len(body)
        body += struct.pack(f"<{count}f", *values)
        index[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, len(body)]}
    header = json.dumps(index).encode()
    header += b" " * (-len(header) % 8)
    return {
        "config.json": json.dumps(CONFIG, indent=1).encode(),
        "model.safetensors": struct.pack("<Q", len(header)) + header + bytes(body),
    }
