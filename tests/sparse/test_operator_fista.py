from functools import partial
from itertools import count, islice
from typing import NamedTuple

import numpy as np
import pytest
from guards import peak
from hypothesis import given
from hypothesis import strategies as st
from sparse.problems import by_all_signs, dictionary, problems, total
from strategies import generators

from ebm_np.foundations.results import Inference
from ebm_np.sparse import sparse_coding, textbook
from ebm_np.sparse.operator_fista import Cost, Look, duality_gap, fista, settle


def look_at(W, y, lam, L, shape=()):
    """The look of a dense dictionary at codes (N, *shape), or (N, k); what it returns nobody may write to."""

    def look(z):
        codes = z.reshape(len(z), -1)
        c = 2 * (y - codes @ W.T) @ W
        params = sparse_coding.Params(W)
        found = (codes + c / z.dtype.type(L)).reshape(len(z), *(shape or codes.shape[1:]))
        found.setflags(write=False)
        return Look(found, lambda: Cost(total(W, y, codes, lam), sparse_coding.gap(params, y, codes, lam)))

    return look


def first(n, path):
    return list(islice(path, n))


def draw_problem(rng, d=6, k=12, n=4):
    """Of more atoms than dimensions, so that there are restarts."""
    W = dictionary(rng, d, k)
    return W / np.linalg.norm(W, axis=0), rng.normal(size=(n, d))


# the iterates


@given(generators(), st.integers(2, 6), st.integers(1, 12), st.floats(0.02, 2), st.booleans())
def test_with_a_dense_dictionary_the_iterates_are_those_of_the_textbook(rng, d, k, lam, elsewhere):
    # in one dimension all atoms are twins: whether the momentum still points uphill is then decided by rounding
    W, y = draw_problem(rng, d, k)
    z, L = rng.normal(size=(4, k)) * elsewhere, textbook.lipschitz(W)
    expected = [z, *first(60, textbook.fista(W, y, lam, z, restart=True))]
    for (found, _), wanted in zip(fista(look_at(W, y, lam, L), z, lam / L), expected, strict=False):
        np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-9)


def test_they_restart_on_the_way_and_without_restarts_they_would_be_others(rng):
    W, y = draw_problem(rng)
    z, L = np.zeros((4, 12)), textbook.lipschitz(W)
    found = first(61, fista(look_at(W, y, 0.05, L), z, 0.05 / L))[-1][0]
    restarted, plain = (first(60, textbook.fista(W, y, 0.05, z, restart=restart))[-1] for restart in (True, False))
    np.testing.assert_allclose(found, restarted, atol=1e-9)
    assert (np.abs(found - plain).max(axis=1) > 1e-2).sum() == 3  # one sample has had no reason to


@given(generators(), st.floats(1, 5))
def test_where_l_is_larger_than_need_be_each_iterate_is_a_prox_step_from_a_point_beyond_the_last_two(rng, factor):
    W, y = draw_problem(rng)
    z = x = rng.normal(size=(4, 12))
    L, s = factor * textbook.lipschitz(W), np.ones(4)
    for found, _ in first(40, fista(look_at(W, y, 0.1, L), z, 0.1 / L))[1:]:
        v = x + 2 / L * (y - x @ W.T) @ W
        z_next = np.sign(v) * np.maximum(np.abs(v) - 0.1 / L, 0)
        for n in range(4):
            if (x[n] - z_next[n]) @ (z_next[n] - z[n]) > 0:
                s[n] = 1
        s_next = (1 + np.sqrt(1 + 4 * s**2)) / 2
        x, z, s = z_next + ((s - 1) / s_next)[:, None] * (z_next - z), z_next, s_next
        np.testing.assert_allclose(found, z, rtol=1e-8, atol=1e-10)


@given(problems(largest_k=4, largest_n=1).filter(lambda drawn: drawn.W.any()), generators())
def test_energies_obey_the_theorem_of_beck_and_teboulle_from_the_start_and_again_from_each_restart(drawn, rng):
    W, y, lam = drawn
    least, best = by_all_signs(W, y, lam)
    z = best + rng.normal(size=best.shape) * rng.choice([1e-3, 1, 1e3])
    L = textbook.lipschitz(W) * rng.choice([1, 3])
    slack = 1e-11 * (least + total(W, y, z, lam))
    origin, t, x, s = z, 0, z, 1.0
    for z_next, at in first(80, fista(look_at(W, y, lam, L), z, lam / L))[1:]:
        t += 1
        assert (at.cost().energy - least <= 2 * L * ((origin - best) ** 2).sum() / (t + 1) ** 2 + slack).all()
        if ((x - z_next) * (z_next - z)).sum() > 0:  # the last step is the first one from x without momentum
            origin, t, s = x, 1, 1.0
        s_next = (1 + np.sqrt(1 + 4 * s**2)) / 2
        x, z, s = z_next + (s - 1) / s_next * (z_next - z), z_next, s_next


