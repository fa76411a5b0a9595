"""MNIST: 60,000 + 10,000 handwritten digits, 28 x 28, found on disk or downloaded once; or what stands in for them.

`load` looks, for the pair of files of a split, in this order:

1. in the folder `mnist` of `$EBM_NP_DATA`, then in `$EBM_NP_DATA` itself: `train-images-idx3-ubyte` and so on, with
   `.gz` or without, taken as they are;
2. in the user's cache, where checksums are verified;
3. at the mirrors, from where the files go to that cache.

`load_or_synthetic` goes on, with a warning in the log, to the digits that `ebm_np.data.digits` draws. A file that is
there but damaged is an error in both.

Source: LeCun, Bottou, Bengio and Haffner (1998), "Gradient-based learning applied to document recognition".
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ebm_np.data.digits import SIDE, Digits, synthetic
from ebm_np.data.idx import read_idx
from ebm_np.data.locations import VARIABLE, data_folder
from ebm_np.data.optional import optional
from ebm_np.foundations import validation as check
from ebm_np.foundations.arrays import Array

logger = logging.getLogger(__name__)

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)
STAND_IN = {"train": 10_000, "test": 2_000}
"""How many synthetic digits stand in for a split. Like MNIST they are always the same, and the splits share none."""


def load(
    split: str = "train",
    *,
    dtype: DTypeLike = np.float64,
    cache: str | os.PathLike[str] | None = None,
    mirrors: Sequence[str] = MIRRORS,
    timeout: float = 5.0,
) -> Digits:
    """Return the digits of MNIST: `images` (N, 784) in [0, 1], `labels` (N,) in 0..9 and `source`.

    Parameters
    ----------
    split : "train" or "test"
    dtype : float64 or float32, of the images
    cache : path, optional
        where downloads are kept; by default the folder `ebm_np/mnist` of the user's cache.
    mirrors : sequence of str, addresses of folders that serve the files, tried in this order
    timeout : float
        seconds to wait for a connection, and for the next bytes.

    Raises
    ------
    ValueError
        if a file is damaged, or holds something else than such images or labels; the message names it.
    FileNotFoundError
        if `$EBM_NP_DATA` names no folder, or one that holds only one file of the pair.
    ConnectionError
        if no mirror could serve a file; the message says which and why.
    ModuleNotFoundError
        if a file must be downloaded and pooch is not installed.
    """
    names = FILES[check.choice("split", split, FILES)]
    kind, seconds = check.floating("dtype", dtype), check.positive("timeout", timeout)
    if isinstance(mirrors, str):
        raise TypeError("mirrors: expected a sequence of addresses, got one str")
    paths = _on_disk(names) or [_fetch(f"{name}.gz", cache, mirrors, seconds) for name in names]
    images, labels = _read_pair(*paths)
    # Divided into the result: of 60,000 digits in float64 there is no second copy.
    scaled = np.divide(images.reshape(len(images), -1), 255, dtype=kind)
    return Digits(scaled, labels.astype(np.int64), f"MNIST ({split}, {len(labels):,} digits)")


def load_or_synthetic(split: str = "train", *, dtype: DTypeLike = np.float64, **options: Any) -> Digits:
    """Return the digits of MNIST, or, where they cannot be had, synthetic ones: `source` and the log say so.

    The stand-in is a fixed data set of `STAND_IN[split]` digits. Arguments and errors are those of `load`, except that
    unreachable mirrors and a missing pooch are reasons to fall back.
    """
    try:
        return load(split, dtype=dtype, **options)
    except (ConnectionError, ModuleNotFoundError) as error:
        reason, *details = str(error).splitlines()
        logger.warning("MNIST was not found, synthetic digits stand in: %s", reason.removesuffix(" Tried:"))
        logger.info("tried: %s", details)
    rng = np.random.default_rng([1998, *split.encode()])
    digits = synthetic(rng, STAND_IN[split], dtype=dtype)
    return digits._replace(source="synthetic digits (MNIST not found)")


def _on_disk(names: Sequence[str]) -> list[Path] | None:
    """Return the paths of the files below `$EBM_NP_DATA`, or None; never one from here and one from there."""
    root = data_folder()
    for folder in [] if root is None else [root / "mnist", root]:
        found = [[path for path in (folder / name, folder / f"{name}.gz") if path.is_file()] for name in names]
        if all(found):
            return [paths[0] for paths in found]
        if any(found):
            missing = next(name for name, paths in zip(names, found, strict=True) if not paths)
            raise FileNotFoundError(f"{folder}: expected {missing} or {missing}.gz beside its twin, found neither")
    return None


def _read_pair(image_path: Path, label_path: Path) -> tuple[Array, Array]:
    """Return images (N, 28, 28) and labels (N,), both uint8, or raise a `ValueError` that names the file."""
    images, labels = read_idx(image_path), read_idx(label_path)
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (SIDE, SIDE) or not len(images):
        raise ValueError(
            f"{image_path}: expected images of uint8, shape (N, {SIDE}, {SIDE}), got {images.dtype}, {images.shape}"
        )
    if labels.dtype != np.uint8 or labels.shape != images.shape[:1]:
        raise ValueError(
            f"{label_path}: expected {len(images)} labels of uint8, got {labels.dtype}, shape {labels.shape}"
        )
    if labels.max() > 9:
        raise ValueError(f"{label_path}: expected labels from 0 to 9, got {labels.max()}")
    return images, labels


def _fetch(name: str, cache: str | os.PathLike[str] | None, mirrors: Sequence[str], timeout: float) -> Path:
    """Return the path of a file in the cache, downloaded if it is not there or not the one that it should be."""
    pooch = optional("pooch", f"download MNIST (or let ${VARIABLE} name a folder that holds it)")
    folder = Path(pooch.os_cache("ebm_np"), "mnist") if cache is None else Path(cache)
    downloader = pooch.HTTPDownloader(timeout=timeout, progressbar=find_spec("tqdm") is not None)
    failures = []
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{name}"
        try:
            with _quiet(pooch.get_logger()):
                return Path(pooch.retrieve(url, SHA256[name], fname=name, path=folder, downloader=downloader))
        except (OSError, ValueError) as error:  # no connection, a wrong status or checksum; requests' are OSErrors
            failures.append(f"\n  {url}: {error}")
    reason = f"could not be downloaded to {folder}; ${VARIABLE} may name a folder that holds it. Tried:" + (
        "".join(failures) or " no mirror"
    )
    if (folder / name).is_file():  # pooch wanted to replace it
        raise ValueError(f"{folder / name}: expected SHA-256 {SHA256[name]}, got another; a new one {reason}")
    raise ConnectionError(f"{name} {reason}")


@contextmanager
def _quiet(log: logging.Logger) -> Iterator[None]:
    """Keep everything below a warning out of a log."""
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)
