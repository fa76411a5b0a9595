import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebm_np.data.patches import Whitening, fit_whitening, random_patches, remove_dc, unwhiten, whiten, whiten_image
from ebm_np.data.photographs import Photographs


def numbered(*shapes):
    """Images of which no two pixels have the same value: value // 1000 is the image, value % 1000 the pixel."""
    return [1000.0 * i + np.arange(np.prod(shape), dtype=float).reshape(shape) for i, shape in enumerate(shapes)]


sizes = st.integers(1, 9)


@given(
    st.lists(st.tuples(sizes, sizes), min_size=1, max_size=3),
    st.sampled_from([(), (1,), (3,)]),
    st.integers(1, 5),
    st.integers(0, 99),
)
def test_every_patch_is_a_piece_of_an_image(shapes, channels, size, seed):
    images = numbered(*[(*shape, *channels) for shape in shapes])
    rng = np.random.default_rng(seed)
    if all(min(shape) < size for shape in shapes):
        with pytest.raises(ValueError, match="size: expected"):
            random_patches(images, rng, 4, size)
        return
    patches = random_patches(images, rng, 4, size)
    assert patches.shape == (4, size * size * (channels[0] if channels else 1))
    for patch in patches:
        image = images[int(patch[0] // 1000)]
        row, column = np.argwhere(image.reshape(*image.shape[:2], -1)[:, :, 0] == patch[0])[0]
        piece = image[row : row + size, column : column + size]
        assert piece.shape[:2] == (size, size)
        np.testing.assert_array_equal(patch, piece.ravel())


def test_every_position_is_equally_likely():
    images = numbered((4, 6), (2, 9), (3, 3))
    n, size = 70_000, 3
    first = random_patches(images, np.random.default_rng(0), n, size)[:, 0]
    values, counts = np.unique(first, return_counts=True)
    positions = 2 * 4 + 0 + 1 * 1
    assert len(values) == positions
    expected = n / positions
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert chi_square < positions + 6 * np.sqrt(2 * positions)
    order = first // 1000
    assert abs(np.corrcoef(order[1:], order[:-1])[0, 1]) < 0.02  # images come in random order too


def test_patches_keep_the_type_and_leave_the_image_alone():
    image = np.random.default_rng(0).random((8, 8)).astype(np.float32)
    image.setflags(write=False)
    patches = random_patches([image], np.random.default_rng(0), 5, 3)
    assert patches.dtype == np.float32
    assert patches.flags.writeable
    assert random_patches([image, image[:2]], np.random.default_rng(0), 5, 3).dtype == np.float32  # one too small
    stack = np.random.default_rng(0).random((2, 8, 8))
    assert random_patches(stack, np.random.default_rng(0), 5, 3).shape == (5, 9)


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3)])
def test_lists_are_arrays(shape):
    image = np.random.default_rng(0).random(shape)
    patches = [random_patches([image], np.random.default_rng(0), 5, 3) for image in (image, image.tolist())]
    np.testing.assert_array_equal(*patches)


def test_patches_of_images_of_mixed_precision_are_of_the_finer_one():
    image = np.random.default_rng(0).random((8, 8))
    for images in ([image, image.astype(np.float32)], [image.astype(np.float32), image]):
        assert random_patches(images, np.random.default_rng(0), 5, 3).dtype == np.float64
    lists = [image.tolist(), image.tolist()]
    assert random_patches(lists, np.random.default_rng(0), 5, 3).shape == (5, 9)


GOOD = np.zeros((5, 5))


@pytest.mark.parametrize(
    ("name", "images", "n", "size"),
    [
        ("images", [], 3, 2),
        ("images", GOOD, 3, 2),
        ("images", [np.zeros((5, 5, 3)), np.zeros((5, 5, 1))], 3, 2),
        (r"images\[1\]", [GOOD, np.full((5, 5), np.nan)], 3, 2),
        (r"images\[1\]", [GOOD, np.zeros((5, 5, 3))], 3, 2),
        (r"images\[0\]", [np.zeros(5)], 3, 2),
        (r"images\[0\]", [np.zeros((0, 5))], 3, 2),
        (r"images\[0\]", Photographs((GOOD, np.zeros((3, 4))), ("a", "b"), "test"), 3, 2),
        ("n", [GOOD], 0, 2),
        ("n", [GOOD], 1.5, 2),
        ("size", [GOOD], 3, 0),
        ("size", [GOOD], 3, 6),
    ],
)
def test_bad_arguments_are_refused_by_name(name, images, n, size):
    with pytest.raises((TypeError, ValueError), match=rf"^{name}: expected"):
        random_patches(images, np.random.default_rng(0), n, size)


def test_a_seed_is_no_generator():
    with pytest.raises(TypeError, match="rng: expected"):
        random_patches([GOOD], 0, 3, 2)


def correlated(seed, n, d):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)


