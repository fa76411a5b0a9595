import re
from itertools import islice, product

import numpy as np
import pytest
from guards import read_only
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import generators

from ebm_np.foundations.convolution import BOUNDARIES, largest_eigenvalue
from ebm_np.foundations.gradient_check import central_difference, gradient_check
from ebm_np.foundations.parameters import inner, leaves, tree_map
from ebm_np.foundations.results import ConvergenceWarning, Fit
from ebm_np.sparse import convolutional, convolutional_autoencoder, predictive
from ebm_np.sparse.convolutional_autoencoder import (
    Params,
    ShrinkEncoder,
    TanhEncoder,
    decode,
    distance,
    encode,
    energy,
    energy_grad_params,
    energy_grad_y,
    fit,
    free_energy,
    free_energy_grad_params,
    free_energy_grad_y,
    from_kernels,
    infer,
    init,
    run,
    smooth_grad_z,
)

KINDS = ("shrink", "tanh")
EVERY_ENCODER = pytest.mark.parametrize("kind", KINDS)
EVERY_BOUNDARY = pytest.mark.parametrize("boundary", BOUNDARIES)
boundaries = st.sampled_from(BOUNDARIES)
SLOW = settings(max_examples=6)  # for tests whose every example runs inference many times


def powers(low, high):
    """Positive numbers, evenly over the orders of magnitude."""
    return st.floats(low, high).map(lambda e: 10.0**e)


def draw_problem(rng, kind, boundary="full", M=3, C=2, size=(2, 3), pixels=(4, 5), N=2):
    """Weights of either sign, thresholds that some answers pass and others do not; images, and codes for them."""
    A, g = rng.normal(size=(M, C, *size)), rng.normal(size=M)
    last = rng.uniform(0, 3, M) if kind == "shrink" else rng.normal(size=M)
    encoder = (ShrinkEncoder if kind == "shrink" else TanhEncoder)(A, last, g)
    grow = {"full": -1, "valid": 1, "circular": 0}[boundary]
    h, w = (n + grow * (k - 1) for n, k in zip(pixels, size, strict=True))
    params = Params(rng.normal(size=(M, C, *size)), encoder)
    return params, rng.normal(size=(N, C, *pixels)), rng.normal(size=(N, M, h, w))


def place(r, a, n, p, boundary):
    """The row of n that row a of a kernel with p rows covers if it lies at place r; None beyond the image's edge."""
    i = (r + a) % n if boundary == "circular" else r + a - (p - 1 if boundary == "valid" else 0)
    return i if 0 <= i < n else None


def guess(encoder, y, shape, boundary):
    """Enc(y) number by number, and how near the nearest kink is: no code shared with the library."""
    (A, last, g), near, z = encoder, np.inf, np.zeros(shape)
    for n, m, r, s in np.ndindex(shape):
        u = 0.0
        for c, a, b in np.ndindex(A.shape[1:]):
            i, j = place(r, a, y.shape[2], A.shape[2], boundary), place(s, b, y.shape[3], A.shape[3], boundary)
            if i is not None and j is not None:
                u += A[m, c, a, b] * y[n, c, i, j]
        if isinstance(encoder, TanhEncoder):
            z[n, m, r, s] = g[m] * np.tanh(u + last[m])
        else:
            near = min(near, abs(abs(u) - last[m]))
            z[n, m, r, s] = 0 if abs(u) <= last[m] else g[m] * (u - last[m] if u > 0 else u + last[m])
    return z, near


def built(K, z, pixels, boundary):
    """K * z number by number."""
    y = np.zeros((len(z), K.shape[1], *pixels))
    for (n, m, r, s), (c, a, b) in product(np.ndindex(z.shape), np.ndindex(K.shape[1:])):
        i, j = place(r, a, pixels[0], K.shape[2], boundary), place(s, b, pixels[1], K.shape[3], boundary)
        if i is not None and j is not None:
            y[n, c, i, j] += K[m, c, a, b] * z[n, m, r, s]
    return y


def smooth(params, y, z, boundary):
    """Say whether Enc has no kink where a finite difference would look."""
    return guess(params.encoder, y, z.shape, boundary)[1] > 1e-3


def each(a):
    """Sums for each image."""
    return a.reshape(len(a), -1).sum(axis=1)


def sparse_images(rng, n, M=4, p=4, pixels=14, dtype=np.float64):
    """Kernels of unit norm, and images that are sums of a few of them, with weights of either sign, and a little noise.

    A kernel weighs 1 to 2 and one place in 40 has one: they overlap, but seldom.
    """
    K = convolutional.init(rng, M, 1, p, p).K
    shape = (n, M, pixels - p + 1, pixels - p + 1)
    z = rng.choice([-1, 1], shape) * rng.uniform(1, 2, shape) * (rng.random(shape) < 1 / 40 / M)
    y = convolutional.decode(convolutional.Params(K), z)
    return K.astype(dtype), (y + 0.02 * rng.normal(size=y.shape)).astype(dtype)


# the energy


