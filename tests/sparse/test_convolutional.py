import warnings
from functools import partial
from itertools import islice
from typing import NamedTuple

import numpy as np
import pytest
from guards import peak, read_only
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import generators

from ebm_np.foundations.convolution import BOUNDARIES
from ebm_np.foundations.gradient_check import gradient_check
from ebm_np.foundations.results import ConvergenceWarning, Inference
from ebm_np.sparse import sparse_coding, textbook
from ebm_np.sparse.convolutional import (
    METHODS,
    Params,
    Pull,
    cost_grad_z,
    decode,
    energy,
    energy_grad_params,
    energy_grad_y,
    free_energy,
    free_energy_grad_params,
    free_energy_grad_y,
    infer,
    init,
    iterates,
    unit_kernels,
)

ANY_METHOD = pytest.mark.parametrize("method", METHODS)
ANY_BOUNDARY = pytest.mark.parametrize("boundary", BOUNDARIES)
KINDS = ("random", "twins", "opposite", "zero", "integer")
PATIENT = {"max_iter": 100_000}
few = settings(max_examples=settings.default.max_examples // 3)
"""Where one example solves several problems."""


class Problem(NamedTuple):
    params: Params
    y: np.ndarray  # (N, C, H, W)
    lam: float
    boundary: str

    @property
    def shape(self):
        """Of the codes: (N, M, h, w)."""
        grow = {"full": -1, "valid": 1, "circular": 0}[self.boundary]
        pixels = (n + grow * (k - 1) for n, k in zip(self.y.shape[2:], self.params.K.shape[2:], strict=True))
        return len(self.y), len(self.params.K), *pixels

    @property
    def dense(self):
        """The same problem as plain sparse coding: (Params(W), y)."""
        return sparse_coding.Params(matrix(self)), rows(self.y)

    def infer(self, method="fista", **options):
        return infer(self.params, self.y, self.lam, method, boundary=self.boundary, **PATIENT | options)


def powers(low, high):
    return st.floats(low, high).map(lambda e: 10.0**e)


def rows(a):
    return a.reshape(len(a), -1)


def kernels(rng, shape, kind="random"):
    """Kernels in general position, or with whatever makes life hard: twins, zeros, ties."""
    K = rng.normal(size=shape)
    i, j = rng.integers(len(K), size=2)
    if kind in ("twins", "opposite"):
        K[i] = K[j] * (1 if kind == "twins" or i == j else -1)
    elif kind == "zero":
        K[i] = 0
    elif kind == "integer":
        K = rng.integers(-2, 3, size=shape).astype(float)
    return K


def matrix(problem):
    """A, column by column: what becomes of a code of one at each place."""
    k = int(np.prod(problem.shape[1:]))
    return rows(decode(problem.params, np.eye(k).reshape(k, *problem.shape[1:]), problem.boundary)).T


@st.composite
def problems(draw, kinds=KINDS, boundaries=BOUNDARIES, largest=3, most_kernels=3, least=-2.0, most=0.2):
    """Gray or coloured images, and a lam between 10^least and 10^most of that from which on all codes are zero.

    Kernels have up to `largest` pixels a side, be the torus as small as it may.
    """
    rng, kind, boundary = draw(generators()), draw(st.sampled_from(kinds)), draw(st.sampled_from(boundaries))
    N, M, C = draw(st.integers(1, 2)), draw(st.integers(1, most_kernels)), draw(st.integers(1, 3))
    size, pixels = draw(st.tuples(*[st.integers(1, largest)] * 2)), draw(st.tuples(*[st.integers(1, 4)] * 2))
    if boundary == "full":
        pixels = [n + k - 1 for n, k in zip(pixels, size, strict=True)]
    K, y = kernels(rng, (M, C, *size), kind), rng.normal(size=(N, C, *pixels))
    if kind == "integer":
        y = rng.integers(-3, 4, size=y.shape).astype(float)
    problem = Problem(Params(K), y, 1.0, boundary)
    lam = (2 * np.abs(rows(y) @ matrix(problem)).max() or 1.0) * 10.0 ** rng.uniform(least, most)
    return problem._replace(lam=max(1.0, round(lam)) if kind == "integer" else lam)


def without_twins(**options):
    """Else rounding decides when momentum that changes nothing but the share of each twin has to end."""
    return problems(kinds=("random",), **options).filter(lambda problem: problem.y[0].size > 1)


def draw_problem(rng, boundary="full", shape=(3, 1, 5, 6), M=4, size=(3, 2), lam=2.0):
    return Problem(*read_only((Params(kernels(rng, (M, shape[1], *size))), rng.normal(size=shape))), lam, boundary)


def draw_codes(rng, problem, size=1.0):
    return size * rng.normal(size=problem.shape)


def least_energy(problem):
    """F to eleven digits, by another module: plain sparse coding with A as its dictionary."""
    W, y = problem.dense
    return sparse_coding.free_energy(W, y, problem.lam, method="active_set", tol=1e-11)


def slack_of(problem, z):
    """What rounding does to energies and gaps."""
    size = np.abs(rows(problem.y)).sum(1) + np.abs(rows(z)).sum(1) * np.abs(problem.params.K).sum()
    return 1e-13 * (size**2 + problem.lam * np.abs(rows(z)).sum(1))


def by_definition(K, z, boundary, size):
    """y~, number by number: no code shared with the library."""
    (N, M, h, w), (_, C, p, q), (H, W) = z.shape, K.shape, size
    y = np.zeros((N, C, H, W))
    for n, m, c, i, j, a, b in np.ndindex(N, M, C, h, w, p, q):
        row, column = i + a, j + b
        if boundary == "valid":
            row, column = row - (p - 1), column - (q - 1)
        if boundary == "circular":
            row, column = row % H, column % W
        if 0 <= row < H and 0 <= column < W:
            y[n, c, row, column] += K[m, c, a, b] * z[n, m, i, j]
    return y


# energy


@given(problems(), generators())
def test_decoding_puts_each_kernel_down_wherever_its_map_says(problem, rng):
    z = draw_codes(rng, problem)
    expected = by_definition(problem.params.K, z, problem.boundary, problem.y.shape[2:])
    np.testing.assert_allclose(decode(problem.params, z, problem.boundary), expected, atol=1e-12)


@given(problems(), generators())
def test_the_energy_is_squared_error_plus_lambda_times_the_l1_norm_and_has_no_half(problem, rng):
    params, y, lam, boundary = problem
    z = draw_codes(rng, problem)
    y_tilde = by_definition(params.K, z, boundary, y.shape[2:])
    found = energy(params, y, z, lam, boundary)
    assert found.shape == (len(y),)
    for n in range(len(y)):
        error = sum((y[n][at] - y_tilde[n][at]) ** 2 for at in np.ndindex(y.shape[1:]))
        expected = error + lam * sum(abs(z[n][at]) for at in np.ndindex(z.shape[1:]))
        assert found[n] == pytest.approx(expected, rel=1e-12)


def test_full_is_the_boundary_meant_where_none_is_named(rng):
    problem = draw_problem(rng)
    params, y, lam, _ = problem
    z, weights = draw_codes(rng, problem), rng.normal(size=3)
    for function, arguments in (
        (decode, (params, z)),
        (energy, (params, y, z, lam)),
        (cost_grad_z, (params, y, z)),
        (energy_grad_y, (params, y, z)),
        (lambda *a: energy_grad_params(*a).K, (params, y, z, weights)),
        (lambda *a, **b: infer(*a, **b).z, (params, y, lam)),
        (lambda *a: next(iterates(*a))[1].cost().gap, (params, y, z, lam)),
        (free_energy, (params, y, lam)),
        (free_energy_grad_y, (params, y, lam)),
        (lambda *a: free_energy_grad_params(*a).K, (params, y, lam, weights)),
    ):
        named = {"boundary": "full"} if function in (decode, energy, cost_grad_z, free_energy_grad_y) else {}
        np.testing.assert_array_equal(function(*arguments), function(*arguments, **named))
    assert decode(params, z).shape == y.shape


@given(problems(), generators())
def test_the_gradient_of_the_cost_in_z_is_right(problem, rng):
    params, y, _, boundary = problem
    z = draw_codes(rng, problem)
    grad = cost_grad_z(params, y, z, boundary)
    check = gradient_check(lambda z: ((y - decode(params, z, boundary)) ** 2).sum(), grad, z)
    assert check.passed, check


@given(problems(), generators())
def test_the_gradient_of_the_energy_in_y_is_right(problem, rng):
    params, y, lam, boundary = problem
    z = draw_codes(rng, problem)
    grad = energy_grad_y(params, y, z, boundary)
    check = gradient_check(lambda y: energy(params, y, z, lam, boundary).sum(), grad, y)
    assert check.passed, check


@given(problems(), generators())
def test_the_gradient_of_the_weighted_energies_in_the_kernels_is_right(problem, rng):
    params, y, lam, boundary = problem
    z, weights = draw_codes(rng, problem), rng.normal(size=len(y))
    grads = energy_grad_params(params, y, z, weights, boundary)
    assert type(grads) is Params
    check = gradient_check(lambda params: (weights * energy(params, y, z, lam, boundary)).sum(), grads, params)
    assert check.passed, check


# plain sparse coding


@few
@given(generators(), st.tuples(*[st.integers(1, 4)] * 4), st.floats(0.01, 3))
def test_where_maps_have_one_pixel_it_is_plain_sparse_coding_with_the_kernels_as_atoms(rng, sizes, lam):
    M, C, p, q = sizes
    K, y = kernels(rng, (M, C, p, q)), rng.normal(size=(3, C, p, q))
    z, weights = rng.normal(size=(3, M, 1, 1)), rng.normal(size=3)
    params, plain, codes = Params(K), sparse_coding.Params(rows(K).T), rows(z)
    near = partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12)
    near(energy(params, y, z, lam), sparse_coding.energy(plain, rows(y), codes, lam))
    near(rows(cost_grad_z(params, y, z)), sparse_coding.cost_grad_z(plain, rows(y), codes))
    near(rows(energy_grad_y(params, y, z)), sparse_coding.energy_grad_y(plain, rows(y), codes))
    grads = sparse_coding.energy_grad_params(plain, rows(y), codes, weights)
    near(rows(energy_grad_params(params, y, z, weights).K).T, grads.W)
    exactly = {"tol": 1e-12, "max_iter": 100_000}
    for method in METHODS:
        F = free_energy(params, y, lam, method=method, **exactly)
        near(F, sparse_coding.free_energy(plain, rows(y), lam, method="active_set", tol=1e-12), rtol=1e-11)
        found = free_energy_grad_y(params, y, lam, method=method, **exactly)
        wanted = sparse_coding.free_energy_grad_y(plain, rows(y), lam, method="active_set", tol=1e-12)
        near(rows(found), wanted, atol=1e-4)


