"""Our networks, whose settings were chosen on held-out training rows, and what was tried."""

from named_run import BOTH, Run, beside, dropout, with_backpropagation
from sklearn.ensemble import BaggingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff.augmentations import Flips, Shifts
from sklearn_ff.layers import Block, Conv2d, Module
from sklearn_ff.objectives import Similarity, Softmax
from sklearn_ff.recipes import local_loss

PIXELS = (1, 28, 28)


def convolutions(seed):
    """Three convolutions, a readout in each, of which the last one predicts."""
    return FFClassifier(
        layers=[Conv2d(n, norm="batch", pool="max") for n in (32, 64, 128)],
        image_shape=PIXELS,
        augmentation=Shifts(1),
        goodness="readout",
        objective=Softmax(1.0),
        learning_rate_init=3e-3,
        prediction_layers=[-1],
        max_iter=12,
        random_state=seed,
    )


def pairs(*augmentation, **more):
    """Three blocks of two convolutions; a block is trained as one by the readout on it."""

    def make(seed):
        layers = [
            Block([Conv2d(n, norm="batch"), Conv2d(n, norm="batch", pool="max")])
            for n in (32, 64, 128)
        ]
        settings = {"learning_rate_init": 2e-3, "max_iter": 20} | more
        return convolutions(seed).set_params(
            layers=layers, augmentation=list(augmentation), **settings
        )

    return make


def dense_with_shifts(seed):
    return FFClassifier(
        (1000, 1000),
        image_shape=PIXELS,
        augmentation=Shifts(1),
        goodness="readout",
        dropout=0.2,
        learning_rate_init=2e-3,
        max_iter=60,
        random_state=seed,
    )


def dense(units=(1000, 1000), data="mnist", published=None, rules=("goodness",), **more):
    """A dense network; every parameter that is not named is the default."""
    return Run(
        lambda seed: FFClassifier(units, random_state=seed, **more),
        rules,
        data=data,
        published=published or {},
    )


def vote(n=5, **more):
    """Networks that differ by their seeds; their probabilities are averaged."""

    def make(seed):
        one = FFClassifier((1000, 1000), prediction="hybrid", max_iter=20)
        return BaggingClassifier(one, n, bootstrap=False, random_state=seed)

    return Run(make, (), by=f"a vote of {n} networks", **more)


# Readouts, with dropout of pixels too.
DROPPED = {
    "layers": [Block([Module(dropout(0.2)), 1000]), 1000],
    "goodness": "readout",
    "objective": Softmax(1.0),
    "input_normalization": "rms",
    "dropout": 0.4,
    "learning_rate_init": 1e-3,
    "max_iter": 60,
}
LOCAL = {
    "goodness": "readout",
    "objective": Softmax(1.0),
    "dropout": 0.3,
    "input_normalization": "rms",
    "learning_rate_init": 1e-3,
    "max_iter": 20,
}
VARIED = {"image_shape": PIXELS, "augmentation": [Shifts(1), Flips()], "max_iter": 60}

LOCAL_LOSS = "local losses (Nøkland and Eidnes)"
CONVOLUTIONAL = {
    "mnist": {"goodness": f"0.30 % (Wu et al.); {LOCAL_LOSS} 0.31 %"},
    "fashion_mnist": {"goodness": f"6.11 % (Wu et al.); {LOCAL_LOSS} 4.65 %"},
}
NETWORKS = {
    "fashion_conv_pairs": Run(
        pairs(Shifts(2), Flips(), max_iter=30),
        data="fashion_mnist",
        published=CONVOLUTIONAL["fashion_mnist"],
    ),
    "mnist_dense_shifts": Run(
        dense_with_shifts, published={"goodness": f"0.64 % (Hinton); {LOCAL_LOSS} 0.62 %"}
    ),
    "fashion_dense": dense(
        data="fashion_mnist",
        published={"head": "local losses (Mono-Forward) 9.48 %"},
        rules=BOTH,
        dropout=0.2,
        max_iter=20,
    ),
}
IMAGES = {
    "mnist_conv": Run(convolutions, published=CONVOLUTIONAL["mnist"]),
    "fashion_conv": Run(
        convolutions, data="fashion_mnist", published=CONVOLUTIONAL["fashion_mnist"]
    ),
    **with_backpropagation(NETWORKS),
    "mnist_dense_vote": vote(published={"predict": "of one network 1.26 % (Mono-Forward)"}),
}


