from itertools import pairwise

import numpy as np
import pytest
from guards import read_only
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy.special import logsumexp, softmax
from strategies import betas, generators

from ebm_np.autoencoders.denoising import posterior_mean
from ebm_np.foundations.gradient_check import central_difference, complex_step, complex_step_gradient, gradient_check
from ebm_np.foundations.results import Inference
from ebm_np.latent.free_energy import softmin
from ebm_np.physics.modern_hopfield import free_energy, free_energy_grad_s, settle, step


@st.composite
def memories(draw, equal_norms=False, largest=6):
    """Patterns of real numbers of some size, states of another, and a generator."""
    rng, n = draw(generators()), draw(st.integers(1, largest))
    patterns = rng.normal(size=(draw(st.integers(1, 6)), n)) * (1 if equal_norms else rng.uniform(0, 2, (1, 1)))
    if equal_norms:
        patterns /= np.linalg.norm(patterns, axis=1, keepdims=True)
    size = draw(st.sampled_from([1e-3, 1.0, 30.0]))
    return (
        size * patterns,
        size * rng.normal(size=(draw(st.integers(1, 4)), n)) * draw(st.sampled_from([0, 1, 10])),
        rng,
    )


def largest_norm(patterns):
    return max(np.sqrt(sum(x**2 for x in xi)) for xi in patterns)


def scale(patterns, s):
    """What energies are made of: the largest square."""
    return largest_norm(patterns) ** 2 + (s**2).sum(axis=1).max()


def papers(patterns, s, beta):
    """F of each state as Ramsauer et al. write it."""
    M = largest_norm(patterns)
    return np.array(
        [
            -logsumexp([beta * (xi @ one) for xi in patterns]) / beta
            + one @ one / 2
            + np.log(len(patterns)) / beta
            + M**2 / 2
            for one in s
        ]
    )


def without_the_half(patterns, s, beta):
    return papers(patterns, s, beta) + (s**2).sum(axis=1) / 2


# the free energy


@given(memories(), betas(1e-3, 1e6))
def test_it_is_the_papers_energy(memory, beta):
    patterns, s, _ = memory
    slack = 1e-13 * (scale(patterns, s) + np.log(len(patterns)) / beta)
    np.testing.assert_allclose(free_energy(patterns, s, beta), papers(patterns, s, beta), rtol=1e-12, atol=slack)


@given(memories(), st.one_of(betas(1e-12, 1e12), st.just(np.inf)))
def test_it_is_the_softmin_over_patterns_of_half_a_distance_and_what_norms_lack(memory, beta):
    patterns, s, _ = memory
    M = largest_norm(patterns)
    table = np.array([[((one - xi) ** 2).sum() / 2 + (M**2 - xi @ xi) / 2 for xi in patterns] for one in s])
    F = free_energy(patterns, s, beta)
    slack = 1e-13 * scale(patterns, s)
    np.testing.assert_allclose(F, softmin(table, beta), rtol=1e-12, atol=slack)
    assert F.min() >= -slack
    assert (F - table.min(axis=1) >= -slack).all()
    assert (table.mean(axis=1) - F >= -slack).all()


@given(memories(), betas(1e-6, 1e6), betas(1e-6, 1e6))
def test_it_falls_as_beta_rises(memory, one, other):
    patterns, s, _ = memory
    warm, cold = (free_energy(patterns, s, beta) for beta in sorted([one, other]))
    assert (cold <= warm + 1e-13 * scale(patterns, s)).all()


@given(memories(), betas())
def test_its_gradient_is_the_complex_step(memory, beta):
    patterns, s, _ = memory

    def total(x):
        return free_energy(patterns, x, beta).sum()

    claimed = free_energy_grad_s(patterns, s, beta)
    # exponents are as exact as their terms
    slack = 1e-14 * np.sqrt(scale(patterns, s)) * (1 + beta * scale(patterns, s))
    np.testing.assert_allclose(complex_step_gradient(total, s), claimed, rtol=1e-12, atol=slack)
    if 1e-3 < beta * scale(patterns, s) < 30 and np.abs(claimed).max() > 1e-2 * np.sqrt(scale(patterns, s)):
        check = gradient_check(total, claimed, s)
        assert check.passed, check


