"""Writes IDX files, and small MNIST-like pairs of them, for the tests of their readers."""

import gzip
import struct

import numpy as np

from ebm_np.data.idx import TYPES

CODES = {np.dtype(name): code for code, name in TYPES.items()}


def idx_bytes(numbers, *, compress=False):
    big = np.asarray(numbers).astype(numbers.dtype.newbyteorder(">"))
    code = CODES[big.dtype]
    content = bytes([0, 0, code, big.ndim]) + struct.pack(f">{big.ndim}I", *big.shape) + big.tobytes()
    return gzip.compress(content, mtime=0) if compress else content


def small_mnist(n=7, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), rng.integers(0, 10, n, dtype=np.uint8)
