"""Build the network of a plan: parts, sizes and strengths become the callables of its layers."""

from typing import Any

import torch
from torch import nn

from .._draws import global_draws
from .._parts import call_intact, checked_shape
from .._scaling import Scaler
from ..activations import overwriting, takes_bfloat16
from ..layers import built, single
from ..negatives import Negatives
from ..objectives import LayerFacts
from .encoder import Encoder, LabelCode
from .formulas import FormulaLayer
from .forward_forward import Layer, Network
from .head import Head
from .peers import Peers
from .prediction import Features, LogProbabilities


class Activate(nn.Module):
    """a, draws -> h: normalisation of maps, activation and pooling; then dropout, given `draws`.

    `overwriting`, if given, is the activation in training, which overwrites pre-activations.
    """

    takes_bfloat16 = False  # whether both do; also of nets that were pickled before this was asked

    def __init__(self, affine, function, overwriting, dropout):
        super().__init__()
        self.function, self.overwriting, self.dropout = function, overwriting, dropout
        self.takes_bfloat16 = takes_bfloat16(function) and takes_bfloat16(overwriting)
        self.finish = affine.outputs  # a bound method, so that the weights belong to `affine` alone

    def forward(self, a, draws=None):
        function = self.overwriting if self.training and self.overwriting else self.function
        h = self.finish(a, function if self.takes_bfloat16 else lambda a: function(single(a)))
        return dropped(single(h), self.dropout, draws)  # scores are in single precision


def dropped(h, share, draws):
    """Activations with a `share` of the units set to zero, equally for all candidates of a row."""
    if draws is None or not share:
        return h
    kept = draws.uniform(len(h), 1, h.shape[-1]) >= share
    return h * kept / (1 - share)


class Scores(nn.Module):
    """h, labels -> g: scores of the shown labels, or scores of all classes, gathered by label."""

    stated: Any  # h, slopes -> the gradient that the goodness states, or None

    def __init__(self, part, shape, n_classes):
        super().__init__()
        self.score, self.scores_classes = part.build_for(shape, n_classes), part.scores_classes
        own = self.score == part.score  # of the part itself, which has no weights
        self.stated = part.gradient if own and states(part, "gradient") else None

    def forward(self, h, labels):
        g = self.score(h)
        if g.shape[: h.dim() - 1] != h.shape[:-1] or g.dim() != h.dim() - (not self.scores_classes):
            raise ValueError(
                f"A goodness returns {tuple(g.shape)} for activations of shape {tuple(h.shape)}; "
                f"it must return one score per candidate, or one per class if it scores classes."
            )
        return g.squeeze(1).gather(1, labels) if self.scores_classes else g

    def gradient(self, h, slopes):
        """∂L/∂h, and ∂L/∂a of an activation that fades, from slopes ∂L/∂g."""
        found = call_intact(lambda h: self.stated(h, slopes), h, "goodness")
        return checked_shape(found, h.shape, "goodness", "a gradient per activation")


class Loss(nn.Module):
    """g, h, what is known -> one loss per row: an objective with the facts of its layer.

    `side` limits the loss to the "positive" or to the "negative" candidates.
    """

    def __init__(self, objective, facts):
        super().__init__()
        self.objective, self.facts, self.side = objective, facts, None
        self.built = objective.build(facts)
        if not callable(getattr(self.built, "loss", None)):
            raise ValueError(
                f"{objective!r} builds a {type(self.built).__name__}, which has no method `loss`; "
                f"let build(layer) return a torch module with loss(scores, layer)."
            )
        self.needs_others = objective.needs_others
        self.stated = self.built is objective and states(objective, "with_slopes")

    @property
    def sharpness(self):
        """Log-odds per unit of the layer's goodness."""
        return self.objective.factor(self.facts)

    def forward(self, g, h, known):
        part = self.built if self.side is None else self.objective.side(self.side)
        loss = part.loss(g, self.facts.beside(h, *known))
        return checked_shape(loss, g.shape[:1], "objective", "a loss per row")

    def with_slopes(self, g, h, known):
        """Losses of the rows, and ∂loss/∂g, (rows, candidates), of an objective that states it."""
        facts = self.facts.beside(h, *known)
        loss, slopes = call_intact(lambda g: self.objective.with_slopes(g, facts), g, "objective")
        checked_shape(slopes, g.shape, "objective", "a slope per score")
        return checked_shape(loss, g.shape[:1], "objective", "a loss per row"), slopes


