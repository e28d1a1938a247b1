"""The data sets of the examples. No test uses the network; files are as torchvision reads them."""

import hashlib
import pickle
from io import BytesIO
from urllib.error import URLError

import numpy as np
import pytest
import torchvision
from PIL import Image
from scipy.io import savemat

from sklearn_ff import datasets
from sklearn_ff.datasets import load_images

RNG = np.random.default_rng(0)


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
    with pytest.raises(FileNotFoundError, match=r"no file 'mnist.npz' in .*set download=True"):
        load_images("mnist", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no file .*cifar10_16k.npz'; put it there"):
        load_images("cifar10_16k", tmp_path, download=True)


def test_as_many_labels_as_images(tmp_path):
    save_images(tmp_path / "mnist.npz", y_test=np.zeros(3, np.uint8))
    with pytest.raises(ValueError, match="holds 2 test images and 3 labels"):
        load_images("mnist", tmp_path)


def test_colours_of_a_file_become_channels(tmp_path):
    images = RNG.integers(0, 256, (4, 5, 6, 3), dtype=np.uint8)
    save_images(tmp_path / "svhn.npz", x_train=images)
    X, *_ = load_images("svhn", tmp_path)
    np.testing.assert_allclose(X[1].reshape(3, 5, 6)[2], images[1, :, :, 2] / 255, rtol=1e-6)


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

    monkeypatch.setattr("sklearn.datasets._openml.time.sleep", lambda seconds: None)
    monkeypatch.setattr("sklearn.datasets._openml.urlopen", urlopen)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    with pytest.raises(ConnectionError, match=r"check the connection .* or give a folder"):
        load_images("mnist", download=True)


@pytest.mark.parametrize("name", [name for name in datasets.NAMES if name != "digits"])
def test_nothing_is_downloaded_without_being_asked_for(monkeypatch, name):
    monkeypatch.setattr(datasets, "fetch_openml", None)
    with pytest.raises(ValueError, match=f"{name} does not come with scikit-learn; name a folder "):
        load_images(name)


def test_from_openml(monkeypatch):
    def fetch(name, **kwargs):
        assert (name, kwargs["version"]) == ("Fashion-MNIST", 1)
        return np.full((4, 784), 255.0), np.array(["0", "1", "2", "9"], dtype=object)

    monkeypatch.setattr(datasets, "fetch_openml", fetch)
    monkeypatch.setattr(datasets, "N_TRAIN", 3)
    X_train, y_train, X_test, y_test = load_images("fashion_mnist", download=True)
    assert X_train.shape == (3, 784) and X_train.max() == 1 and X_test.shape == (1, 784)
    assert y_train.tolist() == [0, 1, 2] and y_test.tolist() == [9]


# torchvision ------------------------------------------------------------------------------------


def save_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + array.tobytes())


def save_idx_files(folder, kind, monkeypatch):
    for split, n in (("train", 4), ("t10k", 2)):
        images = RNG.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        save_idx(folder / kind / "raw" / f"{split}-images-idx3-ubyte", images)
        save_idx(folder / kind / "raw" / f"{split}-labels-idx1-ubyte", np.arange(n, dtype=np.uint8))
    return images