def features(C=0.02, units=(2000, 2000), shifts=1, data="mnist", **more):
    """Features that are learned without labels, and a linear classifier on them."""
    varied = {"augmentation": Shifts(shifts), "image_shape": PIXELS} if shifts else {}

    def make(seed):
        return linear(FFTransformer(units, random_state=seed, **varied, **more), C)

    return Run(make, (), data=data, by="a linear classifier")


def linear(features, C=0.02):
    """A linear classifier on features."""
    return make_pipeline(features, LogisticRegression(C=C, max_iter=200, tol=1e-3))


FEATURES = {}

SUBSET, RGB = "cifar10_16k", (3, 32, 32)


def blocks():
    """Three blocks of two convolutions; the first layers see images of 32 x 32 pixels."""
    return [
        Block([Conv2d(n, norm="batch"), Conv2d(n, norm="batch", pool="max")]) for n in (40, 80, 160)
    ]


def colours(**more):
    """A network on the subset of CIFAR-10, with shifts and flips."""

    def make(seed):
        settings = {"image_shape": RGB, "augmentation": [Shifts(2), Flips()], "max_iter": 25}
        return FFClassifier(
            layers=blocks(), learning_rate_init=1e-3, random_state=seed, **settings | more
        )

    return Run(make, data=SUBSET, against="cifar_backprop")


READOUT = {"goodness": "readout", "objective": Softmax(1.0), "prediction_layers": [-1]}
CIFAR = {
    "cifar_labels": colours(overlay="spatial", max_iter=12),
    "cifar_groups": colours(goodness="class_groups", objective=Softmax(1.0)),
    "cifar_readout": colours(**READOUT),
    "cifar_similarity": colours(**READOUT | {"objective": Similarity(sharpness=1.0)}),
}
CIFAR["cifar_backprop"] = beside(CIFAR["cifar_readout"])

# Tried on held-out rows (`run.py --validate`), for the choice of the settings above.
TRIES = {
    "try_dense_local": dense(**LOCAL),
    "try_dense_hard": dense(dropout=0.2, max_iter=20),
    "try_dense_wide": dense(max_iter=20, rules=("goodness", "head", "hybrid")),
    "try_dense_wider": dense((2000, 2000), max_iter=20, rules=("goodness", "head", "hybrid")),
    "try_dense_readout_hard": dense(
        goodness="readout", negatives="hard", dropout=0.3, max_iter=20, rules=BOTH
    ),
    "try_dense_long": dense(dropout=0.2, max_iter=50, rules=("goodness", "head", "hybrid")),
    "try_dense_inputs": dense((256,), **DROPPED),
    "try_dense_vote": vote(),
    "try_fashion_local": dense(data="fashion_mnist", **LOCAL),
    "try_fashion_hard": dense(data="fashion_mnist", dropout=0.2, max_iter=20, rules=BOTH),
    "try_fashion_wide": dense((2000, 2000), data="fashion_mnist", **LOCAL),
    "try_shifts_pred": Run(lambda seed: local_loss("pred", random_state=seed), ("last",)),
    "try_fashion_varied_pred": Run(
        lambda seed: local_loss("pred", augmentation=["shifts", "flips"], random_state=seed),
        ("last",),
        data="fashion_mnist",
    ),
    "try_fashion_varied": dense(data="fashion_mnist", rules=BOTH, **VARIED),
    "try_fashion_varied_readout": dense(
        data="fashion_mnist", goodness="readout", objective=Softmax(1.0), dropout=0.1, **VARIED
    ),
    "try_features_long": features(max_iter=40),
    "try_features_more_shifts": features(shifts=2, max_iter=20),
    "try_conv_pairs": Run(pairs(Shifts(2))),
    "try_conv_similarity": Run(pairs(Shifts(2), objective=Similarity(sharpness=1.0))),
    "try_fashion_conv_pairs": Run(pairs(Shifts(2), Flips()), data="fashion_mnist"),
}
