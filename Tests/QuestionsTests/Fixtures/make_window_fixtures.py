"""Two models on the same windows: signs drawn at random by SciPy, bootstraps by NumPy.

usage: python3 make_window_fixtures.py    (writes expected/windows.json beside itself)
Made with Python 3.11.7, SciPy 1.17.1, NumPy 2.4.6; seed 5.
"""
import json, pathlib

import numpy, scipy.stats

HERE = pathlib.Path(__file__).parent
DRAWS = 200_000
rnd = numpy.random.default_rng(5)


def bootstrap(own, reference, targets, figure):
    drawn = rnd.integers(0, len(own), (DRAWS, len(own)))
    weights = targets[drawn].sum(1)
    values = figure(own[drawn].sum(1) / weights) - figure(reference[drawn].sum(1) / weights)
    return [float(x) for x in numpy.quantile(values, [0.025, 0.975])]


def probability(own, reference):
    test = scipy.stats.permutation_test(
        (own, reference), lambda a, b, axis: (a - b).sum(axis), vectorized=True, permutation_type="samples",
        n_resamples=DRAWS, alternative="two-sided", rng=rnd)
    return float(test.pvalue)


def case(figure, count, shift):
    targets = rnd.integers(200, 512, count) if count != 12 else numpy.full(count, 511)
    if figure == "exponential":
        reference = targets * rnd.normal(3.7, 0.2, count)
        own = reference + targets * rnd.normal(shift, 0.02, count)
        value = numpy.exp
    else:
        reference = rnd.binomial(targets, 0.35).astype(float)
        own = numpy.clip(reference + rnd.integers(-6, 7, count) + shift, 0, targets)
        value = lambda x: x
    return dict(figure=figure, own=own.tolist(), reference=reference.tolist(), targets=targets.tolist(),
                difference=float(value(own.sum() / targets.sum()) - value(reference.sum() / targets.sum())),
                interval=bootstrap(own, reference, targets, value), p=probability(own, reference))


cases = [case("exponential", 12, 0.005), case("exponential", 9, 0.03), case("exponential", 100, 0.001),
         case("mean", 12, -1), case("mean", 8, 3), case("mean", 100, 0)]
(HERE / "expected" / "windows.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")
for c in cases: print(c["figure"], len(c["own"]), c["difference"], c["interval"], c["p"])
