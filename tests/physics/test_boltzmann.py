from itertools import product

import numpy as np
import pytest
from guards import read_only
from hypothesis import example, given
from hypothesis import strategies as st
from physics.machines import assert_drawn_from, draw_machine, slack, small_machines, states, transitions
from strategies import generators

from ebm_np.foundations.gradient_check import complex_step_gradient, gradient_check
from ebm_np.foundations.parameters import tree_map
from ebm_np.latent.free_energy import gibbs as gibbs_weights
from ebm_np.latent.free_energy import softmin
from ebm_np.physics import hopfield
from ebm_np.physics.boltzmann import (
    Params,
    biases,
    block_gibbs,
    checked_params,
    energy,
    free_energy,
    free_energy_grad_params,
    free_energy_grad_v,
    hidden,
    init,
    log_pseudo_likelihood,
    sample,
    visible,
)
from ebm_np.physics.partition import log_likelihood


@st.composite
def machines(draw, largest=5, scales=(0.01, 1.0, 10.0, 100.0)):
    """A machine, visible units of a batch, gray or bits, and a generator."""
    params, rng = draw(small_machines(largest, scales))
    v = rng.uniform(0.01, 0.99, (draw(st.integers(1, 4)), len(params.b)))
    return params, v.round() if draw(st.booleans()) else v, rng


# the definitions once more, number by number


def double_sum(params, v, h):
    """E of one state, equation (1)."""
    W, b, c = params
    coupled = sum(v[i] * W[i, j] * h[j] for i in range(len(v)) for j in range(len(h)))
    return -sum(b[i] * v[i] for i in range(len(v))) - sum(c[j] * h[j] for j in range(len(h))) - coupled


def table(params, v):
    """E(v, h) of each row of v with all h: (N, 2^k)."""
    return np.array([[double_sum(params, row, h) for h in states(len(params.c))] for row in v])


def log_sum(logs, axis=-1):
    largest = logs.max(axis=axis, keepdims=True)
    return np.squeeze(largest, axis) + np.log(np.exp(logs - largest).sum(axis=axis))


def distribution(params):
    """p(v) of all states of the visible units."""
    logs = log_sum(-table(params, states(len(params.b))))
    return np.exp(logs - log_sum(logs))


# energy and free energy


@given(machines())
def test_energy_is_its_double_sum(machine):
    params, v, rng = machine
    h = rng.random((len(v), len(params.c)))
    expected = [double_sum(params, *pair) for pair in zip(v, h, strict=True)]
    np.testing.assert_allclose(energy(params, v, h), expected, rtol=1e-12, atol=slack(params))


@given(machines())
def test_free_energy_is_minus_the_log_of_the_sum_over_all_hidden_states(machine):
    params, v, _ = machine
    expected = -log_sum(-table(params, v))
    np.testing.assert_allclose(free_energy(params, v), expected, rtol=1e-12, atol=slack(params))


@given(machines())
def test_it_is_the_softmin_over_h_of_the_latent_chapter_with_a_sum_in_place_of_the_mean(machine):
    params, v, _ = machine
    expected = softmin(table(params, v), 1) - len(params.c) * np.log(2)
    np.testing.assert_allclose(free_energy(params, v), expected, rtol=1e-12, atol=slack(params))


@given(machines())
def test_the_hidden_units_are_on_as_often_as_the_gibbs_weights_of_their_states_say(machine):
    params, v, _ = machine
    expected = gibbs_weights(table(params, v), 1) @ states(len(params.c))
    np.testing.assert_allclose(hidden(params, v), expected, rtol=1e-9, atol=slack(params))


@given(machines())
def test_given_h_the_visible_units_are_on_as_often_as_enumeration_says(machine):
    params, _, rng = machine
    every = states(len(params.b))
    h = states(len(params.c))[rng.integers(2 ** len(params.c), size=3)]
    energies = np.array([[double_sum(params, v, row) for v in every] for row in h])
    weights = np.exp(energies.min(axis=1, keepdims=True) - energies)
    expected = weights @ every / weights.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(visible(params, h), expected, rtol=1e-9, atol=slack(params))


@given(machines())
def test_units_of_a_layer_know_nothing_of_one_another_given_the_other_layer(machine):
    params, v, _ = machine
    joint = gibbs_weights(table(params, v), 1)
    p = hidden(params, v)
    for h, together in zip(states(len(params.c)), joint.T, strict=True):
        np.testing.assert_allclose(np.where(h == 1, p, 1 - p).prod(axis=1), together, atol=slack(params))


