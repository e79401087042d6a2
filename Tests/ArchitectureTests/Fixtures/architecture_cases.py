"""The cases of make_architecture_fixtures.py: what each tiny model's config.json says.

Keys are written as published models write them (transformers 4: rope_theta beside rope_scaling).
`acts` lists overrides of the configuration, each of which must change the logits: nothing in a
case may be neutral by accident. `limit` says why llama.cpp cannot compute the case; None: it can.
"""
import dataclasses


@dataclasses.dataclass
class Case:
    name: str
    model: str
    tokenizer: str
    config: dict
    acts: list
    limit: str | None = None
    scale: float = 0.5  # standard deviation of the (un)embedding
    prompt: int = 6
    hide: tuple = ()  # keys that published files of this kind do not have
    optional: bool = False


SIZE = dict(vocab_size=320, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64)
TAIL = {"bytelevel": dict(bos_token_id=318, eos_token_id=319), "spm": dict(bos_token_id=1, eos_token_id=2)}
CASES = []


def case(name, model, tokenizer, config, acts, **rest):
    CASES.append(Case(name, model, tokenizer, SIZE | TAIL[tokenizer] | config, acts, **rest))


# Llama: 2 (untied), 3.2 (tied); every rotary kind in one layer; biases; activations.
LLAMA = dict(rms_norm_eps=1e-5, rope_theta=10000.0, tie_word_embeddings=False)
ONE = LLAMA | dict(num_hidden_layers=1, intermediate_size=32, tie_word_embeddings=True)
case("llama", "llama", "spm", LLAMA, [dict(rope_theta=100.0)], hide=("head_dim", "mlp_bias"))
case("llama-tied", "llama", "bytelevel", LLAMA | dict(rope_theta=500000.0, tie_word_embeddings=True, head_dim=8),
     [dict(rope_theta=10000.0)])
case("llama-bias", "llama", "bytelevel", ONE | dict(attention_bias=True, mlp_bias=True),
     [dict(attention_bias=False), dict(mlp_bias=False)])
case("llama-linear", "llama", "spm", ONE | dict(rope_scaling=dict(type="linear", factor=4.0)), [dict(rope_scaling=None)])
case("llama-dynamic", "llama", "spm",
     ONE | dict(max_position_embeddings=16, rope_scaling=dict(type="dynamic", factor=4.0)),
     [dict(rope_scaling=None)], limit="llama.cpp has no dynamic NTK")
case("llama-llama3", "llama", "bytelevel",
     ONE | dict(rope_theta=500000.0, rope_scaling=dict(
         factor=8.0, high_freq_factor=4.0, low_freq_factor=1.0, original_max_position_embeddings=16, rope_type="llama3")),
     [dict(rope_scaling=None)])
YARN = dict(type="yarn", factor=4.0, original_max_position_embeddings=16)
case("llama-yarn", "llama", "bytelevel", ONE | dict(rope_scaling=YARN),
     [dict(rope_scaling=None), dict(rope_scaling=YARN | dict(attention_factor=1.0))])
MSCALE = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16, beta_fast=2.0, beta_slow=0.05,
              mscale=1.5, mscale_all_dim=0.5, truncate=False)
case("llama-yarn-mscale", "llama", "bytelevel", ONE | dict(rope_scaling=MSCALE),
     [dict(rope_scaling=MSCALE | change) for change in
      (dict(truncate=True), dict(mscale=0.5), dict(beta_fast=4.0), dict(beta_slow=0.2))],
     limit="llama.cpp always truncates yarn's range, with beta_fast 32 and beta_slow 1")
for activation in ["gelu", "gelu_pytorch_tanh", "relu", "relu2"]:
    case("llama-" + activation.replace("_", "-"), "llama", "bytelevel", ONE | dict(hidden_act=activation),
         [dict(hidden_act="silu")], limit="llama.cpp's llama has SiLU only")

# Mistral: a window smaller than the sequence; Nemo's head_dim is not hidden / heads.
MISTRAL = dict(rms_norm_eps=1e-5, rope_theta=10000.0, tie_word_embeddings=False)
case("mistral", "mistral", "spm", MISTRAL | dict(sliding_window=16), [dict(sliding_window=None), dict(sliding_window=17)],
     limit="llama.cpp computes mistral as llama, without the window", hide=("head_dim",))
case("mistral-nemo", "mistral", "bytelevel", MISTRAL | dict(num_hidden_layers=1, sliding_window=None, head_dim=16, rope_theta=1000000.0),
     [dict(rope_theta=10000.0)])

