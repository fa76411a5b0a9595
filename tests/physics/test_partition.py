from itertools import pairwise

import numpy as np
import pytest
from guards import read_only
from hypothesis import given
from hypothesis import strategies as st
from physics.machines import assert_drawn_from, draw_machine, slack, small_machines, states
from scipy.special import expit
from strategies import generators

from ebm_np.foundations.gradient_check import complex_step_gradient, gradient_check
from ebm_np.foundations.parameters import tree_map
from ebm_np.physics import partition
from ebm_np.physics.boltzmann import Params, biases, free_energy, free_energy_grad_params
from ebm_np.physics.partition import (
    Estimate,
    anneal,
    anneal_back,
    exact_samples,
    log_likelihood,
    log_partition,
    log_partition_grad,
)


def machines(largest=5, scales=(0.01, 1.0, 10.0, 300.0)):
    return small_machines(largest, scales)


# the definitions once more, all states one by one


def minus_energies(params):
    """-E of all states of both layers, (2^d, 2^k); complex parameters pass."""
    W, b, c = params
    v, h = states(len(b)), states(len(c))
    return np.array([[x @ b + y @ c + x @ W @ y for y in h] for x in v])


def log_sum(logs, axis=None):
    largest = logs.real.max()
    return largest + np.log(np.exp(logs - largest).sum(axis=axis))


def brute(params):
    return log_sum(minus_energies(params))


def distribution(params):
    """p(v) of all states of the visible units."""
    logs = minus_energies(params)
    return np.exp(logs - log_sum(logs)).sum(axis=1)


def draws(params, rng, n):
    return states(len(params.b))[rng.choice(2 ** len(params.b), n, p=distribution(params))]


def log_z_start(a, k):
    """log Z of a machine without W whose hidden biases are 0."""
    return sum(np.log(1 + np.exp(bias)) for bias in a) + k * np.log(2)


# exactly


@given(machines())
def test_the_partition_function_is_the_sum_over_all_states_of_both_layers(machine):
    params, _ = machine
    assert log_partition(params) == pytest.approx(brute(params), rel=1e-12, abs=slack(params))
    assert isinstance(log_partition(params), float)


@given(machines())
def test_summed_over_the_visible_units_or_over_the_hidden_ones_it_is_the_same(machine):
    params, _ = machine
    other = Params(params.W.T, params.c, params.b)
    assert log_partition(other) == pytest.approx(log_partition(params), rel=1e-12, abs=slack(params))
    one, exchanged = log_partition_grad(params), log_partition_grad(other)
    for a, b in zip((one.W.T, one.c, one.b), exchanged, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=slack(params))


@given(machines())
def test_probabilities_are_those_of_enumeration_and_add_up_to_one(machine):
    params, _ = machine
    p = np.exp(log_likelihood(params, states(len(params.b))))
    np.testing.assert_allclose(p, distribution(params), rtol=1e-9, atol=slack(params))
    assert p.sum() == pytest.approx(1, rel=1e-9)


def test_of_units_that_know_nothing_of_one_another_it_is_a_product(rng):
    for d, k in ((40, 3), (3, 40), (16, 15)):
        b, c = 2 * rng.normal(size=d), 2 * rng.normal(size=k)
        params = Params(np.zeros((d, k)), b, c)
        assert log_partition(params) == pytest.approx(np.log1p(np.exp(np.concatenate([b, c]))).sum(), rel=1e-12)
        found = log_partition_grad(params)
        np.testing.assert_allclose(found.b, 1 / (1 + np.exp(-b)), rtol=1e-10)
        np.testing.assert_allclose(found.c, 1 / (1 + np.exp(-c)), rtol=1e-10)
        np.testing.assert_allclose(found.W, np.outer(found.b, found.c), rtol=1e-10)


@pytest.mark.parametrize("block", [1, 2, 3, 5, 8, 1 << 14])
@given(machine=machines(largest=4))
def test_how_many_states_are_summed_at_once_changes_nothing(block, machine):
    params, _ = machine
    log_z, grads = log_partition(params), log_partition_grad(params)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "BLOCK", block)
        assert log_partition(params) == pytest.approx(log_z, rel=1e-13, abs=slack(params))
        for found, expected in zip(log_partition_grad(params), grads, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-11, atol=slack(params))