@given(generators(), st.integers(1, 5), st.integers(1, 5))
def test_layers_exchanged_describe_the_same_machine(rng, d, k):
    params, v, h = draw_machine(rng, d, k), rng.random((3, d)), rng.random((3, k))
    other = Params(params.W.T, params.c, params.b)
    np.testing.assert_allclose(energy(other, h, v), energy(params, v, h), atol=slack(params))
    np.testing.assert_allclose(hidden(other, h), visible(params, h), rtol=1e-12)


# gradients


@given(machines(scales=(0.01, 1.0, 5.0)), st.booleans())
def test_gradients_are_the_complex_step(machine, weighted):
    params, v, rng = machine
    v = 0.01 + 0.98 * v
    weights = rng.normal(size=len(v)) if weighted else None
    shares = np.full(len(v), 1 / len(v)) if weights is None else weights
    claimed = free_energy_grad_params(params, v, weights)
    assert isinstance(claimed, Params)
    check = gradient_check(lambda p: shares @ free_energy(p, v), claimed, params)
    assert check.passed, check
    # saturated units leave differences of numbers that are much larger than they
    numeric = complex_step_gradient(lambda v: free_energy(params, v).sum(), v)
    np.testing.assert_allclose(free_energy_grad_v(params, v), numeric, rtol=1e-12, atol=slack(params))


@given(machines(scales=(0.01, 1.0)))
def test_energys_own_slopes_are_v_h_and_their_products(machine):
    params, v, rng = machine
    h = rng.random((len(v), len(params.c)))
    numeric = complex_step_gradient(lambda p: energy(p, v, h).sum(), params)
    for got, expected in zip(numeric, (-v.T @ h, -v.sum(axis=0), -h.sum(axis=0)), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-12)


@given(machines())
def test_the_slope_in_the_parameters_is_the_mean_of_energys_over_p_of_h_given_v(machine):
    params, v, _ = machine
    claimed = free_energy_grad_params(params, v)
    weights, h = gibbs_weights(table(params, v), 1) / len(v), states(len(params.c))
    np.testing.assert_allclose(claimed.W, -np.einsum("ni,nm,mj->ij", v, weights, h), atol=slack(params))
    np.testing.assert_allclose(claimed.b, -v.mean(axis=0), atol=1e-14)
    np.testing.assert_allclose(claimed.c, -np.einsum("nm,mj->j", weights, h), atol=slack(params))


# Gibbs


@given(machines(largest=4, scales=(0.01, 1.0, 10.0)))
def test_a_step_of_block_gibbs_leaves_the_distribution_as_it_is(machine):
    params, _, _ = machine
    p, T = distribution(params), transitions(params)
    np.testing.assert_allclose(T.sum(axis=1), 1, atol=1e-13)
    np.testing.assert_allclose(p @ T, p, atol=1e-12)
    np.testing.assert_allclose(p[:, None] * T, (p[:, None] * T).T, atol=1e-12)  # as often there as back


@pytest.mark.parametrize("n_steps", [1, 2, 5])
@pytest.mark.parametrize(("d", "k"), [(1, 1), (3, 2), (2, 4)])
def test_gibbs_makes_that_many_of_those_steps(n_steps, d, k, rng):
    params = draw_machine(rng, d, k, 1.5)
    steps = np.linalg.matrix_power(transitions(params), n_steps)
    for start, p in zip(states(d), steps, strict=True):
        v = block_gibbs(params, np.tile(start, (20_000, 1)), rng, n_steps)
        assert set(np.unique(v)) <= {0, 1}
        assert_drawn_from(p, v)


def test_from_gray_units_the_first_hidden_are_drawn_with_the_probability_they_have_there(rng):
    params = draw_machine(rng, 3, 2, 2)
    gray = np.array([[0.3, 0.9, 0.5]])
    h, every = states(2), states(3)
    up = [np.prod(np.where(s == 1, p, 1 - p)) for p in hidden(params, gray) for s in h]
    down = [[np.prod(np.where(s == 1, p, 1 - p)) for s in every] for p in visible(params, h)]
    assert_drawn_from(np.array(up) @ np.array(down), block_gibbs(params, np.tile(gray, (40_000, 1)), rng))