@given(generators(), st.booleans())
def test_a_batch_is_its_rows_one_by_one(rng, elsewhere):
    W, y = draw_problem(rng)
    y *= [[0.01], [1], [1], [5]]
    z, L = rng.normal(size=(4, 12)) * elsewhere, textbook.lipschitz(W)
    together = first(50, fista(look_at(W, y, 0.1, L), z, 0.1 / L))
    for n in range(4):
        alone = first(50, fista(look_at(W, y[[n]], 0.1, L), z[[n]], 0.1 / L))
        for (z_all, all_four), (z_one, one) in zip(together, alone, strict=True):
            np.testing.assert_allclose(z_all[[n]], z_one, rtol=1e-8, atol=1e-10)
            np.testing.assert_allclose(all_four.cost().energy[[n]], one.cost().energy, rtol=1e-8)


@pytest.mark.parametrize("shape", [(12,), (3, 4), (3, 2, 2), (1, 1, 12, 1)])
def test_codes_may_have_any_shape(shape, rng):
    W, y = draw_problem(rng)
    z, L = rng.normal(size=(4, 12)), textbook.lipschitz(W)
    expected = first(40, fista(look_at(W, y, 0.1, L), z, 0.1 / L))
    path = fista(look_at(W, y, 0.1, L, shape), z.reshape(4, *shape), 0.1 / L)
    for (found, _), (wanted, _) in zip(path, expected, strict=False):
        assert found.shape == (4, *shape)
        np.testing.assert_allclose(found.reshape(4, 12), wanted, rtol=1e-12)


def test_it_begins_with_the_start_itself_and_looks_once_at_each_iterate(rng):
    W, y = draw_problem(rng)
    z, L, seen = rng.normal(size=(4, 12)), textbook.lipschitz(W), []
    look = look_at(W, y, 0.1, L)

    def spy(z):
        seen.append(z)
        return look(z)

    path = first(7, fista(spy, z, 0.1 / L))
    assert path[0][0] is z
    assert len(seen) == 7
    for (found, at), looked_at in zip(path, seen, strict=True):
        assert found is looked_at
        for one, wanted in zip(at.cost(), look(found).cost(), strict=True):
            np.testing.assert_array_equal(one, wanted)


def test_iterates_are_arrays_of_their_own_and_the_start_is_never_written_to(rng):
    W, y = draw_problem(rng)
    z, L = rng.normal(size=(4, 12)), textbook.lipschitz(W)
    z.setflags(write=False)
    kept = []
    for found, _ in islice(fista(look_at(W, y, 0.1, L), z, 0.1 / L), 10):
        kept.append((found, found.copy()))
    for found, copy in kept:
        np.testing.assert_array_equal(found, copy)


def test_single_precision_is_kept(rng):
    W, y = (a.astype(np.float32) for a in draw_problem(rng))
    L = textbook.lipschitz(W)
    path = fista(look_at(W, y, 0.1, L), np.zeros((4, 12), np.float32), 0.1 / L)
    assert {found.dtype for found, _ in islice(path, 20)} == {np.dtype(np.float32)}


# the gap


@given(problems(largest_k=4, least=-6, most=3), generators(), st.sampled_from([0, 1e-3, 1, 1e3]))
def test_the_gap_is_never_negative_and_bounds_how_far_the_energy_is_above_its_minimum(drawn, rng, size):
    W, y, lam = drawn
    z = size * rng.normal(size=(len(y), W.shape[1]))
    r = y - z @ W.T
    found = duality_gap((r**2).sum(1), (r * y).sum(1), 2 * np.abs(r @ W).max(1), np.abs(z).sum(1), lam)
    slack = 1e-12 * ((np.abs(y) + np.abs(z) @ np.abs(W.T)) ** 2).sum(1) + 1e-12 * lam * np.abs(z).sum(1)
    assert (found >= -slack).all()
    assert (found >= total(W, y, z, lam) - by_all_signs(W, y, lam)[0] - slack).all()
    np.testing.assert_allclose(found, sparse_coding.gap(sparse_coding.Params(W), y, z, lam), atol=slack.max())


