from itertools import combinations, pairwise, product

import numpy as np
import pytest
from guards import read_only
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from strategies import generators

from ebm_np.data.letters import letters
from ebm_np.physics.hopfield import (
    CHUNK,
    RULES,
    UPDATES,
    Settled,
    census,
    energy,
    fields,
    mixtures,
    overlaps,
    settle,
    store,
)

EVERY_RULE = pytest.mark.parametrize("rule", RULES)
EVERY_UPDATE = pytest.mark.parametrize("update", UPDATES)
FEW = settings(max_examples=settings.default.max_examples // 4)
SEEDS = st.none() | st.integers(0, 2**32 - 1)


def draw_signs(rng, *shape):
    return rng.choice([-1.0, 1.0], shape)


def draw_couplings(rng, n, kind, diagonal=0.0):
    """A symmetric W: of small whole numbers (sums are exact, and often 0), of real numbers, or Hebb's."""
    if kind == "hebb":
        return store(draw_signs(rng, rng.integers(1, n + 1), n)) + diagonal * np.eye(n)
    W = rng.normal(size=(n, n)) if kind == "real" else rng.integers(-2, 3, (n, n)).astype(float)
    return np.triu(W, 1) + np.triu(W, 1).T + diagonal * np.eye(n)


@st.composite
def networks(draw, kinds=("whole", "real", "hebb"), largest=12, diagonals=(0.0,)):
    """A symmetric W, a batch of states, and a generator."""
    rng = draw(generators())
    n, diagonal = draw(st.integers(1, largest)), draw(st.sampled_from(diagonals))
    W = draw_couplings(rng, n, draw(st.sampled_from(kinds)), diagonal)
    return W, draw_signs(rng, draw(st.integers(1, 4)), n), rng


def independent(patterns):
    return np.linalg.matrix_rank(patterns) == len(patterns)


def generator(seed):
    return None if seed is None else np.random.default_rng(seed)


# the definitions once more, number by number


def double_sum(W, s):
    """E(s) of one state, equation (2)."""
    n = len(s)
    return -0.5 * sum(W[i, j] * s[i] * s[j] for i in range(n) for j in range(n) if i != j)


def hebb(patterns):
    n = patterns.shape[1]
    return np.array([[sum(xi[i] * xi[j] for xi in patterns) / n for j in range(n)] for i in range(n)])


def storkey(patterns):
    n = patterns.shape[1]
    W = np.zeros((n, n))
    for xi in patterns:
        h = [[sum(W[i, k] * xi[k] for k in range(n) if k not in (i, j)) for j in range(n)] for i in range(n)]
        dW = [[xi[i] * xi[j] - xi[i] * h[j][i] - h[i][j] * xi[j] for j in range(n)] for i in range(n)]
        W = W + np.array(dW) * (1 - np.eye(n)) / n
    return W


def flipped(s, i):
    other = s.copy()
    other[i] = -other[i]
    return other


def turned(h, s, W, at_zero=None):
    """sign(h), or s where h is 0 but for rounding."""
    zero = np.abs(h) <= 1e-14 * np.abs(W).sum()
    return np.where(zero, s if at_zero is None else at_zero, np.sign(h))


def walk(W, s, rng=None, max_iter=1_000, at_zero=None):
    """Yield one state after each look of one unit, equation (3), and whether a whole sweep has changed nothing."""
    s = s.copy()
    for _ in range(max_iter):
        before = s.copy()
        for i in range(len(W)) if rng is None else rng.permutation(len(W)):
            s[i] = turned(W[i] @ s, s[i], W[i], at_zero)
            yield s.copy(), False
        if (s == before).all():
            yield s, True
            return


def unit_by_unit(W, s, rng=None, max_iter=1_000, at_zero=None):
    """Where that ends, after how many sweeps, and whether it is at rest."""
    *steps, (last, at_rest) = walk(W, s, rng, max_iter, at_zero)
    return last, (len(steps) if at_rest else len(steps) + 1) // len(W), at_rest


def at_once(W, s):
    return turned(W @ s, s, W)


def orbit(W, s):
    """The states that are visited all at once until one comes back, and the period of the cycle."""
    seen = [s]
    while True:
        s = at_once(W, s)
        for back, other in enumerate(reversed(seen), 1):
            if (s == other).all():
                return seen, back
        seen.append(s)


def assert_no_flip_lowers(W, s, slack=0.0):
    for i in range(len(s)):
        assert energy(W, flipped(s, i)[None])[0] >= energy(W, s[None])[0] - slack


# rules


@given(generators(), st.integers(1, 6), st.integers(1, 9))
def test_hebbs_rule_is_its_sum(rng, n_patterns, n):
    patterns = draw_signs(rng, n_patterns, n)
    W, expected = store(patterns), hebb(patterns)
    np.testing.assert_allclose(W, expected * (1 - np.eye(n)), rtol=1e-14)
    np.testing.assert_allclose(store(patterns, keep_diagonal=True), expected, rtol=1e-14)
    np.testing.assert_allclose(np.diag(expected), n_patterns / n, rtol=1e-14)


@given(generators(), st.integers(1, 6), st.integers(1, 9))
def test_storkeys_rule_is_its_sum(rng, n_patterns, n):
    patterns = draw_signs(rng, n_patterns, n)
    np.testing.assert_allclose(store(patterns, "storkey"), storkey(patterns), rtol=1e-12, atol=1e-14)


@given(generators(), st.integers(1, 6), st.integers(1, 9))
def test_the_projection_keeps_the_patterns_and_sends_what_is_orthogonal_to_them_to_nothing(rng, n_patterns, n):
    patterns = draw_signs(rng, n_patterns, n)
    W = store(patterns, "projection", keep_diagonal=True)
    np.testing.assert_allclose(patterns @ W, patterns, rtol=1e-12, atol=1e-13)
    x = rng.normal(size=n)
    rest = x - patterns.T @ np.linalg.lstsq(patterns.T, x, rcond=None)[0]
    np.testing.assert_allclose(W @ rest, 0, atol=1e-13)
    np.testing.assert_allclose(store(patterns, "projection"), W * (1 - np.eye(n)), atol=1e-14)


@EVERY_RULE
@given(rng=generators(), n_patterns=st.integers(1, 8), n=st.integers(1, 12))
def test_couplings_are_symmetric_and_no_unit_is_coupled_to_itself(rule, rng, n_patterns, n):
    W = store(draw_signs(rng, n_patterns, n), rule)
    assert W.shape == (n, n)
    np.testing.assert_array_equal(W, W.T)
    np.testing.assert_array_equal(np.diag(W), 0)


@pytest.mark.parametrize("rule", ["hebb", "projection"])
@given(rng=generators(), n_patterns=st.integers(1, 8), n=st.integers(1, 12))
def test_neither_order_nor_sign_of_the_patterns_matters_to_hebb_and_the_projection(rule, rng, n_patterns, n):
    patterns = draw_signs(rng, n_patterns, n)
    other = draw_signs(rng, n_patterns, 1) * patterns[rng.permutation(n_patterns)]
    np.testing.assert_allclose(store(other, rule), store(patterns, rule), atol=1e-13)


@given(generators(), st.integers(5, 40), st.integers(2, 5))
def test_patterns_stored_several_times_are_projected_on_as_if_once(rng, n_patterns, times):
    patterns = draw_signs(rng, n_patterns, 60)
    several = np.tile(patterns, (times, 1)) * draw_signs(rng, times * n_patterns, 1)
    np.testing.assert_allclose(store(several, "projection"), store(patterns, "projection"), atol=1e-12)


@EVERY_RULE
@given(rng=generators(), n=st.integers(1, 12))
def test_all_rules_store_a_single_pattern_alike(rule, rng, n):
    xi = draw_signs(rng, 1, n)
    np.testing.assert_allclose(store(xi, rule), np.outer(xi, xi) * (1 - np.eye(n)) / n, atol=1e-14)


@given(generators(), st.integers(2, 5), st.integers(2, 10))
def test_erratum_20_the_blogs_factor_only_rescales(rng, n_patterns, n):
    # its sum over k = 0 ... P has P + 1 patterns, over 1/P; the sum is meant off the diagonal
    patterns, s = draw_signs(rng, n_patterns, n), draw_signs(rng, 4, n)
    blogs = [[sum(xi[i] * xi[j] for xi in patterns) / (n_patterns - 1) for j in range(n)] for i in range(n)]
    blogs, W = np.array(blogs) * (1 - np.eye(n)), store(patterns)
    one, other = settle(W, s), settle(blogs, s)
    np.testing.assert_array_equal(other.state, one.state)
    np.testing.assert_allclose(other.energy, one.energy * n / (n_patterns - 1), rtol=1e-12, atol=1e-12)
    assert (other.n_iter, other.period.tolist()) == (one.n_iter, one.period.tolist())


# energy, fields, overlaps


@given(networks(diagonals=(0.0, 3.0, -2.5)))
def test_energy_is_the_double_sum_without_the_diagonal(network):
    W, s, _ = network
    expected = [double_sum(W, row) for row in s]
    np.testing.assert_allclose(energy(W, s), expected, rtol=1e-12, atol=1e-13 * (1 + np.abs(W).sum()))


@given(networks(diagonals=(0.0, 3.0, -2.5)))
def test_fields_and_overlaps_are_their_sums(network):
    W, s, rng = network
    n, patterns = len(W), draw_signs(rng, 3, len(W))
    expected = [[sum(W[i, j] * row[j] for j in range(n)) for i in range(n)] for row in s]
    np.testing.assert_allclose(fields(W, s), expected, rtol=1e-12, atol=1e-13 * (1 + np.abs(W).sum()))
    expected = [[sum(xi[i] * row[i] for i in range(n)) / n for xi in patterns] for row in s]
    np.testing.assert_allclose(overlaps(patterns, s), expected, atol=1e-14)


@given(networks(diagonals=(0.0, 3.0, -2.5)))
def test_a_flip_changes_energy_by_twice_s_h_where_h_is_the_others_field(network):
    W, s, rng = network
    i = rng.integers(len(W))
    others = fields(W, s)[:, i] - W[i, i] * s[:, i]
    changed = np.array([energy(W, flipped(row, i)[None])[0] for row in s])
    slack = 1e-13 * (1 + np.abs(W).sum())
    np.testing.assert_allclose(changed - energy(W, s), 2 * s[:, i] * others, atol=slack)


@given(networks())
def test_a_state_and_its_negative_have_the_same_energy_and_opposite_overlaps(network):
    W, s, _ = network
    np.testing.assert_array_equal(energy(W, -s), energy(W, s))
    np.testing.assert_array_equal(overlaps(s, s), overlaps(-s, -s))
    np.testing.assert_array_equal(overlaps(s, -s), -overlaps(s, s))
    np.testing.assert_array_equal(np.diag(overlaps(s, s)), 1)


# one unit at a time


@given(networks(), SEEDS)
def test_one_at_a_time_energy_never_rises_and_it_ends_in_a_minimum(network, seed):
    W, s, _ = network
    found = settle(W, s, generator(seed))
    slack = 1e-13 * (1 + np.abs(W).sum())
    assert found.converged.all()
    np.testing.assert_array_equal(found.period, 1)
    for n, start in enumerate(s):
        path = [start] + [state for state, _ in walk(W, start, generator(seed))]
        energies = [double_sum(W, state) for state in path]
        assert all(b <= a + slack for a, b in pairwise(energies))
        np.testing.assert_array_equal(found.state[n], path[-1])
        assert found.energy[n] == pytest.approx(energies[-1], rel=1e-12, abs=slack)
        assert_no_flip_lowers(W, found.state[n], slack)


@given(networks(), SEEDS)
def test_the_minima_that_no_flip_even_levels_are_fixed_points_and_these_are_where_it_ends_at_once(network, seed):
    W, s, _ = network
    rest = settle(W, s, generator(seed)).state
    again = settle(W, rest, generator(seed))
    np.testing.assert_array_equal(again.state, rest)
    assert again.n_iter == 1
    fixed = (settle(W, s, generator(seed), max_iter=1).period == 1).tolist()
    slack = 1e-13 * (1 + np.abs(W).sum())
    least = [min(2 * row * (W @ row)) for row in s]
    assert fixed == [change >= -slack for change in least]


@pytest.mark.parametrize("diagonal", [0.0, 2.0, -1.0])
@FEW
@example(np.random.default_rng(0), CHUNK, None, 50)
@example(np.random.default_rng(1), CHUNK + 1, 1, 50)
@example(np.random.default_rng(2), 2 * CHUNK + 37, 2, 50)
@given(rng=generators(), n=st.integers(1, 2 * CHUNK + 50), seed=SEEDS, max_iter=st.integers(1, 8))
def test_it_is_a_loop_over_units_state_by_state_and_sweep_by_sweep(diagonal, rng, n, seed, max_iter):
    # whole numbers: both sums are exact, and ties are many
    W, s = draw_couplings(rng, n, "whole", diagonal), draw_signs(rng, 3, n)
    found = settle(W, s, generator(seed), max_iter=max_iter)
    expected = [unit_by_unit(W, row, generator(seed), max_iter) for row in s]
    np.testing.assert_array_equal(found.state, [state for state, _, _ in expected])
    assert found.n_iter == max(n_iter for _, n_iter, _ in expected)
    assert found.converged.tolist() == [at_rest for _, _, at_rest in expected]
    assert found.period.tolist() == [int(at_rest) for _, _, at_rest in expected]


def test_the_generator_decides_the_order_of_each_sweep(rng):
    W, s = draw_couplings(rng, 200, "real"), draw_signs(rng, 20, 200)
    one, same, other = (settle(W, s, np.random.default_rng(seed)).state for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any(axis=1).all()
    assert (one != settle(W, s).state).any(axis=1).all()


@EVERY_UPDATE
@given(network=networks(kinds=("whole", "hebb"), diagonals=(0.0, 1.0)), seed=SEEDS)
def test_from_the_negative_of_a_state_it_ends_in_the_negative(update, network, seed):
    W, s, _ = network
    one, other = (settle(W, start, generator(seed), update=update) for start in (s, -s))
    np.testing.assert_array_equal(other.state, -one.state)
    np.testing.assert_array_equal(other.energy, one.energy)
    np.testing.assert_array_equal(other.period, one.period)


@given(generators(), st.integers(2, 12))
def test_erratum_22_else_minus_one_breaks_that_symmetry_where_a_field_is_zero(rng, n):
    W, s = store(np.ones((1, n))) * 0, draw_signs(rng, 1, n)
    blogs, mirrored = (unit_by_unit(W, start, at_zero=-1)[0] for start in (s[0], -s[0]))
    np.testing.assert_array_equal(blogs, mirrored)
    np.testing.assert_array_equal(blogs, -1)
    np.testing.assert_array_equal(settle(W, s).state, s)
    np.testing.assert_array_equal(settle(W, -s).state, -s)


@EVERY_UPDATE
@given(rng=generators(), n_patterns=st.sampled_from([2, 4, 6]), n=st.integers(2, 40))
def test_a_field_that_is_zero_but_for_rounding_is_a_tie(update, rng, n_patterns, n):
    # two halves of the patterns that say the opposite of unit 0, in units of 1/n that no computer holds exactly
    patterns = draw_signs(rng, n_patterns // 2, n)
    opposite = patterns.copy()
    opposite[:, 0] *= -1
    W = store(np.concatenate([patterns, opposite])) * rng.uniform(0.5, 2)
    s = draw_signs(rng, 5, n)
    assert np.array_equal(settle(W, s, update=update).state[:, 0], s[:, 0])


def test_a_field_beyond_rounding_is_none(rng):
    # 2 weak couplings against 1,000 that cancel
    W, n = np.zeros((1_001, 1_001)), 1_001
    W[0, 1:] = W[1:, 0] = np.tile([1.0, -1.0], 500)
    W[0, 1] += 1e-11
    s = np.ones((1, n))
    s[0, 0] = -1
    found = settle(W, s, max_iter=1)
    assert found.state[0, 0] == 1


@given(networks(kinds=("whole",), largest=8), st.integers(-60, 60))
def test_in_another_unit_of_couplings_all_is_the_same(network, exponent):
    W, s, _ = network
    unit = 2.0**exponent
    one, other = settle(W, s), settle(unit * W, s)
    np.testing.assert_array_equal(other.state, one.state)
    np.testing.assert_array_equal(other.energy, unit * one.energy)


@given(networks(kinds=("whole",)), SEEDS)
def test_changing_signs_of_units_changes_signs_of_units(network, seed):
    # s_i -> g_i s_i with W_ij -> g_i W_ij g_j: no state is special by itself
    W, s, rng = network
    g = draw_signs(rng, len(W))
    one, other = settle(W, s, generator(seed)), settle(np.outer(g, g) * W, g * s, generator(seed))
    np.testing.assert_array_equal(other.state, g * one.state)
    np.testing.assert_array_equal(other.energy, one.energy)


def test_where_sweeps_run_out_it_says_so():
    W, s = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[1.0, -1.0], [1.0, 1.0]])
    stopped, done = settle(W, s, max_iter=1), settle(W, s, max_iter=2)
    for found, period, n_iter in ((stopped, [0, 1], 1), (done, [1, 1], 2)):
        np.testing.assert_array_equal(found.state, [[-1, -1], [1, 1]])
        assert found.period.tolist() == period
        assert found.converged.tolist() == [p == 1 for p in period]
        assert found.n_iter == n_iter
    assert found.converged.dtype == bool


# all at once


def test_erratum_23_all_at_once_two_units_change_places_for_ever_and_one_at_a_time_they_do_not():
    W, s = np.array([[0.0, -1.0], [-1.0, 0.0]]), np.array([[1.0, 1.0], [-1.0, -1.0]])
    found = settle(W, s, update="all at once")
    assert found.period.tolist() == [2, 2]
    assert found.converged.tolist() == [False, False]
    assert found.energy.tolist() == [1, 1]
    assert found.n_iter < 10
    step = settle(W, s, update="all at once", max_iter=1)
    np.testing.assert_array_equal(step.state, -s)
    np.testing.assert_array_equal(energy(W, step.state), energy(W, s))
    found = settle(W, s)
    assert found.period.tolist() == [1, 1]
    np.testing.assert_array_equal(found.state, [[-1, 1], [1, -1]])
    assert found.energy.tolist() == [-1, -1]


@given(networks(kinds=("whole", "real"), diagonals=(0.0, 1.0, -1.0, -5.0)))
def test_all_at_once_the_true_period_is_found_and_the_state_is_of_the_cycle(network):
    W, s, _ = network
    found = settle(W, s, update="all at once")
    for n, start in enumerate(s):
        seen, period = orbit(W, start)
        assert found.period[n] == period
        assert any((found.state[n] == other).all() for other in seen[-period:])
        assert found.converged[n] == (period == 1)
        slack = 1e-13 * (1 + np.abs(W).sum())
        assert found.energy[n] == pytest.approx(double_sum(W, found.state[n]), rel=1e-12, abs=slack)
        after = found.state[n]
        for k in range(1, period + 1):
            after = at_once(W, after)
            assert (after == found.state[n]).all() == (k == period)


@given(networks(largest=30, diagonals=(0.0, 1.0, -1.0, -5.0)))
def test_all_at_once_it_ends_in_a_fixed_point_or_in_a_cycle_of_two(network):
    W, s, _ = network
    assert set(settle(W, s, update="all at once").period) <= {1, 2}


@given(networks(largest=30, diagonals=(0.0, 1.0, -1.0)))
def test_all_at_once_the_energy_of_two_states_in_succession_never_rises(network):
    W, s, _ = network
    before, two_states = s, []
    for _ in range(12):
        after = settle(W, before, update="all at once", max_iter=1).state
        two_states.append(-(after @ W * before).sum(axis=1))
        before = after
    assert (np.diff(two_states, axis=0) <= 1e-12 * (1 + np.abs(W).sum())).all()


@given(networks(kinds=("whole",), largest=40, diagonals=(0.0, 1.0, -1.0)), st.integers(1, 6))
def test_all_at_once_stopped_after_some_steps_it_is_where_these_lead(network, max_iter):
    W, s, _ = network
    found = settle(W, s, update="all at once", max_iter=max_iter)
    assert found.n_iter <= max_iter
    for n, start in enumerate(s):
        states = [start]
        for _ in range(max_iter):
            states.append(at_once(W, states[-1]))
        if found.period[n] == 0:
            np.testing.assert_array_equal(found.state[n], states[-1])
            assert not found.converged[n]
        else:
            assert any((found.state[n] == state).all() for state in states)
            assert found.period[n] == orbit(W, start)[1]
    done = settle(W, s, update="all at once")
    assert (found.period == 0).any() <= (done.n_iter > max_iter)
    assert (done.period > 0).all()


def test_all_at_once_a_fixed_point_is_known_at_the_first_look_and_a_cycle_of_two_soon(rng):
    W = store(draw_signs(rng, 3, 100))
    rest = settle(W, draw_signs(rng, 5, 100)).state
    assert settle(W, rest, update="all at once").n_iter == 1
    found = settle(np.array([[-1.0]]), np.ones((1, 1)), update="all at once")
    assert found.period.tolist() == [2]
    assert found.n_iter <= 4


# the diagonal


@given(generators(), st.integers(1, 12), st.integers(1, 12))
def test_erratum_20_with_a_kept_diagonal_states_stay_that_a_flip_would_lower_by_up_to_twice_the_load(
    rng, n_patterns, n
):
    patterns, s = draw_signs(rng, n_patterns, n), draw_signs(rng, 5, n)
    W, kept = store(patterns), store(patterns, keep_diagonal=True)
    stays = settle(kept, s, max_iter=1).converged
    for row, found in zip(s, stays, strict=True):
        rises = [energy(W, flipped(row, i)[None])[0] - energy(W, row[None])[0] for i in range(n)]
        assert found == (min(rises) >= -2 * n_patterns / n - 1e-12)
    np.testing.assert_allclose(energy(kept, s), energy(W, s), atol=1e-12)


def test_erratum_20_a_kept_diagonal_fakes_capacity(rng):
    # at three times the capacity: nearly all patterns "are kept", and none of them is a minimum
    patterns = draw_signs(rng, 80, 200)
    W, kept = store(patterns), store(patterns, keep_diagonal=True)
    assert settle(kept, patterns, max_iter=1).converged.mean() < settle(kept, patterns).converged.mean() == 1
    faked = overlaps(patterns, settle(kept, patterns).state).diagonal()
    true = overlaps(patterns, settle(W, patterns).state).diagonal()
    assert faked.mean() > 0.9
    assert true.mean() < 0.6
    deeper = settle(W, settle(kept, patterns).state)
    assert (deeper.energy < energy(W, settle(kept, patterns).state) - 1).all()


@pytest.mark.parametrize("max_iter", [1, 2, 5, 100])
def test_with_a_negative_diagonal_a_unit_can_flip_for_ever(max_iter):
    W, s = np.array([[-1.0, 0.0], [0.0, -2.0]]), np.array([[1.0, -1.0]])
    found = settle(W, s, max_iter=max_iter)
    assert (found.n_iter, found.period.tolist(), found.converged.tolist()) == (max_iter, [0], [False])
    np.testing.assert_array_equal(found.state, s * (-1) ** max_iter)
    assert found.energy.tolist() == [0]
    assert settle(W, s, update="all at once").period.tolist() == [2]


# memories


@given(generators(), st.integers(1, 9))
def test_a_single_pattern_and_its_negative_are_where_every_state_ends(rng, n):
    xi, every = draw_signs(rng, n), np.array(list(product([1.0, -1.0], repeat=n)))
    end = settle(store(xi[None]), every, rng).state
    if n > 1:
        assert ((end == xi).all(axis=1) | (end == -xi).all(axis=1)).all()
        decided = every @ xi != 0
        np.testing.assert_array_equal(end[decided], np.outer(np.sign(every @ xi), xi)[decided])
    else:
        np.testing.assert_array_equal(end, every)


@given(generators(), st.integers(1, 40), st.floats(0, 1))
@example(np.random.default_rng(0), 40, 1.0)
def test_the_projection_keeps_all_independent_patterns_however_alike_they_are(rng, n, load):
    first = draw_signs(rng, 1, n)
    patterns = np.where(rng.random((max(1, round(load * n)), n)) < 0.3, -first, first)
    patterns[0] = first[0]
    assume(independent(patterns))
    W = store(patterns, "projection")
    found = settle(W, patterns, rng)
    np.testing.assert_array_equal(found.state, patterns)
    np.testing.assert_array_equal(settle(W, patterns, update="all at once").state, patterns)


def test_the_projection_keeps_as_many_patterns_as_units_however_nearly_dependent_they_are(rng):
    n_kept = 0
    for _ in range(150):
        n = int(rng.integers(60, 120))
        patterns = np.where(rng.random((n, n)) < rng.choice([0.05, 0.3, 0.5]), -1.0, 1.0)
        if independent(patterns):
            n_kept += 1
            assert settle(store(patterns, "projection"), patterns, max_iter=1).converged.all()
    assert n_kept > 80


def test_the_projection_keeps_two_patterns_that_differ_in_a_single_unit(rng):
    # the unit's own direction is spanned by the patterns: W_ii = 1, and nothing is left for the others to say
    patterns = draw_signs(rng, 3, 20)
    for unit in range(20):
        patterns[1] = flipped(patterns[0], unit)
        for kind in (np.float32, np.float64):
            W = store(patterns.astype(kind), "projection")
            np.testing.assert_array_equal(settle(W, patterns).state, patterns)


def test_of_letters_alike_hebb_forgets_some_and_the_projection_none():
    patterns = letters("ABCDEFGH")
    assert independent(patterns)
    keeps = {rule: settle(store(patterns, rule), patterns, max_iter=1).converged for rule in RULES}
    assert not keeps["hebb"].any()
    assert keeps["projection"].all()


def test_storkeys_rule_keeps_more_than_hebbs_and_the_projection_all(rng):
    kept = dict.fromkeys(RULES, 0.0)
    for _ in range(5):
        patterns = draw_signs(rng, 40, 200)
        for rule in RULES:
            kept[rule] += settle(store(patterns, rule), patterns, max_iter=1).converged.mean() / 5
    assert kept["hebb"] < 0.4
    assert kept["storkey"] > 0.9
    assert kept["projection"] == 1


@EVERY_RULE
@pytest.mark.parametrize("scale", [1, 2])
def test_half_a_letter_is_completed_and_a_damaged_one_repaired(rule, scale, rng):
    patterns = letters("AJX", scale=scale)
    W, whole = store(patterns, rule), patterns[:1]
    half, other_half, noisy = whole.copy(), whole.copy(), np.repeat(whole, 20, axis=0)
    n = whole.shape[1]
    half[:, n // 2 :] = -1
    other_half[:, : n // 2] = -1
    for row in noisy:
        row[rng.choice(n, n // 10, replace=False)] *= -1
    for damaged in (half, other_half, noisy):
        assert (damaged != whole).any(axis=1).all()
        for orders in (None, rng):
            found = settle(W, damaged, orders)
            np.testing.assert_array_equal(found.state, np.broadcast_to(whole, damaged.shape))
            assert (found.energy < energy(W, damaged)).all()


# spurious states


@given(generators(), st.integers(0, 6), st.integers(1, 12))
def test_mixtures_are_majorities_of_three_patterns_or_their_negatives_one_of_each_pair(rng, n_patterns, n):
    patterns = draw_signs(rng, n_patterns + 1, n)
    expected = []
    for a, b, c in combinations(patterns, 3):
        for x, y, z in product([1, -1], repeat=3):
            if x == 1:
                expected.append((x * a + y * b + z * c - x * y * z * a * b * c) / 2)
    found = mixtures(patterns)
    assert found.shape == (len(expected), n)
    assert sorted(found.tolist()) == sorted(row.tolist() for row in expected)


def test_mixtures_have_overlap_one_half_with_each_of_their_three_and_are_minima_nobody_stored(rng):
    n = 1_500
    patterns = draw_signs(rng, 5, n)
    found, W = mixtures(patterns), store(patterns)
    size = np.sort(np.abs(overlaps(patterns, found)), axis=1)
    assert (np.abs(size[:, 2:] - 0.5) < 6 * np.sqrt(0.75 / n)).all()
    assert (size[:, :2] < 6 / np.sqrt(n)).all()
    at_rest = settle(W, found)
    assert (np.sort(np.abs(overlaps(patterns, at_rest.state)), axis=1)[:, 2:] < 0.6).all()
    three = settle(store(patterns[:3]), mixtures(patterns[:3]))
    np.testing.assert_array_equal(three.state, mixtures(patterns[:3]))
    assert three.n_iter == 1
    assert (three.energy > energy(store(patterns[:3]), patterns[:3]).max()).all()
    assert len(np.unique(np.concatenate([found, -found]), axis=0)) == 2 * len(found)


def named(patterns, s, alike):
    """What one state is, by its overlaps; None where it is not said which three patterns it has most to do with."""
    n = len(s)
    m = [sum(a * b for a, b in zip(xi, s, strict=True)) / n for xi in patterns]
    if max(m) >= alike:
        return "pattern"
    if min(m) <= -alike:
        return "reversed"
    if len(m) < 3:
        return "other"
    most = sorted(range(len(m)), key=lambda mu: -abs(m[mu]))
    if 0 in [m[mu] for mu in most[:3]] or (len(m) > 3 and abs(m[most[2]]) == abs(m[most[3]])):
        return None
    total = [sum(np.sign(m[mu]) * patterns[mu][i] for mu in most[:3]) for i in range(n)]
    return "mixture" if sum(np.sign(total[i]) * s[i] for i in range(n)) / n >= alike else "other"


@given(generators(), st.integers(1, 5), st.integers(1, 40), st.sampled_from([0.3, 0.5, 0.8, 0.9, 1.0]))
def test_the_census_names_each_state_by_its_overlaps(rng, n_patterns, n, alike):
    patterns = draw_signs(rng, n_patterns, n)
    s = [draw_signs(rng, 3, n), patterns, -patterns]
    s += [mixtures(patterns) * draw_signs(rng, 1, 1)] if n_patterns > 2 else []
    s = np.concatenate(s)
    s = s * np.where(rng.random(s.shape) < 0.1, -1, 1)
    found = census(patterns, s, alike)
    assert found.shape == (len(s),)
    for row, kind in zip(s, found, strict=True):
        assert named(patterns, row, alike) in (kind, None)


def test_of_many_units_patterns_are_patterns_mixtures_mixtures_and_the_rest_are_others(rng):
    patterns = draw_signs(rng, 6, 2_000)
    for s, kind in (
        (patterns, "pattern"),
        (-patterns, "reversed"),
        (mixtures(patterns), "mixture"),
        (-mixtures(patterns), "mixture"),
        (draw_signs(rng, 20, 2_000), "other"),
    ):
        assert (census(patterns, s) == kind).all()
        noisy = s * np.where(rng.random(s.shape) < 0.03, -1, 1)  # overlap 0.94
        assert (census(patterns, noisy) == kind).all()
        noisy = s * np.where(rng.random(s.shape) < 0.08, -1, 1)  # overlap 0.84
        assert (census(patterns, noisy) == "other").all()
        assert (census(patterns, noisy, 0.8) == kind).all()


def test_of_three_patterns_already_there_are_mixtures_and_nine_tenths_is_just_enough_for_one():
    patterns = np.tile([[1.0, 1.0, 1.0, -1.0], [1.0, 1.0, -1.0, 1.0], [1.0, -1.0, 1.0, 1.0]], 5)
    whole = np.ones(20)
    assert census(patterns, [whole, flipped(whole, 0), flipped(flipped(whole, 0), 1)]).tolist() == [
        "mixture",
        "mixture",
        "other",
    ]
    assert census(patterns[:2], [whole]).tolist() == ["other"]


@pytest.mark.parametrize("bad", [0, -0.5, np.nan, None, "0.9"])
def test_how_much_is_alike_has_to_be_positive(bad):
    with pytest.raises((ValueError, TypeError), match=r"^alike: expected"):
        census(S4, S4, bad)


# manners


@EVERY_UPDATE
@given(network=networks(kinds=("whole",), largest=20, diagonals=(0.0, 1.0, -1.0)), seed=SEEDS)
def test_rows_of_a_batch_know_nothing_of_one_another(update, network, seed):
    W, s, _ = network
    options = {"update": update, "max_iter": 30}
    together = settle(W, s, generator(seed), **options)
    alone = [settle(W, s[n : n + 1], generator(seed), **options) for n in range(len(s))]
    np.testing.assert_array_equal(together.state, np.concatenate([one.state for one in alone]))
    np.testing.assert_array_equal(together.energy, np.concatenate([one.energy for one in alone]))
    np.testing.assert_array_equal(together.period, np.concatenate([one.period for one in alone]))
    assert together.n_iter == max(one.n_iter for one in alone)


@EVERY_UPDATE
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_single_precision_stays_and_nobody_elses_array_is_written_to(update, dtype, rng):
    patterns = read_only(draw_signs(rng, 3, 150).astype(dtype))
    s = read_only(draw_signs(rng, 4, 150).astype(dtype))
    for rule in RULES:
        W = read_only(store(patterns, rule))
        found = settle(W, s, rng, update=update)
        assert isinstance(found, Settled)
        for a in (W, found.state, found.energy, energy(W, s), fields(W, s), overlaps(patterns, s), mixtures(patterns)):
            assert a.dtype == dtype
        assert not np.shares_memory(found.state, s)
        assert isinstance(found.n_iter, int)
        assert (found.state.shape, found.energy.shape) == (s.shape, (4,))
        assert found.converged.shape == found.period.shape == (4,)
        assert (found.converged.dtype, found.period.dtype) == (bool, int)
        rest = settle(W, read_only(found.state), rng, update=update)
        assert not np.shares_memory(rest.state, found.state)


@EVERY_RULE
def test_in_single_precision_the_same_is_remembered(rule, rng):
    patterns = letters("AJX")
    damaged = np.where(rng.random((20, 35)) < 0.1, -patterns[0], patterns[0])
    double, single = (settle(store(patterns.astype(kind), rule), damaged) for kind in (np.float64, np.float32))
    np.testing.assert_array_equal(single.state, double.state)
    np.testing.assert_allclose(single.energy, double.energy, rtol=1e-5)
    assert single.state.dtype == single.energy.dtype == np.float32  # that of W, whatever the states came in


def test_whole_numbers_and_lists_are_numbers():
    patterns = [[1, -1, 1, 1], [1, 1, -1, 1]]
    W = store(patterns)
    np.testing.assert_array_equal(W, store(np.array(patterns, float)))
    np.testing.assert_array_equal(settle([[0, 1], [1, 0]], [[1, -1]]).state, [[-1, -1]])
    assert settle(W, patterns).state.dtype == energy(np.eye(4, dtype=int), patterns).dtype == np.float64


W4, S4 = np.ones((4, 4)) - np.eye(4), np.array([[1.0, -1.0, 1.0, 1.0], [1.0, 1.0, -1.0, 1.0]])
NO_STATES = {
    "zero": np.where(np.arange(8).reshape(2, 4) == 3, 0, S4),
    "a half": np.where(np.arange(8).reshape(2, 4) == 3, 0.5, S4),
    "two": 2 * S4,
    "NaN": np.where(np.arange(8).reshape(2, 4) == 3, np.nan, S4),
    "infinity": np.where(np.arange(8).reshape(2, 4) == 3, np.inf, S4),
    "ragged": [[1, -1, 1, 1], [1, -1]],
    "none at all": np.zeros((0, 4)),
    "no units": np.zeros((2, 0)),
    "one, not a batch": S4[0],
    "a batch of batches": S4[None],
    "None": None,
    "a string": "A",
    "strings": [["+", "-", "+", "+"]],
    "objects": S4.astype(object),
    "complex numbers": S4 + 0j,
}
NO_COUPLINGS = {
    "not symmetric": np.triu(W4),
    "antisymmetric": np.triu(W4) - np.tril(W4),
    "a little asymmetric": W4 + 1e-3 * np.triu(W4),
    "not square": W4[:3],
    "NaN": np.where(np.eye(4) == 1, np.nan, W4),
    "infinity": np.where(np.eye(4) == 1, np.inf, W4),
    "vast": 1e300 * W4,
    "empty": np.zeros((0, 0)),
    "a number": 1.0,
    "ragged": [[0, 1], [1]],
    "None": None,
    "a string": "W",
    "complex numbers": W4 + 0j,
}


@pytest.mark.parametrize("bad", NO_STATES.values(), ids=NO_STATES)
def test_patterns_that_are_none_are_refused_by_name(bad):
    doors = (store, lambda xi: store(xi, "storkey"), mixtures, lambda xi: overlaps(xi, S4), lambda xi: census(xi, S4))
    for door in doors:
        with pytest.raises((ValueError, TypeError), match=r"^patterns: expected"):
            door(bad)


@pytest.mark.parametrize("bad", [*NO_STATES.values(), np.ones((2, 5))], ids=[*NO_STATES, "too wide"])
def test_states_that_are_none_are_refused_by_name(bad):
    for door in (energy, fields, settle, lambda _, s: overlaps(S4, s), lambda _, s: census(S4, s)):
        with pytest.raises((ValueError, TypeError), match=r"^s: expected"):
            door(W4, bad)


@pytest.mark.parametrize("bad", NO_COUPLINGS.values(), ids=NO_COUPLINGS)
def test_couplings_that_are_none_are_refused_by_name(bad):
    for door in (energy, fields, settle):
        with pytest.raises((ValueError, TypeError), match=r"^W: expected"):
            door(bad, S4)


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("rng", {"rng": 0}),
        ("rng", {"rng": np.random.RandomState(0)}),
        ("update", {"update": "synchronous"}),
        ("update", {"update": None}),
        ("max_iter", {"max_iter": 0}),
        ("max_iter", {"max_iter": -1}),
        ("max_iter", {"max_iter": 2.0}),
        ("max_iter", {"max_iter": None}),
        ("max_iter", {"max_iter": "many"}),
    ],
)
def test_other_bad_choices_are_refused_by_name(name, bad):
    with pytest.raises((ValueError, TypeError), match=rf"^{name}: expected"):
        settle(W4, S4, **bad)


@pytest.mark.parametrize("rule", ["Hebb", "", None, 1, ["hebb"]])
def test_an_unknown_rule_is_refused_by_name(rule):
    with pytest.raises(ValueError, match=r"^rule: expected one of 'hebb', 'projection', 'storkey', got"):
        store(S4, rule)


def test_storkeys_rule_has_no_diagonal_to_keep():
    with pytest.raises(ValueError, match=r"^keep_diagonal: expected False"):
        store(S4, "storkey", keep_diagonal=True)


def test_rounding_is_no_asymmetry(rng):
    W = draw_couplings(rng, 30, "real")
    s, noise = draw_signs(rng, 3, 30), 1 + 1e-9 * rng.normal(size=W.shape)
    np.testing.assert_array_equal(settle(W * noise, s).state, settle(W, s).state)


def test_a_wrong_shape_is_answered_in_the_letters_of_the_page():
    for door in (store, mixtures, lambda xi: overlaps(xi, S4), lambda xi: census(xi, S4)):
        with pytest.raises(ValueError, match=r"^patterns: expected shape \(P, N\), got shape \(4,\)$"):
            door(S4[0])
    for door in (energy, fields, settle, lambda _, s: overlaps(S4, s)):
        with pytest.raises(ValueError, match=r"^s: expected shape \(B, 4\), got shape \(4,\)$"):
            door(W4, S4[0])
        if door in (energy, fields, settle):
            with pytest.raises(ValueError, match=r"^W: expected shape \(N, N\), got shape \(4,\)$"):
                door(W4[0], S4)
    with pytest.raises(ValueError, match=r"^W: expected as many rows as columns, got shape \(3, 4\)$"):
        energy(W4[:3], S4)


def test_what_else_is_refused_is_refused_in_words():
    with pytest.raises(ValueError, match=r"^W: expected a symmetric matrix: without W = W\^T there is no energy$"):
        energy(np.triu(W4), S4)
    words = r"^keep_diagonal: expected False for Storkey's rule, which has no diagonal$"
    with pytest.raises(ValueError, match=words):
        store(S4, "storkey", keep_diagonal=True)
    with pytest.raises(TypeError, match=r"^keep_diagonal: expected"):
        store(S4, keep_diagonal=1)
