from itertools import islice, pairwise
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sparse.problems import by_all_signs, dictionary, problems, total
from strategies import SIZES, generators

from ebm_np.foundations.costs import squared_error
from ebm_np.foundations.proximal import shrink
from ebm_np.sparse.sparse_coding import Params, energy, gap
from ebm_np.sparse.textbook import coordinate_descent, fista, ista, lipschitz

EVERY_METHOD = pytest.mark.parametrize("method", [ista, fista, coordinate_descent])


def draw_problem(rng, d=8, k=5, n=4):
    W = dictionary(rng, d, k)
    return W / np.linalg.norm(W, axis=0), 2 * rng.normal(size=(n, d))


def first(n, iterates):
    return np.array(list(islice(iterates, n)))


def step_by_loops(W, y, lam, z):
    """Equation (1) for one sample: gradient of the smooth term with its factor 2, then shrinkage by lam / L."""
    d, k = W.shape
    L = 2 * np.linalg.svd(W)[1][0] ** 2
    residual = [sum(W[i, j] * z[j] for j in range(k)) - y[i] for i in range(d)]
    v = [z[j] - sum(2 * W[i, j] * residual[i] for i in range(d)) / L for j in range(k)]
    return np.array([np.sign(v_j) * max(abs(v_j) - lam / L, 0) for v_j in v])


def momenta(n):
    """s(1), ..., s(n)."""
    s = [1.0]
    while len(s) < n:
        s.append((1 + np.sqrt(1 + 4 * s[-1] ** 2)) / 2)
    return s


@given(generators(), SIZES, SIZES)
def test_lipschitz_is_the_largest_curvature_of_the_squared_error_in_any_direction(rng, d, k):
    W = rng.normal(size=(d, k))
    curvature = 2 * np.linalg.svd(W, compute_uv=False)[0] ** 2
    assert lipschitz(W) == pytest.approx(curvature, rel=1e-12)
    directions = rng.normal(size=(100, k))
    assert (2 * ((directions @ W.T) ** 2).sum(1) <= lipschitz(W) * (directions**2).sum(1) * (1 + 1e-12)).all()


@given(generators(), st.floats(0, 2))
def test_each_iterate_of_ista_is_equation_1_applied_to_the_one_before_and_to_nothing_else(rng, lam):
    W, y = draw_problem(rng)
    z = rng.normal(size=(4, 5))
    for found in first(5, ista(W, y, lam, z)):
        z = np.array([step_by_loops(W, y[n], lam, z[n]) for n in range(4)])
        np.testing.assert_allclose(found, z, rtol=1e-11, atol=1e-12)


@given(generators(), st.floats(0, 2))
def test_each_iterate_of_fista_is_that_step_from_a_point_beyond_the_last_two(rng, lam):
    W, y = draw_problem(rng)
    z = rng.normal(size=(4, 5))
    x, s = z, momenta(13)
    for t, found in enumerate(first(12, fista(W, y, lam, z))):
        z_next = np.array([step_by_loops(W, y[n], lam, x[n]) for n in range(4)])
        x = z_next + (s[t] - 1) / s[t + 1] * (z_next - z)
        z = z_next
        np.testing.assert_allclose(found, z, rtol=1e-10, atol=1e-11)


@given(generators())
def test_fista_has_momentum_its_first_two_iterates_are_those_of_ista_and_then_it_runs_ahead(rng):
    # x(1) = z(0) and s(1) = 1: the point beyond is first used for the third
    W, y = draw_problem(rng)
    plain, fast = (first(3, method(W, y, 0.1, np.zeros((4, 5)))) for method in (ista, fista))
    np.testing.assert_allclose(fast[:2], plain[:2], rtol=1e-13)
    assert (np.abs(fast[2] - plain[2]).max(axis=1) > 1e-3 * np.abs(plain[2]).max(axis=1)).all()
    # s(2) = 1.618..., s(3) = 2.194...: momentum (s(2) - 1) / s(3)
    x = plain[1] + 0.28175 * (plain[1] - plain[0])
    beyond = np.array([step_by_loops(W, y[n], 0.1, x[n]) for n in range(4)])
    np.testing.assert_allclose(fast[2], beyond, atol=1e-3 * np.abs(plain[1] - plain[0]).max())