@given(st.integers(0, 999), st.integers(1, 12))
@settings(deadline=None)
def test_whitened_patches_have_identity_covariance(seed, d):
    patches = correlated(seed, 20 * d, d)
    whitening = fit_whitening(patches, regularization=0.0)
    white = whiten(whitening, patches)
    condition = np.linalg.cond(np.cov(patches.T, bias=True).reshape(d, d))
    tolerance = 1e-13 * d * condition
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=tolerance)
    np.testing.assert_allclose(white.T @ white / len(white), np.eye(d), atol=tolerance)


@given(st.integers(0, 999), st.integers(1, 12), st.floats(1e-6, 10))
@settings(deadline=None)
def test_regularized_whitening_shrinks_along_the_axes(seed, d, eps):
    patches = correlated(seed, 3 * d, d)
    whitening = fit_whitening(patches, regularization=eps)
    np.testing.assert_allclose(whitening.matrix, whitening.matrix.T, atol=1e-9)
    covariance = np.cov(patches.T, bias=True).reshape(d, d)
    np.testing.assert_allclose(
        whitening.matrix @ (covariance + eps * np.eye(d)) @ whitening.matrix, np.eye(d), atol=1e-7
    )
    assert np.linalg.eigvalsh(whitening.matrix).min() > 0
    np.testing.assert_allclose(unwhiten(whitening, whiten(whitening, patches)), patches, atol=1e-7)


def test_zca_moves_patches_less_than_a_turned_whitening():
    patches = correlated(0, 500, 6)
    whitening = fit_whitening(patches, regularization=0.0)
    white, centred = whiten(whitening, patches), patches - whitening.mean
    for seed in range(20):
        turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(6, 6)))
        assert ((white - centred) ** 2).sum() < ((white @ turn - centred) ** 2).sum()


def test_whitening_keeps_float32():
    patches = correlated(0, 100, 4).astype(np.float32)
    whitening = fit_whitening(patches)
    assert all(part.dtype == np.float32 for part in whitening)
    assert whiten(whitening, patches).dtype == unwhiten(whitening, patches).dtype == np.float32


def test_whitening_is_fitted_in_double_precision_whatever_it_is_kept_in():
    patches = (1e3 + correlated(0, 100, 4)).astype(np.float32)
    single, double = fit_whitening(patches), fit_whitening(patches.astype(float), regularization=1e-3)  # the default
    for found, expected in zip(single, double, strict=True):
        np.testing.assert_array_equal(found, expected.astype(np.float32))


@pytest.mark.parametrize(
    "patches",
    [np.ones((5, 3)), correlated(0, 3, 3), remove_dc(correlated(0, 50, 3)), np.array([[1.0, 2.0]])],
)
def test_a_singular_covariance_asks_for_regularization(patches):
    with pytest.raises(ValueError, match=r"regularization: expected .*singular"):
        fit_whitening(patches, regularization=0.0)
    assert np.isfinite(whiten(fit_whitening(patches, regularization=1e-3), patches)).all()


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("patches", lambda: fit_whitening(np.zeros((0, 3)))),
        ("patches", lambda: fit_whitening(np.full((4, 3), np.inf))),
        ("regularization", lambda: fit_whitening(np.eye(3), regularization=-1.0)),
        ("patches", lambda: whiten(fit_whitening(np.eye(3)), np.zeros((2, 4)))),
        ("patches", lambda: unwhiten(fit_whitening(np.eye(3)), np.zeros(3))),
        ("patches", lambda: remove_dc(np.zeros(3))),
        ("image", lambda: whiten_image(np.zeros((4, 4, 3)))),
        ("image", lambda: whiten_image(np.full((4, 4), np.nan))),
        ("cutoff", lambda: whiten_image(np.eye(4), cutoff=0.0)),
    ],
)
def test_whitening_refuses_bad_arguments_by_name(name, call):
    with pytest.raises(ValueError, match=rf"^{name}: expected"):
        call()


def test_dc_removal_is_the_projection_off_the_constant_patch():
    patches = correlated(0, 10, 9)
    without = remove_dc(patches)
    np.testing.assert_allclose(without.sum(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(remove_dc(without), without, atol=1e-14)
    np.testing.assert_allclose(remove_dc(patches + 3), without, atol=1e-12)
    np.testing.assert_array_equal(np.ptp(np.round(patches - without, 9), axis=1), 0)


def frequency(height, width):
    return np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))


def one_over_f(height, width, seed=0):
    """An image whose amplitude spectrum is exactly 1/|f|, with the phases of noise."""
    noise = np.fft.fft2(np.random.default_rng(seed).normal(size=(height, width)))
    f = frequency(height, width)
    f[0, 0] = 1.0
    return np.fft.ifft2(noise / np.abs(noise) / f).real


