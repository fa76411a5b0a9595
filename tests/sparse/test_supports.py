from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sparse.problems import dictionary
from strategies import generators

from ebm_np.sparse import supports
from ebm_np.sparse.gram_form import pose
from ebm_np.sparse.supports import solve_signs


def signs_of_sizes(rng, k, sizes):
    """Random signs (k, N): so many of them in each column."""
    signs = rng.choice([-1.0, 1.0], (k, len(sizes)))
    return signs * (rng.random((k, len(sizes))).argsort(axis=0).argsort(axis=0) < np.asarray(sizes))


def one_by_one(W, y, lam, signs):
    z = np.zeros(signs.shape)
    for n, column in enumerate(signs.T):
        S = np.flatnonzero(column)
        z[S, n] = np.linalg.solve(W[:, S].T @ W[:, S], W[:, S].T @ y[n] - lam / 2 * column[S])
    return z


@given(generators(), st.integers(1, 12), st.integers(1, 30), st.sampled_from([1, 200, supports.CACHE]))
def test_the_equations_of_every_sample_are_solved_on_its_support(rng, k, n, cache):
    W, y = dictionary(rng, 2 * k + 3, k), rng.normal(size=(n, 2 * k + 3))
    signs = signs_of_sizes(rng, k, rng.integers(0, k + 1, size=n))
    with patch.object(supports, "CACHE", cache):
        found = solve_signs(pose(W, y, 0.7), signs)
    np.testing.assert_allclose(found, one_by_one(W, y, 0.7, signs), rtol=1e-8, atol=1e-10)
    assert not found[signs == 0].any()


@pytest.mark.parametrize("sizes", [[0], [0, 0, 0], [8], [8, 8], [0, 8], [8, 0, 1], [1] * 300, range(9), [8] * 200])
def test_supports_may_be_empty_full_or_both_and_many_may_be_alike(sizes, rng):
    W, y = dictionary(rng, 12, 8), rng.normal(size=(len(sizes), 12))
    signs = signs_of_sizes(rng, 8, sizes)
    assert (np.abs(signs).sum(axis=0) == sizes).all()
    np.testing.assert_allclose(solve_signs(pose(W, y, 0.7), signs), one_by_one(W, y, 0.7, signs), rtol=1e-9, atol=1e-11)


def test_t_may_differ_from_sample_to_sample(rng):
    W, y, lams = dictionary(rng, 12, 8), rng.normal(size=(5, 12)), np.array([0.1, 0.2, 3, 0.01, 1])
    signs = signs_of_sizes(rng, 8, [3, 4, 3, 8, 0])
    expected = np.hstack([one_by_one(W, y[[n]], lam, signs[:, [n]]) for n, lam in enumerate(lams)])
    np.testing.assert_allclose(
        solve_signs(pose(W, y, 1.0)._replace(t=lams / 2), signs), expected, rtol=1e-9, atol=1e-12
    )


@given(generators(), st.integers(0, 5), st.sampled_from([1, -1]))
def test_of_twins_the_first_is_used_and_the_equations_hold_for_both(rng, twin, side):
    W, y = dictionary(rng, 9, 6), rng.normal(size=(4, 9))
    W = np.column_stack([W, side * W[:, twin]])
    signs = rng.choice([-1.0, 1.0], (7, 4))
    signs[6] = side * signs[twin]
    z = solve_signs(pose(W, y, 0.3), signs)
    assert not z[6].any()
    np.testing.assert_allclose(z[:6], one_by_one(W[:, :6], y, 0.3, signs[:6]), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(W.T @ W @ z, W.T @ y.T - 0.15 * signs, atol=1e-10)


@given(generators(), st.integers(2, 6))
def test_more_atoms_than_dimensions_leave_the_last_ones_at_zero(rng, d):
    W, y = np.hstack([dictionary(rng, d, d, "orthogonal"), rng.normal(size=(d, 3))]), rng.normal(size=(3, d))
    signs = rng.choice([-1.0, 1.0], (d + 3, 3))
    z = solve_signs(pose(W, y, 0.3), signs)
    assert not z[d:].any()
    assert np.isfinite(z).all()
    np.testing.assert_allclose(W[:, :d].T @ W @ z, W[:, :d].T @ y.T - 0.15 * signs[:d], atol=1e-12)


@given(generators(), st.floats(-20, 20), st.floats(0, 4))
def test_atoms_of_very_different_lengths_are_not_taken_for_dependent_ones(rng, size, spread):
    W = dictionary(rng, 12, 6) * 10.0 ** (size + spread * np.linspace(-1, 1, 6))
    y, signs = rng.normal(size=(4, 12)), rng.choice([-1.0, 1.0], (6, 4))
    lam = np.abs(y @ W).min() / 10
    expected = one_by_one(W, y, lam, signs)
    np.testing.assert_allclose(
        solve_signs(pose(W, y, lam), signs) * np.linalg.norm(W, axis=0)[:, None],
        expected * np.linalg.norm(W, axis=0)[:, None],
        rtol=1e-6,
        atol=1e-9,
    )


def test_an_atom_of_zeros_on_the_support_gets_no_code(rng):
    W = dictionary(rng, 6, 4)
    W[:, 1] = 0
    z = solve_signs(pose(W, rng.normal(size=(3, 6)), 0.3), np.ones((4, 3)))
    assert not z[1].any()
    assert z[[0, 2, 3]].all()


@given(generators(), st.lists(st.integers(0, 9), min_size=1, max_size=40))
def test_groups_are_of_like_size_fit_for_the_cache_and_are_no_smaller_than_need_be(rng, sizes):
    size = np.sort(sizes)
    with patch.object(supports, "CACHE", 200), patch.object(supports, "FEW", 3):
        groups = list(supports._of_like_size(size))
    assert [n for group in groups for n in range(group.start, group.stop)] == np.flatnonzero(size).tolist()
    for group in groups:
        here, most = size[group], max(3, 200 // (size[group][0] + 1) ** 2)
        assert len(here) <= most
        assert len(here) <= 3 or here[-1] <= here[0] + 1
        if group.stop < len(size) and len(here) < most:
            assert len(here) >= 3
            assert size[group.stop] > here[0] + 1


def test_what_is_gathered_are_the_triangles_of_the_supports_and_the_right_sides(rng):
    gram, atoms, right = rng.normal(size=(7, 7)), rng.integers(0, 7, (3, 5)), rng.normal(size=(3, 5))
    found = supports._gather(gram, atoms, right)
    assert found.shape == (4, 3, 5)
    for n, support in enumerate(atoms.T):
        np.testing.assert_array_equal(np.tril(found[:3, :, n]), np.tril(gram[np.ix_(support, support)]))
    np.testing.assert_array_equal(found[3], right)


def test_single_precision_is_kept_and_nothing_is_written_to(rng):
    problem = pose(dictionary(rng, 12, 8), rng.normal(size=(5, 12)), 0.7)
    signs = signs_of_sizes(rng, 8, [3, 8, 0, 1, 4])
    for cast in (np.float32, np.float64):
        args = problem.astype(cast), signs.astype(cast)
        for a in (*args[0][:4], args[1]):
            a.setflags(write=False)
        with patch.object(supports, "_gather", wraps=supports._gather) as gather:
            assert solve_signs(*args).dtype == cast
        assert all(call.args[0].dtype == call.args[2].dtype == cast for call in gather.call_args_list)
    np.testing.assert_allclose(
        solve_signs(problem.astype(np.float32), signs.astype(np.float32)), solve_signs(problem, signs), atol=1e-3
    )
