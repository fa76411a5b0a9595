from itertools import pairwise

import numpy as np
import pytest
from guards import read_only
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strategies import generators

from ebm_np.physics import hopfield
from ebm_np.physics.dense_memory import CHUNK, energy, settle
from ebm_np.physics.hopfield import Settled

FEW = settings(max_examples=settings.default.max_examples // 3)
EITHER = pytest.mark.parametrize("rectified", [False, True], ids=["plain", "rectified"])
SEEDS = st.none() | st.integers(0, 2**32 - 1)


def draw_signs(rng, *shape):
    return rng.choice([-1.0, 1.0], shape)


@st.composite
def memories(draw, largest=12, alike=(0.5, 0.1)):
    """Patterns, of which some are much alike; a batch of states, some near the first of them; and a generator."""
    rng = draw(generators())
    n, differ = draw(st.integers(1, largest)), draw(st.sampled_from(alike))
    first = draw_signs(rng, 1, n)
    patterns, s = (np.where(rng.random((draw(st.integers(1, 6)), n)) < differ, -first, first) for _ in range(2))
    return patterns, s, rng


def generator(seed):
    return None if seed is None else np.random.default_rng(seed)


def power(M, n, rectified):
    return max(M, 0) ** n if rectified else M**n


def by_hand(patterns, s, n, rectified):
    """E(s) of one state, equation (1) or (3)."""
    size = len(s)
    m = [sum(a * b for a, b in zip(xi, s, strict=True)) / size for xi in patterns]
    return -size / n * sum(power(one, n, rectified) for one in m)


def walk(patterns, s, n, rectified, rng=None, max_iter=1_000):
    """Yield the state after each look of one unit, (2) in Python's integers, and whether a sweep changed nothing."""
    xi, s = patterns.astype(int).tolist(), s.astype(int).tolist()
    sums = [sum(a * b for a, b in zip(row, s, strict=True)) for row in xi]
    for _ in range(max_iter):
        before = list(s)
        for i in range(len(s)) if rng is None else rng.permutation(len(s)):
            there = [M - 2 * row[i] * s[i] for row, M in zip(xi, sums, strict=True)]
            if sum(power(M, n, rectified) for M in there) > sum(power(M, n, rectified) for M in sums):
                s[i], sums = -s[i], there
            yield list(s), False
        if s == before:
            yield list(s), True
            return


def unit_by_unit(patterns, s, n, rectified, rng=None, max_iter=1_000):
    """Where that ends, after how many sweeps, and whether it is at rest."""
    *steps, (last, at_rest) = walk(patterns, s, n, rectified, rng, max_iter)
    return last, (len(steps) if at_rest else len(steps) + 1) // len(s), at_rest


def flipped(s):
    """The states that differ from s in one unit."""
    return s * (1 - 2 * np.eye(len(s)))


# energy


@EITHER
@given(memory=memories(), n=st.integers(2, 40))
def test_energy_is_its_sum(rectified, memory, n):
    patterns, s, _ = memory
    expected = [by_hand(patterns, row, n, rectified) for row in s]
    size = len(patterns) * s.shape[1] / n
    np.testing.assert_allclose(energy(patterns, s, n, rectified=rectified), expected, rtol=1e-12, atol=1e-14 * size)


@given(memories())
def test_with_n_2_it_is_hopfields_energy_less_p_over_2(memory):
    patterns, s, _ = memory
    expected = hopfield.energy(hopfield.store(patterns), s) - len(patterns) / 2
    np.testing.assert_allclose(energy(patterns, s, 2), expected, rtol=1e-12, atol=1e-13)


@given(memories(), st.integers(2, 9))
def test_a_power_is_that_of_what_is_positive_and_of_what_is_negative(memory, n):
    patterns, s, _ = memory
    plain, positive, negative = energy(patterns, s, n), *(energy(patterns, x, n, rectified=True) for x in (s, -s))
    np.testing.assert_allclose(plain, positive + (-1) ** n * negative, rtol=1e-12, atol=1e-12)


@given(memories(), st.integers(2, 9))
def test_a_state_and_its_negative_have_the_same_energy_for_even_n_and_the_opposite_for_odd(memory, n):
    patterns, s, _ = memory
    np.testing.assert_allclose(energy(patterns, -s, n), (-1) ** n * energy(patterns, s, n), rtol=1e-13)


@EITHER
@given(memory=memories(), n=st.integers(2, 40))
def test_no_state_lies_below_all_patterns_at_once(rectified, memory, n):
    patterns, s, _ = memory
    E = energy(patterns, s, n, rectified=rectified)
    size = s.shape[1] / n
    assert E.min() >= -size * len(patterns) * (1 + 1e-14)
    np.testing.assert_allclose(energy(s[:1], s[:1], n, rectified=rectified), -size)


# one unit at a time


@EITHER
@pytest.mark.parametrize("n", range(2, 7))
@FEW
@given(memory=memories(largest=2 * CHUNK + 10, alike=(0.5, 0.1, 0.02)), seed=SEEDS, max_iter=st.integers(1, 6))
@example(
    memory=(draw_signs(np.random.default_rng(0), 5, CHUNK), draw_signs(np.random.default_rng(1), 3, CHUNK), 0),
    seed=None,
    max_iter=6,
)
def test_it_is_a_loop_over_units_in_whole_numbers(n, rectified, memory, seed, max_iter):
    patterns, s, _ = memory
    found = settle(patterns, s, n, generator(seed), rectified=rectified, max_iter=max_iter)
    expected = [unit_by_unit(patterns, row, n, rectified, generator(seed), max_iter) for row in s]
    np.testing.assert_array_equal(found.state, [state for state, _, _ in expected])
    assert found.n_iter == max(n_iter for _, n_iter, _ in expected)
    assert found.converged.tolist() == [at_rest for _, _, at_rest in expected]
    assert found.period.tolist() == [int(at_rest) for _, _, at_rest in expected]


@given(generators(), st.integers(100, 600), st.integers(2, 3), st.sampled_from([2, 4, 6]))
def test_where_both_energies_are_equal_the_state_stays_however_many_units(rng, n_units, n, n_patterns):
    # pairs of patterns that differ at unit 0 only: a flip of it changes their places
    s = draw_signs(rng, 1, n_units)
    half = np.where(rng.random((n_patterns // 2, n_units)) < rng.uniform(0, 0.5), -s, s)
    half[:, 0] = 1
    other = half.copy()
    other[:, 0] = -1
    patterns = rng.permutation(np.concatenate([half, other]))
    assert settle(patterns, s, n, max_iter=1).state[0, 0] == s[0, 0]
    expected, _, _ = unit_by_unit(patterns, s[0], n, False, None, 1)
    np.testing.assert_array_equal(settle(patterns, s, n, max_iter=1).state[0], expected)


def test_ties_of_unlike_overlaps_are_ties(rng):
    # n = 2: unit 0 stays where sum_mu xi_0^mu s_0 M_mu = P. Here M = (a, b, c), xi_0 s_0 = (1, -1, -1), a = b + c + 3
    for n_units in (101, 203, 397, 599):
        for _ in range(40):
            s = draw_signs(rng, n_units)
            b, c = n_units - 2 * rng.integers(n_units // 4 + 2, n_units // 2, 2)
            a = b + c + 3
            patterns = []
            for M, first in ((a, 1), (b, -1), (c, -1)):
                lost, xi = (n_units - M) // 2, s.copy()
                places = 1 + rng.permutation(n_units - 1)[: lost - (first < 0)]
                xi[places] *= -1
                xi[0] *= first
                patterns.append(xi)
            patterns = np.array(patterns)
            np.testing.assert_array_equal(patterns @ s, [a, b, c])
            for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
                assert settle(patterns[order], s[None], 2, max_iter=1).state[0, 0] == s[0]


@EITHER
@given(memory=memories(), n=st.integers(2, 40), seed=SEEDS)
def test_energy_never_rises_and_it_ends_in_a_minimum(rectified, memory, n, seed):
    patterns, s, _ = memory
    found = settle(patterns, s, n, generator(seed), rectified=rectified)
    assert found.converged.all()
    np.testing.assert_array_equal(found.period, 1)
    slack = 1e-14 * len(patterns) * s.shape[1] / n
    sweeps = [settle(patterns, s, n, generator(seed), rectified=rectified, max_iter=k) for k in range(1, 5)]
    path = [energy(patterns, s, n, rectified=rectified), *(one.energy for one in sweeps), found.energy]
    for before, after in pairwise(path):
        assert (after <= before + slack).all()
    for state, E in zip(found.state, found.energy, strict=True):
        assert abs(E - by_hand(patterns, state, n, rectified)) <= 1e-12 * abs(E) + slack
        assert (energy(patterns, flipped(state), n, rectified=rectified) >= E - slack).all()
    np.testing.assert_array_equal(settle(patterns, found.state, n, rectified=rectified).state, found.state)


@given(memories(), SEEDS)
def test_with_n_2_it_is_hopfields_network(memory, seed):
    patterns, s, _ = memory
    found = settle(patterns, s, 2, generator(seed))
    expected = hopfield.settle(hopfield.store(patterns), s, generator(seed))
    np.testing.assert_array_equal(found.state, expected.state)
    np.testing.assert_allclose(found.energy, expected.energy - len(patterns) / 2, rtol=1e-12, atol=1e-13)
    assert found.n_iter == expected.n_iter


@given(memories(largest=60), st.sampled_from([2, 4, 6]), SEEDS)
def test_for_even_n_it_ends_in_the_negative_from_the_negative(memory, n, seed):
    patterns, s, _ = memory
    one, other = (settle(patterns, start, n, generator(seed)) for start in (s, -s))
    np.testing.assert_array_equal(other.state, -one.state)
    np.testing.assert_allclose(other.energy, one.energy, rtol=1e-13)


@pytest.mark.parametrize(("n", "rectified"), [(3, False), (5, False), (2, True), (3, True), (4, True)])
def test_for_odd_n_or_rectified_the_negative_of_a_pattern_is_no_memory(n, rectified, rng):
    patterns = draw_signs(rng, 5, 100)
    np.testing.assert_array_equal(settle(patterns, patterns, n, rectified=rectified).state, patterns)
    found = settle(patterns, -patterns, n, rectified=rectified)
    assert (found.state != -patterns).any(axis=1).all()
    assert (found.energy < energy(patterns, -patterns, n, rectified=rectified)).all()


@given(memories(), st.integers(2, 6), SEEDS)
def test_changing_signs_of_units_or_the_order_of_patterns_changes_nothing_else(memory, n, seed):
    patterns, s, rng = memory
    g = draw_signs(rng, s.shape[1])
    one, other = settle(patterns, s, n, generator(seed)), settle(g * patterns, g * s, n, generator(seed))
    np.testing.assert_array_equal(other.state, g * one.state)
    np.testing.assert_array_equal(settle(rng.permutation(patterns), s, n, generator(seed)).state, one.state)


def test_cubes_are_the_default_and_the_generator_decides_the_order(rng):
    patterns, s = draw_signs(rng, 100, 80), draw_signs(rng, 10, 80)
    np.testing.assert_array_equal(energy(patterns, s), energy(patterns, s, 3))
    np.testing.assert_array_equal(settle(patterns, s).state, settle(patterns, s, 3).state)
    one, same, other = (settle(patterns, s, rng=np.random.default_rng(seed)).state for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    assert (one != settle(patterns, s).state).any()


# capacity


def test_of_three_patterns_a_unit_squares_keep_none_and_fourth_powers_all(rng):
    patterns = draw_signs(rng, 200, 64)
    some = patterns[:50]
    kept = [settle(patterns, some, n, max_iter=1).converged.mean() for n in (2, 3, 4)]
    assert kept[0] == 0
    assert 0.3 < kept[1] < 0.98
    assert kept[2] == 1
    damaged = some * np.where(rng.permutation(64) < 6, -1, 1)
    np.testing.assert_array_equal(settle(patterns, damaged, 6, rng).state, some)
    assert (settle(patterns, damaged, 2, rng, max_iter=20).state != some).any(axis=1).all()


@given(generators(), st.integers(2, 20), SEEDS)
def test_very_steep_it_ends_in_the_nearest_pattern(rng, n_units, seed):
    patterns = draw_signs(rng, 4, n_units)
    s = draw_signs(rng, 1, n_units)
    m = np.sort(patterns @ s[0])
    if m[-1] >= m[-2] + 4 and m[-1] > 0:  # the others stay behind whatever flips first
        nearest = patterns[np.argmax(patterns @ s[0])]
        found = settle(patterns, s, 150, generator(seed), rectified=True)
        np.testing.assert_array_equal(found.state[0], nearest)


# manners


@EITHER
@given(memory=memories(largest=CHUNK + 20), n=st.integers(2, 5), seed=SEEDS, max_iter=st.integers(1, 10))
def test_rows_of_a_batch_know_nothing_of_one_another(rectified, memory, n, seed, max_iter):
    patterns, s, _ = memory
    options = {"rectified": rectified, "max_iter": max_iter}
    together = settle(patterns, s, n, generator(seed), **options)
    alone = [settle(patterns, row[None], n, generator(seed), **options) for row in s]
    np.testing.assert_array_equal(together.state, np.concatenate([one.state for one in alone]))
    np.testing.assert_array_equal(together.period, np.concatenate([one.period for one in alone]))
    energies = np.concatenate([one.energy for one in alone])
    np.testing.assert_allclose(together.energy, energies, rtol=1e-12, atol=1e-12)
    assert together.n_iter == max(one.n_iter for one in alone)


@EITHER
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept_and_nobody_elses_array_is_written_to(rectified, dtype, rng):
    patterns, s = read_only(draw_signs(rng, 5, 50).astype(dtype)), read_only(draw_signs(rng, 4, 50).astype(dtype))
    for start in (s, patterns):
        found = settle(patterns, start, rng=rng, rectified=rectified)
        assert isinstance(found, Settled)
        assert found.state.dtype == found.energy.dtype == energy(patterns, s, rectified=rectified).dtype == dtype
        assert not np.shares_memory(found.state, start)
        assert (found.state.shape, found.energy.shape) == (start.shape, (len(start),))
        assert isinstance(found.n_iter, int)
        assert found.converged.dtype == bool
        assert found.period.dtype == int
    double = settle(patterns.astype(float), s.astype(float), n=4, rectified=rectified)
    single = settle(patterns.astype(np.float32), s.astype(np.float32), n=4, rectified=rectified)
    np.testing.assert_array_equal(single.state, double.state)
    np.testing.assert_allclose(single.energy, double.energy, rtol=1e-5)
    mixed = settle(patterns.astype(np.float32), s.astype(float), n=4, rectified=rectified)
    assert mixed.state.dtype == mixed.energy.dtype == np.float32  # that of the patterns, whatever the states came in


def test_whole_numbers_and_lists_are_numbers():
    found = settle([[1, -1, 1], [1, 1, 1]], [[1, -1, -1]])
    np.testing.assert_array_equal(found.state, settle([[1.0, -1.0, 1.0], [1.0, 1.0, 1.0]], [[1.0, -1.0, -1.0]]).state)
    assert found.state.dtype == np.float64


S4 = np.array([[1.0, -1.0, 1.0, 1.0], [1.0, 1.0, -1.0, 1.0]])
NO_STATES = {
    "zero": 0 * S4,
    "a half": np.where(np.arange(8).reshape(2, 4) == 3, 0.5, S4),
    "NaN": np.where(np.arange(8).reshape(2, 4) == 3, np.nan, S4),
    "ragged": [[1, -1, 1, 1], [1, -1]],
    "none at all": np.zeros((0, 4)),
    "one, not a batch": S4[0],
    "None": None,
    "a string": "A",
    "complex numbers": S4 + 0j,
}


@pytest.mark.parametrize("bad", NO_STATES.values(), ids=NO_STATES)
def test_patterns_and_states_that_are_none_are_refused_by_name(bad):
    for door in (energy, settle):
        with pytest.raises((ValueError, TypeError), match=r"^patterns: expected"):
            door(bad, S4)
        with pytest.raises((ValueError, TypeError), match=r"^s: expected"):
            door(S4, bad)
        with pytest.raises(ValueError, match=r"^patterns: expected shape \(P, N\), got shape \(4,\)$"):
            door(S4[0], S4)
        with pytest.raises(ValueError, match=r"^s: expected shape \(B, 4\), got shape \(2, 5\)$"):
            door(S4, np.ones((2, 5)))


@pytest.mark.parametrize("bad", [1, 0, -2, 2.0, None, "3", True])
def test_a_power_below_2_or_none_is_refused_by_name(bad):
    for door in (energy, lambda xi, s, n: settle(xi, s, n)):
        with pytest.raises((ValueError, TypeError), match=r"^n: expected"):
            door(S4, S4, bad)


@pytest.mark.parametrize(
    ("name", "bad"),
    [("rng", {"rng": 0}), ("rng", {"rng": "x"}), ("max_iter", {"max_iter": 0}), ("max_iter", {"max_iter": 2.0})],
)
def test_other_bad_choices_are_refused_by_name(name, bad):
    with pytest.raises((ValueError, TypeError), match=rf"^{name}: expected"):
        settle(S4, S4, **bad)


def test_rectified_is_true_or_false(rng):
    patterns = np.sign(rng.normal(size=(2, 5)))
    for function in (energy, settle):
        with pytest.raises(TypeError, match=r"^rectified: expected True or False, got str$"):
            function(patterns, patterns, rectified="no")
