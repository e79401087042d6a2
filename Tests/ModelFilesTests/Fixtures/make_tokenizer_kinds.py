"""Small tokenizers of every kind that is read, and digests of what the public libraries make of text.

usage: python3 make_tokenizer_kinds.py                 writes tokenizer-*.json, tokenizer-*.model and
                                                       tokenizer-digests.json beside itself
       python3 make_tokenizer_kinds.py KIND fuzz N     prints text N of the fuzzed ones and its tokens
       python3 make_tokenizer_kinds.py KIND points C   prints the text of 64 code points from C
Made with Python 3.11.7, tokenizers 0.23.3, sentencepiece 0.2.3, seed 20261126; the training text is
made up here. A digest is the CRC-32 of the numbers as 4 bytes each, low byte first, and FFFFFFFF
after each text.
"""
import array, io, json, pathlib, random, sys, zlib
import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers as nz, pre_tokenizers as pt
from tokenizers import processors, trainers

SEED, FUZZED, PER_FUZZ_DIGEST, PER_POINT_DIGEST = 20261126, 100_000, 1000, 4096
here = pathlib.Path(__file__).parent
rng = random.Random(SEED)
WORDS = ["the", "then", "there", "king", "kingdom", "quantize", "Quantized", "don't", "I'll", "we've", "NaN", "HTTPServer",
         "naïve", "straße", "Ångström", "日本語", "的中文", "данные", "한글", "ภาษา", "12", "1234", "2026", "x", "hello",
         "world", "World", "😀", "...", "->", "foo_bar", "x=1;", "(a)", "कि", "עברית"]
CORPUS = [" ".join(rng.choices(WORDS, k=12)) + rng.choice([".", "!\n", "  \n\n", "\t", "\r\n", "   "]) for _ in range(800)]

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SLASH_TAIL = TAIL.replace(r"[\r\n]*", r"[\r\n/]*")
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + TAIL
QWEN2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + TAIL
LEAD, UP, LOW = r"[^\r\n\p{L}\p{N}]?", r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
GPT4O = f"{LEAD}{UP}*{LOW}+{CONTRACTIONS}?|{LEAD}{UP}+{LOW}*{CONTRACTIONS}?" + r"|\p{N}{1,3}" + SLASH_TAIL
TEKKEN = f"{LEAD}{UP}*{LOW}+|{LEAD}{UP}+{LOW}*" + r"|\p{N}" + SLASH_TAIL
DEEPSEEK_LETTERS = (
    "\\s?[A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373"
    "\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f"
    "\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-"
    "\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-"
    "\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-"
    "\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-"
    "\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-"
    "\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a"
    "\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2"
    "\U000118a0-\U000118df\U0001e900-\U0001e943]+")
DEEPSEEK_CJK, V3_CJK = "[一-龥\u0800-一가-\ud7ff]+", "[一-龥\u3040-ゟ゠-ヿ]+"
DEEPSEEK_V3 = (r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
               r"""| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""")
BAILING = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
EXAONE = CONTRACTIONS + (r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]"
                         r"|\s+(?!\S)|\s+")
DIGIT_GROUPS = r"\d{1,3}(?=(?:\d{3})*\b)"


def split(pattern, behavior="isolated", invert=False):
    return pt.Split(Regex(pattern), behavior=behavior, invert=invert)


BYTES = pt.ByteLevel(add_prefix_space=False, use_regex=False)
GPT2 = pt.ByteLevel(add_prefix_space=False)
CHAT = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def byte_level(pre, normalizer=None, processor=None, ignore=False, specials=CHAT, added=(), size=460):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre, decoders.ByteLevel()
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=pt.ByteLevel.alphabet(), show_progress=False, special_tokens=list(specials)))
    if processor:
        tokenizer.post_processor = processor(tokenizer)
    tokenizer.add_tokens(list(added))
    return tokenizer


def template(single, pair=None):
    return lambda tokenizer: processors.TemplateProcessing(
        single=single, special_tokens=[(t, tokenizer.token_to_id(t)) for t in single.split() if t != "$A"])