@pytest.mark.parametrize("clamped", list(product([False, True], repeat=3)))
def test_clamped_units_stay_and_the_others_become_draws_given_them(clamped, rng):
    params, clamped = draw_machine(rng, 3, 2), np.array(clamped)
    start = np.array([0.0, 1.0, 1.0])
    p = distribution(params) * [(s[clamped] == start[clamped]).all() for s in states(3)]
    v = block_gibbs(params, np.tile(start, (20_000, 1)), rng, 30, clamped)
    np.testing.assert_array_equal(v[:, clamped], np.tile(start[clamped], (20_000, 1)))
    assert_drawn_from(p / p.sum(), v)


def test_clamped_gray_stays_gray(rng):
    v = rng.random((4, 5))
    clamped = np.arange(5) < 2
    rest = block_gibbs(draw_machine(rng, 5, 3), v, rng, 3, clamped)
    np.testing.assert_array_equal(rest[:, :2], v[:, :2])
    assert np.isin(rest[:, 2:], [0, 1]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bits_are_on_with_their_probability_and_certain_ones_always(dtype, rng):
    p = np.array([0, 1, 0.5, 0.01, 0.9], dtype)
    bits = sample(np.broadcast_to(p, (50_000, 5)), rng)
    assert bits.dtype == dtype
    assert np.isin(bits, [0, 1]).all()
    assert (bits[:, 0] == 0).all()
    assert (bits[:, 1] == 1).all()
    assert (np.abs(bits.mean(axis=0) - p) <= 5 * np.sqrt(p * (1 - p) / 50_000)).all()
    np.testing.assert_allclose(np.cov(bits[:, 2:].T), np.diag((p * (1 - p))[2:]), atol=5 * 0.25 / np.sqrt(50_000))


# bridges


@given(generators(), st.integers(1, 4), st.integers(1, 9))
def test_with_gaussian_hidden_units_it_marginalises_to_hopfields_energy(rng, n_patterns, n):
    # -log of the integral over h of N(h; 0, 1) exp(sum_mu h_mu xi_mu.s / sqrt(N)), one h after the other
    patterns, s = rng.choice([-1.0, 1.0], (n_patterns, n)), rng.choice([-1.0, 1.0], (3, n))
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    exponents = np.multiply.outer(s @ patterns.T / np.sqrt(n), nodes)
    free = -np.log(np.exp(exponents) @ weights / weights.sum()).sum(axis=-1)
    expected = hopfield.energy(hopfield.store(patterns), s) - n_patterns / 2
    np.testing.assert_allclose(free, expected, rtol=1e-10, atol=1e-10)


@given(generators(), st.integers(1, 4), st.integers(1, 9), st.sampled_from([1, 10, 1_000]))
def test_many_bits_are_nearly_a_gaussian_unit_so_this_machine_has_hopfields_energy_too(rng, n_patterns, n, n_bits):
    # h = sum_r (2 bit_r - 1) / sqrt(R); v = (s + 1) / 2. log cosh a lies below a^2 / 2, by a^4 / 12 at most
    patterns, s = rng.choice([-1.0, 1.0], (n_patterns, n)), rng.choice([-1.0, 1.0], (3, n))
    xi = np.repeat(patterns.T, n_bits, axis=1) / np.sqrt(n * n_bits)
    params = Params(4 * xi, -2 * xi.sum(axis=1), -2 * xi.sum(axis=0))
    constant = n_patterns * n_bits * np.log(2) - xi.sum()
    free = free_energy(params, (s + 1) / 2) + constant
    least = hopfield.energy(hopfield.store(patterns), s) - n_patterns / 2
    error = ((s @ patterns.T / np.sqrt(n)) ** 4).sum(axis=1) / (12 * n_bits)
    assert (free >= least - 1e-8).all()
    assert (free <= least + error + 1e-8).all()


# pseudo-likelihood


@given(machines())
def test_the_pseudo_likelihood_is_the_sum_of_what_each_unit_is_given_all_others(machine):
    params, _, _ = machine
    v = states(len(params.b))
    p = np.exp(-free_energy(params, v) + free_energy(params, v).min())
    total = np.zeros(len(v))
    for i in range(v.shape[1]):
        rest = np.delete(v, i, axis=1)
        total += [np.log(p[n] / p[(rest == rest[n]).all(axis=1)].sum()) for n in range(len(v))]
    np.testing.assert_allclose(log_pseudo_likelihood(params, v), total, rtol=1e-9, atol=1e-9)


@given(generators(), st.integers(1, 6), st.integers(1, 4))
def test_of_units_that_know_nothing_of_one_another_it_is_the_log_likelihood(rng, d, k):
    params = draw_machine(rng, d, k, 3.0)._replace(W=np.zeros((d, k)))
    v = states(d)
    np.testing.assert_allclose(log_pseudo_likelihood(params, v), log_likelihood(params, v), rtol=1e-12, atol=1e-12)


def test_it_trusts_a_machine_that_has_all_modes_in_wrong_proportion():
    # all on or all off: nearly sure of each bit given the others, whatever the odds between the two
    def machine(odds):
        return Params(np.full((4, 1), 20.0), np.full(4, -10.0) + odds / 4, np.full(1, -40.0))

    v = states(4)[[0, -1]]
    even, odd = (log_likelihood(machine(odds), v) for odds in (0, 4))
    assert even == pytest.approx([np.log(0.5)] * 2, abs=1e-3)
    assert odd.min() < -4
    for odds in (0, 4):
        np.testing.assert_allclose(log_pseudo_likelihood(machine(odds), v), 0, atol=0.01)


# manners


@given(machines())
def test_rows_of_a_batch_know_nothing_of_one_another(machine):
    params, v, _ = machine
    h = hidden(params, v)
    for together, alone in (
        (energy(params, v, h), [energy(params, v[[n]], h[[n]]) for n in range(len(v))]),
        (free_energy(params, v), [free_energy(params, v[[n]]) for n in range(len(v))]),
        (free_energy_grad_v(params, v), [free_energy_grad_v(params, v[[n]]) for n in range(len(v))]),
    ):
        assert len(together) == len(v)
        np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-12, atol=slack(params))
    parts = [free_energy_grad_params(params, v[[n]]) for n in range(len(v))]
    for mean, part in zip(free_energy_grad_params(params, v), zip(*parts, strict=True), strict=True):
        np.testing.assert_allclose(mean, np.mean(part, axis=0), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sign", [-1, 1])
def test_at_pre_activations_of_a_thousand_nothing_overflows(dtype, sign, rng):
    params = tree_map(lambda a: sign * a.astype(dtype), Params(np.full((2, 3), 500.0), np.zeros(2), np.zeros(3)))
    v = np.ones((4, 2), dtype)
    np.testing.assert_allclose(hidden(params, v), sign > 0)
    np.testing.assert_allclose(visible(params, np.ones((4, 3), dtype)), sign > 0)
    np.testing.assert_allclose(free_energy(params, v), -3_000 if sign > 0 else 0)
    if sign > 0:
        np.testing.assert_array_equal(block_gibbs(params, v, rng, 3), v)
    h = np.ones((4, 3), dtype)
    for part in (*free_energy_grad_params(params, v), free_energy_grad_v(params, v), energy(params, v, h)):
        assert np.isfinite(part).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_single_precision_stays_and_nobody_elses_array_is_written_to(dtype, rng):
    params = read_only(init(rng, 4, 3, mean=read_only(rng.random(4)), dtype=dtype))
    v, h = read_only(rng.random((5, 4)).astype(dtype)), read_only(rng.random((5, 3)).astype(dtype))
    clamped = read_only(np.arange(4) < 2)
    found = [*params, energy(params, v, h), free_energy(params, v), free_energy_grad_v(params, v), hidden(params, v)]
    found += [*free_energy_grad_params(params, v), visible(params, h), block_gibbs(params, v, rng, 2)]
    found += [log_pseudo_likelihood(params, read_only(v.round()))]
    found += [
        block_gibbs(params, v, rng, 2, clamped),
        *free_energy_grad_params(params, v, read_only(np.ones(5, dtype))),
    ]
    assert [a.dtype for a in found] == [dtype] * len(found)


def test_the_generator_decides_what_is_drawn(rng):
    params, v = draw_machine(rng, 6, 4, 0.1), rng.random((10, 6))
    one, same, other = (block_gibbs(params, v, np.random.default_rng(seed), 3) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@given(generators(), st.integers(1, 5), st.integers(1, 5))
@example(np.random.default_rng(0), 1, 1)
def test_at_the_start_without_couplings_the_machine_has_the_means_of_the_data(rng, d, k):
    mean = rng.uniform(0.01, 0.99, d)
    params = init(rng, d, k, mean=mean, std=0)
    np.testing.assert_array_equal(params.W, np.zeros((d, k)))
    np.testing.assert_array_equal(params.c, np.zeros(k))
    np.testing.assert_allclose(distribution(params) @ states(d), mean, rtol=1e-12)
    np.testing.assert_allclose(biases(mean, d), np.log(mean) - np.log1p(-mean), atol=1e-12)


def test_units_that_are_never_or_always_on_get_a_chance_of_a_hundredth_to_be_otherwise():
    params = init(np.random.default_rng(0), 4, 2, mean=[0, 1, 0.001, 0.5], std=0)
    np.testing.assert_allclose(visible(params, np.zeros((1, 2)))[0], [0.01, 0.99, 0.01, 0.5], rtol=1e-12)


def test_couplings_are_drawn_with_the_width_asked_for(rng):
    params = init(rng, 200, 300, std=0.3)
    assert abs(params.W.mean()) < 5 * 0.3 / np.sqrt(60_000)
    assert abs(params.W.std() / 0.3 - 1) < 5 / np.sqrt(120_000)
    np.testing.assert_array_equal(params.b, np.zeros(200))
    assert init(rng, 20, 30).W.std() == pytest.approx(0.01, rel=0.2)


# bad input

P4, V4, H3 = Params(np.ones((4, 3)), np.ones(4), np.ones(3)), np.ones((2, 4)), np.ones((2, 3))
NO_UNITS = {
    "above 1": V4 + 1e-6,
    "below 0": V4 - 1 - 1e-6,
    "spins": np.where(np.arange(8).reshape(2, 4) == 3, -1, V4),
    "grey from 0 to 255": V4 * 255,
    "NaN": np.where(np.arange(8).reshape(2, 4) == 3, np.nan, V4),
    "infinity": np.where(np.arange(8).reshape(2, 4) == 3, np.inf, V4),
    "none at all": np.zeros((0, 4)),
    "one, not a batch": V4[0],
    "too wide": np.ones((2, 5)),
    "too narrow": np.ones((2, 2)),
    "ragged": [[1, 1, 1, 1], [1, 1]],
    "None": None,
    "a string": "v",
    "strings": [["0", "1", "1", "1"]],
    "objects": V4.astype(object),
}
NO_MACHINES = {
    "W not finite": ("params.W", P4._replace(W=P4.W * np.nan)),
    "W vast": ("params.W", P4._replace(W=P4.W * 1e300)),
    "no hidden units": ("params.W", Params(np.ones((4, 0)), np.ones(4), np.ones(0))),
    "W None": ("params.W", P4._replace(W=None)),
    "W flat": ("params.W", P4._replace(W=np.ones(4))),
    "b too long": ("params.b", P4._replace(b=np.ones(5))),
    "b a number": ("params.b", P4._replace(b=1.0)),
    "b None": ("params.b", P4._replace(b=None)),
    "b infinite": ("params.b", P4._replace(b=P4.b * np.inf)),
    "c too short": ("params.c", P4._replace(c=np.ones(2))),
    "c strings": ("params.c", P4._replace(c=["a", "b", "c"])),
    "a tuple": ("params", tuple(P4)),
    "None": ("params", None),
}


@pytest.mark.parametrize("bad", NO_UNITS.values(), ids=NO_UNITS)
def test_visible_units_that_are_none_are_refused_by_name(bad, rng):
    doors = (free_energy, free_energy_grad_v, free_energy_grad_params, lambda p, v: energy(p, v, H3))
    for door in (*doors, lambda p, v: block_gibbs(p, v, rng)):
        with pytest.raises((ValueError, TypeError), match=r"^v: expected"):
            door(P4, bad)


def test_the_pseudo_likelihood_is_of_bits():
    with pytest.raises(ValueError, match=r"^v: expected bits"):
        log_pseudo_likelihood(P4, V4 / 2)


@pytest.mark.parametrize("bad", [2 * H3, -H3, H3 * np.nan, H3[:1], H3[0], V4, None, "h"])
def test_hidden_units_that_are_none_are_refused_by_name(bad):
    with pytest.raises((ValueError, TypeError), match=r"^h: expected"):
        energy(P4, V4, bad)


@pytest.mark.parametrize(("name", "bad"), NO_MACHINES.values(), ids=NO_MACHINES)
def test_machines_that_are_none_are_refused_by_name(name, bad, rng):
    doors = (free_energy, free_energy_grad_v, free_energy_grad_params, lambda p, v: energy(p, v, H3))
    for door in (*doors, lambda p, v: block_gibbs(p, v, rng)):
        with pytest.raises((ValueError, TypeError), match=rf"^{name}: expected"):
            door(bad, V4)


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("rng", {"rng": 0}),
        ("rng", {"rng": None}),
        ("rng", {"rng": np.random.RandomState(0)}),
        ("n_steps", {"n_steps": 0}),
        ("n_steps", {"n_steps": 1.0}),
        ("n_steps", {"n_steps": True}),
        ("clamped", {"clamped": np.ones(3, bool)}),
        ("clamped", {"clamped": np.ones((2, 4), bool)}),
        ("clamped", {"clamped": [0, 1, 2, 3]}),
        ("clamped", {"clamped": "first"}),
        ("v", {"v": V4 + 0j}),
        ("params.W", {"params": P4._replace(W=P4.W + 0j)}),
    ],
)
def test_other_bad_arguments_of_gibbs_are_refused_by_name(name, bad, rng):
    with pytest.raises((ValueError, TypeError), match=rf"^{name}: expected"):
        block_gibbs(**({"params": P4, "v": V4, "rng": rng} | bad))


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("rng", {"rng": 0}),
        ("d", {"d": 0}),
        ("d", {"d": 2.5}),
        ("k", {"k": 0}),
        ("k", {"k": None}),
        ("mean", {"mean": np.ones(3)}),
        ("mean", {"mean": np.array([0, 0.5, 1, 1.5])}),
        ("mean", {"mean": np.array([0, 0.5, 1, np.nan])}),
        ("mean", {"mean": np.ones(4) + 0j}),
        ("mean", {"mean": 0.5}),
        ("std", {"std": -1}),
        ("std", {"std": np.inf}),
        ("std", {"std": "small"}),
        ("dtype", {"dtype": int}),
        ("dtype", {"dtype": None}),
    ],
)
def test_bad_arguments_of_init_are_refused_by_name(name, bad, rng):
    with pytest.raises((ValueError, TypeError), match=rf"^{name}: expected"):
        init(**({"rng": rng, "d": 4, "k": 3} | bad))


