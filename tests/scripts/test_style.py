import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts import style

COLOURS = ("BLUE", "ORANGE", "GREEN", "RED", "PURPLE", "SKY", "YELLOW", "BLACK", "GREY")
ROLES = ("DATA", "MANIFOLD", "INFERRED")


@pytest.mark.parametrize("names", [COLOURS, ROLES])
def test_no_two_colours_are_the_same(names):
    assert len({getattr(style, name).upper() for name in names}) == len(names)


def test_every_colour_is_written_as_six_digits_and_known_to_this_test():
    found = {
        name for name, value in vars(style).items() if isinstance(value, str) and re.match("#[0-9A-Fa-f]{6}$", value)
    }
    assert found == {*COLOURS, *ROLES}


def test_a_new_figure_says_what_data_it_was_made_from():
    figure, _ = style.new(3, 2, "seven apples")
    assert [text.get_text() for text in figure.texts] == ["data: seven apples"]


def test_a_new_figure_has_the_size_and_the_axes_asked_for():
    figure, axes = style.new(5, 2, "", nrows=2, ncols=3)
    assert figure.get_size_inches().tolist() == [5, 2]
    assert axes.shape == (2, 3)


def test_a_new_figure_is_drawn_in_the_one_style():
    _, axes = style.new(3, 2, "")
    assert axes.xaxis.label.get_size() == style.RC["axes.labelsize"]
    assert not axes.spines["top"].get_visible()


def test_three_images_in_rows_of_two():
    images = np.array([[[1, 2]], [[3, 4]], [[5, 6]]])
    expected = [[1, 2, 9, 3, 4], [9, 9, 9, 9, 9], [5, 6, 9, 9, 9]]
    np.testing.assert_array_equal(style.mosaic(images, 2, fill=9), expected)


@given(
    n=st.integers(1, 12),
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    columns=st.integers(1, 6),
    pad=st.integers(0, 3),
    dtype=st.sampled_from([np.float32, np.float64, np.uint8]),
)
def test_every_image_of_a_mosaic_is_at_its_place_and_the_rest_is_filled(n, size, columns, pad, dtype):
    h, w = size
    images = np.arange(1, n * h * w + 1).astype(dtype).reshape(n, h, w)
    sheet = style.mosaic(images, columns, pad, fill=0)
    assert sheet.dtype == dtype
    assert sheet.shape == (-(-n // columns) * (h + pad) - pad, columns * (w + pad) - pad)
    for i, image in enumerate(images):
        top, left = i // columns * (h + pad), i % columns * (w + pad)
        place = sheet[top : top + h, left : left + w]
        np.testing.assert_array_equal(place, image)
        place[:] = 0
    assert not sheet.any()


def test_an_axis_of_angles_is_labelled_in_multiples_of_pi():
    _, axes = style.new(3, 2, "")
    style.angle_axis(axes, -2, 2)
    np.testing.assert_allclose(axes.get_xticks(), np.pi * np.arange(-2, 3))
    assert [text.get_text() for text in axes.get_xticklabels()] == [r"$-2\pi$", r"$-\pi$", "0", r"$\pi$", r"$2\pi$"]


def test_the_plane_has_equal_units():
    _, axes = style.new(3, 2, "")
    style.plane(axes, 4, 1)
    assert (axes.get_xlim(), axes.get_ylim(), axes.get_aspect()) == ((-4, 4), (-1, 1), 1)
