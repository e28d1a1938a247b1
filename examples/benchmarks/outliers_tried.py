"""What else was tried to tell outliers: other rules, other networks, other columns.

    python examples/benchmarks/outliers_tried.py --folder FOLDER --output FILE

On the development sets of outliers.py, by area under the ROC curve, over three seeds. "defaults" is
FFOutlierDetector; in every other line one thing differs. Other networks and columns are those of
tables alone. `--final` measures the best, and the defaults, on the final sets. Lines that are in
FILE already are not measured again.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
from outliers import DEVELOPMENT, FINAL, STRANGE, scaled, task
from results import emit
from sklearn.metrics import pairwise_distances, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import PowerTransformer
from sklearn.utils import check_random_state

from sklearn_ff import FFTransformer, _familiarity
from sklearn_ff._outliers import new_transformer, split

NETWORKS = {
    "512 units": {"hidden_layer_sizes": 512},
    "1,000 units": {"hidden_layer_sizes": 1000},
    "two layers": {"hidden_layer_sizes": (256, 256)},
    "tanh": {"activation": "tanh"},
}
BEST = "asinh / 2 beside, times LOF of scaled rows, ^0.25"


def main():
    args = arguments()
    names = FINAL if args.final else DEVELOPMENT
    lines = known(args.output)
    for seed in args.seeds:
        for name in args.sets or names:
            if (name, seed) not in lines:
                found = best(name, seed, args.folder) if args.final else tried(name, seed, args)
                lines[name, seed] = {"benchmark": "outliers_tried", "set": name, "seed": seed}
                lines[name, seed]["auroc"] = found
                emit(lines[name, seed], args.output)
    table([name for name in names if (name, args.seeds[0]) in lines], lines)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default=os.environ.get("SKLEARN_FF_DATA"))
    parser.add_argument("--sets", nargs="+", choices=[*DEVELOPMENT, *FINAL])
    parser.add_argument("--final", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--output", help="file with results, to which others are appended")
    return parser.parse_args()


def known(output):
    if not output or not Path(output).exists():
        return {}
    lines = map(json.loads, Path(output).read_text(encoding="utf-8").splitlines())
    return {(line["set"], line["seed"]): line for line in lines}


def table(names, lines):
    """Means over the seeds, and of these over the sets."""
    for variant in dict.fromkeys(v for line in lines.values() for v in line["auroc"]):
        found = [
            np.mean(
                [line["auroc"].get(variant, np.nan) for key, line in lines.items() if key[0] == n]
            )
            for n in names
        ]
        print(f"| {variant} |", *(f"{area:.3f} |" for area in [*found, np.nanmean(found)]))


# Rules, by distances among the rows that are learned from, and of others from these --------------


def distances(parts):
    learn = np.asarray(parts[0], np.float32)
    among = pairwise_distances(learn)
    np.fill_diagonal(among, np.inf)
    return among, [pairwise_distances(np.asarray(part, np.float32), learn) for part in parts[1:]]


def spacing(among, neighbours=5):
    k = min(neighbours, len(among) - 1)
    found = np.partition(among, k - 1, 1)[:, :k].mean(1)
    return np.maximum(found, 1e-3 * found.mean())


def strange(among, others, power=1.0, nearest=1, neighbours=5):
    """d (d / s)^power of the others: the mean of the least."""
    s = spacing(among, neighbours)
    found = [rows * (rows / s) ** power for rows in others]
    return [np.partition(rows, nearest - 1, 1)[:, :nearest].mean(1) for rows in found]


def product(first, second, power=1.0):
    pairs = zip(first, second, strict=True)
    return [np.log(np.maximum(a, 1e-12)) + power * np.log(np.maximum(b, 1e-12)) for a, b in pairs]


def local(parts, neighbours=5):
    """The local outlier factor of the new and the strange rows."""
    k = min(neighbours, len(parts[0]) - 1)
    model = LocalOutlierFactor(k, novelty=True).fit(np.asarray(parts[0], np.float32))
    return [-model.score_samples(np.asarray(part, np.float32)) for part in parts[1:]]


def area(found):
    return float(roc_auc_score(np.repeat([0, 1], [*map(len, found)]), np.concatenate(found)))


# Columns: from the rows that are learned from to a function of rows -------------------------------


def power(learn):
    return PowerTransformer().fit(learn).transform


def robust(learn):
    low, middle, high = np.quantile(learn, [0.25, 0.5, 0.75], 0)
    spread = np.where(high > low, high - low, learn.std(0))
    return lambda X: (X - middle) * 1.35 / np.where(spread > 0, spread, 1)


def asinh(learn):
    scale = robust(learn)
    return lambda X: np.arcsinh(scale(X))


def beside(share):
    def columns(learn):
        scale = robust(learn)
        return lambda X: np.concatenate([scale(X), share * np.arcsinh(scale(X))], 1)

    return columns


COLUMNS = {
    "power": power,
    "asinh": asinh,
    "asinh beside": beside(1),
    "asinh / 2 beside": beside(0.5),
}


# Measuring ----------------------------------------------------------------------------------------


def whitened(parts, random, **params):
    """The activations of FFOutlierDetector, and its network."""
    default = FFTransformer(negatives="shuffle", n_threads=1, **params)
    network = new_transformer(default, random).fit(parts[0])
    return [read(network, part) for part in parts], network


def read(network, part):
    return np.concatenate([values for _, values in network._whitened(part)])


def rows_of(name, seed, folder):
    learn, new, odd = task(name, seed, folder)
    random = check_random_state(seed)
    used, _ = split(len(learn), 0.1, random)
    return (learn[used], new, odd), random


def tried(name, seed, args):
    parts, random = rows_of(name, seed, args.folder)
    activations, network = whitened(parts, random)
    there, rows = distances(activations), distances(plain := scaled(name, parts))
    usual, raw = strange(*there), strange(*rows)
    found = {
        "defaults": usual,
        "d": strange(*there, power=0),
        "d (d / s)^0.5": strange(*there, power=0.5),
        "d (d / s)^1.5": strange(*there, power=1.5),
        "two nearest": strange(*there, nearest=2),
        "three nearest": strange(*there, nearest=3),
        "s of three": strange(*there, neighbours=3),
        "s of ten": strange(*there, neighbours=10),
        "times that of scaled rows, ^0.25": product(usual, raw, 0.25),
        "times that of scaled rows": product(usual, raw),
        "times LOF": product(usual, local(activations)),
        "times LOF of scaled rows, ^0.25": product(usual, local(plain), 0.25),
        "distance from the mean": [-network.score_samples(part) for part in parts[1:]],
    }
    for prior in (0.3, 30):
        _familiarity.FEW_PRIOR_ROWS, before = prior, _familiarity.FEW_PRIOR_ROWS
        found[f"prior of {prior} rows"] = strange(*distances([read(network, p) for p in parts]))
        _familiarity.FEW_PRIOR_ROWS = before
    found["another seed"] = strange(*distances(whitened(parts, random)[0]))
    if is_table(name):
        for variant, params in NETWORKS.items():
            found[variant] = varied(name, seed, args.folder, **params)
        for variant, columns in COLUMNS.items():
            found[variant] = varied(name, seed, args.folder, columns)
    found[BEST] = combined(name, seed, args.folder, found)
    return {variant: area(rows) for variant, rows in found.items()}


def is_table(name):
    return name not in STRANGE and name != "digits"


def varied(name, seed, folder, columns=None, **params):
    parts, random = rows_of(name, seed, folder)
    if columns is not None:
        function = columns(parts[0])
        parts = [function(part) for part in parts]
    return strange(*distances(whitened(parts, random, **params)[0]))


def combined(name, seed, folder, found):
    other = varied(name, seed, folder, beside(0.5)) if is_table(name) else found["defaults"]
    return product(other, local(scaled(name, rows_of(name, seed, folder)[0])), 0.25)


def best(name, seed, folder):
    found = {"defaults": varied(name, seed, folder)}
    found[BEST] = combined(name, seed, folder, found)
    return {variant: area(rows) for variant, rows in found.items()}


if __name__ == "__main__":
    main()
