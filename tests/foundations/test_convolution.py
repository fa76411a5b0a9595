from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest
from guards import peak
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal
from strategies import generators

from ebm_np.foundations import convolution
from ebm_np.foundations.convolution import BOUNDARIES, convolve, correlate, kernel_grad, largest_eigenvalue, spectrum
from ebm_np.foundations.gradient_check import complex_step, gradient_check

EVERY_BOUNDARY = pytest.mark.parametrize("boundary", BOUNDARIES)
METHOD = st.sampled_from(["direct", "fft"])
BOTH_FORMS = pytest.mark.parametrize("method", ["direct", "fft"])
TYPES = pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-12), (np.float32, 1e-5)])


class Problem(NamedTuple):
    """Maps z (N, M, h, w), kernels K (M, C, p, q), images y (N, C, H, W), all read-only."""

    z: np.ndarray
    K: np.ndarray
    y: np.ndarray

    @property
    def size(self):
        return self.K.shape[2:]


def image_size(pixels, size, boundary):
    grow = {"full": 1, "valid": -1, "circular": 0}[boundary]
    return tuple(n + grow * (k - 1) for n, k in zip(pixels, size, strict=True))


def frozen(rng, shape, scale=1.0):
    numbers = scale * rng.normal(size=shape)
    numbers.setflags(write=False)
    return numbers


def problem(rng, boundary, channels, pixels, size, scales=(0, 0, 0)):
    N, M, C = channels
    shapes = (N, M, *pixels), (M, C, *size), (N, C, *image_size(pixels, size, boundary))
    return Problem(*(frozen(rng, shape, 10.0**scale) for shape, scale in zip(shapes, scales, strict=True)))


@st.composite
def problems(draw, boundary, scaled=True):
    """Of all sizes, odd and even, square and not; kernels up to three times as large as the map, where that is allowed.

    The columns of the direct form come in strips of any height.
    """
    size = draw(st.tuples(*[st.integers(1, 5)] * 2))
    least = size if boundary == "valid" else (1, 1)
    pixels = tuple(draw(st.integers(n, n + 5)) for n in least)
    channels = draw(st.tuples(*[st.integers(1, 3)] * 3))
    scales = draw(st.tuples(*[st.integers(-60, 60)] * 3)) if scaled else (0, 0, 0)
    return problem(draw(generators()), boundary, channels, pixels, size, scales)


strips = st.sampled_from([1, 60, 300, 2**19]).map(lambda n: mock.patch.object(convolution, "STRIP", n))


def assert_near(found, expected, *factors, rtol=1e-12):
    """Equal up to what rounding does to sums of products of the numbers of these factors."""
    assert np.shape(found) == np.shape(expected)
    largest = np.prod([np.linalg.norm(factor) for factor in factors])  # Cauchy and Schwarz: each such sum is smaller
    np.testing.assert_allclose(found, expected, rtol=0, atol=rtol * largest)


def pairs(pixels, size, boundary):
    """Equations 1 to 3 as four loops: which pixel (k, l) of z goes by offset (a, b) to which pixel (i, j) of y."""
    (h, w), (p, q), (H, W) = pixels, size, image_size(pixels, size, boundary)
    for i in range(H):
        for j in range(W):
            for a in range(p):
                for b in range(q):
                    down, right = (i + p - 1 - a, j + q - 1 - b) if boundary == "valid" else (i - a, j - b)
                    if boundary == "circular":
                        yield i, j, a, b, down % h, right % w
                    elif 0 <= down < h and 0 <= right < w:
                        yield i, j, a, b, down, right


def by_definition(z, K, boundary):
    y = np.zeros((len(z), K.shape[1], *image_size(z.shape[2:], K.shape[2:], boundary)))
    for i, j, a, b, k, m in pairs(z.shape[2:], K.shape[2:], boundary):
        y[:, :, i, j] += z[:, :, k, m] @ K[:, :, a, b]
    return y


def kernel_grad_by_definition(z, g, size, boundary):
    grad = np.zeros((z.shape[1], g.shape[1], *size))
    for i, j, a, b, k, m in pairs(z.shape[2:], size, boundary):
        grad[:, :, a, b] += z[:, :, k, m].T @ g[:, :, i, j]
    return grad


def matrix(K, pixels, boundary):
    """The matrix of z -> y by definition: one image a unit of one map, as columns."""
    length = len(K) * pixels[0] * pixels[1]
    units = np.eye(length).reshape(length, len(K), *pixels)
    return by_definition(units, K, boundary).reshape(length, -1).T


# what they are


@EVERY_BOUNDARY
@BOTH_FORMS
@given(st.data())
def test_convolution_is_what_its_definition_says(boundary, method, data):
    z, K, _ = data.draw(problems(boundary))
    with data.draw(strips):
        found = convolve(z, K, boundary, method=method)
    assert_near(found, by_definition(z, K, boundary), z, K)


