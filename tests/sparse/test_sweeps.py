from itertools import islice
from unittest.mock import patch

import numpy as np
import pytest
from guards import peak
from hypothesis import given
from hypothesis import strategies as st
from sparse.problems import by_all_signs, dictionary, problems, total
from strategies import generators

from ebm_np.sparse import sweeps as module
from ebm_np.sparse import textbook
from ebm_np.sparse.gram_form import pose
from ebm_np.sparse.sweeps import descent, sweeps


def relaxed(w):
    return patch.object(module, "RELAXATION", w)


def swept_by_loops(W, y, lam, z, w):
    """Equation (1) for one sample: a prox step of length w / G_jj on one code after the other."""
    z = z.copy()
    for j in np.flatnonzero(W.any(axis=0)):
        square = W[:, j] @ W[:, j]
        u = z[j] + w * (W[:, j] @ (y - W @ z)) / square
        z[j] = np.sign(u) * max(abs(u) - w * lam / 2 / square, 0)
    return z


@given(generators(), st.integers(1, 12), st.integers(1, 40), st.integers(1, 4), st.booleans())
def test_without_relaxation_a_sweep_is_that_of_the_textbook(rng, d, k, n, with_zeros):
    unit = 10.0 ** rng.uniform(-4, 4)
    W, y, lam = unit * dictionary(rng, d, k), rng.normal(size=(5, d)), 0.6 * unit
    z = rng.normal(size=(5, k)) / unit
    if with_zeros:
        W[:, rng.integers(k)] = 0
        z *= W.any(axis=0)
    with relaxed(1.0):
        found = sweeps(pose(W, y, lam), z.T, n)
    expected = list(islice(textbook.coordinate_descent(W, y, lam, z), n))[-1]
    np.testing.assert_allclose(found.T, expected, rtol=1e-8, atol=1e-9 * (1 + np.abs(expected).max()))


@given(generators(), st.sampled_from([1, 15, 16, 17, 33]), st.floats(0.01, 1.99), st.sampled_from([1, 7, 16, 50]))
def test_relaxed_it_is_a_prox_step_of_that_length_on_one_code_after_the_other(rng, k, w, block):
    W, y, z = dictionary(rng, 9, k), rng.normal(size=(3, 9)), rng.normal(size=(3, k))
    with relaxed(w), patch.object(module, "BLOCK", block):
        found = sweeps(pose(W, y, 0.6), z.T, 2).T
    for n in range(3):
        expected = swept_by_loops(W, y[n], 0.6, swept_by_loops(W, y[n], 0.6, z[n], w), w)
        np.testing.assert_allclose(found[n], expected, rtol=1e-8, atol=1e-9 * (1 + np.abs(expected).max()))


@given(problems(largest_k=6), generators(), st.floats(0.01, 1.99))
def test_no_relaxation_between_0_and_2_ever_raises_the_energy(drawn, rng, w):
    W, y, lam = drawn
    problem = pose(W, y, lam)
    path = [(rng.normal(size=(len(y), W.shape[1])) * W.any(axis=0)).T]
    with relaxed(w):
        while len(path) < 12:
            path.append(sweeps(problem, path[-1], 1))
    energies = np.array([total(W, y, z.T, lam) for z in path])
    assert (np.diff(energies, axis=0) <= 1e-12 * energies[0]).all()


def test_a_relaxation_of_more_than_2_does_raise_it(rng):
    W, y = dictionary(rng, 9, 5), rng.normal(size=(3, 9))
    with relaxed(2.1):
        z = sweeps(pose(W, y, 0.1), np.zeros((5, 3)), 30)
    assert (total(W, y, z.T, 0.1) > (y**2).sum(axis=1)).all()


def test_the_relaxation_in_use_is_such_a_one_and_saves_sweeps(rng):
    assert 1 < module.RELAXATION < 2
    W, y = dictionary(rng, 30, 30), rng.normal(size=(10, 30))
    problem = pose(W, y, 1.0)
    fast = sweeps(problem, np.zeros((30, 10)), 40)
    with relaxed(1.0):
        slow = sweeps(problem, np.zeros((30, 10)), 40)
    assert total(W, y, fast.T, 1.0).sum() < total(W, y, slow.T, 1.0).sum()


