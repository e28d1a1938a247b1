"""Run the property tests on many random cases, and count how they end.

python tests/fuzz.py --cases 2000 --seed 0
"""

import argparse
import traceback
from functools import partial
from pathlib import Path

import numpy as np
from hypothesis import Phase
from properties import check, check_life, counted
from strategies import cases, lives

from sklearn_ff import FFClassifier, FFTransformer

FAILED = "FAILED"
OURS = ("tests", "sklearn_ff", "core")


def caught(property, failures, case):
    """What a property returns; a failure is kept, by its kind, and the next case may come."""
    try:
        return property(case)
    except Exception as error:
        failures.setdefault(kind_of(error), []).append((str(error), case))
        return FAILED


def kind_of(error):
    """The class of an error and the last line of ours that it went through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if Path(f.filename).parent.name in OURS] or frames
    return f"{type(error).__name__} in {Path(ours[-1].filename).name}:{ours[-1].lineno}"


def report(name, outcomes, failures):
    """The counts, and of every kind of failure the shortest case."""
    total = outcomes.total()
    shares = [f"{ended} {n} ({n / total:.1%})" for ended, n in outcomes.most_common()]
    print(f"{name}: {total} fits: {', '.join(shares)}", flush=True)
    for kind, found in failures.items():
        message, case = min(found, key=lambda one: len(repr(one[1])))
        print(f"\n{len(found)} x {kind}: {message.strip()[:400]}\n{case}\n", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    np.set_printoptions(threshold=40, edgeitems=4)
    n_failed = 0
    for estimator in FFClassifier, FFTransformer:
        for kind, property, share in (cases, check, 0.4), (lives, check_life, 0.1):
            failures = {}
            outcomes = counted(
                kind(estimator),
                partial(caught, property, failures),
                n_cases=round(share * options.cases),
                first_seed=options.seed,
                phases=[Phase.generate],
            )
            report(f"{estimator.__name__}, {kind.__name__}", outcomes, failures)
            n_failed += outcomes[FAILED]
    raise SystemExit(n_failed > 0)


if __name__ == "__main__":
    main()
