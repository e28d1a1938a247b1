"""Outliers: one class, or a few, are learned from; are rows of the others less familiar?

    python examples/benchmarks/outliers.py --folder FOLDER --output FILE
    python examples/benchmarks/outliers.py --folder FOLDER --output FILE --final

Measured by the area under the ROC curve (AUROC), over three seeds. The largest class of a table, or
the first of the largest, is learned from; of scikit-learn's digits 0 to 4; of images all classes,
with another set of images as the strange rows. Half of the familiar rows are learned from (5,000 of
images), the others are scored beside all strange rows (2,000 and 2,000 images). `false_alarms` is
the share of familiar new rows that FFOutlierDetector's `predict` calls outliers.

Settings are chosen on the sets of DEVELOPMENT alone; those of FINAL are looked at once. `untrained`
is FFOutlierDetector with random weights, "nearest" the distance from the nearest row, "spaced" that
distance by the rule of FFOutlierDetector, without a network. All but IsolationForest, for which it
makes no difference, and the package's, which scale for themselves, see columns of unit variance, or
pixels as they are. Lines that are in FILE already are not measured again.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
from results import emit
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM
from tables import load

from sklearn_ff import FFOutlierDetector, FFTransformer
from sklearn_ff._neighbours import some_of, strangeness, with_spacing
from sklearn_ff.datasets import load_images

DEVELOPMENT = ["Glass", "Vehicle", "Vowel", "spam", "wine", "digits", "fashion_mnist"]
FINAL = [
    *("Ionosphere", "PimaIndiansDiabetes", "Satellite", "Soybean", "breast_cancer", "iris"),
    "mnist",
]
OWN_TABLES = {"breast_cancer": load_breast_cancer, "iris": load_iris, "wine": load_wine}
STRANGE = {"fashion_mnist": "mnist", "mnist": "fashion_mnist"}
UNTRAINED = {"negatives": "shuffle", "max_iter": 1, "learning_rate_init": 1e-12}


def main():
    args = arguments()
    names = args.sets or (FINAL if args.final else DEVELOPMENT)
    lines = known(args.output)
    for name in names:
        for seed in args.seeds:
            wanted = [by for by in args.methods if (name, by, seed) not in lines]
            parts = task(name, seed, args.folder) if wanted else ()
            for by in wanted:
                lines[name, by, seed] = measured(name, by, seed, parts)
                emit(lines[name, by, seed], args.output)
    table(names, args.methods, lines)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default=os.environ.get("SKLEARN_FF_DATA"))
    parser.add_argument("--sets", nargs="+", choices=[*DEVELOPMENT, *FINAL])
    parser.add_argument("--final", action="store_true", help="the sets that nothing is chosen on")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--output", help="file with results, to which others are appended")
    return parser.parse_args()


def known(output):
    """The results in the file by set, method and seed."""
    if not output or not Path(output).exists():
        return {}
    lines = map(json.loads, Path(output).read_text(encoding="utf-8").splitlines())
    return {(line["set"], line["by"], line["seed"]): line for line in lines}


# Rows -------------------------------------------------------------------------------------------


def task(name, seed, folder):
    """Rows to learn from, new familiar rows, and strange rows."""
    if name in STRANGE:
        return images(name, seed, folder)
    X, seen = rows_and_seen(name, folder)
    learn, new = train_test_split(X[seen], test_size=0.5, random_state=seed)
    fill = SimpleImputer(strategy="most_frequent").fit(learn)
    return tuple(fill.transform(part) for part in (learn, new, X[~seen]))


def rows_and_seen(name, folder):
    """Rows, and which of them are of a class that is learned from."""
    if name == "digits":
        X, y = load_digits(return_X_y=True)
        return X / 16, y < 5
    X, y = OWN_TABLES[name](return_X_y=True) if name in OWN_TABLES else load(name, folder)
    classes, counts = np.unique(y, return_counts=True)
    return X, y == classes[counts.argmax()]


def images(name, seed, folder):
    X = load_images(name, folder)[0]
    strange = load_images(STRANGE[name], folder)[2]
    random = np.random.RandomState(seed)
    X = X[random.permutation(len(X))[:7000]]
    return X[:5000], X[5000:], strange[random.permutation(len(strange))[:2000]]


def scaled(name, parts):
    if name in STRANGE or name == "digits":
        return parts
    scaler = StandardScaler().fit(parts[0])
    return tuple(scaler.transform(part) for part in parts)


# Methods: from rows and a seed to a function that scores rows -----------------------------------


def nearest(rows, seed):
    neighbours = NearestNeighbors(n_neighbors=1).fit(rows)
    return lambda X: -neighbours.kneighbors(X)[0][:, 0]


def spaced(rows, seed):
    found = with_spacing(some_of(rows, np.random.RandomState(seed)))
    return lambda X: -strangeness(*found, X)


def untrained(rows, seed):
    network = FFTransformer(**UNTRAINED)
    return FFOutlierDetector(network, random_state=seed).fit(rows).score_samples


METHODS = {
    "ff": None,
    "untrained": untrained,
    "forest": lambda rows, seed: IsolationForest(random_state=seed).fit(rows).score_samples,
    "lof": lambda rows, seed: LocalOutlierFactor(novelty=True).fit(rows).score_samples,
    "svm": lambda rows, seed: OneClassSVM().fit(rows).score_samples,
    "nearest": nearest,
    "spaced": spaced,
}


def measured(name, by, seed, parts):
    what = {"benchmark": "outliers", "set": name, "by": by, "seed": seed, "rows": len(parts[0])}
    if by != "ff":
        parts = parts if by == "untrained" else scaled(name, parts)
        return {**what, "auroc": area(METHODS[by](parts[0], seed), *parts[1:])}
    detector = FFOutlierDetector(random_state=seed).fit(parts[0])
    alarms = float(np.mean(detector.predict(parts[1]) == -1))
    return {**what, "auroc": area(detector.score_samples, *parts[1:]), "false_alarms": alarms}


def area(score, new, strange):
    familiar = np.repeat([1, 0], [len(new), len(strange)])
    return float(roc_auc_score(familiar, np.concatenate([score(new), score(strange)])))


def table(names, methods, lines):
    """Means over the seeds, and of these over the sets."""
    print("| set | " + " | ".join(methods) + " |\n|---|" + "---|" * len(methods))
    found = np.array([[mean(lines, name, by) for by in methods] for name in names])
    for name, row in zip([*names, "mean"], [*found, found.mean(0)], strict=True):
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in row) + " |")


def mean(lines, name, by):
    return np.mean([line["auroc"] for key, line in lines.items() if key[:2] == (name, by)])


if __name__ == "__main__":
    main()