def build_network(plan, seed=0):
    """The network of a plan, before its weights are drawn.

    Modules that own parts build may draw theirs at once, from torch's global generator; by `seed`.
    """
    with global_draws(seed):
        layers = [build_layer(plan, i, affine) for i, affine in enumerate(affines(plan))]
    width = sum(plan.units[index] for index in plan.counted)
    head = Head(width, plan.n_classes) if plan.has_head else None
    overlay = plan.overlay if plan.shows_labels else None
    encoder = Encoder(
        overlay, plan.n_features, plan.n_classes, plan.strength, plan.input_normalization
    )
    predicted = plan.prediction, plan.counted, plan.n_classes
    answer = LogProbabilities(*predicted) if plan.settings.predicts else Features(plan.counted)
    scaler = Scaler(**plan.scaler)
    network = Network(scaler, encoder, layers, head, plan.counted, plan.n_classes, answer)
    return network.to(dtype=getattr(torch, plan.dtype), device=plan.device)


def affines(plan):
    """The affine maps of a plan's layers; in some of them the label has additional inputs."""
    extra = [plan.n_classes * owns_label_weights(plan, i) for i in range(len(plan.kinds))]
    return built(plan.kinds, plan.image_shape or (plan.n_features,), extra, plan.low_precision)


def owns_label_weights(plan, index):
    """Whether the label has additional input columns in layer `index`."""
    where = plan.overlay.label_layers if plan.shows_labels else None
    return where == "all" or (where == "first" and index == 0)


def build_layer(plan, index, affine):
    parts = ("goodness", "objective", "activation", "normalization")
    goodness, objective, activation, normalization = (
        getattr(plan, name).for_layer(index) for name in parts
    )
    kind, rate = plan.kinds[index], plan.peer_normalization
    label = None
    if owns_label_weights(plan, index):
        width = affine.n_units if plan.overlay.plane else affine.n_biases
        label = LabelCode(plan.n_classes, width, plan.strength, affine.expand)
    in_place = None if rate else overwriting(activation, goodness, affine)  # peers compare them
    facts = LayerFacts(index, affine.n_outputs, goodness.sharpness, affine.shape, plan.n_classes)
    scores, loss = Scores(goodness, affine.shape, plan.n_classes), Loss(objective, facts)
    faded = in_place is not None and in_place is activation.faded
    stated = faded and states_gradient(plan, index, affine, scores, loss)
    return (FormulaLayer if stated else Layer)(
        index,
        affine,
        label,
        Activate(affine, activation.build(), in_place, plan.dropout[index]),
        scores,
        loss,
        normalization.build(affine.shape),
        Peers(affine.n_outputs, rate, peers_at_a_place(kind, affine)),
    )


def states_gradient(plan, index, affine, scores, loss):
    """Whether all else between the input of a layer and its loss states its gradient."""
    between = plan.dropout[index] or plan.peer_normalization or selects(plan.negatives)
    shown = index > 0 or plan.input_normalization.identity
    scored = scores.stated and loss.stated and not scores.scores_classes
    mapped = states(affine, "learn") and affine.plain
    return bool(scored and mapped and shown and not between)


def selects(negatives):
    """Whether layers may learn from other scores than those of all candidates."""
    return negatives.selects or type(negatives).select is not Negatives.select


def states(part, name):
    """Whether the class of a part states this itself: a subclass may have changed the rest."""
    return name in vars(type(part))


def peers_at_a_place(kind, affine):
    """Number of units that see the same and are compared; without shared weights, the channels."""
    return affine.shape[0] if kind.reads_images else affine.n_outputs
