"""What the estimators share: parameters → parts → network → skorch net, and the fitted state."""

import warnings
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import check_random_state

from ._draws import Draws
from ._machine import check_memory, multiplies_bfloat16, own_settings, pick_device, torch_has
from ._optimizers import per_group
from ._params import brief
from ._parts import is_name, is_word
from ._per_layer import (
    PerLayerParams,
    check_lengths,
    check_reach,
    each,
    optimizers_of,
    steepness_of,
)
from ._plan import (
    check_overlay,
    checked_image_shape,
    checked_units,
    counted_layers,
    numbers_of,
    told_shape,
)
from ._scaling import column_statistics, largest, open_columns, scaler_of
from ._weights import to_numpy, to_torch
from .activations import activations
from .augmentations import augmentations
from .core.build import affines, build_network
from .core.callbacks import check_picklable, cloned
from .core.engine import FFNet
from .core.interrupts import deferred_interrupt
from .exceptions import DivergenceError, InterruptedFitWarning
from .goodness import goodness
from .layers import checked_layers
from .negatives import negatives
from .normalizations import normalizations
from .objectives import objectives
from .overlays import overlays

FAMILIES = {
    "activation": activations,
    "overlay": overlays,
    "negatives": negatives,
    "goodness": goodness,
    "objective": objectives,
    "normalization": normalizations,
    "input_normalization": normalizations,
}
NAMED = {**FAMILIES, "augmentation": augmentations}  # whatever a name may stand for
LARGE_LAYER = 100_000  # weights from which low precision is worth its conversions
ONE_BATCH = 256  # up to so many rows are one batch, in double precision
FEW_CLASSES = 20  # up to so many classes of texts are told from all others in every batch
# Adam divides by the size of a gradient plus eps. With its usual 1e-8 the weights of a word that
# occurs twice move as far as those of a common one; this is about a common word's gradient.
WORDS_EPS = 1e-3


