import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import SIZES, arrays, generators

from ebm_np.foundations.gradient_check import gradient_check
from ebm_np.foundations.layers import Affine
from ebm_np.foundations.parameters import leaves, tree_map
from ebm_np.sparse import sparse_coding
from ebm_np.sparse.regularized import (
    L1,
    L2,
    Noise,
    Params,
    capacity,
    decode,
    ellipsoid_volume,
    energy,
    energy_grad_params,
    free_energy,
    free_energy_grad_params,
    free_energy_grad_y,
    infer,
    init,
    low_energy_volume,
)

EVERY_REGULARIZER = pytest.mark.parametrize("regularizer", [L1(0.7, 1e-10), L2(0.7), Noise(0.3, 0.5)], ids=repr)


def powers(low, high):
    """Positive numbers, evenly over the orders of magnitude."""
    return st.floats(low, high).map(lambda e: 10.0**e)


def draw_problem(rng, d=3, k=5, m=2, n=4):
    """An over-expressive decoder whose atoms are far from parallel, inputs and observations."""
    basis = np.linalg.qr(rng.normal(size=(max(d, k), max(d, k))))[0][:d, :k]
    W = basis * rng.uniform(0.5, 2, k)
    params = Params(Affine(rng.normal(size=(d, m)), rng.normal(size=d)), W)
    return params, rng.normal(size=(n, m)), 2 * rng.normal(size=(n, d))


@st.composite
def problems(draw):
    """Decoders of any rank and scale, wide or tall, singular or zero."""
    d, k, m, n = (draw(SIZES) for _ in range(4))
    params = Params(Affine(draw(arrays((d, m))), draw(arrays(d))), draw(arrays((d, k), 1e3, 1e-3)))
    return params, draw(arrays((n, m))), draw(arrays((n, d)))


def posed():
    """A problem with a regulariser; for the iterations of L1 one of moderate scale."""
    closed = st.builds(L2, st.one_of(st.just(0.0), powers(-8, 8))) | st.builds(Noise, powers(-4, 4), powers(-4, 4))
    iterated = st.builds(L1, powers(-1, 3), st.just(1e-8))
    return st.tuples(problems(), closed) | st.tuples(generators().map(draw_problem), iterated)


def residual(params, x, y):
    return y - (x @ params.predictor.W.T + params.predictor.b)


def square(v):
    return (v**2).sum(axis=-1)


# the energy


@given(problems(), st.data())
def test_energy_is_the_one_of_the_note(problem, data):
    params, x, y = problem
    z = data.draw(arrays((len(y), params.W.shape[1])))
    r = residual(params, x, y)
    for n in range(len(y)):
        cost = sum((r[n, i] - sum(params.W[i, j] * z[n, j] for j in range(z.shape[1]))) ** 2 for i in range(len(r[n])))
        one = params, x[n : n + 1], y[n : n + 1], z[n : n + 1]
        assert energy(*one, L2(0.0))[0] == pytest.approx(cost, rel=1e-9, abs=1e-3)
        assert energy(*one, L1(0.3))[0] == pytest.approx(cost + 0.3 * sum(map(abs, z[n])), rel=1e-9, abs=1e-3)
        assert energy(*one, L2(0.3))[0] == pytest.approx(cost + 0.3 * sum(map(np.square, z[n])), rel=1e-9, abs=1e-3)


@given(generators(), powers(-3, 3))
def test_noise_is_the_mean_over_a_cloud_of_its_covariance(rng, sigma):
    # the 2k points +-sigma sqrt(k) e_j have mean 0 and covariance sigma^2 I: for a quadratic as good as the Gaussian
    params, x, y = draw_problem(rng)
    z, k = rng.normal(size=(4, 5)), 5
    cloud = sigma * math.sqrt(k) * np.vstack([np.eye(k), -np.eye(k)])
    mean = np.mean([square(y - decode(params, x, z + eps)) for eps in cloud], axis=0)
    np.testing.assert_allclose(energy(params, x, y, z, Noise(sigma, 1.0)), mean, rtol=1e-11)


def test_noise_is_the_mean_over_drawn_noise(rng):
    params, x, y = draw_problem(rng, n=1)
    z = rng.normal(size=(1, 5))
    drawn = square(y - decode(params, x, z + 0.4 * rng.normal(size=(100_000, 5))))
    error = drawn.std() / math.sqrt(len(drawn))
    assert abs(drawn.mean() - energy(params, x, y, z, Noise(0.4, 1.0))[0]) < 4 * error


@given(generators())
@EVERY_REGULARIZER
def test_the_gradient_in_the_parameters_is_the_complex_step(regularizer, rng):
    params, x, y = draw_problem(rng)
    z, weights = rng.normal(size=(4, 5)), rng.normal(size=4)
    check = gradient_check(
        lambda p: (weights * energy(p, x, y, z, regularizer)).sum(),
        energy_grad_params(params, x, y, z, regularizer, weights),
        params,
    )
    assert check.passed, str(check)


