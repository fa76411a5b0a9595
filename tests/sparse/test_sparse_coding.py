import warnings
from functools import partial
from unittest import mock

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sparse.problems import by_all_signs, dictionary, problems
from strategies import SIZES, arrays, generators

from ebm_np.foundations.costs import squared_error
from ebm_np.foundations.gradient_check import gradient_check
from ebm_np.foundations.proximal import shrink
from ebm_np.foundations.results import ConvergenceWarning, Inference
from ebm_np.sparse import sparse_coding, textbook
from ebm_np.sparse.sparse_coding import (
    ITERATES,
    METHODS,
    Params,
    cost_grad_z,
    decode,
    energy,
    energy_grad_params,
    energy_grad_y,
    free_energy,
    free_energy_grad_params,
    free_energy_grad_y,
    gap,
    infer,
    init,
    kkt_residual,
    unit_columns,
)

ANY_METHOD = pytest.mark.parametrize("method", METHODS)
ANY_ITERATES = pytest.mark.parametrize("method", ITERATES)
EASY = ("random", "duplicate", "opposite", "zero", "integer", "orthogonal")
"""Kinds of dictionary on which the methods that iterate soon arrive."""
exactly = partial(infer, method="active_set", tol=1e-11)


def powers(low, high):
    return st.floats(low, high).map(lambda e: 10.0**e)


def draw_problem(rng, d=16, k=5, n=4):
    """Unit atoms, fewer than dimensions, so that the minimiser is unique and soon found."""
    params, y = init(rng, d, k), 2 * rng.normal(size=(n, d))
    for argument in (params.W, y):
        argument.setflags(write=False)
    return params, y


def scale_of(W, y, z, lam):
    """The size of what is added up in an energy: rounding is relative to it."""
    return ((np.abs(y) + np.abs(z) @ np.abs(W.T)) ** 2).sum(axis=-1) + lam * np.abs(z).sum(axis=-1)


def without_dust(z):
    """Codes of rounding size, as at a tie, are zeros whose sign means nothing."""
    return np.where(np.abs(z) > 1e-12 * np.abs(z).max(initial=0), z, 0)


def assert_optimal(W, y, lam, z):
    """Equation (2) holds: to a millionth on the support, outside it up to what the gap lets correlations move."""
    z = without_dust(z)
    moved = 2 * np.linalg.norm(W, axis=0).max() * np.sqrt(gap(Params(W), y, z, lam).clip(0))
    assert (moved <= 1e-4 * np.linalg.norm(W, axis=0).max() * np.linalg.norm(y, axis=1)).all()
    c = 2 * (y - z @ W.T) @ W
    assert (np.abs(c - lam * np.sign(z))[z != 0] <= 1e-6 * lam).all()
    assert (kkt_residual(Params(W), y, z, lam) <= moved + 1e-6 * lam).all()


# energy


def test_the_energy_is_squared_error_plus_lambda_times_the_l1_norm_and_has_no_half(rng):
    params, y = draw_problem(rng)
    z = rng.normal(size=(4, 5))
    for n in range(4):
        error = sum((y[n, i] - sum(params.W[i, j] * z[n, j] for j in range(5))) ** 2 for i in range(16))
        expected = error + 0.3 * sum(abs(z[n, j]) for j in range(5))
        assert energy(params, y, z, 0.3)[n] == pytest.approx(expected, rel=1e-13)


def test_a_path_of_codes_has_energies_gaps_and_decodings_for_each_step_and_sample(rng):
    params, y = draw_problem(rng)
    path = rng.normal(size=(3, 4, 5))
    for function in (energy, gap):
        found = function(params, y, path, 0.3)
        assert found.shape == (3, 4)
        np.testing.assert_allclose(found, [function(params, y, z, 0.3) for z in path], rtol=1e-12)
    assert decode(params, path).shape == (3, 4, 16)


def test_decoding_is_the_sum_of_atoms_weighted_by_the_code(rng):
    params, _ = draw_problem(rng)
    z = rng.normal(size=(2, 5))
    for n in range(2):
        np.testing.assert_allclose(decode(params, z)[n], sum(z[n, j] * params.W[:, j] for j in range(5)), atol=1e-13)


@given(generators(), SIZES, SIZES)
def test_the_gradient_of_the_cost_in_z_is_right(rng, d, k):
    params, y = draw_problem(rng, d, k)
    z = rng.normal(size=(4, k))
    check = gradient_check(lambda z: squared_error(y, decode(params, z)).sum(), cost_grad_z(params, y, z), z)
    assert check.passed, check


@given(generators(), SIZES, SIZES)
def test_the_gradient_of_the_energy_in_y_is_right(rng, d, k):
    params, y = draw_problem(rng, d, k)
    z = rng.normal(size=(4, k))
    check = gradient_check(lambda y: energy(params, y, z, 0.3).sum(), energy_grad_y(params, y, z), y)
    assert check.passed, check


@given(generators(), SIZES, SIZES)
def test_the_gradient_of_the_weighted_energies_in_the_dictionary_is_right(rng, d, k):
    params, y = draw_problem(rng, d, k)
    z, weights = rng.normal(size=(4, k)), rng.normal(size=4)
    grads = energy_grad_params(params, y, z, weights)
    assert type(grads) is Params
    check = gradient_check(lambda params: (weights * energy(params, y, z, 0.3)).sum(), grads, params)
    assert check.passed, check


# certificates: gap and KKT residual


@given(problems(largest_k=4, least=-6, most=3), generators(), st.sampled_from([0, 1e-3, 1, 1e3]))
def test_the_gap_is_never_negative_and_bounds_how_far_the_energy_is_above_its_minimum(drawn, rng, size):
    W, y, lam = drawn
    z = size * rng.normal(size=(len(y), W.shape[1]))
    least, _ = by_all_signs(W, y, lam)
    slack = 1e-12 * scale_of(W, y, z, lam)
    found = gap(Params(W), y, z, lam)
    assert (found >= -slack).all()
    assert (found >= energy(Params(W), y, z, lam) - least - slack).all()


