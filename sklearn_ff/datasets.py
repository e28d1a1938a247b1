"""Image data sets: from scikit-learn, from a folder, by torchvision, or from OpenML."""

from __future__ import annotations

import os
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from importlib.util import find_spec
from io import BytesIO
from lzma import LZMAError
from pathlib import Path
from typing import Any
from urllib.error import URLError
from zipfile import BadZipFile

import numpy as np
from sklearn.datasets import fetch_openml, load_digits
from sklearn.model_selection import train_test_split

__all__ = ["load_images"]

OPENML = {"mnist": "mnist_784", "fashion_mnist": "Fashion-MNIST"}
# Classes of torchvision.datasets, and the file of each that is looked for.
TORCHVISION = {
    "mnist": ("MNIST", "MNIST/raw/train-images-idx3-ubyte"),
    "fashion_mnist": ("FashionMNIST", "FashionMNIST/raw/train-images-idx3-ubyte"),
    "kmnist": ("KMNIST", "KMNIST/raw/train-images-idx3-ubyte"),
    "cifar10": ("CIFAR10", "cifar-10-batches-py/data_batch_1"),
    "svhn": ("SVHN", "train_32x32.mat"),
}
SUBSET = "cifar10_16k"
NAMES = ("digits", *TORCHVISION, SUBSET)
SPLITS = ("train", "test")
ARRAYS = ("x_train", "y_train", "x_test", "y_test")
N_TRAIN = 60_000
UNREACHED = (URLError, HTTPException, ConnectionError, TimeoutError)
DAMAGED = (RuntimeError, ValueError, TypeError, AssertionError, LookupError, EOFError)
PACKED = (BadZipFile, LZMAError, zlib.error, OSError)  # of archives, and of images in them
Images = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # in the order of ARRAYS


def load_images(
    name: str, folder: str | os.PathLike[str] | None = None, *, download: bool = False
) -> Images:
    """Load labelled images, split into training and test rows.

    Parameters
    ----------
    name : {"digits", "mnist", "fashion_mnist", "kmnist", "cifar10", "svhn", "cifar10_16k"}
        The data set. "digits" comes with scikit-learn, and a quarter of it is held out for testing.
        Images of digits are 8 x 8 pixels, (1, 8, 8) as `image_shape`; those of the three like MNIST
        (1, 28, 28); those of "cifar10" and "svhn" (3, 32, 32). "cifar10_16k" is a subset of
        CIFAR-10 of 16,000 + 4,000 images, compressed as JPEG: figures on it cannot be compared with
        published ones of CIFAR-10.
    folder : str or path-like or None, default=None
        Folder of the data, not needed for "digits". It holds either a file ``NAME.npz`` of the
        arrays x_train, y_train, x_test and y_test, such as ``mnist.npz``; or what
        `torchvision.datasets` keeps there, in the layout of its parameter `root`. A file
        ``cifar10_16k.npz`` holds images as bytes of JPEG files one after another, in jpeg_train and
        jpeg_test; where each ends, in end_train and end_test; y_train and y_test.
    download : bool, default=False
        True downloads what is not there: with a folder by torchvision into it, without one "mnist"
        and "fashion_mnist" from OpenML, of which scikit-learn keeps a copy. False never uses the
        network.

    Returns
    -------
    X_train : ndarray of shape (n_train, n_features), float32
        Training images, one per row, pixels between 0 and 1, channel by channel.
    y_train : ndarray of shape (n_train,)
        Their labels, integers.
    X_test : ndarray of shape (n_test, n_features), float32
        Test images.
    y_test : ndarray of shape (n_test,)
        Their labels.

    Raises
    ------
    FileNotFoundError
        If the folder, or the data set in it, does not exist.
    ConnectionError
        If a download fails.
    ValueError
        If the data set is not known, cannot be read, or is neither in a folder nor downloaded.

    Examples
    --------
    >>> from sklearn_ff.datasets import load_images
    >>> X_train, y_train, X_test, y_test = load_images("digits")
    >>> X_train.shape, X_test.shape, X_train.dtype.name
    ((1347, 64), (450, 64), 'float32')
    """
    if name not in NAMES:
        raise ValueError(f"name={name!r} is not a data set; take one of {', '.join(NAMES)}.")
    if folder is None:
        return _digits() if name == "digits" else _from_openml(name, download)
    folder = Path(folder).expanduser()
    may_be_made = download and name in TORCHVISION and not folder.exists()
    if not (folder.is_dir() or may_be_made):
        raise FileNotFoundError(
            f"There is no folder {str(folder)!r}; name an existing one, or leave it out."
        )
    if name == "digits":
        return _digits()
    path = folder / f"{name}.npz"
    if path.is_file() or name not in TORCHVISION:
        return _checked(_from_file(path), path)
    return _checked(_from_torchvision(name, folder, download), folder)


def _digits() -> Images:
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.25, stratify=y, random_state=0
    )
    return X_train, y_train, X_test, y_test


def _checked(images: Images, path: Path) -> Images:
    """The images, if there are as many labels."""
    for split, X, y in zip(SPLITS, images[::2], images[1::2], strict=True):
        if len(X) != len(y):
            raise ValueError(
                f"{str(path)!r} holds {len(X)} {split} images and {len(y)} labels; it is damaged: "
                "replace it."
            )
    return images


