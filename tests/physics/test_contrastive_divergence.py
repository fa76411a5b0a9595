import numpy as np
import pytest
from guards import read_only
from hypothesis import given
from hypothesis import strategies as st
from physics.machines import assert_drawn_from, draw_machine, frequencies, states, transitions
from strategies import generators

from ebm_np.data.bars import bars_and_stripes, log_likelihood_bound
from ebm_np.foundations.gradient_check import complex_step_gradient
from ebm_np.foundations.numerics import sigmoid
from ebm_np.foundations.optimizers import Optimizer, gradient_descent
from ebm_np.foundations.parameters import flatten, tree_map
from ebm_np.foundations.results import Fit
from ebm_np.physics.boltzmann import Params, free_energy, free_energy_grad_params, hidden, init, sample
from ebm_np.physics.contrastive_divergence import METHODS, _centred, _changed_places, _steps, fit
from ebm_np.physics.partition import log_likelihood, log_partition_grad

EVERY_METHOD = pytest.mark.parametrize("method", METHODS)
CENTRED = pytest.mark.parametrize("centred", [False, True])


def probabilities(params, t=1.0):
    """p(v) of all states of the visible units, at inverse temperature t: all states of both layers, one by one."""
    W, b, c = params
    v, h = states(len(b)), states(len(c))
    logs = t * np.array([[x @ b + y @ c + x @ W @ y for y in h] for x in v])
    p = np.exp(logs - logs.max()).sum(axis=1)
    return p / p.sum()


def difference(params, data, p):
    """The gradient of mean F(data) - <F>, the chains' states being distributed as p."""
    positive, negative = (
        free_energy_grad_params(params, data),
        free_energy_grad_params(params, states(len(params.b)), p),
    )
    return tree_map(np.subtract, positive, negative)


def recorded(params, data, rng, **options):
    """The gradient of each step of a training that goes nowhere, and what it returns."""
    seen = []

    def step(params, grads, state):
        seen.append(grads)
        return params, state

    return seen, fit(params, data, rng, optimizer=Optimizer(lambda _: (), step), **options)


def centred_from(plain, mu, lam):
    """The centred gradient written in the plain one, as G = <v h> - mu <h> - <v> lam of data less those of dreams."""
    W = plain.W - np.outer(mu, plain.c) - np.outer(plain.b, lam)
    return Params(W, plain.b - W @ lam, plain.c - mu @ W)


def assert_close(one, other, atol):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)


def error(n):
    """Five standard errors of a mean of n numbers in [0, 1]."""
    return 2.5 / np.sqrt(n)


# where the gradient comes from


@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_in_the_mean_cd_is_the_gradient_after_that_many_steps_from_the_data(n_steps, rng):
    # all on and all off are likely, and it takes long to come from one to the other
    params = Params(np.full((3, 2), 3.0), np.full(3, -2.5), np.full(2, -4.0))
    params, data = tree_map(np.add, params, draw_machine(rng, 3, 2, 0.1)), states(3)[[0, 0, 6]]
    p = frequencies(data) @ np.linalg.matrix_power(transitions(params), n_steps)
    (found,), _ = recorded(
        params,
        np.tile(data, (20_000, 1)),
        rng,
        method="cd",
        n_steps=n_steps,
        n_epochs=1,
        batch_size=60_000,
    )
    assert_close(found, difference(params, data, p), error(60_000))
    # far enough from the next to be told from it
    for other in (n_steps - 1, n_steps + 1):
        p = frequencies(data) @ np.linalg.matrix_power(transitions(params), other)
        assert np.abs(flatten(difference(params, data, p)) - flatten(found)).max() > error(60_000)


def test_with_more_and_more_steps_cd_becomes_the_gradient_of_the_log_likelihood(rng):
    params = Params(np.full((3, 2), 2.5), np.full(3, -2.0), np.full(2, -3.0))
    params, data = tree_map(np.add, params, draw_machine(rng, 3, 2, 0.1)), states(3)[[0, 0, 6]]
    exact = tree_map(np.add, free_energy_grad_params(params, data), log_partition_grad(params))
    many = np.tile(data, (20_000, 1))
    off = []
    for n_steps in (1, 3, 50):
        (found,), _ = recorded(params, many, rng, method="cd", n_steps=n_steps, n_epochs=1, batch_size=60_000)
        off.append(np.abs(flatten(found) - flatten(exact)).max())
    assert off[0] > off[1] + error(60_000)
    assert off[2] < error(60_000)