@pytest.mark.parametrize("block", [1, 3, 1 << 14])
@pytest.mark.parametrize(("d", "k"), [(1, 1), (3, 4), (4, 2)])
@pytest.mark.parametrize("scale", [0.1, 2.0])
def test_exact_samples_are_met_as_often_as_their_probability_says(block, d, k, scale, rng, monkeypatch):
    monkeypatch.setattr(partition, "BLOCK", block)
    params = draw_machine(rng, d, k, scale)
    assert_drawn_from(distribution(params), exact_samples(params, rng, 20_000))


@given(machines(), st.integers(1, 50))
def test_exact_samples_are_as_many_as_asked_for_and_bits_whatever_the_machine(machine, n):
    params, rng = machine
    v = exact_samples(params, rng, n)
    assert v.shape == (n, len(params.b))
    assert set(np.unique(v)) <= {0.0, 1.0}


class Last(np.random.Generator):
    """Numbers as near to 1 as there are."""

    def __init__(self):
        super().__init__(np.random.PCG64(0))

    def random(self, size=None, dtype=np.float64, out=None):
        return np.full(size, np.nextafter(dtype(1), dtype(0)))


def test_the_last_numbers_below_one_draw_the_last_state_even_if_rounding_leaves_the_sum_below_them(rng):
    below = 0
    for _ in range(40):
        params = draw_machine(rng, 3, 4, 0.3)
        below += np.cumsum(np.exp(log_likelihood(params, states(3))))[-1] < 1 - 2**-53
        np.testing.assert_array_equal(exact_samples(params, Last(), 5), np.ones((5, 3)))
    assert below > 3


def test_exact_samples_know_nothing_of_their_neighbours(rng):
    params = draw_machine(rng, 1, 2)
    v = exact_samples(params, rng, 40_000)[:, 0]
    assert abs(np.corrcoef(v[:-1], v[1:])[0, 1]) < 5 / np.sqrt(40_000)


@given(machines(largest=4, scales=(0.01, 1.0, 5.0)))
def test_the_slope_of_log_z_is_the_complex_step_of_the_sum_over_all_states(machine):
    params, _ = machine
    claimed = log_partition_grad(params)
    assert isinstance(claimed, Params)
    check = gradient_check(brute, claimed, params)
    assert check.passed, check


@given(machines(largest=4))
def test_it_is_the_machines_own_mean_of_products_of_visible_and_of_hidden_units(machine):
    params, _ = machine
    v, h = (states(len(part)) for part in params[1:])
    joint = minus_energies(params)
    joint = np.exp(joint - log_sum(joint))
    found = log_partition_grad(params)
    np.testing.assert_allclose(found.W, v.T @ joint @ h, atol=slack(params))
    np.testing.assert_allclose(found.b, joint.sum(axis=1) @ v, atol=slack(params))
    np.testing.assert_allclose(found.c, joint.sum(axis=0) @ h, atol=slack(params))


@given(machines(largest=4, scales=(0.01, 1.0, 5.0)))
def test_the_slope_of_the_log_likelihood_is_positive_minus_model_statistics(machine):
    params, rng = machine
    v = rng.integers(0, 2, (3, len(params.b))).astype(float)
    positive = tree_map(np.negative, free_energy_grad_params(params, v))
    claimed = tree_map(np.subtract, positive, log_partition_grad(params))

    def mean_log_likelihood(params):
        W, b, c = params
        joint = [[x @ b + y @ c + x @ W @ y for y in states(len(c))] for x in v]
        return np.log(np.exp(np.array(joint)).sum(axis=1)).mean() - brute(params)

    numeric = complex_step_gradient(mean_log_likelihood, params)
    for got, expected in zip(claimed, numeric, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-12)
    # the machine that is its own data has nothing to learn
    every = states(len(params.b))
    p = np.exp(log_likelihood(params, every))
    for got, expected in zip(free_energy_grad_params(params, every, p), log_partition_grad(params), strict=True):
        np.testing.assert_allclose(got, -expected, atol=1e-12)


