"""Accuracy and log-loss of FFClassifier on eight small tables, beside those of MLPClassifier.

    python examples/benchmarks/tables.py --inner --folder FOLDER
    python examples/benchmarks/tables.py --test --folder FOLDER

Four outer stratified folds (seed 0). `--inner`, the default, does not use the outer test folds:
each outer training fold is split once, 75 to 25, and the quarter is scored, on the four tables for
development. `--test` scores the outer folds of all eight tables. `--goodness` adds FFClassifier
behind a scaler with other kinds of goodness, `--alpha` with other penalties, `--one-hot` both
classifiers behind a one-hot coding of 16 bins per column. Every model has an
accuracy (MODEL) and a log-loss (MODEL_log_loss), means over the folds; `ff_unscaled` has no scaler.
FOLDER holds tabular.npz with arrays NAME_X and NAME_y; without it the tables come from OpenML.
Estimators have the seed 0.
"""

import argparse
import os
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from results import emit
from sklearn.datasets import fetch_openml
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OrdinalEncoder, StandardScaler

from sklearn_ff import FFClassifier

OPENML = {
    "Glass": 41,
    "Vehicle": 54,
    "Vowel": 307,
    "spam": 44,
    "Ionosphere": 59,
    "PimaIndiansDiabetes": 37,
    "Satellite": 182,
    "Soybean": 42,
}
DEVELOPMENT = ["Glass", "Vehicle", "Vowel", "spam"]
CLASSIFIERS = {"ff": FFClassifier, "mlp": MLPClassifier}
MODELS = {
    "ff_scaled": lambda: [StandardScaler(), FFClassifier(random_state=0)],
    "ff_unscaled": lambda: [FFClassifier(random_state=0)],
    "mlp_scaled": lambda: [StandardScaler(), MLPClassifier(random_state=0)],
}


def main():
    args = arguments()
    for name in args.goodness:
        MODELS[f"ff_{name}"] = partial(with_goodness, name)
    for alpha in args.alpha:
        MODELS[f"ff_alpha_{alpha:g}"] = partial(with_alpha, alpha)
    for name, classifier in CLASSIFIERS.items() if args.one_hot else ():
        MODELS[f"{name}_one_hot"] = partial(one_hot, classifier)
    names = args.tables or (list(OPENML) if args.test else DEVELOPMENT)
    rows = "outer" if args.test else "inner"
    results = []
    for name in names:
        results.append(run(name, *load(name, args.folder), rows))
        emit(results[-1], args.output)
    emit(summary(results, rows), args.output)


def with_goodness(name):
    return [StandardScaler(), FFClassifier(goodness=name, random_state=0)]


def one_hot(classifier):
    coding = KBinsDiscretizer(16, encode="onehot", strategy="uniform")
    return [coding, classifier(random_state=0)]


def with_alpha(alpha):
    return [StandardScaler(), FFClassifier(alpha=alpha, random_state=0)]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", choices=list(OPENML))
    parser.add_argument("--folder", default=os.environ.get("SKLEARN_FF_DATA"))
    parser.add_argument("--goodness", nargs="+", default=[], help="names, beside the default")
    parser.add_argument("--alpha", nargs="+", default=[], type=float, help="beside the default")
    parser.add_argument("--one-hot", action="store_true", help="also behind a one-hot coding")
    parser.add_argument("--output", help="file to append the results to")
    rows = parser.add_mutually_exclusive_group()
    rows.add_argument("--inner", action="store_true", help="score inner splits (default)")
    rows.add_argument("--test", action="store_true", help="score the outer test folds")
    return parser.parse_args()


def load(name, folder):
    """Rows as floats, NaN where a value is missing, and labels."""
    if folder:
        with np.load(Path(folder) / "tabular.npz") as tables:
            return tables[f"{name}_X"].astype(np.float64), tables[f"{name}_y"]
    X, y = fetch_openml(data_id=OPENML[name], return_X_y=True, as_frame=True)
    words = X.select_dtypes(exclude="number").columns
    if len(words):
        X = X.astype({column: object for column in words})
        X[words] = OrdinalEncoder().fit_transform(X[words])
    return X.to_numpy(np.float64), y.to_numpy(str)


def splits(X, y, rows):
    """Pairs (learn, score) of row indices."""
    for learn, hold in StratifiedKFold(4, shuffle=True, random_state=0).split(X, y):
        if rows == "inner":
            learn, hold = inner_split(learn, y)
        yield learn, hold


def inner_split(learn, y):
    return train_test_split(learn, test_size=0.25, stratify=y[learn], random_state=0)


def run(name, X, y, rows):
    """Mean accuracy and log-loss of every model in the same splits of one table."""
    folds = {measure: [] for measure in measures()}
    for learn, hold in splits(X, y, rows):
        for model in MODELS:
            accuracy, loss = score(model, X, y, learn, hold)
            folds[model].append(accuracy)
            folds[f"{model}_log_loss"].append(loss)
    means = {measure: float(np.mean(values)) for measure, values in folds.items()}
    return {**describe(rows), "table": name, "folds": folds} | with_difference(means)


def measures():
    return [name for model in MODELS for name in (model, f"{model}_log_loss")]


def score(model, X, y, learn, hold):
    pipeline = make_pipeline(SimpleImputer(strategy="most_frequent"), *MODELS[model]())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        pipeline.fit(X[learn], y[learn])
    loss = log_loss(y[hold], pipeline.predict_proba(X[hold]), labels=pipeline.classes_)
    return float(pipeline.score(X[hold], y[hold])), float(loss)


def describe(rows):
    return {"benchmark": "tables", "rows": rows}


def with_difference(means):
    """The gain of FFClassifier by a scaler."""
    return {**means, "scaler_gain": means["ff_scaled"] - means["ff_unscaled"]}


def summary(results, rows):
    """Means over the tables, with equal weights."""
    means = {name: float(np.mean([r[name] for r in results])) for name in measures()}
    tables = [r["table"] for r in results]
    return {**describe(rows), "tables": tables} | with_difference(means)


if __name__ == "__main__":
    main()
