import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebm_np.data.letters import ALPHABET, bitmap, letters

capitals = st.sampled_from(ALPHABET)


def test_the_letter_a():
    drawn = ["".join("#" if pixel > 0 else "." for pixel in row) for row in bitmap("A")]
    assert drawn == [".###.", "#...#", "#...#", "#####", "#...#", "#...#", "#...#"]


@given(capitals, st.integers(1, 6), st.sampled_from([np.float32, np.float64]))
def test_a_scaled_letter_is_the_letter_in_larger_pixels(letter, scale, dtype):
    large = bitmap(letter, scale=scale, dtype=dtype)
    assert large.shape == (7 * scale, 5 * scale)
    assert large.dtype == dtype
    for row in range(scale):
        for column in range(scale):
            np.testing.assert_array_equal(large[row::scale, column::scale], bitmap(letter))


@given(st.text(ALPHABET, min_size=1, max_size=8), st.integers(1, 4))
def test_rows_are_letters(text, scale):
    patterns = letters(text, scale=scale, dtype=np.float32)
    assert patterns.shape == (len(text), 35 * scale**2)
    assert patterns.dtype == np.float32
    for row, letter in zip(patterns, text, strict=True):
        np.testing.assert_array_equal(row.reshape(7 * scale, 5 * scale), bitmap(letter, scale=scale))


def test_all_letters_differ_and_are_black_and_white():
    patterns = letters(ALPHABET)
    assert set(np.unique(patterns)) == {-1.0, 1.0}
    distance = (patterns[:, None] != patterns[None]).sum(axis=2)
    assert distance[~np.eye(26, dtype=bool)].min() >= 2


def test_letters_touch_all_sides_of_their_field():
    for letter in ALPHABET:
        ink = bitmap(letter) > 0
        assert ink[0].any()
        assert ink[-1].any()
        assert ink[:, 0].any()


@pytest.mark.parametrize("letter", sorted("AHIMOTUVWXY"))
def test_symmetric_letters_are_symmetric(letter):
    np.testing.assert_array_equal(bitmap(letter), bitmap(letter)[:, ::-1])


def test_a_caller_may_write_into_a_letter():
    bitmap("A")[:] = 0
    assert bitmap("A")[3].min() == 1


@pytest.mark.parametrize("wrong", ["a", "", "AB", "1", "Ä", None, 65])
def test_what_is_no_capital_letter_is_refused(wrong):
    with pytest.raises((TypeError, ValueError), match="letter: expected"):
        bitmap(wrong)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("text", lambda: letters("")),
        ("text", lambda: letters(None)),
        ("text", lambda: letters("HELLO WORLD")),
        ("letter", lambda: bitmap("AB")),
        ("scale", lambda: bitmap("A", scale=0)),
        ("scale", lambda: letters("A", scale=1.5)),
        ("dtype", lambda: bitmap("A", dtype=int)),
    ],
)
def test_bad_arguments_are_refused_by_name(name, call):
    with pytest.raises((TypeError, ValueError), match=rf"^{name}: expected"):
        call()
