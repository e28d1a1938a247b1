"""Features without labels: LogisticRegression on FFTransformer's features of MNIST, and on others.

    python examples/benchmarks/features.py --folder FOLDER --features pixels untrained pair_sum

"pixels" are the rows themselves, "pca" their first principal components, "rbm" the hidden units of
a BernoulliRBM, "untrained" a network of the same size with random weights; every other name is
FFTransformer with these negatives. By default held-out training rows are scored, for the choice of
settings; `--test` learns from all training rows and scores the test rows. For features with a
familiarity, a result has the ROC AUC of MNIST against Fashion-MNIST too; see `familiarity.py`.
"""

import argparse
import os
import time

import numpy as np
import torch
from mnist import HELD_OUT, split
from results import emit, machine
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from sklearn_ff import FFTransformer
from sklearn_ff.augmentations import Shifts
from sklearn_ff.datasets import load_images
from sklearn_ff.negatives import HeldOutClasses, HybridMask

NEGATIVES = {
    "hybrid_mask": HybridMask((1, 28, 28)),
    "held_out_classes": HeldOutClasses([5, 6, 7, 8, 9]),  # the only ones that read the labels
}


def main():
    args = arguments()
    torch.set_num_threads(args.threads or torch.get_num_threads())
    X, y, X_scored, y_scored = split(
        *load_images("mnist", args.folder, download=not args.folder), args.test
    )
    X, y = X[: args.rows], y[: args.rows]
    X, X_scored = X.astype(np.float32), X_scored.astype(np.float32)
    strange = odd_rows(args)
    for seed in args.seeds:
        for name in args.features:
            emit(run(args, name, seed, X, y, X_scored, y_scored, strange), args.output)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default=os.environ.get("SKLEARN_FF_DATA"))
    parser.add_argument("--features", nargs="+", default=["pixels", "untrained", "pair_sum"])
    parser.add_argument("--units", type=int, nargs="+", default=[2000, 2000])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rows", type=int, default=60_000, help="rows to learn from, at most")
    parser.add_argument("--shifts", type=int, default=0, help="of training images, pixels at most")
    parser.add_argument("--threads", type=int, help="of torch; all cores by default")
    parser.add_argument("--c", type=float, default=0.02, help="of LogisticRegression")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--test", action="store_true", help="score the test rows")
    parser.add_argument("--output", help="file to append the results to")
    return parser.parse_args()


def odd_rows(args):
    X_train, _, X_test, _ = load_images("fashion_mnist", args.folder, download=not args.folder)
    return X_test if args.test else X_train[:HELD_OUT]


def run(args, name, seed, X, y, X_scored, y_scored, strange):
    start = time.perf_counter()
    features = transformer(args, name, seed)
    Z, Z_scored = both(features, X, y, X_scored)
    learned = time.perf_counter()
    model = LogisticRegression(C=args.c, max_iter=200, tol=1e-3).fit(Z, y)
    result = {
        **describe(args),
        "features": name,
        "shifts": args.shifts if isinstance(features, FFTransformer) else 0,
        "seed": seed,
        "error": float(np.mean(model.predict(Z_scored) != y_scored)),
        "error_train": float(np.mean(model.predict(Z) != y)),
        "seconds_features": learned - start,
        "seconds_model": time.perf_counter() - learned,
    }
    if isinstance(features, FFTransformer):
        result["auc"] = auc(features.score_samples(X_scored), features.score_samples(strange))
    return result


def transformer(args, name, seed):
    if name == "pixels":
        return MinMaxScaler()
    if name == "pca":
        return PCA(200, whiten=True, random_state=seed)
    if name == "rbm":
        rbm = BernoulliRBM(args.units[0], n_iter=args.epochs, batch_size=100, random_state=seed)
        return make_pipeline(MinMaxScaler(), rbm)
    params = {"hidden_layer_sizes": args.units, "max_iter": args.epochs, "random_state": seed}
    if name == "untrained":
        return FFTransformer(**params | {"max_iter": 1, "learning_rate_init": 1e-12})
    if args.shifts:
        params |= {"augmentation": Shifts(args.shifts), "image_shape": (1, 28, 28)}
    return FFTransformer(**params, negatives=NEGATIVES.get(name, name))


def both(features, X, y, X_scored):
    return features.fit(X, y).transform(X), features.transform(X_scored)


def describe(args):
    rows = "test" if args.test else "held_out"
    what = {"benchmark": "features", "rows": rows, "epochs": args.epochs, "units": args.units}
    what |= {"C": args.c, "learned_from": args.rows, "threads": torch.get_num_threads()}
    return what | machine()


def auc(familiar, strange):
    """ROC AUC of known rows against strange ones."""
    kind = np.repeat([1, 0], [len(familiar), len(strange)])
    return float(roc_auc_score(kind, np.r_[familiar, strange]))


if __name__ == "__main__":
    main()
