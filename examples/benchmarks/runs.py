"""The named runs of `run.py`: rows, estimator, scores, and published figures.

A new run is an entry in one of the dictionaries at the end.
"""

from named_run import BOTH, HEAD, Run
from runs_ablation import ABLATION
from runs_field import FIELD, FULL, UNLABELLED
from runs_ours import CIFAR, FEATURES, IMAGES, TRIES
from sklearn.neural_network import MLPClassifier

from sklearn_ff import FFClassifier, recipes
from sklearn_ff.negatives import Uniform

SMALL_DIGITS = (0, 1, 2, 3, 4)


UNSEEN = {"goodness": "chance: layers see no labels"}


def rmwkwok(supervised, n_units=100, published=None, every=1, **more):
    """A run of the five-digit set-up, with scores after epochs as in the program."""
    return five_digits(recipes.rmwkwok_dense, supervised, published, every, n_units=n_units, **more)


def five_digits(recipe, supervised, published=None, every=1, **more):
    return Run(
        lambda seed: recipe(supervised, random_state=seed, **more),
        BOTH if supervised else HEAD,
        classes=SMALL_DIGITS,
        every=every,
        watch_test=True,
        published=published or {},
        instead={} if supervised else UNSEEN,
    )


def backprop(n_units):
    return lambda seed: MLPClassifier(
        (n_units,) * 4, alpha=0, batch_size=128, max_iter=20, tol=0, random_state=seed
    )


RECIPES = {
    "mpezeshki": Run(
        lambda seed: recipes.mpezeshki(random_state=seed),
        n_train=50_000,
        every=100,
        train_error=True,
        published={"goodness": "6.84 % (training rows 6.75 %)"},
    ),
    "mpezeshki_never_true": Run(  # without the flaw of its negatives
        lambda seed: recipes.mpezeshki(negatives=Uniform(redraw="once"), random_state=seed),
        n_train=50_000,
        every=100,
        train_error=True,
    ),
    "mpezeshki_our_defaults": Run(  # the same layers, defaults otherwise
        lambda seed: FFClassifier((500, 500), max_iter=10, random_state=seed),
        n_train=50_000,
        every=1,
        train_error=True,
    ),
    "hinton_supervised": Run(
        lambda seed: recipes.hinton_supervised(random_state=seed),
        BOTH,
        published={"goodness": "1.44 %", "head": "1.47 %"},
    ),
    "loewe": Run(
        lambda seed: recipes.loewe(random_state=seed),
        BOTH,
        n_train=50_000,
        every=5,
        published={"head": "1.45 %"},
    ),
}
RMWKWOK = {
    "rmwkwok_backprop": Run(
        backprop(100),
        (),
        classes=SMALL_DIGITS,
        learned=SMALL_DIGITS,
        published={"predict": "99.2"},
        by="backpropagation",
    ),
    "rmwkwok_dense": rmwkwok(False, published={"head": "96.2", "goodness": "22.7"}),
    "rmwkwok_dense_supervised": rmwkwok(
        True, published={"head": "96.1 (notebook 96.4)", "goodness": "76.7 (notebook 78.1)"}
    ),
    "rmwkwok_conv": five_digits(recipes.rmwkwok_conv, False, {"head": "95.1", "goodness": "41.5"}),
    "rmwkwok_conv_supervised": five_digits(
        recipes.rmwkwok_conv,
        True,
        {"head": "94.6 (notebook 94.0)", "goodness": "68.6 (notebook 71.7)"},
    ),
    "rmwkwok_500": rmwkwok(False, 500, {"head": "98.4"}, 5, version="layer_based", batch_size=512),
    "rmwkwok_500_supervised": rmwkwok(
        True, 500, {"goodness": "95.8"}, 5, version="layer_based", batch_size=512
    ),
    "rmwkwok_2000": rmwkwok(
        False, 2000, {"head": "99.1"}, 20, version="layer_based", batch_size=512
    ),
    "rmwkwok_2000_supervised": rmwkwok(
        True, 2000, {"goodness": "97.4"}, 20, version="layer_based", batch_size=512
    ),
}
GROUPS = {
    "recipes": RECIPES,
    "field": FIELD | FULL,
    "rmwkwok": RMWKWOK,
    "ablation": ABLATION,
    "images": IMAGES,
    "unlabelled": UNLABELLED | FEATURES,
    "cifar": CIFAR,
    "tries": TRIES,
}
RUNS = {name: run for group in GROUPS.values() for name, run in group.items()}
GROUP_OF = {name: group for group, runs in GROUPS.items() for name in runs}
