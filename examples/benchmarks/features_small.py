"""Features of FFTransformer on small data, beside the columns themselves: where they bring nothing.

    python examples/benchmarks/features_small.py

`LogisticRegression` has the features, or what stands in their place, and its accuracy on new rows
is measured. Digits: the features are learned from 1,000 rows, and 1,000 or 100 of these have
labels; the pixels are as they are. Iris and wine: three stratified folds, the defaults of
FFTransformer or a StandardScaler. Means and deviations over orders of the rows, or splits.
"""

import argparse

import numpy as np
from results import emit, machine
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ff import FFTransformer

TABLES = {"iris": load_iris, "wine": load_wine}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=5, help="of the rows of digits")
    parser.add_argument("--splits", type=int, default=3, help="of the tables into folds")
    parser.add_argument("--output", help="file to append the results to")
    args = parser.parse_args()
    found = [of_digits(seed) for seed in range(args.orders)]
    for n_labels in found[0]:
        tell(args, f"digits, {n_labels} labels", [one[n_labels] for one in found])
    for name, load in TABLES.items():
        tell(args, name, [of_table(*load(return_X_y=True), seed) for seed in range(args.splits)])


def tell(args, data, found):
    """Emit means and deviations of pairs of accuracies: with features, and without."""
    mean, spread = np.mean(found, 0).tolist(), np.std(found, 0).tolist()
    line = {"benchmark": "features_small", "data": data, "draws": len(found)}
    line |= {"features": mean[0], "features_std": spread[0]}
    emit(line | {"columns": mean[1], "columns_std": spread[1]} | machine(), args.output)


def of_digits(seed):
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(X))
    X, y = X[order], y[order]
    features = FFTransformer(128, max_iter=10, random_state=0).fit(X[:1000])
    H = features.transform(X)
    return {n: (accuracy(H, y, n), accuracy(X, y, n)) for n in (1000, 100)}


def accuracy(X, y, n_labels):
    """Accuracy on the rows after the first 1,000, of which some have labels."""
    return logistic().fit(X[:n_labels], y[:n_labels]).score(X[1000:], y[1000:])


def of_table(X, y, seed):
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    steps = FFTransformer(random_state=0), StandardScaler()
    models = [make_pipeline(step, logistic()) for step in steps]
    return [cross_val_score(model, X, y, cv=folds).mean() for model in models]


def logistic():
    return LogisticRegression(max_iter=10_000)


if __name__ == "__main__":
    main()
