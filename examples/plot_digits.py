"""Forward-Forward beside MLPClassifier on digits
==============================================

Classify images by the Forward-Forward algorithm, compare, search, and draw the training.

    python examples/plot_digits.py

works offline, on the digits that come with scikit-learn; see --help for other data.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from sklearn_ff import FFClassifier
from sklearn_ff.datasets import load_images
from sklearn_ff.objectives import Swish

LAYERS = (256, 256)
CLOTHES = ["T-shirt", "Trouser", "Pullover", "Dress", "Coat"]
CLOTHES += ["Sandal", "Shirt", "Sneaker", "Bag", "Boot"]
INK, PALE, BLUE, TEAL, RED = "#24292f", "#c3cad2", "#2563a8", "#16a08c", "#d1493f"
GREY = "#6b7480"


class Parser(argparse.ArgumentParser):
    """A parser with errors of one sentence."""

    def error(self, message):
        self.exit(2, f"plot_digits.py: {message}\n")


def parser():
    parser = Parser(description="Forward-Forward on images: compare, search, draw.")
    add = parser.add_argument
    add("--data", choices=["digits", "mnist", "fashion_mnist"], default="digits")
    add("--folder", help="folder of the images (default: download from OpenML; not for digits)")
    add("--figure", default="plot_digits.png", help="file to save (default: %(default)s)")
    add("--quick", action="store_true", help="few rows and epochs, to check that everything runs")
    return parser


def main():
    args = parser().parse_args()
    if not Path(args.figure).absolute().parent.is_dir():
        parser().error(f"There is no folder for --figure {args.figure}; create it first.")
    try:
        data = load_images(args.data, args.folder, download=not args.folder)
    except (OSError, ValueError) as error:
        parser().error(error)
    run(args, shorten(data, 600) if args.quick else data)


def run(args, data):
    start = time.perf_counter()
    names = CLOTHES if args.data == "fashion_mnist" else [str(label) for label in range(10)]
    models = pipelines(args)
    results = {name: judge(name, model, *data) for name, model in models.items()}
    print_table(results)
    search = grid_search(args, *shorten(data, 300 if args.quick else 2000)[:2])
    drawn = draw(args.figure, models["FFClassifier"], data, names)
    summarise(models["FFClassifier"][-1], results, search, len(data[3]))
    seconds = time.perf_counter() - start
    print(f"The figure is in {args.figure}. " * drawn + f"The program took {seconds:.0f} seconds.")


def shorten(data, n_rows):
    """The data with at most `n_rows` training rows, in equal proportions of the classes."""
    X, y, *test = data
    if len(y) > n_rows:
        X, _, y, _ = train_test_split(X, y, train_size=n_rows, stratify=y, random_state=0)
    return X, y, *test


def pipelines(args):
    """The same network with both algorithms; MLPClassifier stops when its loss is constant."""
    long = args.data != "digits" and not args.quick
    options = dict(verbose=long, random_state=0)
    forward = FFClassifier(LAYERS, max_iter=10 if args.quick else "auto", **options)
    backward = MLPClassifier(LAYERS, max_iter=10 if long or args.quick else 200, **options)
    return {
        "FFClassifier": make_pipeline(MinMaxScaler(), forward),
        "MLPClassifier": make_pipeline(MinMaxScaler(), backward),
    }


def judge(name, model, X_train, y_train, X_test, y_test):
    print(f"{name} learns from {len(y_train)} images ...", flush=True)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is intended
        model.fit(X_train, y_train)
    seconds = time.perf_counter() - start
    p = model.predict_proba(X_test)
    accuracy = accuracy_score(y_test, model.classes_[p.argmax(1)])
    return accuracy, log_loss(y_test, p, labels=model.classes_), model[-1].n_iter_, seconds


def print_table(results):
    print(f"\n{'':14}{'accuracy':>10}{'log-loss':>10}{'epochs':>8}{'seconds':>9}")
    for name, (accuracy, loss, epochs, seconds) in results.items():
        print(f"{name:14}{accuracy:10.3f}{loss:10.3f}{epochs:8d}{seconds:9.1f}")
    print(flush=True)


def grid_search(args, X, y):
    """Search the sharpness of the objective, a parameter of a part, through the pipeline."""
    grid = {
        "ffclassifier__objective": [Swish()],
        "ffclassifier__objective__sharpness": [10.0] if args.quick else [5.0, 10.0, 20.0],
        "ffclassifier__negatives": ["hard", "uniform"],
    }
    forward = FFClassifier(LAYERS, max_iter=2 if args.quick else 12, random_state=0)
    model = make_pipeline(MinMaxScaler(), forward)
    print(f"GridSearchCV tries sharpness and negatives on {len(y)} images ...", flush=True)
    search = GridSearchCV(model, grid, cv=3, refit=False, verbose=3).fit(X, y)
    print(flush=True)
    return search


def draw(path, model, data, names):
    """Save the figure; False, with a sentence, if matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        print("matplotlib is not installed, so there is no figure; pip install matplotlib.")
        return False
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    style = {"font.size": 10, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": PALE}
    style |= {"axes.spines.top": False, "axes.spines.right": False, "axes.titlelocation": "left"}
    with plt.rc_context(style):
        figure = plt.figure(figsize=(13, 10.5))
        curves, images = figure.subfigures(2, 1, height_ratios=[1, 1.6])
        draw_curves(curves, model[-1].history_)
        draw_images(images, model, *data[2:], names)
        figure.savefig(path, dpi=130, facecolor="white")
        plt.close(figure)
    return True


def draw_curves(figure, history):
    explanation = "loss, goodness and ranking of the training images, epoch by epoch"
    heading(figure, "Every layer has its own loss", explanation, 0.9, 0.055)
    axes = figure.subplots(1, 3)
    figure.subplots_adjust(left=0.065, right=0.985, top=0.73, bottom=0.15, wspace=0.27)
    draw_curve(axes[0], history["loss"], "loss")
    draw_curve(axes[1], history["goodness_positive"], "goodness", ", true label")
    draw_curve(axes[1], history["goodness_negative"], "goodness", ", negative label", linestyle=":")
    draw_curve(axes[2], 100 * history["ranking_accuracy"], "images (%)")
    for axis, title in zip(axes, ("Loss", "Goodness", "True label scores higher"), strict=True):
        axis.set_title(title, fontsize=11)
        axis.grid(axis="y", color=PALE, alpha=0.5)
        axis.legend(frameon=False, fontsize=9)


def draw_curve(axis, values, unit, label="", **style):
    epochs = np.arange(1, len(values) + 1)
    for layer, (curve, color) in enumerate(zip(values.T, (BLUE, TEAL), strict=True), start=1):
        axis.plot(epochs, curve, color=color, lw=2, label=f"layer {layer}{label}", **style)
    axis.set(xlabel="epoch", ylabel=unit)


def draw_images(figure, model, X, y, names):
    """Eight test images, each beside the goodness of every label."""
    shown = pick(model, X, y)
    classifier, scaled = model[-1], model[:-1].transform(X[shown])
    scores = classifier.scale_ * classifier.layer_scores(scaled).sum(1)
    scores -= scores.min(1, keepdims=True)
    sure = model.predict_proba(X[shown]).max(1)
    explanation = "goodness of every label above that of the worst, in log-odds:"
    heading(figure, "How good is this image with that label?", explanation, 0.955, 0.032)
    color_key(figure)
    grid = dict(width_ratios=[1.15, 1] * 4, wspace=0.4, hspace=0.3)
    axes = figure.subplots(2, 8, gridspec_kw=grid).reshape(-1, 2)
    figure.subplots_adjust(left=0.03, right=0.985, top=0.855, bottom=0.08)
    cases = zip(axes, X[shown], y[shown], scores, sure, strict=True)
    for (left, right), x, truth, score, probability in cases:
        guess = int(model.classes_[score.argmax()])
        draw_image(left, x, names[truth], names[guess], probability)
        draw_bars(right, score, truth, guess, names)
        right.set_xlim(0, 1.05 * scores.max())


def pick(model, X, y):
    """Up to two errors, two images with the least certain labels, and images of other classes."""
    p = np.sort(model.predict_proba(X), axis=1)
    sure, wrong = p[:, -1] - p[:, -2], model.predict(X) != y
    near = [row for row in np.argsort(sure, kind="stable") if not wrong[row]][:2]
    doubtful = [*near, *np.flatnonzero(wrong)[:2]]
    others = [np.flatnonzero(y == label)[0] for label in np.unique(y) if label not in y[doubtful]]
    return np.array(others[: 8 - len(doubtful)] + doubtful)


def draw_image(axis, x, truth, guess, p):
    side = int(np.sqrt(len(x)))
    axis.imshow(x.reshape(side, side), cmap="gray_r")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(True)
    axis.set_title(truth, fontsize=12, fontweight="bold", color=BLUE)
    axis.set_xlabel(f"seen as {guess} ({p:.0%})", fontsize=9, color=INK if truth == guess else RED)


def draw_bars(axis, score, truth, guess, names):
    colors = [PALE] * len(score)
    colors[guess], colors[truth] = RED, BLUE
    axis.barh(range(len(score)), score, color=colors, height=0.75)
    axis.set_yticks(range(len(score)), names)
    axis.invert_yaxis()
    axis.tick_params(length=0, labelsize=8 if len(names[0]) == 1 else 6)
    axis.set_xlabel("goodness", fontsize=9)
    axis.set_ylabel("label" if len(names[0]) == 1 else "", fontsize=9, labelpad=1)


def heading(figure, title, explanation, height, gap):
    figure.text(0.03, height, title, fontsize=15, fontweight="bold", va="bottom")
    figure.text(0.03, height - gap, explanation, color=GREY, va="bottom")


def color_key(figure):
    """The meaning of the colours of the bars, beside the explanation."""
    words = {"true label": BLUE, "mistaken label": RED, "other labels": GREY}
    for (word, color), x in zip(words.items(), (0.40, 0.475, 0.58), strict=True):
        figure.text(x, 0.923, word, color=color, fontweight="bold", va="bottom")


def summarise(clf, results, search, n_test):
    (ours, *_), (theirs, *_) = results.values()
    best = {name.split("__")[-1]: value for name, value in search.best_params_.items()}
    ranked = min(1, clf.history_["ranking_accuracy"][-1, -1])
    print(
        f"The accuracy of FFClassifier on {n_test} test images is {ours:.1%}, that of "
        f"MLPClassifier, the same network trained by backpropagation, {theirs:.1%}.\n"
        f"After {clf.n_iter_} epochs, the last layer of FFClassifier scores the true label above "
        f"the negative one for {ranked:.1%} of the training images.\n"
        f"The best accuracy of the search, with fewer epochs and images, is "
        f"{search.best_score_:.1%} in cross-validation, for sharpness={best['sharpness']:g} and "
        f"negatives={best['negatives']!r}."
    )


if __name__ == "__main__":
    main()