@given(problems(largest_k=4, least=-3, most=1), generators())
def test_every_feasible_nu_gives_a_lower_bound_of_the_free_energy(drawn, rng):
    W, y, lam = drawn
    least, _ = by_all_signs(W, y, lam)
    nu = rng.normal(size=(200, *y.shape)) * 10.0 ** rng.uniform(-2, 1, size=(200, len(y), 1))
    nu *= np.minimum(1, lam / np.maximum(2 * np.abs(nu @ W).max(axis=-1, keepdims=True), 1e-300))
    assert (2 * (nu * y).sum(axis=-1) - (nu**2).sum(axis=-1) <= least + 1e-12 * (y**2).sum(axis=-1)).all()


@given(problems(), generators())
def test_the_gap_is_the_energy_less_the_dual_function_at_the_residual_made_feasible(drawn, rng):
    W, y, lam = drawn
    z = rng.normal(size=(len(y), W.shape[1])) * rng.choice([0, 1])
    for n in range(len(y)):
        nu = y[n] - W @ z[n]
        largest = max(abs(2 * sum(W[i, j] * nu[i] for i in range(len(W)))) for j in range(W.shape[1]))
        nu *= min(1, lam / largest) if largest > 0 else 1
        expected = energy(Params(W), y, z, lam)[n] - sum(2 * nu[i] * y[n, i] - nu[i] ** 2 for i in range(len(W)))
        found = gap(Params(W), y, z, lam)[n]
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-12 * scale_of(W, y, z, lam)[n])


@given(problems(kinds=("random", "orthogonal", "zero", "duplicate")), powers(-8, -1))
def test_the_gap_tends_to_zero_at_the_minimiser(drawn, distance):
    W, y, lam = drawn
    _, best = by_all_signs(W, y, lam)
    slack = 1e-11 * scale_of(W, y, best, lam)
    assert (gap(Params(W), y, best, lam) <= slack).all()
    # it is continuous: s falls short of 1 by no more than c moves, in the unit of lam
    moved = 2 * distance * np.abs(W.T @ W).sum()
    bound = (lam + 2 * np.abs(W).sum() * np.abs(y).sum(axis=1)) * distance * W.shape[1]
    bound += (moved / lam) * 2 * scale_of(W, y, np.abs(best) + distance, lam)
    assert (gap(Params(W), y, best + distance, lam) <= bound + slack).all()


def test_the_kkt_residual_is_the_distance_of_each_correlation_from_where_it_ought_to_be(rng):
    params, y = draw_problem(rng)
    z = rng.normal(size=(4, 5)) * (rng.random((4, 5)) < 0.6)
    z[0] = 0
    for lam in (0.01, 1.0, 30.0):
        for n in range(4):
            worst = 0.0
            for j in range(5):
                c = 2 * sum(params.W[i, j] * (y[n, i] - params.W[i] @ z[n]) for i in range(16))
                worst = max(worst, abs(c) - lam if z[n, j] == 0 else abs(c - lam * np.sign(z[n, j])))
            assert kkt_residual(params, y, z, lam)[n] == pytest.approx(worst, rel=1e-11, abs=1e-13)


@given(generators(), SIZES, st.floats(0.01, 3), powers(-6, 0))
def test_the_kkt_residual_vanishes_at_the_closed_form_of_orthonormal_atoms_and_nowhere_near(rng, k, lam, distance):
    params, y = Params(dictionary(rng, 6, k, "orthogonal")), rng.normal(size=(3, 6))
    z = shrink(y @ params.W, lam / 2)
    assert (kkt_residual(params, y, z, lam) <= 1e-14 * (1 + lam)).all()
    moved = z + distance * rng.choice([-1, 1], z.shape)
    assert (kkt_residual(params, y, moved, lam) >= 1.9 * distance).all()


# inference: the theorem


@settings(max_examples=60)
@given(problems(largest_k=5))
def test_optimality_conditions_hold_at_what_is_found_for_dictionaries_of_every_shape(drawn):
    W, y, lam = drawn
    found = exactly(Params(W), y, lam, tol=1e-9)
    assert_optimal(W, y, lam, found.z)
    least, _ = by_all_signs(W, y, lam)
    np.testing.assert_allclose(found.energy, least, rtol=1e-10, atol=1e-13)


@given(problems(largest_d=20, largest_k=40, largest_n=8))
def test_optimality_conditions_hold_for_many_atoms(drawn):
    W, y, lam = drawn
    assert_optimal(W, y, lam, exactly(Params(W), y, lam, tol=1e-9).z)


@ANY_METHOD
@given(drawn=problems(largest_k=4, kinds=EASY, least=-1), tol=powers(-8, -1))
def test_every_method_finds_the_minimum_to_the_fraction_asked_for(method, drawn, tol):
    W, y, lam = drawn
    found = infer(Params(W), y, lam, method, tol=tol, max_iter=100_000)
    least, _ = by_all_signs(W, y, lam)
    slack = 1e-13 * scale_of(W, y, found.z, lam)
    assert found.converged.all()
    assert (found.energy >= least - slack).all()
    assert (found.energy - least <= tol * found.energy + slack).all()
    assert (gap(Params(W), y, found.z, lam) <= tol * found.energy + slack).all()


@ANY_METHOD
@given(drawn=problems(largest_k=4, kinds=EASY, least=-1), tol=powers(-8, -2))
def test_a_gap_bounds_how_much_each_condition_is_violated(method, drawn, tol):
    # E - F = ||W (z - z*)||^2 + sum_i lam |z_i| - c*_i z_i, no term of which is negative
    W, y, lam = drawn
    z = infer(Params(W), y, lam, method, tol=tol, max_iter=100_000).z
    c = 2 * (y - z @ W.T) @ W
    g = np.maximum(gap(Params(W), y, z, lam), 0)[:, None] + 1e-13 * scale_of(W, y, z, lam)[:, None]
    moved = 2 * np.sqrt(g) * np.linalg.norm(W, axis=0)
    assert (np.abs(c) <= lam + moved).all()
    assert (np.abs(z) * lam - c * z <= g + np.abs(z) * moved).all()