# Qwen2: biases of q, k and v; a window in the file that is off; one that is on from layer 1.
QWEN2 = dict(rms_norm_eps=1e-6, rope_theta=1000000.0, tie_word_embeddings=True, bos_token_id=None)
case("qwen2", "qwen2", "bytelevel", QWEN2 | dict(use_sliding_window=False, sliding_window=8, max_window_layers=0),
     [dict(use_sliding_window=True), dict(rope_theta=10000.0)], hide=("layer_types",))
case("qwen2-window", "qwen2", "bytelevel",
     QWEN2 | dict(use_sliding_window=True, sliding_window=16, max_window_layers=1, intermediate_size=32),
     [dict(use_sliding_window=False), dict(max_window_layers=2), dict(max_window_layers=0), dict(sliding_window=17)],
     limit="llama.cpp's qwen2 has no window", hide=("layer_types",))
QWEN3 = QWEN2 | dict(head_dim=16, attention_bias=False, use_sliding_window=False, sliding_window=None, max_window_layers=2)
case("qwen3", "qwen3", "bytelevel", QWEN3, [dict(rope_theta=10000.0)], hide=("layer_types",))
QYARN = YARN | dict(attention_factor=1.25)
case("qwen3-yarn", "qwen3", "bytelevel", QWEN3 | dict(num_hidden_layers=1, intermediate_size=32, max_window_layers=1, rope_scaling=QYARN),
     [dict(rope_scaling=None), dict(rope_scaling=YARN)], hide=("layer_types",))

# SmolLM3: every fourth layer has no rotary embedding; then any layer, and a window where there is none.
SMOL = dict(rms_norm_eps=1e-6, rope_theta=50000.0, tie_word_embeddings=True, pad_token_id=319, num_hidden_layers=4,
            intermediate_size=32)
case("smollm3", "smollm3", "bytelevel", SMOL | dict(no_rope_layers=[1, 1, 1, 0], no_rope_layer_interval=4),
     [dict(no_rope_layers=[1, 1, 1, 1]), dict(rope_theta=10000.0)])
case("smollm3-window", "smollm3", "bytelevel",
     SMOL | dict(num_hidden_layers=2, no_rope_layers=[0, 1], use_sliding_window=True, sliding_window=16),
     [dict(no_rope_layers=[1, 1]), dict(use_sliding_window=False)], limit="llama.cpp's smollm3 drops rotary in every fourth layer only")

# Phi-3: fused projections; a window; longrope within and beyond the original length. Phi-4-mini: partial rotary, tied.
PHI3 = dict(rms_norm_eps=1e-5, rope_theta=10000.0, tie_word_embeddings=False, sliding_window=None, pad_token_id=0,
            original_max_position_embeddings=64)
LONG = dict(type="longrope", short_factor=[1.0, 1.1, 1.4, 2.0], long_factor=[1.2, 2.0, 3.5, 4.0])
PHI1 = PHI3 | dict(num_hidden_layers=1, intermediate_size=32, tie_word_embeddings=True)
case("phi3", "phi3", "spm", PHI3, [dict(rope_theta=100.0)])
case("phi3-window", "phi3", "spm", PHI1 | dict(sliding_window=16), [dict(sliding_window=None), dict(sliding_window=17)],
     limit="llama.cpp's phi3 ignores the window")
case("phi3-longrope-short", "phi3", "spm",
     PHI1 | dict(max_position_embeddings=256, rope_scaling=LONG),
     [dict(rope_scaling=None), dict(max_position_embeddings=64), dict(original_max_position_embeddings=32)])
case("phi3-longrope-long", "phi3", "spm",
     PHI1 | dict(original_max_position_embeddings=16, rope_scaling=LONG), prompt=20,
     acts=[dict(rope_scaling=None), dict(original_max_position_embeddings=48), dict(max_position_embeddings=16)])
PHI4 = PHI3 | dict(hidden_size=64, tie_word_embeddings=True, partial_rotary_factor=0.75, bos_token_id=319, pad_token_id=319,
                   original_max_position_embeddings=16)
LONG6 = dict(type="longrope", short_factor=[1.0] * 6, long_factor=[1.0, 1.2, 1.5, 2.5, 3.5, 4.0])
case("phi4-mini", "phi3", "bytelevel", PHI4 | dict(num_hidden_layers=1, rope_scaling=LONG6), prompt=20,
     acts=[dict(rope_scaling=None), dict(partial_rotary_factor=1.0, rope_scaling=None)])

# Gemma: 1 + w norms, scaled embedding, "gelu" that means its tanh form; 2: post norms, softcaps, alternating windows; 3: q/k norms, two thetas.
GEMMA = dict(rms_norm_eps=1e-6, rope_theta=10000.0, head_dim=16, pad_token_id=0)
case("gemma", "gemma", "spm", GEMMA | dict(num_hidden_layers=1, hidden_act="gelu"), [dict(hidden_act="silu")],
     scale=0.2, hide=("tie_word_embeddings",))