@pytest.mark.parametrize("n_steps", [1, 2])
@pytest.mark.parametrize("method", ["pcd", "tempering"])
def test_persistent_chains_go_on_from_where_they_were(method, n_steps, rng):
    params, data = draw_machine(rng, 3, 2, 2.0), states(3)[[1, 1, 6]]
    options = {"method": method, "n_steps": n_steps, "n_temperatures": 1, "n_chains": 40_000}
    seen, _ = recorded(params, data, rng, **options, n_epochs=4, batch_size=2)
    assert len(seen) == 8
    mean = data.mean(axis=0)
    p = np.array([np.prod(np.where(v == 1, mean, 1 - mean)) for v in states(3)])  # where chains start
    # two batches an epoch, of two samples and of one: together they are the data
    T = np.linalg.matrix_power(transitions(params), n_steps)
    for one, other in zip(seen[::2], seen[1::2], strict=True):
        p = p @ T
        first, p = p, p @ T
        both = tree_map(lambda a, b: (2 * a + b) / 3, one, other)
        assert_close(both, difference(params, data, (2 * first + p) / 3), error(40_000))


def test_tempering_finds_both_of_two_modes_where_a_single_chain_finds_one(rng):
    # all on and all off are likely and hardly anything else is; chains start where all are off
    params = Params(np.full((4, 2), 4.0), np.full(4, -4.0), np.full(2, -8.0))
    p = probabilities(params)
    assert p[0] == pytest.approx(p[-1])
    assert p[0] > 0.45
    exact = difference(params, np.zeros((1, 4)), p)
    options = {"n_epochs": 30, "n_chains": 5_000, "n_temperatures": 8}
    for method, finds in (("pcd", False), ("tempering", True)):
        seen, _ = recorded(params, np.zeros((1, 4)), rng, method=method, **options)
        assert (np.abs(flatten(seen[-1]) - flatten(exact)).max() < error(5_000)) == finds


# the gradient


def certain(rng, d, k):
    """A machine whose visible units are sure to be in one state, whatever the hidden ones do, and that state."""
    bits = rng.integers(0, 2, d).astype(float)
    return Params(rng.normal(size=(d, k)), 100 * (2 * bits - 1), rng.normal(size=k)), bits


