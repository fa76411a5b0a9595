import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from ebm_np.data.digits import BLOCK, Digits, synthetic
from ebm_np.data.pen import FORMS, pen_line


@pytest.fixture(scope="module")
def digits():
    return synthetic(np.random.default_rng(0), 4000)


@given(seed=st.integers(0, 2**32), n=st.integers(1, 30))
@settings(max_examples=20, deadline=None)
def test_the_generator_decides_everything(seed, n):
    first, again, other = (synthetic(np.random.default_rng(s), n) for s in (seed, seed, seed + 1))
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert (first.images != other.images).any()


@pytest.mark.parametrize("n", [1, 9, 10, BLOCK - 1, BLOCK, BLOCK + 1])
def test_shapes_types_and_even_classes(n):
    digits = synthetic(np.random.default_rng(n), n)
    assert isinstance(digits, Digits)
    assert digits.images.shape == (n, 784)
    assert digits.images.dtype == np.float64
    assert digits.labels.shape == (n,)
    assert np.ptp(np.bincount(digits.labels, minlength=10)) <= 1
    assert "synthetic" in digits.source


def test_float32_is_the_same_digits_rounded(digits):
    half = synthetic(np.random.default_rng(0), 4000, dtype=np.float32)
    assert half.images.dtype == np.float32
    np.testing.assert_array_equal(half.images, digits.images.astype(np.float32))


def test_intensities_are_those_of_a_scanner(digits):
    levels = digits.images * 255
    assert levels.min() == 0
    assert levels.max() == 255
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-9)
    assert 0.11 < digits.images.mean() < 0.15  # MNIST: 0.1307
    assert (digits.images.max(axis=1) > 0.5).all()


def moments(images):
    grid = images.reshape(-1, 28, 28)
    mass = grid.sum(axis=(1, 2))
    return np.stack([grid.sum(axis=axis) @ np.arange(28) / mass for axis in (1, 2)], axis=1)


def test_digits_are_centred_and_fill_their_box(digits):
    centre = moments(digits.images)
    np.testing.assert_allclose(centre.mean(axis=0), 14, atol=0.15)
    assert np.abs(centre - 14).max() < 2
    inked = digits.images.reshape(-1, 28, 28) > 0.1
    side = np.maximum(inked.any(axis=1).sum(axis=1), inked.any(axis=2).sum(axis=1))
    assert 18 < side.mean() < 21
    assert side.max() <= 23
    assert digits.images.reshape(-1, 28, 28)[:, 4:24, 4:24].sum() > 0.95 * digits.images.sum()


def nearest_mean_accuracy(images, labels):
    half = len(images) // 2
    means = np.stack([images[:half][labels[:half] == label].mean(axis=0) for label in range(10)])
    distance = (means**2).sum(axis=1) - 2 * images[half:] @ means.T
    return (distance.argmin(axis=1) == labels[half:]).mean()


def test_classes_can_be_told_apart(digits):
    assert nearest_mean_accuracy(digits.images, digits.labels) > 0.8
    shuffled = np.random.default_rng(1).permutation(digits.labels)
    assert nearest_mean_accuracy(digits.images, shuffled) < 0.2


def test_no_two_digits_are_the_same(digits):
    assert len(np.unique(digits.images, axis=0)) == len(digits.images)
    for label in range(10):
        one = digits.images[digits.labels == label]
        assert one.std(axis=0).max() > 0.3


def test_order_is_random(digits):
    assert abs(np.corrcoef(digits.labels[1:], digits.labels[:-1])[0, 1]) < 0.1


def test_the_global_generator_is_left_alone():
    before = np.random.get_state(legacy=False)["state"]["pos"]  # noqa: NPY002
    synthetic(np.random.default_rng(0), 3)
    assert np.random.get_state(legacy=False)["state"]["pos"] == before  # noqa: NPY002


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("rng", (0, 5)), ("rng", (None, 5)), ("n", (np.random.default_rng(0), 0)), ("n", (np.random.default_rng(0), 2.0))],
)
def test_bad_arguments_are_refused_by_name(name, arguments):
    with pytest.raises((TypeError, ValueError), match=rf"^{re.escape(name)}: expected"):
        synthetic(*arguments)


@pytest.mark.parametrize("form", [form for forms in FORMS for form in forms])
def test_a_pen_line_keeps_an_even_distance_and_knows_its_strokes(form):
    line, joined = pen_line(form, 72)
    assert line.shape == (72, 2)
    assert (~joined).sum() == form.count("/")
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)[joined]
    assert steps.max() < 1.2 * steps.mean()
    ends = [stroke.split()[i] for stroke in form.split("/") for i in (0, -1)]
    for end in ends:
        point = np.array(end.split(","), float) / 100
        assert np.linalg.norm(line - point, axis=1).min() < 1e-9


@given(npst.arrays(np.int64, (2, 2), elements=st.integers(0, 100), unique=True))
def test_a_stroke_of_two_points_is_straight(ends):
    line, _ = pen_line(" ".join(f"{x},{y}" for x, y in ends), 11)
    np.testing.assert_allclose(line, np.linspace(*(ends / 100), 11), atol=1e-12)
