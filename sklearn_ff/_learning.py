"""From validated rows to a fitted state: what `fit` and `partial_fit` are made of."""

import warnings
from functools import partial
from numbers import Integral, Real

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions

from ._base import FAMILIES, ONE_BATCH
from ._calibration import fitted_scale
from ._input import InputRows
from ._lifeless import head_remedy, lifeless, remedies
from ._optimizers import resume_optimizer
from ._parts import LARGEST
from ._per_layer import check_phases, is_list, metrics_of, shown
from ._plan import warn_of_replaced, warn_of_unused
from ._scaling import column_statistics, scaler_of
from ._scoring import Accuracy, HeldOutLoss, network_scores
from ._validation import heavy, largest_number
from ._weights import check_unchanged, continue_from, initialize
from .augmentations import Augmentation, Views
from .core.build import build_network
from .core.callbacks import Decay, DivergenceGuard, FlatLoss, Log, Validation, checked_callback
from .core.engine import PASSES
from .core.rows import Rows, as_tensor, dense, n_parts
from .core.schedule import check_taught, pairs_of, stages_of
from .exceptions import DivergenceError

UPDATES = 300  # of a fit whose max_iter is "auto"
FEW_UPDATES = 200  # of one whose rows are one batch
PATH = 6.0  # the rate of a fit times its updates, where the rate is "auto" ...
RATES = 5e-3, 3e-2  # ... and within these bounds
GUARDED_UPDATES = 10  # after so many, weights and scores are looked at
PROBED_ROWS = 8  # scored after every epoch, to see that the weights are sound
# What "auto" or a name came to, told by attributes.
KEPT = (
    *("overlay", "negatives", "goodness", "objective", "input_normalization"),
    *("batch_size", "max_iter", "learning_rate_init", "scaling"),
)
LARGE = 10.0  # of values that are not scaled: beyond, this may be why a fit diverges
HISTORY = ("loss", "goodness_positive", "goodness_negative", "ranking_accuracy")
LISTS = (list, tuple)