@given(problems(largest_d=12, largest_k=20, kinds=EASY, least=-1), powers(-8, -3))
def test_all_methods_agree_as_far_as_their_gaps_allow(drawn, tol):
    params, y, lam = Params(drawn.W), drawn.y, drawn.lam
    found = [infer(params, y, lam, method, tol=tol, max_iter=100_000) for method in METHODS]
    for one in found:
        for other in found:
            slack = tol * one.energy + 1e-12 * (y**2).sum(axis=1)
            assert (np.abs(one.energy - other.energy) <= slack).all()
            apart = ((decode(params, one.z) - decode(params, other.z)) ** 2).sum(axis=1)
            assert (np.sqrt(apart) <= 2 * np.sqrt(slack)).all()


# inference: closed forms


@ANY_METHOD
@given(rng=generators(), k=SIZES, lam=st.floats(0.01, 4))
def test_with_orthonormal_atoms_the_code_is_shrunk_by_half_of_lambda(method, rng, k, lam):
    params, y = Params(dictionary(rng, 6, k, "orthogonal")), rng.normal(size=(3, 6))
    found = infer(params, y, lam, method, tol=1e-9)
    np.testing.assert_allclose(found.z, shrink(y @ params.W, lam / 2), atol=1e-6)


@given(generators(), st.floats(0.01, 1))
def test_with_orthonormal_atoms_the_notes_threshold_lambda_is_not_the_minimiser(rng, fraction):
    params, y = Params(dictionary(rng, 6, 6, "orthogonal")), rng.normal(size=(3, 6))
    lam = fraction * np.abs(y @ params.W).max(axis=1).min()
    note, right = shrink(y @ params.W, lam), shrink(y @ params.W, lam / 2)
    np.testing.assert_allclose(exactly(params, y, lam).z, right, atol=1e-12)
    assert (kkt_residual(params, y, right, lam) < 1e-13).all()
    assert (kkt_residual(params, y, note, lam) > 0.9 * lam).all()
    assert (energy(params, y, right, lam) < energy(params, y, note, lam)).all()


@given(generators())
def test_the_notes_step_without_the_factor_two_leaves_a_kkt_residual(rng):
    params, y = draw_problem(rng, k=3, n=1)
    lam, L = 0.5 * np.abs(y @ params.W).max(), np.linalg.norm(params.W, 2) ** 2
    z = np.zeros((1, 3))
    for _ in range(1500):
        z = shrink(z - (z @ params.W.T - y) @ params.W / L, lam / L)
    assert kkt_residual(params, y, z, lam)[0] > 0.1 * lam
    assert exactly(params, y, lam).energy[0] < energy(params, y, z, lam)[0]
    assert kkt_residual(params, y, z, 2 * lam)[0] < 1e-8  # half of the stated energy, at twice the lambda


@ANY_METHOD
@given(w=st.floats(0.1, 10), y=st.floats(-10, 10), lam=st.floats(1e-3, 20))
def test_one_atom_in_one_dimension_is_solved_by_hand(method, w, y, lam):
    expected = np.sign(y) * max(w * abs(y) - lam / 2, 0) / w**2
    found = infer(Params(np.array([[w]])), np.array([[y]]), lam, method, tol=1e-9)
    # E - F >= w^2 (z - z*)^2
    assert abs(found.z[0, 0] - expected) <= np.sqrt(1.1e-9 * found.energy[0]) / w + 1e-12 * abs(expected)


@ANY_METHOD
@given(rng=generators(), d=SIZES, k=SIZES)
def test_the_code_is_zero_exactly_from_lambda_twice_the_largest_correlation_on(method, rng, d, k):
    params, y = draw_problem(rng, d, k, n=1)
    border = 2 * np.abs(y @ params.W).max()
    found = infer(params, y, border * (1 + 1e-12), method)
    assert not found.z.any()
    assert found.converged.all()
    assert found.energy == pytest.approx((y**2).sum())
    assert infer(params, y, 0.9 * border, method, tol=1e-4).z.any()


@ANY_METHOD
def test_twins_may_share_a_code_but_not_its_sum_with_that_of_the_only_child(method):
    params, y = Params(np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])), np.array([[3.0, -2.0]])
    z = infer(params, y, 1.0, method, tol=1e-10).z
    np.testing.assert_allclose([z[0, 0] + z[0, 1], z[0, 2]], [2.5, -1.5], atol=1e-4)


# inference: what it promises


@ANY_METHOD
@given(rng=generators(), tol=powers(-8, -3))
def test_from_the_solution_nothing_is_iterated_at_all(method, rng, tol):
    params, y = draw_problem(rng)
    best = infer(params, y, 0.3, method, tol=tol, max_iter=100_000)
    again = infer(params, y, 0.3, method, tol=tol, z0=best.z)
    assert again.n_iter == 0
    assert again.converged.all()
    np.testing.assert_array_equal(again.z, best.z)


@ANY_METHOD
@given(rng=generators(), size=powers(-3, 3))
def test_wherever_it_starts_it_ends_at_the_same_code(method, rng, size):
    params, y = draw_problem(rng, k=4)
    found = infer(params, y, 0.5, method, tol=1e-9, max_iter=100_000, z0=size * rng.normal(size=(4, 4)))
    _, best = by_all_signs(params.W, y, 0.5)
    np.testing.assert_allclose(decode(params, found.z), best @ params.W.T, atol=2e-4)
    assert found.converged.all()


