"""Scores by goodness and head together."""

import numpy as np
import torch
from sklearn.datasets import load_digits

from sklearn_ff import FFClassifier
from sklearn_ff._scoring import network_scores

DIGITS, DIGIT = load_digits(return_X_y=True)


def classifier(**params):
    return FFClassifier(**{"max_iter": 20, "random_state": 0, **params})


def all_scores(model, rows):
    return network_scores(model.net_.module_, model._fitted.plan, rows)


def test_hybrid_prediction_with_an_untrained_head_is_repeatable():
    model = classifier(prediction="hybrid", max_iter=5).fit(DIGITS, DIGIT)
    with torch.no_grad():
        for p in model.net_.module_.head.parameters():
            p.zero_()
    scores = all_scores(model, DIGITS)
    goodness = network_scores(
        model.net_.module_, model._fitted.plan, DIGITS, model._fitted.plan.counted
    )
    assert np.isfinite(scores).all()
    # The first two labels by their goodness; the others below the lowest of these.
    np.testing.assert_allclose(scores[:, :2], goodness[:, :2], rtol=1e-5)
    assert (scores[:, 2:].max(1) < scores[:, :2].min(1)).all()
    np.testing.assert_array_equal(scores, all_scores(model, DIGITS))
    one_by_one = np.vstack([all_scores(model, DIGITS[i : i + 1]) for i in range(50)])
    np.testing.assert_allclose(one_by_one, scores[:50], rtol=1e-4)
