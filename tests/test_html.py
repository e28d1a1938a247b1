"""The HTML representation of a fitted estimator."""

import re

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff.objectives import Logistic

X = np.random.default_rng(0).normal(size=(40, 4))
y = np.arange(40) % 2


def came_to(html):
    """The rows of the table of what "auto" came to."""
    table = re.search(r'What "auto" came to.*?</table>', html, re.S)
    rows = table.group() if table else ""
    return dict(re.findall(r'"param">(.*?)</td>\s*<td class="value">(.*?)</td>', rows))


@pytest.mark.parametrize("wrap", [lambda ff: ff, make_pipeline])
def test_a_fitted_estimator_shows_what_auto_came_to(wrap):
    ff = FFTransformer(4, max_iter=2, batch_size=8)
    whole = wrap(ff)
    assert came_to(whole._repr_html_()) == {}
    shown = came_to(whole.fit(X, y)._repr_html_())
    assert shown["objective"] == repr(Logistic(4.0, 1.0, 6.0))  # without an ellipsis
    assert shown["learning_rate_init"] == "0.002"
    assert shown["precision"] == "&#x27;float64&#x27;"
    automatic = {name for name, value in ff.get_params().items() if value == "auto"}
    assert shown.keys() == automatic > {"negatives", "input_normalization", "scaling", "device"}
    assert not {"batch_size", "max_iter", "goodness"} & shown.keys()


def test_it_shows_the_fit_whatever_is_set_afterwards():
    clf = FFClassifier(4, max_iter=2).fit(X, y).set_params(batch_size=7, max_iter="auto")
    shown = came_to(clf._repr_html_())
    assert shown["batch_size"] == "40"
    assert "max_iter" not in shown


def test_it_shows_no_table_where_nothing_was_auto():
    definite = {
        **dict(negatives="all", objective="swish", input_normalization=None, scaling=None),
        **dict(learning_rate_init=0.01, batch_size=8, max_iter=2, device="cpu"),
    }
    clf = FFClassifier(4, precision="float32", compile=False, **definite).fit(X, y)
    assert "auto" not in clf._repr_html_().split("Fitted attributes")[0].split("</style>")[-1]