@EVERY_ENCODER
@EVERY_BOUNDARY
@settings(max_examples=10)
@given(rng=generators(), alpha=st.just(0.0) | powers(-3, 3), lam=powers(-3, 3))
def test_energy_is_the_sum_of_its_three_terms(kind, boundary, rng, alpha, lam):
    params, y, z = draw_problem(rng, kind, boundary)
    z *= rng.random(z.shape) < 0.5
    z_tilde, _ = guess(params.encoder, y, z.shape, boundary)
    y_tilde = built(params.K, z, y.shape[2:], boundary)
    np.testing.assert_allclose(encode(params, y, boundary), z_tilde, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(decode(params, z, boundary), y_tilde, rtol=1e-11, atol=1e-13)
    C, D, R = each((y - y_tilde) ** 2), each((z - z_tilde) ** 2), each(np.abs(z))
    np.testing.assert_allclose(distance(params, y, z, boundary), D, rtol=1e-11)
    np.testing.assert_allclose(energy(params, y, z, alpha, lam, boundary), C + alpha * D + lam * R, rtol=1e-11)


@given(generators(), st.sampled_from(KINDS))
def test_maps_lie_wholly_inside_the_image_unless_told_otherwise(rng, kind):
    params, y, z = draw_problem(rng, kind)
    for default, full in (
        (encode(params, y), encode(params, y, "full")),
        (decode(params, z), decode(params, z, "full")),
        (distance(params, y, z), distance(params, y, z, "full")),
        (energy(params, y, z, 0.7, 0.3), energy(params, y, z, 0.7, 0.3, "full")),
        (smooth_grad_z(params, y, z, 0.7), smooth_grad_z(params, y, z, 0.7, "full")),
        (energy_grad_y(params, y, z, 0.7), energy_grad_y(params, y, z, 0.7, "full")),
    ):
        np.testing.assert_array_equal(default, full)


@EVERY_ENCODER
@settings(max_examples=20)
@given(rng=generators(), boundary=boundaries, alpha=powers(-2, 2))
def test_the_gradient_in_z_is_the_complex_step_of_the_smooth_part(kind, rng, boundary, alpha):
    params, y, z = draw_problem(rng, kind, boundary, M=2, size=(2, 2), pixels=(3, 2))
    claimed = smooth_grad_z(params, y, z, alpha, boundary)
    check = gradient_check(lambda z: energy(params, y, z, alpha, 0.0, boundary).sum(), claimed, z)
    assert check.passed, str(check)


@EVERY_ENCODER
@settings(max_examples=20)
@given(rng=generators(), boundary=boundaries, alpha=powers(-2, 2))
def test_the_gradient_in_y_is_the_complex_step_through_the_encoder_too(kind, rng, boundary, alpha):
    params, y, z = draw_problem(rng, kind, boundary, size=(2, 2), pixels=(3, 2))
    assume(smooth(params, y, z, boundary))
    claimed = energy_grad_y(params, y, z, alpha, boundary)
    check = gradient_check(lambda y: energy(params, y, z, alpha, 0.7, boundary).sum(), claimed, y)
    assert check.passed, str(check)


@EVERY_ENCODER
@settings(max_examples=20)
@given(rng=generators(), boundary=boundaries, alpha=powers(-2, 2))
def test_the_gradient_in_the_parameters_is_the_complex_step(kind, rng, boundary, alpha):
    params, y, z = draw_problem(rng, kind, boundary, M=2, size=(1, 2), pixels=(2, 3))
    assume(smooth(params, y, z, boundary))
    weights = rng.normal(size=2)
    claimed = energy_grad_params(params, y, z, alpha, weights, boundary)
    assert type(claimed.encoder) is type(params.encoder)
    check = gradient_check(lambda p: weights @ energy(p, y, z, alpha, 0.7, boundary), claimed, params)
    assert check.passed, str(check)


@EVERY_ENCODER
@EVERY_BOUNDARY
@settings(max_examples=20)
@given(rng=generators())
def test_the_vector_jacobian_products_of_an_encoder_are_the_complex_step_of_what_it_says(kind, boundary, rng):
    params, y, q = draw_problem(rng, kind, boundary, M=2, size=(2, 1), pixels=(3, 2))
    assume(smooth(params, y, q, boundary))
    vjp = run(params.encoder, y, boundary)[1]
    for check in (
        gradient_check(lambda e: (q * run(e, y, boundary)[0]).sum(), vjp.encoder(q), params.encoder),
        gradient_check(lambda y: (q * run(params.encoder, y, boundary)[0]).sum(), vjp.y(q), y),
    ):
        assert check.passed, str(check)


@EVERY_ENCODER
def test_full_is_the_boundary_of_an_encoder_where_none_is_named(kind, rng):
    params, y, _ = draw_problem(rng, kind)
    np.testing.assert_array_equal(run(params.encoder, y)[0], run(params.encoder, y, "full")[0])


@EVERY_ENCODER
@given(rng=generators(), boundary=boundaries)
def test_an_encoder_that_has_been_run_need_not_be_run_again(kind, rng, boundary):
    params, y, z = draw_problem(rng, kind, boundary)
    one = energy_grad_params(params, y, z, 0.7, np.ones(2), boundary)
    same = energy_grad_params(params, y, z, 0.7, np.ones(2), boundary, run(params.encoder, y, boundary))
    for a, b in zip(leaves(one), leaves(same), strict=True):
        np.testing.assert_array_equal(a, b)


@EVERY_ENCODER
@given(rng=generators(), boundary=boundaries, alpha=powers(-2, 2))
def test_the_encoder_sees_only_the_distance_and_the_decoder_only_the_cost(kind, rng, boundary, alpha):
    params, y, z = draw_problem(rng, kind, boundary)
    weights, other = np.ones(2), draw_problem(rng, kind, boundary)[0]
    one = energy_grad_params(params, y, z, alpha, weights, boundary)
    elsewhere = energy_grad_params(params._replace(encoder=other.encoder), y, z, 3 * alpha, weights, boundary)
    np.testing.assert_array_equal(elsewhere.K, one.K)
    twice = energy_grad_params(params._replace(K=other.K), y, z, 2 * alpha, weights, boundary).encoder
    for a, b in zip(leaves(twice), leaves(one.encoder), strict=True):
        np.testing.assert_allclose(a, 2 * b, rtol=1e-12)
    without = energy_grad_params(params, y, z, 0.0, weights, boundary)
    assert not any(leaf.any() for leaf in leaves(without.encoder))


@given(generators(), st.sampled_from(KINDS), boundaries, powers(-3, 0), powers(-2, 2))
def test_if_nothing_held_the_kernels_longer_ones_would_cost_less(rng, kind, boundary, s, alpha):
    params, y, z = draw_problem(rng, kind, boundary)
    small = params.encoder._replace(g=s * params.encoder.g)
    C, D = energy(params, y, z, 0.0, 0.0, boundary), distance(params, y, z, boundary)
    grown = energy(Params(params.K / s, small), y, s * z, alpha, 0.7, boundary)
    np.testing.assert_allclose(grown, C + s**2 * alpha * D + s * 0.7 * each(np.abs(z)), rtol=1e-9)


@EVERY_ENCODER
@given(rng=generators(), i=st.integers(-4, 4), j=st.integers(-5, 5))
def test_on_the_torus_the_guess_moves_with_the_image(kind, rng, i, j):
    params, y, _ = draw_problem(rng, kind, "circular")
    moved = encode(params, np.roll(y, (i, j), axis=(2, 3)), "circular")
    expected = np.roll(encode(params, y, "circular"), (i, j), axis=(2, 3))
    np.testing.assert_allclose(moved, expected, rtol=1e-10, atol=1e-12)


@EVERY_ENCODER
@given(rng=generators())
def test_the_guess_of_a_crop_is_a_crop_of_the_guess(kind, rng):
    params, y, _ = draw_problem(rng, kind, pixels=(7, 8))
    cropped = encode(params, y[:, :, 2:6, 1:6])
    np.testing.assert_allclose(cropped, encode(params, y)[:, :, 2:5, 1:4], rtol=1e-10, atol=1e-12)


# inference


@EVERY_ENCODER
@settings(max_examples=20)
@given(rng=generators(), boundary=boundaries, alpha=powers(-1, 2), lam=powers(-1, 1))
def test_no_code_has_less_energy(kind, rng, boundary, alpha, lam):
    params, y, _ = draw_problem(rng, kind, boundary)
    found = infer(params, y, alpha, lam, boundary=boundary, tol=1e-9)
    assert found.converged.all()
    np.testing.assert_allclose(found.energy, energy(params, y, found.z, alpha, lam, boundary), rtol=1e-12)
    for _ in range(20):
        near, far = rng.normal(size=(2, *found.z.shape)) * 10.0 ** rng.uniform(-5, 1, (2, 1, 1, 1, 1))
        for z in (found.z * (1 + near) + far, encode(params, y, boundary), 0 * far):
            assert (found.energy <= energy(params, y, z, alpha, lam, boundary) * (1 + 1e-8)).all()


@EVERY_ENCODER
@settings(max_examples=20)
@given(rng=generators(), boundary=boundaries, alpha=powers(-1, 2), lam=powers(-1, 1))
def test_zero_is_in_the_subgradient_of_the_whole_energy(kind, rng, boundary, alpha, lam):
    params, y, z = draw_problem(rng, kind, boundary, size=(2, 2), pixels=(3, 3))
    z = infer(params, y, alpha, lam, boundary=boundary, tol=1e-12).z
    A = np.stack([built(params.K, e[None], (3, 3), boundary).ravel() for e in units(z[0])], axis=1)
    codes, guesses = z.reshape(2, -1), guess(params.encoder, y, z.shape, boundary)[0].reshape(2, -1)
    slope = 2 * (codes @ A.T - y.reshape(2, -1)) @ A + 2 * alpha * (codes - guesses)
    violation = np.where(codes == 0, np.abs(slope) - lam, np.abs(slope + lam * np.sign(codes)))
    assert violation.max() <= 1e-4 * max(1, alpha)


def units(z):
    """Maps that are 1 at one place and 0 elsewhere."""
    return np.eye(z.size).reshape(-1, *z.shape)


@EVERY_ENCODER
@SLOW
@given(rng=generators(), boundary=boundaries, method=st.sampled_from(convolutional.METHODS), lam=powers(-0.5, 1))
def test_without_pull_it_is_convolutional_sparse_coding(kind, rng, boundary, method, lam):
    params, y, _ = draw_problem(rng, kind, boundary)
    options = {"boundary": boundary, "tol": 1e-2, "trace": method == "fista"}
    found = infer(params, y, 0.0, lam, method=method, **options)
    expected = convolutional.infer(convolutional.Params(params.K), y, lam, method, **options)
    for mine, its in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, its)


