"""Photographs as arrays: from a folder of picture files, or the one picture that Matplotlib brings along.

Gray is the luma of Rec. 601, taken of the stored values in floating point:

    Y = 0.299 R + 0.587 G + 0.114 B                                                                            (1)

Stored values stay as they are, gamma included: v / 255 for 8 bits, v / 65535 for 16. Transparent pictures lie on
white, palettes and CMYK become RGB, pictures are turned the way their camera was held, and of an animation the first
frame counts.

Source: ITU-R Recommendation BT.601-7, section 2.5.1.
"""

import io
import logging
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from ebm_np.data.locations import VARIABLE, data_folder
from ebm_np.data.optional import optional
from ebm_np.foundations import validation as check
from ebm_np.foundations.arrays import Array

logger = logging.getLogger(__name__)

EXTENSIONS = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".pgm", ".ppm", ".pbm"}
LUMA = np.array([299.0, 587.0, 114.0])  # thousandths: whole numbers keep equation (1) exact, and white 1
SAMPLE = "grace_hopper.jpg"


class Photographs(NamedTuple):
    """Pictures: `images`, each (H, W) or (H, W, 3) in [0, 1]; `names`, of the files; `source`, for captions."""

    images: tuple[Array, ...]
    names: tuple[str, ...]
    source: str


def load(
    folder: str | os.PathLike[str] | None = None, *, gray: bool = True, dtype: DTypeLike = np.float64
) -> Photographs:
    """Return the photographs of a folder, in the order of their file names.

    Parameters
    ----------
    folder : path, optional
        by default the folder `photographs` of `$EBM_NP_DATA`; where there is none, the sample picture of Matplotlib
        stands in: `source` and a warning in the log say so.
    gray : bool
        (H, W) of luma, equation (1); else (H, W, 3).
    dtype : float64 or float32

    Raises
    ------
    FileNotFoundError
        if `folder`, or the folder that `$EBM_NP_DATA` names, does not exist, or if there is no picture in it.
    ValueError
        if a picture cannot be decoded; the message names its file.
    ModuleNotFoundError
        if Pillow is not installed, or Matplotlib where its sample picture is needed.
    """
    kind, gray = check.floating("dtype", dtype), check.flag("gray", gray)
    place = _default_folder() if folder is None else Path(folder)
    if place is None:
        logger.warning("no photographs were found ($%s has none): the sample picture of Matplotlib stands in", VARIABLE)
        paths, source = [_sample_picture()], "sample picture of Matplotlib (no photographs found)"
    else:
        paths = _pictures(place)
        source = f"{len(paths)} photograph{'s' * (len(paths) > 1)}"
    images = tuple(read_image(path, gray=gray).astype(kind, copy=False) for path in paths)
    return Photographs(images, tuple(path.stem for path in paths), source)


def read_image(path: str | os.PathLike[str], *, gray: bool = True) -> Array:
    """Return one picture file as float64 in [0, 1]: (H, W) if `gray`, else (H, W, 3). Errors as in `load`."""
    check.flag("gray", gray)
    optional("PIL.Image", "read photographs")
    content = Path(path).read_bytes()
    try:
        return _decode(content, gray)
    except Exception as error:  # what a decoder raises on damaged bytes is anybody's guess
        raise ValueError(f"{path}: expected a whole, readable picture, got {type(error).__name__}: {error}") from error


def _default_folder() -> Path | None:
    root = data_folder()
    return root / "photographs" if root is not None and (root / "photographs").is_dir() else None


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f"folder: expected an existing folder of photographs, got {str(folder)!r}")
    paths = [path for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")]
    if not paths:
        raise FileNotFoundError(f"{folder}: expected pictures ({', '.join(sorted(EXTENSIONS))}), found none")
    return sorted(paths)


def _sample_picture() -> Path:
    matplotlib = optional("matplotlib", "find a sample picture where there are no photographs")
    return Path(matplotlib.get_data_path(), "sample_data", SAMPLE)


def _decode(content: bytes, gray: bool) -> Array:
    """Return the values in [0, 1] of an encoded picture: (H, W) if `gray`, else (H, W, 3)."""
    pillow, operations = (optional(f"PIL.{name}", "read photographs") for name in ("Image", "ImageOps"))
    with pillow.open(io.BytesIO(content)) as opened:
        opened.load()
        image = operations.exif_transpose(opened)
    if image.mode.startswith(("I", "F")):
        values = _deep_gray(image)
        return values if gray else np.repeat(values[:, :, None], 3, axis=2)
    values = np.asarray(_on_white(image, pillow).convert("RGB"), np.float64)
    return values @ LUMA / (255.0 * LUMA.sum()) if gray else values / 255.0


def _on_white(image: Any, pillow: Any) -> Any:
    """Return the image with the white behind it where it is transparent."""
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image
    white = pillow.new("RGBA", image.size, "white")
    return pillow.alpha_composite(white, image.convert("RGBA"))


def _deep_gray(image: Any) -> Array:
    """Return gray of 16 bits, or of floats in [0, 1], which Pillow's own conversion would clip."""
    values = np.asarray(image, np.float64)
    if image.mode != "F":
        values = values / 65535.0
    if not (values.min() >= 0.0 and values.max() <= 1.0):
        raise ValueError(f"values from 0 to 65535, or fractions from 0 to 1, were expected in mode {image.mode}")
    return values