@given(memories(), betas(1e-9, 1e9))
def test_a_step_goes_down_the_gradient_all_its_length(memory, beta):
    patterns, s, _ = memory
    moved = s - free_energy_grad_s(patterns, s, beta)
    np.testing.assert_allclose(moved, step(patterns, s, beta), atol=1e-14 * np.sqrt(scale(patterns, s)))


# the step


@given(memories(), betas())
def test_a_step_is_the_softmax_of_attention(memory, beta):
    patterns, s, _ = memory
    expected = []
    for one in s:
        p = softmax([beta * sum(a * b for a, b in zip(xi, one, strict=True)) for xi in patterns])
        expected.append(sum(weight * xi for weight, xi in zip(p, patterns, strict=True)))
    # the exponents are as exact as their terms
    slack = 1e-14 * largest_norm(patterns) * (1 + beta * scale(patterns, s))
    np.testing.assert_allclose(step(patterns, s, beta), expected, atol=slack)


@given(memories(), st.one_of(betas(1e-12, 1e12), st.just(np.inf)))
def test_each_step_lowers_the_free_energy_by_half_the_square_of_its_length_or_more(memory, beta):
    patterns, s, _ = memory
    slack = 1e-13 * scale(patterns, s)
    for _ in range(5):
        after = step(patterns, s, beta)
        fall = free_energy(patterns, s, beta) - free_energy(patterns, after, beta)
        assert (fall >= ((s - after) ** 2).sum(axis=1) / 2 - slack).all()
        s = after


@given(generators(), st.integers(1, 5), st.floats(0.1, 0.9))
def test_with_a_single_pattern_the_fall_is_just_that_and_without_the_half_it_can_be_a_rise(rng, n, part):
    xi = rng.normal(size=(1, n))
    s = part * xi
    after = step(xi, s, 1.0)
    np.testing.assert_allclose(after, xi)
    fall = free_energy(xi, s, 1.0) - free_energy(xi, after, 1.0)
    np.testing.assert_allclose(fall, ((s - after) ** 2).sum(axis=1) / 2, rtol=1e-10, atol=1e-14)
    # -<xi, s> + s^T s has its minimum at xi / 2, and rises from s = a xi to s = xi by a (1 - a) ||xi||^2
    rise = without_the_half(xi, after, 1.0) - without_the_half(xi, s, 1.0)
    np.testing.assert_allclose(rise, part * (1 - part) * (xi**2).sum(), rtol=1e-10, atol=1e-14)


@given(memories(), betas(1e-9, 1e9))
def test_after_a_step_states_lie_among_the_patterns(memory, beta):
    patterns, s, rng = memory
    after = step(patterns, s, beta)
    direction = rng.normal(size=patterns.shape[1])
    reach, slack = patterns @ direction, 1e-13 * largest_norm(patterns) * np.linalg.norm(direction)
    assert (after @ direction <= reach.max() + slack).all()
    assert (after @ direction >= reach.min() - slack).all()


# temperatures


@given(memories(equal_norms=True))
def test_at_infinite_beta_a_step_goes_to_the_nearest_of_patterns_of_one_norm(memory):
    patterns, s, _ = memory
    distances = np.linalg.norm(s[:, None] - patterns, axis=2)
    assume((np.diff(np.sort(distances, axis=1), axis=1) > 1e-6 * distances.max()).all())
    nearest = patterns[distances.argmin(axis=1)]
    for found in (step(patterns, s, np.inf), settle(patterns, s, np.inf).z):
        np.testing.assert_array_equal(found, nearest)
    size = largest_norm(patterns) ** 2
    np.testing.assert_allclose(settle(patterns, s, np.inf).energy, 0, atol=1e-14 * size)
    np.testing.assert_allclose(
        free_energy(patterns, s, np.inf), distances.min(axis=1) ** 2 / 2, atol=1e-13 * scale(patterns, s)
    )


@given(memories())
def test_at_infinite_beta_patterns_that_are_as_like_share_the_state(memory):
    patterns, s, _ = memory
    twice = np.concatenate([patterns, patterns])
    found = step(twice, np.zeros_like(s), np.inf)
    np.testing.assert_allclose(
        found, np.broadcast_to(patterns.mean(axis=0), s.shape), atol=1e-14 * largest_norm(patterns)
    )


@given(memories(), betas(1e-300, 1e-6))
def test_at_small_beta_every_state_goes_to_the_mean_of_all_patterns(memory, beta):
    patterns, s, _ = memory
    mean = patterns.mean(axis=0)
    slack = largest_norm(patterns) * (1e-14 + 2 * beta * scale(patterns, s))
    for found in (step(patterns, s, beta), settle(patterns, s, beta).z):
        np.testing.assert_allclose(found, np.broadcast_to(mean, s.shape), atol=slack)


