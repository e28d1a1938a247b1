"""Features learned without labels
===============================

Learn features without labels, and measure the accuracy of a linear classifier on them.

    python examples/plot_features.py

The images are the digits of scikit-learn. FFTransformer learns from them without their labels, in a
pipeline before LogisticRegression; a grid search selects its layers and its output. The features
are compared with raw pixels and PCA.
"""

import argparse

from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from sklearn_ff import FFTransformer

GRID = {
    "features__hidden_layer_sizes": [(256,), (256, 256)],
    "features__output": ["activations", "triangle"],
}


def parser():
    parser = argparse.ArgumentParser(description="Features without labels, beside pixels and PCA.")
    add = parser.add_argument
    add("--max-iter", type=int, default=20, help="epochs of FFTransformer (default: %(default)s)")
    add("--quick", action="store_true", help="a small grid, to check that everything runs")
    return parser


def main():
    args = parser().parse_args()
    X, y = load_digits(return_X_y=True)
    split = train_test_split(X, y, test_size=600, stratify=y, random_state=0)
    features = FFTransformer(max_iter=args.max_iter, random_state=0)
    grid = {name: values[-1:] for name, values in GRID.items()} if args.quick else GRID
    searches = {
        "raw pixels": search("passthrough", {}),
        "PCA": search(PCA(random_state=0), {"features__n_components": [16, 32, 48]}),
        "FFTransformer": search(features, grid),
    }
    print(f"{'features':14}{'cross-validated':>16}{'test':>8}  chosen")
    for name, model in searches.items():
        accuracy = judge(name, model, *split)
    error = 2 * (accuracy * (1 - accuracy) / len(split[3])) ** 0.5
    print(f"The error of a test accuracy is about {error:.3f}; a smaller difference is not ranked.")


def search(features, grid):
    """Logistic regression on these features; the grid sets nested parameters."""
    steps = [
        ("scale", MinMaxScaler()),
        ("features", features),
        ("classify", LogisticRegression(max_iter=2000)),
    ]
    grid = {**grid, "classify__C": [0.1, 1.0]}
    return GridSearchCV(Pipeline(steps), grid, cv=3)


def judge(name, model, X_train, X_test, y_train, y_test):
    accuracy = model.fit(X_train, y_train).score(X_test, y_test)
    chosen = {key.split("__")[1]: value for key, value in model.best_params_.items()}
    print(f"{name:14}{model.best_score_:16.3f}{accuracy:8.3f}  {chosen}", flush=True)
    return accuracy


if __name__ == "__main__":
    main()