@given(generators(), st.integers(1, 6), st.booleans())
def test_descending_each_sweep_has_a_threshold_of_its_own_for_each_sample_and_none_below_t(rng, n, from_zero):
    W, y = dictionary(rng, 9, 20), rng.normal(size=(4, 9)) * np.array([[1], [10], [0.1], [0]])
    problem = pose(W, y, 0.5)
    z = start = np.zeros((20, 4)) if from_zero else rng.normal(size=(20, 4))
    for sweep in range(n):
        t = np.maximum(problem.t, module.DESCENT * np.abs(W.T @ y.T).max(axis=0) / 2**sweep)
        z = sweeps(problem._replace(t=t), z, 1)
    np.testing.assert_allclose(sweeps(problem, start, n, descend=True), z, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_from_zero_the_first_sweep_looks_at_earlier_blocks_only_and_all_products_are_of_one_type(dtype, rng):
    problem = pose(dictionary(rng, 9, 40), rng.normal(size=(3, 9)), 0.5).astype(dtype)
    with patch.object(np, "matmul", wraps=np.matmul) as product:
        sweeps(problem, np.zeros((40, 3), dtype), 2, descend=True)
    assert [call.args[1].shape[0] for call in product.call_args_list] == [0, 16, 32, 40, 40, 40]
    for call in product.call_args_list:
        assert {a.dtype for a in (*call.args, call.kwargs["out"])} == {np.dtype(dtype)}


def test_beside_the_codes_only_what_drives_them_is_as_large(rng):
    problem, z = pose(dictionary(rng, 9, 64), rng.normal(size=(5000, 9)), 0.5), np.zeros((64, 5000))
    assert peak(lambda: sweeps(problem, z, 2)) < 2.8 * z.nbytes


def test_codes_of_any_layout_come_back_in_rows(rng):
    problem, z = pose(dictionary(rng, 9, 5), rng.normal(size=(3, 9)), 0.5), rng.normal(size=(5, 3))
    found = sweeps(problem, np.asfortranarray(z), 2)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, sweeps(problem, z, 2))


@given(problems())
def test_a_minimiser_stays_where_it_is(drawn):
    W, y, lam = drawn
    _, best = by_all_signs(W, y, lam)
    found = sweeps(pose(W, y, lam), best.T, 3).T
    np.testing.assert_allclose(W[:, None] * found, W[:, None] * best, atol=1e-8 * np.abs(y).max())


@pytest.mark.parametrize("descend", [False, True])
def test_many_sweeps_end_at_the_minimiser(descend, rng):
    W, y = dictionary(rng, 8, 4), rng.normal(size=(6, 8))
    found = sweeps(pose(W, y, 0.8), np.zeros((4, 6)), 400, descend=descend)
    np.testing.assert_allclose(found.T, by_all_signs(W, y, 0.8)[1], atol=1e-10)


def test_an_atom_of_zeros_gets_no_code_and_moves_no_other(rng):
    W, y = dictionary(rng, 8, 5), rng.normal(size=(6, 8))
    W[:, 2] = 0
    z = np.zeros((5, 6))
    z[2] = 7
    found = sweeps(pose(W, y, 0.8), z, 9)
    np.testing.assert_array_equal(found[2], 0)
    without = sweeps(pose(np.delete(W, 2, axis=1), y, 0.8), np.zeros((4, 6)), 9)
    np.testing.assert_allclose(np.delete(found, 2, axis=0), without, atol=1e-12)


@given(generators())
def test_a_sample_does_not_see_its_neighbours(rng):
    W, y, z = dictionary(rng, 9, 20), rng.normal(size=(4, 9)), rng.normal(size=(20, 4))
    together = sweeps(pose(W, y, 0.5), z, 3, descend=True)
    alone = [sweeps(pose(W, y[[n]], 0.5), z[:, [n]], 3, descend=True)[:, 0] for n in range(4)]
    np.testing.assert_allclose(together.T, alone, rtol=1e-8, atol=1e-9)


def test_no_sweep_changes_nothing_single_precision_is_kept_and_nothing_is_written_to(rng):
    for dtype in (np.float32, np.float64):
        problem = pose(dictionary(rng, 8, 5), rng.normal(size=(6, 8)), 0.3).astype(dtype)
        z = rng.normal(size=(5, 6)).astype(dtype)
        for a in (*problem[:4], z):
            a.setflags(write=False)
        np.testing.assert_allclose(sweeps(problem, z, 0), z, rtol=1e-6)
        assert sweeps(problem, z, 2, descend=True).dtype == dtype


@given(generators(), st.floats(-6, 2))
def test_the_descent_is_over_for_the_median_sample_after_so_many_sweeps(rng, e):
    W, y = dictionary(rng, 8, 5), rng.normal(size=(5, 8)) * 10.0 ** np.linspace(-1, 1, 5)[:, None]
    problem = pose(W, y, 2 * 10.0**e)
    n = descent(problem)
    at = np.sort(module.DESCENT * np.abs(W.T @ y.T).max(axis=0))[2]  # the median
    assert n == 15 or at * 0.5**n <= 10.0**e
    assert n == 0 or at * 0.5 ** (n - 1) > 10.0**e


def test_no_descent_takes_more_than_fifteen_sweeps(rng):
    assert descent(pose(dictionary(rng, 8, 5), rng.normal(size=(5, 8)), 1e-12)) == 15


def test_without_anything_to_explain_there_is_no_descent():
    assert (
        descent(pose(np.eye(3, 2), np.zeros((4, 3)), 0.1)) == descent(pose(np.zeros((3, 2)), np.ones((4, 3)), 1)) == 0
    )