@ANY_METHOD
@given(problem=problems(least=-3), tol=powers(-9, -1))
def test_with_the_matrix_of_the_convolution_plain_sparse_coding_finds_the_same_minimum(method, problem, tol):
    found, least = problem.infer(method, tol=tol), least_energy(problem)
    slack = slack_of(problem, found.z)
    assert found.converged.all()
    assert (found.energy >= least * (1 - 1e-10) - slack).all()
    assert (found.energy - least <= tol * found.energy + slack).all()
    W, y = problem.dense
    assert (np.abs(found.energy - sparse_coding.energy(W, y, rows(found.z), problem.lam)) <= slack).all()
    assert (sparse_coding.gap(W, y, rows(found.z), problem.lam) <= tol * found.energy + slack).all()


# certificates


@given(problems(), generators(), st.sampled_from([0, 1e-3, 1, 1e3]))
def test_at_any_code_the_gap_bounds_how_far_the_energy_is_above_its_minimum(problem, rng, size):
    z = draw_codes(rng, problem, size)
    start, at = next(iterates(problem.params, problem.y, z, problem.lam, problem.boundary))
    found, slack = at.cost(), slack_of(problem, z)
    np.testing.assert_array_equal(start, z)
    np.testing.assert_allclose(
        found.energy, energy(problem.params, problem.y, z, problem.lam, problem.boundary), rtol=1e-11
    )
    assert (found.gap >= -slack).all()
    assert (found.gap >= found.energy - least_energy(problem) - slack).all()
    W, y = problem.dense
    assert (np.abs(found.gap - sparse_coding.gap(W, y, rows(z), problem.lam)) <= slack).all()


@ANY_METHOD
@few
@given(problem=problems())
def test_the_conditions_for_a_minimum_hold_at_what_is_found(method, problem):
    found = problem.infer(method, tol=1e-11)
    W, y = problem.dense
    z, lam = rows(found.z), problem.lam
    c = 2 * (y - z @ W.W.T) @ W.W
    # E - F = ||A (z - z*)||^2 + sum_s lam |z_s| - c*_s z_s, no term of which is negative: so far c can be from c*
    excess = (1e-11 * found.energy + slack_of(problem, found.z))[:, None]
    moved = 2 * np.sqrt(excess) * np.linalg.norm(W.W, axis=0)
    assert (moved <= 3e-4 * np.linalg.norm(W.W, axis=0) * np.linalg.norm(y, axis=1)[:, None] + 1e-9).all()
    assert (np.abs(c) <= lam + moved).all()
    assert (lam * np.abs(z) - c * z <= excess + np.abs(z) * moved).all()


@few
@given(problems(), powers(-8, -3))
def test_both_methods_agree_as_far_as_their_gaps_allow(problem, tol):
    one, other = (problem.infer(method, tol=tol) for method in METHODS)
    slack = tol * one.energy + slack_of(problem, one.z)
    assert (np.abs(one.energy - other.energy) <= slack).all()
    apart = rows(decode(problem.params, one.z - other.z, problem.boundary))
    assert (np.linalg.norm(apart, axis=1) <= 2 * np.sqrt(slack)).all()