@ANY_METHOD
def test_by_default_it_starts_at_zero(method, rng):
    params, y = draw_problem(rng)
    zero = infer(params, y, 0.3, method, z0=np.zeros((4, 5)))
    for one, other in zip(infer(params, y, 0.3, method), zero, strict=True):
        np.testing.assert_array_equal(one, other)


@ANY_METHOD
@given(rng=generators())
def test_a_row_does_not_depend_on_its_neighbours(method, rng):
    params, y = draw_problem(rng)
    z0 = rng.normal(size=(4, 5))
    batch = infer(params, y, 0.3, method, tol=1e-8, z0=z0, max_iter=100_000)
    for n in range(4):
        row = infer(params, y[[n]], 0.3, method, tol=1e-8, z0=z0[[n]], max_iter=100_000)
        np.testing.assert_allclose(batch.energy[[n]], row.energy, rtol=2e-8)
        np.testing.assert_allclose(decode(params, batch.z[[n]]), decode(params, row.z), atol=2e-3)


@ANY_METHOD
@given(rng=generators(), most=st.integers(1, 40), tol=powers(-9, -1))
def test_who_is_said_to_have_converged_has_the_others_have_not_and_the_warning_counts_them(method, rng, most, tol):
    params, y = draw_problem(rng, d=6, k=9, n=7)
    y = y * np.array([[0], [1e-3], [0.1], [1], [1], [2], [5]])
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        found = infer(params, y, 0.1, method, tol=tol, max_iter=most)
    assert found.n_iter <= most
    slack = 1e-13 * scale_of(params.W, y, found.z, 0.1)
    gaps = gap(params, y, found.z, 0.1)
    assert (gaps <= tol * found.energy + slack)[found.converged].all()
    assert (gaps > tol * found.energy - slack)[~found.converged].all()
    n_left = int(np.count_nonzero(~found.converged))
    assert [w.category for w in heard] == [ConvergenceWarning] * min(n_left, 1)
    if n_left:
        assert str(heard[0].message).startswith(f"{n_left} of 7 samples have not converged after {found.n_iter} ")


def test_the_warning_points_at_the_line_of_the_caller(rng):
    params, y = draw_problem(rng, d=6, k=9, n=7)
    with pytest.warns(ConvergenceWarning) as heard:
        infer(params, y, 0.1, "ista", max_iter=1)
    assert heard[0].filename == __file__


@ANY_METHOD
def test_too_few_iterations_are_reported_and_the_best_so_far_is_returned(method, rng):
    params, y = draw_problem(rng, d=20, k=60, n=3)
    with pytest.warns(ConvergenceWarning, match=r"^3 of 3 samples have not converged after 2 iterations"):
        found = infer(params, y, 1e-3, method, tol=1e-9, max_iter=2)
    assert not found.converged.any()
    assert found.n_iter == 2
    assert (found.energy < (y**2).sum(axis=1)).all()


@ANY_ITERATES
@given(rng=generators(), tol=powers(-7, -1))
def test_the_trace_is_the_path_and_ends_when_the_last_sample_has_converged(method, rng, tol):
    params, y = draw_problem(rng)
    y = y * np.array([[0.01], [1], [1], [5]])
    found = infer(params, y, 0.3, method, tol=tol, trace=True, max_iter=100_000)
    assert found.trace.shape == (found.n_iter, 4, 5)
    path = np.concatenate([np.zeros((1, 4, 5)), found.trace])
    done = gap(params, y, path, 0.3) <= tol * energy(params, y, path, 0.3)
    assert done[-1].all()
    assert not done[:-1].all(axis=1).any()
    assert found.converged.all()
    np.testing.assert_array_equal(path[-1], found.z)
    for n in range(4):
        since = done[:, n].argmax()
        assert (path[since:, n] == path[since, n]).all()
        assert since == 0 or (path[since, n] != path[since - 1, n]).any()


@pytest.mark.parametrize(
    ("method", "of_the_textbook"),
    [
        ("ista", textbook.ista),
        ("fista", partial(textbook.fista, restart=True)),
        ("coordinate_descent", textbook.coordinate_descent),
    ],
)
def test_each_method_takes_the_steps_of_the_textbook_with_a_trace_and_without(method, of_the_textbook, rng):
    params, y = draw_problem(rng, d=12, k=20)
    iterates = of_the_textbook(params.W, y, 0.3, np.zeros((4, 20)))
    with pytest.warns(ConvergenceWarning):
        found = infer(params, y, 0.3, method, tol=1e-15, max_iter=60, trace=True)
    assert len(found.trace) == 60
    for z in found.trace:
        np.testing.assert_allclose(z, next(iterates), rtol=1e-8, atol=1e-10)
    for n in (1, 9):
        with pytest.warns(ConvergenceWarning, match=f"after {n} iterations"):
            without = infer(params, y, 0.3, method, tol=1e-15, max_iter=n)
        np.testing.assert_allclose(without.z, found.trace[n - 1], rtol=1e-9, atol=1e-11)


@ANY_METHOD
def test_the_codes_of_a_sample_lie_side_by_side(method, rng):
    params, y = draw_problem(rng, d=6, k=9)
    assert infer(params, y, 0.3, method).z.flags.c_contiguous  # else to take a batch would be a hundred times slower


@ANY_METHOD
def test_the_type_returned_does_not_depend_on_flags(method, rng):
    params, y = draw_problem(rng)
    found = infer(params, y, 0.3, method)
    assert type(found) is Inference
    assert found.trace.shape == (0, 4, 5)
    assert found.converged.dtype == bool
    assert type(found.n_iter) is int
    np.testing.assert_array_equal(found.energy, energy(params, y, found.z, 0.3))


def test_a_path_that_is_not_there_is_refused_by_name(rng):
    with pytest.raises(ValueError, match=r"^trace: expected False for the method 'active_set'"):
        infer(*draw_problem(rng), 0.3, "active_set", trace=True)


