"""What an error or a warning advises suits its cause."""

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.datasets import load_iris

from sklearn_ff import FFClassifier
from sklearn_ff.exceptions import DivergenceError
from sklearn_ff.layers import Conv2d
from sklearn_ff.overlays import Add

X, y = load_iris(return_X_y=True)
IMAGES, OF = np.random.default_rng(0).random((60, 192)), np.arange(60) % 3


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_scaling_is_advised_for_large_values(convert, method):
    model = FFClassifier(16, scaling=None, random_state=0)
    known = {"classes": [0, 1, 2]} if method == "partial_fit" else {}
    with pytest.raises(DivergenceError, match=r"Values of X go up to 7\.9e\+06.*scale the columns"):
        for _ in range(20):
            getattr(model, method)(convert(X * 1e6), y, **known)


def test_scaling_is_not_advised_for_scaled_rows():
    model = FFClassifier(16, learning_rate_init=1e9, random_state=0)
    with pytest.raises(DivergenceError, match=r"\. Lower learning_rate_init\. "):
        model.fit(X * 1e6, y)


def test_channels_first_is_advised_for_channels_last():
    model = FFClassifier(layers=[Conv2d(4)], overlay="channel", image_shape=(8, 8, 3))
    with pytest.warns(UserWarning, match=r"channels come first, so give \(3, 8, 8\)"):
        model.fit(IMAGES, OF)


CODE = np.random.default_rng(0).normal(size=(3, 4))


@pytest.mark.parametrize(
    "convert",
    [sparse.csr_array, sparse.csr_matrix, sparse.coo_array, lambda c: torch.tensor(c).to_sparse()],
)
@pytest.mark.parametrize("called", [False, True])
def test_a_sparse_code_is_as_a_dense_one(convert, called):
    code = convert(CODE)
    given = Add((lambda n_features, n_classes: code) if called else code)
    p = FFClassifier(8, overlay=given, random_state=0).fit(X, y).predict_proba(X)
    expected = FFClassifier(8, overlay=Add(CODE), random_state=0).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(p, expected)
