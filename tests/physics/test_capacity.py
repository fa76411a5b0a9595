import re
from itertools import product

import numpy as np
import pytest
from guards import read_only
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import expit
from strategies import generators

from ebm_np.physics import capacity, hopfield
from ebm_np.physics.capacity import GROUP, _random_signs, half_load, kept, retrieve
from ebm_np.physics.hopfield import CHUNK, Settled, store
from ebm_np.physics.mean_field import first_step_error, overlap

FEW = settings(max_examples=settings.default.max_examples // 3)
PRECISIONS = pytest.mark.parametrize(("dtype", "digits"), [(np.float32, 1e-6), (np.float64, 1e-12)])


def draw_signs(rng, *shape):
    return rng.choice([-1.0, 1.0], shape)


@st.composite
def memories(draw, largest=40):
    """Networks with patterns of their own, a state of each, and a generator."""
    rng = draw(generators())
    n_networks, n_patterns, n = draw(st.integers(1, 4)), draw(st.integers(1, 12)), draw(st.integers(1, largest))
    patterns = draw_signs(rng, n_networks, n_patterns, n)
    noise = np.where(rng.random((n_networks, n)) < draw(st.sampled_from([0.0, 0.2, 0.5])), -1, 1)
    return patterns, patterns[:, 0] * noise, rng


def by_whole_numbers(patterns, s, max_iter=1_000):
    """One network, one unit after the other, N h_i = sum_mu xi_i^mu M_mu - P s_i in Python's integers."""
    xi, s = patterns.astype(int).tolist(), s.astype(int).tolist()
    sums = [sum(a * b for a, b in zip(row, s, strict=True)) for row in xi]
    n_iter, at_rest = 0, False
    while not at_rest and n_iter < max_iter:
        at_rest, n_iter = True, n_iter + 1
        for i in range(len(s)):
            h = sum(row[i] * M for row, M in zip(xi, sums, strict=True)) - len(xi) * s[i]
            if h * s[i] < 0:
                s[i], at_rest = -s[i], False
                sums = [M + 2 * row[i] * s[i] for row, M in zip(xi, sums, strict=True)]
    return s, n_iter, at_rest


def draw_trials(rng, half, width, n_loads, n_trials):
    loads = half + width * np.linspace(-2.5, 2, n_loads)
    return loads, (rng.random((n_loads, n_trials)) < expit((half - loads) / width)[:, None]).astype(float)


def logistic_regression(loads, successes):
    """Half load and its standard error, by Newton's method for the logit b - c u, and the delta method."""
    centre, unit = loads.mean(), np.ptp(loads)
    u, n_trials, k = (loads - centre) / unit, successes.shape[1], successes.sum(axis=1)
    X, beta = np.stack([np.ones_like(u), -u], axis=1), np.zeros(2)
    for _ in range(60):
        p = expit(X @ beta)
        information = (X * (n_trials * p * (1 - p))[:, None]).T @ X
        beta = beta + np.linalg.solve(information, X.T @ (k - n_trials * p))
    (b, c), slopes = beta, np.array([1 / beta[1], -beta[0] / beta[1] ** 2])
    return centre + unit * b / c, unit * np.sqrt(slopes @ np.linalg.inv(information) @ slopes)


# retrieve


@PRECISIONS
@FEW
@example(memory=(draw_signs(np.random.default_rng(0), 2, 6, CHUNK), draw_signs(np.random.default_rng(1), 2, CHUNK), 0))
@given(memory=memories(largest=2 * CHUNK + 50))
def test_it_is_the_settling_of_each_network_with_hebbs_couplings(dtype, digits, memory):
    patterns, s, _ = memory
    found = retrieve(patterns.astype(dtype), s.astype(dtype))
    alone = [hopfield.settle(store(xi), row[None]) for xi, row in zip(patterns, s, strict=True)]
    np.testing.assert_array_equal(found.state, np.concatenate([one.state for one in alone]))
    expected = np.concatenate([one.energy for one in alone])
    np.testing.assert_allclose(found.energy, expected, atol=digits * patterns.shape[1] * s.shape[1])
    assert found.n_iter == max(one.n_iter for one in alone)
    assert found.converged.all()
    np.testing.assert_array_equal(found.period, 1)


@PRECISIONS
@FEW
@given(memory=memories(largest=CHUNK + 40), max_iter=st.integers(1, 8))
def test_it_is_a_loop_over_units_in_whole_numbers(dtype, digits, memory, max_iter):
    patterns, s, _ = memory
    found = retrieve(patterns.astype(dtype), s.astype(dtype), max_iter=max_iter)
    expected = [by_whole_numbers(xi, row, max_iter) for xi, row in zip(patterns, s, strict=True)]
    np.testing.assert_array_equal(found.state, [state for state, _, _ in expected])
    assert found.n_iter == max(n_iter for _, n_iter, _ in expected)
    assert found.converged.tolist() == [at_rest for _, _, at_rest in expected]
    assert found.period.tolist() == [int(at_rest) for _, _, at_rest in expected]
    energies = [hopfield.energy(store(xi), row[None])[0] for xi, row in zip(patterns, found.state, strict=True)]
    np.testing.assert_allclose(found.energy, energies, atol=digits * patterns.shape[1] * s.shape[1])


@given(memories(largest=12))
def test_ties_are_exact_and_keep_the_state(memory):
    # half of the patterns say the opposite of unit 0: its field is -(P - sum xi^2) s_0 = 0
    patterns, s, _ = memory
    opposite = patterns.copy()
    opposite[:, :, 0] *= -1
    found = retrieve(np.concatenate([patterns, opposite], axis=1), s)
    np.testing.assert_array_equal(found.state[:, 0], s[:, 0])


@given(memories(largest=60))
def test_networks_know_nothing_of_one_another(memory):
    patterns, s, rng = memory
    together, order = retrieve(patterns, s), rng.permutation(len(s))
    alone = [retrieve(patterns[t : t + 1], s[t : t + 1]) for t in range(len(s))]
    np.testing.assert_array_equal(together.state, np.concatenate([one.state for one in alone]))
    np.testing.assert_array_equal(together.energy, np.concatenate([one.energy for one in alone]))
    assert together.n_iter == max(one.n_iter for one in alone)
    np.testing.assert_array_equal(retrieve(patterns[order], s[order]).state, together.state[order])


@given(memories(largest=60), st.integers(1, 4), st.integers(1, 8))
def test_several_states_of_a_network_are_settled_as_one_by_one(memory, n_states, max_iter):
    patterns, s, rng = memory
    s = s[:, None] * np.where(rng.random((len(s), n_states, s.shape[1])) < 0.2, -1, 1)
    together = retrieve(patterns, s, max_iter=max_iter)
    alone = [retrieve(patterns, s[:, b], max_iter=max_iter) for b in range(n_states)]
    for field in ("state", "energy", "converged", "period"):
        expected = np.stack([getattr(one, field) for one in alone], axis=1)
        np.testing.assert_array_equal(getattr(together, field), expected)
    assert together.n_iter == max(one.n_iter for one in alone)


def test_networks_that_need_many_sweeps_are_not_left_behind_by_those_that_need_few(rng):
    patterns = np.stack([draw_signs(rng, 60, 200) for _ in range(20)])
    patterns[:10, 1:] = patterns[:10, :1]  # these rest where they are
    found = retrieve(patterns, patterns[:, 0])
    expected = [by_whole_numbers(xi, xi[0]) for xi in patterns]
    np.testing.assert_array_equal(found.state, [state for state, _, _ in expected])
    assert len({n_iter for _, n_iter, _ in expected}) > 3
    assert found.n_iter == max(n_iter for _, n_iter, _ in expected)
    energies = [hopfield.energy(store(xi), row[None])[0] for xi, row in zip(patterns, found.state, strict=True)]
    np.testing.assert_allclose(found.energy, energies, rtol=1e-12)


def test_many_large_networks_settle_as_each_alone(rng):
    n_patterns = GROUP // 400 + 1  # no three of them fit in a group
    patterns = draw_signs(rng, 5, n_patterns, 200).astype(np.float32)
    patterns[:2, 1:] = patterns[:2, :1]  # the first group rests where it is
    found = retrieve(patterns, patterns[:, 0], max_iter=20)
    alone = [retrieve(xi[None], xi[:1], max_iter=20) for xi in patterns]
    for one, each in zip(found, zip(*alone, strict=True), strict=True):
        np.testing.assert_array_equal(one, max(each) if isinstance(one, int) else np.concatenate(each))
    assert alone[0].n_iter == 1 < found.n_iter


@given(memories(largest=20))
def test_from_the_negative_state_it_ends_in_the_negative(memory):
    patterns, s, _ = memory
    one, other = retrieve(patterns, s), retrieve(patterns, -s)
    np.testing.assert_array_equal(other.state, -one.state)
    np.testing.assert_array_equal(other.energy, one.energy)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept_and_nobody_elses_array_is_written_to(dtype, rng):
    patterns = read_only(draw_signs(rng, 4, 20, 150).astype(dtype))
    for s in (read_only(draw_signs(rng, 4, 150).astype(dtype)), read_only(patterns[:, 0])):
        found = retrieve(patterns, s)
        assert isinstance(found, Settled)
        assert found.state.dtype == found.energy.dtype == dtype
        assert (found.state.shape, found.energy.shape, found.period.shape) == (s.shape, (4,), (4,))
        assert not np.shares_memory(found.state, s)
        assert not np.shares_memory(found.state, patterns)
        assert isinstance(found.n_iter, int)
        assert (found.converged.dtype, found.period.dtype) == (bool, int)


@pytest.mark.parametrize("view", ["Fortran", "strided", "whole numbers"])
def test_layout_and_type_of_the_numbers_do_not_matter(view, rng):
    patterns = draw_signs(rng, 3, 8, 50)
    s, look = draw_signs(rng, 3, 50), {"Fortran": np.asfortranarray, "whole numbers": lambda a: a.astype(np.int8)}
    looked_at = look.get(view, lambda a: np.repeat(a, 2, axis=-1)[..., ::2])
    found = retrieve(looked_at(patterns), looked_at(s))
    np.testing.assert_array_equal(found.state, retrieve(patterns, s).state)
    assert found.state.dtype == np.float64


# kept


def test_what_is_kept_is_decided_by_the_seed_and_lies_between_minus_one_and_one():
    for n_units, n_patterns, n_trials in ((1, 1, 1), (1, 5, 3), (40, 1, 6), (30, 60, 50)):
        one, same, other = (kept(np.random.default_rng(seed), n_units, n_patterns, n_trials) for seed in (1, 1, 2))
        np.testing.assert_array_equal(one, same)
        assert (one != other).any() == (min(n_units, n_patterns) > 5)
        assert one.shape == (n_trials,)
        assert one.dtype == np.float64
        assert (np.abs(one) <= 1).all()
        np.testing.assert_allclose(one * n_units % 2, n_units % 2, atol=1e-9)  # a mean of n_units signs


@pytest.mark.parametrize("group", [1, 30, 100, 10**6])
def test_there_is_one_for_each_trial_however_few_fit_together(group, rng, monkeypatch):
    monkeypatch.setattr(capacity, "GROUP", group)
    found = kept(rng, 20, 5, 7)
    assert found.shape == (7,)
    np.testing.assert_allclose(found, 1 - np.round(10 * (1 - found)) / 10, atol=1e-12)  # a mean of 20 signs


@pytest.mark.parametrize(("n_units", "n_patterns", "dtype"), [(5, 5, np.float32), (4096, 4097, np.float64)])
def test_sums_of_as_many_whole_numbers_are_exact_in_the_precision_of_the_patterns(
    n_units, n_patterns, dtype, rng, monkeypatch
):
    met = []

    def at_rest(patterns, s):
        met.append(patterns.dtype)
        return Settled(s, np.zeros(1), 1, np.ones(1, bool), np.ones(1, int))

    monkeypatch.setattr(capacity, "retrieve", at_rest)
    np.testing.assert_array_equal(kept(rng, n_units, n_patterns, 1), 1)
    assert met == [dtype]
    most = np.array(n_units * n_patterns - 1, dtype)
    assert most + 1 != most  # and so for every whole number below


@pytest.mark.parametrize("n_units", [1, 2, 100])
def test_a_single_pattern_is_kept_whole(n_units, rng):
    np.testing.assert_array_equal(kept(rng, n_units, 1, 9), 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_random_patterns_are_equally_likely_also_where_their_bits_end_within_a_byte(dtype, rng):
    found = _random_signs(rng, (4_000, 1, 9), dtype)  # 36,000 bits: 4,500 bytes
    odd = np.stack([_random_signs(rng, (1, 1, 3), dtype)[0, 0] for _ in range(4_000)])
    assert found.dtype == odd.dtype == dtype
    for three in (found[:, 0, :3], found[:, 0, 6:], odd):
        patterns, counts = np.unique(three, axis=0, return_counts=True)
        assert sorted(map(tuple, patterns)) == sorted(product((-1, 1), repeat=3))
        assert np.abs(counts - 500).max() < 5 * np.sqrt(500)


@pytest.mark.parametrize(("n_units", "n_patterns"), [(60, 9), (150, 25)])
def test_as_much_is_kept_as_by_settling_from_random_patterns(n_units, n_patterns, rng):
    expected = []
    for _ in range(300):
        patterns = draw_signs(rng, n_patterns, n_units)
        found = hopfield.settle(store(patterns), patterns[:1]).state
        expected.append(hopfield.overlaps(patterns, found)[0, 0])
    found = kept(rng, n_units, n_patterns, 300)
    assert abs(found.mean() - np.mean(expected)) < 4 * np.sqrt((found.var() + np.var(expected)) / 300)
    assert found.std() == pytest.approx(np.std(expected), rel=0.4)


@pytest.mark.parametrize("alpha", [0.05, 0.1])
def test_at_small_load_as_much_is_kept_as_theory_says_of_many_units(alpha, rng):
    found = kept(rng, 2_000, round(2_000 * alpha), 30)
    assert abs(found.mean() - overlap(alpha)) < 4 * max(found.std(), 1 / 2_000) / np.sqrt(30)


def test_a_thousand_units_keep_120_patterns_and_not_160(rng):
    few, many = (kept(rng, 1_000, n_patterns, 60) for n_patterns in (120, 160))
    assert (few > 0.95).mean() > 0.9
    assert few.mean() > 0.98
    assert (many > 0.95).mean() < 0.7
    assert many.mean() < 0.85


@pytest.mark.parametrize("keep_diagonal", [False, True])
@pytest.mark.parametrize("load", [0.105, 0.138, 0.185])
def test_the_first_step_spoils_the_bits_that_erfc_says(load, keep_diagonal, rng):
    n, lost = 1_000, []
    for _ in range(15):
        patterns = draw_signs(rng, round(load * n) + 1, n)  # noise comes from the others
        W = store(patterns, keep_diagonal=keep_diagonal)
        lost.append((hopfield.fields(W, patterns) * patterns < 0).mean())
    expected, error = (first_step_error(load, keep_diagonal=k) for k in (keep_diagonal, not keep_diagonal))
    spread = np.std(lost) / np.sqrt(15)
    assert abs(np.mean(lost) - expected) < 4 * spread
    assert abs(np.mean(lost) - error) > 8 * spread


# half_load


@given(generators(), st.integers(4, 15), st.integers(40, 200), st.floats(-4, 4), st.floats(-3, 3))
def test_the_half_load_and_its_error_are_those_of_logistic_regression(rng, n_loads, n_trials, log_width, place):
    width = 10.0**log_width
    half = width * 10.0**place
    loads = rng.permutation(half + width * rng.uniform(1, 2) * np.linspace(-1, rng.uniform(0.5, 1), n_loads))
    successes = (rng.random((n_loads, n_trials)) < expit((half - loads) / width)[:, None]).astype(float)
    half, error = logistic_regression(loads, successes)
    found = half_load(loads, successes)
    assert abs(found[0] - half) < 0.01 * error
    assert found[1] == pytest.approx(error, rel=0.01, abs=0)


def test_of_many_experiments_the_half_load_lies_about_its_error_from_the_truth(rng):
    deviations = []
    for _ in range(150):
        half, error = half_load(*draw_trials(rng, 0.145, 0.004, 8, 40))
        deviations.append((half - 0.145) / error)
    assert np.abs(deviations).max() < 4
    assert 0.85 < np.std(deviations) < 1.2
    assert abs(np.mean(deviations)) < 4 / np.sqrt(150)


@given(generators(), st.floats(-6, 6), st.floats(-5, 5))
def test_in_another_unit_of_loads_and_from_another_origin_the_half_load_is_the_same(rng, exponent, shift):
    loads, successes = draw_trials(rng, 0.145, 0.004, 8, 40)
    unit, order = 10.0**exponent, rng.permutation(8)
    (half, error), other = half_load(loads, successes), half_load(unit * (loads + shift)[order], successes[order])
    assert abs(other[0] / unit - shift - half) < 0.01 * error
    assert other[1] / unit == pytest.approx(error, rel=0.01, abs=0)


def test_what_is_symmetric_has_its_half_load_in_the_middle():
    successes = [[1, 1, 1, 1], [1, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    half, error = half_load([0.12, 0.14, 0.16, 0.18], successes)
    assert half == pytest.approx(0.15, abs=1e-5)
    assert type(half) is type(error) is float
    assert 0.001 < error < 0.02


# bad input

P3, S3 = np.ones((3, 2, 4)), np.ones((3, 4))
BAD_PATTERNS = {
    "zero": 0 * P3,
    "a half": np.where(np.arange(24).reshape(3, 2, 4) == 5, 0.5, P3),
    "NaN": np.where(np.arange(24).reshape(3, 2, 4) == 5, np.nan, P3),
    "one network": P3[0],
    "no networks": P3[:0],
    "no patterns": P3[:, :0],
    "no units": P3[:, :, :0],
    "ragged": [[[1, 1], [1]]],
    "None": None,
    "a string": "A",
    "complex numbers": P3 + 0j,
}
BAD_STATES = {
    "zero": 0 * S3,
    "two": 2 * S3,
    "NaN": np.nan * S3,
    "too wide": np.ones((3, 5)),
    "too few": S3[:2],
    "of one network": S3[0],
    "of too few networks, several each": np.ones((2, 5, 4)),
    "none of each network": np.ones((3, 0, 4)),
    "of too many units": np.ones((3, 2, 5)),
    "of rank 4": np.ones((3, 1, 1, 4)),
    "ragged": [[1, 1, 1, 1], [1, 1], [1]],
    "None": None,
    "strings": [["+"] * 4] * 3,
}


@pytest.mark.parametrize("bad", BAD_PATTERNS.values(), ids=BAD_PATTERNS)
def test_patterns_that_are_none_are_refused_by_name(bad):
    with pytest.raises((ValueError, TypeError), match=r"^patterns: expected"):
        retrieve(bad, S3)


@pytest.mark.parametrize("bad", BAD_STATES.values(), ids=BAD_STATES)
def test_states_that_are_none_are_refused_by_name(bad):
    with pytest.raises((ValueError, TypeError), match=r"^s: expected"):
        retrieve(P3, bad)


@pytest.mark.parametrize("bad", [0, -1, 2.5, None, "3", True])
def test_what_is_no_count_is_refused_by_name(bad, rng):
    with pytest.raises((ValueError, TypeError), match=r"^max_iter: expected"):
        retrieve(P3, S3, max_iter=bad)
    for i, name in enumerate(("n_units", "n_patterns", "n_trials")):
        counts = [5, 5, 5]
        counts[i] = bad
        with pytest.raises((ValueError, TypeError), match=rf"^{name}: expected"):
            kept(rng, *counts)


@pytest.mark.parametrize("bad", [None, 0, np.random.RandomState(0)])
def test_only_a_generator_draws_patterns(bad):
    with pytest.raises(TypeError, match=r"^rng: expected"):
        kept(bad, 5, 5, 5)


@pytest.mark.parametrize(
    ("name", "loads", "successes"),
    [
        ("loads", [0.1, np.nan], [[1, 0], [0, 0]]),
        ("loads", [], np.zeros((0, 2))),
        ("loads", 0.1, [[1, 0]]),
        ("loads", None, [[1, 0]]),
        ("loads", [0.1], [[1, 0]]),
        ("loads", [0.1, 0.1], [[1, 0], [0, 1]]),
        ("successes", [0.1, 0.2], [[1, 0]]),
        ("successes", [0.1, 0.2], [1, 0]),
        ("successes", [0.1, 0.2, 0.3], [[1, 1], [1, 0.5], [1, 0]]),
        ("successes", [0.1, 0.2, 0.3], [[1, 0], [0, 1], [2, 0]]),
        ("successes", [0.1, 0.2, 0.3], [[1, 0], [0, 1], [-1, 0]]),
        ("successes", [0.1, 0.2], [[1, np.nan], [0, 0]]),
        ("successes", [0.1, 0.2], [[1, 1], [1, 1]]),
        ("successes", [0.1, 0.2], [[0, 0], [0, 0]]),
        ("successes", [0.1, 0.2], [[1, 1], [0, 0]]),
        ("successes", [0.1, 0.2, 0.3], [[1, 1], [1, 0], [0, 0]]),
        ("successes", [0.1, 0.2, 0.3], [[1, 0], [1, 0], [1, 0]]),
        ("successes", [0.1, 0.2, 0.3], [[0, 0, 1], [0, 1, 0], [1, 1, 0]]),
        ("successes", [0.1, 0.2], None),
    ],
)
def test_trials_that_tell_no_half_load_are_refused_by_name(name, loads, successes):
    with pytest.raises((ValueError, TypeError), match=rf"^{name}: expected"):
        half_load(loads, successes)


@pytest.mark.parametrize(
    ("function", "bad", "words"),
    [
        (retrieve, (P3[0], S3), "patterns: expected shape (T, P, N), got shape (2, 4)"),
        (retrieve, (P3, S3[0]), "s: expected shape (3, 4), got shape (4,)"),
        (retrieve, (P3, P3[:2]), "s: expected shape (3, B, 4), got shape (2, 2, 4)"),
        (half_load, (0.1, [[1, 0]]), "loads: expected shape (L,), got shape ()"),
        (half_load, ([0.1, 0.2], [1, 0]), "successes: expected shape (2, T), got shape (2,)"),
    ],
)
def test_the_shape_that_is_wrong_is_told_in_the_letters_of_the_module(function, bad, words):
    with pytest.raises(ValueError, match=rf"^{re.escape(words)}$"):
        function(*bad)