# inference: closed forms


@ANY_METHOD
@few
@given(rng=generators(), boundary=st.sampled_from(BOUNDARIES), mix=st.integers(1, 3), lam=st.floats(0.01, 4))
def test_kernels_of_one_pixel_that_are_orthonormal_shrink_each_pixel_by_half_of_lambda(method, boundary, rng, mix, lam):
    K = np.linalg.qr(rng.normal(size=(3, 3)))[0][:mix, :, None, None]
    y = rng.normal(size=(2, 3, 4, 5))
    found = infer(Params(K), y, lam, method, boundary=boundary, tol=1e-9)
    v = np.einsum("ncij,mc->nmij", y, K[:, :, 0, 0])
    np.testing.assert_allclose(found.z, np.sign(v) * np.maximum(np.abs(v) - lam / 2, 0), atol=1e-6)


@ANY_METHOD
@given(problem=problems(kinds=("random", "twins", "zero")))
def test_all_codes_are_zero_exactly_from_lambda_twice_the_largest_correlation_on(method, problem):
    W, y = problem.dense
    border = 2 * np.abs(y @ W.W).max()
    found = problem._replace(lam=border * (1 + 1e-12) or 1e-3).infer(method)
    assert not found.z.any()
    assert found.converged.all()
    assert found.n_iter == 0
    np.testing.assert_allclose(found.energy, (y**2).sum(1), rtol=1e-13)
    if border > 0:
        assert problem._replace(lam=0.9 * border).infer(method, tol=1e-6).z.any()


@ANY_METHOD
@pytest.mark.parametrize("lam", [1e3, 1e100, 1e290])
def test_however_large_lambda_is_all_codes_are_zero_wherever_the_search_starts(method, lam, rng):
    problem = draw_problem(rng, lam=lam)
    for z0 in (None, draw_codes(rng, problem)):
        found = problem.infer(method, z0=z0)
        assert found.converged.all()
        assert not found.z.any()


@ANY_METHOD
@few
@given(problem=problems(), rng=generators())
def test_an_image_of_zeros_has_codes_of_zeros_among_others_and_alone(method, problem, rng):
    y = problem.y * 0
    for z0 in (None, rng.normal(size=problem.shape)):
        alone = problem._replace(y=y).infer(method, z0=z0)
        assert alone.converged.all()
        assert (alone.energy == 0).all()
    y = np.concatenate([y, problem.y])
    found = problem._replace(y=y).infer(method)
    assert found.converged.all()
    assert not found.z[: len(problem.y)].any()


@ANY_METHOD
@ANY_BOUNDARY
def test_kernels_of_zeros_explain_nothing_wherever_the_search_starts(method, boundary, rng):
    problem = draw_problem(rng, boundary)
    problem = problem._replace(params=Params(np.zeros((4, 1, 3, 2))))
    for z0 in (None, draw_codes(rng, problem)):
        found = problem.infer(method, z0=z0, tol=1e-6)
        assert not found.z.any()
        assert found.converged.all()
        np.testing.assert_allclose(found.energy, (problem.y**2).sum(axis=(1, 2, 3)), rtol=1e-6)


@ANY_METHOD
@pytest.mark.parametrize("size", [0.0, 1e-300, 1e-30, 1e-4])
def test_a_kernel_that_is_all_but_zero_is_never_used_wherever_the_search_starts(method, size, rng):
    problem = draw_problem(rng)
    K = problem.params.K.copy()
    K[2] *= size
    found = problem._replace(params=Params(K)).infer(method, z0=draw_codes(rng, problem), tol=1e-6)
    assert found.converged.all()
    assert not found.z[:, 2].any()
    without = problem._replace(params=Params(np.delete(K, 2, axis=0)))
    np.testing.assert_allclose(found.energy, least_energy(without), rtol=1e-6)


@ANY_METHOD
def test_twins_may_share_a_code_but_not_its_sum(method, rng):
    problem = draw_problem(rng, M=1, lam=2.0)
    twins = problem._replace(params=Params(np.concatenate([problem.params.K] * 2)))
    found, single = (each.infer(method, tol=1e-12) for each in (twins, problem))
    np.testing.assert_allclose(found.z.sum(axis=1, keepdims=True), single.z, atol=1e-4)
    assert (found.z.prod(axis=1) >= 0).all()


# inference: symmetries


@few
@given(without_twins(boundaries=("circular",)), st.integers(-5, 5), st.integers(-5, 5))
def test_on_the_torus_a_shifted_image_has_shifted_codes_at_every_iterate(problem, down, right):
    params, y, lam, _ = problem
    shift = partial(np.roll, shift=(down, right), axis=(2, 3))
    plain, shifted = (
        [z for z, _ in islice(iterates(params, a, np.zeros(problem.shape), lam, "circular"), 30)] for a in (y, shift(y))
    )
    for z, moved in zip(plain, shifted, strict=True):
        np.testing.assert_allclose(moved, shift(z), rtol=1e-8, atol=1e-9)


@ANY_METHOD
@few
@given(problem=problems(boundaries=("circular",)), down=st.integers(-5, 5), right=st.integers(-5, 5))
def test_on_the_torus_a_shifted_image_has_the_same_energy_and_a_shifted_decoding(method, problem, down, right):
    shift = partial(np.roll, shift=(down, right), axis=(2, 3))
    found, moved = (problem._replace(y=a).infer(method, tol=1e-6) for a in (problem.y, shift(problem.y)))
    slack = 1e-6 * found.energy + slack_of(problem, found.z)
    assert (np.abs(found.energy - moved.energy) <= slack).all()
    apart = decode(problem.params, moved.z - shift(found.z), "circular")
    assert (np.linalg.norm(rows(apart), axis=1) <= 2 * np.sqrt(slack)).all()


@ANY_METHOD
@few
@given(problem=problems())
def test_rows_and_columns_are_alike_and_so_are_both_directions_and_both_signs(method, problem):
    found = problem.infer(method, tol=1e-5)
    for turn in (lambda a: a.swapaxes(2, 3), lambda a: a[:, :, ::-1], lambda a: a[:, :, :, ::-1], np.negative):
        turned = problem._replace(params=Params(turn(problem.params.K)), y=turn(problem.y)).infer(method, tol=1e-5)
        slack = 1e-5 * found.energy + slack_of(problem, found.z)
        assert (np.abs(turned.energy - found.energy) <= slack).all()


