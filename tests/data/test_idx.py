import gzip
import struct

import numpy as np
import pytest
from data.idx_file import CODES, idx_bytes
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from ebm_np.data.idx import read_idx


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("idx") / "numbers-idx"


def read(path, content):
    path.write_bytes(content)
    return read_idx(path)


def refused(path, content, match="expected"):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=match) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


arrays = st.sampled_from(sorted(CODES, key=str)).flatmap(
    lambda dtype: npst.arrays(
        dtype.newbyteorder("="), npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
    )
)


@given(numbers=arrays, compress=st.booleans())
def test_reading_undoes_writing(path, numbers, compress):
    result = read(path, idx_bytes(numbers, compress=compress))
    assert result.dtype == numbers.dtype
    assert result.dtype.isnative
    assert result.shape == numbers.shape
    assert result.tobytes() == numbers.tobytes()  # bit for bit, NaN included
    assert result.flags.writeable


def test_big_endian_by_hand(path):
    content = bytes([0, 0, 0x0B, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0x01, 0x02, 0xFF, 0xFE])
    np.testing.assert_array_equal(read(path, content), [[258, -2]])


def test_content_decides_not_the_name(tmp_path):
    numbers = np.arange(6, dtype=np.uint8).reshape(2, 3)
    for name, compress in [("raw.gz", False), ("packed", True)]:
        np.testing.assert_array_equal(read(tmp_path / name, idx_bytes(numbers, compress=compress)), numbers)


@pytest.mark.parametrize("compress", [False, True])
def test_every_truncation_is_refused(path, compress):
    content = idx_bytes(np.arange(12, dtype=np.int16).reshape(3, 4), compress=compress)
    for length in range(len(content)):
        refused(path, content[:length])


def test_gzip_of_every_truncation_is_refused(path):
    content = idx_bytes(np.arange(12, dtype=np.int16).reshape(3, 4))
    for length in range(len(content)):
        refused(path, gzip.compress(content[:length]))


@pytest.mark.parametrize("compress", [False, True])
def test_bytes_left_over_are_refused(path, compress):
    content = idx_bytes(np.arange(12, dtype=np.uint8), compress=compress)
    refused(path, content + b"\1", "broken" if compress else "expected 12 bytes of data .* got 13")
    if compress:
        refused(path, gzip.compress(gzip.decompress(content) + b"\0"), "expected 12 bytes of data .* got 13")


@given(position=st.integers(0, 11), flip=st.integers(1, 255))
def test_any_other_header_is_refused_or_keeps_the_bytes(path, position, flip):
    numbers = np.arange(12, dtype=np.uint8).reshape(3, 4)
    content = bytearray(idx_bytes(numbers))
    content[position] ^= flip
    if bytes(content[:4]) == bytes([0, 0, 0x09, 2]):  # int8 of the same length
        assert read(path, content).tobytes() == numbers.tobytes()
    else:
        refused(path, bytes(content))


@given(position=st.integers(0, 7), flip=st.integers(1, 255))
def test_a_wrong_checksum_or_length_of_gzip_is_refused(path, position, flip):
    content = bytearray(idx_bytes(np.arange(12, dtype=np.uint8), compress=True))
    content[len(content) - 8 + position] ^= flip
    refused(path, bytes(content))


@given(sizes=st.lists(st.integers(2**16, 2**32 - 1), min_size=1, max_size=255))
def test_a_header_that_promises_too_much_allocates_nothing(path, sizes):
    head = bytes([0, 0, 0x0E, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes)
    refused(path, head + b"\0" * 64)
    refused(path, head[:8] + struct.pack(f">{len(sizes)}I", *sizes))


def test_an_empty_array_of_impossible_shape_is_refused(path):
    refused(path, bytes([0, 0, 0x0E, 4]) + struct.pack(">4I", 0, *[2**32 - 1] * 3))


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_idx(tmp_path / "nowhere")