@EVERY_BOUNDARY
@BOTH_FORMS
@given(st.data())
def test_correlation_is_the_transpose_of_the_matrix_of_convolution(boundary, method, data):
    z, K, y = data.draw(problems(boundary))
    A = matrix(K, z.shape[2:], boundary)
    with data.draw(strips):
        found = correlate(y, K, boundary, method=method)
    assert_near(found, (y.reshape(len(y), -1) @ A).reshape(z.shape), y, K)


@EVERY_BOUNDARY
@BOTH_FORMS
@given(st.data())
def test_correlation_and_kernel_gradient_are_the_adjoints_of_convolution(boundary, method, data):
    z, K, y = problem = data.draw(problems(boundary))
    with data.draw(strips):
        convolved = convolve(z, K, boundary, method=method)
        correlated = correlate(y, K, boundary, method=method)
        gradient = kernel_grad(z, y, problem.size, boundary, method=method)
    assert convolved.shape == y.shape
    assert correlated.shape == z.shape
    assert gradient.shape == K.shape
    expected = np.vdot(convolved, y)
    assert_near(np.vdot(z, correlated), expected, z, K, y)
    assert_near(np.vdot(K, gradient), expected, z, K, y)


@EVERY_BOUNDARY
@BOTH_FORMS
@given(st.data())
def test_the_kernel_gradient_is_what_its_definition_says(boundary, method, data):
    z, _, y = problem = data.draw(problems(boundary))
    with data.draw(strips):
        found = kernel_grad(z, y, problem.size, boundary, method=method)
    assert_near(found, kernel_grad_by_definition(z, y, problem.size, boundary), z, y)


@pytest.mark.parametrize("boundary", ["full", "valid"])
@BOTH_FORMS
@given(st.data())
def test_scipy_says_the_same(boundary, method, data):
    z, K, _ = data.draw(problems(boundary))
    expected = [
        [sum(signal.convolve2d(z[n, m], K[m, c], boundary) for m in range(len(K))) for c in range(K.shape[1])]
        for n in range(len(z))
    ]
    assert_near(convolve(z, K, boundary, method=method), expected, z, K)


@given(st.data())
def test_scipy_says_the_same_of_the_adjoints_of_full_and_valid(data):
    for boundary, other in (("full", "valid"), ("valid", "full")):
        z, K, y = data.draw(problems(boundary))
        expected = [
            [sum(signal.correlate2d(y[n, c], K[m, c], other) for c in range(K.shape[1])) for m in range(len(K))]
            for n in range(len(z))
        ]
        assert_near(correlate(y, K, boundary), expected, y, K)


# the two forms


def all_three(z, K, y, boundary, method):
    return (
        convolve(z, K, boundary, method=method),
        correlate(y, K, boundary, method=method),
        kernel_grad(z, y, K.shape[2:], boundary, method=method),
    )


@EVERY_BOUNDARY
@TYPES
@given(st.data())
def test_the_direct_form_and_the_fourier_form_agree(boundary, dtype, rtol, data):
    arrays = data.draw(problems(boundary, scaled=False))
    z, K, y = (a.astype(dtype) for a in arrays)
    with data.draw(strips):
        direct = all_three(z, K, y, boundary, "direct")
    for found, expected, factors in zip(
        all_three(z, K, y, boundary, "fft"), direct, ((z, K), (y, K), (z, y)), strict=True
    ):
        assert found.dtype == expected.dtype == dtype
        assert_near(found, expected, *factors, rtol=rtol)


@EVERY_BOUNDARY
@TYPES
@pytest.mark.parametrize(
    ("channels", "pixels", "size"), [((1, 32, 1), (64, 65), (9, 9)), ((9, 6, 3), (33, 28), (4, 5))]
)
def test_they_agree_for_photographs_and_batches_too(boundary, dtype, rtol, channels, pixels, size, rng):
    z, K, y = (a.astype(dtype) for a in problem(rng, boundary, channels, pixels, size))
    direct, fourier = (all_three(z, K, y, boundary, method) for method in ("direct", "fft"))
    for found, expected in zip(fourier, direct, strict=True):
        assert np.abs(found - expected).max() <= rtol * np.abs(expected).max()