# inference


@given(problems(), powers(-3, 3))
def test_short_codes_are_the_closed_form(problem, lam):
    params, x, y = problem
    W, r = params.W, residual(params, x, y)
    lam *= max(np.square(W).sum(), 1.0)  # where the normal equations have a few digits to spare
    found = infer(params, x, y, L2(lam))
    np.testing.assert_allclose(
        found.z, r @ W @ np.linalg.inv(W.T @ W + lam * np.eye(W.shape[1])), rtol=1e-9, atol=1e-12 * np.abs(r).max()
    )
    closed = lam * np.einsum("ni,ij,nj->n", r, np.linalg.inv(W @ W.T + lam * np.eye(len(W))), r)
    np.testing.assert_allclose(found.energy, closed, rtol=1e-9)
    assert found.converged.all()


@given(generators(), st.integers(1, 5), st.integers(0, 4), powers(-3, 6))
def test_without_regulariser_free_energy_is_zero_everywhere(rng, d, more, size):
    params, x, y = draw_problem(rng, d=d, k=d + more)
    found = infer(params, x, size * y, L2(0.0))
    np.testing.assert_allclose(found.energy, 0, atol=1e-26 * (1 + size) ** 2)
    shortest = residual(params, x, size * y) @ np.linalg.pinv(params.W).T
    np.testing.assert_allclose(found.z, shortest, atol=1e-12 * (1 + size))
    assert (np.abs(free_energy_grad_y(params, x, size * y, L2(0.0))) <= 1e-12 * (1 + size)).all()


@given(generators())
def test_a_decoder_that_is_too_poor_leaves_the_distance_to_its_range(rng):
    params, x, y = draw_problem(rng, d=5, k=3)
    r, Q = residual(params, x, y), np.linalg.qr(params.W)[0]
    np.testing.assert_allclose(free_energy(params, x, y, L2(0.0)), square(r - r @ Q @ Q.T), rtol=1e-10)


@given(problems(), powers(-3, 3), powers(-4, 6))
def test_on_the_ball_no_code_can_do_better(problem, sigma, rho):
    # weak duality: F_L2(mu) - mu rho^2 is below the least cost for any mu >= 0; where they meet, both are proved
    params, x, y = problem
    W, r = params.W, residual(params, x, y)
    found = infer(params, x, y, Noise(sigma, rho))
    length = np.sqrt(square(found.z))
    assert found.converged.all()
    assert (length <= rho * (1 + 1e-13)).all()
    mu = np.maximum(((r - found.z @ W.T) @ W * found.z).sum(axis=1), 0) / rho**2
    lower = np.array([free_energy(params, x[n : n + 1], y[n : n + 1], L2(mu[n]))[0] for n in range(len(y))])
    cost = energy(params, x, y, found.z, L2(0.0))
    np.testing.assert_allclose(lower - mu * rho**2, cost, rtol=1e-9, atol=1e-11 * square(r).max())
    np.testing.assert_allclose(found.energy, cost + sigma**2 * np.trace(W.T @ W), rtol=1e-12)


@given(generators(), powers(-2, 2))
def test_inside_the_ball_nothing_is_felt_of_it_and_outside_the_code_ends_on_it(rng, rho):
    params, x, y = draw_problem(rng)
    free = infer(params, x, y, L2(0.0)).z
    bound = infer(params, x, y, Noise(0.1, rho)).z
    inside = np.sqrt(square(free)) <= rho
    np.testing.assert_allclose(bound[inside], free[inside], rtol=1e-12)
    np.testing.assert_allclose(np.sqrt(square(bound[~inside])), rho, rtol=1e-14)


def test_a_ball_that_is_reached_along_one_axis_alone():
    # r along a singular direction of an otherwise larger W, of a smaller one, and at the centre
    params = Params(Affine(np.zeros((2, 1)), np.zeros(2)), np.diag([1e-6, 1.0]))
    y = np.array([[3.0, 0.0], [0.0, 3.0], [0.0, 0.0], [2.0, 1 - 1e-9]])
    found = infer(params, np.zeros((4, 1)), y, Noise(1.0, 1.0))
    np.testing.assert_allclose(found.z[:3], [[1, 0], [0, 1], [0, 0]], atol=1e-15)
    np.testing.assert_allclose(square(found.z), [1, 1, 0, 1], rtol=1e-14)
    assert found.converged.all()


@given(problems(), powers(-3, 3), powers(-4, 6))
def test_without_a_limit_one_look_is_enough_and_on_the_ball_newtons_step_doubles_the_digits(problem, sigma, rho):
    params, x, y = problem
    assert infer(params, x, y, L2(sigma)).n_iter == 1
    found = infer(params, x, y, Noise(sigma, rho))
    assert found.n_iter <= 12
    if (square(infer(params, x, y, L2(0.0)).z) <= rho**2).all():
        assert found.n_iter == 1