@pytest.mark.parametrize("bad", [np.ones(3), np.ones((2, 1)), [1, np.nan], "mean", 1.0])
def test_bad_weights_are_refused_by_name(bad):
    with pytest.raises((ValueError, TypeError), match=r"^weights: expected"):
        free_energy_grad_params(P4, V4, bad)


def test_a_wrong_shape_is_answered_in_the_letters_of_the_page(rng):
    for door in (free_energy, log_pseudo_likelihood, lambda p, v: block_gibbs(p, v, rng)):
        with pytest.raises(ValueError, match=r"^v: expected shape \(N, 4\), got shape \(4,\)$"):
            door(P4, V4[0])
        with pytest.raises(ValueError, match=r"^params.W: expected shape \(d, k\), got shape \(4,\)$"):
            door(P4._replace(W=np.ones(4)), V4)


def test_what_else_is_refused_is_refused_in_words(rng):
    with pytest.raises(ValueError, match=r"^v: expected bits, 0 or 1, got numbers in between$"):
        log_pseudo_likelihood(P4, V4 / 2)
    with pytest.raises(TypeError, match=r"^clamped: expected True and False, got numbers$"):
        block_gibbs(P4, V4, rng, clamped=[0, 1, 2, 3])
    with pytest.raises(TypeError, match=r"^params: expected boltzmann.Params, got tuple$"):
        free_energy(tuple(P4), V4)