def differ(a, b):
    return any(not np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@EVERY_BOUNDARY
@pytest.mark.parametrize(
    ("channels", "pixels", "size", "best"),
    [
        ((1, 32, 1), (256, 256), (9, 9), "direct"),
        ((1, 64, 3), (128, 128), (9, 9), "direct"),
        ((100, 16, 1), (28, 28), (5, 5), "direct"),
        ((16, 64, 1), (16, 16), (7, 7), "direct"),
        ((1, 1, 64), (64, 64), (7, 7), "direct"),
        ((1, 8, 1), (64, 64), (31, 31), "fft"),
        ((1, 1, 8), (64, 64), (31, 31), "fft"),
        ((1, 1, 1), (128, 128), (7, 7), "fft"),
    ],
)
def test_auto_takes_the_form_that_was_measured_to_be_faster(boundary, channels, pixels, size, best, rng):
    z, K, y = problem(rng, boundary, channels, pixels, size)
    with mock.patch.object(convolution, "_fourier", wraps=convolution._fourier) as fourier:
        convolve(z, K, boundary)
        correlate(y, K, boundary)
        kernel_grad(z, y, size, boundary)
    assert fourier.call_count == (0 if best == "direct" else 3)


@EVERY_BOUNDARY
@pytest.mark.parametrize("channels", [(2, 3, 2), (1, 2, 5), (2, 3, 3)])
@pytest.mark.parametrize(
    ("of", "many", "few"), [("y", "SCATTER", "GATHER"), ("z", "GATHER", "SCATTER"), ("K", *2 * ["GATHER"])]
)
@pytest.mark.parametrize(("dearer", "expected"), [(1 - 1e-9, 1), (1 + 1e-9, 0)])
def test_auto_counts_what_the_page_says_it_counts(boundary, channels, of, many, few, dearer, expected, rng):
    (N, M, C), (h, w), (p, q) = channels, (7, 5), (3, 4)
    z, K, y = problem(rng, boundary, channels, (h, w), (p, q))
    whole = (h + p - 1) * (w + q - 1)
    if M >= C:
        direct = N * (M * C + getattr(convolution, many) * C) * p * q * h * w
    else:
        direct = N * (M * C + getattr(convolution, few) * M) * p * q * whole
    fourier = (N * M + N * C + M * C) * whole
    run = {
        "y": lambda: convolve(z, K, boundary),
        "z": lambda: correlate(y, K, boundary),
        "K": lambda: kernel_grad(z, y, (p, q), boundary),
    }
    with (
        mock.patch.object(convolution, "TRANSFORM", dearer * direct / fourier),
        mock.patch.object(convolution, "_fourier", wraps=convolution._fourier) as taken,
    ):
        run[of]()
    assert taken.call_count == expected


@EVERY_BOUNDARY
def test_a_form_that_was_asked_for_is_taken(boundary, rng):
    small, large = (problem(rng, boundary, (1, 1, 1), (40, 40), (k, k)) for k in (2, 15))
    for arrays, auto, other in ((small, "direct", "fft"), (large, "fft", "direct")):
        assert not differ(all_three(*arrays, boundary, "auto"), all_three(*arrays, boundary, auto))
        assert differ(all_three(*arrays, boundary, "auto"), all_three(*arrays, boundary, other))


@EVERY_BOUNDARY
def test_complex_arguments_go_the_direct_way_whatever_that_costs(boundary, rng):
    z, K, y = problem(rng, boundary, (1, 1, 1), (40, 40), (15, 15))
    turned = all_three(1j * z, K, 1j * y, boundary, "auto")
    plain = all_three(z, K, y, boundary, "direct")
    for found, expected, factor in zip(turned, plain, (1j, 1j, -1), strict=True):
        assert_near(found, factor * expected, expected, rtol=1e-13)
    for arguments in ((1j * z, K), (z, 1j * K)):
        with pytest.raises(ValueError, match=r"^method: .*complex"):
            convolve(*arguments, boundary, method="fft")


# gradients


@EVERY_BOUNDARY
@given(st.data())
def test_the_vector_jacobian_products_are_the_gradients_for_maps_and_kernels(boundary, data):
    z, K, y = problem = data.draw(problems(boundary, scaled=False))
    with data.draw(strips):
        g = convolve(z, K, boundary) ** 2 + y
        claimed = correlate(g, K, boundary), kernel_grad(z, g, problem.size, boundary)
        directions = Problem(*(data.draw(generators()).normal(size=a.shape) for a in problem))

        def scalar(z, K):
            u = convolve(z, K, boundary)
            return (u**3 / 3 + y * u).sum()

        along_z = complex_step(lambda z: scalar(z, K), z, directions.z)
        along_kernels = complex_step(lambda K: scalar(z, K), K, directions.K)
    assert_near(np.vdot(claimed[0], directions.z), along_z, g, K, directions.z)
    assert_near(np.vdot(claimed[1], directions.K), along_kernels, g, z, directions.K)


@EVERY_BOUNDARY
@pytest.mark.parametrize("channels", [(2, 3, 1), (1, 2, 3)])
@pytest.mark.parametrize(("pixels", "size"), [((4, 5), (2, 3)), ((3, 3), (1, 1)), ((4, 3), (4, 3))])
def test_every_component_of_the_gradients_is_right(boundary, channels, pixels, size, rng):
    z, K, y = problem(rng, boundary, channels, pixels, size)
    residual = convolve(z, K, boundary) - y
    claimed = 2 * correlate(residual, K, boundary), 2 * kernel_grad(z, residual, size, boundary)
    check = gradient_check(lambda p: ((convolve(*p, boundary) - y) ** 2).sum(), claimed, (z, K))
    assert check.passed, check


@EVERY_BOUNDARY
@pytest.mark.parametrize("channels", [(2, 3, 2), (1, 2, 3)])
def test_each_of_the_three_is_the_derivative_of_the_other_two(boundary, channels, rng):
    pixels, size = (4, 5), (3, 2)
    z, K, y = problem(rng, boundary, channels, pixels, size)
    of_correlation = convolve(z, K, boundary), kernel_grad(z, y, size, boundary)
    check = gradient_check(lambda p: (z * correlate(*p, boundary)).sum(), of_correlation, (y, K))
    assert check.passed, check
    of_kernel_gradient = correlate(y, K, boundary), convolve(z, K, boundary)
    check = gradient_check(lambda p: (K * kernel_grad(*p, size, boundary)).sum(), of_kernel_gradient, (z, y))
    assert check.passed, check


# what convolution does


@EVERY_BOUNDARY
@given(st.data(), generators(), METHOD)
def test_all_three_are_linear_in_each_argument(boundary, data, rng, method):
    first = data.draw(problems(boundary, scaled=False))
    second = Problem(*(rng.normal(size=a.shape) for a in first))
    s, t = rng.normal(size=2)

    def of_z(z):
        return convolve(z, first.K, boundary, method=method)

    def of_kernels(K):
        return convolve(first.z, K, boundary, method=method)

    def of_y(y):
        return correlate(y, first.K, boundary, method=method)

    def of_g(y):
        return kernel_grad(first.z, y, first.size, boundary, method=method)

    for f, a, b in (
        (of_z, first.z, second.z),
        (of_kernels, first.K, second.K),
        (of_y, first.y, second.y),
        (of_g, first.y, second.y),
    ):
        u, v = f(a), f(b)
        assert_near(
            f(s * a + t * b), s * u + t * v, (s, t), (*a.flat, *b.flat), np.concatenate([x.ravel() for x in first])
        )


shifts = st.tuples(*[st.integers(0, 7)] * 2)


@given(st.data(), shifts, METHOD)
def test_a_shift_of_the_maps_around_the_torus_shifts_the_images(data, shift, method):
    z, K, y = data.draw(problems("circular"))

    def rolled(x):
        return np.roll(x, shift, axis=(2, 3))

    convolved, correlated, gradient = all_three(z, K, y, "circular", method)
    found = all_three(rolled(z), K, rolled(y), "circular", method)
    assert_near(found[0], rolled(convolved), z, K)
    assert_near(found[1], rolled(correlated), y, K)
    assert_near(found[2], gradient, z, y)  # it asks only where the one lies beside the other


@given(st.data(), shifts, shifts, METHOD)
def test_a_shift_of_the_maps_in_a_frame_of_zeros_shifts_the_images(data, before, after, method):
    z, K, _ = data.draw(problems("full"))
    frame = ((0, 0), (0, 0), *zip(before, after, strict=True))
    found = convolve(np.pad(z, frame), K, "full", method=method)
    expected = np.pad(convolve(z, K, "full", method=method), frame)
    assert_near(found, expected, z, K)


@given(st.data(), METHOD)
def test_where_no_border_is_touched_a_part_of_the_map_gives_that_part_of_the_image(data, method):
    z, K, y = data.draw(problems("valid"))
    i, j = (data.draw(st.integers(0, n - 1)) for n in y.shape[2:])
    found = convolve(z[:, :, i:, j:], K, "valid", method=method)
    expected = convolve(z, K, "valid", method=method)[:, :, i:, j:]
    assert_near(found, expected, z, K)


@EVERY_BOUNDARY
@given(st.data(), METHOD)
def test_a_kernel_that_is_one_at_a_single_place_only_shifts(boundary, data, method):
    z, K, _ = data.draw(problems(boundary))
    p, q = K.shape[2:]
    a, b = data.draw(st.integers(0, p - 1)), data.draw(st.integers(0, q - 1))
    unit = np.zeros((z.shape[1], z.shape[1], p, q))
    unit[:, :, a, b] = np.eye(z.shape[1])
    H, W = image_size(z.shape[2:], (p, q), boundary)
    expected = {
        "full": lambda: np.pad(z, ((0, 0), (0, 0), (a, p - 1 - a), (b, q - 1 - b))),
        "valid": lambda: z[:, :, p - 1 - a :, q - 1 - b :][:, :, :H, :W],
        "circular": lambda: np.roll(z, (a, b), axis=(2, 3)),
    }[boundary]()
    found = convolve(z, unit, boundary, method=method)
    assert_near(found, expected, z, rtol=0 if method == "direct" else 1e-13)


@EVERY_BOUNDARY
@given(st.data(), METHOD)
def test_kernels_of_one_pixel_mix_the_channels_of_each_pixel(boundary, data, method):
    z, K, _ = data.draw(problems(boundary, scaled=False))
    K = K[:, :, :1, :1]
    y = convolve(z, K, boundary, method=method)
    mix = K[:, :, 0, 0]
    assert_near(y, np.einsum("nmij,mc->ncij", z, mix), z, mix)
    assert_near(correlate(y, K, boundary, method=method), np.einsum("ncij,mc->nmij", y, mix), y, mix)
    found = kernel_grad(z, y, (1, 1), boundary, method=method)
    assert_near(found[:, :, 0, 0], np.einsum("nmij,ncij->mc", z, y), z, y)


@pytest.mark.parametrize("boundary", ["full", "circular"])
@given(generators(), st.tuples(*[st.integers(1, 6)] * 4), METHOD)
def test_one_map_and_one_kernel_may_change_places(boundary, rng, sizes, method):
    a, b = rng.normal(size=(1, 1, *sizes[:2])), rng.normal(size=(1, 1, *sizes[2:]))
    b = b if boundary == "full" else rng.normal(size=a.shape)
    assert_near(convolve(a, b, boundary, method=method), convolve(b, a, boundary, method=method), a, b)


@EVERY_BOUNDARY
@given(st.data(), generators(), METHOD)
def test_two_layers_are_one_whose_kernels_are_convolved(boundary, data, rng, method):
    z, first, y = data.draw(problems(boundary, scaled=False))
    size = [rng.integers(1, n + 1 if boundary == "valid" else 4) for n in y.shape[2:]]
    second = rng.normal(size=(y.shape[1], rng.integers(1, 4), *size))
    both = convolve(first, second, "full", method=method)
    found = convolve(convolve(z, first, boundary, method=method), second, boundary, method=method)
    expected = convolve(z, both, boundary, method=method)
    assert_near(found, expected, z, first, second)


@EVERY_BOUNDARY
@given(st.data(), METHOD)
def test_a_batch_is_its_samples_one_by_one(boundary, data, method):
    z, K, y = data.draw(problems(boundary, scaled=False))
    convolved, correlated, gradient = all_three(z, K, y, boundary, method)
    single = [all_three(z[n : n + 1], K, y[n : n + 1], boundary, method) for n in range(len(z))]
    assert_near(convolved, np.concatenate([s[0] for s in single]), z, K)
    assert_near(correlated, np.concatenate([s[1] for s in single]), y, K)
    assert_near(gradient, sum(s[2] for s in single), z, y)


# transfer functions and the Lipschitz constant

maps_sizes = st.tuples(*[st.integers(1, 5)] * 2)


@given(generators(), st.tuples(*[st.integers(1, 3)] * 2), maps_sizes, st.tuples(*[st.integers(1, 7)] * 2))
def test_the_spectrum_is_the_discrete_fourier_transform_of_the_kernels(rng, channels, shape, size):
    K = frozen(rng, (*channels, *size))
    (h, w), (p, q) = shape, size
    rows = np.exp(-2j * np.pi * np.outer(np.arange(h), np.arange(p)) / h)
    columns = np.exp(-2j * np.pi * np.outer(np.arange(w // 2 + 1), np.arange(q)) / w)
    found = spectrum(K, shape)
    expected = np.einsum("fa,gb,mcab->mcfg", rows, columns, K)
    assert_near(found, expected, K)


@given(st.data())
def test_circular_convolution_multiplies_transforms_by_the_spectrum(data):
    z, K, _ = data.draw(problems("circular"))
    shape = z.shape[2:]
    product = np.einsum("nm...,mc...->nc...", np.fft.rfft2(z), spectrum(K, shape))
    assert_near(np.fft.irfft2(product, shape), convolve(z, K, "circular"), z, K)


def true_eigenvalue(K, shape, boundary):
    return np.linalg.norm(matrix(K, shape, boundary), 2) ** 2


@given(generators(), st.tuples(*[st.integers(1, 3)] * 2), maps_sizes, st.tuples(*[st.integers(1, 7)] * 2))
def test_the_eigenvalue_of_circular_convolution_is_its_largest_eigenvalue(rng, channels, shape, size):
    K = frozen(rng, (*channels, *size), 10.0 ** rng.integers(-60, 60))
    assert largest_eigenvalue(K, shape, "circular") == pytest.approx(true_eigenvalue(K, shape, "circular"), rel=1e-12)


@pytest.mark.parametrize("boundary", ["full", "valid"])
@given(generators(), st.tuples(*[st.integers(1, 3)] * 2), maps_sizes, st.tuples(*[st.integers(1, 5)] * 2))
def test_for_full_and_valid_it_is_never_below_the_largest_eigenvalue(boundary, rng, channels, shape, size):
    K = frozen(rng, (*channels, *size), 10.0 ** rng.integers(-60, 60))
    shape = image_size(shape, size, "full") if boundary == "valid" else shape
    assert largest_eigenvalue(K, shape, boundary) >= (1 - 1e-12) * true_eigenvalue(K, shape, boundary)


@pytest.mark.parametrize("boundary", ["full", "valid"])
@given(generators(), st.integers(1, 2), st.tuples(*[st.integers(7, 13)] * 2), st.tuples(*[st.integers(1, 2)] * 2))
def test_for_full_and_valid_it_is_not_far_above_the_largest_eigenvalue(boundary, rng, M, n, size):
    K = rng.normal(size=(M, 1, *size))
    shape = image_size(n, size, "full") if boundary == "valid" else n
    eps = np.pi**4 / 8 * sum(((k - 1) / (m + 1)) ** 2 for k, m in zip(size, n, strict=True))
    assert 0 <= eps < 0.4
    found, true = largest_eigenvalue(K, shape, boundary), true_eigenvalue(K, shape, boundary)
    assert found * (1 - eps) <= true * (1 + 1e-12)
    assert found * (1 - eps / 4) <= true * (1 + 1e-12)  # on such kernels Bernstein is generous


@given(generators(), st.tuples(*[st.integers(1, 3)] * 2), maps_sizes, st.tuples(*[st.integers(1, 5)] * 2))
def test_it_is_that_of_the_circular_convolution_of_which_full_and_valid_are_parts(rng, channels, shape, size):
    # equation 13
    K, padded = frozen(rng, (*channels, *size)), image_size(shape, size, "full")
    around = largest_eigenvalue(K, padded, "circular")
    assert largest_eigenvalue(K, shape, "full") == largest_eigenvalue(K, padded, "valid") == around


@pytest.mark.parametrize("channels", [(2, 5), (5, 2)])
def test_the_smaller_of_the_two_gram_matrices_is_asked_for_its_eigenvalues(channels, rng):
    with mock.patch.object(np.linalg, "eigvalsh", wraps=np.linalg.eigvalsh) as asked:
        largest_eigenvalue(frozen(rng, (*channels, 3, 3)), (4, 6), "full")
    assert asked.call_args.args[0].shape[2:] == (2, 2)


@EVERY_BOUNDARY
def test_the_lipschitz_constant_of_known_kernels(boundary, rng):
    assert largest_eigenvalue(np.ones((1, 1, 2, 3)), (4, 6), boundary) == pytest.approx(36)  # the mean of flat maps
    assert largest_eigenvalue(np.zeros((2, 1, 2, 2)), (4, 6), boundary) == 0
    mix = rng.normal(size=(4, 3, 1, 1))
    expected = np.linalg.norm(mix[:, :, 0, 0], 2) ** 2
    assert largest_eigenvalue(mix, (4, 6), boundary) == pytest.approx(expected, rel=1e-13)
    assert type(largest_eigenvalue(mix, (4, 6), boundary)) is float


def test_the_lipschitz_constant_and_the_spectrum_of_single_precision():
    K = np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype(np.float32)
    assert spectrum(K, (6, 5)).dtype == np.complex64
    assert largest_eigenvalue(K, (6, 5), "full") == largest_eigenvalue(K.astype(np.float64), (6, 5), "full")


# arguments


@EVERY_BOUNDARY
@BOTH_FORMS
def test_single_precision_is_kept_and_everything_else_is_double(boundary, method, rng):
    arrays = problem(rng, boundary, (2, 3, 2), (5, 6), (3, 2))
    single = Problem(*(a.astype(np.float32) for a in arrays))
    whole = Problem(*(np.arange(a.size, dtype=np.uint8).reshape(a.shape) for a in arrays))
    assert all(found.dtype == np.float32 for found in all_three(*single, boundary, method))
    for mixed in (arrays, whole, single._replace(K=arrays.K, y=arrays.y), single._replace(z=arrays.z, y=arrays.y)):
        assert all(found.dtype == np.float64 for found in all_three(*mixed, boundary, method))
    for found, expected in zip(
        all_three(*whole, boundary, method),
        all_three(*(a.astype(float) for a in whole), boundary, method),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)  # no overflow at 256


LAYOUTS = {
    "columns first": np.asfortranarray,
    "mirrored": lambda a: a[:, :, ::-1, ::-1].copy()[:, :, ::-1, ::-1],
    "channels last": lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "every other": lambda a: np.repeat(np.repeat(a, 2, axis=1), 2, axis=3)[:, ::2, :, ::2],
}


@EVERY_BOUNDARY
@BOTH_FORMS
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("channels", [(2, 3, 2), (2, 2, 3)])
def test_the_layout_of_the_arguments_does_not_matter(boundary, method, layout, channels, rng):
    arrays = problem(rng, boundary, channels, (5, 6), (3, 2))
    same = (LAYOUTS[layout](a) for a in arrays)
    expected = all_three(*arrays, boundary, method)
    for found, wanted in zip(all_three(*same, boundary, method), expected, strict=True):
        assert_near(found, wanted, wanted, rtol=1e-13)


@EVERY_BOUNDARY
@BOTH_FORMS
@pytest.mark.parametrize("size", [(1, 1), (3, 2)])
@pytest.mark.parametrize("channels", [(2, 3, 2), (2, 2, 3), (1, 1, 1)])
def test_results_are_new_arrays_in_the_usual_layout(boundary, method, size, channels, rng):
    arrays = problem(rng, boundary, channels, (5, 6), size)
    for found in all_three(*arrays, boundary, method):
        assert found.flags.c_contiguous
        assert found.flags.writeable
        assert not any(np.shares_memory(found, a) for a in arrays)


@EVERY_BOUNDARY
def test_the_direct_form_needs_little_more_memory_than_the_maps(boundary, rng):
    z, K, y = problem(rng, boundary, (1, 32, 1), (256, 256), (9, 9))
    columns = 8 * convolution.STRIP
    assert peak(lambda: convolve(z, K, boundary)) < 6 * y.nbytes + 2 * columns
    assert peak(lambda: correlate(y, K, boundary)) < z.nbytes + 6 * y.nbytes + 2 * columns
    assert peak(lambda: kernel_grad(z, y, (9, 9), boundary)) < z.nbytes // 4 + 6 * y.nbytes + 2 * columns


def test_the_kernel_gradient_of_many_small_maps_keeps_no_product_of_each_sample(rng):
    z, _, y = problem(rng, "full", (2000, 32, 1), (1, 1), (9, 9))
    product_of_each = 32 * y.nbytes
    assert peak(lambda: kernel_grad(z, y, (9, 9), "full")) < product_of_each / 4


@EVERY_BOUNDARY
@pytest.mark.parametrize(("M", "C"), [(1, 16), (16, 1)])
def test_the_columns_stand_on_the_side_that_has_fewer_channels(boundary, M, C, rng):
    z, K, y = problem(rng, boundary, (1, M, C), (20, 20), (3, 3))
    with mock.patch.object(convolution, "_strips", wraps=convolution._strips) as strips:
        all_three(z, K, y, boundary, "direct")
    rows = [call.args[0] for call in strips.call_args_list]
    assert len(rows) == 3
    assert max(rows) <= 3 * 3 * (20 + 4)


def nan(shape):
    numbers = np.ones(shape)
    numbers[-1, -1, -1, -1] = np.nan
    return numbers


Z, K, Y, G = np.ones((2, 3, 5, 6)), np.ones((3, 1, 3, 2)), np.ones((2, 1, 5, 6)), np.ones((2, 1, 7, 7))
REFUSED = [
    (lambda: convolve(nan((2, 3, 5, 6)), K, "full"), ValueError, "z: expected finite"),
    (lambda: convolve(Z, nan((3, 1, 3, 2)), "full"), ValueError, "K: expected finite"),
    (lambda: convolve(np.inf * Z, K, "full"), ValueError, "z: expected finite"),
    (lambda: convolve(Z, K[:2], "full"), ValueError, r"K: expected shape \(3, C, p, q\), got shape \(2, 1, 3, 2\)"),
    (lambda: convolve(Z[0], K, "full"), ValueError, r"z: expected shape \(N, M, h, w\), got shape \(3, 5, 6\)"),
    (lambda: convolve(Z, K[0], "full"), ValueError, r"K: expected shape \(3, C, p, q\), got shape \(1, 3, 2\)"),
    (lambda: convolve([], K, "full"), ValueError, "z: expected shape"),
    (lambda: convolve(Z[:0], K, "full"), ValueError, "z: expected at least one number"),
    (lambda: convolve(Z, K[:, :, :0], "full"), ValueError, "K: expected at least one number"),
    (lambda: convolve(None, K, "full"), TypeError, "z: expected real numbers"),
    (lambda: convolve(Z, "abc", "full"), TypeError, "K: expected real numbers"),
    (lambda: convolve(Z, K, "same"), ValueError, "boundary: expected one of 'circular', 'full', 'valid', got 'same'"),
    (lambda: convolve(Z, K, None), ValueError, "boundary: .*got None"),
    (lambda: convolve(Z, K, "full", method="FFT"), ValueError, "method: expected one of .*got 'FFT'"),
    (lambda: convolve(Z[:, :, :2], K, "valid"), ValueError, "z: expected at least 3 x 2 pixels.*got 2 x 6"),
    (lambda: convolve(Z[..., :1], K, "valid"), ValueError, "z: expected at least 3 x 2 pixels.*got 5 x 1"),
    (lambda: correlate(nan((2, 1, 5, 6)), K, "full"), ValueError, "y: expected finite"),
    (lambda: correlate(Y, nan((3, 1, 3, 2)), "full"), ValueError, "K: expected finite"),
    (lambda: correlate(np.ones((2, 3, 5, 6)), K, "full"), ValueError, r"K: expected shape \(M, 3, p, q\), got shape"),
    (lambda: correlate(Y, K[0], "full"), ValueError, r"K: expected shape \(M, 1, p, q\), got shape"),
    (lambda: correlate(Y[0], K, "full"), ValueError, r"y: expected shape \(N, C, H, W\)"),
    (lambda: correlate(Y[:, :, :2], K, "full"), ValueError, "y: expected at least 3 x 2 pixels.*got 2 x 6"),
    (lambda: correlate(Y[..., :1], K, "full"), ValueError, "y: expected at least 3 x 2 pixels.*got 5 x 1"),
    (lambda: correlate(Y, K, "wrap"), ValueError, "boundary: "),
    (lambda: correlate(Y, K, "full", method=None), ValueError, "method: "),
    (lambda: correlate(1j * Y, K, "full", method="fft"), ValueError, "method: .*complex"),
    (lambda: kernel_grad(nan((2, 3, 5, 6)), G, (3, 2), "full"), ValueError, "z: expected finite"),
    (lambda: kernel_grad(Z, nan((2, 1, 7, 7)), (3, 2), "full"), ValueError, "g: expected finite"),
    (lambda: kernel_grad(Z[0], G, (3, 2), "full"), ValueError, r"z: expected shape \(N, M, h, w\), got shape"),
    (lambda: kernel_grad(Z, G, (3, 3), "full"), ValueError, r"g: expected shape \(2, C, 7, 8\), got shape"),
    (lambda: kernel_grad(Z, G[:1], (3, 2), "full"), ValueError, r"g: expected shape \(2, C, 7, 7\), got shape"),
    (lambda: kernel_grad(Z, G, (3, 2), "valid"), ValueError, r"g: expected shape \(2, C, 3, 5\), got shape"),
    (lambda: kernel_grad(Z, G, (3, 2), "circular"), ValueError, r"g: expected shape \(2, C, 5, 6\), got shape"),
    (lambda: kernel_grad(Z, G, (6, 2), "valid"), ValueError, "z: expected at least 6 x 2 pixels.*got 5 x 6"),
    (lambda: kernel_grad(Z, G, 3, "full"), TypeError, "size: expected two whole numbers, got 3"),
    (lambda: kernel_grad(Z, G, (3,), "full"), TypeError, "size: expected two whole numbers"),
    (lambda: kernel_grad(Z, G, (3, 2.0), "full"), TypeError, "size: expected a whole number"),
    (lambda: kernel_grad(Z, G, (0, 2), "full"), ValueError, "size: expected a whole number of at least 1"),
    (lambda: kernel_grad(Z, G, (3, 2), "half"), ValueError, "boundary: "),
    (lambda: kernel_grad(Z, G, (3, 2), "full", method=1), ValueError, "method: "),
    (lambda: kernel_grad(1j * Z, G, (3, 2), "full", method="fft"), ValueError, "method: .*complex"),
    (lambda: spectrum(nan((3, 1, 3, 2)), (5, 6)), ValueError, "K: expected finite"),
    (lambda: spectrum(K[0], (5, 6)), ValueError, r"K: expected shape \(M, C, p, q\), got shape \(1, 3, 2\)"),
    (lambda: spectrum(1j * K, (5, 6)), TypeError, "K: expected real numbers"),
    (lambda: spectrum(K, (5, 0)), ValueError, "shape: expected a whole number of at least 1"),
    (lambda: spectrum(K, (5, 6, 7)), TypeError, "shape: expected two whole numbers"),
    (lambda: largest_eigenvalue(K, "ab", "full"), TypeError, "shape: expected two whole numbers"),
    (lambda: largest_eigenvalue(nan((3, 1, 3, 2)), (5, 6), "full"), ValueError, "K: expected finite"),
    (
        lambda: largest_eigenvalue(K[0], (5, 6), "full"),
        ValueError,
        r"K: expected shape \(M, C, p, q\), got shape \(1, 3, 2\)",
    ),
    (lambda: largest_eigenvalue(1j * K, (5, 6), "full"), TypeError, "K: expected real numbers"),
    (lambda: largest_eigenvalue(K, (5, 6), "same"), ValueError, "boundary: "),
    (lambda: largest_eigenvalue(K, (2, 6), "valid"), ValueError, "shape: expected at least 3 x 2 pixels.*got 2 x 6"),
    (lambda: largest_eigenvalue(K, (5, 1), "valid"), ValueError, "shape: expected at least 3 x 2 pixels.*got 5 x 1"),
]


@pytest.mark.parametrize(("call", "error", "words"), REFUSED)
def test_bad_input_is_refused_by_name(call, error, words):
    with pytest.raises(error, match=f"^{words}"):
        call()