def test_twenty_five_units_are_enumerated_and_one_more_is_not(rng):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "LARGEST", 3)
        for d, k in ((3, 5), (5, 3), (3, 3)):
            params = draw_machine(rng, d, k)
            assert log_partition(params) == pytest.approx(brute(params), rel=1e-12)
            log_partition_grad(params)
        for d, k in ((4, 4), (4, 5), (5, 4)):
            for door in (log_partition, log_partition_grad, lambda p: log_likelihood(p, np.ones((1, len(p.b))))):
                with pytest.raises(ValueError, match=r"^params: expected a layer of at most 3 units"):
                    door(draw_machine(rng, d, k))
    assert partition.LARGEST == 25


@pytest.mark.parametrize("shape", [(26, 26), (26, 100), (784, 500)])
def test_a_machine_with_more_than_25_units_in_both_layers_is_refused_before_anything_is_summed(shape):
    d, k = shape
    with pytest.raises(ValueError, match=r"^params: expected a layer of at most 25 units"):
        log_partition(Params(np.zeros((d, k)), np.zeros(d), np.zeros(k)))


# by annealing


@given(generators(), st.integers(1, 6), st.integers(1, 6), st.integers(1, 20), st.integers(2, 5))
def test_annealing_is_exact_where_there_are_no_couplings_and_the_start_has_the_biases(rng, d, k, n_steps, n_runs):
    mean = rng.uniform(0.01, 0.99, d)
    params = Params(np.zeros((d, k)), biases(mean, d), 3 * rng.normal(size=k))
    exact = brute(params)
    v = rng.integers(0, 2, (n_runs, d))
    for found in (
        anneal(params, rng, mean, n_runs=n_runs, n_steps=n_steps),
        anneal_back(params, v, rng, mean, n_steps=n_steps),
    ):
        assert found.log_z == pytest.approx(exact, rel=1e-12, abs=1e-12)
        assert found.error < 1e-12


@given(generators(), st.integers(1, 6), st.integers(1, 6), st.integers(1, 9))
def test_a_machine_without_any_parameters_is_where_the_way_starts(rng, d, k, n_steps):
    params = Params(np.zeros((d, k)), np.zeros(d), np.zeros(k))
    assert anneal(params, rng, n_runs=3, n_steps=n_steps) == (pytest.approx((d + k) * np.log(2)), 0)


@pytest.mark.parametrize("with_mean", [False, True])
@pytest.mark.parametrize(("d", "k"), [(1, 1), (4, 3), (3, 6), (7, 5)])
@pytest.mark.parametrize("scale", [0.3, 1.0, 2.0])
def test_annealing_both_ways_is_right_within_four_of_its_own_errors(d, k, scale, with_mean, rng):
    for _ in range(3):
        params = draw_machine(rng, d, k, scale)
        exact, mean = brute(params), distribution(params) @ states(d) if with_mean else None
        for found in (
            anneal(params, rng, mean, n_runs=1_000, n_steps=100),
            anneal_back(params, draws(params, rng, 1_000), rng, mean, n_steps=100),
        ):
            assert isinstance(found, Estimate)
            assert isinstance(found.log_z, float)
            assert 0 < found.error < 0.2
            assert abs(found.log_z - exact) < 4 * found.error + 1e-12


@pytest.mark.parametrize("back", [False, True])
def test_the_error_is_as_large_as_the_scatter_of_many_estimates(back, rng):
    params = draw_machine(rng, 4, 3)
    exact, v = brute(params), draws(params, rng, 200 * 100).reshape(200, 100, 4)
    found = [anneal_back(params, part, rng, n_steps=5) if back else anneal(params, rng, n_steps=5) for part in v]
    off = [(one.log_z - exact) / one.error for one in found]
    assert np.std(off) == pytest.approx(1, abs=0.2)
    assert abs(np.mean(off)) < 0.3


