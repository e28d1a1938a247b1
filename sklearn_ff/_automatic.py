"""The meaning of "auto": rules that depend on facts of the training rows only."""

from dataclasses import dataclass

from ._families import given_negatives
from ._parts import is_name
from .goodness import goodness
from .objectives import Logistic

ONE_BATCH = 256  # rows that are one batch, in double precision, at most
BATCH = 128  # rows of a batch where there are more
FEW_CLASSES = 20  # classes of texts for which all negative labels are used, at most
LARGE_LAYER = 100_000  # weights of a layer from which low precision is faster
PATH = 6.0  # the rate of a fit times its updates ...
RATES = 5e-3, 3e-2  # ... and within these bounds, of which the lower one is for ...
EPOCHS = 10  # ... so many epochs or more, and grows with the root of fewer
# Adam divides by the size of a gradient plus eps. With its usual 1e-8 the weights of a word that
# occurs twice change as much as those of a common one; this is about a common word's gradient.
WORDS_EPS = 1e-3


@dataclass(frozen=True)
class Facts:
    """Facts for the rules: the number of rows and of classes, and the kind of scaling.

    `n_classes` is 1 where no labels are learned.
    """

    n_rows: int
    n_classes: int
    scaling: str | None

    @property
    def few_texts(self):
        """Whether rows are texts, or mostly zeros like these, of a small number of classes."""
        return self.scaling == "sparse" and self.n_classes <= FEW_CLASSES


@dataclass(frozen=True)
class Budget:
    """Budget of a fit: updates, updates of a fit in one batch, and a fixed rate, if any."""

    updates: int
    updates_of_one_batch: int
    rate: float | None = None


LABELS = Budget(300, 200)
ROWS = Budget(1200, 1200, rate=2e-3)


def budget(settings):
    """The budget of a fit with labels, or with rows that compete with negative ones."""
    return LABELS if settings.supervised else ROWS


def automatic_part(name, settings, facts):
    """The meaning of "auto" for `negatives`, `objective` or `input_normalization`."""
    return AUTOMATIC[name](settings, facts)


def _negatives(settings, facts):
    if not settings.supervised:
        return "noise" if _quiet(settings) else "pair_sum"
    one_pass = goodness.get(settings.goodness).scores_classes
    return "all" if one_pass or facts.few_texts or facts.n_rows <= ONE_BATCH else "hard"


def _objective(settings, facts):
    if not settings.supervised:
        # Thresholds of Chen et al. (2025), which a goodness that is never positive cannot reach.
        return "symba" if _quiet(settings) else Logistic(4.0, 1.0, 6.0)
    part = given_negatives(settings.negatives)
    of_rows = part is not None and part.of_rows
    return "softmax" if facts.few_texts and not of_rows else "swish"


def _input_normalization(settings, facts):
    """Rows that compete with corrupted ones are normalised, so that their lengths do not differ."""
    if settings.predicts:
        part = given_negatives(settings.negatives)
        alone = part is not None and part.of_rows and not part.labelled
    else:
        alone = not settings.supervised
    return "rms" if alone else None


def _quiet(settings):
    return goodness.get(settings.goodness).quiet


AUTOMATIC = {
    "negatives": _negatives,
    "objective": _objective,
    "input_normalization": _input_normalization,
}


def optimizer_params(settings, facts):
    """Options of the optimizer; with rare words, Adam has a larger eps."""
    automatic = is_name(settings.optimizer, "adam") and settings.optimizer_params is None
    if automatic and facts.scaling == "sparse" and facts.n_classes > 1:
        return {"eps": WORDS_EPS}
    return settings.optimizer_params


def batch_size(settings, n_rows):
    """Rows of a batch."""
    asked = settings.batch_size
    if asked == "all" or (asked == "auto" and n_rows <= ONE_BATCH):
        return n_rows
    return BATCH if asked == "auto" else min(int(asked), n_rows)


def max_iter(settings, schedule, n_batches):
    """Epochs of a schedule whose epochs have `n_batches` batches."""
    if schedule.holds_epochs:
        return schedule.n_epochs()
    if settings.max_iter != "auto":
        return int(settings.max_iter)
    found = budget(settings)
    updates = found.updates if n_batches > 1 else found.updates_of_one_batch
    return max(EPOCHS, -(-updates // n_batches))


def learning_rate(settings, epochs, n_batches):
    """The initial rate: higher for few updates or epochs, lowest where `epochs` is None."""
    if not is_name(settings.learning_rate_init, "auto"):
        return settings.learning_rate_init
    if budget(settings).rate is not None:
        return budget(settings).rate
    lowest, highest = RATES
    if epochs is None:
        return lowest
    lowest *= max(1.0, EPOCHS / epochs) ** 0.5
    return min(highest, max(lowest, PATH / (epochs * n_batches)))


def double_precision(settings, n_rows):
    """Whether numbers are in float64."""
    small = settings.precision == "auto" and n_rows <= ONE_BATCH
    return settings.precision == "float64" or small
