"""The IDX format, in which MNIST is kept: a magic number, the dimensions, then the numbers, all big-endian.

    0  0  type  ndim | size_1 ... size_ndim (4 bytes each) | size_1 * ... * size_ndim numbers, last index fastest

| type | 08 | 09 | 0b | 0c | 0d | 0e |
|---|---|---|---|---|---|---|
| numbers | uint8 | int8 | int16 | int32 | float32 | float64 |

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", section "File formats".
"""

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np

from ebm_np.foundations.arrays import Array

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP_MAGIC = b"\x1f\x8b"
MAX_DIMENSIONS = 32  # NumPy's own bound before version 2


def read_idx(path: str | os.PathLike[str]) -> Array:
    """Read an IDX file, compressed by gzip or not: its content decides, not its name.

    Returns
    -------
    numbers : array of the file's shape and type, in the machine's byte order, writeable.

    Raises
    ------
    ValueError
        naming the file and what is wrong: not IDX, cut short, bytes left over, broken compression.
    OSError
        if the file cannot be opened.
    """
    content = _content(Path(path))
    kind, shape = _header(path, content)
    start, wanted = 4 + 4 * len(shape), math.prod(shape) * kind.itemsize
    # Compared with what has been read, never allocated: a header may promise any size.
    if len(content) - start != wanted:
        got = len(content) - start
        raise ValueError(f"{path}: expected {wanted} bytes of data for shape {shape} of {kind.name}, got {got}")
    numbers = np.frombuffer(content, kind, offset=start) if wanted else np.empty(0, kind)
    try:
        return numbers.astype(kind.newbyteorder("=")).reshape(shape)
    except ValueError as error:  # an empty array whose other dimensions are beyond NumPy's
        raise ValueError(f"{path}: expected a shape that NumPy can hold, got {shape}") from error


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    if not content.startswith(GZIP_MAGIC):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: expected a whole gzip file, got a broken one ({error})") from error


def _header(path: str | os.PathLike[str], content: bytes) -> tuple[np.dtype[np.generic], tuple[int, ...]]:
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES or content[3] > MAX_DIMENSIONS:
        raise ValueError(
            f"{path}: expected an IDX file (bytes 00 00, a type of 08 to 0e, at most {MAX_DIMENSIONS} dimensions), "
            f"got one that starts with {content[:4].hex(' ') or 'nothing: it is empty'}"
        )
    n = content[3]
    if len(content) < 4 + 4 * n:
        raise ValueError(f"{path}: expected a header of {4 + 4 * n} bytes for {n} dimensions, got {len(content)} bytes")
    sizes = np.frombuffer(content, ">u4", count=n, offset=4)
    return np.dtype(TYPES[content[2]]), tuple(int(size) for size in sizes)
