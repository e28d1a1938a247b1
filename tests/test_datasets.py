"""The data sets of the examples."""

from urllib.error import URLError

import numpy as np
import pytest

from sklearn_ff import datasets
from sklearn_ff.datasets import load_images


def save_images(path, **change):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 28, 28), dtype=np.uint8)
    labels = np.arange(6, dtype=np.uint8)
    arrays = dict(x_train=images[:4], y_train=labels[:4], x_test=images[4:], y_test=labels[4:])
    arrays = {name: array for name, array in (arrays | change).items() if array is not None}
    np.savez(path, **arrays)
    return images


def test_digits():
    X_train, y_train, X_test, y_test = load_images("digits")
    assert X_train.shape == (1347, 64) and X_test.shape == (450, 64)
    assert X_train.dtype == X_test.dtype == np.float32
    assert X_train.min() == 0 and X_train.max() == 1
    assert np.bincount(y_test).min() >= 43 and len(y_train) == 1347


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_from_a_folder(tmp_path, name):
    images = save_images(tmp_path / f"{name}.npz")
    X_train, y_train, X_test, _ = load_images(name, tmp_path)
    assert X_train.shape == (4, 784) and X_train.dtype == np.float32
    np.testing.assert_allclose(X_test, images[4:].reshape(2, -1) / 255, rtol=1e-6)
    np.testing.assert_array_equal(y_train, range(4))


def test_unknown_name():
    with pytest.raises(ValueError, match="take one of digits, mnist, fashion_mnist"):
        load_images("letters")


@pytest.mark.parametrize("name", datasets.NAMES)
def test_missing_folder(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*; name an existing one"):
        load_images(name, tmp_path / "nowhere")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*mnist.npz'; put one there"):
        load_images("mnist", tmp_path)


def test_file_without_the_arrays(tmp_path):
    save_images(tmp_path / "mnist.npz", y_test=None)
    with pytest.raises(ValueError, match="must be an npz file of the arrays x_train, "):
        load_images("mnist", tmp_path)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut short"])
def test_broken_file(tmp_path, content):
    (tmp_path / "mnist.npz").write_bytes(content)
    with pytest.raises(ValueError, match="must be an npz file"):
        load_images("mnist", tmp_path)


def test_no_connection(monkeypatch, tmp_path):
    def urlopen(*args, **kwargs):
        raise URLError("no route to host")

    monkeypatch.setattr("sklearn.datasets._openml.urlopen", urlopen)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    with pytest.raises(ConnectionError, match=r"check the connection .* or give a folder"):
        load_images("mnist")


def test_from_openml(monkeypatch):
    def fetch(name, **kwargs):
        assert (name, kwargs["version"]) == ("Fashion-MNIST", 1)
        return np.full((4, 784), 255.0), np.array(["0", "1", "2", "9"], dtype=object)

    monkeypatch.setattr(datasets, "fetch_openml", fetch)
    monkeypatch.setattr(datasets, "N_TRAIN", 3)
    X_train, y_train, X_test, y_test = load_images("fashion_mnist")
    assert X_train.shape == (3, 784) and X_train.max() == 1 and X_test.shape == (1, 784)
    assert y_train.tolist() == [0, 1, 2] and y_test.tolist() == [9]