@given(posed(), generators())
def test_no_code_drawn_at_random_has_less_energy(posed, rng):
    (params, x, y), regularizer = posed
    found = infer(params, x, y, regularizer)
    assert found.z.shape == (len(y), params.W.shape[1])
    np.testing.assert_allclose(found.energy, energy(params, x, y, found.z, regularizer), rtol=1e-12)
    for _ in range(20):
        near, far = rng.normal(size=(2, *found.z.shape)) * 10.0 ** rng.uniform(-5, 1, (2, 1, 1))
        z = found.z * (1 + near) + far
        if isinstance(regularizer, Noise):
            z *= np.minimum(1, regularizer.rho / np.sqrt(square(z)))[:, None]
        drawn = energy(params, x, y, z, regularizer)
        slack = 1e-6 if isinstance(regularizer, L1) else 1e-12
        assert (found.energy <= drawn + slack * (1 + square(residual(params, x, y)))).all()


@given(generators(), powers(-2, 2))
def test_sparse_codes_of_orthonormal_atoms_make_a_sum_of_huber_functions(rng, lam):
    W = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    params = Params(Affine(np.zeros((4, 1)), rng.normal(size=4)), W)
    x, y = np.zeros((6, 1)), 3 * rng.normal(size=(6, 4))
    a = np.abs((y - params.predictor.b) @ W)
    huber = np.where(a <= lam / 2, a**2, lam * a - lam**2 / 4)
    np.testing.assert_allclose(free_energy(params, x, y, L1(lam, 1e-10)), huber.sum(axis=1), rtol=1e-8)


@given(generators(), powers(-1, 2))
def test_on_the_line_only_the_longest_atom_is_used(rng, lam):
    w, y = rng.permutation([0.3, -1.1, 2.0]), 3 * rng.normal(size=(6, 1))
    params = Params(Affine(np.zeros((1, 1)), np.zeros(1)), w[None, :])
    a, mu = np.abs(y[:, 0]), lam / 2.0
    huber = np.where(a <= mu / 2, a**2, mu * a - mu**2 / 4)
    found = infer(params, np.zeros((6, 1)), y, L1(lam, 1e-10))
    np.testing.assert_allclose(found.energy, huber, rtol=1e-8)
    np.testing.assert_allclose(found.z[:, w != 2.0], 0, atol=1e-6)


@given(generators(), powers(-2, 1))
def test_sparse_coding_is_the_case_without_input(rng, lam):
    params, x, y = draw_problem(rng)
    silent = Params(tree_map(np.zeros_like, params.predictor), params.W)
    found = infer(silent, x, y, L1(lam, 1e-8))
    expected = sparse_coding.infer(sparse_coding.Params(params.W), y, lam, tol=1e-8)
    np.testing.assert_array_equal(found.z, expected.z)
    np.testing.assert_allclose(found.energy, expected.energy, rtol=1e-12)
    np.testing.assert_array_equal(found.converged, expected.converged)


# the gradients of the free energy


def analytic_free_energy(W, r, regularizer, z):
    """F of one sample as code that takes complex numbers: frozen are the signs of z and the multiplier of the ball."""
    if isinstance(regularizer, L1):
        on, lam = np.abs(z) > 1e-6, regularizer.lam
        V, sign = W[:, on], np.sign(z[on])
        code = np.linalg.solve(V.T @ V, V.T @ r - lam / 2 * sign)
        return square(r - V @ code) + lam * sign @ code
    if isinstance(regularizer, L2):
        lam, rest = regularizer.lam, 0.0
    else:
        sigma, rho = regularizer
        lam = (r.real - W.real @ z) @ W.real @ z / rho**2
        rest = sigma**2 * np.trace(W.T @ W) - lam * rho**2
    return lam * r @ np.linalg.solve(W @ W.T + lam * np.eye(len(W)), r) + rest


def twin(params, x, y, regularizer, z):
    r = y - (x @ params.predictor.W.T + params.predictor.b)
    return sum(w * analytic_free_energy(params.W, r[n], regularizer, z[n]) for n, w in enumerate((1, -2, 0.3, 4)))


WEIGHTS = np.array([1, -2, 0.3, 4])
SMOOTH = pytest.mark.parametrize("regularizer", [L1(0.7, 1e-12), L2(1e-3), Noise(0.3, 0.5)], ids=repr)


def draw_outside(rng, k):
    """A problem whose observations lie beyond a ball of codes of radius 1/2."""
    params, x, _ = draw_problem(rng, k=k)
    r = rng.normal(size=(4, 3))
    r *= 4 / np.sqrt(square(r))[:, None]
    return params, x, r + x @ params.predictor.W.T + params.predictor.b


@given(generators())
@SMOOTH
def test_free_energy_is_its_analytic_twin(regularizer, rng):
    params, x, y = draw_outside(rng, k=3 if isinstance(regularizer, L1) else 5)
    found = infer(params, x, y, regularizer)
    assert found.energy @ WEIGHTS == pytest.approx(twin(params, x, y, regularizer, found.z), rel=1e-6)