def test_fista_is_the_default_method_and_takes_far_fewer_iterations_than_ista(rng):
    params, y = draw_problem(rng, d=20, k=40)
    n_iter = {method: infer(params, y, 1.0, method).n_iter for method in ("ista", "fista")}
    assert infer(params, y, 1.0).n_iter == n_iter["fista"]
    assert 4 * n_iter["fista"] < n_iter["ista"]


# inference: units, precision, borders


@ANY_METHOD
@given(rng=generators(), e=st.integers(-400, 400), f=st.integers(-400, 400))
def test_in_other_units_it_is_the_same_problem(method, rng, e, f):
    params, y = draw_problem(rng)
    c, a = 2.0**e, 2.0**f
    plain = infer(params, y, 0.3, method)
    found = infer(Params(c * params.W), a * y, a * c * 0.3, method)
    np.testing.assert_array_equal(found.z * (c / a), plain.z)
    np.testing.assert_array_equal(found.energy, a**2 * plain.energy)
    assert found.n_iter == plain.n_iter


@ANY_METHOD
@pytest.mark.parametrize("c", [1e-150, 1.0, 1e150])
@pytest.mark.parametrize("a", [1e-150, 1.0, 1e150])
def test_very_large_and_very_small_units_are_no_trouble(method, c, a, rng):
    params, y = draw_problem(rng)
    lam = min(0.3 * a * c, 1e300)
    found = infer(Params(c * params.W), a * y, lam, method, tol=1e-6)
    np.testing.assert_allclose(found.energy, a**2 * infer(params, y, lam / a / c, method).energy, rtol=2e-6)


@ANY_METHOD
@pytest.mark.parametrize("e", [-502, -490, 490, 502])
def test_to_the_last_number_that_is_accepted_one_atom_is_solved_by_hand(method, e):
    w = y = 2.0**e
    found = infer(Params(np.array([[w]])), np.array([[y]]), 0.5 * w * y, method, tol=1e-9)
    assert found.z[0, 0] == pytest.approx(0.75, abs=1e-4)


@ANY_METHOD
@pytest.mark.parametrize("c", [1e-308, 1e-200, 1.0, 1e150])
@pytest.mark.parametrize("a", [1e-308, 1e-200, 1.0, 1e150])
def test_units_whose_ratios_no_number_can_hold_give_finite_codes_and_no_warning_but_the_one(method, c, a, rng):
    params, y = draw_problem(rng)
    params, y = Params(c * params.W), a * y
    for lam in (1e-300, 1.0, 1e300):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = infer(params, y, lam, method, max_iter=60)
        assert np.isfinite(found.z).all()
        assert (found.energy <= (y**2).sum(axis=1) * (1 + 1e-9)).all()
        if lam > 2 * np.abs(y @ params.W).max():
            assert not found.z.any()


@ANY_METHOD
@pytest.mark.parametrize("tol", [1e-3, 1e-6])
def test_single_precision_is_kept_and_finds_the_minimum_to_its_digits(method, tol, rng):
    params, y = draw_problem(rng)
    single = Params(params.W.astype(np.float32)), y.astype(np.float32)
    found = infer(*single, 0.3, method, tol=tol, z0=np.ones((4, 5)))
    assert {a.dtype for a in (found.z, found.energy, found.trace)} == {np.dtype(np.float32)}
    exact = exactly(Params(single[0].W.astype(float)), single[1].astype(float), 0.3).energy
    np.testing.assert_allclose(found.energy, exact, rtol=tol + 1e-6)
    assert free_energy_grad_y(*single, 0.3, method=method, tol=tol).dtype == np.float32
    weights = np.ones(4, np.float32)
    assert free_energy_grad_params(*single, 0.3, weights, method=method, tol=tol).W.dtype == np.float32


@ANY_METHOD
def test_a_gap_that_single_precision_cannot_certify_is_reached_nevertheless(method, rng):
    params, y = draw_problem(rng, d=40, k=20, n=50)
    found = infer(Params(params.W.astype(np.float32)), y.astype(np.float32), 1.0, method, tol=1e-9)
    assert found.converged.all()
    assert found.z.dtype == np.float32
    assert not (found.z == found.z.astype(np.float16)).all()


@ANY_ITERATES
def test_the_trace_is_single_too(method, rng):
    params, y = draw_problem(rng)
    found = infer(Params(params.W.astype(np.float32)), y.astype(np.float32), 0.3, method, tol=1e-5, trace=True)
    assert found.trace.dtype == np.float32


@pytest.mark.parametrize("mixed", [(np.float32, np.float64), (np.float64, np.float32), (np.int64, np.float32)])
def test_one_argument_of_double_precision_or_integers_makes_the_result_double(mixed, rng):
    W, y = (5 * rng.normal(size=(8, 5))).astype(mixed[0]), rng.normal(size=(4, 8)).astype(mixed[1])
    assert infer(Params(W), y, 0.3).z.dtype == np.float64


@ANY_METHOD
def test_integers_are_numbers(method):
    W, y = np.array([[1, 2], [0, 1]]), np.array([[3, 4]])
    found = infer(Params(W), y, 1, method, tol=1e-10)
    np.testing.assert_allclose(found.z, [[-1.5, 2.5]], atol=1e-4)
    assert found.energy == pytest.approx(6.5)
    assert infer(Params([[2]]), [[3]], 1, method, tol=1e-10).z[0, 0] == pytest.approx(1.375, abs=1e-5)


@ANY_METHOD
@pytest.mark.parametrize("trace", [False, True])
def test_an_observation_of_zeros_has_a_code_of_zeros_among_others_and_alone(method, trace, rng):
    trace = trace and method in ITERATES
    params, y = draw_problem(rng)
    y = y * np.array([[0], [1], [0], [1]])
    found = infer(params, y, 0.3, method, trace=trace)
    assert found.converged.all()
    assert not found.z[::2].any()
    alone = infer(params, y[:1], 0.3, method, trace=trace)
    assert alone.energy == 0
    assert alone.converged.all()


