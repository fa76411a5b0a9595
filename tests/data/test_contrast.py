import re

import numpy as np
import pytest
from guards import read_only
from hypothesis import given
from hypothesis import strategies as st
from strategies import arrays

from ebm_np.data.contrast import high_pass, local_contrast_normalize, local_deviation

shapes = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda size: st.sampled_from([size, (*size, 1), (*size, 3)])
)
seeds = st.integers(0, 2**32 - 1)
sigmas = st.floats(-2, 9).map(lambda x: 10.0**x)
"""All of them: from windows of one pixel to windows far wider than any image."""


def textured(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def inside(image, sigma):
    """What no window beyond the border has touched."""
    margin = int(4 * sigma + 0.5)
    return image[margin:-margin, margin:-margin]


@given(shapes, seeds, sigmas, st.floats(-10, 10))
def test_the_high_pass_is_linear(shape, seed, sigma, a):
    x, other = textured(seed, 2, *shape)
    expected = a * high_pass(x, sigma) + high_pass(other, sigma)
    np.testing.assert_allclose(high_pass(a * x + other, sigma), expected, atol=1e-13 * (1 + abs(a)))


@given(shapes, seeds, sigmas, st.floats(-1e150, 1e150))
def test_constants_leave_exactly_nothing(shape, seed, sigma, value):
    each = np.full(shape, value) * np.linspace(1, 3, shape[-1] if len(shape) == 3 else 1)  # another in each channel
    for x in (np.full(shape, value), each, np.full(shape, np.float32(value / 1e140)), np.full(shape, 7, np.uint8)):
        assert not high_pass(x, sigma).any()
        assert not local_contrast_normalize(x, sigma).any()
        assert not local_contrast_normalize(x, sigma, 1e-9).any()
    x = textured(seed, *shape)
    np.testing.assert_allclose(high_pass(x + value / 1e148, sigma), high_pass(x, sigma), atol=1e-12)


@given(
    st.floats(1.5, 4), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(0, 2 * np.pi), st.sampled_from([(), (2,)])
)
def test_a_wave_is_scaled_by_the_transfer_function(sigma, down, right, phase, channels):
    i, j = np.indices((45, 50))
    wave = np.cos(2 * np.pi * (down * i + right * j) + phase).reshape(45, 50, *(1 for _ in channels)) * np.ones(
        channels
    )
    H = 1 - np.exp(-2 * np.pi**2 * sigma**2 * (down**2 + right**2))
    np.testing.assert_allclose(inside(high_pass(wave, sigma), sigma), H * inside(wave, sigma), atol=2e-4)


@given(shapes, seeds, sigmas)
def test_beyond_the_border_lies_the_mirror_image(shape, seed, sigma):
    x = textured(seed, *shape)
    for axis in (0, 1):
        width = min(sigma, 3 * max(shape[:2]))  # the doubled image would allow for wider windows
        doubled = high_pass(np.concatenate([x, np.flip(x, axis)], axis), width)
        np.testing.assert_allclose(np.split(doubled, 2, axis)[0], high_pass(x, sigma), atol=1e-12)
    np.testing.assert_allclose(high_pass(x, sigma).mean(axis=(0, 1)), 0, atol=1e-13)


@given(shapes, seeds, st.sampled_from([high_pass, local_contrast_normalize]))
def test_lists_are_arrays(shape, seed, function):
    x = textured(seed, *shape)
    np.testing.assert_array_equal(function(x.tolist(), 1.0), function(x, 1.0))


@given(shapes, seeds)
def test_the_widest_window_sees_the_mean_of_the_image(shape, seed):
    x = textured(seed, *shape)
    np.testing.assert_allclose(high_pass(x, 1e300), x - x.mean(axis=(0, 1)), atol=1e-3)


@pytest.mark.parametrize("function", [high_pass, local_contrast_normalize])
@given(shape=shapes, seed=seeds, sigma=st.floats(0.5, 1e9))
def test_a_turned_image_gives_the_turned_result(function, shape, seed, sigma):
    x = textured(seed, *shape)
    result = function(x, sigma)
    for turn in (np.flipud, np.fliplr, lambda a: np.swapaxes(a, 0, 1)):
        np.testing.assert_allclose(function(turn(x), sigma), turn(result), atol=1e-10)


@given(shapes, seeds, st.floats(0.5, 1e9), st.floats(-200, 140), st.floats(-10, 10))
def test_brightness_and_contrast_of_the_whole_do_not_matter(shape, seed, sigma, exponent, b):
    x, a = textured(seed, *shape), 10.0**exponent
    shift = a * b * np.arange(1, 1 + shape[-1] if len(shape) == 3 else 2)  # one number a channel
    np.testing.assert_allclose(
        local_contrast_normalize(a * x + shift, sigma), local_contrast_normalize(x, sigma), atol=1e-10
    )


@given(shapes, seeds, sigmas, st.floats(-15, 15))
def test_rounding_is_no_contrast(shape, seed, sigma, exponent):
    noise = np.random.default_rng(seed).choice([-1, 0, 1], shape)
    for dtype in (np.float64, np.float32):
        nearly = (1 + 2 * np.finfo(dtype).eps * noise).astype(dtype) * dtype(10.0**exponent)
        assert np.abs(local_contrast_normalize(nearly, sigma)).max() < 0.1


@pytest.mark.parametrize("channels", [(), (3,)])
def test_contrasts_that_differ_a_thousandfold_become_one(channels):
    envelope = np.logspace(-1.5, 1.5, 400).reshape(1, -1, *(1 for _ in channels))
    x = envelope * textured(0, 300, 400, *channels)
    before, after = (local_deviation(image, 4) for image in (x, local_contrast_normalize(x, 4, floor=1e-6)))
    assert before.max() / before.min() > 500
    np.testing.assert_allclose(after, 1, atol=0.12)


@given(st.floats(1.5, 3), st.floats(0.2, 0.3), st.floats(1e-3, 1e3), st.integers(1, 4))
def test_a_wave_comes_out_with_the_amplitude_root_two(sigma, f, amplitude, channels):
    wave = np.sin(2 * np.pi * f * np.arange(60)) * np.ones((60, 1))
    y = local_contrast_normalize(amplitude * np.repeat(wave[:, :, None], channels, axis=2), sigma, amplitude / 100)
    expected = np.repeat(np.sqrt(2) * wave[:, :, None], channels, axis=2)
    np.testing.assert_allclose(inside(inside(y, sigma), sigma), inside(inside(expected, sigma), sigma), atol=0.01)


@given(seeds, sigmas)
def test_gray_is_gray_however_many_channels_it_is_stored_in(seed, sigma):
    x = textured(seed, 9, 11)
    expected = local_contrast_normalize(x, sigma)
    for y in np.moveaxis(local_contrast_normalize(np.repeat(x[:, :, None], 3, axis=2), sigma), 2, 0):
        np.testing.assert_allclose(y, expected, atol=1e-11)


@given(seeds, st.floats(0.5, 5), st.one_of(st.none(), st.floats(1e-6, 1e6)))
def test_colours_keep_their_balance(seed, sigma, floor):
    x = textured(seed, 9, 11, 3) * [1.0, 10.0, 100.0]
    v, y = high_pass(x, sigma), local_contrast_normalize(x, sigma, floor)
    np.testing.assert_allclose(y[:, :, :1] * v, y * v[:, :, :1], rtol=1e-10)


@given(shapes, seeds, st.floats(0.5, 5))
def test_the_floor_is_the_mean_deviation_and_divides_what_is_below_it(shape, seed, sigma):
    x = textured(seed, *shape)
    v = high_pass(x, sigma)
    s = local_deviation(v, sigma)
    y = local_contrast_normalize(x, sigma)
    if not v.any():
        return
    below = s < s.mean()
    np.testing.assert_allclose(y[below], v[below] / s.mean())
    np.testing.assert_allclose(local_contrast_normalize(x, sigma, float(s.mean())), y)
    np.testing.assert_allclose(local_contrast_normalize(x, sigma, 2 * float(s.max())), v / (2 * s.max()))
    deviation = s.reshape(*s.shape, *(1 for _ in shape[2:]))
    np.testing.assert_allclose(y[~below], (v / deviation)[~below])


@given(shapes, seeds, sigmas, st.floats(-290, 140), st.sampled_from([1, -1]))
def test_in_another_unit_the_deviation_is_the_same_whichever_sign_is_the_larger(shape, seed, sigma, exponent, sign):
    v, unit = np.abs(textured(seed, *shape)), 10.0**exponent
    v.flat[-1] *= -1e-9
    np.testing.assert_allclose(local_deviation(sign * unit * v, sigma), unit * local_deviation(v, sigma), rtol=1e-11)


@given(seeds)
def test_under_the_narrowest_window_the_deviation_is_the_root_mean_square_over_channels(seed):
    v = textured(seed, 5, 7, 3)
    np.testing.assert_allclose(local_deviation(v, 1e-3), np.sqrt((v**2).mean(axis=2)), rtol=1e-12)
    np.testing.assert_allclose(local_deviation(v[:, :, 0], 1e-3), np.abs(v[:, :, 0]), rtol=1e-12)


def test_lists_are_images():
    x = textured(0, 4, 5)
    for function in (high_pass, local_contrast_normalize, local_deviation):
        np.testing.assert_array_equal(function(x.tolist(), 1.0), function(x, 1.0))


@given(arrays((5, 6), largest=1e150), sigmas)
def test_no_image_gives_anything_but_finite_numbers(x, sigma):
    assert np.isfinite(local_contrast_normalize(x, sigma)).all()


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3)])
def test_the_type_is_kept_and_arguments_are_left_alone(shape):
    x = read_only(textured(0, *shape) + 5)
    single = read_only(x.astype(np.float32))
    for function in (high_pass, local_contrast_normalize):
        result = function(x, 2.0)
        assert result.dtype == np.float64
        assert result.shape == shape
        assert result.flags.writeable
        assert function(single, 2.0).dtype == np.float32
        np.testing.assert_allclose(function(single, 2.0), result, atol=2e-5)
    assert local_contrast_normalize(single, 2.0, 0.1).dtype == local_deviation(single, 2.0).dtype == np.float32
    assert local_deviation(x, 2.0).shape == shape[:2]