@given(memories(equal_norms=True), betas(1e-3, 1e3))
def test_for_patterns_of_one_norm_it_is_the_best_denoiser(memory, beta):
    patterns, s, _ = memory
    expected = posterior_mean(s, patterns, 1 / np.sqrt(beta))
    slack = 1e-13 * largest_norm(patterns) * (1 + beta * scale(patterns, s))
    np.testing.assert_allclose(step(patterns, s, beta), expected, atol=slack)


def test_for_patterns_of_several_norms_it_is_not(rng):
    patterns, s = np.array([[1.0, 0.0], [0.0, 3.0]]), np.array([[1.0, 0.5]])
    assert np.abs(step(patterns, s, 5.0) - posterior_mean(s, patterns, 1 / np.sqrt(5.0))).max() > 0.5


@given(memories(), betas(), betas(1e-6, 1e6))
def test_in_another_unit_of_patterns_all_is_the_same(memory, beta, unit):
    patterns, s, _ = memory
    assume(beta * scale(patterns, s) < 1e6)
    found, F = step(unit * patterns, unit * s, beta / unit**2), free_energy(unit * patterns, unit * s, beta / unit**2)
    slack = 1e-13 * (1 + beta * scale(patterns, s))
    np.testing.assert_allclose(found / unit, step(patterns, s, beta), atol=slack * np.sqrt(scale(patterns, s)))
    np.testing.assert_allclose(F / unit**2, free_energy(patterns, s, beta), atol=slack * scale(patterns, s))


# settling


@given(memories(), betas(1e-2, 1e4), st.sampled_from([1e-3, 1e-6, 1e-9]))
def test_it_settles_where_a_step_moves_it_no_more_and_the_free_energy_has_fallen_all_the_way(memory, beta, tol):
    patterns, s, _ = memory
    found = settle(patterns, s, beta, tol=tol, n_trace=50)
    M, slack = largest_norm(patterns), 1e-13 * scale(patterns, s)
    assert found.converged.all() or found.n_iter == 10_000
    np.testing.assert_allclose(found.energy, free_energy(patterns, found.z, beta), atol=slack)
    again = step(patterns, found.z, beta)
    # the last step was short, and the one after it moves F no more than that one allowed
    moved = np.linalg.norm(again - found.z, axis=1)
    assert (moved[found.converged] <= (1 + 2 * beta * M**2) * tol * M).all()
    for before, after in pairwise([free_energy(patterns, one, beta) for one in found.trace]):
        assert (after <= before + slack).all()
    assert (found.energy <= free_energy(patterns, s, beta) + slack).all()


@given(memories(), betas(1e-2, 1e2), st.integers(1, 12), st.integers(0, 15))
def test_it_repeats_the_step_until_all_are_still_and_keeps_the_first_states(memory, beta, max_iter, n_trace):
    patterns, s, _ = memory
    found = settle(patterns, s, beta, max_iter=max_iter, tol=1e-4, n_trace=n_trace)
    path, still = [s], np.zeros(len(s), bool)
    while len(path) <= max_iter and not still.all():
        path.append(step(patterns, path[-1], beta))
        lengths = [np.sqrt(((a - b) ** 2).sum()) for a, b in zip(path[-1], path[-2], strict=True)]
        still = np.array(lengths) <= 1e-4 * largest_norm(patterns)
    assert isinstance(found, Inference)
    np.testing.assert_array_equal(found.z, path[-1])
    assert found.n_iter == len(path) - 1
    assert found.converged.tolist() == still.tolist()
    np.testing.assert_array_equal(found.trace, np.array(path[:n_trace]).reshape(-1, *s.shape))


def test_how_near_is_still_is_reckoned_by_the_largest_pattern():
    # a state that approaches the first of two patterns by a factor a step
    patterns, s = np.array([[1.0], [-1.0]]), np.array([[0.3], [0.9]])
    counts = [settle(size * patterns, size * s, 1.2 / size**2, tol=1e-8).n_iter for size in (1e-6, 1.0, 1e6)]
    assert len(set(counts)) == 1
    assert counts[0] > settle(patterns, s, 1.2, tol=1e-3).n_iter > 2