class BaseFF(PerLayerParams):
    """Parameters to parts, parts to a network, a network to fitted state and back."""

    def set_params(self, **params):
        """Set the parameters of this estimator, nested ones of its parts included.

        Parameters
        ----------
        **params : dict
            Parameters by name; ``negatives__temperature`` reaches inside the part ``negatives``,
            which must then be an object.

        Returns
        -------
        self : object
            This estimator.
        """
        for key in params:
            name, nested, inner = key.partition("__")
            value = params.get(name, getattr(self, name, None))
            if nested and name in NAMED and is_word(value):
                raise ValueError(_no_nested_names(name, value, inner))
        return super().set_params(**params)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "net_")

    @contextmanager
    def _all_or_nothing(self):
        """An error leaves the estimator as it was; only divergence keeps what was finite.

        So does Ctrl-C, unless it is the first, and something is learned already: this is kept.
        """
        before = self.__dict__.copy()
        with deferred_interrupt() as interrupts:
            try:
                yield
                interrupts.check()
            except DivergenceError:
                raise
            except BaseException:
                self.__dict__ = before  # at one stroke, which no signal can divide
                raise
        if interrupts.noted:
            warnings.warn(
                f"Training was interrupted after {self.net_.n_updates_} updates; the estimator "
                f"keeps what it has learned until then.",
                InterruptedFitWarning,
                stacklevel=5,
            )

    # Parameters to parts ------------------------------------------------------------------------

    def _resolve(self, n_rows, n_features, n_classes, old=None, scaling=None):
        """Everything "auto" or by name, made definite: the plan of a network and its training.

        `scaling` is the kind that the training rows have.
        """
        plan = SimpleNamespace(n_features=n_features, n_classes=n_classes)
        for name, family in FAMILIES.items():
            value = getattr(self, name)
            if is_name(value, "auto") and name in self.AUTOMATIC:
                facts = (n_rows, n_classes, scaling)
                found = self._automatic(name, *facts) if old is None else getattr(old, name)
                value = found if old is None else clone(found)
            part = family.get(value, name, name in self.AUTOMATIC)
            part.check()
            setattr(plan, name, part)
        plan.dtype = "float64" if self._double(n_rows) else "float32"
        self._read_images(plan)
        plan.kinds = checked_layers(self.layers, checked_units(self.hidden_layer_sizes))
        self._read_shapes(plan)
        check_lengths(plan, len(plan.units))
        check_reach(plan)
        plan.dropout, plan.peer_normalization = self.dropout, self.peer_normalization
        plan.prediction = self.prediction
        plan.layers = counted_layers(self.prediction_layers, len(plan.units), self.LAYERS)
        plan.head = plan.negatives.needs_head or self.prediction in ("head", "hybrid")
        plan.shuffle = self.shuffle
        plan.optimizer = optimizers_of(
            self.optimizer,
            self._optimizer_params(n_classes, scaling),
            len(plan.units),
            plan.head,
            self.head_optimizer_params,
        )
        plan.device = pick_device(self.device)
        plan.low_precision = self.precision == "bfloat16"
        if old is not None:  # what the first rows have fixed
            plan.scaler, plan.strength, plan.open = old.scaler, old.strength, old.open
            plan.scaling = old.scaling if self.scaling == "auto" else self.scaling
            if self.precision == "auto":
                plan.dtype, plan.low_precision = old.dtype, old.low_precision
        self._check_data_negatives(plan)
        labelled = plan.negatives.labelled and plan.n_classes > 1
        plan.shows_labels = labelled and not plan.goodness.scores_classes
        check_overlay(plan)
        return plan

    def _read_images(self, plan):
        """How rows are read as images, and how these are varied in training."""
        shape = plan.image_shape = checked_image_shape(self.image_shape, plan.n_features)
        plan.negatives = told_shape(plan.negatives, plan)
        plan.overlay = told_shape(plan.overlay, plan)
        plan.augmentation = None
        if self.augmentation is None:
            return
        plan.augmentation = augmentations.get(self.augmentation)
        plan.augmentation.check()
        if not plan.negatives.varied:
            raise ValueError(
                f"augmentation={self.augmentation!r} varies the rows that are learned from, but "
                f"not the negative ones of negatives={self.negatives!r}, which would be told by "
                f"this alone; use one without the other."
            )
        if shape is None:
            raise ValueError(
                f"augmentation={self.augmentation!r} varies images, but nothing says how to read "
                f"rows as images; set image_shape=(channels, height, width)."
            )

    def _read_shapes(self, plan):
        """Sizes of the layers, from a network without memory; what this machine cannot hold."""
        plan.shows_labels, plan.low_precision = False, False
        with torch.device("meta"):
            found = affines(plan)
        plan.units = [affine.n_outputs for affine in found]
        plan.width = max(affine.n_units for affine in found)
        plan.large = max(affine.n_products for affine in found) >= LARGE_LAYER
        plane = plan.overlay.plane
        own = plan.n_classes * sum(t.n_units if plane else t.n_biases for t in found)
        check_memory(own + sum(p.numel() for t in found for p in t.parameters()), plan.dtype)
        if self.peer_normalization and any(kind.reads_images for kind in plan.kinds):
            raise ValueError(
                f"peer_normalization={self.peer_normalization!r} compares units that see the same, "
                f"as those of dense layers do; set it to 0 with layers of images."
            )

    def _check_data_negatives(self, plan):
        """Refuse what cannot be learned or predicted where layers see no labels."""
        if not plan.negatives.of_rows:
            return
        given = f"negatives={self.negatives!r}"
        if plan.goodness.scores_classes:
            raise ValueError(
                f"goodness={self.goodness!r} scores the classes of one row, and {given} lets two "
                f"rows compete, for which there is no true class; use another goodness, such as "
                f"'mean_square', or negatives of labels, such as 'hard'."
            )
        if plan.negatives.labelled or plan.n_classes == 1:
            return
        if self.prediction != "head":
            raise ValueError(
                f"layers that learn from the corrupted rows of {given} are never shown labels, so "
                f"that only the head can predict; use prediction='head'."
            )
        skipped = set(range(max(plan.layers))) - set(plan.layers)
        if self.early_stopping and self.schedule != "simultaneous" and skipped:
            raise ValueError(
                f"early_stopping cannot judge a layer taught by itself that neither {given} nor "
                f"the head tells the labels of; use prediction_layers='all', or "
                f"schedule='simultaneous'."
            )

    AUTOMATIC = ("negatives", "objective", "input_normalization")
    LAYERS = "prediction_layers"  # the parameter that names the layers that count

    def _automatic(self, name, n_rows, n_classes, scaling):
        """What "auto" means for the part `name`."""
        if name == "input_normalization":
            return "rms" if self._rows_alone() else None
        words = scaling == "sparse" and n_classes <= FEW_CLASSES
        if name == "objective":
            of_rows = family_part("negatives", self.negatives, "hard").of_rows
            return "softmax" if words and not of_rows else "swish"
        one_pass = goodness.get(self.goodness).scores_classes
        return "all" if one_pass or words or n_rows <= ONE_BATCH else "hard"

    def _optimizer_params(self, n_classes, scaling):
        """Options of the optimizer; with rare words, Adam is kept from making much of them."""
        automatic = is_name(self.optimizer, "adam") and self.optimizer_params is None
        if automatic and scaling == "sparse" and n_classes > 1:
            return {"eps": WORDS_EPS}
        return self.optimizer_params

    def _rows_alone(self):
        """Whether a row and a corrupted one are to be told apart, and not by their lengths."""
        part = family_part("negatives", self.negatives, "hard")
        return part.of_rows and not part.labelled

    def _double(self, n_rows):
        return self.precision == "float64" or (self.precision == "auto" and n_rows <= ONE_BATCH)

    # Parts to a network -------------------------------------------------------------------------

    def _scale(self, plan, X, weight, columns=None):
        """Fit the columns' scale on the training rows, and the label's strength to it."""
        columns = column_statistics(X, weight) if columns is None else columns
        scaler, plan.scaling, rms = scaler_of(columns, self.scaling)
        plan.scaler, plan.open = scaler.state(), open_columns(scaler, plan.scaling, columns)
        if self.precision == "auto" and plan.large and plan.dtype == "float32":
            plan.low_precision = plan.scaling == "shared" and multiplies_bfloat16(plan.device)
        plan.strength = label_strength(plan.overlay, X, scaler, rms)

    def _settle(self, plan, X, weight):
        """Fix the scale of columns that the rows before have left open."""
        plan.scaled_anew = plan.open is not None and plan.open.whole
        if plan.open is None:
            return
        found = plan.open.settled(X, weight, plan.scaler, plan.scaling, self.scaling)
        scaler, plan.scaling, rms, plan.open = found
        plan.scaler = scaler.state()
        if rms is not None:
            plan.strength = label_strength(plan.overlay, X, scaler, rms)

    def _net(self, plan, network, draws, own=(), callbacks=(), stages=(), metric=None):
        """A skorch net ready to train the network."""
        optimizer, options = per_group(plan.optimizer)
        net = FFNet(
            network,
            criterion=torch.nn.Identity,
            optimizer=optimizer,
            stages=stages,
            phases=self.phases,
            negatives=plan.negatives,
            draws=draws,
            groups=plan.groups,
            shuffle=plan.shuffle,
            metric=metric,
            batch_size=plan.batch_size,
            max_epochs=sum(stage.epochs for stage in stages),
            train_split=None,
            own=own,
            callbacks=list(callbacks),
            device=plan.device,
            verbose=int(bool(self.verbose)),
            **{f"optimizer__{name}": value for name, value in options.items()},
        )
        return net.initialize()

    def _parameter_groups(self, plan, n_rows):
        """Rate and L2 penalty of every layer, and of the head."""
        rates = numbers_of(plan.learning_rate_init)
        numeric = rates.ndim == 1 and rates.dtype.kind in "iuf"
        if not (numeric and (rates > 0).all() and np.isfinite(rates).all()):
            raise ValueError(
                f"learning_rate_init={brief(self.learning_rate_init)} must be a positive number, "
                f"or one per layer."
            )
        rates = each("learning_rate_init", plan.learning_rate_init, len(plan.units))
        steepness = [steepness_of(plan, index) for index in range(len(plan.units))]
        groups = [
            {"lr": float(rate), "l2": self.alpha * steep / n_rows}
            for rate, steep in zip(rates, steepness, strict=True)
        ]
        if plan.head:
            rate = self.head_learning_rate_init
            rate = float(rates[-1] if rate is None else rate)
            groups.append({"lr": rate, "l2": self.head_alpha / n_rows})
        options = [options or {} for _, options in plan.optimizer]
        options = options * len(groups) if len(options) == 1 else options
        for group, own in zip(groups, options, strict=True):
            group["weight_decay"] = own.get("weight_decay", 0.0)  # none unasked, as of AdamW
        return groups

    def _draws(self, plan):
        """One generator for initial weights, order of rows, negatives and dropout."""
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        generator = torch.Generator(plan.device).manual_seed(int(seed))
        return Draws(generator, plan.device, getattr(torch, plan.dtype))

    # The fitted state ---------------------------------------------------------------------------

    def __sklearn_clone__(self):
        """As scikit-learn's, but callbacks that cannot be copied are used as they are."""
        if not isinstance(self.callbacks, (list, tuple)):
            return super().__sklearn_clone__()
        bare = object.__new__(type(self))
        vars(bare).update(vars(self), callbacks=None)
        new = super(BaseFF, bare).__sklearn_clone__()
        new.callbacks = cloned(self.callbacks)
        return new

    def __copy__(self):
        new = object.__new__(type(self))
        new.__setstate__(self._state())
        return new

    def __getstate__(self):
        """Owned numpy arrays instead of torch objects, so that pickles cross devices."""
        check_picklable(self.callbacks)
        return self._state()

    def _state(self):
        state = super().__getstate__().copy()
        if "net_" in state:
            net = state.pop("net_")
            state["_weights"] = to_numpy(net.module_.state_dict())
            state["_depth"] = net.module_.depth
            if self._resumable:
                state["_optimizer"] = to_numpy(net.optimizer_.state_dict())
                state["_generator"] = net.draws.generator.get_state().numpy().copy()
        return state

    def __setstate__(self, state):
        with own_settings():
            self._set_state(dict(state))

    def _set_state(self, state):
        weights, depth = state.pop("_weights", None), state.pop("_depth", None)
        optimizer, generator = state.pop("_optimizer", None), state.pop("_generator", None)
        super().__setstate__(state)
        if weights is None:
            return
        plan = self._plan
        plan.device = pick_device(plan.device if torch_has(plan.device) else "cpu")
        draws = Draws(torch.Generator(plan.device), plan.device, getattr(torch, plan.dtype))
        self.net_ = self._net(plan, build_network(plan), draws)
        self.net_.module_.load_state_dict(to_torch(weights))
        self.net_.module_.depth = depth
        if optimizer is not None:
            self.net_.optimizer_.load_state_dict(to_torch(optimizer))
            draws.generator.set_state(torch.from_numpy(generator.copy()))


def _no_nested_names(name, value, inner):
    family = NAMED[name]
    cls = family.registry.get(value)
    example = f"{cls.__name__}({inner}=...)" if isinstance(cls, type) else "an object"
    return (
        f"{name}={value!r} has no parameter {inner!r} to set; pass the part itself as an object, "
        f"{name}={example}, and then set {name}__{inner}."
    )


def label_strength(overlay, X, scaler, rms):
    """How large a label is shown beside the scaled rows X, whose root mean square is `rms`."""
    strength = overlay.strength
    if strength == "max":
        strength = largest(scaler, X)
        strength = strength if strength > 0 else rms
    return float(rms) if strength == "auto" else float(strength)


def family_part(name, value, automatic):
    """The part that a parameter means; `automatic` is what "auto" stands for."""
    return FAMILIES[name].get(automatic if is_name(value, "auto") else value)