@ANY_METHOD
@few
@given(problem=without_twins(), e=st.integers(-40, 40), f=st.integers(-40, 40))
def test_in_other_units_it_is_the_same_problem(method, problem, e, f):
    c, a = 2.0**e, 2.0**f
    found = problem.infer(method)
    other = Problem(Params(c * problem.params.K), a * problem.y, a * c * problem.lam, problem.boundary).infer(method)
    np.testing.assert_allclose(other.z * (c / a), found.z, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(other.energy, a**2 * found.energy, rtol=1e-9)


# inference: what it promises


@ANY_METHOD
@few
@given(problem=problems(), tol=powers(-9, -1))
def test_from_the_solution_nothing_is_iterated_at_all(method, problem, tol):
    best = problem.infer(method, tol=tol)
    again = problem.infer(method, tol=tol * (1 + 1e-4), z0=best.z)
    assert again.n_iter == 0
    assert again.converged.all()
    np.testing.assert_array_equal(again.z, best.z)


@ANY_METHOD
@few
@given(problem=problems(), rng=generators(), size=powers(-3, 3))
def test_wherever_it_starts_it_ends_at_the_minimum(method, problem, rng, size):
    found = problem.infer(method, tol=1e-7, z0=draw_codes(rng, problem, size))
    assert found.converged.all()
    slack = 1e-7 * found.energy + 1e-12 * size**2 * np.abs(problem.params.K).sum() ** 2
    assert (np.abs(found.energy - least_energy(problem)) <= slack).all()


@ANY_METHOD
def test_by_default_it_starts_at_zero_with_fista_at_a_tolerance_of_a_thousandth(method, rng):
    problem = draw_problem(rng)
    zero = problem.infer(method, z0=np.zeros(problem.shape), tol=1e-3)
    for one, other in zip(problem.infer(method), zero, strict=True):
        np.testing.assert_array_equal(one, other)
    n_iter = {method: infer(*problem[:3], method).n_iter for method in METHODS}
    assert infer(*problem[:3]).n_iter == n_iter["fista"] != n_iter["working_set"]


@ANY_METHOD
@few
@given(problem=problems(), rng=generators())
def test_an_image_does_not_depend_on_its_neighbours(method, problem, rng):
    y, z0 = np.concatenate([problem.y, 0.01 * problem.y]), rng.normal(size=(2 * len(problem.y), *problem.shape[1:]))
    batch = problem._replace(y=y).infer(method, tol=1e-6, z0=z0)
    alone = [problem._replace(y=y[[n]]).infer(method, tol=1e-6, z0=z0[[n]]) for n in range(len(y))]
    slack = slack_of(problem, z0[: len(problem.y)]).max()
    for n, one in enumerate(alone):
        np.testing.assert_allclose(batch.energy[[n]], one.energy, rtol=1e-6, atol=slack)
    assert batch.n_iter == max(one.n_iter for one in alone) or method == "fista"


@given(without_twins(), generators(), st.integers(1, 20))
def test_fista_steps_with_a_batch_are_those_with_its_images_one_by_one(problem, rng, n):
    params, y, lam, boundary = problem
    z = rng.normal(size=problem.shape)
    together, at = next(islice(iterates(params, y, z, lam, boundary), n, None))
    for i in range(len(y)):
        alone, one = next(islice(iterates(params, y[[i]], z[[i]], lam, boundary), n, None))
        np.testing.assert_allclose(together[[i]], alone, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(at.cost().energy[[i]], one.cost().energy, rtol=1e-6)


@ANY_METHOD
@few
@given(rng=generators(), most=st.integers(1, 40), tol=powers(-9, -1), boundary=st.sampled_from(BOUNDARIES))
def test_who_is_said_to_have_converged_has_the_others_have_not_and_the_warning_counts_them(
    method, rng, most, tol, boundary
):
    problem = draw_problem(rng, boundary, (5, 2, 5, 6), lam=1.0)
    problem = problem._replace(y=problem.y * np.array([0, 1e-3, 0.3, 1, 2])[:, None, None, None])
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        found = infer(problem.params, problem.y, 1.0, method, boundary=boundary, tol=tol, max_iter=most)
    assert found.n_iter <= most
    W, y = problem.dense
    gaps, slack = sparse_coding.gap(W, y, rows(found.z), 1.0), slack_of(problem, found.z)
    assert (gaps <= tol * found.energy + slack)[found.converged].all()
    assert (gaps > tol * found.energy - slack)[~found.converged].all()
    assert found.converged[:2].all()
    n_left = int(np.count_nonzero(~found.converged))
    assert [w.category for w in heard] == [ConvergenceWarning] * min(n_left, 1)
    if n_left:
        expected = (
            f"{n_left} of 5 images have not converged after {found.n_iter} iterations of {method!r}, tol = {tol:g}"
        )
        assert str(heard[0].message) == expected


def test_the_warning_points_at_the_line_of_the_caller(rng):
    problem = draw_problem(rng, "full", (5, 2, 5, 6), lam=1.0)
    with pytest.warns(ConvergenceWarning) as heard:
        infer(problem.params, problem.y, 1.0, boundary="full", max_iter=1)
    assert heard[0].filename == __file__


@ANY_METHOD
def test_too_few_iterations_are_reported_and_the_best_so_far_is_returned(method, rng):
    problem = draw_problem(rng, lam=0.01)
    with pytest.warns(ConvergenceWarning, match=r"^3 of 3 images have not converged after 3 iterations"):
        found = problem.infer(method, tol=1e-9, max_iter=3)
    assert not found.converged.any()
    assert found.n_iter == 3
    assert (found.energy < (problem.y**2).sum(axis=(1, 2, 3))).all()


@few
@given(problems(), generators(), powers(-7, -1))
def test_the_trace_is_the_path_and_ends_when_the_last_image_has_converged(problem, rng, tol):
    z0 = rng.normal(size=problem.shape)
    found = problem.infer(tol=tol, z0=z0, trace=True)
    assert found.trace.shape == (found.n_iter, *problem.shape)
    path = np.concatenate([z0[None], found.trace])
    np.testing.assert_array_equal(path[-1], found.z)
    steps = iterates(problem.params, problem.y, z0, problem.lam, problem.boundary)
    for z, (expected, at) in zip(path, steps, strict=False):
        np.testing.assert_array_equal(z, expected)
        energies, gaps = at.cost()
        assert (gaps <= tol * energies).all() == (z is path[-1] or np.array_equal(z, path[-1]))
    assert found.converged.all()


@few
@given(without_twins(boundaries=("circular",)), generators())
def test_on_the_torus_its_steps_are_those_of_the_textbook_with_the_matrix_of_the_convolution(problem, rng):
    z, (W, y) = rng.normal(size=problem.shape), problem.dense
    expected = [rows(z), *islice(textbook.fista(W.W, y, problem.lam, rows(z), restart=True), 30)]
    for (found, _), wanted in zip(iterates(*problem[:2], z, problem.lam, "circular"), expected, strict=False):
        np.testing.assert_allclose(rows(found), wanted, rtol=1e-7, atol=1e-8)


@ANY_METHOD
def test_the_type_returned_does_not_depend_on_flags(method, rng):
    problem = draw_problem(rng)
    found = problem.infer(method)
    assert type(found) is Inference
    assert found.trace.shape == (0, *problem.shape)
    assert found.trace.dtype == found.z.dtype == found.energy.dtype == np.float64
    assert found.converged.shape == found.energy.shape == (3,)
    assert found.converged.dtype == bool
    assert type(found.n_iter) is int


@ANY_METHOD
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_where_lam_is_huge_all_codes_are_zero_wherever_they_start(method, dtype, rng):
    y, params = rng.normal(size=(2, 1, 5, 6)).astype(dtype), Params(rng.normal(size=(2, 1, 2, 3)).astype(dtype))
    largest = float(np.finfo(dtype).max)
    size = np.array([1.0, 1e5])[:, None, None, None]  # of the second image E overflows: it starts from 0
    for lam, z0 in ((0.1 * largest, None), (1e-3 * largest, np.full((2, 2, 4, 4), size)), (largest, None)):
        found = infer(params, y, lam, method, z0=z0)
        assert not found.z.any()
        np.testing.assert_allclose(found.energy, (y**2).sum(axis=(1, 2, 3)), rtol=1e-6)
    assert infer(params, y, 1e-3 * largest, method, z0=np.full((2, 2, 4, 4), 1e5)).n_iter == 0  # 0 is the minimum
    with pytest.raises(ValueError, match=r"^z0: expected numbers up to"):
        infer(params, y, 1.0, method, z0=np.full((2, 2, 4, 4), 2 * largest**0.5))


@ANY_METHOD
def test_however_little_is_asked_for_codes_may_stay_where_they_start(method, rng):
    y, z = 1e3 * rng.normal(size=(2, 1, 5, 6)), rng.normal(size=(2, 2, 4, 4))
    found = infer(Params(rng.normal(size=(2, 1, 2, 3))), y, 1.0, method, tol=1e308, z0=z)
    np.testing.assert_array_equal(found.z, z)
    assert found.converged.all()


# pull


@few
@given(problems(), generators(), powers(-2, 2))
def test_with_a_pull_it_is_sparse_coding_of_the_augmented_image(problem, rng, alpha):
    z_tilde, root = draw_codes(rng, problem), np.sqrt(alpha)
    W, y = problem.dense
    W = sparse_coding.Params(np.vstack([W.W, root * np.eye(W.W.shape[1])]))
    y = np.hstack([y, root * rows(z_tilde)])
    found = problem.infer(pull=Pull(alpha, z_tilde), tol=1e-9)
    exact = sparse_coding.infer(W, y, problem.lam, "active_set", tol=1e-11)
    assert found.converged.all()
    np.testing.assert_allclose(found.energy, exact.energy, rtol=2e-9)
    # E' is strongly convex: alpha ||z - z*||^2 is at most the excess
    assert (alpha * ((rows(found.z) - exact.z) ** 2).sum(1) <= 2e-9 * found.energy).all()
    start = draw_codes(rng, problem)
    _, at = next(iterates(problem.params, problem.y, start, problem.lam, problem.boundary, Pull(alpha, z_tilde)))
    energies, gaps = at.cost()
    np.testing.assert_allclose(energies, sparse_coding.energy(W, y, rows(start), problem.lam), rtol=1e-11)
    slack = slack_of(problem, start) + 1e-12 * energies
    assert (np.abs(gaps - sparse_coding.gap(W, y, rows(start), problem.lam)) <= slack).all()


@few
@given(problems(boundaries=("circular",)), generators(), powers(-2, 2))
def test_with_a_pull_the_steps_are_as_long_as_they_may_be(problem, rng, alpha):
    z, z_tilde = rng.normal(size=(2, *problem.shape))
    W, y = problem.dense
    A, y = np.vstack([W.W, np.sqrt(alpha) * np.eye(W.W.shape[1])]), np.hstack([y, np.sqrt(alpha) * rows(z_tilde)])
    expected = textbook.fista(A, y, problem.lam, rows(z), restart=True)
    path = iterates(*problem[:2], z, problem.lam, "circular", Pull(alpha, z_tilde))
    for (found, _), wanted in zip(islice(path, 1, None), islice(expected, 10), strict=False):
        np.testing.assert_allclose(rows(found), wanted, rtol=1e-7, atol=1e-8)


@few
@given(problems(), generators())
def test_a_pull_of_no_strength_is_none(problem, rng):
    found = problem.infer(pull=Pull(0, draw_codes(rng, problem)), trace=True)
    for one, other in zip(found, problem.infer(trace=True), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)


@few
@given(problems(), generators(), powers(2, 9))
def test_the_stronger_the_pull_the_nearer_the_codes_to_the_guess(problem, rng, alpha):
    z_tilde, (W, y) = draw_codes(rng, problem), problem.dense
    found = problem.infer(pull=Pull(alpha, z_tilde), tol=1e-4, z0=draw_codes(rng, problem))
    c = 2 * (y - rows(z_tilde) @ W.W.T) @ W.W
    # the slope at the guess over the curvature there; besides, what the tolerance leaves
    bound = (np.linalg.norm(c, axis=1) + problem.lam * np.sqrt(c.shape[1])) / (2 * alpha)
    bound += np.sqrt(1e-4 * found.energy / alpha)
    assert (np.linalg.norm(rows(found.z - z_tilde), axis=1) <= bound * (1 + 1e-9) + 1e-12).all()


@few
@given(problems(), generators())
def test_who_is_pulled_to_the_minimum_stays_there(problem, rng):
    best = problem.infer(tol=1e-10)
    found = problem.infer(pull=Pull(10.0 ** rng.uniform(-2, 2), best.z), tol=1e-8)
    np.testing.assert_allclose(found.energy, best.energy, rtol=1e-8)


# precision


@ANY_METHOD
@ANY_BOUNDARY
@pytest.mark.parametrize("tol", [1e-3, 1e-6])
def test_single_precision_is_kept_and_finds_the_minimum_to_its_digits(method, boundary, tol, rng):
    problem = draw_problem(rng, boundary)
    single = Problem(Params(problem.params.K.astype("f4")), problem.y.astype("f4"), 1.0, boundary)
    found = single.infer(method, tol=tol, z0=np.ones(problem.shape))
    assert {a.dtype for a in (found.z, found.energy, found.trace)} == {np.dtype("f4")}
    assert found.converged.all()
    exact = Problem(Params(single.params.K.astype(float)), single.y.astype(float), 1.0, boundary)
    np.testing.assert_allclose(found.energy, least_energy(exact), rtol=tol + 1e-6)
    options = {"method": method, "tol": tol, "boundary": boundary}
    assert free_energy(*single[:3], **options).dtype == np.float32
    assert free_energy_grad_y(*single[:3], **options).dtype == np.float32
    assert free_energy_grad_params(*single[:3], np.ones(3, "f4"), **options).K.dtype == np.float32


@pytest.mark.parametrize("tol", [1e-3, 1e-6])
def test_the_trace_and_the_pull_are_single_too(tol, rng):
    problem = draw_problem(rng)
    problem = problem._replace(params=Params(problem.params.K.astype("f4")), y=problem.y.astype("f4"))
    found = problem.infer(tol=tol, trace=True, pull=Pull(0.5, np.ones(problem.shape)))
    assert {a.dtype for a in (found.z, found.energy, found.trace)} == {np.dtype("f4")}
    assert found.converged.all()
    assert found.n_iter > 0


@ANY_METHOD
def test_a_gap_that_single_precision_cannot_certify_is_reached_nevertheless(method, rng):
    problem = draw_problem(rng, lam=0.5)
    problem = problem._replace(params=Params(problem.params.K.astype("f4")), y=problem.y.astype("f4"))
    found = problem.infer(method, tol=1e-10)
    assert found.converged.all()
    assert not (found.z == found.z.astype("f2")).all()


def test_the_steps_of_fista_keep_single_precision(rng):
    problem = draw_problem(rng)
    params, y, z = Params(problem.params.K.astype("f4")), problem.y.astype("f4"), np.zeros(problem.shape, "f4")
    for pull in (None, Pull(0.3, z + 1)):
        for codes, at in islice(iterates(params, y, z, 1.0, pull=pull), 5):
            assert {a.dtype for a in (codes, at.ahead, *at.cost())} == {np.dtype("f4")}


@ANY_METHOD
def test_where_single_precision_will_do_it_saves_memory(method, rng):
    params, y = init(rng, 8, 1, 5, 5), rng.normal(size=(1, 1, 64, 64))
    single = Params(params.K.astype("f4")), y.astype("f4")
    infer(params, y, 5.0, method)  # what is imported or cached by a first call counts for neither
    assert peak(lambda: infer(*single, 5.0, method)) < 0.7 * peak(lambda: infer(params, y, 5.0, method))


@pytest.mark.parametrize("mixed", [("f4", "f8"), ("f8", "f4"), ("i8", "f4"), ("f4", "u1")])
def test_one_argument_of_double_precision_or_integers_makes_the_result_double(mixed, rng):
    problem = draw_problem(rng)
    K, y = (np.abs(9 * a).astype(dtype) for a, dtype in zip((problem.params.K, problem.y), mixed, strict=True))
    assert infer(Params(K), y, 30.0).z.dtype == np.float64


@ANY_METHOD
def test_eight_bits_a_pixel_are_numbers(method, rng):
    y = rng.integers(256, size=(2, 3, 6, 7), dtype=np.uint8)
    params, weights, options = init(rng, 4, 3, 2, 3), np.array([0.5, 2.0]), {"method": method, "tol": 1e-6}
    found, wanted = infer(params, y, 50, **options), infer(params, y.astype(float), 50, **options)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)
    assert found.z.dtype == np.float64
    assert found.z.any()
    for of_bytes, of_floats in (
        (free_energy(params, y, 50, **options), wanted.energy),
        (free_energy_grad_y(params, y, 50, **options), energy_grad_y(params, y.astype(float), wanted.z)),
        (
            free_energy_grad_params(params, y, 50, weights, **options).K,
            energy_grad_params(params, y.astype(float), wanted.z, weights).K,
        ),
    ):
        np.testing.assert_array_equal(of_bytes, of_floats)


@ANY_METHOD
def test_images_may_come_as_a_list(method, rng):
    problem = draw_problem(rng, shape=(3, 2, 6, 5))
    listed, options = problem._replace(y=list(problem.y)), {"method": method}
    for one, other in zip(listed.infer(method), problem.infer(method), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(
        free_energy_grad_y(*listed[:3], **options), free_energy_grad_y(*problem[:3], **options)
    )
    found, wanted = (free_energy_grad_params(*each[:3], np.ones(3), **options).K for each in (listed, problem))
    np.testing.assert_array_equal(found, wanted)


# free energy


@ANY_METHOD
@ANY_BOUNDARY
def test_the_free_energy_is_the_energy_of_the_code_found_with_the_same_options(method, boundary, rng):
    problem = draw_problem(rng, boundary)
    options = {"method": method, "tol": 1e-2, "z0": np.ones(problem.shape), "boundary": boundary}
    found = infer(*problem[:3], **options)
    np.testing.assert_array_equal(free_energy(*problem[:3], **options), found.energy)
    grad = free_energy_grad_y(*problem[:3], **options)
    np.testing.assert_array_equal(grad, energy_grad_y(problem.params, problem.y, found.z, boundary))
    weights = rng.normal(size=3)
    grads = free_energy_grad_params(*problem[:3], weights, **options)
    wanted = energy_grad_params(problem.params, problem.y, found.z, weights, boundary)
    np.testing.assert_array_equal(grads.K, wanted.K)
    assert found.n_iter > 0


@few
@given(problems(), generators(), powers(-4, 1))
def test_its_gradient_in_y_is_a_tangent_from_below_and_of_a_parabola_from_above(problem, rng, size):
    # F is convex, and F(y + h) <= E(y + h, z-check(y)) = F(y) + <g, h> + ||h||^2: no other g satisfies both
    h = size * rng.normal(size=problem.y.shape)
    g = free_energy_grad_y(*problem[:3], boundary=problem.boundary, tol=1e-12, **PATIENT)
    tangent = least_energy(problem) + rows(g * h).sum(1)
    ahead = least_energy(problem._replace(y=problem.y + h))
    slack = 3e-6 * rows(np.abs(h)).sum(1) * np.linalg.norm(rows(problem.y), axis=1) + 1e-9 * (1 + size**2)
    assert (ahead >= tangent - slack).all()
    assert (ahead <= tangent + rows(h**2).sum(1) + slack).all()


@ANY_METHOD
@few
@given(problem=problems(kinds=("random", "twins", "zero")), rng=generators())
def test_its_gradient_in_y_is_the_slope_of_the_exact_free_energy(method, problem, rng):
    direction, step = rng.normal(size=problem.y.shape), 1e-4
    ahead, behind = (least_energy(problem._replace(y=problem.y + s * direction)) for s in (step, -step))
    g = free_energy_grad_y(*problem[:3], boundary=problem.boundary, method=method, tol=1e-11, **PATIENT)
    atol = 2 * step * rows(direction**2).sum(1).max() + 1e-4 * np.abs(problem.y).max()  # F's second derivative is <= 2
    np.testing.assert_allclose((ahead - behind) / (2 * step), rows(g * direction).sum(1), atol=atol)


@ANY_METHOD
@few
@given(problem=problems(kinds=("random",), most_kernels=2, least=-1.5, most=-0.1), rng=generators())
def test_its_gradient_in_the_kernels_is_the_slope_of_the_exact_free_energy(method, problem, rng):
    W, y = problem.dense
    best = sparse_coding.infer(W, y, problem.lam, "active_set", tol=1e-12).z
    c = np.abs(sparse_coding.cost_grad_z(W, y, best))
    # the signs do not change on the way, and the codes that there are are unique
    assume((np.where(best == 0, problem.lam - c, np.abs(best)) > 1e-3).all())
    for code in best:
        assume(np.linalg.cond(W.W[:, code != 0]) < 30 if code.any() else True)
    weights, direction, step = rng.normal(size=len(y)), rng.normal(size=problem.params.K.shape), 1e-5
    ahead, behind = (
        weights @ least_energy(problem._replace(params=Params(problem.params.K + s * direction))) for s in (step, -step)
    )
    options = {"boundary": problem.boundary, "method": method, "tol": 1e-12, **PATIENT}
    grads = free_energy_grad_params(*problem[:3], weights, **options)
    assert type(grads) is Params
    size = np.abs(grads.K * direction).sum()
    assert abs((ahead - behind) / (2 * step) - (grads.K * direction).sum()) < 1e-4 * (1 + size)


@few
@given(problems(), generators())
def test_more_kernels_explain_more_and_a_larger_lambda_costs_more(problem, rng):
    F = free_energy(*problem[:3], boundary=problem.boundary, tol=1e-5, **PATIENT)
    more = np.concatenate([problem.params.K, kernels(rng, problem.params.K.shape)])
    slack = 1e-5 * F + slack_of(problem, np.zeros(problem.shape))
    assert (free_energy(Params(more), *problem[1:3], boundary=problem.boundary, tol=1e-5, **PATIENT) <= F + slack).all()
    cheaper = problem._replace(lam=0.7 * problem.lam).infer(tol=1e-5).energy
    assert (0.7 * F - slack <= cheaper).all()
    assert (cheaper <= F + slack).all()


@few
@given(problems(boundaries=("full",)))
def test_kernels_that_may_lie_beyond_the_edge_explain_more_than_kernels_that_may_not(problem):
    inside, beyond, around = (
        problem._replace(boundary=boundary).infer(tol=1e-8).energy for boundary in ("full", "valid", "circular")
    )
    assert (beyond <= inside * (1 + 1e-8) + 1e-12).all()
    assert (around <= inside * (1 + 1e-8) + 1e-12).all()


# kernels


@given(st.tuples(*[st.integers(1, 5)] * 4), generators())
def test_initial_kernels_have_unit_norm(shape, rng):
    params = init(rng, *shape)
    assert type(params) is Params
    assert params.K.shape == shape
    np.testing.assert_allclose(np.linalg.norm(rows(params.K), axis=1), 1, rtol=1e-14)


def test_initial_kernels_are_uniform_on_the_sphere():
    K = rows(init(np.random.default_rng(0), 40_000, 1, 3, 1).K)
    # Archimedes: each coordinate of a point on the sphere in three dimensions is uniform on [-1, 1]
    for coordinate in K.T:
        counts = np.histogram(coordinate, bins=10, range=(-1, 1))[0]
        assert ((counts - 4000) ** 2 / 4000).sum() < 9 + 6 * np.sqrt(18)
    np.testing.assert_allclose(K.T @ K / len(K), np.eye(3) / 3, atol=0.02)


def test_initial_kernels_are_the_generators_alone_and_double_unless_asked_for_single():
    a, b, c = (init(np.random.default_rng(seed), 3, 2, 4, 5).K for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)
    assert a.dtype == np.float64
    assert init(np.random.default_rng(0), 3, 2, 4, 5, np.float32).K.dtype == np.float32


@given(generators(), st.tuples(*[st.integers(1, 4)] * 4), powers(-50, 50))
def test_unit_kernels_keeps_the_directions_and_makes_the_norms_one(rng, shape, size):
    K = size * kernels(rng, shape)
    unit = unit_kernels(Params(K)).K
    norms = np.linalg.norm(rows(K), axis=1)
    np.testing.assert_allclose(np.linalg.norm(rows(unit), axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(unit * norms[:, None, None, None], K, rtol=1e-13)


def test_a_kernel_of_zeros_has_no_direction_and_stays():
    K = np.zeros((2, 2, 1, 2))
    K[0, 0, 0, 0], K[0, 1, 0, 1] = 3, 4
    expected = K / 5
    np.testing.assert_allclose(unit_kernels(Params(K)).K, expected, rtol=1e-15)
    assert unit_kernels(Params(K.astype("f4"))).K.dtype == np.float32


# arguments


@ANY_METHOD
@ANY_BOUNDARY
def test_nothing_handed_in_is_written_to_or_handed_out(method, boundary, rng):
    problem = draw_problem(rng, boundary)
    params, y, lam, _ = problem
    z, weights = read_only((draw_codes(rng, problem), np.ones(3)))
    for grad in (cost_grad_z, energy_grad_y):
        grad(params, y, z, boundary)
    energy(params, y, z, lam, boundary)
    energy_grad_params(params, y, z, weights, boundary)
    unit_kernels(params)
    options = {"method": method, "boundary": boundary}
    best = read_only(infer(params, y, lam, **options).z)
    again = infer(params, y, lam, z0=best, **options)
    assert again.n_iter == 0
    assert again.z.flags.writeable
    assert not np.shares_memory(again.z, best)
    free_energy_grad_params(params, y, lam, weights, z0=z, **options)
    if method == "fista":
        infer(params, y, lam, pull=Pull(0.5, z), trace=True, z0=z, **options)


LAYOUTS = {
    "columns first": np.asfortranarray,
    "mirrored": lambda a: a[:, :, ::-1, ::-1].copy()[:, :, ::-1, ::-1],
    "channels last": lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "every other": lambda a: np.repeat(np.repeat(a, 2, axis=1), 2, axis=3)[:, ::2, :, ::2],
}


@ANY_METHOD
@ANY_BOUNDARY
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_the_layout_in_memory_does_not_matter(method, boundary, layout, rng):
    problem = draw_problem(rng, boundary, (2, 2, 5, 4))
    z = draw_codes(rng, problem)
    laid_out = problem._replace(params=Params(layout(problem.params.K)), y=layout(problem.y))
    for options in ({"z0": z}, {"pull": Pull(0.7, z)})[: 2 if method == "fista" else 1]:
        same = {"z0": layout(z)} if "z0" in options else {"pull": Pull(0.7, layout(z))}
        found, wanted = laid_out.infer(method, tol=1e-5, **same), problem.infer(method, tol=1e-5, **options)
        np.testing.assert_allclose(found.energy, wanted.energy, rtol=2e-5)
        assert found.converged.all()
    grads = [
        energy_grad_params(*each[:2], code, np.ones(2), boundary).K
        for each, code in ((laid_out, layout(z)), (problem, z))
    ]
    np.testing.assert_allclose(*grads, rtol=1e-10, atol=1e-11)


@ANY_METHOD
def test_a_large_image_takes_no_more_memory_than_a_few_of_its_maps(method, rng):
    params = init(rng, 24, 1, 7, 7)
    z = rng.normal(size=(1, 24, 90, 90)) * (rng.random((1, 24, 90, 90)) < 0.003)
    y = decode(params, z) + 0.05 * rng.normal(size=(1, 1, 96, 96))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        held = peak(lambda: infer(params, y, 0.5, method, max_iter=10 if method == "fista" else 10_000))
    assert held < 8 * z.nbytes


K, Y = np.ones((2, 1, 3, 2)), np.ones((4, 1, 5, 6))
SHAPE = (4, 2, 3, 5)


@pytest.mark.parametrize(
    ("words", "error", "arguments"),
    [
        (r"params.K: expected shape \(M, C, p, q\)", ValueError, {"params": Params(K[0])}),
        ("params.K: expected", ValueError, {"params": Params(K[:0])}),
        ("params.K: expected finite", ValueError, {"params": Params(np.inf * K)}),
        ("params.K: expected numbers up to", ValueError, {"params": Params(1e200 * K)}),
        ("params: expected", TypeError, {"params": K}),
        ("params.K: expected real", TypeError, {"params": Params(None)}),
        ("params.K: expected real", TypeError, {"params": Params(1j * K)}),
        (r"y: expected shape \(N, 1, H, W\), got shape \(4, 3, 5, 6\)", ValueError, {"y": np.repeat(Y, 3, axis=1)}),
        (r"y: expected shape \(N, 1, H, W\), got shape \(1, 5, 6\)", ValueError, {"y": Y[0]}),
        (r"y: expected shape \(N, 1, H, W\)", ValueError, {"y": Y[:, 0]}),
        (r"y: expected shape \(N, 3, H, W\)", ValueError, {"params": Params(np.repeat(K, 3, axis=1))}),
        ("y: expected at least 3 x 2 pixels, those of the kernels, got 2 x 6", ValueError, {"y": Y[:, :, :2]}),
        ("y: expected at least 3 x 2 pixels, those of the kernels, got 5 x 1", ValueError, {"y": Y[..., :1]}),
        ("y: expected finite", ValueError, {"y": np.where(np.arange(30).reshape(5, 6) == 7, np.nan, Y)}),
        ("y: expected finite", ValueError, {"y": -np.inf * Y}),
        ("y: expected numbers up to", ValueError, {"y": -1e200 * Y}),
        ("y: expected at least one", ValueError, {"y": Y[:0]}),
        ("y: expected", ValueError, {"y": []}),
        ("y: expected .* rows of unequal length", ValueError, {"y": [Y[0], Y[0, :, :4]]}),
        ("y: expected real", TypeError, {"y": None}),
        ("y: expected real", TypeError, {"y": 1j * Y}),
        ("lam: expected", ValueError, {"lam": 0}),
        ("lam: expected", ValueError, {"lam": -1e-9}),
        ("lam: expected", ValueError, {"lam": np.nan}),
        ("lam: expected", ValueError, {"lam": np.inf}),
        ("lam: expected", TypeError, {"lam": None}),
        ("lam: expected", TypeError, {"lam": np.ones(4)}),
        ("method: expected one of 'fista', 'working_set', got 'ista'", ValueError, {"method": "ista"}),
        ("method: expected", ValueError, {"method": None}),
        ("boundary: expected one of 'circular', 'full', 'valid', got 'same'", ValueError, {"boundary": "same"}),
        ("boundary: expected", ValueError, {"boundary": None}),
        ("tol: expected", ValueError, {"tol": 0}),
        ("tol: expected", TypeError, {"tol": "1e-3"}),
        ("max_iter: expected", ValueError, {"max_iter": 0}),
        ("max_iter: expected", TypeError, {"max_iter": 10.0}),
        (r"z0: expected shape \(4, 2, 3, 5\), got", ValueError, {"z0": np.ones((4, 2, 5, 6))}),
        (r"z0: expected shape \(4, 2, 7, 7\), got", ValueError, {"z0": np.ones(SHAPE), "boundary": "valid"}),
        (r"z0: expected shape \(4, 2, 5, 6\), got", ValueError, {"z0": np.ones(SHAPE), "boundary": "circular"}),
        ("z0: expected shape", ValueError, {"z0": np.ones((2, 3, 5))}),
        ("z0: expected finite", ValueError, {"z0": np.full(SHAPE, np.nan)}),
        ("z0: expected real", TypeError, {"z0": "zero"}),
        ("trace: expected True or False", TypeError, {"trace": "no"}),
        ("trace: expected none for the method 'working_set'", ValueError, {"trace": True, "method": "working_set"}),
        (
            "pull: expected none for the method 'working_set'",
            ValueError,
            {"pull": Pull(1.0, np.ones(SHAPE)), "method": "working_set"},
        ),
        ("pull: expected", TypeError, {"pull": (1.0, np.ones(SHAPE))}),
        ("pull.alpha: expected numbers up to", ValueError, {"pull": Pull(1e200, np.ones(SHAPE))}),
        (r"pull.z_tilde: expected shape \(4, 2, 3, 5\), got", ValueError, {"pull": Pull(1.0, np.ones((4, 2, 5, 3)))}),
        ("pull.z_tilde: expected finite", ValueError, {"pull": Pull(1.0, np.full(SHAPE, np.inf))}),
        ("pull.z_tilde: expected real", TypeError, {"pull": Pull(1.0, None)}),
        ("pull.alpha: expected", ValueError, {"pull": Pull(-1.0, np.ones(SHAPE))}),
        ("pull.alpha: expected", ValueError, {"pull": Pull(np.inf, np.ones(SHAPE))}),
        ("pull.alpha: expected", TypeError, {"pull": Pull("1", np.ones(SHAPE))}),
    ],
)
@pytest.mark.parametrize(
    "function",
    [infer, free_energy, free_energy_grad_y, partial(free_energy_grad_params, weights=np.ones(4))],
    ids=["infer", "F", "grad_y F", "grad_K F"],
)
def test_inference_refuses_a_bad_argument_by_name(function, words, error, arguments):
    with pytest.raises(error, match=f"^{words}"):
        function(**{"params": Params(K), "y": Y, "lam": 0.1, **arguments})


@pytest.mark.parametrize("boundary", ["valid", "circular"])
def test_a_kernel_larger_than_the_image_is_welcome_where_it_may_reach_beyond(boundary, rng):
    problem = draw_problem(rng, boundary, (2, 1, 2, 3), size=(5, 4))
    assert problem.infer().z.shape == {"valid": (2, 4, 6, 6), "circular": (2, 4, 2, 3)}[boundary]


@pytest.mark.parametrize(
    ("name", "error", "arguments"),
    [
        ("rng", TypeError, {"rng": 0}),
        ("M", ValueError, {"M": 0}),
        ("C", TypeError, {"C": 2.0}),
        ("p", ValueError, {"p": -1}),
        ("q", TypeError, {"q": "3"}),
        ("dtype", TypeError, {"dtype": int}),
    ],
)
def test_init_refuses_a_bad_argument_by_name(name, error, arguments):
    with pytest.raises(error, match=rf"^{name}: expected"):
        init(**{"rng": np.random.default_rng(0), "M": 3, "C": 1, "p": 2, "q": 2, **arguments})