@given(generators())
@SMOOTH
def test_the_gradients_of_the_free_energy_are_those_of_its_analytic_twin(regularizer, rng):
    params, x, y = draw_outside(rng, k=3 if isinstance(regularizer, L1) else 5)
    z = infer(params, x, y, regularizer).z
    rtol = 1e-5 if isinstance(regularizer, L1) else 1e-11  # L1's code comes from iterations, to the root of tol
    if isinstance(regularizer, L2):
        rtol /= min(regularizer.lam, 1)  # of r, r - W z leaves a part of the order of lam: the rest cancels
    in_y = WEIGHTS[:, None] * free_energy_grad_y(params, x, y, regularizer)
    check = gradient_check(lambda y: twin(params, x, y, regularizer, z), in_y, y, rtol=rtol)
    assert check.passed, str(check)
    in_params = free_energy_grad_params(params, x, y, regularizer, WEIGHTS)
    check = gradient_check(lambda p: twin(p, x, y, regularizer, z), in_params, params, rtol=rtol)
    assert check.passed, str(check)


@given(generators(), powers(-2, 2))
@EVERY_REGULARIZER
def test_free_energy_lies_between_its_tangent_and_the_parabola_on_it(regularizer, rng, distance):
    # F is convex in y; and as the best code of y may be kept for y + v, F(y + v) <= F(y) + <dF/dy, v> + ||v||^2
    params, x, y = draw_problem(rng)
    v = rng.normal(size=y.shape)
    v *= distance / np.sqrt(square(v))[:, None]
    f, moved = (free_energy(params, x, points, regularizer) for points in (y, y + v))
    tangent = f + (free_energy_grad_y(params, x, y, regularizer) * v).sum(axis=1)
    slack = 1e-6 * (f + moved)
    assert (tangent <= moved + slack).all()
    assert (moved <= tangent + distance**2 + slack).all()


@given(generators())
@EVERY_REGULARIZER
def test_the_gradient_is_the_mean_over_samples_where_no_weights_are_given(regularizer, rng):
    params, x, y = draw_problem(rng)
    mean = free_energy_grad_params(params, x, y, regularizer)
    quarter = free_energy_grad_params(params, x, y, regularizer, np.full(4, 0.25))
    for a, b in zip(leaves(mean), leaves(quarter), strict=True):
        np.testing.assert_array_equal(a, b)
    # what moves y moves F as what moves the prediction the other way
    np.testing.assert_allclose(mean.predictor.b, -free_energy_grad_y(params, x, y, regularizer).mean(axis=0), rtol=1e-9)


# the volume of low energy


@given(st.one_of(problems(), generators().map(draw_problem)), powers(-3, 3), powers(0, 2))
@pytest.mark.parametrize("kind", [L2, Noise])
def test_more_regularisation_never_lowers_the_energy(kind, problem, lam, factor):
    params, x, y = problem
    weaker, stronger = (Noise(1, factor * lam), Noise(1, lam)) if kind is Noise else (L2(lam), L2(factor * lam))
    largest = square(residual(params, x, y)) + (np.trace(params.W.T @ params.W) if kind is Noise else 0)
    low, high = (free_energy(params, x, y, regularizer) for regularizer in (weaker, stronger))
    assert (low <= high + 1e-11 * largest).all()
    assert (high <= largest * (1 + 1e-11)).all()  # z = 0 is always allowed


@given(generators(), powers(-1, 3), powers(0, 2))
def test_a_larger_weight_on_sparsity_never_lowers_the_energy(rng, lam, factor):
    params, x, y = draw_problem(rng)
    low, high = (free_energy(params, x, y, L1(weight, 1e-8)) for weight in (lam, factor * lam))
    largest = square(residual(params, x, y))
    assert (low <= high + 1e-6 * largest).all()
    assert (high <= largest * (1 + 1e-11)).all()
    # an exact code is always allowed: it costs its norm alone, the less the smaller lam is
    exact = residual(params, x, y) @ np.linalg.pinv(params.W).T
    assert (low <= lam * np.abs(exact).sum(axis=1) + 1e-6 * largest).all()


GRID = 6.0 * (np.stack(np.meshgrid(np.arange(60), np.arange(60)), axis=-1).reshape(-1, 2) + 0.5) / 60 - 3.0
"""3,600 midpoints of the square [-3, 3]^2, of area 36."""
X_GRID = np.zeros((3600, 1))


def flat(rng, k=4):
    """A decoder from k numbers into the plane, centred at the origin."""
    W = rng.normal(size=(2, k))
    return Params(Affine(np.zeros((2, 1)), np.zeros(2)), W / np.sqrt((W**2).sum(axis=0)))