@given(machines(scales=(0.1, 1.0)))
def test_of_two_runs_the_error_is_half_their_difference_over_their_mean(machine):
    # back in one step, w is known: exp(F(v) - F_0(v)), here with F_0 = -k log 2
    params, rng = machine
    v = rng.integers(0, 2, (2, len(params.b))).astype(float)
    w = np.exp(free_energy(params, v) - free_energy(params, v).min())
    found = anneal_back(params, v, rng, n_steps=1)
    assert found.error == pytest.approx(abs(w[0] - w[1]) / w.sum(), rel=1e-9, abs=1e-12)


@given(machines(scales=(0.1, 1.0, 3.0)))
def test_in_one_step_the_mean_of_w_over_all_starts_is_z_over_z_0(machine):
    params, rng = machine
    d, k = params.W.shape
    a, every = rng.normal(size=d), states(d)
    start = np.exp(every @ a - sum(np.log(1 + np.exp(bias)) for bias in a))
    t = np.array([0.0, 1.0])
    w = np.exp(partition._way(params, a, every, t, rng))
    assert np.log(start @ w) == pytest.approx(brute(params) - log_z_start(a, k), rel=1e-9, abs=1e-9)
    w = np.exp(partition._way(params, a, every, t[::-1], rng))
    assert np.log(distribution(params) @ w) == pytest.approx(log_z_start(a, k) - brute(params), rel=1e-9, abs=1e-9)


@given(machines(scales=(0.1, 1.0, 3.0)), st.integers(1, 6), st.booleans())
def test_the_way_is_equation_3_step_by_step(machine, n_steps, back):
    (W, b, c), rng = machine
    a, v = rng.normal(size=len(b)), rng.integers(0, 2, (3, len(b))).astype(float)
    t = np.linspace(1, 0, n_steps + 1) if back else np.linspace(0, 1, n_steps + 1)
    found = partition._way(Params(W, b, c), a, v, t, np.random.default_rng(7))

    def tempered(at):
        return -v @ ((1 - at) * a + at * b) - np.logaddexp(0, at * (c + v @ W)).sum(axis=1)

    same, expected = np.random.default_rng(7), 0.0
    for before, now in pairwise(t):
        expected = expected + tempered(before) - tempered(now)
        h = same.random((3, len(c))) < expit(now * (c + v @ W))
        v = (same.random(v.shape) < expit((1 - now) * a + now * (b + h @ W.T))).astype(float)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n_steps", [2, 3, 10])
def test_in_more_steps_it_still_is_however_few_they_are(n_steps, rng):
    # of so many runs that the mean itself is known to some thousandths
    for d, k in ((1, 1), (3, 2)):
        params, mean = draw_machine(rng, d, k, 1.5), rng.uniform(0.1, 0.9, d)
        exact = brute(params)
        for found in (
            anneal(params, rng, mean, n_runs=100_000, n_steps=n_steps),
            anneal_back(params, draws(params, rng, 100_000), rng, mean, n_steps=n_steps),
        ):
            assert found.error < 0.02
            assert abs(found.log_z - exact) < 4 * found.error


def test_in_the_mean_the_way_there_is_too_low_the_way_back_too_high_and_more_steps_bring_them_together(rng):
    # log of the mean of two: whatever varies is lost to Jensen
    params = Params(np.full((4, 3), 3.0), np.full(4, -4.0), np.full(3, -6.0))  # all on or all off
    exact, gaps = brute(params), []
    v = draws(params, rng, 1_000).reshape(500, 2, 4)
    for n_steps in (1, 10):
        there = [anneal(params, rng, n_runs=2, n_steps=n_steps).log_z - exact for _ in v]
        back = [anneal_back(params, two, rng, n_steps=n_steps).log_z - exact for two in v]
        assert np.mean(there) < -3 * np.std(there) / np.sqrt(500)
        assert np.mean(back) > 3 * np.std(back) / np.sqrt(500)
        gaps.append(np.mean(back) - np.mean(there))
    assert gaps[1] < gaps[0] / 2


