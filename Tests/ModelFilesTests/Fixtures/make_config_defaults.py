"""Writes config_defaults.json: what Transformers takes for keys that config.json leaves out.

Each case has the keys that a file gives, and all keys of the configuration that Transformers makes of
them, by its own classes' defaults. Transformers 5.24.0; nothing is random.
"""

import json
import os

import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

# 30 layers reach beyond Qwen's default of 28 without windows; all defaults of key heads divide 32.
SIZES = {"vocab_size": 64, "hidden_size": 1024, "intermediate_size": 256,
         "num_hidden_layers": 30, "num_attention_heads": 32}
TYPES = ["llama", "mistral", "qwen2", "qwen3", "smollm3", "phi3", "gemma", "gemma2", "gemma3_text",
         "olmo2", "granite", "nemotron"]
VARIANTS = {
    "qwen2": [{"use_sliding_window": True}],
    "qwen3": [{"use_sliding_window": True}, {"use_sliding_window": True, "max_window_layers": 3}],
    "smollm3": [{"use_sliding_window": True, "sliding_window": 512},
                {"no_rope_layer_interval": 3}],
    "gemma2": [{"sliding_window": 17}],
    "llama": [{"num_key_value_heads": 8}, {"head_dim": 16}, {"tie_word_embeddings": True}],
}
# Tokens are read from generation_config.json and the tokenizer, too.
TOKENS = ["bos_token_id", "eos_token_id", "pad_token_id"]


def case(kind, more):
    given = {**SIZES, **more}
    config = CONFIG_MAPPING[kind](**given)
    found = json.loads(json.dumps(config.to_dict()))
    for key in TOKENS + ["transformers_version"]:
        found.pop(key, None)
    return {"given": {"model_type": kind, **given}, "made": {**found, "model_type": kind}}


def main():
    assert transformers.__version__ == "5.24.0", transformers.__version__
    cases = [case(kind, more) for kind in TYPES for more in [{}] + VARIANTS.get(kind, [])]
    path = os.path.join(os.path.dirname(__file__), "config_defaults.json")
    with open(path, "w") as file:
        json.dump(cases, file, indent=1, sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    main()