def test_bytes_are_numbers_from_0_to_255():
    x = np.random.default_rng(0).integers(0, 256, (10, 12, 3), dtype=np.uint8)
    for function in (high_pass, local_contrast_normalize):
        result = function(read_only(x), 1.5)
        assert result.dtype == np.float64
        np.testing.assert_array_equal(result, function(x.astype(float), 1.5))


GOOD = np.eye(4)


@pytest.mark.parametrize("function", [high_pass, local_contrast_normalize, local_deviation])
@pytest.mark.parametrize(
    ("name", "image", "sigma"),
    [
        ("image", np.full((4, 4), np.nan), 1.0),
        ("image", np.full((4, 4), np.inf), 1.0),
        ("image", np.full((4, 4), 1e200), 1.0),
        ("image", np.zeros((0, 4)), 1.0),
        ("image", np.zeros((4, 4, 0)), 1.0),
        ("image", np.zeros(4), 1.0),
        ("image", np.zeros((2, 4, 4, 3)), 1.0),
        ("image", GOOD + 0j, 1.0),
        ("image", None, 1.0),
        ("image", [[1.0], [2.0, 3.0]], 1.0),
        ("sigma", GOOD, 0.0),
        ("sigma", GOOD, -1.0),
        ("sigma", GOOD, np.nan),
        ("sigma", GOOD, np.inf),
        ("sigma", GOOD, "1"),
        ("sigma", GOOD, (1.0, 2.0)),
    ],
)
def test_bad_arguments_are_refused_by_name(function, name, image, sigma):
    if function is local_deviation and name == "image":
        name = "v"
    with pytest.raises((TypeError, ValueError), match=f"^{name}: expected"):
        function(image, sigma)


@pytest.mark.parametrize("floor", [0.0, -1.0, np.nan, np.inf, "mean"])
def test_a_floor_that_is_not_positive_is_refused(floor):
    with pytest.raises((TypeError, ValueError), match=r"^floor: expected"):
        local_contrast_normalize(GOOD, 1.0, floor)


@pytest.mark.parametrize("function", [high_pass, local_contrast_normalize, local_deviation])
@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros(4), "expected shape (H, W), got shape (4,)"),
        (np.zeros((0, 4, 3)), "expected at least one number, got an empty array of shape (0, 4, 3)"),
        (None, "expected real numbers, got NoneType"),
    ],
)
def test_the_message_says_what_was_expected_and_what_came(function, image, message):
    name = "v" if function is local_deviation else "image"
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(f'{name}: {message}')}$"):
        function(image, 1.0)