def test_zeros_alone_are_settled_at_once():
    found = settle(np.zeros((2, 3)), np.ones((1, 3)), 1.0)
    np.testing.assert_array_equal(found.z, 0)
    assert found.converged.all()
    assert found.energy == 0
    assert found.n_iter == 2


def test_far_patterns_are_remembered_from_damaged_states_and_warm_ones_run_together(rng):
    patterns = rng.choice([-1.0, 1.0], (200, 100))  # twice as many as units
    damaged = patterns * np.where(rng.random(patterns.shape) < 0.1, -1, 1)
    cold = settle(patterns, damaged, 1.0)
    assert cold.converged.all()
    np.testing.assert_allclose(cold.z, patterns, atol=1e-6)
    assert cold.n_iter <= 5
    warm = settle(patterns, damaged, 1e-4).z
    np.testing.assert_allclose(warm, np.broadcast_to(patterns.mean(axis=0), warm.shape), atol=0.02)


# manners


@given(memories(), betas(1e-3, 1e3))
def test_the_order_of_the_patterns_does_not_matter(memory, beta):
    patterns, s, rng = memory
    other = rng.permutation(patterns)
    slack = 1e-13 * (1 + beta * scale(patterns, s))
    np.testing.assert_allclose(
        free_energy(other, s, beta), free_energy(patterns, s, beta), atol=slack * (scale(patterns, s) + 1 / beta)
    )
    np.testing.assert_allclose(step(other, s, beta), step(patterns, s, beta), atol=slack * largest_norm(patterns))


@given(memories(), betas(1e-3, 1e3))
def test_turning_patterns_and_states_alike_turns_the_step(memory, beta):
    patterns, s, rng = memory
    Q = np.linalg.qr(rng.normal(size=2 * patterns.shape[1:]))[0]
    slack = 1e-13 * (1 + beta * scale(patterns, s))
    found = step(patterns @ Q, s @ Q, beta)
    np.testing.assert_allclose(found, step(patterns, s, beta) @ Q, atol=slack * largest_norm(patterns))


@given(memories(), betas(1e-3, 1e3))
def test_rows_of_a_batch_know_nothing_of_one_another(memory, beta):
    patterns, s, _ = memory
    slack = 1e-13 * (1 + beta * scale(patterns, s))
    for function, size in (
        (free_energy, scale(patterns, s)),
        (step, largest_norm(patterns)),
        (free_energy_grad_s, np.sqrt(scale(patterns, s))),
    ):
        alone = np.concatenate([function(patterns, row[None], beta) for row in s])
        np.testing.assert_allclose(function(patterns, s, beta), alone, atol=slack * size)


@pytest.mark.parametrize("beta", [1e6, 1e300, np.inf])
@example(rng=np.random.default_rng(0), size=1e100)
@given(rng=generators(), size=st.floats(0, 100).map(lambda e: 10.0**e))
def test_vast_exponents_do_not_overflow(beta, rng, size):
    patterns, s = size * rng.choice([-1.0, 1.0], (4, 3)), size * rng.normal(size=(2, 3))
    for found in (
        free_energy(patterns, s, beta),
        free_energy_grad_s(patterns, s, beta),
        step(patterns, s, beta),
        *settle(patterns, s, beta)[:2],
    ):
        assert np.isfinite(found).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("beta", [0.5, np.inf])
def test_precision_is_kept_and_nobody_elses_array_is_written_to(dtype, beta, rng):
    patterns, s = (read_only(rng.normal(size=shape).astype(dtype)) for shape in ((5, 4), (3, 4)))
    functions = free_energy, free_energy_grad_s, step
    found = [function(patterns, s, beta) for function in functions]
    settled = settle(patterns, s, beta, n_trace=3)
    for a in (*found, settled.z, settled.energy, settled.trace, settle(patterns, s, beta).trace):
        assert a.dtype == dtype
    assert [a.shape for a in found] == [(3,), (3, 4), (3, 4)]
    assert settle(patterns, s, beta).trace.shape == (0, 3, 4)
    assert not np.shares_memory(settled.z, s)
    assert isinstance(settled.n_iter, int)
    assert settled.converged.dtype == bool
    assert (settled.z.shape, settled.energy.shape, settled.converged.shape) == ((3, 4), (3,), (3,))
    for function, a in zip(functions, found, strict=True):
        np.testing.assert_allclose(a, function(patterns.astype(float), s.astype(float), beta), atol=1e-5)


