"""Seconds per epoch on a GPU, beside plain backprop of the same layers on the same card.

    python examples/benchmarks/gpu_time.py --folder FOLDER \
        --output examples/benchmarks/results/gpu_time.jsonl

Rows are MNIST's. "dense" is 784-2000-2000-2000-2000 with the default method, "conv" three
convolutions of 32, 64 and 128 channels with batch normalisation, pooling and a readout in each.
"backprop" is a loop of ten lines on the same layers and a last linear one, with fused Adam and
cross entropy, its rows on the card, its convolutions without TF32, as ours. "recorded" is ours,
"eager" ours with compile=False. The first epoch warms up and is not counted; every epoch ends with
a synchronisation. With --beside a line says that other jobs use the card.
"""

import argparse
import os
import time
from itertools import pairwise

import numpy as np
import torch
from results import emit, machine
from torch import nn

from sklearn_ff import FFClassifier
from sklearn_ff.datasets import load_images
from sklearn_ff.layers import Conv2d

DENSE, CHANNELS = (2000, 2000, 2000, 2000), (32, 64, 128)


def main():
    args = arguments()
    X, y, X_test, y_test = load_images("mnist", args.folder)[:4]
    data = np.ascontiguousarray(X, dtype=np.float32), y
    test = np.ascontiguousarray(X_test, dtype=np.float32), y_test
    for network in args.networks:
        for batch in args.batches:
            for precision in PRECISIONS[network]:
                case = {"network": network, "batch_size": batch, "precision": precision}
                compare(args, case, data, test)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default=os.environ.get("SKLEARN_FF_DATA"))
    parser.add_argument("--networks", nargs="+", choices=list(PRECISIONS), default=list(PRECISIONS))
    parser.add_argument("--batches", type=int, nargs="+", default=[128, 1024])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--beside", action="store_true", help="other jobs use the card")
    parser.add_argument("--output", help="file to append the results to")
    return parser.parse_args()


def compare(args, case, data, test):
    theirs = backprop(args, case, *data, *test)
    for compile in ("auto", False):
        ours = forward_forward(args, case, compile, *data, *test)
        seconds, seconds_theirs = np.median(ours["seconds"]), np.median(theirs["seconds"])
        result = {
            "benchmark": "gpu_time",
            **case,
            "ours": "recorded" if compile else "eager",
            "seed": args.seed,
            "epochs": args.epochs,
            "seconds_per_epoch": float(seconds),
            "seconds_theirs": float(seconds_theirs),
            "ratio": float(seconds / seconds_theirs),
            "test_error": ours["error"],
            "test_error_theirs": theirs["error"],
            "alone": not args.beside,
            "card": torch.cuda.get_device_name(),
        }
        emit(result | machine(), args.output)


def forward_forward(args, case, compile, X, y, X_test, y_test):
    given = {
        "batch_size": case["batch_size"],
        "precision": case["precision"],
        "max_iter": args.epochs,
        "compile": compile,
        "random_state": args.seed,
        "device": "cuda",
    }
    clf = FFClassifier(**OURS[case["network"]], **given).fit(X, y)
    seconds = clf.net_.history[1:, "dur"]  # an epoch ends with a synchronisation
    return {"seconds": seconds, "error": float(np.mean(clf.predict(X_test) != y_test))}


def backprop(args, case, X, y, X_test, y_test):
    torch.manual_seed(args.seed)
    torch.backends.cudnn.allow_tf32 = False
    mean, deviation = X.mean(dtype=np.float64), X.std(dtype=np.float64)
    x, x_test = (torch.from_numpy(((a - mean) / deviation).astype("f")).cuda() for a in (X, X_test))
    target, net = torch.from_numpy(y.astype(np.int64)).cuda(), THEIRS[case["network"]]().cuda()
    optimizer = torch.optim.Adam(net.parameters(), fused=True)
    low, seconds = case["precision"] == "bfloat16", []
    for _ in range(args.epochs):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for rows in torch.randperm(len(x), device="cuda").split(case["batch_size"]):
            with torch.autocast("cuda", torch.bfloat16, enabled=low):
                loss = nn.functional.cross_entropy(net(x[rows]), target[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    with torch.no_grad():
        found = net.eval()(x_test).argmax(1).cpu().numpy()
    return {"seconds": seconds[1:], "error": float(np.mean(found != y_test))}


def dense():
    sizes = [784, *DENSE]
    hidden = [part for pair in pairwise(sizes) for part in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(DENSE[-1], 10))


def conv():
    parts = [nn.Unflatten(1, (1, 28, 28))]
    for inputs, outputs in pairwise([1, *CHANNELS]):
        parts += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)]
        parts += [nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(CHANNELS[-1] * 9, 10))


PRECISIONS = {"dense": ["float32", "bfloat16"], "conv": ["float32"]}
THEIRS = {"dense": dense, "conv": conv}
OURS = {
    "dense": {"hidden_layer_sizes": DENSE},
    "conv": {
        "layers": [Conv2d(n, norm="batch", pool="max") for n in CHANNELS],
        "image_shape": (1, 28, 28),
        "goodness": "readout",
        "learning_rate_init": 3e-3,
        "prediction_layers": [-1],
    },
}

if __name__ == "__main__":
    main()
