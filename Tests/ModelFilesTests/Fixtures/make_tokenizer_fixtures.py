"""Small byte-level BPE tokenizers and what Hugging Face's library makes of difficult texts.

usage: python3 make_tokenizer_fixtures.py    (writes <name>.json and texts.json beside itself)
Made with Python 3.11.7, tokenizers 0.23.3, seed 20261123; the training text is made up here.
"""
import json, pathlib, random
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

random.seed(20261123)
words = ["the", "then", "there", "king", "kingdom", "quantize", "quantized", "don't", "I'll", "we've", "naïve",
         "straße", "Ångström", "日本語", "данные", "12", "1234", "2026", "x", "hello", "world", "😀", "...", "->"]
corpus = [" ".join(random.choices(words, k=12)) + random.choice([".", "!\n", "  \n\n", "\t", "\r\n"]) for _ in range(600)]
byte_level = pre_tokenizers.ByteLevel
llama = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
split = lambda pattern: pre_tokenizers.Sequence([
    pre_tokenizers.Split(Regex(pattern), behavior="isolated"), byte_level(add_prefix_space=False, use_regex=False)])
kinds = {
    "gpt2": (byte_level(add_prefix_space=False), None, False),
    "smollm": (pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                        byte_level(add_prefix_space=False)]), None, False),
    "llama3": (split(llama), None, True),
    "qwen2": (split(llama.replace(r"\p{N}{1,3}", r"\p{N}")), normalizers.NFC(), False),
}
texts = [
    "", " ", "   ", "a", " a", "  a", "a  ", "hello world", "Hello  World", "the king's kingdom", "DON'T don't I'LL we'Ve",
    "'s 't're", "12345 67 8", "x1y22z333", "1234567890", "a\nb", "a\n\nb", "a \n b", "a\r\nb", "\r\n\r\n x", "\t\tx\t y",
    "line  \n\n\n   end  ", "naïve straße Ångström", "e\u0301 vs \u00e9", "A\u030a", "日本語のテキスト", "данные 123 тест",
    "😀😀 👩‍👩‍👧‍👦 🇫🇷", "a\u200db\u00a0c\u2003d\u3000e", "\u0000\u0001\u007f", "½ ² ⅷ ٣ ৩", "...->!!!\n\n ok", "(a,b);[c]{d}",
    "<|im_start|>user\nhello<|im_end|>", "<|im_start|><|im_end|>  x", "<|im_sta", "xx<|im_end|>yy", "_under_score_",
    "tab\tand\vvertical\ffeed", "\u2028line\u2029sep\u0085next", "quantizedquantizedquantized", "a" * 200, " " * 100 + "x",
    "ſtrange 'ſ K", "mixed123abc456", "don’t “quote”", "\ufeffbom", "trailing newline\n", "\n", "\n\n\n", "ab" * 90 + "the",
]
here = pathlib.Path(__file__).parent
expected = {}
for name, (pre, normalizer, ignore) in kinds.items():
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre, decoders.ByteLevel()
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(corpus, trainers.BpeTrainer(
        vocab_size=420, initial_alphabet=byte_level.alphabet(), show_progress=False,
        special_tokens=[AddedToken("<|im_start|>", special=True), AddedToken("<|im_end|>", special=True)]))
    tokenizer.save(str(here / f"{name}.json"), pretty=False)
    expected[name] = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
(here / "texts.json").write_text(json.dumps({"texts": texts, "expected": expected}) + "\n")