@ANY_METHOD
@pytest.mark.parametrize("size", [0.0, 1e-300, 1e-160, 1e-8])
def test_a_dictionary_of_nothing_explains_nothing_wherever_the_search_starts(method, size):
    y = np.array([[1.0, 2.0], [0.5, -1.0]])
    for z0 in (None, np.ones((2, 3))):
        found = infer(Params(np.full((2, 3), size)), y, 0.3, method, z0=z0)
        np.testing.assert_array_equal(found.z, 0)
        np.testing.assert_allclose(found.energy, (y**2).sum(axis=1))
        assert found.converged.all()


@ANY_METHOD
def test_an_atom_of_zeros_is_never_used_wherever_the_search_starts(method, rng):
    params, y = draw_problem(rng, k=2)
    with_dead = Params(np.column_stack([params.W, np.zeros(16)]))
    found = infer(with_dead, y, 0.3, method, z0=np.ones((4, 3)))
    assert not found.z[:, 2].any()
    np.testing.assert_allclose(found.energy, free_energy(params, y, 0.3), rtol=2e-6)


@ANY_METHOD
def test_however_large_lambda_is_the_code_is_zero(method, rng):
    params, y = draw_problem(rng)
    for lam in (1e3, 1e100, 1e300):
        found = infer(params, y, lam, method, z0=rng.normal(size=(4, 5)))
        assert not found.z.any()
        np.testing.assert_allclose(found.energy, (y**2).sum(axis=1))


@ANY_METHOD
@given(W=arrays((3, 4)), y=arrays((2, 3)), lam=powers(-9, 9))
def test_numbers_of_whatever_size_side_by_side_give_finite_codes_and_no_warning_but_the_one(method, W, y, lam):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = infer(Params(W), y, lam, method, max_iter=60)
    assert np.isfinite(found.z).all()
    slack = 1e-12 * scale_of(W, y, found.z, lam)
    assert (gap(Params(W), y, found.z, lam) <= 1e-6 * found.energy + slack)[found.converged].all()
    assert (found.energy <= (y**2).sum(axis=1) * (1 + 1e-6) + slack).all() or method == "fista"


# free energy


@ANY_METHOD
def test_the_free_energy_is_the_energy_of_the_code_found_with_the_same_options(method, rng):
    params, y = draw_problem(rng)
    options = {"method": method, "tol": 1e-2, "z0": np.ones((4, 5))}
    np.testing.assert_array_equal(free_energy(params, y, 0.3, **options), infer(params, y, 0.3, **options).energy)


@given(problems(largest_k=4))
def test_the_free_energy_is_the_least_energy_of_all_codes(drawn):
    F = free_energy(Params(drawn.W), drawn.y, drawn.lam, method="active_set", tol=1e-9)
    np.testing.assert_allclose(F, by_all_signs(*drawn)[0], rtol=1e-9, atol=1e-13)


@given(generators(), st.floats(0.01, 3), st.floats(0.01, 3), st.floats(0, 1))
def test_the_free_energy_grows_with_lambda_and_is_concave_in_it(rng, a, b, t):
    params, y = draw_problem(rng, d=5, k=8)
    at = [exactly(params, y, lam).energy for lam in (a, b, t * a + (1 - t) * b)]
    assert ((at[0] - at[1]) * (a - b) >= -1e-10).all()
    assert (at[2] >= t * at[0] + (1 - t) * at[1] - 1e-10).all()


@given(problems(largest_k=6), generators(), powers(-4, 1))
def test_its_gradient_in_y_is_a_tangent_from_below_and_of_a_parabola_from_above(drawn, rng, size):
    # F is convex, and F(y + h) <= E(y + h, z-check(y)) = F(y) + <g, h> + ||h||^2: no other g satisfies both
    W, y, lam = drawn
    params, h = Params(W), size * rng.normal(size=y.shape)
    g = free_energy_grad_y(params, y, lam, method="active_set", tol=1e-9)
    tangent = exactly(params, y, lam, tol=1e-9).energy + (g * h).sum(axis=1)
    ahead = exactly(params, y + h, lam, tol=1e-9).energy
    slack = 1e-8 * (np.abs(y) + np.abs(h)).max() ** 2
    assert (ahead >= tangent - slack).all()
    assert (ahead <= tangent + (h**2).sum(axis=1) + slack).all()


@given(problems(largest_k=5, kinds=("random", "common", "duplicate", "zero", "orthogonal"), least=-2), generators())
def test_its_gradient_in_y_is_the_slope_of_the_exact_free_energy(drawn, rng):
    W, y, lam = drawn
    direction, step = rng.normal(size=y.shape), 1e-4
    ahead, behind = (by_all_signs(W, y + s * direction, lam)[0] for s in (step, -step))
    g = free_energy_grad_y(Params(W), y, lam, method="active_set", tol=1e-9)
    # F's second derivative is at most 2
    atol = 2 * step * (direction**2).sum(axis=1).max() + 1e-7 * np.abs(y).max()
    np.testing.assert_allclose((ahead - behind) / (2 * step), (g * direction).sum(axis=1), atol=atol)


@ANY_METHOD
@given(drawn=problems(largest_d=10, largest_k=10, kinds=EASY, least=-1), tol=powers(-6, -1))
def test_the_square_error_of_the_gradient_in_y_is_at_most_4_tol_f(method, drawn, tol):
    params, y, lam = Params(drawn.W), drawn.y, drawn.lam
    exact = free_energy_grad_y(params, y, lam, method="active_set", tol=1e-10)
    found = free_energy_grad_y(params, y, lam, method=method, tol=tol, max_iter=100_000)
    F = free_energy(params, y, lam, method="active_set", tol=1e-10)
    slack = 1e-9 * (y**2).sum(axis=1)
    assert (((found - exact) ** 2).sum(axis=1) <= 4 * tol * F / (1 - tol) + slack).all()