def test_whole_numbers_and_lists_are_numbers():
    np.testing.assert_array_equal(step([[1, 0], [0, 1]], [[2, 1]], np.inf), [[1.0, 0.0]])
    assert settle([[1, 0], [0, 1]], [[2, 1]], 3).z.dtype == np.float64


A, S = np.array([[1.0, 2.0], [0.0, 1.0], [3.0, 1.0]]), np.array([[1.0, 0.5], [0.0, 0.0]])
DOORS = pytest.mark.parametrize("door", [free_energy, free_energy_grad_s, step, settle])
BAD = {
    "NaN": lambda a: np.where(np.arange(a.size).reshape(a.shape) == 2, np.nan, a),
    "infinity": lambda a: np.where(np.arange(a.size).reshape(a.shape) == 2, np.inf, a),
    "vast": lambda a: 1e300 * (a + 1),
    "empty": lambda a: a[:0],
    "no units": lambda a: a[:, :0],
    "one row": lambda a: a[0],
    "ragged": lambda _: [[1.0, 2.0], [1.0]],
    "a string": lambda _: "xi",
    "None": lambda _: None,
    "objects": lambda a: a.astype(object),
}


@DOORS
@pytest.mark.parametrize("spoil", BAD.values(), ids=BAD)
def test_bad_patterns_and_states_are_refused_by_name(door, spoil):
    with pytest.raises((ValueError, TypeError), match=r"^patterns: expected"):
        door(spoil(A), S, 1.0)
    with pytest.raises((ValueError, TypeError), match=r"^s: expected"):
        door(A, spoil(S), 1.0)
    n = A.shape[1]
    with pytest.raises(ValueError, match=rf"^s: expected shape \(B, {n}\), got shape \(2, {n + 1}\)$"):
        door(A, np.ones((2, n + 1)), 1.0)
    with pytest.raises(ValueError, match=rf"^patterns: expected shape \(P, N\), got shape \({n},\)$"):
        door(A[0], S, 1.0)


@DOORS
@pytest.mark.parametrize("beta", [0, 0.0, -1.0, np.nan, -np.inf, None, "1", [1.0], True, 1j])
def test_a_temperature_that_is_none_is_refused_by_name(door, beta):
    with pytest.raises((ValueError, TypeError), match=r"^beta: expected"):
        door(A, S, beta)


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("max_iter", {"max_iter": 0}),
        ("max_iter", {"max_iter": 1.0}),
        ("tol", {"tol": 0}),
        ("tol", {"tol": -1e-6}),
        ("tol", {"tol": np.nan}),
        ("tol", {"tol": 1e200}),
        ("tol", {"tol": None}),
        ("n_trace", {"n_trace": -1}),
        ("n_trace", {"n_trace": True}),
    ],
)
def test_other_bad_choices_are_refused_by_name(name, bad):
    with pytest.raises((ValueError, TypeError), match=rf"^{name}: expected"):
        settle(A, S, 1.0, **bad)


def test_complex_numbers_are_for_the_gradient_check_and_not_to_be_settled():
    for patterns, s, name in ((A + 0j, S, "patterns"), (A, S + 0j, "s")):
        with pytest.raises(TypeError, match=rf"^{name}: expected real numbers"):
            settle(patterns, s, 1.0)


@given(generators(), betas(0.1, 3))
def test_the_complex_step_passes_through_the_patterns_too(rng, beta):
    patterns, s, along = rng.normal(size=(3, 4)), rng.normal(size=(2, 4)), rng.normal(size=(3, 4))
    derivatives = (d(lambda xi: free_energy(xi, s, beta), patterns, along) for d in (complex_step, central_difference))
    np.testing.assert_allclose(*derivatives, rtol=1e-5, atol=1e-7)


@given(generators(), betas(1, 10))
def test_by_default_it_stops_at_the_first_step_that_moves_no_state_by_more_than_a_millionth_of_the_largest(rng, beta):
    patterns, s = rng.normal(size=(3, 4)), rng.normal(size=(2, 4))
    found, moves = settle(patterns, s, beta), []
    assume(found.converged.all())
    for _ in range(found.n_iter):
        before, s = s, step(patterns, s, beta)
        moves.append(np.linalg.norm(s - before, axis=1).max() / largest_norm(patterns))
    assert moves[-1] <= 1e-6
    assert all(move > 1e-6 for move in moves[:-1])