def characters(normalizer=None, pre=None, decoder=None, fallback=True, fuse=True, unknown="<unk>", processor=None, added=(),
               bytes_there=range(256), specials=("<unk>", "<s>", "</s>"), size=560):
    names = [f"<0x{b:02X}>" for b in bytes_there] if fallback else []
    tokenizer = Tokenizer(models.BPE(byte_fallback=fallback, fuse_unk=fuse, unk_token=unknown))
    if normalizer:
        tokenizer.normalizer = normalizer
    if pre:
        tokenizer.pre_tokenizer = pre
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=size, show_progress=False, special_tokens=[*specials, *names], limit_alphabet=70, max_token_length=8))
    root = json.loads(tokenizer.to_str())
    root["added_tokens"] = [t for t in root["added_tokens"] if not t["content"].startswith("<0x")]
    tokenizer = Tokenizer.from_str(json.dumps(root))
    if decoder:
        tokenizer.decoder = decoder
    if processor:
        tokenizer.post_processor = processor(tokenizer)
    tokenizer.add_tokens(list(added))
    return tokenizer


LLAMA2_DECODER = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
GEMMA_DECODER = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
LLAMA2 = nz.Sequence([nz.Prepend("▁"), nz.Replace(" ", "▁")])
# No token of white space: beside one that strips, the library panics.
FLAGS = [AddedToken("<L>", lstrip=True, normalized=False), AddedToken("<R>", rstrip=True, normalized=False),
         AddedToken("<LR>", lstrip=True, rstrip=True, normalized=False), AddedToken("word", single_word=True, normalized=False),
         AddedToken("Ünï", normalized=True), AddedToken("ﬁn", normalized=True, single_word=True), AddedToken("ab", normalized=False),
         AddedToken("abc", normalized=False), AddedToken("bcd", normalized=False), AddedToken("e\u0301", normalized=False)]
PHI3 = [AddedToken(t, rstrip=True, normalized=False, special=True) for t in ("<|user|>", "<|assistant|>", "<|end|>")] + [
    AddedToken("</s>", rstrip=True, normalized=False)]