@ANY_METHOD
@given(rng=generators())
def test_its_gradient_in_the_dictionary_is_the_slope_of_the_exact_free_energy(method, rng):
    params, y = draw_problem(rng, k=4)
    weights, direction, step = rng.normal(size=4), rng.normal(size=(16, 4)), 1e-5
    _, best = by_all_signs(params.W, y, 0.5)
    c = np.abs(cost_grad_z(params, y, best))
    assume((np.where(best == 0, 0.5 - c, np.abs(best)) > 1e-3).all())  # the signs do not change on the way
    ahead, behind = (weights @ by_all_signs(params.W + s * direction, y, 0.5)[0] for s in (step, -step))
    grads = free_energy_grad_params(params, y, 0.5, weights, method=method, tol=1e-10, max_iter=100_000)
    assert type(grads) is Params
    size = np.abs(grads.W * direction).sum()
    assert abs((ahead - behind) / (2 * step) - (grads.W * direction).sum()) < 1e-3 * (1 + size)
    exact = free_energy_grad_params(params, y, 0.5, weights, method="active_set", tol=1e-12)
    assert abs((ahead - behind) / (2 * step) - (exact.W * direction).sum()) < 1e-6 * (1 + size)


def test_options_reach_the_inference_behind_the_gradients(rng):
    params, y = draw_problem(rng)
    z = infer(params, y, 0.3, "ista", tol=0.3).z
    np.testing.assert_array_equal(
        free_energy_grad_y(params, y, 0.3, method="ista", tol=0.3), energy_grad_y(params, y, z)
    )
    found = free_energy_grad_params(params, y, 0.3, np.ones(4), method="ista", tol=0.3)
    np.testing.assert_array_equal(found.W, energy_grad_params(params, y, z, np.ones(4)).W)


@given(generators(), st.floats(1.01, 100))
def test_a_longer_dictionary_with_a_shorter_code_decodes_the_same_at_less_energy(rng, a):
    params, y = draw_problem(rng)
    z = rng.normal(size=(4, 5))
    long, short = Params(a * params.W), z / a
    np.testing.assert_allclose(decode(long, short), decode(params, z), rtol=1e-12, atol=1e-13)
    saved = energy(params, y, z, 0.3) - energy(long, y, short, 0.3)
    np.testing.assert_allclose(saved, 0.3 * (1 - 1 / a) * np.abs(z).sum(axis=1), rtol=1e-9)


# dictionaries


@given(SIZES, SIZES, generators())
def test_initial_atoms_have_unit_norm(d, k, rng):
    params = init(rng, d, k)
    assert type(params) is Params
    assert params.W.shape == (d, k)
    np.testing.assert_allclose(np.linalg.norm(params.W, axis=0), 1, rtol=1e-14)


def test_initial_atoms_are_uniform_on_the_sphere():
    k = 40_000
    W = init(np.random.default_rng(0), 3, k).W
    # Archimedes: each coordinate of a point on the sphere in three dimensions is uniform on [-1, 1]
    for coordinate in W:
        counts = np.histogram(coordinate, bins=10, range=(-1, 1))[0]
        assert ((counts - k / 10) ** 2 / (k / 10)).sum() < 9 + 6 * np.sqrt(18)
    np.testing.assert_allclose(W @ W.T / k, np.eye(3) / 3, atol=0.02)


def test_initial_atoms_are_the_generators_alone():
    a, b, c = (init(np.random.default_rng(seed), 3, 4).W for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_initial_atoms_are_double_unless_asked_for_single():
    assert init(np.random.default_rng(0), 3, 2).W.dtype == np.float64
    assert init(np.random.default_rng(0), 3, 2, np.float32).W.dtype == np.float32


@given(arrays((4, 3), smallest=1e-3).filter(lambda W: W.any(axis=0).all()))
def test_unit_columns_keeps_the_directions_of_atoms_and_makes_their_norms_one(W):
    unit = unit_columns(Params(W)).W
    norms = np.linalg.norm(W, axis=0)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=0), 1, rtol=1e-14)
    np.testing.assert_allclose(unit * norms, W, rtol=1e-14)


def test_a_column_of_zeros_has_no_direction_and_stays():
    np.testing.assert_array_equal(unit_columns(Params(np.array([[3.0, 0], [4, 0]]))).W, [[0.6, 0], [0.8, 0]])


# what all share


@ANY_METHOD
def test_nothing_handed_in_is_written_to(method, rng):
    params, y = draw_problem(rng)
    z, weights = rng.normal(size=(4, 5)), np.ones(4)
    for argument in (z, weights):
        argument.setflags(write=False)
    unit_columns(params)
    energy(params, y, z, 0.3)
    gap(params, y, z, 0.3)
    kkt_residual(params, y, z, 0.3)
    cost_grad_z(params, y, z)
    energy_grad_params(params, y, z, weights)
    infer(params, y, 0.3, method, z0=z, trace=method in ITERATES)
    infer(params, y, 0.3, method, z0=z)
    free_energy_grad_params(params, y, 0.3, weights, method=method)


def test_every_method_has_a_name_and_all_names_are_tested():
    assert (
        set(METHODS) == {"ista", "fista", "coordinate_descent", "active_set"} == set(ITERATES) | set(sparse_coding.FAST)
    )


# what it refuses

W, Y = np.eye(3, 2), np.ones((4, 3))
NAN = np.full((4, 3), np.nan)


