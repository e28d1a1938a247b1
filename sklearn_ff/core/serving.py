"""What a net predicts from raw rows, and the methods of skorch that are the estimator's."""

from typing import Any

import numpy as np

from .rows import raw_rows

ROWS_AT_ONCE = 256


class Serving:
    """The methods of a skorch net that take rows."""

    module_: Any
    check_is_fitted: Any
    evaluation_step: Any
    forward: Any

    def infer(self, x):
        """What the network returns for raw rows: log-probabilities of classes, or features."""
        return self.module_(raw_rows(x).to(self.module_.scaler.shift.device))

    def forward_iter(self, X, training=False, device="cpu"):
        """Yield what the network returns, part by part; with gradients in `training`."""
        X = X if hasattr(X, "ndim") and hasattr(X, "dtype") else np.asarray(X)
        for start in range(0, max(1, X.shape[0]), ROWS_AT_ONCE):
            some = X[start : start + ROWS_AT_ONCE], None
            yield self.evaluation_step(some, training=training).to(device)

    def predict_proba(self, X):
        """Probabilities of the classes, as of the estimator."""
        self.check_is_fitted()
        if not self.module_.answer.predicts:
            raise of_the_estimator("returns features, not classes", "transform")
        return self.forward(X).softmax(1).numpy()

    def predict(self, X):
        """The likeliest classes, as indices into `classes_` of the estimator."""
        return self.predict_proba(X).argmax(1)

    def fit(self, X, y=None, **fit_params):
        raise of_the_estimator("is trained by an estimator", "fit")

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        raise of_the_estimator("is trained by an estimator", "partial_fit")

    def score(self, X, y=None):
        raise of_the_estimator("knows classes by their indices alone", "score")


def of_the_estimator(fact, method):
    return NotImplementedError(f"This net {fact}; call {method} of the estimator instead.")
