"""Sentences about devices and shapes."""

import numpy as np
import pytest

from sklearn_ff import FFClassifier

pytestmark = pytest.mark.filterwarnings("ignore:image_shape=.* has no effect")

X = np.random.default_rng(0).normal(size=(20, 98))
Y = np.arange(20) % 2


@pytest.mark.fault("H6")
@pytest.mark.parametrize("device", ["meta", "cuda:99", "mps:7", "", "gpu"])
def test_devices_that_cannot_compute_are_refused_by_name(device):
    with pytest.raises(ValueError, match=f"device='{device}' is not available"):
        FFClassifier((4,), max_iter=1, device=device).fit(X, Y)


def test_channels_last_are_reported():
    with pytest.warns(UserWarning, match=r"channels come first, so give \(2, 7, 7\)"):
        FFClassifier((4,), max_iter=1, image_shape=(7, 7, 2), random_state=0).fit(X, Y)