@pytest.mark.parametrize(
    ("name", "error", "arguments"),
    [
        ("params.W", ValueError, {"params": Params(np.ones(3))}),
        ("params.W", ValueError, {"params": Params(np.ones((3, 0)))}),
        ("params.W", ValueError, {"params": Params(np.full((3, 2), np.inf))}),
        ("params.W", TypeError, {"params": Params(None)}),
        ("params.W", TypeError, {"params": Params(W * 1j)}),
        ("y", ValueError, {"y": np.ones(3)}),
        ("y", ValueError, {"y": np.ones((4, 2))}),
        ("y", ValueError, {"y": np.ones((0, 3))}),
        ("y", ValueError, {"y": NAN}),
        ("y", ValueError, {"y": [[1, 2, 3], [4, 5]]}),
        ("y", ValueError, {"y": 1e200 * Y}),
        ("y", TypeError, {"y": None}),
        ("y", TypeError, {"y": Y.astype(str)}),
        ("y", TypeError, {"y": Y * 1j}),
        ("lam", ValueError, {"lam": 0}),
        ("lam", ValueError, {"lam": -1e-9}),
        ("lam", ValueError, {"lam": np.nan}),
        ("lam", ValueError, {"lam": np.inf}),
        ("lam", TypeError, {"lam": None}),
        ("lam", TypeError, {"lam": np.ones(4)}),
        ("lam", TypeError, {"lam": 1j}),
        ("method", ValueError, {"method": "lasso"}),
        ("method", ValueError, {"method": None}),
        ("tol", ValueError, {"tol": 0}),
        ("tol", ValueError, {"tol": -1e-3}),
        ("tol", ValueError, {"tol": np.nan}),
        ("tol", TypeError, {"tol": "1e-3"}),
        ("max_iter", ValueError, {"max_iter": 0}),
        ("max_iter", TypeError, {"max_iter": 10.0}),
        ("z0", ValueError, {"z0": np.ones((4, 3))}),
        ("z0", ValueError, {"z0": np.ones((3, 2))}),
        ("z0", ValueError, {"z0": np.ones(2)}),
        ("z0", ValueError, {"z0": np.full((4, 2), np.nan)}),
        ("z0", TypeError, {"z0": "zero"}),
        ("z0", ValueError, {"z0": np.full((4, 2), 1e17)}),
        ("z0", ValueError, {"z0": np.ones((4, 2)), "y": np.full((4, 3), 1e-30)}),
        ("params", TypeError, {"params": np.ones((3, 2))}),
        ("tol", ValueError, {"tol": 1e308}),
        ("trace", TypeError, {"trace": "no"}),
    ],
)
@pytest.mark.parametrize(
    "function",
    [infer, free_energy, free_energy_grad_y, partial(free_energy_grad_params, weights=np.ones(4))],
    ids=["infer", "F", "grad_y F", "grad_W F"],
)
def test_inference_refuses_a_bad_argument_by_name(function, name, error, arguments):
    with pytest.raises(error, match=rf"^{name}: expected"):
        function(**{"params": Params(W), "y": Y, "lam": 0.1, **arguments})


def test_a_wrong_shape_is_answered_in_the_letters_of_the_page():
    with pytest.raises(ValueError, match=r"^params.W: expected shape \(d, k\), got shape \(3,\)$"):
        infer(Params(np.ones(3)), Y, 0.1)
    with pytest.raises(ValueError, match=r"^y: expected shape \(N, 3\), got shape \(4, 2\)$"):
        infer(Params(W), Y[:, :2], 0.1)
    with pytest.raises(ValueError, match=r"^z0: expected shape \(4, 2\), got shape \(2,\)$"):
        infer(Params(W), Y, 0.1, z0=np.ones(2))


@pytest.mark.parametrize(
    ("name", "error", "arguments"),
    [
        ("rng", TypeError, {"rng": 0}),
        ("rng", TypeError, {"rng": None}),
        ("d", ValueError, {"d": 0}),
        ("d", TypeError, {"d": 2.0}),
        ("k", ValueError, {"k": -1}),
        ("k", TypeError, {"k": "3"}),
        ("dtype", TypeError, {"dtype": int}),
    ],
)
def test_init_refuses_a_bad_argument_by_name(name, error, arguments):
    with pytest.raises(error, match=rf"^{name}: expected"):
        init(**{"rng": np.random.default_rng(0), "d": 3, "k": 2, **arguments})


@given(generators(), st.integers(-25, 25) | st.integers(-1000, 1000))
def test_the_unit_is_a_power_of_two_near_the_largest_number_one_for_usual_ones_and_can_be_squared(rng, exponent):
    a = rng.choice([-1, 1]) * np.ldexp(np.append(1e-3 * rng.uniform(-1, 1, 4), 0.75), exponent)
    unit = sparse_coding._power_of_two(a)
    assert np.frexp(unit)[0] == 0.5
    assert 0 < unit**2 < np.inf
    if abs(exponent) <= sparse_coding.USUAL:
        assert unit == 1
    elif abs(exponent) <= 500:
        assert 0.5 <= np.abs(a).max() / unit < 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("share", [1, 0.5])
@pytest.mark.parametrize("z0", [None, np.ones((4, 5))], ids=["cold", "warm"])
def test_the_search_is_in_single_precision_where_that_is_what_came_and_certifies_enough(dtype, share, z0, rng):
    params, y = draw_problem(rng)
    with mock.patch.object(sparse_coding, "_search", wraps=sparse_coding._search) as search:
        infer(Params(params.W.astype(dtype)), y.astype(dtype), 0.3, tol=share * sparse_coding.SINGLE, z0=z0)
    _, W, searched, _, z, *_ = search.call_args.args
    expected = dtype if share == 1 else np.float64
    assert {a.dtype for a in (W, searched, z)} == {np.dtype(expected)}


@ANY_METHOD
@pytest.mark.parametrize("unit", [1.0, 2.0**-40, 2.0**40])
def test_from_the_minimiser_no_step_is_made_whatever_the_unit_and_wherever_atoms_of_zeros_start(method, unit, rng):
    params, y = draw_problem(rng)
    W = np.pad(params.W, ((0, 0), (0, 1)))
    best = infer(Params(unit * W), y, 0.3 * unit, method, tol=1e-6)
    assert best.converged.all()
    again = infer(Params(unit * W), y, 0.3 * unit, method, tol=1e-5, z0=best.z + 7 * (np.arange(6) == 5))
    assert again.n_iter == 0
    np.testing.assert_array_equal(again.z, best.z)