# Files npz -----------------------------------------------------------------------------------


def _from_file(path: Path) -> Images:
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file {str(path)!r}; put it there, or name the folder that holds it."
        )
    arrays: tuple[str, ...] = ARRAYS
    try:
        with path.open("rb") as stream, np.load(stream) as file:
            if path.stem == SUBSET:
                arrays = tuple(f"{a}_{split}" for split in SPLITS for a in ("jpeg", "end", "y"))
                return _from_jpegs(*(file[array] for array in arrays))
            X_train, y_train, X_test, y_test = (file[array] for array in ARRAYS)
    except (*PACKED, *DAMAGED) as error:
        raise ValueError(
            f"{str(path)!r} cannot be read; it must be an npz file of the arrays "
            f"{', '.join(arrays)}."
        ) from error
    return _rows(X_train), y_train, _rows(X_test), y_test


def _from_jpegs(*arrays: np.ndarray) -> Images:
    train, end_train, y_train, test, end_test, y_test = arrays
    return (
        _rows(_decoded(train, end_train)),
        y_train,
        _rows(_decoded(test, end_test)),
        y_test,
    )


def _decoded(content: np.ndarray, ends: np.ndarray) -> np.ndarray:
    from PIL import Image  # torchvision's own decoder is deprecated

    files = np.split(content, ends[:-1])
    return np.stack([np.asarray(Image.open(BytesIO(f.tobytes())).convert("RGB")) for f in files])


def _rows(images: np.ndarray) -> np.ndarray:
    """One image per row, channel by channel; bytes are scaled to between 0 and 1."""
    if images.ndim == 4 and images.shape[1] not in (1, 3):
        images = np.moveaxis(images, -1, 1)
    rows = images.reshape(len(images), -1).astype(np.float32)
    if images.dtype == np.uint8:
        rows /= 255
    return rows


# torchvision ---------------------------------------------------------------------------------


def _from_torchvision(name: str, folder: Path, download: bool) -> Images:
    kind, file = TORCHVISION[name]
    if not (download or (folder / file).is_file()):
        raise FileNotFoundError(
            f"There is no file '{name}.npz' in {str(folder)!r}, nor {file!r}, as "
            f"torchvision.datasets.{kind} lays out its data; name the folder that holds one of "
            "them, or set download=True."
        )
    parts: list[np.ndarray] = []
    with _reported(name, folder, download):
        for split in SPLITS:
            images, labels = _read_by_torchvision(kind, folder, split, download)
            parts += [_rows(images), labels.astype(np.int64)]
    X_train, y_train, X_test, y_test = parts
    return X_train, y_train, X_test, y_test


def _read_by_torchvision(
    kind: str, folder: Path, split: str, download: bool
) -> tuple[np.ndarray, np.ndarray]:
    from torchvision import datasets  # it takes a second to import

    which: dict[str, Any] = {"split": split} if kind == "SVHN" else {"train": split == "train"}
    make: Callable[..., Any] = getattr(datasets, kind)
    data = make(folder, download=download, **which)
    labels = data.labels if kind == "SVHN" else data.targets
    return np.asarray(data.data), np.atleast_1d(np.asarray(labels))


@contextmanager
def _reported(name: str, folder: Path, download: bool) -> Iterator[None]:
    """Errors of torchvision, with the folder and the remedy."""
    kind, file = TORCHVISION[name]
    try:
        yield
    except (*UNREACHED, *DAMAGED) as error:
        there = (folder / file).is_file() and "Error downloading" not in str(error)
        if download and (isinstance(error, UNREACHED) or not there):
            raise ConnectionError(
                f"{kind} could not be downloaded to {str(folder)!r}; check the connection and try "
                f"again, or name a folder that holds {name}.npz or {file}."
            ) from error
        raise ValueError(
            f"{kind} in {str(folder)!r} is incomplete or damaged; delete {Path(file).parts[0]!r} "
            "there and set download=True, or name another folder."
        ) from error


# OpenML --------------------------------------------------------------------------------------


def _from_openml(name: str, download: bool) -> Images:
    if not (download and name in OPENML):
        remedy = {
            SUBSET: f"that holds {SUBSET}.npz; it cannot be downloaded",
            **dict.fromkeys(TORCHVISION, "for it, in which download=True saves it"),
            **dict.fromkeys(OPENML, "that holds it, or set download=True"),
        }
        raise ValueError(f"{name} does not come with scikit-learn; name a folder {remedy[name]}.")
    # The parser "pandas" is much faster, but pandas is not required.
    parser = "pandas" if find_spec("pandas") else "liac-arff"
    options = dict(version=1, return_X_y=True, as_frame=False, parser=parser, n_retries=1)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "A network error occurred")
            X, y = fetch_openml(OPENML[name], **options)
    except UNREACHED as error:
        raise ConnectionError(
            f"{OPENML[name]} could not be downloaded from OpenML; check the connection and try "
            f"again, or give a folder that holds {name}.npz."
        ) from error
    X, y = _rows(X.astype(np.uint8)), y.astype(np.int64)
    return X[:N_TRAIN], y[:N_TRAIN], X[N_TRAIN:], y[N_TRAIN:]