KINDS = {
    "smollm3": lambda: byte_level(pt.Sequence([split(LLAMA3), BYTES]), ignore=True),
    "llama3": lambda: byte_level(pt.Sequence([split(LLAMA3), BYTES]), ignore=True, processor=lambda t: processors.Sequence(
        [processors.ByteLevel(trim_offsets=True), template("<|endoftext|> $A")(t)])),
    "qwen2": lambda: byte_level(pt.Sequence([split(QWEN2), BYTES]), nz.NFC(), lambda t: processors.ByteLevel(trim_offsets=False)),
    "starcoder2": lambda: byte_level(pt.Sequence([pt.Digits(individual_digits=True), GPT2])),
    "deepseek-llm": lambda: byte_level(pt.Sequence([
        split(r"[\r\n]"), split(DEEPSEEK_LETTERS), split("\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+"), split(r"\s+$"), split(DEEPSEEK_CJK),
        pt.Digits(individual_digits=True), BYTES])),
    "deepseek-coder": lambda: byte_level(pt.Sequence([
        split(r"[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split(DEEPSEEK_CJK), pt.Digits(individual_digits=True), BYTES])),
    "deepseek-v3": lambda: byte_level(pt.Sequence([split(r"\p{N}{1,3}"), split(V3_CJK), split(DEEPSEEK_V3), BYTES])),
    "gpt-4o": lambda: byte_level(pt.Sequence([split(GPT4O, "removed", True), BYTES])),
    "tekken": lambda: byte_level(pt.Sequence([split(TEKKEN), BYTES]), ignore=True, processor=template("<|endoftext|> $A <|im_end|>")),
    "bailing": lambda: byte_level(pt.Sequence([split(BAILING), BYTES])),
    "exaone": lambda: byte_level(pt.Sequence([split(EXAONE), BYTES])),
    "digit-groups": lambda: byte_level(pt.Sequence([split(DIGIT_GROUPS), split(GPT4O), BYTES]), nz.NFC()),
    "roberta": lambda: byte_level(pt.ByteLevel(add_prefix_space=True), processor=lambda t: processors.RobertaProcessing(
        ("<|im_end|>", t.token_to_id("<|im_end|>")), ("<|im_start|>", t.token_to_id("<|im_start|>")))),
    "added": lambda: byte_level(GPT2, nz.Sequence([nz.NFKC(), nz.Lowercase()]), added=FLAGS),
    "added-nfd": lambda: byte_level(pt.Sequence([pt.Punctuation("contiguous"), GPT2]), nz.Sequence([nz.NFD(), nz.Strip()]), added=FLAGS),
    "added-nfkd": lambda: characters(nz.NFKD(), pt.Metaspace(prepend_scheme="first"), decoders.Metaspace(prepend_scheme="first"), added=FLAGS),
    "llama2": lambda: characters(LLAMA2, None, LLAMA2_DECODER, processor=template("<s> $A")),
    "mistral": lambda: characters(None, pt.Metaspace(prepend_scheme="first", split=False), LLAMA2_DECODER, processor=template("<s> $A </s>")),
    "metaspace": lambda: characters(None, pt.Metaspace(prepend_scheme="always", split=True), decoders.Metaspace(), fallback=False),
    "gemma": lambda: characters(nz.Replace(" ", "▁"), pt.Split(" ", "merged_with_previous"), GEMMA_DECODER, fuse=True),
    "phi3": lambda: characters(LLAMA2, None, LLAMA2_DECODER, added=PHI3),
    "unknown": lambda: characters(None, pt.WhitespaceSplit(), decoders.Fuse(), fallback=False, fuse=False),
    "unknown-dropped": lambda: characters(None, pt.Whitespace(), decoders.Fuse(), fallback=False, unknown=None, specials=["<s>"]),
    "some-bytes": lambda: characters(nz.Replace(Regex(r"\s{2,}"), "▁"), pt.CharDelimiterSplit("|"), GEMMA_DECODER, bytes_there=range(0x20, 0xC6), fuse=False),
    "previous": lambda: characters(None, split(r"[\p{P}\p{S}]", "merged_with_previous"), decoders.Fuse()),
    "next": lambda: characters(None, pt.Sequence([split(r"\p{Lu}|\s", "merged_with_next"), split(r"\p{N}+?", "contiguous", True)]), decoders.Fuse()),
}


def train_pieces(**options):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line for text in CORPUS for line in text.splitlines() if line.strip()]), model_writer=out,
        model_type="bpe", num_threads=1, minloglevel=2, character_coverage=0.995, normalization_rule_name="identity",
        unk_id=0, bos_id=1, eos_id=2, pad_id=-1, **options)
    return out.getvalue()


PIECES = {
    "spm-llama": lambda: train_pieces(vocab_size=520, byte_fallback=True, remove_extra_whitespaces=False, split_digits=True,
                                      allow_whitespace_only_pieces=True),
    "spm-gemma": lambda: train_pieces(vocab_size=540, byte_fallback=True, remove_extra_whitespaces=False, add_dummy_prefix=False,
                                      user_defined_symbols=["▁▁", "▁▁▁", "\n", "\n\n", "<td>", "king"], split_digits=True),
    "spm-unknown": lambda: train_pieces(vocab_size=260, byte_fallback=False, remove_extra_whitespaces=True,
                                        control_symbols=["<pad>"], user_defined_symbols=["don't"]),
}

ALPHABETS = [
    list("abcdefghijklmnopqrstuvwxyzABCDEFXYZ"), list("0123456789"), list(" \t\n\r  "), list("'.,!?-_/()[]{}<>|@#$%^&*+=~`\"\\:;"),
    [chr(c) for c in (0x85, 0xA0, 0x1680, 0x2000, 0x2009, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0x200B, 0x200D, 0xFEFF, 0x180E,
                      0x0B, 0x0C, 0x1C, 0x00)],
    [chr(c) for c in (0x300, 0x301, 0x308, 0x30A, 0x327, 0x323, 0x345, 0x20DD, 0x903, 0xFE0F)],
    list("éÅñßſKÅﬁ½²ⅷ٣ªǅ中日本語的한글ภาษاعربيдан̆ňάıİ"), list("😀👩👍🏽🇫🇷"),
    [chr(c) for c in (0x2581, 0x120, 0x10A, 0xE9, 0x10400, 0x1D7D8, 0x20000, 0x323B0, 0xE000, 0xFFFF, 0x10FFFF, 0x378)],
    ["'s", "'T", "'re", "'LL", "don't", "I'VE", " the", "hello", "World", "QuickBrown", "foo_bar", "x=1;", "\r\n", "\n\n", "   ",
     "<0x0A>", "▁▁", "word", "1234567"],
]


class SplitMix64:
    def __init__(self, seed):
        self.state = seed & (2**64 - 1)

    def below(self, bound):
        self.state = (self.state + 0x9E3779B97F4A7C15) & (2**64 - 1)
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
        return (z ^ (z >> 31)) % bound


def fuzzed(index, alphabets):
    """Text number `index`: up to 24 picks out of up to four alphabets."""
    generator = SplitMix64(SEED + (index << 16))
    chosen = [alphabets[generator.below(len(alphabets))] for _ in range(1 + generator.below(4))]
    picks = []
    for _ in range(generator.below(25)):
        alphabet = chosen[generator.below(len(chosen))]
        picks.append(alphabet[generator.below(len(alphabet))])
    return "".join(picks)


def points(start):
    """The 64 code points from `start`, each between letters and between a space and a digit."""
    return "\n".join(f"a{chr(c)}b {chr(c)}1" for c in range(start, start + 64) if not 0xD800 <= c < 0xE000)


def digest(lists):
    value = 0
    for ids in lists:
        value = zlib.crc32(array.array("I", [*ids, 0xFFFFFFFF]).tobytes(), value)
    return f"{value:08x}"


def load(name):
    """Encoding with special tokens or without, decoding, and texts of added tokens."""
    if name in PIECES:
        model = sentencepiece.SentencePieceProcessor(model_file=str(here / f"tokenizer-{name}.model"))
        own = [model.id_to_piece(i) for i in range(model.get_piece_size()) if model.is_control(i)] + ["<td>", "king", "don't"]
        return (lambda texts, special: model.encode(texts, out_type=int), lambda lists: [model.decode(ids) for ids in lists], own)
    tokenizer = Tokenizer.from_file(str(here / f"tokenizer-{name}.json"))
    encode = lambda texts, special: [e.ids for e in tokenizer.encode_batch_fast(texts, add_special_tokens=special)]
    own = [t.content for _, t in sorted(tokenizer.get_added_tokens_decoder().items())]
    return encode, lambda lists: [tokenizer.decode(ids, skip_special_tokens=False) for ids in lists], own


def alphabets_of(own):
    parts = [t[:n] for t in own for n in (1, len(t) // 2, len(t) - 1) if t[:n]] + [t[len(t) // 2:] for t in own]
    return ALPHABETS + [own, [t + " " for t in own] + [" " + t for t in own], parts]


def main():
    for name, make in KINDS.items():
        make().save(str(here / f"tokenizer-{name}.json"), pretty=False)
    for name, make in PIECES.items():
        (here / f"tokenizer-{name}.model").write_bytes(make())
    kinds = {name: load(name) for name in [*KINDS, *PIECES]}
    alphabets = alphabets_of(sorted({t for _, _, own in kinds.values() for t in own}))
    texts = [fuzzed(i, alphabets) for i in range(FUZZED)]
    blocks = [[points(c) for c in range(start, start + PER_POINT_DIGEST, 64)] for start in range(0, 0x110000, PER_POINT_DIGEST)]
    digests = {"seed": SEED, "alphabets": alphabets, "kinds": {}}
    for name, (encode, decode, _) in kinds.items():
        fuzz, decoded = "", ""
        for start in range(0, FUZZED, PER_FUZZ_DIGEST):
            lists = encode(texts[start:start + PER_FUZZ_DIGEST], True)
            fuzz += digest(lists)
            # The libraries decode added tokens as if they were made of bytes, and unknown ones as U+2047;
            # both stand as they are here.
            if start < FUZZED // 10 and not name.startswith("added") and name != "spm-unknown":
                decoded += digest([text.encode() for text in decode(lists)])
        coded = "".join(digest(encode(block, False)) for block in blocks)
        digests["kinds"][name] = {"fuzz": fuzz, "decoded": decoded, "points": coded}
        print(name, file=sys.stderr, flush=True)
    (here / "tokenizer-digests.json").write_text(json.dumps(digests, ensure_ascii=True) + "\n")


def show(name, kind, index):
    encode, decode, _ = load(name)
    alphabets = json.loads((here / "tokenizer-digests.json").read_text())["alphabets"]
    text = fuzzed(index, alphabets) if kind == "fuzz" else points(index)
    ids = encode([text], kind == "fuzz")[0]
    print(json.dumps({"text": text, "ids": ids, "decoded": decode([ids])[0]}))


if __name__ == "__main__":
    main() if len(sys.argv) == 1 else show(sys.argv[1], sys.argv[2], int(sys.argv[3]))