def test_more_runs_make_the_error_smaller_as_the_root_of_their_number_and_one_run_knows_none(rng):
    params = draw_machine(rng, 4, 3)
    few, many = (anneal(params, rng, n_runs=n, n_steps=10).error for n in (1_000, 100_000))
    assert few / many == pytest.approx(10, rel=0.2)
    assert anneal(params, rng, n_runs=1, n_steps=10).error == np.inf
    assert anneal_back(params, np.ones((1, 4)), rng, n_steps=10).error == np.inf


def test_a_machine_too_large_to_enumerate_is_bracketed(rng):
    # 30 blocks of two visible units and one hidden one: log Z is a sum
    blocks = [draw_machine(rng, 2, 1, 1.5) for _ in range(30)]
    exact = sum(brute(block) for block in blocks)
    W = np.zeros((60, 30))
    for n, block in enumerate(blocks):
        W[2 * n : 2 * n + 2, n] = block.W[:, 0]
    params = Params(W, *(np.concatenate([block[i] for block in blocks]) for i in (1, 2)))
    v = np.concatenate([draws(block, rng, 300) for block in blocks], axis=1)
    there, back = anneal(params, rng, n_runs=300), anneal_back(params, v, rng)
    assert abs(there.log_z - exact) < 4 * there.error < 0.2
    assert abs(back.log_z - exact) < 4 * back.error < 0.2


# manners


def test_vast_machines_make_no_infinity():
    params = Params(np.full((3, 2), 1e3), np.zeros(3), np.zeros(2))
    for kind in (np.float32, np.float64):
        machine = tree_map(lambda a, kind=kind: a.astype(kind), params)
        rng = np.random.default_rng(0)
        assert log_partition(machine) == pytest.approx(6e3)
        np.testing.assert_allclose(log_partition_grad(machine).W, 1)
        assert np.isfinite(anneal(machine, rng, n_runs=5, n_steps=3)).all()
        assert anneal_back(machine, np.ones((5, 3)), rng, n_steps=50).log_z >= 5e3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_single_precision_stays_and_nobody_elses_array_is_written_to(dtype, rng):
    for d, k in ((4, 3), (3, 4)):
        params = read_only(tree_map(lambda a: a.astype(dtype), draw_machine(rng, d, k)))
        v, mean = read_only(np.ones((5, d), dtype)), read_only(np.full(d, 0.3, dtype))
        assert [part.dtype for part in log_partition_grad(params)] == [dtype] * 3
        assert log_likelihood(params, v).dtype == dtype
        assert log_partition(params) == pytest.approx(brute(tree_map(np.float64, params)), rel=1e-5)
        assert exact_samples(params, rng, 7).dtype == dtype
        for found in (anneal(params, rng, mean, n_runs=9, n_steps=5), anneal_back(params, v, rng, mean, n_steps=5)):
            assert [type(number) for number in found] == [float, float]


def test_the_generator_decides_the_runs(rng):
    params, v = draw_machine(rng, 5, 4), rng.integers(0, 2, (7, 5))
    one, same, other = (anneal(params, np.random.default_rng(seed), n_runs=5, n_steps=9) for seed in (1, 1, 2))
    assert one == same != other
    one, same, other = (anneal_back(params, v, np.random.default_rng(seed), n_steps=9) for seed in (1, 1, 2))
    assert one == same != other


# bad input

P4, V4 = Params(np.ones((4, 3)), np.ones(4), np.ones(3)), np.ones((2, 4))
NO_MACHINES = {
    "W not finite": ("params.W", P4._replace(W=P4.W * np.nan)),
    "no hidden units": ("params.W", Params(np.ones((4, 0)), np.ones(4), np.ones(0))),
    "no visible units": ("params.W", Params(np.ones((0, 4)), np.ones(0), np.ones(4))),
    "W None": ("params.W", P4._replace(W=None)),
    "W complex": ("params.W", P4._replace(W=P4.W + 0j)),
    "b too long": ("params.b", P4._replace(b=np.ones(5))),
    "b a number": ("params.b", P4._replace(b=1.0)),
    "b None": ("params.b", P4._replace(b=None)),
    "c too short": ("params.c", P4._replace(c=np.ones(2))),
    "a tuple": ("params", tuple(P4)),
    "None": ("params", None),
    "a string": ("params", "params"),
}


