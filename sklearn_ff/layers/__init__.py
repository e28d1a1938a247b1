"""Kinds of layers: dense, convolutional, locally connected, blocks of these, any torch module.

The contract. A kind is a description. `build(shape, n_label_inputs, low_precision, raw)` takes the
shape of the layer's input, (features,) or (channels, height, width), and the number of inputs that
serve the label alone, and returns a map: a torch module that works on flat rows, with

* `bias`, `n_biases` numbers, and `expand(b)`: one number per bias, or per unit, to one per unit;
* `forward(z)`: W z + b, pre-activations, `n_units` of them; `product(z)`: W z alone, linear in z;
* `outputs(a, function)`: the activations that the layer passes on, `n_outputs` numbers of `shape`;
* `whole_batches`: whether the layer must see a batch as a whole, not in parts;
* `n_products`: multiply-adds per row; `fan_in`: the inputs of a unit, the label's among them;
* `reset(generator, draw)`: draws the first weights by `draw(weight, fan_in, generator)`.

What is not linear, as all but the first layer of a block, stands in `outputs`, so that the product
of a row is shared among its labels.

Flat images are stored channel by channel in `raw` rows, as in X, and pixel by pixel between layers,
all channels of a pixel together: processors pool and normalise these several times faster.
"""

from .._parts import name_publicly
from ._base import (
    DRAWN,
    BaseMap,
    LayerKind,
    add_gradient,
    built,
    checked_layers,
    drawn_normal,
    drawn_uniform,
    images,
    layer_kinds,
    single,
)
from ._blocks import Block, ending, live
from ._dense import Affine, Dense
from ._images import Conv2d, ImageLayer, LocallyConnected2d
from ._modules import Module
from ._norms import PositiveBatchNorm

__all__ = [
    "DRAWN",
    "Affine",
    "BaseMap",
    "Block",
    "Conv2d",
    "Dense",
    "ImageLayer",
    "LayerKind",
    "LocallyConnected2d",
    "Module",
    "PositiveBatchNorm",
    "add_gradient",
    "built",
    "checked_layers",
    "drawn_normal",
    "drawn_uniform",
    "ending",
    "images",
    "layer_kinds",
    "live",
    "single",
]

name_publicly(globals())
