"""Image data sets for the examples: from scikit-learn, from a folder, or from OpenML."""

from __future__ import annotations

import os
import warnings
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from zipfile import BadZipFile

import numpy as np
from sklearn.datasets import fetch_openml, load_digits
from sklearn.model_selection import train_test_split

__all__ = ["load_images"]

OPENML = {"mnist": "mnist_784", "fashion_mnist": "Fashion-MNIST"}
NAMES = ("digits", *OPENML)
ARRAYS = ("x_train", "y_train", "x_test", "y_test")
N_TRAIN = 60_000
Images = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # in the order of ARRAYS


def load_images(name: str, folder: str | os.PathLike[str] | None = None) -> Images:
    """Load labelled images, split into training and test rows.

    Parameters
    ----------
    name : {"digits", "mnist", "fashion_mnist"}
        The data set. "digits" comes with scikit-learn, and a quarter of it is held out for testing.
    folder : str or path-like or None, default=None
        Folder with a file ``mnist.npz`` or ``fashion_mnist.npz`` of the arrays x_train, y_train,
        x_test and y_test. None downloads the data set from OpenML, once: scikit-learn keeps a copy.
        "digits" needs neither.

    Returns
    -------
    X_train : ndarray of shape (n_train, n_features), float32
        Training images, one per row, pixels between 0 and 1.
    y_train : ndarray of shape (n_train,)
        Their labels, integers.
    X_test : ndarray of shape (n_test, n_features), float32
        Test images.
    y_test : ndarray of shape (n_test,)
        Their labels.

    Raises
    ------
    FileNotFoundError
        If the folder, or the file in it, does not exist.
    ConnectionError
        If OpenML cannot be reached.

    Examples
    --------
    >>> from sklearn_ff.datasets import load_images
    >>> X_train, y_train, X_test, y_test = load_images("digits")
    >>> X_train.shape, X_test.shape, X_train.dtype.name
    ((1347, 64), (450, 64), 'float32')
    """
    if name not in NAMES:
        raise ValueError(f"name={name!r} is not a data set; take one of {', '.join(NAMES)}.")
    if folder is not None and not Path(folder).is_dir():
        raise FileNotFoundError(
            f"There is no folder {str(folder)!r}; name an existing one, or leave it out."
        )
    if name == "digits":
        return _digits()
    return _from_openml(name) if folder is None else _from_file(Path(folder) / f"{name}.npz")


def _digits() -> Images:
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.25, stratify=y, random_state=0
    )
    return X_train, y_train, X_test, y_test


def _from_file(path: Path) -> Images:
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file {str(path)!r}; put one there with the arrays {', '.join(ARRAYS)}, "
            "or leave the folder out to download from OpenML."
        )
    try:
        with path.open("rb") as stream, np.load(stream) as file:
            X_train, y_train, X_test, y_test = (file[array] for array in ARRAYS)
    except (KeyError, TypeError, ValueError, EOFError, BadZipFile) as error:
        raise ValueError(
            f"{str(path)!r} cannot be read; it must be an npz file of the arrays "
            f"{', '.join(ARRAYS)}."
        ) from error
    return _rows(X_train), y_train, _rows(X_test), y_test


def _rows(images: np.ndarray) -> np.ndarray:
    """One image per row; bytes are scaled to between 0 and 1."""
    rows = images.reshape(len(images), -1).astype(np.float32)
    return rows / np.float32(255) if images.dtype == np.uint8 else rows


def _from_openml(name: str) -> Images:
    # The parser "pandas" is much faster, but pandas is not required.
    parser = "pandas" if find_spec("pandas") else "liac-arff"
    options = dict(version=1, return_X_y=True, as_frame=False, parser=parser, n_retries=1)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "A network error occurred")
            X, y = fetch_openml(OPENML[name], **options)
    except (URLError, HTTPException, ConnectionError, TimeoutError) as error:
        raise ConnectionError(
            f"{OPENML[name]} could not be downloaded from OpenML; check the connection and try "
            f"again, or give a folder that holds {name}.npz."
        ) from error
    X, y = _rows(X.astype(np.uint8)), y.astype(np.int64)
    return X[:N_TRAIN], y[:N_TRAIN], X[N_TRAIN:], y[N_TRAIN:]
