"""Familiar and strange rows
=========================

Find rows that differ from the training rows, without examples of such rows.

    python examples/plot_familiarity.py

FFTransformer learns the digits 0 to 4, without their labels. Its `score_samples`, by the distance
of activations from those of the training rows, should then be higher for new images of these than
for digits 5 to 9, for images with permuted pixels, and for noise. The summed goodness of its
layers, IsolationForest and the length of a row are measured in the same way.
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from sklearn_ff import FFTransformer
from sklearn_ff.plotting import FamiliarityDisplay


def parser():
    parser = argparse.ArgumentParser(
        description="Familiarity of digits of known and of new classes."
    )
    add = parser.add_argument
    add("--max-iter", type=int, default=100, help="epochs (default: %(default)s)")
    kinds = ["auto", "pair_sum", "hybrid_mask", "shuffle", "noise"]
    add("--negatives", choices=kinds, default=kinds[0], help="negative rows in training")
    add("--goodness", choices=["mean_square", "neg_mean_square"], default="mean_square")
    return parser


def main():
    args = parser().parse_args()
    train, seen, strange = images()
    learned = dict(goodness=args.goodness, negatives=args.negatives)
    options = dict(**learned, max_iter=args.max_iter, random_state=0)
    ours = FFTransformer((256, 256), **options).fit(train)
    forest = IsolationForest(n_estimators=200, random_state=0).fit(train)
    scores = {
        "FFTransformer": ours.score_samples,
        "its goodness": lambda X: ours.layer_scores(X).sum((1, 2)),
        "IsolationForest": forest.score_samples,
        "row length": lambda X: np.linalg.norm(X, axis=1),
    }
    table = {name: areas(score, seen, strange) for name, score in scores.items()}
    print("ROC AUC: how often a digit of 0 to 4 is more familiar than ...\n")
    print(f"{'':16}" + "".join(f"{kind:>17}" for kind in strange))
    for name, row in table.items():
        print(f"{name:16}" + "".join(f"{area:17.3f}" for area in row))
    print()
    for kind, (ff, *others) in zip(strange, np.transpose(list(table.values())), strict=True):
        print(verdict(kind, ff, dict(zip(list(table)[1:], others, strict=True))))
    draw(ours, train, seen, strange)


def images():
    """Training images of 0 to 4, held-out ones, and three kinds of strange rows."""
    X, y = load_digits(return_X_y=True)
    train, seen = train_test_split(X[y < 5], test_size=0.3, stratify=y[y < 5], random_state=0)
    rng = np.random.default_rng(0)
    strange = {
        "digits 5 to 9": X[y >= 5],
        "permuted pixels": rng.permuted(seen, axis=1),
        "noise": rng.uniform(0, 16, seen.shape),
    }
    return train, seen, strange


def areas(score, seen, strange):
    return [
        roc_auc_score(np.r_[np.ones(len(seen)), np.zeros(len(rows))], score(np.r_[seen, rows]))
        for rows in strange.values()
    ]


def verdict(kind, ours, others):
    best = max(others, key=others.get)
    if ours < 0.5:
        return f"{kind}: FFTransformer fails; they are more familiar than digits of 0 to 4."
    if abs(ours - others[best]) < 0.01:
        return f"{kind}: FFTransformer and {best} are alike."
    return f"{kind}: FFTransformer {'beats' if ours > others[best] else 'loses to'} {best}."


def draw(ours, train, seen, strange):
    """Distributions of familiarity, and a map of it on the main plane of the training images."""
    import matplotlib.pyplot as plt

    _, (left, right) = plt.subplots(1, 2, figsize=(12, 4.4), layout="constrained")
    for kind, rows in {"new digits 0 to 4": seen, **strange}.items():
        distance = np.sqrt(-ours.score_samples(rows))
        left.hist(distance, bins=30, density=True, alpha=0.6, label=kind)
    left.set(xlabel="distance from the training images", yticks=[])
    left.legend(frameon=False)
    left.spines[["top", "right", "left"]].set_visible(False)
    FamiliarityDisplay.from_estimator(ours, train, ax=right, grid_resolution=60)
    plt.show()


if __name__ == "__main__":
    main()