@EVERY_METHOD
@given(
    rng=generators(), d=st.integers(1, 4), k=st.integers(1, 4), n=st.integers(1, 23), size=st.integers(1, 9),
    n_chains=st.integers(1, 9),
)  # fmt: skip
def test_a_short_last_batch_and_any_number_of_chains_change_nothing(method, rng, d, k, n, size, n_chains):
    # where dreams are certain, the steps of an epoch, each times the samples of its batch, add up to the whole gradient
    params, bits = certain(rng, d, k)
    v = rng.random((n, d))
    options = {"method": method, "n_chains": n_chains, "n_temperatures": 2}
    if method == "tempering":  # the hot chains must be certain, too
        params = params._replace(b=2 * params.b)
    seen, found = recorded(params, v, rng, **options, n_epochs=1, batch_size=size)
    sizes = [min(size, n - start) for start in range(0, n, size)]
    assert len(seen) == len(sizes)
    mean = tree_map(lambda *parts: np.average(parts, axis=0, weights=sizes), *seen)

    def loss(params):
        return (free_energy(params, v).mean(axis=0) - free_energy(params, bits[None])).sum()

    assert_close(mean, complex_step_gradient(loss, params), 1e-12)
    assert found.history[0] == pytest.approx(loss(params), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("n_chains", [1, 7, 300])
def test_of_any_number_of_chains_the_mean_is_taken(n_chains, rng):
    params, data = draw_machine(rng, 3, 2, 0.5), states(3)[[1, 1, 6]]
    seen, _ = recorded(params, data, rng, n_chains=n_chains, n_steps=5, n_epochs=3_000)
    mean = tree_map(lambda *parts: np.mean(parts, axis=0), *seen)
    # chains remember a little: the error of their mean is some times that of independent draws
    assert_close(mean, difference(params, data, probabilities(params)), 2 * error(n_chains * 3_000))


@EVERY_METHOD
@CENTRED
def test_decay_adds_its_multiple_of_the_couplings_and_nothing_else(method, centred, rng):
    params, data = draw_machine(rng, 4, 3), rng.random((10, 4))
    options = {"method": method, "centred": centred, "n_epochs": 2, "batch_size": 4}
    with_it, without = (
        recorded(params, data, np.random.default_rng(1), decay=decay, **options)[0] for decay in (0.25, 0)
    )
    for a, b in zip(with_it, without, strict=True):
        assert_close(a, b._replace(W=b.W + 0.25 * params.W), 1e-14)


def test_decay_shrinks_couplings(rng):
    data = np.tile(states(2)[[0, 3]], (50, 1))
    params, options = init(rng, 2, 2, std=0.5), {"optimizer": gradient_descent(0.1), "n_epochs": 300}
    free, held = (fit(params, data, np.random.default_rng(0), decay=decay, **options).params for decay in (0, 0.5))
    assert np.square(held.W).sum() < 0.1 * np.square(free.W).sum()


# centred


@given(generators(), st.integers(1, 5), st.integers(1, 5))
def test_the_centred_gradient_is_derivation_five_from_scratch(rng, d, k):
    params = draw_machine(rng, d, k)
    data, dreamt = rng.random((4, d)), rng.integers(0, 2, (6, d)).astype(float)
    mu, lam = rng.random(d), rng.random(k)
    G, b, c = 0, 0, 0
    for sign, v in ((1, data), (-1, dreamt)):
        for row, h in zip(v, hidden(params, v), strict=True):
            G = G + sign * np.outer(row - mu, h - lam) / len(v)
            b, c = b + sign * row / len(v), c + sign * h / len(v)
    both, weights = np.concatenate([data, dreamt]), np.repeat([1 / 4, -1 / 6], (4, 6))
    assert_close(_centred(both, hidden(params, both), weights, mu, lam), (-G, -(b - G @ lam), -(c - mu @ G)), 1e-13)


@given(generators(), st.integers(1, 5), st.integers(1, 5))
def test_it_is_the_plain_gradient_in_the_centred_machines_own_parameters_taken_back(rng, d, k):
    # E = -(v - mu) W (h - lam) - b'.v - c'.h: a step in (W, b', c'), then b = b' - W lam, c = c' - mu W
    params, data, dreamt = draw_machine(rng, d, k), rng.random((4, d)), rng.random((6, d))
    mu, lam = rng.random(d), rng.random(k)

    def plain_machine(own):
        return Params(own.W, own.b - own.W @ lam, own.c - mu @ own.W)

    own = Params(params.W, params.b + params.W @ lam, params.c + mu @ params.W)

    def loss(own):
        machine = plain_machine(own)  # but for mu W lam, the same for data and dreams
        return free_energy(machine, data).mean() - free_energy(machine, dreamt).mean()

    slopes = complex_step_gradient(loss, own)
    moved = plain_machine(tree_map(lambda a, g: a - 0.1 * g, own, slopes))
    plain = tree_map(np.subtract, free_energy_grad_params(params, data), free_energy_grad_params(params, dreamt))
    expected = tree_map(lambda a, g: a - 0.1 * g, params, centred_from(plain, mu, lam))
    assert_close(moved, expected, 1e-12)


@EVERY_METHOD
def test_the_offsets_are_the_means_of_data_and_of_hidden_units_given_data(method, rng):
    params, data = draw_machine(rng, 4, 3), rng.random((10, 4))
    plain, centred = (
        recorded(params, data, np.random.default_rng(1), method=method, centred=centred, n_epochs=3)[0]
        for centred in (False, True)
    )
    mu, lam = data.mean(axis=0), hidden(params, data).mean(axis=0)
    for a, b in zip(plain, centred, strict=True):
        assert_close(b, centred_from(a, mu, lam), 1e-14)


def test_the_hidden_offset_forgets_the_first_batch_and_ends_near_the_mean(rng):
    # of one hidden unit it can be read from the gradients: b's differ by lam times that of W
    params = Params(np.array([[3.0], [0.0]]), np.zeros(2), np.array([-1.0]))
    data = np.concatenate([np.zeros((50, 2)), np.ones((50, 2))])
    plain, centred = (
        recorded(params, data, np.random.default_rng(1), centred=centred, n_epochs=50, batch_size=2)[0]
        for centred in (False, True)
    )
    lam = np.array([(a.b[0] - b.b[0]) / b.W[0, 0] for a, b in zip(plain, centred, strict=True)])
    p = hidden(params, data[[0, -1]])[:, 0]
    assert any(lam[0] == pytest.approx(0.99 * p[0] + 0.01 * q) for q in (p[0], p.mean(), p[1]))
    assert abs(lam[1_000:].mean() - p.mean()) < 0.02
    assert lam[1_000:].std() < 0.05


class Mirrored(np.random.Generator):
    """Numbers u become 1 - u where they decide about the layer with this many units."""

    def __init__(self, seed, n):
        super().__init__(np.random.PCG64(seed))
        self.n = n

    def random(self, size=None, dtype=np.float64, out=None):
        u = super().random(size, dtype, out)
        return 1 - u if np.shape(u)[-1] == self.n else u


def flip(params, layer):
    """The same machine, the other value of each bit of a layer called 1."""
    W, b, c = params
    return Params(-W, -b, c + W.sum(axis=0)) if layer == "visible" else Params(-W, b + W.sum(axis=1), -c)


@EVERY_METHOD
@pytest.mark.parametrize("layer", ["visible", "hidden"])
@pytest.mark.parametrize("seed", range(3))
def test_centred_training_does_not_depend_on_which_value_of_a_bit_is_called_one(method, layer, seed, rng):
    params, data = draw_machine(rng, 5, 3, 0.5), rng.random((13, 5)) ** 3
    options = {"method": method, "n_epochs": 5, "batch_size": 4, "n_chains": 7, "n_temperatures": 4, "n_steps": 2}
    other = 1 - data if layer == "visible" else data
    ends = {}
    for centred in (False, True):
        options |= {"centred": centred, "optimizer": gradient_descent(0.1)}
        end = fit(params, data, Mirrored(seed, 0), **options).params
        mirrored = fit(flip(params, layer), other, Mirrored(seed, 5 if layer == "visible" else 3), **options).params
        ends[centred] = np.abs(flatten(flip(mirrored, layer)) - flatten(end)).max()
    assert ends[True] < 1e-11
    assert ends[False] > 1e-3  # the plain gradient does


# tempering


@given(generators())
def test_chains_change_places_with_the_probability_of_equation_two(rng):
    t, n = np.sort(rng.uniform(0, 1, 2)), 200
    energy = rng.normal(size=(2, n)) * 4
    seed = rng.integers(1 << 31)
    u = 1 - np.random.default_rng(seed).random(n)
    now = -t[0] * energy[0] - t[1] * energy[1]
    then = -t[0] * energy[1] - t[1] * energy[0]
    goes = u < np.minimum(1, np.exp(then - now))
    places = _changed_places(energy, t, np.random.default_rng(seed))
    np.testing.assert_array_equal(places, np.where(goes, [[1], [0]], [[0], [1]]))


def test_the_hottest_state_can_walk_all_the_way_down(rng):
    # each is worth more where it is colder: all change, one after the other
    energy = -1e6 * np.array([4.0, 3, 2, 1])[:, None] * np.ones((4, 3))
    places = _changed_places(energy, np.array([0.25, 0.5, 0.75, 1]), rng)
    np.testing.assert_array_equal(places, np.array([[1], [2], [3], [0]]) * np.ones(3))


@pytest.mark.parametrize("n_temperatures", [2, 3, 4])
def test_what_the_hottest_chain_found_goes_to_the_coldest_in_one_step(n_temperatures, rng):
    # all on is worth 10 more than all off, and no step leads from one to the other
    params = Params(np.full((1, 1), 200.0), np.full(1, -90.0), np.full(1, -100.0))
    h = np.zeros((n_temperatures, 5, 1))
    h[0] = 1
    for found in _steps(params, h, np.linspace(0.5, 1, n_temperatures), 1, rng):
        np.testing.assert_array_equal(found > 0, h[::-1] > 0)


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("temperatures", [(0.4, 1.0), (0.1, 0.5, 1.0)])
def test_tempered_chains_leave_the_product_of_their_distributions_as_it_is(n_steps, temperatures, rng):
    n, t = 60_000, np.array(temperatures)
    for d, k in ((1, 2), (2, 2)):
        params = draw_machine(rng, d, k, 2.5)
        each = [probabilities(params, at) for at in t]
        v = np.array([states(d)[rng.choice(2**d, n, p=p)] for p in each])
        h = sample(sigmoid(t[:, None, None] * (params.c + v @ params.W)), rng)
        after, felt, h = _steps(params, h, t, n_steps, rng)
        assert after.shape == v.shape
        np.testing.assert_array_equal(felt, params.c + after @ params.W)
        joint = each[0]
        for p in each[1:]:
            joint = np.kron(joint, p)
        assert_drawn_from(joint, np.concatenate(list(after), axis=1))


def test_from_anywhere_the_chains_of_each_temperature_find_their_distribution(rng):
    t, params = np.array([0.3, 0.6, 1.0]), draw_machine(rng, 3, 2, 2.0)
    v, _, _ = _steps(params, np.zeros((3, 20_000, 2)), t, 60, rng)
    for at, chains in zip(t, v, strict=True):
        assert_drawn_from(probabilities(params, at), chains)


# training


def test_a_machine_of_one_visible_and_one_hidden_unit_under_cd_one_learns_the_mean_of_the_data(rng):
    # sampled visibles: in the mean CD-1 stands still where a step leaves the data's distribution as it is
    for mean in (0.2, 0.7):
        data = (np.arange(100) < 100 * mean).astype(float)[:, None]
        params = init(rng, 1, 1, std=1.0)
        params = fit(params, data, rng, method="cd", optimizer=gradient_descent(0.5), n_epochs=1_000).params
        met = []
        fit(
            params,
            data,
            rng,
            method="cd",
            optimizer=gradient_descent(0.05),
            n_epochs=1_000,
            watch=lambda _, p, met=met: met.append(probabilities(p)[1]),
        )
        assert np.mean(met) == pytest.approx(mean, abs=0.01)
        # and where it has that mean, nothing moves in the mean
        there = params._replace(b=params.b * 0, c=params.c * 0, W=params.W * 0)
        there = there._replace(b=np.array([np.log(mean / (1 - mean))]))
        (grads,), _ = recorded(there, np.tile(data, (500, 1)), rng, method="cd", n_epochs=1, batch_size=50_000)
        assert_close(grads, tree_map(np.zeros_like, there), error(50_000))


@EVERY_METHOD
@CENTRED
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_makes_the_data_likelier(method, centred, dtype, rng):
    data = states(5)[[3, 3, 12, 17, 30, 30, 30]].astype(dtype)
    params = init(rng, 5, 4, mean=data.mean(axis=0), std=0.1, dtype=dtype)
    optimizer = gradient_descent(0.15)
    found = fit(
        params,
        data,
        rng,
        method=method,
        centred=centred,
        optimizer=optimizer,
        n_epochs=200,
        n_chains=100,
        batch_size=3,
        n_temperatures=4,
    )
    before, after = (log_likelihood(p, data).mean() for p in (params, found.params))
    assert after > before + 0.3
    assert isinstance(found, Fit)
    assert found.history.shape == (200,)
    assert {part.dtype for part in found.params} == {np.dtype(dtype)}


def test_a_hundred_and_one_samples_in_batches_of_ten_teach_as_much_as_all_at_once(rng):
    data = states(3)[rng.choice(8, 101, p=[0.3, 0.02, 0.1, 0.05, 0.05, 0.13, 0.05, 0.3])]
    best = frequencies(data)
    best = (best[best > 0] * np.log(best[best > 0])).sum()
    for batch_size, n_epochs in ((10, 100), (100, 550), (101, 1_100)):
        params = init(np.random.default_rng(0), 3, 6, mean=data.mean(axis=0), std=0.3)
        options = {"n_epochs": n_epochs, "batch_size": batch_size, "n_steps": 3, "n_chains": 200}
        params = fit(params, data, rng, optimizer=gradient_descent(0.3), **options).params
        # it dances about where it should be
        means, values = [], []

        def watch(epoch, params, means=means, values=values):
            if epoch % 5 == 0:
                means.append(probabilities(params) @ states(3))
                values.append(log_likelihood(params, data).mean())

        fit(params, data, rng, optimizer=gradient_descent(0.05), watch=watch, **options)
        np.testing.assert_allclose(np.mean(means[n_epochs // 20 :], axis=0), data.mean(axis=0), atol=0.03)
        assert best - 0.05 < np.mean(values[n_epochs // 20 :]) < best


def test_bars_and_stripes_are_learned_to_a_twentieth_of_a_nat():
    rng, data = np.random.default_rng(0), bars_and_stripes(3)
    assert len(data) == 16
    best = log_likelihood_bound(data)
    params = init(rng, 9, 20, mean=data.mean(axis=0), std=0.1)
    options = {"method": "tempering", "centred": True, "n_chains": 200, "n_temperatures": 5}
    for rate, n_epochs in ((0.3, 3_000), (0.03, 1_000)):
        params = fit(params, data, rng, optimizer=gradient_descent(rate), n_epochs=n_epochs, **options).params
    assert best - 0.05 < log_likelihood(params, data).mean() < best


# manners


@EVERY_METHOD
@CENTRED
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_generator_decides_everything_and_nobody_elses_array_is_written_to(method, centred, dtype, rng):
    params = read_only(init(rng, 4, 3, std=0.1, dtype=dtype))
    data = read_only(rng.integers(0, 2, (11, 4)).astype(dtype))
    options = {"method": method, "centred": centred, "n_epochs": 2, "batch_size": 4, "n_steps": 2, "decay": 0.1}
    one, same, other = (fit(params, data, np.random.default_rng(seed), **options) for seed in (1, 1, 2))
    np.testing.assert_array_equal(flatten(one.params), flatten(same.params))
    np.testing.assert_array_equal(one.history, same.history)
    assert (flatten(one.params) != flatten(other.params)).any()
    assert [part.dtype for part in one.params] == [dtype] * 3
    assert [part.shape for part in one.params] == [(4, 3), (4,), (3,)]


def test_of_single_and_double_precision_the_double_one_wins(rng):
    params, data = init(rng, 4, 3, dtype=np.float32), rng.random((5, 4))
    assert {part.dtype for part in fit(params, data, rng, n_epochs=1).params} == {np.dtype(np.float64)}


def test_at_pre_activations_of_a_thousand_training_goes_on(rng):
    for kind in (np.float32, np.float64):
        for sign in (-1, 1):
            params = Params(np.full((3, 2), sign * 1e3, kind), np.zeros(3, kind), np.zeros(2, kind))
            for method in METHODS:
                found = fit(params, rng.integers(0, 2, (9, 3)).astype(kind), rng, method=method, n_epochs=2)
                assert np.isfinite(flatten(found.params)).all()


def test_progress_is_told(rng):
    told, watched = [], []
    params, data = init(rng, 4, 3), rng.random((5, 4))
    found = fit(
        params,
        data,
        rng,
        n_epochs=3,
        callback=lambda *seen: told.append(seen),
        watch=lambda epoch, p: watched.append((epoch, p)),
    )
    assert told == list(zip([1, 2, 3], found.history, strict=True))
    assert [epoch for epoch, _ in watched] == [0, 1, 2, 3]
    np.testing.assert_array_equal(flatten(watched[-1][1]), flatten(found.params))


@EVERY_METHOD
@pytest.mark.parametrize("rate", [1e160, 1e300])
def test_a_rate_that_is_far_too_large_is_an_error_in_words(method, rate, rng):
    with pytest.raises(FloatingPointError, match="diverged in epoch"):
        fit(init(rng, 4, 3), rng.random((9, 4)), rng, method=method, optimizer=gradient_descent(rate), n_epochs=50)


P4, V4 = Params(np.ones((4, 3)), np.ones(4), np.ones(3)), np.ones((2, 4))


@pytest.mark.parametrize("bad", [2 * V4, -V4, V4 * np.nan, V4[0], V4[:, :3], np.zeros((0, 4)), None, "v", V4 + 0j])
def test_data_that_are_none_are_refused_by_name(bad, rng):
    with pytest.raises((ValueError, TypeError), match=r"^v: expected"):
        fit(P4, bad, rng)


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("params", {"params": tuple(P4)}),
        ("params", {"params": None}),
        ("params.W", {"params": Params(np.ones((4, 0)), np.ones(4), np.ones(0))}),
        ("params.W", {"params": P4._replace(W=P4.W * np.inf)}),
        ("params.W", {"params": P4._replace(W=P4.W + 0j)}),
        ("params.b", {"params": P4._replace(b=np.ones(3))}),
        ("params.c", {"params": P4._replace(c=None)}),
        ("rng", {"rng": 0}),
        ("rng", {"rng": None}),
        ("method", {"method": "CD"}),
        ("method", {"method": None}),
        ("n_steps", {"n_steps": 0}),
        ("n_steps", {"n_steps": 1.0}),
        ("n_chains", {"n_chains": 0}),
        ("n_chains", {"n_chains": None}),
        ("n_temperatures", {"n_temperatures": 0}),
        ("n_temperatures", {"n_temperatures": "many"}),
        ("centred", {"centred": "no"}),
        ("centred", {"centred": None}),
        ("decay", {"decay": -0.1}),
        ("decay", {"decay": np.nan}),
        ("decay", {"decay": None}),
        ("n_epochs", {"n_epochs": 0}),
        ("n_epochs", {"n_epochs": 1.5}),
        ("batch_size", {"batch_size": 0}),
        ("batch_size", {"batch_size": -1}),
        ("batch_size", {"batch_size": 2.0}),
        ("batch_size", {"batch_size": "all"}),
    ],
)
@EVERY_METHOD
def test_other_bad_arguments_are_refused_by_name(method, name, bad, rng):
    with pytest.raises((ValueError, TypeError), match=rf"^{name}: expected"):
        fit(**({"params": P4, "v": V4, "rng": rng, "method": method} | bad))


def test_the_shape_of_the_data_is_answered_in_the_letters_of_the_page(rng):
    with pytest.raises(ValueError, match=r"^v: expected shape \(N, 4\), got shape \(4,\)$"):
        fit(P4, V4[0], rng)


def test_by_default_a_hundred_persistent_chains_make_one_step_for_each_of_ten_times_all_batches_of_a_hundred(rng):
    params, data = init(rng, 4, 3, std=0.1), rng.integers(0, 2, (250, 4)).astype(float)

    def trained(**options):
        return fit(params, data, np.random.default_rng(0), **options)

    options = {"method": "pcd", "n_steps": 1, "n_chains": 100, "centred": False, "decay": 0.0}
    options |= {"optimizer": gradient_descent(0.01), "n_epochs": 10, "batch_size": 100}
    one, other = trained(), trained(**options)
    np.testing.assert_array_equal(flatten(one.params), flatten(other.params))
    assert len(one.history) == 10
    hot, ten = (trained(method="tempering", n_epochs=1, **n) for n in ({}, {"n_temperatures": 10}))
    np.testing.assert_array_equal(flatten(hot.params), flatten(ten.params))