@EVERY_ENCODER
@settings(max_examples=20)
@given(rng=generators(), boundary=boundaries, alpha=powers(2, 6))
def test_the_encoder_has_its_way_as_its_pull_grows(kind, rng, boundary, alpha):
    params, y, _ = draw_problem(rng, kind, boundary)
    found, z_tilde = infer(params, y, alpha, 0.5, boundary=boundary), encode(params, y, boundary)
    most = energy(params, y, z_tilde, alpha, 0.5, boundary)
    assert (alpha * distance(params, y, found.z, boundary) <= most * (1 + 1e-5)).all()
    limit = infer(params, y, 1e8, 0.5, boundary=boundary).z
    np.testing.assert_allclose(limit, z_tilde, atol=1e-5)


@given(generators(), st.sampled_from(KINDS), boundaries, powers(-0.5, 1))
@SLOW
def test_more_pull_never_lets_code_and_guess_drift_apart(rng, kind, boundary, lam):
    params, y, _ = draw_problem(rng, kind, boundary)
    pulls = np.array([0.0, 0.5, 3.0, 100.0])
    found = [infer(params, y, alpha, lam, boundary=boundary, tol=1e-4) for alpha in pulls]
    F = np.array([one.energy for one in found])
    assert (np.diff(F, axis=0) >= -1e-4 * F[1:]).all()
    bound = energy(params, y, encode(params, y, boundary), 0.0, lam, boundary)
    assert (bound * (1 + 1e-4) >= F).all()
    D = np.array([distance(params, y, one.z, boundary) for one in found])
    slack = 1e-4 * (F[1:] + F[:-1]) / np.diff(pulls)[:, None]  # what the two minima may be missed by
    assert (np.diff(D, axis=0) <= slack).all()


@EVERY_ENCODER
@EVERY_BOUNDARY
@pytest.mark.parametrize("from_zero", [False, True])
def test_inference_starts_from_the_guess_unless_told_otherwise(kind, boundary, from_zero, rng):
    params, y, z = draw_problem(rng, kind, boundary)
    options, start = ({"z0": z}, z) if from_zero else ({}, guess(params.encoder, y, z.shape, boundary)[0])
    with pytest.warns(ConvergenceWarning, match="2 of 2 images have not converged after 1 iterations"):
        path = infer(params, y, 0.7, 0.5, boundary=boundary, tol=1e-12, max_iter=1, trace=True, **options).trace
    L = 2 * largest_eigenvalue(params.K, z.shape[2:], boundary) + 2 * 0.7
    ahead = start - smooth_grad_z(params, y, start, 0.7, boundary) / L
    np.testing.assert_allclose(path, [np.sign(ahead) * np.maximum(np.abs(ahead) - 0.5 / L, 0)], rtol=1e-9, atol=1e-12)