@pytest.mark.parametrize(("name", "bad"), NO_MACHINES.values(), ids=NO_MACHINES)
def test_machines_that_are_none_are_refused_by_name(name, bad, rng):
    doors = (log_partition, log_partition_grad, lambda p: log_likelihood(p, V4))
    doors += (lambda p: anneal(p, rng), lambda p: anneal_back(p, V4, rng), lambda p: exact_samples(p, rng, 3))
    for door in doors:
        with pytest.raises((ValueError, TypeError), match=rf"^{name}: expected"):
            door(bad)


@pytest.mark.parametrize(("name", "bad"), [("n", {"n": 0}), ("n", {"n": 2.0}), ("n", {"n": None}), ("rng", {"rng": 0})])
def test_bad_arguments_of_exact_samples_are_refused_by_name(name, bad, rng):
    with pytest.raises((ValueError, TypeError), match=rf"^{name}: expected"):
        exact_samples(**({"params": P4, "n": 3, "rng": rng} | bad))


@pytest.mark.parametrize("bad", [2 * V4, -V4, V4 * np.nan, V4[0], V4[:, :3], np.zeros((0, 4)), None, "v", [["1"] * 4]])
def test_visible_units_that_are_none_are_refused_by_name(bad, rng):
    for door in (log_likelihood, lambda p, v: anneal_back(p, v, rng)):
        with pytest.raises((ValueError, TypeError), match=r"^v: expected"):
            door(P4, bad)


def test_the_way_back_starts_from_bits(rng):
    with pytest.raises(ValueError, match=r"^v: expected bits"):
        anneal_back(P4, V4 / 2, rng)


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("rng", {"rng": 0}),
        ("rng", {"rng": None}),
        ("mean", {"mean": np.ones(3)}),
        ("mean", {"mean": 0.5}),
        ("mean", {"mean": np.array([0, 0.5, 1, 1.1])}),
        ("mean", {"mean": np.array([0, 0.5, 1, np.nan])}),
        ("mean", {"mean": "data"}),
        ("n_steps", {"n_steps": 0}),
        ("n_steps", {"n_steps": 2.0}),
        ("n_steps", {"n_steps": None}),
        ("n_runs", {"n_runs": 0}),
        ("n_runs", {"n_runs": "many"}),
    ],
)
def test_other_bad_arguments_of_annealing_are_refused_by_name(name, bad, rng):
    with pytest.raises((ValueError, TypeError), match=rf"^{name}: expected"):
        anneal(P4, **({"rng": rng} | bad))
    if name != "n_runs":
        with pytest.raises((ValueError, TypeError), match=rf"^{name}: expected"):
            anneal_back(P4, V4, **({"rng": rng} | bad))


def test_by_default_annealing_makes_a_hundred_runs_of_a_thousand_steps(rng):
    params, v = draw_machine(rng, 3, 2), rng.integers(0, 2, (7, 3))
    there, told = (anneal(params, np.random.default_rng(0), **n) for n in ({}, {"n_runs": 100, "n_steps": 1_000}))
    assert there == told
    back, told = (anneal_back(params, v, np.random.default_rng(0), **n) for n in ({}, {"n_steps": 1_000}))
    assert back == told


def test_a_wrong_shape_is_answered_in_the_letters_of_the_page(rng):
    with pytest.raises(ValueError, match=r"^mean: expected shape \(4,\), got shape \(3,\)$"):
        anneal(P4, rng, np.ones(3))
    with pytest.raises(ValueError, match=r"^params: expected a layer of at most 25 units, got \(26, 27\)$"):
        log_partition(Params(np.zeros((26, 27)), np.zeros(26), np.zeros(27)))
