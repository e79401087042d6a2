"""Exact tests by SciPy, clustered bootstraps by NumPy, samples by Python.

usage: python3 make_statistics_fixtures.py    (writes expected/statistics.json beside itself)
Made with Python 3.11.7, SciPy 1.17.1, NumPy 2.4.6; seed 4.
"""
import json, pathlib, random

import numpy, scipy.stats

HERE = pathlib.Path(__file__).parent
DRAWS = 200_000
rnd = numpy.random.default_rng(4)


def bootstrap(values, clusters):
    groups = [[v for v, c in zip(values, clusters) if c == name] for name in dict.fromkeys(clusters)]
    sums, counts = numpy.array([sum(g) for g in groups]), numpy.array([len(g) for g in groups])
    drawn = rnd.integers(0, len(groups), (DRAWS, len(groups)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    return [float(x) for x in numpy.quantile(means, [0.025, 0.975])]


def case(count, clusters, names):
    rates = rnd.uniform(0.2, 0.9, names)
    labels = [f"s{i}" for i in rnd.integers(0, names, count)] if clusters else [f"q{i}" for i in range(count)]
    values = [int(rnd.random() < rates[int(label[1:]) % names]) for label in labels]
    return dict(values=values, clusters=labels if clusters else None, interval=bootstrap(values, labels))


def samples():
    found = []
    for count, population in ((3, 24), (4, 24), (7, 24), (5, 100), (5, 21), (20, 7473)):
        draws = random.Random(1234)
        found.append(dict(count=count, population=population,
                          draws=[draws.sample(range(population), count) for _ in range(3)]))
    return found


exact = [dict(wins=b, losses=c, p=float(scipy.stats.binomtest(min(b, c), b + c, 0.5).pvalue))
         for b, c in ((0, 1), (1, 0), (5, 5), (3, 14), (40, 61), (700, 900), (0, 30))]
document = dict(exact=exact, bootstrap=[case(200, False, 7), case(400, True, 20), case(150, True, 3)],
                samples=samples())
(HERE / "expected" / "statistics.json").write_text(json.dumps(document, separators=(",", ":")) + "\n")