def flat(params):
    """The same model of images as rows of numbers, if kernels are as large as images: maps have one pixel."""
    encoder, rows = params.encoder, len(params.K)
    A = encoder.A.reshape(rows, -1)
    if isinstance(encoder, TanhEncoder):
        its = predictive.AffineTanh(A, encoder.b, encoder.g)
    else:  # g sh_theta(u) = sh_{|g| theta}(g u)
        its = predictive.AffineShrink(encoder.g[:, None] * A, np.zeros(rows), np.abs(encoder.g) * encoder.theta)
    return predictive.Params(params.K.reshape(rows, -1).T, its)


@EVERY_ENCODER
@settings(max_examples=20)
@given(rng=generators(), alpha=st.just(0.0) | powers(-1, 2), lam=powers(-1, 1))
def test_maps_of_one_pixel_make_it_predictive_sparse_decomposition(kind, rng, alpha, lam):
    params, y, z = draw_problem(rng, kind, M=5, size=(2, 3), pixels=(2, 3), N=4)
    its, rows, codes = flat(params), y.reshape(4, -1), z.reshape(4, -1)
    np.testing.assert_allclose(encode(params, y)[:, :, 0, 0], predictive.encode(its, rows), rtol=1e-10, atol=1e-12)
    expected = predictive.energy(its, rows, codes, alpha, lam)
    np.testing.assert_allclose(energy(params, y, z, alpha, lam), expected, rtol=1e-11)
    found, expected = (
        model.infer(p, data, alpha, lam, tol=1e-11)
        for model, p, data in ((convolutional_autoencoder, params, y), (predictive, its, rows))
    )
    np.testing.assert_allclose(found.energy, expected.energy, rtol=1e-9)
    np.testing.assert_allclose(found.z[:, :, 0, 0], expected.z, atol=1e-4)
    assert found.z.shape == (4, 5, 1, 1)
    weights = rng.normal(size=4)
    mine = energy_grad_params(params, y, z, alpha, weights)
    theirs = predictive.energy_grad_params(its, rows, codes, alpha, weights)
    np.testing.assert_allclose(mine.K.reshape(5, -1).T, theirs.W, rtol=1e-9, atol=1e-11)
    grad_y = predictive.energy_grad_y(its, rows, codes, alpha)
    np.testing.assert_allclose(energy_grad_y(params, y, z, alpha).reshape(4, -1), grad_y, rtol=1e-9, atol=1e-10)
    if kind == "tanh":
        np.testing.assert_allclose(mine.encoder.A.reshape(5, -1), theirs.encoder.A, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(mine.encoder.b, theirs.encoder.b, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(mine.encoder.g, theirs.encoder.g, rtol=1e-9, atol=1e-11)


# the gradients of the free energy


@EVERY_ENCODER
@SLOW
@given(rng=generators(), boundary=boundaries, alpha=powers(-0.5, 1))
def test_the_gradients_of_the_free_energy_are_its_differences(kind, rng, boundary, alpha):
    params, y, z = draw_problem(rng, kind, boundary, size=(2, 2), pixels=(3, 3))
    assume(smooth(params, y, z, boundary))
    options, weights = {"alpha": alpha, "lam": 0.5, "tol": 1e-10, "boundary": boundary}, rng.normal(size=2)
    v = rng.normal(size=y.shape)
    numeric = central_difference(lambda y: free_energy(params, y, **options), y, v, 1e-5)
    claimed = each(free_energy_grad_y(params, y, **options) * v)
    np.testing.assert_allclose(claimed, numeric, rtol=1e-4, atol=1e-4 * (1 + alpha))
    claimed = free_energy_grad_params(params, y, weights=weights, **options)
    for kept in ("K", "encoder"):  # one by one, so that neither hides the other
        v = tree_map(np.zeros_like, params)
        v = v._replace(**{kept: tree_map(lambda a: rng.normal(size=a.shape), getattr(params, kept))})
        numeric = central_difference(lambda p: weights @ free_energy(p, y, **options), params, v, 1e-6)
        assert inner(claimed, v) == pytest.approx(numeric, rel=1e-4, abs=1e-3 * (1 + alpha))


# where training starts


@given(generators(), st.integers(1, 3), st.integers(1, 2), st.integers(1, 2), st.integers(1, 3), powers(-2, 2))
@settings(max_examples=15)
def test_gains_are_the_best_for_white_codes_in_mean_square(rng, M, C, p, q, lam):
    params = from_kernels(3 * rng.normal(size=(M, C, p, q)), "shrink", lam)
    pixels = (2 * p - 1, 2 * q - 1)  # a torus so large that no two shifts of a kernel meet at both ends
    A = np.stack([built(params.K, e[None], pixels, "circular").ravel() for e in units(np.zeros((M, *pixels)))], axis=1)
    G = (A.T @ A).reshape(M, pixels[0] * pixels[1], -1)  # u = G z, E z z^T = 1: E u_s z_s = G_ss, E u_s^2 = (G^2)_ss
    best = 1 / (G**2).sum(axis=2)[:, 0]
    np.testing.assert_allclose(params.encoder.g, best, rtol=1e-10)
    np.testing.assert_allclose(np.einsum("mps,mps->mp", G, G) * best[:, None], 1, rtol=1e-10)


@given(generators(), boundaries, powers(-2, 2))
def test_untrained_encoders_are_a_step_of_ista_but_for_its_length(rng, boundary, lam):
    K, y, z = (draw_problem(rng, "tanh", boundary)[0].K, *draw_problem(rng, "tanh", boundary)[1:])
    K /= np.sqrt((K**2).sum(axis=(1, 2, 3), keepdims=True))
    u, _ = guess(ShrinkEncoder(K, np.zeros(3), np.ones(3)), y, z.shape, boundary)
    shrinking, tanh = (from_kernels(K, kind, lam) for kind in KINDS)
    g = shrinking.encoder.g[:, None, None]
    assert ((g > 0) & (g <= 1)).all()
    for params in (shrinking, tanh):
        np.testing.assert_allclose(params.K, K, rtol=1e-12)
    expected = g * np.sign(u) * np.maximum(np.abs(u) - lam / 2, 0)  # (2/L) sh_{lam/2}(u) = sh_{lam/L}(2 u / L)
    np.testing.assert_allclose(encode(shrinking, y, boundary), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(encode(tanh, y, boundary), lam * np.tanh(g * u / lam), rtol=1e-9, atol=1e-12)


@EVERY_ENCODER
@given(rng=generators(), s=powers(-2, 2))
def test_untrained_guesses_have_the_unit_of_the_image(kind, rng, s):
    params, y, _ = draw_problem(rng, kind)
    one, other = from_kernels(params.K, kind, 0.3), from_kernels(7 * params.K, kind, 0.3 * s)
    np.testing.assert_allclose(encode(other, s * y), s * encode(one, y), rtol=1e-9, atol=1e-12 * s)


@EVERY_ENCODER
@given(rng=generators(), M=st.integers(1, 5), C=st.integers(1, 3), p=st.integers(1, 3), q=st.integers(1, 3))
def test_init_draws_kernels_of_unit_norm(kind, rng, M, C, p, q):
    params = init(rng, M, C, p, q, kind, 0.3)
    assert params.K.shape == params.encoder.A.shape == (M, C, p, q)
    np.testing.assert_allclose(each(params.K**2), 1, rtol=1e-12)
    for a, b in zip(leaves(params), leaves(from_kernels(params.K, kind, 0.3)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    assert {leaf.dtype for leaf in leaves(init(rng, M, C, p, q, kind, 0.3, np.float32))} == {np.dtype("f4")}


def test_a_kernel_of_zeros_stays_one_and_its_guess_is_zero(rng):
    K = rng.normal(size=(2, 1, 2, 2)) * [[[[1]]], [[[0]]]]
    for kind in KINDS:
        params = from_kernels(K, kind, 0.3)
        assert all(np.isfinite(leaf).all() for leaf in leaves(params))
        assert not encode(params, rng.normal(size=(3, 1, 4, 4)))[:, 1].any()


# training


@EVERY_ENCODER
@pytest.mark.parametrize(
    ("boundary", "batch_size", "alpha"), [("full", None, 0.7), ("valid", 4, 3.0), ("full", 4, 0.0)]
)
def test_training_is_adam_on_the_energy_of_a_few_steps_with_kernels_and_thresholds_held(
    kind, boundary, batch_size, alpha, rng
):
    params, y, shape = *draw_problem(rng, kind, boundary, N=10)[:2], draw_problem(rng, kind, boundary)[2].shape[1:]
    if kind == "shrink":  # guesses too timid: thresholds fall
        params = params._replace(encoder=tree_map(lambda a: 0.05 * a, params.encoder))
    order = np.random.default_rng(3).permutation(10)
    p = params._replace(K=params.K / np.sqrt((params.K**2).sum(axis=(1, 2, 3), keepdims=True)))
    (m, v), losses, fell = (tree_map(np.zeros_like, p) for _ in range(2)), [], False
    for t, start in enumerate(range(0, 10, batch_size or 10), start=1):
        batch = y[order[start : start + (batch_size or 10)]]
        z0 = encode(p, batch, boundary) if alpha else np.zeros((len(batch), *shape))
        pull = convolutional.Pull(alpha, encode(p, batch, boundary))
        path = convolutional.iterates(convolutional.Params(p.K), batch, z0, 0.4, boundary, pull)
        z, _ = list(islice(path, 4))[3]
        losses.append((energy(p, batch, z, alpha, 0.4, boundary).mean(), len(batch)))
        g = energy_grad_params(p, batch, z, alpha, np.full(len(batch), 1 / len(batch)), boundary)
        g = g._replace(K=g.K - p.K * (p.K * g.K).sum(axis=(1, 2, 3), keepdims=True))  # along the sphere
        m = tree_map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = tree_map(lambda v, g: 0.999 * v + 0.001 * g**2, v, g)
        p = tree_map(lambda p, m, v, t=t: p - 0.3 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8), p, m, v)
        p = p._replace(K=p.K / np.sqrt((p.K**2).sum(axis=(1, 2, 3), keepdims=True)))
        if kind == "shrink":
            fell = fell or (p.encoder.theta < 0).any()
            p = p._replace(encoder=p.encoder._replace(theta=np.maximum(p.encoder.theta, 0)))
    assert fell == (kind == "shrink" and alpha > 0)  # the projection has something to do
    options = {"alpha": alpha, "lam": 0.4, "n_steps": 3, "boundary": boundary, "batch_size": batch_size, "rate": 0.3}
    found = fit(params, y, np.random.default_rng(3), n_epochs=1, **options)
    assert type(found) is Fit
    for a, b in zip(leaves(found.params), leaves(p), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)
    assert found.history == pytest.approx([sum(loss * n for loss, n in losses) / 10], rel=1e-9)


@pytest.fixture(scope="module")
def trained():
    """Each kind trained on the same images, from the same kernels, and images that it has not seen."""
    _, y = sparse_images(np.random.default_rng(4), 120, dtype=np.float32)
    found = {}
    for kind in KINDS:
        start = init(np.random.default_rng(1), 4, 1, 4, 4, kind, 0.3, np.float32)
        found[kind] = start, fit(start, y[:100], np.random.default_rng(2), lam=0.3, n_epochs=12, rate=1e-2), y[100:]
    return found


@EVERY_ENCODER
def test_training_lowers_the_free_energy_and_the_distance(kind, trained):
    start, found, y = trained[kind]
    F = [free_energy(params, y, 1.0, 0.3).mean() for params in (start, found.params)]
    assert F[1] < (0.6 if kind == "shrink" else 0.8) * F[0]
    assert found.history[-1] < (0.65 if kind == "shrink" else 0.85) * found.history[0]
    assert 0.95 * F[1] < found.history[-1] < 1.5 * F[1]  # of images it has seen, and from above: but not by much
    D = [
        distance(params, y, infer(params, y, 1.0, 0.3).z).mean()
        for params in (from_kernels(found.params.K, kind, 0.3), found.params)
    ]
    assert D[1] < (0.4 if kind == "shrink" else 0.9) * D[0]
    np.testing.assert_allclose(each(found.params.K**2), 1, rtol=1e-5)


@EVERY_ENCODER
def test_the_trained_encoder_predicts_new_codes_better_than_the_untrained(kind, trained):
    _, (params, *_), y = trained[kind]
    z = convolutional.infer(convolutional.Params(params.K), y, 0.3, "working_set").z
    mine, untrained = (
        ((encode(p, y) - z) ** 2).sum() / (z**2).sum() for p in (params, from_kernels(params.K, kind, 0.3))
    )
    assert mine < (0.3 if kind == "shrink" else 0.95) * untrained
    assert untrained < 0.9  # the gain that it starts with makes it better than a guess of 0
    zeros = (encode(params, y) == 0).mean()
    assert zeros == 0 if kind == "tanh" else zeros > 0.9


def test_training_finds_the_kernels_that_the_images_were_made_of(trained):
    truth, _ = sparse_images(np.random.default_rng(4), 1)
    start, found, _ = trained["shrink"]
    before, after = (np.abs(answers(p.K, truth)).max(axis=(1, 2, 3)).mean() for p in (start, found.params))
    assert before < 0.75
    assert after > 0.9  # at some shift, with some sign


def answers(K, images):
    """Products of all kernels, at all shifts, with images of their size: (N, M, h, w)."""
    return encode(Params(K, ShrinkEncoder(K, np.zeros(len(K)), np.ones(len(K)))), images, "valid")


@EVERY_ENCODER
def test_without_pull_the_encoder_learns_nothing(kind, rng):
    params, y, _ = draw_problem(rng, kind, N=6)
    found = fit(params, y, rng, alpha=0.0, lam=0.3, n_epochs=2, batch_size=3)
    for a, b in zip(leaves(found.params.encoder), leaves(params.encoder), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.allclose(found.params.K, convolutional.unit_kernels(convolutional.Params(params.K)).K)


@EVERY_ENCODER
def test_the_generator_shuffles_and_nothing_else_is_random(kind, rng):
    params, y, _ = draw_problem(rng, kind, N=10)
    a, b, c = (fit(params, y, np.random.default_rng(s), lam=0.3, n_epochs=2, batch_size=3) for s in (1, 1, 2))
    for one, same in zip(leaves(a.params), leaves(b.params), strict=True):
        np.testing.assert_array_equal(one, same)
    np.testing.assert_array_equal(a.history, b.history)
    assert not np.array_equal(a.params.K, c.params.K)


def test_a_step_runs_the_encoder_once(rng, monkeypatch):
    params, y, _ = draw_problem(rng, "shrink", N=6)
    runs = []
    monkeypatch.setattr(convolutional_autoencoder, "run", lambda *arguments: runs.append(1) or run(*arguments))
    fit(params, y, rng, lam=0.3, n_epochs=2, batch_size=2)
    assert len(runs) == 6


def test_training_has_eight_images_a_batch_ten_epochs_and_ten_steps_unless_told_otherwise(rng):
    params, y, _ = draw_problem(rng, "tanh")
    y = rng.normal(size=(9, *y.shape[1:]))
    told = {"alpha": 1.0, "boundary": "full", "n_epochs": 10, "batch_size": 8, "rate": 3e-3, "n_steps": 10}
    found, expected = (fit(params, y, np.random.default_rng(0), lam=0.3, **options) for options in ({}, told))
    for a, b in zip(leaves(found), leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_callback_hears_of_each_epoch(rng):
    params, y, _ = draw_problem(rng, "shrink", N=6)
    heard = []
    found = fit(params, y, rng, lam=0.3, n_epochs=3, callback=lambda *report: heard.append(report))
    assert heard == list(enumerate(found.history, start=1))


@EVERY_ENCODER
@pytest.mark.parametrize(("dtype", "rate"), [("f8", 1e200), ("f8", 1e140), ("f4", 1e30), ("f4", 1e12)])
def test_a_step_that_is_too_long_is_said_to_be(kind, dtype, rate, rng):
    params, y, _ = tree_map(lambda a: a.astype(dtype), draw_problem(rng, kind, N=6))
    if kind == "tanh" and rate in (1e140, 1e12):
        rate = rate**1.3  # tanh does not pass on what is large: only the gain is
    with pytest.raises(FloatingPointError, match="diverged in epoch"):
        fit(params, y, rng, lam=0.3, batch_size=2, rate=rate, n_epochs=50)


# what all share


@given(rng=generators(), kind=st.sampled_from(KINDS), boundary=boundaries)
@SLOW
def test_a_batch_is_its_images_one_by_one(rng, kind, boundary):
    params, y, _ = draw_problem(rng, kind, boundary)
    options = {"alpha": 3.0, "lam": 0.3, "tol": 1e-9, "boundary": boundary}
    for function in (free_energy, free_energy_grad_y):
        alone = np.concatenate([function(params, y[n : n + 1], **options) for n in range(2)])
        np.testing.assert_allclose(function(params, y, **options), alone, rtol=1e-4, atol=1e-4)
    weights = rng.normal(size=2)
    together = free_energy_grad_params(params, y, weights=weights, **options)
    alone = [free_energy_grad_params(params, y[[n]], weights=weights[[n]], **options) for n in range(2)]
    for a, b in zip(leaves(together), leaves(tree_map(lambda *parts: sum(parts), *alone)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


@EVERY_ENCODER
@pytest.mark.parametrize(("boundary", "alpha"), [("full", 0.0), *((boundary, 0.7) for boundary in BOUNDARIES)])
def test_single_precision_is_kept_and_nothing_handed_in_is_written_to(kind, boundary, alpha, rng):
    double = (*draw_problem(rng, kind, boundary), np.ones(2))
    for dtype in (np.float32, np.float64):
        params, y, z, weights = read_only(tree_map(lambda a, dtype=dtype: a.astype(dtype), double))
        found, options = infer(params, y, alpha, 0.3, boundary=boundary), {"alpha": np.float64(alpha), "lam": 0.3}
        options["boundary"] = boundary
        fitted = fit(params, y, rng, n_epochs=2, batch_size=2, **options)
        results = (
            found.z,
            found.energy,
            found.trace,
            infer(params, y, z0=z, **options).z,
            encode(params, y, boundary),
            decode(params, z, boundary),
            distance(params, y, z, boundary),
            energy(params, y, z, alpha, 0.3, boundary),
            smooth_grad_z(params, y, z, alpha, boundary),
            free_energy(params, y, **options),
            free_energy(params, y, tol=1e-5, **options),
            free_energy_grad_y(params, y, **options),
            *leaves(free_energy_grad_params(params, y, weights=weights, **options)),
            *leaves(fitted.params),
        )
        assert {array.dtype for array in results} == {np.dtype(dtype)}
        np.testing.assert_allclose(found.energy, free_energy(*double[:2], alpha, 0.3, boundary=boundary), rtol=1e-2)
        mixed = fit(params, y.astype(np.float64), rng, n_epochs=1, **options).params
        assert {leaf.dtype for leaf in leaves(mixed)} == {np.dtype(np.float64)}


@EVERY_ENCODER
def test_whole_numbers_and_lists_become_double_precision(kind, rng):
    params, y, _ = draw_problem(rng, kind)
    whole, y = tree_map(lambda a: np.round(3 * a).astype(int), params), np.round(50 * np.abs(y)).astype(np.uint8)
    if kind == "shrink":
        whole = whole._replace(encoder=whole.encoder._replace(theta=np.abs(whole.encoder.theta)))
    exact, images = tree_map(lambda a: a.astype(float), whole), y.astype(float)
    options = {"alpha": 1, "lam": 1}
    for data in (y, list(y), list(images)):
        np.testing.assert_array_equal(infer(whole, data, **options).z, infer(exact, images, **options).z)
        mine, expected = (free_energy_grad_y(p, data, **options) for p in (whole, exact))
        np.testing.assert_array_equal(mine, expected)
        mine, expected = (free_energy_grad_params(p, data, weights=np.ones(2), **options) for p in (whole, exact))
        for a, b in zip(leaves(mine), leaves(expected), strict=True):
            np.testing.assert_array_equal(a, b)
        mine, expected = (fit(p, data, np.random.default_rng(0), n_epochs=1, **options).params for p in (whole, exact))
        for a, b in zip(leaves(mine), leaves(expected), strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == np.float64
    assert {leaf.dtype for leaf in leaves(from_kernels(whole.K, kind, 1))} == {np.dtype(np.float64)}


GOOD = {
    "shrink": Params(np.ones((3, 1, 2, 2)), ShrinkEncoder(np.ones((3, 1, 2, 2)), np.ones(3), np.ones(3))),
    "tanh": Params(np.ones((3, 1, 2, 2)), TanhEncoder(np.ones((3, 1, 2, 2)), np.ones(3), np.ones(3))),
}


def spoilt(kind, **fields):
    return {"params": GOOD[kind]._replace(encoder=GOOD[kind].encoder._replace(**fields))}


BAD = [
    ("params.K", ValueError, {"params": GOOD["shrink"]._replace(K=np.ones((3, 4)))}),
    ("params.K", ValueError, {"params": GOOD["shrink"]._replace(K=np.full((3, 1, 2, 2), np.nan))}),
    ("params.K", ValueError, {"params": GOOD["shrink"]._replace(K=np.ones((0, 1, 2, 2)))}),
    ("params.K", TypeError, {"params": GOOD["shrink"]._replace(K=None)}),
    ("params.encoder", TypeError, {"params": GOOD["shrink"]._replace(encoder=None)}),
    ("params.encoder", TypeError, {"params": GOOD["shrink"]._replace(encoder="tanh")}),
    ("params.encoder", TypeError, {"params": GOOD["shrink"]._replace(encoder=tuple(GOOD["shrink"].encoder))}),
    ("params.encoder", TypeError, {"params": GOOD["shrink"]._replace(encoder=flat(GOOD["shrink"]).encoder)}),
    ("params.encoder.A", ValueError, spoilt("shrink", A=np.ones((3, 4)))),
    ("params.encoder.A", ValueError, spoilt("shrink", A=np.ones((3, 1, 3, 3)))),
    ("params.encoder.A", ValueError, spoilt("tanh", A=np.full((3, 1, 2, 2), np.inf))),
    ("params.encoder.A", TypeError, spoilt("tanh", A="A")),
    ("params.encoder.b", ValueError, spoilt("tanh", b=np.ones(4))),
    ("params.encoder.b", TypeError, spoilt("tanh", b=None)),
    ("params.encoder.g", ValueError, spoilt("tanh", g=np.ones((3, 1)))),
    ("params.encoder.g", ValueError, spoilt("shrink", g=np.array([1, np.nan, 1]))),
    ("params.encoder.g", TypeError, spoilt("shrink", g=np.ones(3) * 1j)),
    ("params.encoder.theta", ValueError, spoilt("shrink", theta=np.array([1, -1e-9, 1]))),
    ("params.encoder.theta", ValueError, spoilt("shrink", theta=np.ones(()))),
    ("y", ValueError, {"y": np.ones((5, 4))}),
    ("y", ValueError, {"y": np.ones((5, 1, 4))}),
    ("y", ValueError, {"y": np.ones((5, 3, 4, 4))}),  # colour
    ("y", ValueError, {"y": np.ones((5, 1, 1, 4))}),  # smaller than the kernels
    ("y", ValueError, {"y": np.ones((0, 1, 4, 4))}),
    ("y", ValueError, {"y": []}),
    ("y", ValueError, {"y": [np.ones((1, 4, 4)), np.ones((1, 4, 5))]}),
    ("y", ValueError, {"y": np.full((5, 1, 4, 4), np.nan)}),
    ("y", ValueError, {"y": np.full((5, 1, 4, 4), 1e200)}),
    ("y", TypeError, {"y": None}),
    ("y", TypeError, {"y": np.ones((5, 1, 4, 4)) * 1j}),
    ("alpha", ValueError, {"alpha": -1e-9}),
    ("alpha", ValueError, {"alpha": np.nan}),
    ("alpha", ValueError, {"alpha": np.inf}),
    ("alpha", ValueError, {"alpha": 1e300}),
    ("alpha", TypeError, {"alpha": None}),
    ("lam", ValueError, {"lam": 0.0}),
    ("lam", ValueError, {"lam": np.inf}),
    ("lam", TypeError, {"lam": "1"}),
    ("boundary", ValueError, {"boundary": "same"}),
    ("boundary", ValueError, {"boundary": None}),
]


@pytest.mark.parametrize(("name", "error", "arguments"), BAD)
@pytest.mark.parametrize(
    "function",
    [
        infer,
        free_energy,
        free_energy_grad_y,
        lambda params, y, **rest: free_energy_grad_params(params, y, weights=np.ones(5), **rest),
        lambda params, y, **rest: fit(params, y, np.random.default_rng(0), **rest),
    ],
)
def test_a_bad_argument_is_refused_by_name(function, name, error, arguments):
    good = {"params": GOOD["shrink"], "y": np.ones((5, 1, 4, 4)), "alpha": 1.0, "lam": 1.0}
    with pytest.raises(error, match=rf"^{name}: expected"):
        function(**{**good, **arguments})


@EVERY_ENCODER
@pytest.mark.parametrize(
    ("size", "alpha", "bright"), [(1e200, 1.0, 1.0), (1e300, 1e-9, 1.0), (1e100, 1e150, 1.0), (1e150, 1e30, 1e150)]
)
def test_no_guess_may_be_too_large_to_be_squared_with_its_weight(kind, size, alpha, bright):
    params = GOOD[kind]._replace(encoder=tree_map(lambda a: size * a, GOOD[kind].encoder))
    if kind == "shrink":
        params = params._replace(encoder=params.encoder._replace(theta=np.zeros(3)))
    with pytest.raises(ValueError, match=r"^(params\.encoder\.A|max\(1, sqrt\(alpha\)\) Enc\(y\)): expected"):
        infer(params, np.full((5, 1, 4, 4), bright), alpha, 1.0)


def test_alpha_must_fit_into_single_precision_too():
    params, y = tree_map(lambda a: a.astype(np.float32), (GOOD["tanh"], np.ones((5, 1, 4, 4))))
    with pytest.raises(ValueError, match=r"^alpha: expected"):
        infer(params, y, 1e60, 1.0)


@pytest.mark.parametrize(
    ("name", "error", "call"),
    [
        ("method", ValueError, lambda p, y: infer(p, y, 1.0, 1.0, method="newton")),
        ("pull", ValueError, lambda p, y: infer(p, y, 1.0, 1.0, method="working_set")),
        ("z0", ValueError, lambda p, y: infer(p, y, 1.0, 1.0, z0=np.ones((5, 3)))),
        ("tol", ValueError, lambda p, y: infer(p, y, 1.0, 1.0, tol=0)),
        ("max_iter", ValueError, lambda p, y: infer(p, y, 1.0, 1.0, max_iter=0)),
        ("rng", TypeError, lambda p, y: fit(p, y, None, lam=1.0)),
        ("n_epochs", ValueError, lambda p, y: fit(p, y, np.random.default_rng(0), lam=1.0, n_epochs=0)),
        ("n_steps", ValueError, lambda p, y: fit(p, y, np.random.default_rng(0), lam=1.0, n_steps=0)),
        ("n_steps", TypeError, lambda p, y: fit(p, y, np.random.default_rng(0), lam=1.0, n_steps=1.0)),
        ("batch_size", TypeError, lambda p, y: fit(p, y, np.random.default_rng(0), lam=1.0, batch_size=2.0)),
        ("rate", ValueError, lambda p, y: fit(p, y, np.random.default_rng(0), lam=1.0, rate=0.0)),
        ("callback", TypeError, lambda p, y: fit(p, y, np.random.default_rng(0), lam=1.0, callback=1)),
        ("encoder", ValueError, lambda p, y: from_kernels(p.K, "lista", 1.0)),
        ("encoder", ValueError, lambda p, y: init(np.random.default_rng(0), 3, 1, 2, 2, None, 1.0)),
        ("K", ValueError, lambda p, y: from_kernels(np.ones((3, 4)), "tanh", 1.0)),
        ("K", ValueError, lambda p, y: from_kernels(np.full((3, 1, 2, 2), np.nan), "tanh", 1.0)),
        ("lam", ValueError, lambda p, y: from_kernels(p.K, "tanh", 0.0)),
        ("rng", TypeError, lambda p, y: init(0, 3, 1, 2, 2, "tanh", 1.0)),
        ("C", ValueError, lambda p, y: init(np.random.default_rng(0), 3, 0, 2, 2, "tanh", 1.0)),
        ("dtype", TypeError, lambda p, y: init(np.random.default_rng(0), 3, 1, 2, 2, "tanh", 1.0, dtype=int)),
    ],
)
def test_the_other_doors_refuse_by_name_too(name, error, call):
    with pytest.raises(error, match=rf"^{name}: expected"):
        call(GOOD["shrink"], np.ones((5, 1, 4, 4)))


@pytest.mark.parametrize(
    ("error", "changes"),
    [
        (TypeError("params: expected convolutional_autoencoder.Params, got tuple"), {"params": tuple(GOOD["tanh"])}),
        (
            TypeError(f"params.encoder: expected {convolutional_autoencoder.Encoder}, got str"),
            {"params": GOOD["shrink"]._replace(encoder="tanh")},
        ),
        (
            ValueError("params.encoder.theta: expected thresholds >= 0, got -0.125"),
            spoilt("shrink", theta=np.array([1, 2, -0.125])),
        ),
        (ValueError("params.encoder.g: expected shape (3,), got shape (2,)"), spoilt("tanh", g=np.ones(2))),
    ],
)
def test_the_message_says_what_was_expected_and_what_came(error, changes):
    with pytest.raises(type(error), match=f"^{re.escape(str(error))}$"):
        infer(**{"params": GOOD["shrink"], "y": np.ones((5, 1, 4, 4)), "alpha": 1.0, "lam": 1.0} | changes)


def test_kernels_to_begin_with_have_four_axes():
    with pytest.raises(ValueError, match=r"^K: expected shape \(M, C, p, q\), got shape \(3, 4\)$"):
        from_kernels(np.ones((3, 4)), "tanh", 1.0)


def test_the_pull_is_that_of_the_encoder_and_of_nobody_else():
    with pytest.raises(TypeError, match="pull"):
        infer(GOOD["shrink"], np.ones((5, 1, 4, 4)), 1.0, 1.0, pull=None)


def test_every_encoder_is_known_to_the_door():
    assert {type(params.encoder) for params in GOOD.values()} == set(convolutional_autoencoder.Encoder.__args__)
