"""Tiny random models of every architecture, and what transformers computes from them.

usage: python3 make_architecture_fixtures.py [case ...]    (writes into folders beside itself)
Made with Python 3.11.7, torch 2.13.0, transformers 5.24.0, tokenizers 0.23.3, safetensors 0.8.0.
The cases are in architecture_cases.py; README.md says what each file holds. Everything is FP32 on
one thread with eager attention; a seed is taken when greedy decoding is clear and varied.
"""
import json, math, pathlib, shutil, sys, tempfile, warnings, zlib

import torch, transformers
from safetensors.torch import save
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache, PreTrainedTokenizerFast

from architecture_cases import CASES, TAIL

HERE = pathlib.Path(__file__).parent
# llama.cpp keeps keys and values in FP16 and looks GELU up in an FP16 table: 0.05 is clear of that.
LENGTH, STEPS, MARGIN, DISTINCT = 40, 32, 0.05, 8
STEP = dict(lr=1e-3, betas=[0.9, 0.95], eps=1e-8, weight_decay=0.01, max_grad_norm=1.0)
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
         r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
torch.set_num_threads(1)


def configuration(case, changes={}):
    given = {k: json.loads(json.dumps(v)) for k, v in (case.config | changes).items()}
    return AutoConfig.for_model(case.model, **given)


def published(case, saved):
    """The configuration in the style of transformers 4, in which published files are written."""
    out = {k: v for k, v in saved.items() if k not in ("rope_parameters", "dtype", "transformers_version")}
    out.pop("_sliding_window_pattern", None)
    if "rope_scaling" not in case.config:
        out["rope_scaling"] = None
    out |= case.config | dict(torch_dtype="bfloat16", transformers_version="4.51.3")
    return dict(sorted((k, v) for k, v in out.items() if k not in case.hide or k in case.config))


def neutral_weight(case, name):
    """Around what a norm's weights lie; large where logits need it, as in published models."""
    if case.model == "nemotron":
        return 0.0
    if case.model.startswith("gemma"):
        return 2.0 if name == "model.norm.weight" else 1.0 if ".post_" in name else 0.0
    return 3.0 if case.model == "granite" and name == "model.norm.weight" else 1.0


def initialise(case, model, generator):
    """Random weights with nothing neutral, rounded to BF16."""
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        if "norm" in name and name.endswith("weight"):
            value = neutral_weight(case, name) + 0.25 * noise
        elif p.dim() == 1:
            value = 0.3 * noise
        elif "embed_tokens" in name or "lm_head" in name:
            value = case.scale * noise
        else:
            gain = 1.4 if any(k in name for k in ("q_proj", "k_proj", "qkv_proj")) else 1.2
            value = gain / math.sqrt(p.shape[-1]) * noise
        p.data.copy_(value.bfloat16().float())


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def logits_of(model, tokens):
    with torch.no_grad():
        return model(torch.tensor(tokens), use_cache=False).logits


def mean_loss(logits, tokens):
    flat = logits[:, :-1].double().flatten(0, 1).log_softmax(-1)
    return -flat.gather(1, torch.tensor(tokens)[:, 1:].reshape(-1, 1)).mean().item()


@torch.no_grad()
def greedy(model, prompt, switch=None, recompute=False, clear=0.0):
    """32 tokens and the smallest margin; EOS is a token like others.

    `clear`: The margin at or below which to give up. `switch`: The length past which the cache is made anew, as transformers' generate does for Phi-3's longrope.
    """
    tokens, margins, cache = list(prompt), [], DynamicCache(config=model.config)
    for step in range(STEPS):
        if recompute:
            row = model(torch.tensor([tokens]), use_cache=False).logits[0, -1]
        else:
            if switch and len(tokens) == switch + 1:
                cache = DynamicCache(config=model.config)
            new = tokens[cache.get_seq_length():]
            row = model(torch.tensor([new]), cache=cache, use_cache=True).logits[0, -1]
        best = row.topk(2)
        margins.append((best.values[0] - best.values[1]).item())
        if margins[-1] <= clear:
            break
        tokens.append(best.indices[0].item())
    return tokens[len(prompt):], min(margins)


