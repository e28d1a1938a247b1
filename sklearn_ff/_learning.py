"""From validated rows to a fitted state: what `fit` and `partial_fit` are made of."""

import warnings
from functools import partial
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import compute_class_weight
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _num_samples, column_or_1d
from skorch.callbacks import PrintLog

from ._base import FAMILIES, ONE_BATCH, BaseFF, continue_from, initialize
from ._per_layer import check_phases, is_list, metrics_of, shown
from ._scoring import Accuracy, likeliest_scale, network_scores
from ._validation import checked_own_rows, checked_weight, heavy, refuse_unseen, validate_rows
from .augmentations import Augmentation, Views
from .core.callbacks import Decay, DivergenceGuard, FlatLoss, Validation, checked_callback
from .core.engine import PASSES, Rows, n_parts
from .core.schedule import check_taught, pairs_of, stages_of
from .data_negatives import HeldOutClasses, OwnRows
from .exceptions import DivergenceError, InterruptedFitWarning
from .optimizers import resume_optimizer

UPDATES = 1200  # of a fit whose max_iter is "auto"
CALIBRATION_ROWS = 5_000
CALIBRATION_SCORES = 2**20  # with many classes, fewer rows serve
GUARDED_UPDATES = 10  # after so many, weights and scores are looked at
PROBED_ROWS = 8  # scored after every epoch, to see that the weights are sound
# What "auto" or a name came to, told by attributes.
KEPT = (
    *("overlay", "negatives", "goodness", "objective", "input_normalization"),
    *("batch_size", "scaling"),
)
HISTORY = ("loss", "goodness_right", "goodness_wrong", "ranked_right")
LISTS = (list, tuple)