@pytest.mark.parametrize(
    "row",
    [
        [L2(lam) for lam in (0.1, 0.3, 1.0, 3.0, 10.0, 100.0)],
        [L1(lam) for lam in (0.3, 0.5, 0.8, 1.2)],
        [Noise(0.1, rho) for rho in (100.0, 1.0, 0.3, 0.1, 1e-3)],
    ],
    ids=lambda row: type(row[0]).__name__,
)
def test_volume_shrinks_as_the_latent_may_tell_less(row, rng):
    params = flat(rng)
    volumes = [low_energy_volume(params, X_GRID, GRID, regularizer, 0.5, 36.0) for regularizer in row]
    assert (np.diff(volumes) < 0).all()
    assert volumes[0] > 3 * volumes[-1]


@given(generators())
def test_without_regulariser_all_of_the_box_has_low_energy(rng):
    assert low_energy_volume(flat(rng), X_GRID, GRID, L2(0.0), 1e-20, 36.0) == 36.0


def reach(W, regularizer, level, n):
    """How far { F <= level } reaches along the unit vectors n (derivation 6): only the norms dual to R appear.

    With z = W^T n: max over a of sqrt(a) + max { <z, code> : lam R(code) <= level - a }.
    """
    along = n @ W
    if isinstance(regularizer, L1):
        q = np.abs(along).max(axis=1) / regularizer.lam
        cut = np.maximum(2 * q * np.sqrt(level), 1)
        return np.where(cut > 1, level * q + 1 / (4 * q), np.sqrt(level))
    if isinstance(regularizer, L2):
        return np.sqrt(level * (1 + square(along) / regularizer.lam))
    return np.sqrt(level - regularizer.sigma**2 * np.trace(W.T @ W)) + regularizer.rho * np.sqrt(square(along))


def area(W, regularizer, level, m=2000):
    """The area of the convex polygon of the m tangents that `reach` gives."""
    angle = 2 * np.pi * np.arange(m) / m
    h = reach(W, regularizer, level, np.stack([np.cos(angle), np.sin(angle)], axis=1))
    after, before, turn = np.roll(h, -1), np.roll(h, 1), 2 * np.pi / m
    return (h * (after + before - 2 * h * np.cos(turn)) / np.sin(turn)).sum() / 2


def test_the_area_within_tangents_is_the_one_known():
    assert area(np.zeros((2, 1)), L2(1.0), 4.0) == pytest.approx(4 * np.pi, rel=1e-5)
    params = flat(np.random.default_rng(0))
    assert area(params.W, L2(0.3), 0.5) == pytest.approx(ellipsoid_volume(params, L2(0.3), 0.5), rel=1e-5)