@pytest.mark.parametrize("most", [0.0, 0.3, 0.5])
def test_a_residual_that_is_feasible_is_not_made_smaller(most):
    square, inner, l1 = np.array([3.0]), np.array([2.0]), np.array([0.7])
    assert duality_gap(square, inner, np.array([most]), l1, 0.5) == pytest.approx(3 + 0.35 - (4 - 3))


def test_one_that_is_not_is_made_so():
    found = duality_gap(np.array([3.0]), np.array([2.0]), np.array([2.0]), np.array([0.7]), 0.5)
    assert found == pytest.approx(3 + 0.35 - (2 * 0.25 * 2 - 0.0625 * 3))


# when to stop


class Path(NamedTuple):
    """Of two samples: made up."""

    gaps: np.ndarray  # (T, 2)
    energies: np.ndarray  # (T, 2)

    def points(self):
        for t, (gaps, energies) in enumerate(zip(self.gaps, self.energies, strict=True)):
            yield np.full((2, 3, 2), float(t)), Look(np.zeros((2, 3, 2)), partial(Cost, energies, gaps))


def made_up(rng, n=50):
    return Path(10.0 ** rng.uniform(-3, 1, size=(n, 2)), 10.0 ** rng.uniform(-1, 1, size=(n, 2)))


@given(generators(), st.floats(1e-3, 10), st.integers(1, 40), st.booleans())
def test_it_stops_where_all_gaps_are_small_at_once_or_after_so_many_steps(rng, tol, max_iter, trace):
    path = made_up(rng)
    points = path.points()
    found = settle(points, tol, max_iter, trace)
    assert type(found) is Inference
    small = path.gaps <= tol * path.energies
    ends = [t for t in range(max_iter + 1) if small[t].all()]
    n = ends[0] if ends else max_iter
    assert found.n_iter == n
    assert (found.z == n).all()
    assert found.z.shape == (2, 3, 2)
    np.testing.assert_array_equal(found.energy, path.energies[n])
    np.testing.assert_array_equal(found.converged, small[n])
    assert found.trace.shape == (n if trace else 0, 3 - 1, 3, 2)
    assert all((z == t).all() for t, z in zip(count(1), found.trace, strict=False))
    assert next(points)[0][0, 0, 0] == n + 1  # nothing has been computed for nothing


def test_a_start_that_will_do_is_returned_as_it_is():
    path = Path(np.zeros((2, 2)), np.ones((2, 2)))
    found = settle(path.points(), 1e-9, 5, True)
    assert found.n_iter == 0
    assert found.converged.all()
    assert found.trace.shape == (0, 2, 3, 2)


def test_beside_the_last_two_looks_an_iteration_holds_three_arrays_and_no_trace_unless_asked_for():
    z = np.ones((10, 10_000))

    def look(z):
        return Look(0.5 * z, lambda: Cost(np.ones(len(z)), np.ones(10)))  # holds z, as true ones do

    assert peak(lambda: first(9, (None for _ in fista(look, z, 0.1)))) < 6.5 * z.nbytes
    assert settle(fista(look, z, 0.1), 0.5, 9).trace.shape == (0, 10, 10_000)


@pytest.mark.parametrize("trace", [False, True])
def test_the_trace_has_the_type_of_the_codes_even_if_there_is_none(trace, rng):
    W, y = (a.astype(np.float32) for a in draw_problem(rng))
    L = textbook.lipschitz(W)
    found = settle(fista(look_at(W, y, 0.1, L), np.zeros((4, 12), np.float32), 0.1 / L), 1e-3, 9, trace)
    assert found.trace.dtype == found.z.dtype == np.float32
    assert len(found.trace) == (found.n_iter if trace else 0)


def test_an_energy_of_zero_without_a_gap_has_converged():
    assert settle(Path(np.zeros((2, 2)), np.zeros((2, 2))).points(), 1e-9, 5).converged.all()


@given(problems(largest_k=4, kinds=("random", "duplicate", "zero", "integer", "orthogonal"), least=-1), generators())
def test_together_they_find_the_minimum_to_the_fraction_asked_for(drawn, rng):
    W, y, lam = drawn
    L = textbook.lipschitz(W) or 1.0
    tol = 10.0 ** rng.uniform(-8, -1)
    found = settle(fista(look_at(W, y, lam, L), rng.normal(size=(len(y), W.shape[1])), lam / L), tol, 100_000)
    least, _ = by_all_signs(W, y, lam)
    slack = 1e-12 * (y**2).sum(axis=1)
    assert found.converged.all()
    np.testing.assert_allclose(found.energy, total(W, y, found.z, lam), rtol=1e-12)
    assert (found.energy - least <= tol * found.energy + slack).all()
    assert (found.energy - least >= -slack).all()