class Learner(BaseFF):
    """The private steps of learning, in the order in which `fit` takes them."""

    _parameter_constraints: dict = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        **{
            name: [str, callable, family.base, *(LISTS if family.per_layer else ())]
            for name, family in FAMILIES.items()
        },
        "metric": [callable, *LISTS, None],
        "scaling": [StrOptions({"auto", "standard", "shared", "global", "none"})],
        "phases": [StrOptions({"together", "by_epoch"})],
        "schedule": [StrOptions({"simultaneous", "greedy"}), *LISTS],
        "layers": ["array-like", None],
        "image_shape": ["array-like", None],
        "augmentation": [str, callable, Augmentation, None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "peer_normalization": [Interval(Real, 0, None, closed="left")],
        "optimizer": [str, type, *LISTS],
        "optimizer_params": [dict, *LISTS, None],
        "learning_rate": [StrOptions({"linear", "cosine", "cooldown", "constant"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto", "all"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "tol": [Interval(Real, 0, None, closed="left"), None],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "callbacks": [list, tuple, None],
        "device": [str],
        "precision": [StrOptions({"auto", "float32", "float64", "bfloat16"})],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def _refuse_in_partial_fit(self):
        refused = {
            "early_stopping=True": self.early_stopping,
            "class_weight='balanced'": self.class_weight == "balanced",
            f"schedule={self.schedule!r}": self.schedule != "simultaneous",
        }
        for name, given in refused.items():
            if given:
                raise ValueError(f"partial_fit does not support {name}; use fit, or another value.")

    def _validate(self, X, y, sample_weight, reset=True):
        """Rows, labels and weights, checked."""
        X, y = validate_rows(self, X, y, reset=reset, dtype=self._dtype(X, reset))
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        return X, y, checked_weight(X, sample_weight)

    def _dtype(self, X, reset):
        double = self._double(_num_samples(X)) if reset else self._plan.dtype == "float64"
        return np.float64 if double else np.float32

    def _set_aside(self, X, y, weight):
        """Rows to learn from, and rows of another kind where the negatives ask for such."""
        part = self.negatives
        if isinstance(part, OwnRows):
            rows = checked_own_rows(part, X)
            return X, y, weight, (rows, np.ones(rows.shape[0]))
        if not isinstance(part, HeldOutClasses):
            return X, y, weight, None
        part.check()
        if y is None:
            raise ValueError(
                f"negatives={part!r} tell rows apart by their labels, but y is missing; pass y."
            )
        held_out = np.isin(y, np.asarray(part.classes))
        if held_out.all() or not held_out.any():
            raise ValueError(
                f"negatives=HeldOutClasses({list(part.classes)!r}) hold out {held_out.sum()} of "
                f"{len(y)} rows; name classes that occur in every call, and leave others to learn "
                f"from."
            )
        rest = ~held_out
        return X[rest], y[rest], weight[rest], (X[held_out], weight[held_out])

    def _not_held_out(self, classes):
        held_out = isinstance(self.negatives, HeldOutClasses)
        return np.setdiff1d(classes, self.negatives.classes) if held_out else classes

    def _weigh(self, X, codes, weight, reset):
        """Rows that weigh something, by sample and class weights; the others are left out."""
        X, codes, weight = heavy(X, codes, weight)
        X, codes, weight = heavy(X, codes, weight * self._class_weights(codes))
        if reset and len(np.unique(codes)) < 2:
            self._refuse_one_class(codes)
        return X, codes, weight

    def _encode(self, y, classes):
        """Labels as 0..K−1; `classes`, if given, are all that may occur."""
        encoder = LabelEncoder().fit(y if classes is None else classes)
        if classes is not None:
            if len(self._not_held_out(classes)) < len(classes):
                raise ValueError(
                    f"negatives={self.negatives!r} hold out classes that the last fit has learned; "
                    f"set warm_start=False, or make a new estimator."
                )
            refuse_unseen(LabelEncoder().fit(y).classes_, encoder.classes_)
        self.classes_ = encoder.classes_
        codes = encoder.transform(y)
        if len(self.classes_) < 2:
            self._refuse_one_class(codes)
        return codes

    def _refuse_one_class(self, codes):
        rows = "1 sample" if len(codes) == 1 else f"{len(codes)} samples"
        raise ValueError(
            f"{type(self).__name__} needs rows of at least two classes with a weight above zero, "
            f"but {rows} of one class, {self.classes_.tolist()[codes[0]]!r}, are given; without a "
            f"wrong label there is nothing to learn."
        )

    def _all_classes(self, classes, old):
        """The labels fixed by the first call of partial_fit."""
        if old is None:
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            return self._not_held_out(np.unique(np.asarray(classes)))
        known = None if classes is None else self._not_held_out(np.unique(np.asarray(classes)))
        if known is not None and not np.array_equal(known, self.classes_):
            raise ValueError(
                f"classes={classes!r} is not the same as on the last call to partial_fit, was: "
                f"{self.classes_!r}."
            )
        return self.classes_

    def _class_weights(self, codes):
        if self.class_weight is None:
            return 1.0
        present = np.arange(len(self.classes_))
        if self.class_weight == "balanced":
            present = np.unique(codes)
        weights = np.ones(len(self.classes_))
        weights[present] = compute_class_weight(
            self.class_weight, classes=self.classes_[present], y=self.classes_[codes]
        )
        if not (weights[codes] >= 0).all() or not weights[codes].any():
            raise ValueError(
                f"class_weight={self.class_weight!r} must not be negative, nor zero for every row."
            )
        return weights[codes]

    def _held_out(self, X_val, y_val, dtype):
        if X_val is None and y_val is None:
            return None
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val go together; one of them is missing.")
        X_val, y_val = validate_rows(self, X_val, y_val, reset=False, dtype=dtype)
        y_val = column_or_1d(y_val)
        refuse_unseen(y_val, self.classes_, "y_val")
        return X_val, LabelEncoder().fit(self.classes_).transform(y_val)

    def _split(self, X, codes, weight):
        """Rows to learn from, and a share of them held out, by class if every class can be cut."""
        stratify = codes
        counts = np.bincount(codes, minlength=len(self.classes_))
        n_held_out = int(np.ceil(self.validation_fraction * len(codes)))
        if (
            min(n_held_out, len(codes) - n_held_out) < np.count_nonzero(counts)
            or (counts == 1).any()
        ):
            stratify = None
            warnings.warn(
                "early_stopping: a class is too small to be held out in proportion; the held-out "
                "rows are drawn regardless of class.",
                stacklevel=3,
            )
        if len(codes) < 2:
            raise ValueError("early_stopping needs rows to hold out, but X has 1 sample.")
        learn, hold = train_test_split(
            np.arange(len(codes)),
            test_size=self.validation_fraction,
            stratify=stratify,
            random_state=self.random_state,
        )
        return (X[learn], codes[learn], weight[learn]), (X[hold], codes[hold], weight[hold])

    def _begin(self, X, codes, weight, old, resume=False):
        """A plan, and a network to train: new, or with the weights of the last fit."""
        plan = self._resolve(X.shape[0], X.shape[1], self._n_classes(), old and old._plan)
        plan.batch_size = self._batch_size(X.shape[0])
        plan.taught = 0 if old is None else old.net_.module_.depth  # layers that exist already
        if plan.negatives.of_rows and plan.negatives.needs_company and plan.batch_size < 2:
            raise ValueError(
                f"negatives={self.negatives!r} let a row compete with another one, but a batch "
                f"holds 1 sample; give at least two rows, and batch_size=2 or more."
            )
        if plan.batch_size < 2 and any(kind.needs_company for kind in plan.kinds):
            raise ValueError(
                "norm='batch' compares a row with the others of its batch, but a batch holds 1 "
                "sample; give batch_size=2 or more, or use norm='group'."
            )
        if old is None:
            self._scale(plan, X, weight)
        network = self._network(plan)
        resumed = resume and old is not None and old._resumable
        draws = old.net_.draws.copy() if resumed else self._draws(plan)
        if old is None:
            initialize(network, draws.generator)
        else:
            continue_from(network, plan, old.net_, old._plan)
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
        epochs = 1 if resume else self._epochs(n_batches)
        stages = self._stages(plan, epochs)
        n_batches *= len(PASSES[self.phases])
        callbacks = self._callbacks(plan, n_batches, data[0], held_out, resume)
        check_phases(self.phases, plan, len(plan.units))
        metrics = metrics_of(self.metric, len(plan.units))
        net = self._net(plan, network, draws, callbacks, stages, metrics)
        if old is not None and old._resumable and old._plan.optimizer == plan.optimizer:
            resume_optimizer(net.optimizer_, old.net_.optimizer_)
        network.train()
        if pool is not None:
            network.pool = self._pool(plan, network, *pool)
        try:
            net.train(self._rows(plan, network, draws, *data))
        except DivergenceError:
            net.optimizer_.state.clear()  # its moments are not finite any more
            self._keep(plan, net, data, epochs, old, resume)
            raise
        self._keep(plan, net, data, epochs, old, resume)
        self._warn(net, dict(c for c in callbacks if isinstance(c, tuple)).get("flat"))
        return self

    def _pool(self, plan, network, X, weight):
        """Rows that wrong ones are drawn from, as the negatives want them."""
        if not weight.any():
            raise ValueError(f"negatives={self.negatives!r} hold out rows of weight zero only.")
        X, _, weight = heavy(X, weight, weight)
        cumulative = torch.tensor(weight.cumsum() / weight.sum(), dtype=getattr(torch, plan.dtype))
        rows = Rows(X, None, None, network.scaler, cumulative.dtype).rows(slice(None))
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
            return max(10, -(-UPDATES // n_batches))
        return int(self.max_iter)

    def _rows(self, plan, network, draws, X, codes, weight):
        """Copies on the device; weights have mean 1, so that a batch's loss is not biased."""
        dtype = getattr(torch, plan.dtype)
        x = torch.tensor(X).to(plan.device) if isinstance(X, np.ndarray) else X.copy()
        y = torch.as_tensor(codes, dtype=torch.int64).to(plan.device)
        weight = torch.as_tensor(weight / weight.mean(), dtype=dtype).to(plan.device)
        views = None
        if plan.augmentation is not None:
            views = Views(plan.augmentation, plan.image_shape, draws, plan.negatives.n_views)
        return Rows(x, y, weight, network.scaler, dtype, views)

    def _callbacks(self, plan, n_batches, X, held_out, resume):
        """Ours first, then copies of the user's."""
        users = [clone(checked_callback(entry), safe=False) for entry in self.callbacks or ()]
        probe = partial(network_scores, plan=plan, X=X[:PROBED_ROWS])
        patience = -(-GUARDED_UPDATES // n_batches)
        ours = [("guard", DivergenceGuard(probe, patience))]
        if self.learning_rate != "constant" and not resume:
            ours.append(("decay", Decay(self.learning_rate, n_batches)))
        if held_out is not None:
            patience = self.n_iter_no_change if self.early_stopping else None
            score = Accuracy(plan, *held_out)
            ours.append(("validation", Validation(score, patience, self.tol or 0.0)))
        elif self._may_be_flat() and not resume:
            ours.append(("flat", FlatLoss(self.tol, self.n_iter_no_change)))
        if self.verbose:
            ours.append(("log", PrintLog(keys_ignored=["statistics", "stage", "layers"])))
        return [*ours, *users]

    def _may_be_flat(self):
        """Whether a loss that falls no more ends a stage: a budget is meant to be spent."""
        return self.learning_rate == "constant" and self.tol is not None and not self._listed()

    def _listed(self):
        return is_list(self.schedule)

    def _keep(self, plan, net, data, epochs, old, resume):
        """The fitted attributes."""
        X, codes, weight = data
        weight = weight * max(1.0, len(weight) / weight.sum())  # rows count as one at least
        net.module_.eval()
        net.module_.requires_grad_(True)
        net.module_.pool = None
        for name in KEPT:
            setattr(self, f"{name}_", shown(getattr(plan, name)))
        self.max_iter_, self.label_strength_ = epochs, plan.strength
        self.precision_ = "bfloat16" if plan.low_precision else plan.dtype
        self._keep_history(net, len(plan.units), old)
        net.forget()
        self._plan, self.net_, self._resumable = plan, net, resume
        self._keep_scale(X, codes, weight, old)

    def _keep_scale(self, X, codes, weight, old):
        counts = np.bincount(codes, weight, minlength=len(self.classes_))
        self.class_count_ = counts if old is None else counts + old.class_count_
        self.scale_ = self._fit_scale(X, codes, weight, old)

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
        stages = [row["stage"] for row in epochs]
        last = [row.get("valid_score", np.nan) for row in epochs if row["stage"] == stages[-1]]
        finite = [score for score in last if not np.isnan(score)]
        self.best_validation_score_ = max(finite) if finite else None

    def _fit_scale(self, X, codes, weight, old=None):
        """Maximum-likelihood scale of the scores, against targets smoothed as by Platt (1999).

        What an `old` fit has found counts by the weight of the rows that it has seen: the mean of
        the logarithms, so that a few rows do not move it far.
        """
        K = len(self.classes_)
        n_rows = max(1, min(CALIBRATION_ROWS, CALIBRATION_SCORES // K))
        some = slice(None, None, -(-len(codes) // n_rows))
        scores = self._scores(X[some])
        seen = self.class_count_[codes[some]][:, None]
        sure = (seen + 1) / (seen + 2)
        target = np.where(np.arange(K) == codes[some][:, None], sure, (1 - sure) / (K - 1))
        scale = likeliest_scale(scores, target, weight[some])
        new = weight.sum() / self.class_count_.sum()
        return scale if old is None else float(old.scale_ ** (1 - new) * scale**new)

    def _scores(self, X):
        """Scores of validated rows for every class, part by part."""
        return network_scores(self.net_.module_, self._plan, X)

    def _warn(self, net, flat):
        """What the user should know of how training ended."""
        if net.interrupted_:
            warnings.warn(
                f"Training was interrupted after {net.n_updates_} updates; the estimator keeps "
                f"what it has learned until then.",
                InterruptedFitWarning,
                stacklevel=4,
            )
        ended = net.interrupted_ or net.stopped_ or flat is None or flat.flat_
        if not ended:
            warnings.warn(
                f"The training loss still fell by more than tol={self.tol} after max_iter="
                f"{self.max_iter_} epochs; increase max_iter.",
                ConvergenceWarning,
                stacklevel=4,
            )
        last = [self.history_[name][-1] for name in ("goodness_right", "goodness_wrong")]
        dead = [int(i) + 1 for i in np.flatnonzero((last[0] == 0) & (last[1] == 0))]
        if dead:
            warnings.warn(
                f"No unit of layers {dead} was active in the last epoch; lower "
                f"learning_rate_init, or set peer_normalization=0.03.",
                ConvergenceWarning,
                stacklevel=4,
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
    arrays["ranked_right"].clip(0, 1, out=arrays["ranked_right"])  # a sum of rounded weights
    return arrays
