from itertools import islice
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sparse.problems import dictionary, problems
from strategies import generators

from ebm_np.sparse import fast_fista, textbook
from ebm_np.sparse.gram_form import certify, correlation, pose

NEVER = 1e-300
"""A tolerance that no gap meets before it is zero."""
double_only = patch.object(fast_fista, "ROUGH_STEPS", 0)


def draw_problem(rng, d=8, k=14, n=9, lam=0.2):
    W = dictionary(rng, d, k)
    return W / np.linalg.norm(W, axis=0), rng.normal(size=(n, d)), lam


def textbook_iterate(W, y, lam, z, n):
    return list(islice(textbook.fista(W, y, lam, z, restart=True), n))[-1]


def relative_gaps(problem, z):
    energy, gap = certify(problem, z, correlation(problem, z))
    return gap / energy


@given(generators(), st.integers(1, 45), st.booleans())
def test_it_takes_the_steps_of_the_textbook(rng, n, elsewhere):
    W, y, lam = draw_problem(rng)
    z = rng.normal(size=(9, 14)) if elsewhere and n <= fast_fista.EVERY else np.zeros((9, 14))
    with double_only:
        found, n_iter, converged = fast_fista.solve(pose(W, y, lam), z.T, NEVER, n)
    assert n_iter == n
    assert not converged.any()
    np.testing.assert_allclose(found.T, textbook_iterate(W, y, lam, z, n), rtol=1e-8, atol=1e-10)


@given(generators(), st.integers(1, 25))
def test_so_it_does_in_single_precision_to_its_digits(rng, n):
    W, y, lam = draw_problem(rng)
    single = pose(W.astype(np.float32), y.astype(np.float32), lam)
    found, n_iter, _ = fast_fista.solve(single, np.zeros((14, 9), np.float32), NEVER, n)
    assert found.dtype == np.float32
    assert n_iter == n
    np.testing.assert_allclose(found.T, textbook_iterate(W, y, lam, np.zeros((9, 14)), n), atol=2e-4)


@given(generators(), st.integers(11, 40))
def test_beginning_in_single_precision_changes_the_path_by_rounding_only(rng, n):
    W, y, lam = draw_problem(rng)
    found, n_iter, _ = fast_fista.solve(pose(W, y, lam), np.zeros((14, 9)), NEVER, n)
    assert found.dtype == np.float64
    assert n_iter == n
    np.testing.assert_allclose(found.T, textbook_iterate(W, y, lam, np.zeros((9, 14)), n), atol=2e-4)


@given(generators(), st.integers(2, 4))
def test_samples_that_leave_do_not_disturb_those_that_stay(rng, every):
    W, y, lam = draw_problem(rng, n=24)
    y[rng.permutation(24)[::every]] *= 1e-3  # solved by zero: these leave before the first step
    easy = 2 * np.abs(y @ W).max(axis=1) < lam
    assert 8 * easy.sum() >= 24
    with double_only:
        found, n_iter, converged = fast_fista.solve(pose(W, y, lam), np.zeros((14, 24)), NEVER, 37)
    np.testing.assert_array_equal(converged, easy)
    assert not found[:, easy].any()
    np.testing.assert_allclose(
        found.T[~easy], textbook_iterate(W, y[~easy], lam, np.zeros((24, 14))[~easy], 37), rtol=1e-8, atol=1e-10
    )
    assert n_iter == 37


@given(problems(largest_d=8, largest_k=8, largest_n=20, kinds=("random", "duplicate", "zero", "integer"), least=-1))
def test_who_is_said_to_have_converged_has_and_the_others_have_not(drawn):
    W, y, lam = drawn
    problem = pose(W, y, lam)
    for n in (1, 10, 57, 400):
        z, n_iter, converged = fast_fista.solve(problem, np.zeros(problem.b.shape), 1e-7, n)
        energy, gap = certify(problem, z, correlation(problem, z))
        np.testing.assert_array_equal(converged, gap <= 1e-7 * energy)
        assert n_iter <= n
        assert converged.all() or n_iter == n


@given(generators(), st.integers(1, 5))
def test_blocks_of_samples_do_not_change_the_answer(rng, size):
    W, y, lam = draw_problem(rng)
    problem, z = pose(W, y, lam), np.zeros((14, 9))
    with patch.object(fast_fista, "blocks", lambda n, k: (slice(i, i + size) for i in range(0, n, size))), double_only:
        found, n_iter, _ = fast_fista.solve(problem, z, NEVER, 23)
    assert n_iter == 23
    np.testing.assert_allclose(found.T, textbook_iterate(W, y, lam, z.T, 23), rtol=1e-8, atol=1e-10)