def test_the_width_of_couplings_must_fit_into_single_precision_too(rng):
    with pytest.raises(ValueError, match=r"^std: expected"):
        init(rng, 2, 3, std=1e60, dtype=np.float32)


def test_by_default_a_chain_makes_one_step(rng):
    params = draw_machine(rng, 6, 4)
    v = np.tile(rng.random(6), (50, 1))
    one, usual = (block_gibbs(params, v, np.random.default_rng(1), *n_steps) for n_steps in ((1,), ()))
    np.testing.assert_array_equal(usual, one)


@pytest.mark.parametrize("bad", [0, 2.5, None])
def test_the_number_of_biases_is_refused_by_name(bad):
    with pytest.raises((ValueError, TypeError), match=r"^d: expected"):
        biases(np.full(4, 0.5), bad)


def test_complex_units_are_for_the_complex_step_alone():
    for allowed in (free_energy(P4, V4 + 0j), energy(P4, V4, H3 + 0j)):
        assert np.iscomplexobj(allowed)
    with pytest.raises(TypeError, match=r"^params.b: expected real numbers"):
        checked_params(P4._replace(b=P4.b + 0j))
    with pytest.raises(TypeError, match=r"^v: expected real numbers"):
        log_pseudo_likelihood(P4, V4 + 0j)