@pytest.mark.parametrize("shape", [(32, 32), (31, 40), (16, 33)])
@pytest.mark.parametrize("cutoff", [0.4, 0.2])
def test_a_one_over_f_image_gets_a_flat_spectrum(shape, cutoff):
    image = one_over_f(*shape)
    result = whiten_image(image, cutoff=cutoff)
    assert result.shape == shape
    spectrum, f = np.abs(np.fft.fft2(result)), frequency(*shape)
    np.testing.assert_allclose(spectrum[f > 0], np.exp(-((f[f > 0] / cutoff) ** 4)), atol=1e-9)
    below = (f > 0) & (f < cutoff / 2)
    assert np.ptp(spectrum[below]) < 0.07  # 1 - exp(-1/16)
    assert abs(result.mean()) < 1e-12


@given(st.integers(0, 99), st.integers(-20, 20), st.integers(-20, 20))
@settings(deadline=None)
def test_image_whitening_is_linear_and_moves_with_the_image(seed, down, right):
    image, other = np.random.default_rng(seed).normal(size=(2, 12, 15))
    shifted = whiten_image(np.roll(image, (down, right), axis=(0, 1)))
    np.testing.assert_allclose(shifted, np.roll(whiten_image(image), (down, right), axis=(0, 1)), atol=1e-12)
    np.testing.assert_allclose(
        whiten_image(2 * image - other), 2 * whiten_image(image) - whiten_image(other), atol=1e-12
    )


def test_image_whitening_keeps_float32():
    image = one_over_f(8, 9).astype(np.float32)
    assert whiten_image(image).dtype == np.float32


def test_the_cutoff_is_four_tenths_unless_told_otherwise_and_below_every_frequency_nothing_is_left():
    image = one_over_f(8, 9)
    np.testing.assert_array_equal(whiten_image(image), whiten_image(image, cutoff=0.4))
    assert not whiten_image(image, cutoff=1e-100).any()


WHITENING = Whitening(np.zeros(3), np.eye(3), np.eye(3))


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (ValueError("n: expected a whole number of at least 1, got 0"), lambda rng: random_patches([GOOD], rng, 0, 2)),
        (
            ValueError("size: expected a patch that fits into an image, got 6, and no image is that large"),
            lambda rng: random_patches([GOOD], rng, 3, 6),
        ),
        (
            TypeError("images: expected a sequence of images, got one array of shape (5, 5)"),
            lambda rng: random_patches(GOOD, rng, 3, 2),
        ),
        (TypeError("images: expected a sequence of images, got int"), lambda rng: random_patches(1, rng, 3, 2)),
        (ValueError("images: expected at least one image, got none"), lambda rng: random_patches([], rng, 3, 2)),
        (
            ValueError("images: expected the same number of channels in all, got [1, 3]"),
            lambda rng: random_patches([np.zeros((5, 5, 3)), np.zeros((5, 5, 1))], rng, 3, 2),
        ),
        (
            ValueError("images[0]: expected shape (H, W), got shape (5,)"),
            lambda rng: random_patches([np.zeros(5)], rng, 3, 2),
        ),
        (
            ValueError("images[1]: expected shape (H, W, channels), got shape (5, 5)"),
            lambda rng: random_patches([np.zeros((5, 5, 3)), GOOD], rng, 3, 2),
        ),
        (ValueError("patches: expected shape (N, d), got shape (3,)"), lambda rng: remove_dc(np.zeros(3))),
        (ValueError("patches: expected shape (N, d), got shape (3,)"), lambda rng: fit_whitening(np.zeros(3))),
        (
            ValueError("regularization: expected a larger number, got 0.0: the patches' covariance is singular"),
            lambda rng: fit_whitening(np.ones((5, 3)), regularization=0),
        ),
        (ValueError("patches: expected shape (N, 3), got shape (3,)"), lambda rng: whiten(WHITENING, np.zeros(3))),
        (ValueError("patches: expected shape (N, 3), got shape (3,)"), lambda rng: unwhiten(WHITENING, np.zeros(3))),
        (
            TypeError("whitening: expected patches.Whitening, got tuple"),
            lambda rng: whiten(tuple(WHITENING), np.zeros((2, 3))),
        ),
        (
            ValueError("whitening.mean: expected shape (d,), got shape ()"),
            lambda rng: whiten(WHITENING._replace(mean=1.0), np.zeros((2, 3))),
        ),
        (
            ValueError("whitening.matrix: expected shape (3, 3), got shape (3, 2)"),
            lambda rng: whiten(WHITENING._replace(matrix=np.eye(3, 2)), np.zeros((2, 3))),
        ),
        (
            ValueError("whitening.inverse: expected shape (3, 3), got shape (2, 3)"),
            lambda rng: unwhiten(WHITENING._replace(inverse=np.eye(2, 3)), np.zeros((2, 3))),
        ),
        (ValueError("image: expected shape (H, W), got shape (4,)"), lambda rng: whiten_image(np.zeros(4))),
    ],
)
def test_the_message_says_what_was_expected_and_what_came(error, call):
    with pytest.raises(type(error), match=f"^{re.escape(str(error))}$"):
        call(np.random.default_rng(0))
