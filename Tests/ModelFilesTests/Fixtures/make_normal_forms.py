"""Makes normal_forms.json: texts that are hard to normalize, and their forms by `tokenizers`.

Seed 20261126, tokenizers 0.23.3. usage: python make_normal_forms.py
"""
import json
import random
from pathlib import Path

import tokenizers
from tokenizers import normalizers

assert tokenizers.__version__ == "0.23.3", tokenizers.__version__
random.seed(20261126)

HANGUL = [0x1100, 0x1112, 0x1113, 0x1161, 0x1175, 0x1176, 0x11A7, 0x11A8, 0x11C2, 0x11C3, 0xAC00, 0xAC01,
          0xAC1C, 0xD788, 0xD7A3, 0x3131, 0xFFA1]
MARKS = [0x300, 0x301, 0x307, 0x308, 0x323, 0x327, 0x32E, 0x338, 0x345, 0x35C, 0x5B0, 0x93C, 0x94D, 0x9BE,
         0x9D7, 0xDCF, 0x1DF9, 0xD3B, 0x11A47, 0x11A99, 0x10F4D, 0x9FE, 0x3099, 0x309A, 0x1D165, 0x1D16D,
         0x110BA, 0x11127, 0x11938, 0x1E8D0]
BASES = [0x41, 0x61, 0x6F, 0x22F, 0xC5, 0x212B, 0x37E, 0x1E9B, 0x17F, 0x915, 0x9C7, 0xDD9, 0x304B, 0x30CF,
         0x11099, 0x11131, 0xFB01, 0x2126, 0xF900, 0x2F800, 0xFB1D, 0x1D15E, 0xFF76, 0x33A2, 0x32FF, 0x1F16C]


def text():
    pools = random.choice([[HANGUL], [BASES, MARKS, MARKS], [HANGUL, BASES, MARKS]])
    return "".join(chr(random.choice(random.choice(pools))) for _ in range(random.randint(1, 6)))


texts = sorted({text() for _ in range(900)})
forms = {name: [getattr(normalizers, name)().normalize_str(text) for text in texts]
         for name in ("NFC", "NFD", "NFKC", "NFKD")}
Path(__file__).with_name("normal_forms.json").write_text(
    json.dumps({"texts": texts, **forms}, separators=(",", ":")) + "\n")