def checksum(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def pickled(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(content))
    return [path.name, checksum(path)]


def save_batches(folder, kind, monkeypatch):
    made = torchvision.datasets.CIFAR10
    for attribute, names, n in (
        ("train_list", ["data_batch_1", "data_batch_2"], 2),
        ("test_list", ["test_batch"], 2),
    ):
        data = RNG.integers(0, 256, (n, 3072), dtype=np.uint8)
        content = {"data": data, "labels": list(range(n))}
        files = [pickled(folder / made.base_folder / name, content) for name in names]
        monkeypatch.setattr(made, attribute, files)
    meta = folder / made.base_folder / made.meta["filename"]
    pickled(meta, {"label_names": list("abcdefghij")})
    monkeypatch.setitem(made.meta, "md5", checksum(meta))
    return data


def save_mat(folder, kind, monkeypatch):
    files = dict(torchvision.datasets.SVHN.split_list)
    for split, n in (("train", 4), ("test", 2)):
        images = RNG.integers(0, 256, (32, 32, 3, n), dtype=np.uint8)
        path = folder / f"{split}_32x32.mat"
        savemat(path, {"X": images, "y": np.arange(10, 10 - n, -1, dtype=np.uint8)[:, None]})
        files[split] = [files[split][0], path.name, checksum(path)]
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", files)
    return images.transpose(3, 2, 0, 1)


SAVE = dict.fromkeys(["mnist", "fashion_mnist", "kmnist"], save_idx_files)
SAVE |= {"cifar10": save_batches, "svhn": save_mat}


@pytest.fixture(params=SAVE)
def saved(request, tmp_path, monkeypatch):
    """The name of a data set, its folder, and its test images."""
    kind, _ = datasets.TORCHVISION[request.param]
    return request.param, tmp_path, SAVE[request.param](tmp_path, kind, monkeypatch)


@pytest.fixture
def offline(monkeypatch):
    def urlopen(*args, **kwargs):
        raise URLError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", urlopen)


def test_torchvision_reads_a_folder(saved, offline):
    name, folder, images = saved
    for download in (False, True):
        X_train, y_train, X_test, y_test = load_images(name, folder, download=download)
        assert X_train.shape == (4, images[0].size) and X_train.dtype == np.float32
        np.testing.assert_allclose(X_test, images.reshape(2, -1) / 255, rtol=1e-6)
        assert y_train.dtype == np.int64 and len(y_train) == 4
        assert y_test.tolist() == ([0, 9] if name == "svhn" else [0, 1])


def test_damaged_files_of_torchvision_are_named_with_the_remedy(saved, offline):
    name, folder, _ = saved
    path = folder / datasets.TORCHVISION[name][1]
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ValueError, match=r"is incomplete or damaged; delete .*download=True") as e:
        load_images(name, folder)
    assert str(folder) in str(e.value)


@pytest.mark.parametrize("name", SAVE)
@pytest.mark.filterwarnings("ignore")
def test_a_download_that_fails_names_the_folder(tmp_path, offline, name):
    with pytest.raises(ConnectionError, match=r"check the connection .* or name a folder") as e:
        load_images(name, tmp_path / "new", download=True)
    assert str(tmp_path / "new") in str(e.value)


# The subset of CIFAR-10 -------------------------------------------------------------------------


def save_jpegs(path, **change):
    arrays = {}
    for split, shades in (("train", [0, 100, 200]), ("test", [255])):
        files = []
        for shade in shades:
            Image.new("RGB", (32, 32), (shade, 50, 255)).save(file := BytesIO(), "JPEG")
            files.append(file.getvalue())
        arrays[f"jpeg_{split}"] = np.frombuffer(b"".join(files), np.uint8)
        arrays[f"end_{split}"] = np.cumsum([len(file) for file in files])
        arrays[f"y_{split}"] = np.arange(len(shades), dtype=np.uint8)
    np.savez(path, **arrays | change)


def test_the_subset_of_cifar10_is_decoded(tmp_path):
    save_jpegs(tmp_path / "cifar10_16k.npz")
    X_train, y_train, X_test, _ = load_images("cifar10_16k", tmp_path)
    assert X_train.shape == (3, 3072) and X_test.shape == (1, 3072)
    assert y_train.tolist() == [0, 1, 2]
    colours = X_train.reshape(3, 3, 1024).mean(2) * 255
    np.testing.assert_allclose(colours, [[shade, 50, 255] for shade in (0, 100, 200)], atol=3)
    save_jpegs(tmp_path / "cifar10_16k.npz", end_test=np.array([5]), jpeg_test=np.arange(5))
    with pytest.raises(ValueError, match=r"must be an npz file of the arrays jpeg_train, "):
        load_images("cifar10_16k", tmp_path)
