import logging
import re
import sys

import numpy as np
import pytest
from data.idx_file import idx_bytes, small_mnist

from ebm_np.data import mnist
from ebm_np.data.locations import data_folder

REAL = [split for split in mnist.FILES if mnist._on_disk(mnist.FILES[split])]
COUNTS = {
    "train": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    "test": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
}


def write_pair(folder, images, labels, split="train", compress=False):
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / (name + ".gz" * compress) for name in mnist.FILES[split]]
    for path, numbers in zip(paths, (images, labels), strict=True):
        path.write_bytes(idx_bytes(numbers, compress=compress))
    return paths


@pytest.fixture
def root(monkeypatch, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("EBM_NP_DATA", str(folder))
    return folder


@pytest.fixture
def nothing(root, tmp_path):
    """Keyword arguments with which nothing can be found or downloaded."""
    return {"cache": tmp_path / "cache", "mirrors": ()}


@pytest.mark.parametrize("place", ["", "mnist"])
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_files_of_the_data_folder(root, nothing, place, compress, split, dtype):
    images, labels = small_mnist(1234)
    write_pair(root / place, images, labels, split, compress)
    digits = mnist.load(split, dtype=dtype, **nothing)
    assert digits.images.dtype == dtype
    np.testing.assert_array_equal(np.rint(digits.images * 255), images.reshape(-1, 784))
    assert digits.images.min() == 0
    assert digits.images.max() == 1
    np.testing.assert_array_equal(digits.labels, labels)
    assert digits.source == f"MNIST ({split}, 1,234 digits)"


def test_the_mnist_folder_comes_before_the_data_folder(root, nothing):
    write_pair(root, *small_mnist(3))
    write_pair(root / "mnist", *small_mnist(4))
    assert len(mnist.load(**nothing).labels) == 4


def test_folders_that_have_the_names_of_files_are_no_files(root, nothing):
    for name in mnist.FILES["train"]:
        (root / "mnist" / name).mkdir(parents=True)
    write_pair(root, *small_mnist(3))
    assert len(mnist.load(**nothing).labels) == 3


@pytest.mark.parametrize("present", [0, 1])
def test_half_a_pair_is_refused_and_never_completed_from_elsewhere(root, nothing, present):
    write_pair(root, *small_mnist())
    paths = write_pair(root / "mnist", *small_mnist())
    paths[1 - present].unlink()
    with pytest.raises(FileNotFoundError, match=paths[1 - present].name):
        mnist.load_or_synthetic(**nothing)


WRONG_IMAGES = [
    np.zeros((7, 28, 28), np.int8),
    np.zeros((7, 28, 28), np.float32),
    np.zeros((7, 784), np.uint8),
    np.zeros((7, 28, 27), np.uint8),
    np.zeros((0, 28, 28), np.uint8),
    np.zeros(7, np.uint8),
]
WRONG_LABELS = [
    np.zeros(7, np.int32),
    np.zeros(6, np.uint8),
    np.zeros((7, 1), np.uint8),
    np.zeros((), np.uint8),
    np.full(7, 10, np.uint8),
]


@pytest.mark.parametrize(
    ("wrong", "numbers"),
    [*[(0, numbers) for numbers in WRONG_IMAGES], *[(1, numbers) for numbers in WRONG_LABELS]],
)
@pytest.mark.parametrize("load", [mnist.load, mnist.load_or_synthetic])
def test_files_of_another_kind_are_refused_by_name(root, nothing, wrong, numbers, load):
    pair = list(small_mnist(7))
    pair[wrong] = numbers
    paths = write_pair(root, *pair)
    with pytest.raises(ValueError, match=rf"{re.escape(str(paths[wrong]))}: expected"):
        load(**nothing)


def test_a_damaged_file_is_no_reason_to_fall_back(root, nothing):
    paths = write_pair(root, *small_mnist(), compress=True)
    paths[0].write_bytes(paths[0].read_bytes()[:-9])
    with pytest.raises(ValueError, match=re.escape(str(paths[0]))):
        mnist.load_or_synthetic(**nothing)


def test_a_data_folder_that_does_not_exist_is_no_reason_to_fall_back(monkeypatch, tmp_path):
    monkeypatch.setenv("EBM_NP_DATA", str(tmp_path / "missing"))
    with pytest.raises(FileNotFoundError, match=r"\$EBM_NP_DATA"):
        mnist.load_or_synthetic(mirrors=())


def test_synthetic_digits_stand_in_and_say_so(nothing, caplog):
    with caplog.at_level(logging.WARNING):
        train, test = (mnist.load_or_synthetic(split, dtype=np.float32, **nothing) for split in ("train", "test"))
    assert [record.name for record in caplog.records] == ["ebm_np.data.mnist"] * 2
    assert "synthetic digits stand in" in caplog.text
    assert "train-images-idx3-ubyte.gz could not be downloaded" in caplog.text
    assert train.source == test.source == "synthetic digits (MNIST not found)"
    assert train.images.shape == (10_000, 784)
    assert test.images.shape == (2_000, 784)
    assert train.images.dtype == np.float32
    together = np.concatenate([train.images, test.images])
    assert len(np.unique(together, axis=0)) == len(together)
    np.testing.assert_array_equal(mnist.load_or_synthetic("test", dtype=np.float32, **nothing).images, test.images)


def test_without_pooch_synthetic_digits_stand_in_and_say_so(monkeypatch, root, caplog):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"pip install 'ebm_np\[figures\]'"):
        mnist.load()
    assert "MNIST not found" in mnist.load_or_synthetic("test").source
    assert "pooch is needed to download MNIST" in caplog.text


def test_without_pooch_local_files_are_read(monkeypatch, root):
    monkeypatch.setitem(sys.modules, "pooch", None)
    write_pair(root, *small_mnist())
    assert len(mnist.load().labels) == 7


@pytest.mark.parametrize(
    ("name", "value"),
    [("split", "validation"), ("split", None), ("dtype", int), ("timeout", 0), ("timeout", None), ("mirrors", "http:")],
)
@pytest.mark.parametrize("load", [mnist.load, mnist.load_or_synthetic])
def test_bad_arguments_are_refused_by_name(root, nothing, name, value, load):
    with pytest.raises((TypeError, ValueError), match=rf"^{name}: expected"):
        load(**{**nothing, name: value})


def test_the_real_digits_where_there_are_any():
    for split in REAL:
        digits = mnist.load(split, dtype=np.float32)
        n = sum(COUNTS[split])
        assert digits.images.shape == (n, 784)
        np.testing.assert_array_equal(np.bincount(digits.labels), COUNTS[split])
        assert abs(digits.images.mean(dtype=np.float64) - {"train": 0.1307, "test": 0.1325}[split]) < 1e-4
        assert digits.source == f"MNIST ({split}, {n:,} digits)"
        assert data_folder() is not None
