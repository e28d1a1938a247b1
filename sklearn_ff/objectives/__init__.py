"""Objectives: the loss of a layer as a function of the scores of the candidates.

The contract. `loss(scores, layer)` takes scores g of shape (rows, candidates), the positive
candidate in column 0, and returns one loss per row; the step weighs and averages them. `layer`, a
`LayerFacts`, describes the layer, and what else is known of the batch: labels, activations,
progress, and, where an objective `needs_others`, the goodness of the other layers. An objective
that `splits` is the sum of a loss of the positive candidate, `positive(scores, layer)`, and a loss
of the negative ones, `negative(scores, layer)`. One that `compares_rows` learns from whole batches;
one that `matches_labels` compares activations with labels, which the layers must not be shown.
An objective that owns weights is a description: `build(layer)` returns a torch module with a method
`loss(scores, layer)`, whose weights become those of the layer; its method `reset(generator)`, if
any, draws the first ones.
`sharpness` β is the factor that turns a difference of scores into log-odds; "auto" is the value
that the layer's goodness declares. A callable `(scores) -> losses` is accepted too. One of scores
alone may state its gradient: `with_slopes(scores, layer)` returns the losses and ∂loss/∂g. Training
is faster where objective and goodness do, because autograd has less to follow.

In the formulas g⁺ is the score of the positive candidate, g⁻ that of a negative one, Δ = g⁺ − g⁻,
and terms with g⁻ are averaged over the negative candidates.
"""

from .._parts import name_publicly
from ._base import LayerFacts, Objective, objectives
from ._context import Collaboration, Routing, Similarity
from ._scores import Logistic, Margin, Softmax, Swish, SymBa

__all__ = [
    "Collaboration",
    "LayerFacts",
    "Logistic",
    "Margin",
    "Objective",
    "Routing",
    "Similarity",
    "Softmax",
    "Swish",
    "SymBa",
    "objectives",
]

name_publicly(globals())
