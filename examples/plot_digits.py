"""Forward-Forward beside MLPClassifier on digits
==============================================

Classify images by the Forward-Forward algorithm, compare, search, and draw the training.

    python examples/plot_digits.py

works offline, on the digits that come with scikit-learn; see --help for other data. Both
classifiers are judged on five folds, so that every image is a test image once; MNIST and
Fashion-MNIST have test images of their own.
"""

import argparse
import textwrap
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import (
    GridSearchCV,
    PredefinedSplit,
    StratifiedKFold,
    cross_validate,
    train_test_split,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from sklearn_ff import FFClassifier
from sklearn_ff.datasets import load_images
from sklearn_ff.objectives import Swish
from sklearn_ff.plotting import GoodnessDisplay, HistoryDisplay

LAYERS = (256, 256)
CLOTHES = ["T-shirt", "Trouser", "Pullover", "Dress", "Coat"]
CLOTHES += ["Sandal", "Shirt", "Sneaker", "Bag", "Boot"]
WIDTH = 79  # of all that is printed


class Parser(argparse.ArgumentParser):
    """A parser with errors of one sentence."""

    def error(self, message):
        self.exit(2, f"plot_digits.py: {message}\n")


def parser():
    parser = Parser(description="Forward-Forward on images: compare, search, draw.")
    add = parser.add_argument
    add("--data", choices=["digits", "mnist", "fashion_mnist"], default="digits")
    add("--folder", help="folder of DATA.npz (default: download from OpenML; not for digits)")
    add("--figure", default="plot_digits.png", help="file to save (default: %(default)s)")
    add("--quick", action="store_true", help="few rows and epochs, to check that everything runs")
    return parser


def main():
    args = parser().parse_args()
    if not Path(args.figure).absolute().parent.is_dir():
        parser().error(f"There is no folder for --figure {args.figure}; create it first.")
    try:
        data = load_images(args.data, args.folder)
    except (OSError, ValueError) as error:
        parser().error(error)
    run(args, *joined(args, *data))


def joined(args, X_train, y_train, X_test, y_test):
    """All images and labels, and the folds by which classifiers are judged."""
    if args.quick:
        X_train, y_train = shorten(X_train, y_train, 300)
        X_test, y_test = shorten(X_test, y_test, 200)
    X, y = np.concatenate([X_train, X_test]), np.concatenate([y_train, y_test])
    if args.data == "fashion_mnist":
        y = np.array(CLOTHES)[y]
    if args.data == "digits":
        return X, y, StratifiedKFold(2 if args.quick else 5, shuffle=True, random_state=0)
    return X, y, PredefinedSplit(np.repeat([-1, 0], [len(y_train), len(y_test)]))


def shorten(X, y, n_rows):
    """The rows, or `n_rows` of them in equal proportions of the classes."""
    if len(y) > n_rows:
        X, _, y, _ = train_test_split(X, y, train_size=n_rows, stratify=y, random_state=0)
    return X, y


def run(args, X, y, folds):
    start = time.perf_counter()
    found = {name: judge(name, model, X, y, folds) for name, model in pipelines(args).items()}
    print_table(found)
    train, test = list(folds.split(X, y))[-1]
    search = grid_search(args, *shorten(X[train], y[train], 200 if args.quick else 2000))
    model = found["FFClassifier"]["estimator"][-1]
    drawn = draw(args.figure, model, X[test], y[test])
    summarise(found, search)
    seconds = time.perf_counter() - start
    print(f"The figure is in {args.figure}. " * drawn + f"The program took {seconds:.0f} seconds.")


def pipelines(args):
    """The same network with both algorithms; MLPClassifier stops when its loss is constant."""
    long = args.data != "digits" and not args.quick
    options = dict(verbose=long, random_state=0)
    forward = FFClassifier(LAYERS, max_iter=5 if args.quick else "auto", **options)
    backward = MLPClassifier(LAYERS, max_iter=10 if long or args.quick else 200, **options)
    return {
        "FFClassifier": make_pipeline(MinMaxScaler(), forward),
        "MLPClassifier": make_pipeline(MinMaxScaler(), backward),
    }


def judge(name, model, X, y, folds):
    """Fitted pipelines, scores and seconds of every fold."""
    n_folds = folds.get_n_splits()
    n_train = len(next(iter(folds.split(X, y)))[0])
    times = f", {n_folds} times" if n_folds > 1 else ""
    print(f"{name} learns from {n_train:,} images{times} ...", flush=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is intended
        scoring = {"accuracy": "accuracy", "loss": "neg_log_loss"}
        return cross_validate(model, X, y, cv=folds, scoring=scoring, return_estimator=True)


def print_table(found):
    print(f"\n{'':14}{'accuracy':>16}{'log-loss':>16}{'epochs':>8}{'seconds':>9}")
    for name, result in found.items():
        accuracy, loss = spread(result["test_accuracy"]), spread(-result["test_loss"])
        epochs = np.mean([model[-1].n_iter_ for model in result["estimator"]])
        seconds = result["fit_time"].mean()
        print(f"{name:14}{accuracy:>16}{loss:>16}{epochs:8.0f}{seconds:9.1f}")
    print(flush=True)


def spread(values):
    """Mean, and with several folds their deviation."""
    return f"{np.mean(values):.3f}" + f" ± {np.std(values):.3f}" * (len(values) > 1)


def grid_search(args, X, y):
    """Search the sharpness of the objective, a parameter of a part, through the pipeline."""
    sharpness = [10.0] if args.quick else [5.0, 10.0, 20.0]
    grid = {
        "ffclassifier__objective": [Swish()],
        "ffclassifier__objective__sharpness": sharpness,
        "ffclassifier__negatives": ["hard", "uniform"],
    }
    forward = FFClassifier(LAYERS, max_iter=2 if args.quick else 12, random_state=0)
    model = make_pipeline(MinMaxScaler(), forward)
    print(f"GridSearchCV tries sharpness and negatives on {len(y):,} training images ...")
    search = GridSearchCV(model, grid, cv=3, refit=False).fit(X, y)
    results = search.cv_results_
    print(f"\n{'negatives':14}{'sharpness':>10}{'accuracy':>16}")
    for params, mean, deviation in zip(
        results["params"], results["mean_test_score"], results["std_test_score"], strict=True
    ):
        names = params["ffclassifier__negatives"], params["ffclassifier__objective__sharpness"]
        print(f"{names[0]:14}{names[1]:10g}{f'{mean:.3f} ± {deviation:.3f}':>16}")
    print(flush=True)
    return search


def draw(path, model, X, y):
    """Save the figure; False, with a sentence, if matplotlib is not installed."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("matplotlib is not installed, so there is no figure; pip install matplotlib.")
        return False
    plt.switch_backend("Agg")
    figure = plt.figure(figsize=(13, 9), layout="constrained")
    curves, images = figure.subfigures(2, 1, height_ratios=[1, 1.5])
    curves.suptitle("Every layer has its own loss", fontweight="bold")
    statistics = ["loss", "goodness", "ranking_accuracy"]
    HistoryDisplay.from_estimator(model, statistics=statistics, ax=curves.subplots(1, 3))
    title = "How good is this image with that label? Blue: the true one; red: one mistaken for it"
    images.suptitle(title, fontweight="bold")
    shown = pick(model, X, y)
    GoodnessDisplay.from_estimator(model, X[shown], y[shown], ax=images.subplots(2, 4))
    figure.savefig(path, dpi=130)
    return True


def pick(model, X, y):
    """Up to two errors, two images with the least certain labels, and images of other classes."""
    p = np.sort(model.predict_proba(X), axis=1)
    sure, wrong = p[:, -1] - p[:, -2], model.predict(X) != y
    near = [row for row in np.argsort(sure, kind="stable") if not wrong[row]][:2]
    doubtful = [*near, *np.flatnonzero(wrong)[:2]]
    others = [np.flatnonzero(y == label)[0] for label in np.unique(y) if label not in y[doubtful]]
    return np.array((others[: 8 - len(doubtful)] + doubtful)[:8])


def summarise(found, search):
    ours, theirs = (result["test_accuracy"] for result in found.values())
    best = {name.split("__")[-1]: value for name, value in search.best_params_.items()}
    clf = found["FFClassifier"]["estimator"][-1][-1]
    ranked = min(1, clf.history_["ranking_accuracy"][-1, -1])
    folds = ""
    if len(ours) > 1:
        folds = (
            f" FFClassifier is better in {np.sum(ours > theirs)} of {len(ours)} folds, "
            f"MLPClassifier in {np.sum(ours < theirs)}."
        )
    tell(
        f"The accuracy of FFClassifier on test images is {ours.mean():.1%}, that of MLPClassifier, "
        f"the same network trained by backpropagation, {theirs.mean():.1%}.{folds}"
    )
    tell(
        f"After {clf.n_iter_} epochs, the last layer of FFClassifier scores the true label above "
        f"the negative one for {ranked:.1%} of the training images."
    )
    tell(
        f"The best accuracy of the search, with fewer epochs and images, is "
        f"{search.best_score_:.1%} in cross-validation, for sharpness={best['sharpness']:g} and "
        f"negatives={best['negatives']!r}."
    )


def tell(text):
    print(textwrap.fill(text, WIDTH))


if __name__ == "__main__":
    main()