class Learner(InputRows):
    """The private steps of learning, in the order in which `fit` takes them."""

    _parameter_constraints: dict = {
        # Arrays pass here, so that they are refused without their values.
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        **{name: family.constraint for name, family in FAMILIES.items()},
        "metric": [callable, *LISTS, None],
        "scaling": [StrOptions({"auto", "standard", "shared", "global", "sparse"}), None],
        "phases": [StrOptions({"together", "by_epoch"})],
        "schedule": [StrOptions({"simultaneous", "greedy"}), *LISTS],
        "layers": ["array-like", None],
        "image_shape": ["array-like", None],
        "augmentation": [str, callable, Augmentation, "array-like", None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "weight_init": [StrOptions({"normal", "uniform"})],
        "peer_normalization": [Interval(Real, 0, LARGEST, closed="both")],
        "optimizer": [str, type, *LISTS],
        "optimizer_params": [dict, *LISTS, None],
        "learning_rate": [StrOptions({"linear", "cosine", "cooldown", "constant"})],
        "learning_rate_init": [
            StrOptions({"auto"}),
            Interval(Real, 0, None, closed="neither"),
            "array-like",
        ],
        "alpha": [Interval(Real, 0, LARGEST, closed="both")],
        "batch_size": [StrOptions({"auto", "all"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "tol": [Interval(Real, 0, None, closed="left"), None],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "callbacks": [list, tuple, None],
        "device": [str, torch.device],
        "precision": [StrOptions({"auto", "float32", "float64", "bfloat16"})],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def _begin(self, X, codes, weight, old, resume=False):
        """A plan, and a network to train: new, or with the weights of the last fit."""
        if old is None or not resume:
            warn_of_replaced(self)
        columns = column_statistics(X, weight) if old is None else None
        kind = scaler_of(columns, self.scaling)[1] if old is None else old._plan.scaling
        plan = self._resolve(*X.shape, self._n_classes(), old and old._plan, kind)
        if old is None or not resume:
            warn_of_unused(self, plan, resume)
        plan.batch_size = self._batch_size(X.shape[0])
        plan.taught = 0 if old is None else old.net_.module_.depth  # layers that exist already
        n_batches = n_parts(X.shape[0], plan.batch_size) * len(PASSES[self.phases])
        plan.max_iter = 1 if resume else self._epochs(n_batches)
        careful = resume or self.learning_rate == "constant"
        careful = careful or any(kind.reads_images for kind in plan.kinds)
        updates = None if careful else self._longest_stage(plan) * n_batches
        plan.learning_rate_init = self._rate(updates)
        plan.groups = self._parameter_groups(plan, float(max(weight.sum(), len(weight))))
        if plan.negatives.of_rows and plan.negatives.mixes_rows and plan.batch_size < 2:
            raise ValueError(
                f"negatives={self.negatives!r} let a row compete with another one, but a batch "
                f"holds 1 sample; give at least two rows, and batch_size=2 or more."
            )
        if plan.batch_size < 2 and any(kind.whole_batches for kind in plan.kinds):
            raise ValueError(
                "norm='batch' compares a row with the others of its batch, but a batch holds 1 "
                "sample; give batch_size=2 or more, or use norm='group'."
            )
        if old is None:
            self._scale(plan, X, weight, columns)
        else:
            check_unchanged(plan, old._plan)
            self._settle(plan, X, weight)
        network = build_network(plan)
        resumed = resume and old is not None and old._resumable
        draws = old.net_.draws.copy() if resumed else self._draws(plan)
        if old is None:
            initialize(network, draws.generator, self.weight_init)
        else:
            continue_from(network, old.net_)
        return plan, network, draws

    def _n_classes(self):
        return len(self.classes_)

    def _batch_size(self, n_rows):
        if self.batch_size == "all" or (self.batch_size == "auto" and n_rows <= ONE_BATCH):
            return n_rows
        if self.batch_size == "auto":
            return 128
        return min(int(self.batch_size), n_rows)

    def _train(self, plan, network, draws, data, held_out=None, old=None, resume=False, pool=None):
        """Train and keep the result; what diverges is kept at its last finite weights."""
        n_batches = n_parts(len(data[1]), plan.batch_size)
        stages = self._stages(plan, plan.max_iter)
        own = self._own_callbacks(plan, n_batches, data[0], held_out, resume)
        users = [checked_callback(entry) for entry in self.callbacks or ()]
        check_phases(self.phases, plan, len(plan.units))
        metrics = metrics_of(self.metric, len(plan.units))
        net = self._net(plan, network, draws, list(own.items()), users, stages, metrics)
        if old is not None and old._resumable and old._plan.optimizer == plan.optimizer:
            resume_optimizer(net.optimizer_, old.net_.optimizer_)
        network.train()
        if pool is not None:
            net.negatives = plan.negatives.bind(self._pool(plan, network, *pool))
        try:
            net.train(self._rows(plan, network, draws, *data))
        except DivergenceError:
            net.optimizer_.state.clear()  # its moments are not finite any more
            self._keep(plan, net, data, old, resume)
            self._refuse_unless_sound(data[0])
            raise
        except BaseException:
            net.forget()  # a callback may hold the net
            raise
        finally:
            net.negatives = plan.negatives  # without rows set aside
        self._keep(plan, net, data, old, resume)
        self._warn(net, own.get("flat"))
        self._warn_of_lifeless(plan, network, *data[:2])
        return self

    def _pool(self, plan, network, X, weight):
        """Rows that negative ones are drawn from, as the negatives want them."""
        if not weight.any():
            raise ValueError(f"negatives={self.negatives!r} hold out rows of weight zero only.")
        X, _, weight = heavy(X, weight, weight)
        cumulative = torch.tensor(weight.cumsum() / weight.sum(), dtype=getattr(torch, plan.dtype))
        rows = as_tensor(X, cumulative.dtype, plan.device, network.scaler.scaled)
        return rows, cumulative.to(rows.device)

    def _stages(self, plan, epochs):
        """Which layers learn in which epochs."""
        stages = stages_of(self.schedule, len(plan.units), epochs, plan.head, plan.taught)
        if not plan.taught:
            check_taught(self.schedule, stages, plan.layers)
        return stages

    def _epochs(self, n_batches):
        if self._listed():
            return sum(epochs for _, epochs in pairs_of(self.schedule))
        if self.max_iter == "auto":
            return max(10, -(-self._updates(n_batches) // n_batches))
        return int(self.max_iter)

    def _longest_stage(self, plan):
        """Epochs of the longest stage of layers, in which the rate falls once."""
        stages = self._stages(plan, plan.max_iter)
        return max((stage.epochs for stage in stages if stage.layers), default=plan.max_iter)

    def _updates(self, n_batches):
        return UPDATES if n_batches > 1 else FEW_UPDATES

    def _rate(self, n_updates):
        """The initial rate: few updates go far, unless they are to go carefully (None)."""
        if not isinstance(self.learning_rate_init, str):
            return self.learning_rate_init
        lowest, highest = RATES
        return lowest if n_updates is None else min(highest, max(lowest, PATH / n_updates))

    def _rows(self, plan, network, draws, X, codes, weight):
        """Copies on the device; weights have mean 1, so that a batch's loss is not biased."""
        dtype = getattr(torch, plan.dtype)
        y = torch.as_tensor(codes, dtype=torch.int64).to(plan.device)
        weight = torch.as_tensor(weight / weight.mean(), dtype=dtype).to(plan.device)
        views, convert = None, network.scaler.scaled
        if plan.augmentation is not None:
            views = Views(plan.augmentation, plan.image_shape, draws, plan.negatives.n_views)
            convert = dense  # scaled when they have been varied
        x = X.copy() if issparse(X) else as_tensor(X, dtype, plan.device, convert)
        return Rows(x, y, weight, network.scaler, dtype, views)

    def _own_callbacks(self, plan, n_batches, X, held_out, resume):
        """The package's own, told before the user's; `n_batches` are those of a pass."""
        probe = partial(network_scores, plan=plan, X=X[:PROBED_ROWS])
        patience = -(-GUARDED_UPDATES // (n_batches * len(PASSES[self.phases])))
        own = {"guard": DivergenceGuard(probe, patience, partial(advice, plan, X))}
        if self.learning_rate != "constant" and not resume:
            own["decay"] = Decay(self.learning_rate, n_batches)
        if held_out is not None:
            patience = self.n_iter_no_change if self.early_stopping else None
            judges = Accuracy(plan, *held_out), HeldOutLoss(plan, *held_out)
            own["validation"] = Validation(*judges, patience, self.tol or 0.0)
        elif self._may_be_flat() and not resume:
            own["flat"] = FlatLoss(self.tol, self.n_iter_no_change)
        if self.verbose:
            own["log"] = Log()
        return own

    def _may_be_flat(self):
        """Whether a loss that falls no more ends a stage: a budget is meant to be spent."""
        return self.learning_rate == "constant" and self.tol is not None and not self._listed()

    def _listed(self):
        return is_list(self.schedule)

    def _keep(self, plan, net, data, old, resume):
        """The fitted attributes."""
        X, codes, weight = data
        weight = weight * max(1.0, len(weight) / weight.sum())  # rows count as one at least
        net.module_.eval()
        net.module_.requires_grad_(True)
        for name in KEPT:
            setattr(self, f"{name}_", shown(getattr(plan, name)))
        self.label_strength_ = plan.strength
        self.precision_ = "bfloat16" if plan.low_precision else plan.dtype
        self._keep_history(net, len(plan.units), old)
        net.forget()
        self._plan, self.net_, self._resumable = plan, net, resume
        self._keep_scale(X, codes, weight, old)

    def _refuse_unless_sound(self, X):
        """Raise ValueError, after which nothing is kept, if even the first weights are no use."""
        scores = self._scores(X[:PROBED_ROWS]) * getattr(self, "scale_", 1.0)
        if not np.isfinite(scores).all():
            raise ValueError(
                f"The network gave no finite scores even before training; nothing is kept. Scale "
                f"the data, or lower the label's strength, which is {self.label_strength_:.4g}."
            )

    def _keep_scale(self, X, codes, weight, old):
        counts = np.bincount(codes, weight, minlength=len(self.classes_))
        self.class_count_ = counts if old is None else counts + old.class_count_
        self.scale_, self.slips_ = self._fit_scale(X, codes, weight, old)

    def _keep_history(self, net, n_layers, old):
        epochs = [row for row in net.history if "statistics" in row]
        new = history_arrays(epochs, n_layers, HISTORY + ("metric",) * (net.metric is not None))
        before = {} if old is None else old.history_
        self.history_ = {name: continued(before, name, new[name]) for name in new}
        self.n_iter_ = len(self.history_["loss"])
        self.loss_curve_ = [] if old is None else list(old.loss_curve_)
        self.loss_curve_ += [row["train_loss"] for row in epochs]
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else np.nan
        scores = [row["valid_score"] for row in epochs if "valid_score" in row]
        self.validation_scores_ = scores or None
        stage = [row["stage"] for row in epochs[-1:]]
        last = [row.get("valid_score", np.nan) for row in epochs if [row["stage"]] == stage]
        finite = [score for score in last if not np.isnan(score)]
        self.best_validation_score_ = max(finite) if finite else None

    def _fit_scale(self, X, codes, weight, old=None):
        """Likeliest scale and rate of slips, against labels smoothed by those of neighbours.

        What an `old` fit has found counts by the weight of the rows that it has seen, so that a few
        rows do not move it far: the mean of the rates, and of the logarithms of the scales.
        """
        counts = self.class_count_
        scale, slips = fitted_scale(self.net_.module_, self._plan, X, codes, weight, counts)
        if old is None:
            return scale, slips
        new = weight.sum() / counts.sum()
        scale = float(old.scale_ ** (1 - new) * scale**new)
        return scale, float(old.slips_ * (1 - new) + slips * new)

    def _scores(self, X):
        """Scores of validated rows for every class, part by part."""
        return network_scores(self.net_.module_, self._plan, X)

    def _warn(self, net, flat):
        """What the user should know of how training ended."""
        ended = net.interrupted_ or net.stopped_ or flat is None or flat.flat_
        if not ended:
            warnings.warn(
                f"The training loss still fell by more than tol={self.tol} after max_iter="
                f"{self.max_iter_} epochs; increase max_iter.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _warn_of_lifeless(self, plan, network, X, codes):
        """Say which layers, or the head (0), respond to everything alike, and what helps."""
        dead = lifeless(network, plan, X, codes)
        if dead == [0]:
            message = f"The softmax head responds to all rows alike; {head_remedy(self, plan)}."
        elif dead:
            message = (
                f"Layers {dead} respond alike to every row or candidate, so that nothing can "
                f"be told from their scores; {remedies(self, plan, X)}."
            )
        else:
            return
        warnings.warn(message, ConvergenceWarning, stacklevel=4)


def advice(plan, X):
    """What to do about rows that diverge because they are large; empty where they are not."""
    size = largest_number(X)
    if plan.scaling is not None or size <= LARGE:
        return ""
    return (
        f"Values of X go up to {size:.4g}, and scaling=None leaves them so; scale the columns, as "
        f"scaling='auto' does, or lower "
    )


def continued(before, name, new):
    """The rows of an array of the history after those that were there before."""
    if not before:
        return new
    missing = np.full_like(before["loss"], np.nan)
    return np.vstack([before.get(name, missing), new])


def history_arrays(rows, n_layers, names=HISTORY):
    """What skorch's history holds of our statistics, as arrays (epochs, layers)."""
    arrays = {name: np.full((len(rows), n_layers), np.nan) for name in names}
    for epoch, row in enumerate(rows):
        for name, values in zip(names, row.get("statistics", []), strict=False):
            if row["layers"]:  # not where the head learned alone
                arrays[name][epoch, row["layers"]] = values
    ranking = arrays["ranking_accuracy"]
    ranking.clip(0, 1, out=ranking)  # a sum of rounded weights
    return arrays
