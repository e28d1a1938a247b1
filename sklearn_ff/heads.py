"""Settings of the softmax head.

The head is a linear classifier on the normalised activations of a row under the neutral label. It
exists where `negatives` draw labels by its belief, and where it predicts.
"""

from __future__ import annotations

from typing import Any

from ._parts import LARGEST, Part, check_number

__all__ = ["SoftmaxHead"]


class SoftmaxHead(Part):
    """Settings of the softmax head's optimizer that differ from those of the last layer.

    Parameters
    ----------
    learning_rate_init : float or None, default=None
        Initial rate; None is that of the last layer.
    alpha : float, default=0.0
        L2 penalty of the head's weights, divided by the number of rows.
    optimizer_params : dict or None, default=None
        Options of the head's optimizer that replace the last layer's.
    """

    def __init__(
        self,
        learning_rate_init: float | None = None,
        alpha: float = 0.0,
        optimizer_params: dict[str, Any] | None = None,
    ) -> None:
        self.learning_rate_init = learning_rate_init
        self.alpha = alpha
        self.optimizer_params = optimizer_params

    def check(self) -> None:
        if self.learning_rate_init is not None:
            check_number(self, "learning_rate_init", above=0)
        check_number(self, "alpha", at_least=0, at_most=LARGEST)
        if not (self.optimizer_params is None or isinstance(self.optimizer_params, dict)):
            raise ValueError(
                f"SoftmaxHead(optimizer_params={self.optimizer_params!r}) is no dict; give the "
                f"options of the optimizer by name, such as {{'weight_decay': 0.003}}, or None."
            )


def checked_head(value: Any) -> SoftmaxHead:
    """The settings of the head; None means the defaults."""
    if value is None:
        return SoftmaxHead()
    if isinstance(value, type) or not isinstance(value, SoftmaxHead):
        raise ValueError(
            f"head={value!r} is not known; head must be a SoftmaxHead object, such as "
            f"SoftmaxHead(alpha=0.003), or None."
        )
    value.check()
    return value.changed()