GEMMA2 = GEMMA | dict(hidden_activation="gelu_pytorch_tanh", attn_logit_softcapping=4.0, final_logit_softcapping=12.0,
                      query_pre_attn_scalar=16, sliding_window=16)
CAPS = [dict(attn_logit_softcapping=None), dict(final_logit_softcapping=None), dict(sliding_window=64), dict(sliding_window=17)]
case("gemma2", "gemma2", "spm", GEMMA2, CAPS, scale=0.2, hide=("layer_types", "tie_word_embeddings"))
case("gemma2-27b", "gemma2", "spm", GEMMA2 | dict(query_pre_attn_scalar=8, intermediate_size=32),
     CAPS + [dict(query_pre_attn_scalar=16)], scale=0.2, hide=("layer_types", "tie_word_embeddings"),
     limit="llama.cpp takes query_pre_attn_scalar from head_dim unless there are 46 layers")
GEMMA3 = GEMMA | dict(hidden_activation="gelu_pytorch_tanh", query_pre_attn_scalar=16, sliding_window=16, rope_theta=1000000.0,
                      rope_local_base_freq=10000.0, attn_logit_softcapping=None, final_logit_softcapping=None)
LOCAL = [dict(rope_theta=10000.0), dict(rope_local_base_freq=1000000.0), dict(sliding_window=64), dict(sliding_window=17)]
case("gemma3", "gemma3_text", "spm",
     GEMMA3 | dict(num_hidden_layers=6, intermediate_size=32, sliding_window_pattern=6, rope_scaling=dict(rope_type="linear", factor=8.0)),
     LOCAL + [dict(rope_scaling=None), dict(sliding_window_pattern=3)], scale=0.2, hide=("layer_types", "tie_word_embeddings"))
case("gemma3-pattern", "gemma3_text", "spm",
     GEMMA3 | dict(layer_types=["full_attention", "sliding_attention"],
                   query_pre_attn_scalar=8, intermediate_size=32),
     LOCAL + [dict(query_pre_attn_scalar=16)], scale=0.2, hide=("tie_word_embeddings",),
     limit="llama.cpp takes query_pre_attn_scalar from head_dim unless there are 62 layers")

# OLMo 2: norms after the blocks, q/k norms over the full width. Granite: four multipliers.
case("olmo2", "olmo2", "bytelevel", dict(rms_norm_eps=1e-6, rope_theta=500000.0, pad_token_id=0, tie_word_embeddings=False),
     [dict(rope_theta=10000.0)])
GRANITE = dict(rms_norm_eps=1e-5, rope_theta=10000.0, tie_word_embeddings=True, embedding_multiplier=2.0,
               attention_multiplier=0.25, residual_multiplier=0.8, logits_scaling=1.5, attention_bias=False)
case("granite", "granite", "bytelevel", GRANITE, [{key: 1.0} for key in
     ("embedding_multiplier", "attention_multiplier", "residual_multiplier", "logits_scaling")], scale=0.15)
case("granite-bias", "granite", "bytelevel",
     GRANITE | dict(num_hidden_layers=1, intermediate_size=32, attention_bias=True, mlp_bias=True, tie_word_embeddings=False),
     [dict(attention_bias=False), dict(mlp_bias=False)], scale=0.15)

# Nemotron: squared ReLU without a gate, 1 + w LayerNorm with bias, half of each head rotated.
case("nemotron", "nemotron", "bytelevel",
     dict(norm_eps=1e-5, rope_theta=10000.0, tie_word_embeddings=False, partial_rotary_factor=0.5, hidden_act="relu2", head_dim=16,
          num_attention_heads=2, num_key_value_heads=1),
     [dict(partial_rotary_factor=1.0), dict(hidden_act="relu")])

# Mixtures of experts, which qat may refuse.
case("mixtral", "mixtral", "spm",
     dict(rms_norm_eps=1e-5, rope_theta=1000000.0, num_local_experts=4, num_experts_per_tok=2, num_hidden_layers=1),
     [dict(num_experts_per_tok=1)], optional=True)
case("qwen3-moe", "qwen3_moe", "bytelevel",
     dict(rms_norm_eps=1e-6, rope_theta=1000000.0, head_dim=16, num_experts=4, num_experts_per_tok=2, norm_topk_prob=True,
          moe_intermediate_size=32, num_hidden_layers=1, tie_word_embeddings=True),
     [dict(num_experts_per_tok=1), dict(norm_topk_prob=False)], optional=True)