@pytest.mark.parametrize("strength", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("kind", [L1, L2, Noise])
def test_volume_is_the_one_of_the_exact_shape(kind, strength, rng):
    params = flat(rng)
    regularizer = Noise(0.1 * strength, 1 / strength) if kind is Noise else kind(strength)
    level = 1.0 + (0.04 * strength**2 if kind is Noise else 0.0)
    # a square just large enough for the shape
    angle = np.linspace(0, np.pi, 90)
    half = 1.02 * reach(params.W, regularizer, level, np.stack([np.cos(angle), np.sin(angle)], axis=1)).max()
    counted = low_energy_volume(params, X_GRID, GRID / 3 * half, regularizer, level, 4 * half**2)
    assert counted == pytest.approx(area(params.W, regularizer, level), rel=0.01)


@given(generators(), powers(-0.5, 1), powers(-1, 1))
@pytest.mark.parametrize("kind", [L1, L2, Noise])
def test_low_energy_reaches_just_as_far_as_derived(kind, rng, strength, size):
    # every y lies on the edge of { F <= F(y) }, where dF/dy is the normal: there it is farthest; nowhere is it beyond
    params, y = flat(rng), size * rng.normal(size=(8, 2))
    regularizer = Noise(0.1, strength) if kind is Noise else kind(strength, 1e-10) if kind is L1 else kind(strength)
    level, normal = (f(params, X_GRID[:8], y, regularizer) for f in (free_energy, free_energy_grad_y))
    beyond = level > (0.04 * (1 + 1e-9) if kind is Noise else 0)  # inside the ball of codes F is flat
    normal = normal[beyond] / np.sqrt(square(normal[beyond]))[:, None]
    farthest = reach(params.W, regularizer, level[beyond], normal)
    np.testing.assert_allclose((y[beyond] * normal).sum(axis=1), farthest, rtol=1e-3)
    for direction in y / np.sqrt(square(y))[:, None]:
        assert (
            y[beyond] @ direction <= reach(params.W, regularizer, level[beyond], direction[None]) * (1 + 1e-5)
        ).all()


@given(generators(), st.integers(1, 5), st.integers(1, 6), powers(-3, 3), powers(-3, 3))
def test_ellipsoid_volume_is_the_formula(rng, d, k, lam, level):
    params, _, _ = draw_problem(rng, d=d, k=k)
    ball = {1: 2.0, 2: math.pi, 3: 4 / 3 * math.pi, 4: math.pi**2 / 2, 5: 8 / 15 * math.pi**2}[d]
    determinant = np.linalg.det(params.W @ params.W.T + lam * np.eye(d))
    expected = ball * (level / lam) ** (d / 2) * math.sqrt(determinant)
    assert ellipsoid_volume(params, L2(lam), level) == pytest.approx(expected, rel=1e-9)


def test_random_points_in_space_find_the_volume_of_the_ellipsoid(rng):
    params, _, _ = draw_problem(rng)
    y = rng.uniform(-3, 3, size=(40_000, 3)) + params.predictor.b
    counted = low_energy_volume(params, np.zeros((40_000, 2)), y, L2(1.0), 1.0, 6.0**3)
    exact = ellipsoid_volume(params, L2(1.0), 1.0)
    assert abs(counted - exact) < 4 * 6**3 * math.sqrt(exact / 6**3 / 40_000)


def test_the_volume_of_the_ellipsoid_is_computed_in_double_precision():
    single = Params(Affine(np.zeros((2, 1)), np.zeros(2)), np.eye(2, dtype=np.float32))
    assert ellipsoid_volume(single, L2(0.1), 0.3) == pytest.approx(math.pi * 3 * 1.1, rel=1e-14)


def test_the_edge_belongs_to_low_energy():
    params = Params(Affine(np.zeros((2, 1)), np.zeros(2)), np.eye(2))
    assert low_energy_volume(params, np.zeros((2, 1)), np.array([[0.0, 0.0], [1.0, 1.0]]), L2(0.3), 0.0, 36.0) == 18.0


def test_below_the_floor_of_the_noise_nothing_has_low_energy(rng):
    params = flat(rng)
    for level, found in ((3.99, 0.0), (4.01, 36.0)):
        assert low_energy_volume(params, X_GRID, GRID, Noise(1.0, 1e6), level, 36.0) == found


# information


def test_a_number_of_three_times_the_power_of_its_noise_tells_one_bit():
    assert capacity(Noise(2.0, math.sqrt(12.0)), 1) == pytest.approx(1, rel=1e-14)
    assert capacity(Noise(1.0, 3.0), 3) == pytest.approx(3 / 2 * 2, rel=1e-14)


@given(powers(-3, 3), powers(-3, 3), st.integers(1, 1000))
def test_more_numbers_of_the_same_power_tell_more_but_not_without_limit(sigma, rho, k):
    bits, more = capacity(Noise(sigma, rho), k), capacity(Noise(sigma, rho), k + 1)
    assert bits <= more * (1 + 1e-9)
    assert more <= (rho / sigma) ** 2 / (2 * math.log(2)) * (1 + 1e-9)
    assert capacity(Noise(sigma, 1.1 * rho), k) > bits > capacity(Noise(1.1 * sigma, rho), k)


def test_the_bits_of_a_gaussian_code_are_its_mutual_information():
    # I = (1/2) log2 det(cov(z + eps) / cov(eps)) of independent z of variance rho^2 / k
    k, sigma, rho = 4, 0.3, 1.7
    ratio = np.linalg.det((rho**2 / k + sigma**2) * np.eye(k)) / np.linalg.det(sigma**2 * np.eye(k))
    assert capacity(Noise(sigma, rho), k) == pytest.approx(math.log2(ratio) / 2, rel=1e-12)


# what all share


@given(generators(), st.integers(1, 5), st.integers(1, 5), st.integers(1, 3))
def test_init_draws_atoms_of_unit_norm_and_a_predictor(rng, d, k, m):
    params = init(rng, d, k, m)
    assert [leaf.shape for leaf in leaves(params)] == [(d, m), (d,), (d, k)]
    np.testing.assert_allclose((params.W**2).sum(axis=0), 1, rtol=1e-12)
    assert {leaf.dtype for leaf in leaves(init(rng, d, k, m, np.float32))} == {np.dtype("f4")}
    assert init(rng, d, k).predictor.W.shape == (d, 1)  # an input of one number, unless told otherwise


@given(generators())
@EVERY_REGULARIZER
def test_a_batch_is_its_rows_one_by_one(regularizer, rng):
    params, x, y = draw_problem(rng, n=3)
    for function in (free_energy, free_energy_grad_y):
        alone = np.concatenate([function(params, x[n : n + 1], y[n : n + 1], regularizer) for n in range(3)])
        np.testing.assert_allclose(function(params, x, y, regularizer), alone, rtol=1e-5, atol=1e-5)


@EVERY_REGULARIZER
def test_single_precision_is_kept_and_nothing_handed_in_is_written_to(regularizer, rng):
    double = draw_problem(rng)
    regularizer = L1(0.7) if isinstance(regularizer, L1) else regularizer
    numpy_scalars = type(regularizer)(*map(np.float64, regularizer))
    for dtype in (np.float32, np.float64):
        params, x, y = tree_map(lambda a, dtype=dtype: a.astype(dtype), double)
        for leaf in leaves((params, x, y)):
            leaf.setflags(write=False)
        found = infer(params, x, y, regularizer)
        results = (
            found.z,
            found.energy,
            found.trace,
            free_energy(params, x, y, numpy_scalars),
            free_energy_grad_y(params, x, y, regularizer),
            *leaves(free_energy_grad_params(params, x, y, numpy_scalars)),
            *leaves(free_energy_grad_params(params, x, y, regularizer, np.ones(4, dtype))),
        )
        assert {array.dtype for array in results} == {np.dtype(dtype)}
        np.testing.assert_allclose(found.energy, free_energy(*double, regularizer), rtol=1e-4)


@EVERY_REGULARIZER
def test_results_have_a_row_a_sample(regularizer, rng):
    found = infer(*draw_problem(rng), regularizer)
    assert found.z.shape == (4, 5)
    assert found.energy.shape == found.converged.shape == (4,)
    assert found.trace.shape == (0, 4, 5)
    assert found.converged.all()
    assert isinstance(found.n_iter, int)


@pytest.mark.parametrize("W", [np.zeros((2, 3)), np.full((2, 3), 1e-200), np.ones((2, 3))])
@EVERY_REGULARIZER
def test_a_singular_decoder_is_no_error(regularizer, W):
    params = Params(Affine(np.zeros((2, 1)), np.zeros(2)), W)
    y = np.array([[1.0, -1.0], [0.0, 0.0], [2.0, -2.0]])  # orthogonal to what (1, 1, 1) decodes
    found = infer(params, np.zeros((3, 1)), y, regularizer)
    np.testing.assert_allclose(found.z, 0, atol=1e-15)
    floor = regularizer.sigma**2 * (W**2).sum() if isinstance(regularizer, Noise) else 0.0
    np.testing.assert_allclose(found.energy, [2 + floor, floor, 8 + floor], rtol=1e-14)


GOOD = Params(Affine(np.ones((3, 2)), np.ones(3)), np.eye(3, 4))
BAD = [
    ("params.W", ValueError, {"params": GOOD._replace(W=np.ones(3))}),
    ("params.W", ValueError, {"params": GOOD._replace(W=np.ones((3, 0)))}),
    ("params.W", ValueError, {"params": GOOD._replace(W=np.full((3, 4), np.nan))}),
    ("params.W", TypeError, {"params": GOOD._replace(W=None)}),
    ("params.predictor.W", ValueError, {"params": GOOD._replace(predictor=Affine(np.ones((2, 2)), np.ones(3)))}),
    (
        "params.predictor.W",
        ValueError,
        {"params": GOOD._replace(predictor=Affine(np.full((3, 2), np.inf), np.ones(3)))},
    ),
    ("params.predictor.b", ValueError, {"params": GOOD._replace(predictor=Affine(np.ones((3, 2)), np.ones(2)))}),
    ("params.predictor.b", TypeError, {"params": GOOD._replace(predictor=Affine(np.ones((3, 2)), "b"))}),
    ("y", ValueError, {"y": np.ones((5, 2))}),
    ("y", ValueError, {"y": np.ones((0, 3))}),
    ("y", ValueError, {"y": np.full((5, 3), np.nan)}),
    ("y", TypeError, {"y": None}),
    ("y", TypeError, {"y": np.ones((5, 3)) * 1j}),
    ("x", ValueError, {"x": np.ones((5, 3))}),
    ("x", ValueError, {"x": np.ones((4, 2))}),
    ("x", ValueError, {"x": np.full((5, 2), np.inf)}),
    ("x", TypeError, {"x": None}),
    (r"y - Pred\(x\)", ValueError, {"x": np.full((5, 2), 1e150), "params": tree_map(lambda a: 1e150 * a, GOOD)}),
    ("regularizer.lam", ValueError, {"regularizer": L1(0.0)}),
    ("regularizer.lam", ValueError, {"regularizer": L1(np.nan)}),
    ("regularizer.lam", ValueError, {"regularizer": L2(-1e-9)}),
    ("regularizer.lam", ValueError, {"regularizer": L2(np.inf)}),
    ("regularizer.lam", TypeError, {"regularizer": L2("1")}),
    ("regularizer.tol", ValueError, {"regularizer": L1(1.0, 0.0)}),
    ("regularizer.sigma", ValueError, {"regularizer": Noise(0.0, 1.0)}),
    ("regularizer.sigma", TypeError, {"regularizer": Noise(None, 1.0)}),
    ("regularizer.rho", ValueError, {"regularizer": Noise(1.0, 0.0)}),
    ("regularizer.rho", ValueError, {"regularizer": Noise(1.0, np.inf)}),
    ("regularizer", TypeError, {"regularizer": None}),
    ("regularizer", TypeError, {"regularizer": "l1"}),
    ("regularizer", TypeError, {"regularizer": (1.0,)}),
]


@pytest.mark.parametrize(("name", "error", "arguments"), BAD)
@pytest.mark.parametrize(
    "function",
    [
        infer,
        free_energy,
        free_energy_grad_y,
        free_energy_grad_params,
        lambda *a: low_energy_volume(*a, level=1.0, box=1.0),
    ],
)
def test_a_bad_argument_is_refused_by_name(function, name, error, arguments):
    good = {"params": GOOD, "x": np.ones((5, 2)), "y": np.ones((5, 3)), "regularizer": L2(1.0)}
    with pytest.raises(error, match=rf"^{name}: expected"):
        function(*{**good, **arguments}.values())


@pytest.mark.parametrize(
    ("name", "error", "call"),
    [
        ("weights", ValueError, lambda x, y: free_energy_grad_params(GOOD, x, y, L2(1.0), np.ones(4))),
        ("level", ValueError, lambda x, y: low_energy_volume(GOOD, x, y, L2(1.0), -1.0, 1.0)),
        ("level", TypeError, lambda x, y: low_energy_volume(GOOD, x, y, L2(1.0), None, 1.0)),
        ("box", ValueError, lambda x, y: low_energy_volume(GOOD, x, y, L2(1.0), 1.0, 0.0)),
        ("regularizer.lam", ValueError, lambda x, y: ellipsoid_volume(GOOD, L2(0.0), 1.0)),
        ("level", ValueError, lambda x, y: ellipsoid_volume(GOOD, L2(1.0), np.nan)),
        ("params.W", ValueError, lambda x, y: ellipsoid_volume(GOOD._replace(W=np.ones(3)), L2(1.0), 1.0)),
        ("regularizer.sigma", ValueError, lambda x, y: capacity(Noise(-1.0, 1.0), 2)),
        ("regularizer.rho", ValueError, lambda x, y: capacity(Noise(1.0, np.nan), 2)),
        ("k", ValueError, lambda x, y: capacity(Noise(1.0, 1.0), 0)),
        ("k", TypeError, lambda x, y: capacity(Noise(1.0, 1.0), 1.0)),
        ("rng", TypeError, lambda x, y: init(0, 2, 3)),
        ("m", ValueError, lambda x, y: init(np.random.default_rng(0), 2, 3, 0)),
        ("d", ValueError, lambda x, y: init(np.random.default_rng(0), 0, 3)),
        ("k", TypeError, lambda x, y: init(np.random.default_rng(0), 2, 3.0)),
        ("dtype", TypeError, lambda x, y: init(np.random.default_rng(0), 2, 3, 1, int)),
    ],
)
def test_the_other_doors_refuse_by_name_too(name, error, call):
    with pytest.raises(error, match=rf"^{name}: expected"):
        call(np.ones((5, 2)), np.ones((5, 3)))


@pytest.mark.parametrize(
    ("error", "changes"),
    [
        (TypeError("params: expected regularized.Params, got tuple"), {"params": tuple(GOOD)}),
        (
            TypeError("params.predictor: expected layers.Affine, got tuple"),
            {"params": GOOD._replace(predictor=tuple(GOOD.predictor))},
        ),
        (ValueError("params.W: expected shape (d, k), got shape (3,)"), {"params": GOOD._replace(W=np.ones(3))}),
        (
            ValueError("params.predictor.W: expected shape (3, m), got shape (3,)"),
            {"params": GOOD._replace(predictor=Affine(np.ones(3), np.ones(3)))},
        ),
        (ValueError("y: expected shape (N, 3), got shape (3,)"), {"y": np.ones(3)}),
        (ValueError("x: expected shape (5, 2), got shape (2,)"), {"x": np.ones(2)}),
        (TypeError("regularizer: expected L1, L2 or Noise, got tuple"), {"regularizer": (1.0,)}),
    ],
)
def test_the_message_says_what_was_expected_and_what_came(error, changes):
    good = {"params": GOOD, "x": np.ones((5, 2)), "y": np.ones((5, 3)), "regularizer": L2(1.0)}
    with pytest.raises(type(error), match=f"^{re.escape(str(error))}$"):
        infer(**good | changes)


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (TypeError("params: expected regularized.Params, got tuple"), lambda: ellipsoid_volume((1,), L2(1.0), 1.0)),
        (
            ValueError("params.W: expected shape (d, k), got shape (3,)"),
            lambda: ellipsoid_volume(GOOD._replace(W=np.ones(3)), L2(1.0), 1.0),
        ),
        (TypeError("regularizer: expected regularized.L2, got L1"), lambda: ellipsoid_volume(GOOD, L1(1.0), 1.0)),
        (TypeError("regularizer: expected regularized.Noise, got L2"), lambda: capacity(L2(1.0), 2)),
    ],
)
def test_the_other_doors_say_so_too(error, call):
    with pytest.raises(type(error), match=f"^{re.escape(str(error))}$"):
        call()
