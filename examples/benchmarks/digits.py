"""Accuracy and log-loss on scikit-learn's embedded digits, every estimator with its defaults.

    python examples/benchmarks/digits.py

Five stratified folds, shuffled anew for each of the seeds 0, 1 and 2. A result line holds the means
over the folds of one seed. SVC predicts no probabilities, so it has no log-loss.
"""

import argparse
import time
import warnings

import numpy as np
from results import emit
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from sklearn_ff import FFClassifier

MODELS = {
    "ff": lambda seed: FFClassifier(random_state=seed),
    "ff_greedy": lambda seed: FFClassifier(schedule="greedy", random_state=seed),
    "ff_greedy_two_layers": lambda seed: FFClassifier(
        (256, 256), schedule="greedy", random_state=seed
    ),
    "mlp": lambda seed: MLPClassifier(random_state=seed),
    "svc": lambda seed: SVC(),
}


def main():
    args = arguments()
    X, y = load_digits(return_X_y=True)
    for name in args.models:
        runs = [run(name, X, y, seed, args.folds) for seed in args.seeds]
        for result in [*runs, summary(name, runs, args.seeds)]:
            emit(result, args.output)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--output", help="file to append the results to")
    return parser.parse_args()


def run(name, X, y, seed, n_folds):
    """Means over the folds of one seed."""
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    scores = [score(MODELS[name](seed), X, y, *fold) for fold in folds.split(X, y)]
    accuracy, loss, seconds = zip(*scores, strict=True)
    return {"benchmark": "digits", "model": name, "seed": seed} | {
        "accuracy": float(np.mean(accuracy)),
        "log_loss": None if None in loss else float(np.mean(loss)),
        "fit_seconds": float(np.mean(seconds)),
    }


def score(model, X, y, learn, hold):
    """Accuracy, log-loss and seconds of the fit, in one fold."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X[learn], y[learn])
    seconds = time.perf_counter() - start
    loss = None
    if not isinstance(model, SVC):
        loss = log_loss(y[hold], model.predict_proba(X[hold]), labels=model.classes_)
    return model.score(X[hold], y[hold]), loss, seconds


def summary(name, runs, seeds):
    """Mean over the seeds."""
    result = {"benchmark": "digits", "model": name, "seeds": seeds}
    for measure in ("accuracy", "log_loss", "fit_seconds"):
        values = [r[measure] for r in runs]
        result[f"{measure}_mean"] = None if None in values else float(np.mean(values))
    return result


if __name__ == "__main__":
    main()