def test_momentum_tends_to_one_as_s_grows_like_half_of_t():
    s = momenta(2000)
    assert s[-1] == pytest.approx(1000, rel=0.01)
    assert all(a < b for a, b in pairwise(s))


@given(generators())
def test_restart_sets_the_momentum_of_a_sample_back_exactly_where_it_points_uphill(rng):
    W, y = draw_problem(rng, d=6, k=12)
    z = x = np.zeros((4, 12))
    s = np.ones(4)
    L, restarts = lipschitz(W), 0
    for found in first(60, fista(W, y, 0.05, z, restart=True)):
        z_next = shrink(x - (2 / L) * (x @ W.T - y) @ W, 0.05 / L)
        for n in range(4):
            if np.dot(x[n] - z_next[n], z_next[n] - z[n]) > 0:
                s[n], restarts = 1.0, restarts + (s[n] > 1)
        s_next = (1 + np.sqrt(1 + 4 * s**2)) / 2
        x = z_next + ((s - 1) / s_next)[:, None] * (z_next - z)
        z, s = z_next, s_next
        np.testing.assert_allclose(found, z, rtol=1e-9, atol=1e-10)
    assert restarts > 0


@given(problems(largest_k=5), generators())
def test_the_energy_of_ista_and_of_coordinate_descent_never_rises(problem, rng):
    W, y, lam = problem
    z = rng.normal(size=(len(y), W.shape[1])) * W.any(axis=0)
    for method in (ista, coordinate_descent):
        if not W.any():
            continue
        path = np.array([total(W, y, z, lam) for z in (z, *first(30, method(W, y, lam, z)))])
        assert (np.diff(path, axis=0) <= 1e-12 * path[0]).all()


@given(problems(largest_k=4).filter(lambda problem: problem.W.any()), generators())
def test_the_energies_of_ista_and_fista_obey_their_bounds_at_every_iterate(problem, rng):
    W, y, lam = problem
    least, best = by_all_signs(W, y, lam)
    start = best + rng.normal(size=best.shape) * rng.choice([1e-3, 1, 1e3])
    distance = lipschitz(W) * ((start - best) ** 2).sum(axis=1)
    slack = 1e-11 * (least + total(W, y, start, lam))
    plain, fast = (first(80, method(W, y, lam, start)) for method in (ista, fista))
    for t in range(1, 81):
        assert (total(W, y, plain[t - 1], lam) - least <= distance / (2 * t) + slack).all()
        assert (total(W, y, fast[t - 1], lam) - least <= 2 * distance / (t + 1) ** 2 + slack).all()


def test_momentum_saves_most_iterations_and_restart_most_of_the_rest(rng):
    W, y = draw_problem(rng, d=20, k=40, n=10)
    z, lam = np.zeros((10, 40)), 1.0

    def gaps(iterates):
        return np.array([np.median(gap(Params(W), y, z, lam)) for z in first(400, iterates)])

    plain, fast, restarted = (
        gaps(ista(W, y, lam, z)),
        gaps(fista(W, y, lam, z)),
        gaps(fista(W, y, lam, z, restart=True)),
    )
    assert fast[199] < 0.5 * plain[399]
    assert restarted[199] < 1e-2 * fast[399]


@given(problems(kinds=("random", "common", "duplicate", "opposite", "zero", "scaled")), generators())
def test_a_sweep_minimises_over_each_code_in_turn_with_the_others_as_they_have_become(problem, rng):
    W, y, lam = problem
    z = rng.normal(size=(len(y), W.shape[1])) * W.any(axis=0)
    (found,) = first(1, coordinate_descent(W, y, lam, z))
    for n in range(len(y)):
        z_n = z[n].copy()
        for j in range(W.shape[1]):
            z_n[j] = 0
            _, z_j = by_all_signs(W[:, [j]], (y[n] - W @ z_n)[None], lam)
            z_n[j] = z_j[0, 0]
        scale = np.abs(np.append(z_n, z[n])).max()
        np.testing.assert_allclose(W * found[n], W * z_n, rtol=1e-9, atol=1e-11 * (np.abs(W).max() * scale + 1))


