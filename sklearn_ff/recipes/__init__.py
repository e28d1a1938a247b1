"""Published set-ups by name: functions that return an estimator ready to be fitted.

A recipe takes any parameter of its estimator, which overrides that of the recipe. Labels have the
strength of a white pixel; the recipes after rmwkwok, which do not scale rows, need pixels between 0
and 1. Faults of the programs that lie outside the method are not repeated; the docstrings name
them.
"""

from ._asge import asge
from ._backprop import backpropagation
from ._collaboration import layer_collaboration
from ._convolutions import scodellaro, trifecta
from ._cwcomp import cwcomp
from ._deeper_forward import deeper_forward
from ._hff import hff
from ._hinton import hinton_jitter, hinton_supervised, loewe
from ._hinton_features import hinton_local, hinton_unsupervised
from ._local_loss import local_loss
from ._mono_forward import mono_forward
from ._mpezeshki import mpezeshki
from ._pairs import swish, symba
from ._rmwkwok import rmwkwok_conv, rmwkwok_dense, rmwkwok_routed
from ._scff import scff

__all__ = [
    "asge",
    "backpropagation",
    "cwcomp",
    "deeper_forward",
    "hff",
    "hinton_jitter",
    "hinton_local",
    "hinton_supervised",
    "hinton_unsupervised",
    "layer_collaboration",
    "local_loss",
    "loewe",
    "mono_forward",
    "mpezeshki",
    "rmwkwok_conv",
    "rmwkwok_dense",
    "rmwkwok_routed",
    "scff",
    "scodellaro",
    "swish",
    "symba",
    "trifecta",
]