def take_step(model, tokens):
    """Gradients, and the loss after one AdamW step that decays parameters of two dimensions and more."""
    ids = torch.tensor(tokens)
    logits = model(ids, use_cache=False).logits
    torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
    parameters = dict(model.named_parameters())
    gradients = {n: p.grad.clone() for n, p in parameters.items()}
    groups = [dict(params=[p for p in parameters.values() if p.dim() > 1], weight_decay=STEP["weight_decay"]),
              dict(params=[p for p in parameters.values() if p.dim() == 1], weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=STEP["lr"], betas=tuple(STEP["betas"]), eps=STEP["eps"])
    norm = torch.nn.utils.clip_grad_norm_(list(parameters.values()), STEP["max_grad_norm"]).item()
    optimizer.step()
    after = mean_loss(logits_of(model, tokens), tokens)
    return gradients, STEP | dict(decays="parameters of two dimensions and more", grad_norm=norm, loss_after=after)


def check_acts(case, model, tokens, reference):
    """Each override must change the logits, else the case proves nothing of that key."""
    effects = []
    for change in case.acts:
        other = AutoModelForCausalLM.from_config(configuration(case, change), attn_implementation="eager").eval()
        other.load_state_dict(model.state_dict(), strict=False)
        effect = (logits_of(other, tokens) - reference).abs().max().item()
        assert effect > 0.05, f"{case.name}: {change} changes logits by {effect} only"
        effects.append(dict(change=change, largest_change=round(effect, 4)))
    return effects


def attempt(case, seed, folder):
    generator = torch.Generator().manual_seed(seed)
    model = AutoModelForCausalLM.from_config(configuration(case), attn_implementation="eager").eval()
    model.tie_weights()
    initialise(case, model, generator)
    tokens = torch.randint(3, 318, (2, LENGTH), generator=generator).tolist()
    prompt = torch.randint(3, 318, (case.prompt,), generator=generator).tolist()
    answer, margin = greedy(model, prompt, clear=MARGIN)
    if margin <= MARGIN or len(set(answer)) < DISTINCT:
        return None
    model.to(torch.bfloat16).save_pretrained(folder)
    around = crossings(case, folder, prompt).get("crossing", {})
    if any(value <= MARGIN for key, value in around.items() if key.endswith("_margin")):
        return None
    return tokens, prompt


def crossings(case, folder, prompt):
    """Where the frequencies change with length, caching and recomputing give different tokens: all of them."""
    kind = (case.config.get("rope_scaling") or {}).get("type")
    if kind not in ("dynamic", "longrope"):
        return {}
    original = case.config.get("original_max_position_embeddings", case.config["max_position_embeddings"])
    short = prompt[:6]
    out = dict(original_length=original, prompt=short)
    ways = dict(cached={}, recomputed=dict(recompute=True))
    if kind == "longrope":
        ways["cache_renewed_at_switch"] = dict(switch=original)
    for key, how in ways.items():
        out[key], out[key + "_margin"] = greedy(load(folder), short, **how)
    return dict(crossing=out)


def write(case):
    target = HERE / case.name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    first = zlib.crc32(case.name.encode()) % 100_000
    for seed in range(first, first + 2000):
        with tempfile.TemporaryDirectory() as folder:
            found = attempt(case, seed, folder)
            if found:
                for name in ("model.safetensors", "generation_config.json"):
                    (target / name).write_bytes((pathlib.Path(folder) / name).read_bytes())
                saved = json.loads((pathlib.Path(folder) / "config.json").read_text())
                break
    else:
        raise RuntimeError(f"{case.name}: no seed gives clear and varied tokens")
    tokens, prompt = found
    (target / "config.json").write_text(json.dumps(saved, indent=2) + "\n")
    reference = logits_of(load(target), tokens)
    (target / "config.json").rename(target / "config.v5.json")
    (target / "config.json").write_text(json.dumps(published(case, saved), indent=2) + "\n")
    model = load(target)
    logits = logits_of(model, tokens)
    assert torch.equal(logits, reference), f"{case.name}: the two styles of config.json disagree"
    assert all(torch.equal(t, t.bfloat16().float()) for t in model.state_dict().values())
    effects = check_acts(case, model, tokens, logits)
    answer, margin = greedy(load(target), prompt)
    again, _ = greedy(load(target), prompt, recompute=True)
    if case.name != "llama-dynamic":
        assert again == answer, f"{case.name}: caching changes the tokens"
    gradients, step = take_step(model, tokens)
    loss = mean_loss(logits, tokens)
    rows = [[0, LENGTH - 1], [1, LENGTH // 2]]
    expected = dict(
        transformers=transformers.__version__, torch=torch.__version__, seed=seed, model_type=case.model,
        optional=case.optional, tokenizer=case.tokenizer, llama_cpp_limit=case.limit, tokens=tokens,
        loss=loss, perplexity=math.exp(loss),
        logits=[dict(row_of=row, values=[float(f"{v:.9g}") for v in logits[row[0], row[1]]]) for row in rows],
        prompt=prompt, greedy=answer, margins=dict(minimum=margin), step=step, acts=effects)
    expected |= crossings(case, target, prompt)
    (target / "expected.json").write_text(json.dumps(expected) + "\n")
    if not case.optional:
        (target / "gradients.safetensors").write_bytes(save(gradients))
    spread = logits.std().item()
    print(f"{case.name}: seed {seed}, loss {loss:.4f}, spread {spread:.2f}, margin {margin:.4f}, "
          f"{len(set(answer))} distinct, gradient norm {step['grad_norm']:.3f}, after {step['loss_after']:.4f}", flush=True)


def text():
    words = "the a quantized model trains with small blocks of four bits and every block has one scale that is shared"
    lines = [" ".join(words.split()[i % 7::2]) + f", {i * 37 % 1000} tests." for i in range(60)]
    return lines + ["Größe und Länge: naïve café", "let x = y + 1\n    return x\n", "don't we'll it's"]


def write_tokenizers():
    special = dict(bos_token="<|begin_of_text|>", eos_token="<|end_of_text|>")
    byte = Tokenizer(models.BPE())
    byte.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    byte.decoder = decoders.ByteLevel()
    byte.train_from_iterator(text(), trainers.BpeTrainer(
        vocab_size=318, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    byte.add_special_tokens(list(special.values()))
    byte.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
        single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", 318)])])
    save_tokenizer(byte, "bytelevel", special)

    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    first = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    trained.train_from_iterator(text()[:60], trainers.BpeTrainer(
        vocab_size=320, limit_alphabet=36, special_tokens=first, show_progress=False))
    model = json.loads(trained.to_str())["model"]
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in model["merges"]]
    spm = Tokenizer(models.BPE(model["vocab"], merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    spm.normalizer = trained.normalizer
    spm.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    spm.add_special_tokens(["<unk>", "<s>", "</s>"])
    spm.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    save_tokenizer(spm, "spm", dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>"))


def save_tokenizer(tokenizer, name, special):
    assert tokenizer.get_vocab_size() == 320
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **special)
    assert [fast.bos_token_id, fast.eos_token_id] == list(TAIL[name].values())
    folder = HERE / "tokenizers" / name
    shutil.rmtree(folder, ignore_errors=True)
    fast.save_pretrained(folder)
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2) + "\n")
    samples = ["the model has 4 bits", "Zürich, it's 2026 🦙", "  two  spaces\n\tand a tab"]
    cases = [dict(text=s, ids=fast.encode(s), decoded=fast.decode(fast.encode(s), skip_special_tokens=True)) for s in samples]
    (folder / "expected.json").write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n")
    print(f"tokenizer {name}: {[c['ids'] for c in cases]} {[c['decoded'] == c['text'] for c in cases]}")


if __name__ == "__main__":
    chosen = sys.argv[1:]
    if not chosen:
        write_tokenizers()
    for case in CASES:
        if not chosen or case.name in chosen:
            write(case)
