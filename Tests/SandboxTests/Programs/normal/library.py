import bisect, collections, copy, dataclasses, datetime, decimal, fractions, functools, hashlib, heapq
import itertools, json, math, operator, random, re, statistics, string, sys, time, typing, unicodedata
from typing import Any, Dict, List, Optional, Tuple

@dataclasses.dataclass(order=True)
class Point:
    x: int
    y: int = 2

assert json.loads(json.dumps({"a": [1, 2.5, None]})) == {"a": [1, 2.5, None]}
assert re.sub(r"(\w+) (\w+)", r"\2 \1", "hello world") == "world hello"
assert math.isclose(math.sqrt(2) ** 2, 2)
assert list(itertools.accumulate([1, 2, 3])) == [1, 3, 6]
assert collections.Counter("banana").most_common(1) == [("a", 3)]
assert hashlib.md5(b"Hello world").hexdigest() == "3e25960a79dbc69b674cd4ec67a72c62"
assert hashlib.sha256(b"").hexdigest()[:8] == "e3b0c442"
assert Point(1) < Point(1, 3)
random.seed(7)
assert random.randint(0, 10**9) == random.Random(7).randint(0, 10**9)
assert decimal.Decimal("0.1") + decimal.Decimal("0.2") == decimal.Decimal("0.3")
assert fractions.Fraction(1, 3) * 3 == 1
assert functools.reduce(operator.mul, range(1, 6)) == 120
assert heapq.nsmallest(2, [3, 1, 2]) == [1, 2]
assert bisect.bisect([1, 2, 3], 2) == 2
assert statistics.median([1, 3, 2]) == 2
assert datetime.date(2024, 2, 29).weekday() == 3
assert unicodedata.name("ä") == "LATIN SMALL LETTER A WITH DIAERESIS"
assert copy.deepcopy([[1]]) == [[1]]
print("Grüße, 世界")
print("done")