def test_an_atom_of_zeros_gets_the_code_zero_from_coordinate_descent():
    (z,) = first(1, coordinate_descent(np.eye(3, 4), np.ones((2, 3)), 0.2, np.full((2, 4), 7.0)))
    np.testing.assert_allclose(z, [[0.9, 0.9, 0.9, 0]] * 2, rtol=1e-14)


@EVERY_METHOD
@given(rng=generators())
def test_every_method_stays_at_the_minimiser(method, rng):
    W, y = draw_problem(rng, k=4)
    _, best = by_all_signs(W, y, 0.5)
    for z in first(5, method(W, y, 0.5, best)):
        np.testing.assert_allclose(z, best, atol=1e-11)


@EVERY_METHOD
def test_every_method_ends_at_the_minimiser(method, rng):
    W, y = draw_problem(rng, k=4)
    _, best = by_all_signs(W, y, 0.5)
    np.testing.assert_allclose(first(1500, method(W, y, 0.5, np.zeros((4, 4))))[-1], best, atol=1e-9)


@EVERY_METHOD
def test_iterates_are_arrays_of_their_own_and_nothing_handed_in_is_written_to(method, rng):
    W, y = draw_problem(rng)
    z = rng.normal(size=(4, 5))
    for argument in (W, y, z):
        argument.setflags(write=False)
    iterates = method(W, y, 0.3, z)
    one = next(iterates)
    kept = one.copy()
    next(iterates)
    np.testing.assert_array_equal(one, kept)


@EVERY_METHOD
def test_single_precision_is_kept(method, rng):
    W, y = (a.astype(np.float32) for a in draw_problem(rng))
    for options in [{}] if method is not fista else [{}, {"restart": True}]:
        iterates = method(W, y, 0.3, np.zeros((4, 5), np.float32), **options)
        assert {z.dtype for z in islice(iterates, 5)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("shape", [(3, 6), (6, 3)])
def test_the_smaller_of_the_two_gram_matrices_is_asked_for_its_eigenvalues(shape, rng):
    with mock.patch.object(np.linalg, "eigvalsh", wraps=np.linalg.eigvalsh) as asked:
        lipschitz(rng.normal(size=shape))
    assert asked.call_args.args[0].shape == (3, 3)


def test_the_notes_step_without_the_factor_two_finds_the_minimum_of_another_energy(rng):
    # W^T (W z - y) / L with threshold lam / L: that of (1/2) ||y - W z||^2 + lam ||z||_1, half of ours at twice the lam
    W, y = draw_problem(rng, k=3, n=1)
    lam = 0.5 * np.abs(y @ W).max()
    L = np.linalg.svd(W)[1][0] ** 2
    z = np.zeros((1, 3))
    for _ in range(1500):
        z = shrink(z - (z @ W.T - y) @ W / L, lam / L)
    np.testing.assert_allclose(z, by_all_signs(W, y, 2 * lam)[1], atol=1e-9)
    assert total(W, y, z, lam)[0] > by_all_signs(W, y, lam)[0][0] * (1 + 1e-3)


def test_erratum_10_a_step_minimises_a_bound_of_the_sum_and_not_each_term_in_turn(rng):
    """The note: "alternately optimizing the two terms". In turn, the second alone asks for the code 0, every time."""
    W, y = draw_problem(rng)
    lam, z, L = 0.3, rng.normal(size=(4, 5)), lipschitz(W)
    z_next = next(ista(W, y, lam, z))

    def bound(z_new):
        tangent = squared_error(y, z @ W.T) + (2 * (z @ W.T - y) @ W * (z_new - z)).sum(axis=1)
        return tangent + L / 2 * ((z_new - z) ** 2).sum(axis=1) + lam * np.abs(z_new).sum(axis=1)

    for _ in range(50):
        other = z_next + 10 ** rng.uniform(-3, 0) * rng.normal(size=z.shape)
        assert (bound(other) > bound(z_next)).all()
        assert (bound(other) >= energy(Params(W), y, other, lam)).all()
    found = first(500, ista(W, y, lam, z))[-1]
    assert (energy(Params(W), y, found, lam) < energy(Params(W), y, np.zeros_like(z), lam)).all()
