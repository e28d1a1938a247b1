"""Familiarity: how well `score_samples` separates digits of the training classes from other images.

    python examples/benchmarks/familiarity.py --folder FOLDER --seeds 0 1 2

Two tasks, measured by the area under the ROC curve: a network learns from MNIST without labels, and
new digits should be more familiar than images of Fashion-MNIST; or it learns from the digits 0 to
4, and new ones should be more familiar than 5 to 9. "default" is FFTransformer's default with two
layers. The other networks have two layers, `goodness="neg_mean_square"` and various negatives;
"untrained" has random weights, "growing" the default goodness. Each is scored by `score_samples`
("distance") and by its summed goodness, `layer_scores` ("goodness", also of results without
"read"). They are compared with IsolationForest, the residual of 50 principal components, and the
norm and the mean of a row. By default held-out training rows are scored, for the choice of
settings; `--test` learns from all training rows and scores the test rows.
"""

import argparse
import os
import time

import numpy as np
import torch
from features import auc
from mnist import HELD_OUT, split
from results import emit, machine
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest

from sklearn_ff import FFTransformer
from sklearn_ff.datasets import load_images
from sklearn_ff.negatives import HybridMask

NETWORKS = {
    "default": {"negatives": "pair_sum", "goodness": "mean_square"},
    "noise": {"negatives": "noise"},
    "hybrid_mask": {"negatives": HybridMask((1, 28, 28))},
    "shuffle": {"negatives": "shuffle"},
    "pair_sum": {"negatives": "pair_sum"},
    "growing": {"negatives": "noise", "goodness": "mean_square"},
    "untrained": {"negatives": "noise", "max_iter": 1, "learning_rate_init": 1e-12},
}


def main():
    args = arguments()
    torch.set_num_threads(args.threads or torch.get_num_threads())
    for task, (rows, familiar, strange) in tasks(args).items():
        for name in args.others:
            found = measured(OTHERS[name](rows), familiar, strange)
            emit({**describe(args, task), "by": name, **found}, args.output)
        for name in args.networks:
            for seed in args.seeds:
                for read, score in network(args, name, seed, rows).items():
                    found = {"by": name, "seed": seed, "read": read}
                    found |= measured(score, familiar, strange)
                    emit({**describe(args, task), **found}, args.output)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default=os.environ.get("SKLEARN_FF_DATA"))
    parser.add_argument("--networks", nargs="*", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--others", nargs="*", choices=list(OTHERS), default=list(OTHERS))
    parser.add_argument("--units", type=int, nargs="+", default=[500, 500])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rows", type=int, default=60_000, help="rows to learn from, at most")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, help="of torch; all cores by default")
    parser.add_argument("--test", action="store_true", help="score the test rows")
    parser.add_argument("--output", help="file to append the results to")
    return parser.parse_args()


def tasks(args):
    """Training rows, new rows of the same classes, and strange rows, of one task."""
    X, y, X_new, y_new = split(
        *load_images("mnist", args.folder, download=not args.folder), args.test
    )
    clothes, _, clothes_test, _ = load_images(
        "fashion_mnist", args.folder, download=not args.folder
    )
    strange = clothes_test if args.test else clothes[:HELD_OUT]
    X, X_new, strange = (rows.astype(np.float32) for rows in (X, X_new, strange))
    low = X[y < 5][: args.rows], X_new[y_new < 5], X_new[y_new >= 5]
    return {"fashion": (X[: args.rows], X_new, strange), "digits_5_to_9": low}


def network(args, name, seed, rows):
    params = {"hidden_layer_sizes": args.units, "goodness": "neg_mean_square"}
    params |= {"max_iter": args.epochs, "random_state": seed, **NETWORKS[name]}
    fitted = FFTransformer(**params).fit(rows)
    return {
        "distance": fitted.score_samples,
        "goodness": lambda X: fitted.layer_scores(X).sum((1, 2)),
    }


def residual(rows):
    """Minus the squared distance of a row from the plane of 50 principal components."""
    pca = PCA(50, random_state=0).fit(rows)
    return lambda X: -((X - pca.inverse_transform(pca.transform(X))) ** 2).sum(1)


OTHERS = {
    "isolation_forest": lambda rows: IsolationForest(random_state=0).fit(rows).score_samples,
    "components": residual,
    "minus_norm": lambda rows: lambda X: -np.linalg.norm(X, axis=1),
    "minus_mean": lambda rows: lambda X: -X.mean(1),
}


def measured(score, familiar, strange):
    start = time.perf_counter()
    area = auc(score(familiar), score(strange))
    return {"auc": area, "seconds_scoring": time.perf_counter() - start}


def describe(args, task):
    rows = "test" if args.test else "held_out"
    what = {"benchmark": "familiarity", "task": task, "rows": rows, "epochs": args.epochs}
    return what | {"units": args.units, "learned_from": args.rows, **machine()}


if __name__ == "__main__":
    main()