def test_the_iterations_are_those_of_the_slowest_block(rng):
    W, y, lam = draw_problem(rng)
    y[:5] *= 1e-3
    for order in (slice(None), slice(None, None, -1)):
        with patch.object(fast_fista, "blocks", lambda n, k: iter([slice(0, 4), slice(4, 9)])):
            _, n_iter, converged = fast_fista.solve(pose(W, y[order], lam), np.zeros((14, 9)), 1e-6, 5000)
        assert converged.all()
        assert n_iter > 20


def test_more_samples_than_a_block_holds_are_solved_like_few(rng):
    W, y, lam = draw_problem(rng, d=3, k=2, n=3)
    many = np.tile(y, (60_000, 1))
    z, _, converged = fast_fista.solve(pose(W, many, lam), np.zeros((2, len(many))), 1e-10, 1000)
    assert converged.all()
    few = fast_fista.solve(pose(W, y, lam), np.zeros((2, 3)), 1e-10, 1000)[0]
    np.testing.assert_allclose(z.T, np.tile(few.T, (60_000, 1)), atol=1e-4)


@pytest.mark.parametrize("tol", [1e-2, 1e-5, 1e-8, 1e-11])
def test_double_precision_goes_on_from_where_single_precision_ends(tol, rng):
    W, y, lam = draw_problem(rng, n=50)
    z, _, converged = fast_fista.solve(pose(W, y, lam), np.zeros((14, 50)), tol, 20_000)
    assert converged.all()
    assert relative_gaps(pose(W, y, lam), z).max() <= tol


def test_where_rounding_holds_the_gap_up_single_precision_is_given_up_after_a_while(rng):
    W, y, lam = draw_problem(rng)
    with patch.object(fast_fista, "ROUGH", 0.0):  # which single precision does not reach
        _, n_iter, converged = fast_fista.solve(pose(W, y, lam), np.zeros((14, 9)), 1e-12, 20_000)
    assert converged.all()
    assert fast_fista.ROUGH_STEPS < n_iter < 20_000


def test_a_start_at_the_minimum_is_returned_as_it_is(rng):
    W, y, lam = draw_problem(rng)
    best, _, converged = fast_fista.solve(pose(W, y, lam), np.zeros((14, 9)), 1e-9, 20_000)
    assert converged.all()
    again, n_iter, converged = fast_fista.solve(pose(W, y, lam), best, 1e-9, 20_000)
    assert n_iter == 0
    assert converged.all()
    np.testing.assert_array_equal(again, best)


@pytest.mark.parametrize(("dtype", "n"), [(np.float32, 25), (np.float64, fast_fista.EVERY), (np.float64, 25)])
def test_all_that_takes_part_in_an_iteration_is_of_one_type_single_first_where_it_is_worth_it(dtype, n, rng):
    W, y, lam = draw_problem(rng)
    problem, z = pose(W, y, lam).astype(dtype), rng.normal(size=(14, 9)).astype(dtype)
    with patch.object(fast_fista, "_advance", wraps=fast_fista._advance) as advance:
        converged = fast_fista.solve(problem, z, NEVER, n)[2]
    types = [
        {a.dtype for a in (*part[:4], step.forward, state.z, state.x)}
        for part, step, state, _ in (call.args for call in advance.call_args_list)
    ]
    single, wanted = {np.dtype(np.float32)}, {np.dtype(dtype)}
    assert types == ([single] * 2 + [wanted] if n == 25 else [wanted])
    assert converged.dtype == bool


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_handed_in_is_written_to(dtype, rng):
    W, y, lam = draw_problem(rng)
    problem, z = pose(W, y, lam).astype(dtype), rng.normal(size=(14, 9)).astype(dtype)
    for a in (*problem[:4], z):
        a.setflags(write=False)
    fast_fista.solve(problem, z, 1e-4, 60)


def test_a_dictionary_of_zeros_needs_no_iteration(rng):
    z, n_iter, converged = fast_fista.solve(
        pose(np.zeros((3, 2)), rng.normal(size=(4, 3)), 0.1), np.zeros((2, 4)), 1e-6, 9
    )
    assert not z.any()
    assert n_iter == 0
    assert converged.all()
