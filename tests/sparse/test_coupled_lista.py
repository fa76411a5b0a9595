from itertools import islice

import numpy as np
import pytest
from guards import peak
from hypothesis import assume, given
from hypothesis import strategies as st
from sparse.problems import dictionary
from strategies import SIZES, generators

from ebm_np.foundations.gradient_check import gradient_check
from ebm_np.foundations.parameters import leaves, tree_map
from ebm_np.foundations.proximal import shrink
from ebm_np.sparse import textbook
from ebm_np.sparse.coupled_lista import (
    PAPER,
    PLAIN,
    Params,
    Selection,
    analytic_weights,
    fit,
    forward,
    from_dictionary,
    init,
    iterates,
    loss,
    loss_grad_params,
    loss_grad_y,
    select_and_shrink,
)

STEPS = st.integers(1, 10)
SELECTIONS = st.one_of(st.just(PLAIN), st.builds(Selection, st.floats(0.05, 1), st.floats(0.2, 1)))
EITHER = pytest.mark.parametrize("untied", [False, True])


def draw_network(rng, n_steps, untied, d=4, k=6, n=3):
    """A dictionary, weights that have left it, and what they are trained on; steps short enough to stay finite."""
    W = rng.normal(size=(d, k))
    V = W + 0.3 * rng.normal(size=(n_steps, d, k) if untied else (d, k))
    gamma = rng.uniform(0.2, 1, n_steps) / np.linalg.svd(W)[1][0] ** 2
    params = Params(V, gamma, rng.uniform(0.01, 0.1, n_steps))
    return params, W, 4 * rng.normal(size=(n, d)), rng.normal(size=(n, k))


def by_loops(params, W, y, selection):
    """z(1), ..., z(K) of one sample, equations (1) and (2) by the letter; and how far the nearest kink is."""
    K, k = len(params.gamma), W.shape[1]
    z, path, margin = np.zeros(k), [], np.inf
    for t in range(1, K + 1):
        V = params.V[t - 1] if params.V.ndim == 3 else params.V
        theta, n = params.theta[t - 1], round(min(selection.rise * t, selection.most) * k)
        u = np.array([z[i] + params.gamma[t - 1] * sum(V[:, i] * (y - W @ z)) for i in range(k)])
        ranked = sorted(range(k), key=lambda i: -abs(u[i]))
        z = np.zeros(k)
        for rank, i in enumerate(ranked):
            if abs(u[i]) > theta:
                z[i] = u[i] if rank < n else np.sign(u[i]) * (abs(u[i]) - theta)
        path.append(z)
        sizes = np.abs(u[ranked])
        gaps = sizes[n - 1 : n] - sizes[n : n + 1] if n < k and n and sizes[n] > theta else np.array([])
        margin = min(margin, np.abs(sizes - theta).min(), *gaps)
    return np.array(path), margin


def away_from_kinks(params, W, y, selection, least=1e-4):
    return all(by_loops(params, W, y_n, selection)[1] > least for y_n in y)


def benchmark(rng, d=60, k=120, n=300, on=0.06):
    """Unit Gaussian atoms, Bernoulli-Gaussian codes, no noise: the papers' problem, small."""
    W = rng.normal(size=(d, k))
    W /= np.linalg.norm(W, axis=0)
    z = (rng.random((n, k)) < on) * rng.normal(size=(n, k))
    return W, z @ W.T, z


def decibel(z, z_target):
    return 10 * np.log10(((z - z_target) ** 2).sum() / (z_target**2).sum())


@given(generators(), st.floats(0.01, 2), STEPS)
def test_untrained_it_is_ista_iterate_by_iterate(rng, lam, n_steps):
    W, y = dictionary(rng, 5, 8), 2 * rng.normal(size=(4, 5))
    network = iterates(from_dictionary(W, lam, n_steps), W, y)
    ista = textbook.ista(W, y, lam, np.zeros((4, 8)))
    for found, expected in zip(list(network), list(islice(ista, n_steps)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


@EITHER
@given(rng=generators(), n_steps=STEPS, selection=SELECTIONS)
def test_each_step_is_equations_1_and_2_by_the_letter(untied, rng, n_steps, selection):
    params, W, y, _ = draw_network(rng, n_steps, untied)
    assume(away_from_kinks(params, W, y, selection, 1e-9))
    expected = np.array([by_loops(params, W, y_n, selection)[0] for y_n in y])
    found = np.array(list(iterates(params, W, y, selection)))
    np.testing.assert_allclose(found, expected.swapaxes(0, 1), rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(forward(params, W, y, selection), found[-1])


@given(generators(), STEPS)
def test_it_is_lista_with_the_two_matrices_coupled(rng, n_steps):
    params, W, y, _ = draw_network(rng, n_steps, untied=True)
    z = np.zeros((3, 6))
    for V, gamma, theta in zip(*params, strict=True):
        W_e, S = gamma * V, np.eye(6) - gamma * V.T @ W
        z = shrink(y @ W_e + z @ S.T, theta)
    np.testing.assert_allclose(forward(params, W, y), z, rtol=1e-10, atol=1e-12)


@given(generators(), st.integers(1, 8), st.floats(0, 2), st.integers(0, 8))
def test_selection_lets_the_n_largest_pass_and_shrinks_the_rest(rng, k, theta, n):
    u, n = rng.normal(size=(5, k)), min(n, k)
    z, passed = select_and_shrink(u, theta, n)
    on = np.abs(u) > theta
    np.testing.assert_array_equal(passed.sum(axis=1), np.minimum(n, on.sum(axis=1)))
    np.testing.assert_array_equal(z[passed], u[passed])
    np.testing.assert_array_equal(z[~passed], shrink(u, theta)[~passed])
    largest_not, least = np.abs(np.where(passed, 0, u)).max(1), np.abs(np.where(passed, u, np.inf)).min(1)
    assert (largest_not <= least).all()


@given(generators(), st.floats(0, 2))
def test_with_none_selected_it_is_shrinkage_and_with_all_a_hard_threshold(rng, theta):
    u = rng.normal(size=(5, 7))
    np.testing.assert_array_equal(select_and_shrink(u, theta, 0)[0], shrink(u, theta))
    np.testing.assert_array_equal(select_and_shrink(u, theta, 7)[0], np.where(np.abs(u) > theta, u, 0))


@pytest.mark.parametrize(("share", "rule"), [(0.0, shrink), (1.0, lambda u, t: np.where(np.abs(u) > t, u, 0))])
def test_the_shares_zero_and_one_are_those_two_rules_in_every_step(share, rule, rng):
    params, W, y, _ = draw_network(rng, 5, untied=False)
    z = np.zeros((3, 6))
    for t, found in enumerate(iterates(params, W, y, Selection(share, share))):
        z = rule(z + params.gamma[t] * (y - z @ W.T) @ params.V, params.theta[t])
        np.testing.assert_allclose(found, z, rtol=1e-12, atol=1e-14)


@EITHER
@given(rng=generators(), n_steps=STEPS, selection=SELECTIONS)
def test_the_gradient_through_time_is_the_complex_step_of_the_loss(untied, rng, n_steps, selection):
    params, W, y, z_target = draw_network(rng, n_steps, untied)
    assume(away_from_kinks(params, W, y, selection))
    gradient = loss_grad_params(params, W, y, z_target, selection)
    assume(max(np.abs(leaf).max() for leaf in leaves(gradient)) > 1e-3)
    verdict = gradient_check(
        lambda params: loss(params, W, y, z_target, selection), gradient, params, directions=3, rng=rng
    )
    assert verdict.passed, verdict


@EITHER
@pytest.mark.parametrize("selection", [PLAIN, Selection(0.1, 0.5)])
@pytest.mark.parametrize("n_steps", range(1, 11))
def test_so_is_each_of_its_components(untied, selection, n_steps):
    rng = np.random.default_rng(n_steps)
    network = draw_network(rng, n_steps, untied, d=3, n=2)
    while not away_from_kinks(*network[:3], selection):
        network = draw_network(rng, n_steps, untied, d=3, n=2)
    params, *data = network
    for part in Params._fields:
        gradient = getattr(loss_grad_params(params, *data, selection), part)
        verdict = gradient_check(
            lambda a, part=part: loss(params._replace(**{part: a}), *data, selection), gradient, getattr(params, part)
        )
        assert np.abs(gradient).max() > 1e-3
        assert verdict.passed, f"{part}: {verdict}"


@EITHER
@given(rng=generators(), n_steps=STEPS, selection=SELECTIONS)
def test_the_gradient_with_respect_to_the_observations_too(untied, rng, n_steps, selection):
    params, W, y, z_target = draw_network(rng, n_steps, untied)
    assume(away_from_kinks(params, W, y, selection))
    gradient = loss_grad_y(params, W, y, z_target, selection)
    assume(np.abs(gradient).max() > 1e-3)
    verdict = gradient_check(lambda y: loss(params, W, y, z_target, selection), gradient, y)
    assert verdict.passed, verdict


@given(generators(), STEPS, SELECTIONS)
def test_the_gradient_with_respect_to_the_targets_is_twice_their_distance(rng, n_steps, selection):
    params, W, y, z_target = draw_network(rng, n_steps, untied=False)
    gradient = 2 * (z_target - forward(params, W, y, selection)) / len(y)
    verdict = gradient_check(lambda z: loss(params, W, y, z, selection), gradient, z_target)
    assert verdict.passed, verdict


@given(generators(), STEPS, SELECTIONS)
def test_one_v_for_all_steps_receives_the_sum_of_what_each_step_would(rng, n_steps, selection):
    params, W, y, z_target = draw_network(rng, n_steps, untied=False)
    untied = params._replace(V=np.repeat(params.V[None], n_steps, axis=0))
    shared, each = (loss_grad_params(p, W, y, z_target, selection) for p in (params, untied))
    np.testing.assert_allclose(shared.V, each.V.sum(axis=0), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(shared.theta, each.theta, rtol=1e-11, atol=1e-13)


@given(generators(), SIZES)
def test_the_loss_is_the_mean_over_samples_of_the_squared_error_of_the_last_codes(rng, n):
    params, W, y, z_target = draw_network(rng, 3, untied=False, n=n)
    z = forward(params, W, y, PAPER)
    expected = sum(np.dot(z[i] - z_target[i], z[i] - z_target[i]) for i in range(n)) / n
    assert loss(params, W, y, z_target, PAPER) == pytest.approx(expected, rel=1e-12)


def wide(rng, d, extra):
    return rng.normal(size=(d, d + extra)) * 10.0 ** rng.uniform(-1, 1, d + extra)


@given(generators(), st.integers(1, 6), st.integers(0, 6))
def test_the_analytic_weights_are_feasible_and_stationary(rng, d, extra):
    W = wide(rng, d, extra)
    V = analytic_weights(W)
    np.testing.assert_allclose((V * W).sum(axis=0), 1, rtol=1e-9)
    # the gradient of ||V^T W||^2 has no component that the constraint allows: 2 W W^T v_i is along w_i
    gradient = 2 * W @ W.T @ V
    along = W * ((gradient * W).sum(axis=0) / (W**2).sum(axis=0))
    np.testing.assert_allclose(gradient, along, atol=1e-7 * np.abs(gradient).max())


@given(generators(), st.integers(2, 6), st.integers(1, 6), st.floats(-4, 1))
def test_no_other_feasible_weights_have_less_cross_talk(rng, d, extra, exponent):
    W = wide(rng, d, extra)
    V = analytic_weights(W)
    direction = rng.normal(size=V.shape)
    direction -= W * ((direction * W).sum(axis=0) / (W**2).sum(axis=0))  # so that v_i^T w_i stays 1
    other = V + 10.0**exponent * np.abs(V).max() * direction
    np.testing.assert_allclose((other * W).sum(axis=0), 1, rtol=1e-6, atol=1e-6 * np.abs(other * W).max())
    assert ((V.T @ W) ** 2).sum() < ((other.T @ W) ** 2).sum()


@given(generators(), SIZES)
def test_orthonormal_atoms_are_their_own_weights(rng, d):
    W = np.linalg.qr(rng.normal(size=(d, d)))[0]
    np.testing.assert_allclose(analytic_weights(W), W, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-200, 1e-3, 1e100])
def test_the_unit_of_the_dictionary_does_not_matter(scale, rng):
    W = rng.normal(size=(3, 5))
    np.testing.assert_allclose(scale * analytic_weights(scale * W), analytic_weights(W), rtol=1e-10)


@given(generators(), st.integers(1, 3), SELECTIONS)
def test_theorem_of_derivation_1_error_and_thresholds_fall_geometrically_and_no_code_is_on_by_mistake(
    rng, s, selection
):
    W, k, n_steps = rng.normal(size=(80, 88)), 88, 8
    V = analytic_weights(W)
    mu = np.abs(V.T @ W - np.eye(k)).max() * (1 + 1e-6)  # room for rounding
    c = (2 * s - 1) * mu
    assume(c < 0.95)
    z_target = np.zeros((20, k))
    for row in z_target:
        row[rng.choice(k, s, replace=False)] = rng.normal(size=s)
    bounds = np.abs(z_target).sum(axis=1).max() * c ** np.arange(n_steps + 1)
    params = Params(V, np.ones(n_steps), mu * bounds[:-1])
    for z, bound in zip(iterates(params, W, z_target @ W.T, selection), bounds[1:], strict=True):
        assert (z[z_target == 0] == 0).all()
        assert (np.abs(z - z_target).sum(axis=1) <= bound * (1 + 1e-8)).all()


@EITHER
@given(rng=generators(), selection=SELECTIONS)
def test_a_batch_is_its_rows_one_by_one(untied, rng, selection):
    params, W, y, z_target = draw_network(rng, 4, untied, n=5)
    rows = [forward(params, W, y[[n]], selection) for n in range(5)]
    np.testing.assert_allclose(forward(params, W, y, selection), np.concatenate(rows), rtol=1e-11, atol=1e-13)
    grads = [loss_grad_y(params, W, y[[n]], z_target[[n]], selection) / 5 for n in range(5)]
    expected = np.concatenate(grads)
    np.testing.assert_allclose(loss_grad_y(params, W, y, z_target, selection), expected, rtol=1e-10, atol=1e-12)


def test_on_the_benchmark_the_error_falls_with_every_step_and_selection_makes_it_fall_faster(rng):
    W, y, z = benchmark(rng, n=1200)
    new = slice(1000, None)
    errors = {}
    for selection in (PLAIN, PAPER):
        params = init(analytic_weights(W), 12)
        for rate in (3e-2, 1e-2):
            params = fit(params, W, y[:1000], z[:1000], rng, selection=selection, rate=rate).params
        errors[selection] = np.array([decibel(code, z[new]) for code in iterates(params, W, y[new], selection)])
        assert (np.diff(errors[selection]) < 0).all()
    fista = min(
        decibel(list(islice(textbook.fista(W, y[new], lam, np.zeros_like(z[new])), 12))[-1], z[new])
        for lam in (0.05, 0.1, 0.2, 0.4, 0.8)
    )
    assert errors[PLAIN][-1] < fista - 10
    assert errors[PAPER][-1] < errors[PLAIN][-1] - 10


@pytest.mark.parametrize("learned", [("gamma", "theta"), ("V",), ("V", "gamma", "theta")])
@EITHER
def test_training_lowers_the_loss_and_leaves_alone_what_is_not_learned(untied, learned, rng):
    W, y, z = benchmark(rng, d=20, k=30, n=200)
    start = from_dictionary(W, 0.1, 4)
    start = start._replace(V=np.repeat(start.V[None], 4, axis=0)) if untied else start
    found = fit(start, W, y, z, rng, learned=learned, n_epochs=10, batch_size=20)
    assert loss(found.params, W, y, z) < 0.9 * loss(start, W, y, z)
    for part in Params._fields:
        assert np.array_equal(getattr(found.params, part), getattr(start, part)) == (part not in learned)


@pytest.mark.parametrize("rate", [1e-2, 3.0])
def test_what_fit_returns_is_never_worse_than_its_start_on_the_samples_held_out(rate, rng):
    W, y, z = benchmark(rng, d=20, k=30, n=100)
    start = init(analytic_weights(W), 6)
    found = fit(start, W, y, z, rng, rate=rate, n_epochs=3)
    at_start, at_end = (loss(params, W, y[90:], z[90:]) for params in (start, found.params))
    assert at_end <= at_start
    np.testing.assert_allclose([at_start, at_end], [found.held_out[0], found.held_out.min()], rtol=1e-12)


def test_the_last_tenth_is_held_out_of_training(rng):
    W, y, z = benchmark(rng, d=20, k=30, n=50)
    other = np.concatenate([z[:45], rng.normal(size=(5, 30))])
    one, two = (fit(init(W, 3), W, y, codes, np.random.default_rng(1), n_epochs=2) for codes in (z, other))
    np.testing.assert_array_equal(one.history, two.history)
    assert one.held_out[0] != two.held_out[0]


def test_training_is_the_same_from_run_to_run_and_reports_each_epoch(rng):
    W, y, z = benchmark(rng, d=20, k=30, n=60)
    seen = []
    one, two = (
        fit(init(W, 3), W, y, z, np.random.default_rng(3), n_epochs=4, callback=lambda *now: seen.append(now))
        for _ in range(2)
    )
    for a, b in zip(leaves(one), leaves(two), strict=True):
        np.testing.assert_array_equal(a, b)
    assert seen == list(enumerate(one.history, 1)) * 2


def trained_by_hand(params, W, y, z_target, rng, learned, selection, rate, n_epochs, batch_size):
    """What `fit` says it does: Adam in units of V's rms, gamma, and log theta; the loss of the samples held out."""
    n = len(y) - max(1, len(y) // 10)
    m, v = (tree_map(np.zeros_like, params) for _ in range(2))
    history, held_out, t = [], [loss(params, W, y[n:], z_target[n:], selection)], 0
    for _ in range(n_epochs):
        order, losses = rng.permutation(n), []
        for start in range(0, n, batch_size):
            batch, t = order[start : start + batch_size], t + 1
            losses += [loss(params, W, y[batch], z_target[batch], selection)] * len(batch)
            g = loss_grad_params(params, W, y[batch], z_target[batch], selection)
            rms = np.sqrt((params.V**2).mean())
            g = Params(rms * g.V, g.gamma, params.theta * g.theta)
            m = tree_map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
            v = tree_map(lambda v, g: 0.99 * v + 0.01 * g**2, v, g)
            by = tree_map(lambda m, v, t=t: -rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.99**t)) + 1e-12), m, v)
            moved = Params(params.V + rms * by.V, params.gamma + by.gamma, params.theta * np.exp(by.theta))
            params = params._replace(**{part: getattr(moved, part) for part in learned})
        history.append(np.mean(losses))
        held_out.append(loss(params, W, y[n:], z_target[n:], selection))
    return history, held_out


@EITHER
@pytest.mark.parametrize("learned", [("gamma",), ("theta", "V"), ("V", "gamma", "theta")])
def test_fit_is_adam_in_the_units_of_each_part(untied, learned, rng):
    params, W, y, z_target = draw_network(rng, 3, untied, n=31)
    options = {"learned": learned, "selection": Selection(0.1, 0.5), "rate": 0.03, "n_epochs": 4, "batch_size": 9}
    history, held_out = trained_by_hand(params, W, y, z_target, np.random.default_rng(3), **options)
    found = fit(params, W, y, z_target, np.random.default_rng(3), patience=9, **options)
    np.testing.assert_allclose(found.history, history, rtol=1e-7)
    np.testing.assert_allclose(found.held_out, held_out, rtol=1e-7)


def test_however_small_the_gradients_the_first_step_is_as_long_as_the_rate():
    # where thresholds are 1e-7, so are gradients in their logarithms
    W, y = np.eye(2), np.array([[1.0, 2.0], [2.0, 1.0]])
    start = Params(W, np.ones(1), np.full(1, 1e-7))
    found = fit(start, W, y, 0.5 * y, np.random.default_rng(0), learned=("theta",), rate=0.1, n_epochs=1)
    np.testing.assert_allclose(found.params.theta, 1e-7 * np.exp(0.1), rtol=1e-5)  # codes are too large: it rises


def test_training_learns_step_lengths_and_thresholds_in_five_epochs_of_batches_of_100_unless_told_otherwise(rng):
    params, W, y, z_target = draw_network(rng, 2, untied=False, n=120)
    told = {"learned": ("gamma", "theta"), "selection": PLAIN, "rate": 1e-2, "n_epochs": 5, "batch_size": 100}
    found, expected = (
        fit(params, W, y, z_target, np.random.default_rng(0), **options) for options in ({}, told | {"patience": 10})
    )
    for a, b in zip(leaves(found), leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)
    worse = fit(params, W, y, z_target, rng, rate=10.0, n_epochs=30)
    assert len(worse.history) == 10 + worse.held_out.argmin()


@given(st.integers(1, 6), st.floats(0.1, 2), st.floats(0.1, 1))
def test_thresholds_start_geometrically_and_steps_with_length_one(n_steps, theta, decay):
    params = init(np.eye(2, 3), n_steps, theta=theta, decay=decay)
    np.testing.assert_array_equal(params.gamma, np.ones(n_steps))
    np.testing.assert_allclose(params.theta, [theta * decay**t for t in range(n_steps)], rtol=1e-12)
    for a, b in zip(init(np.eye(2, 3), 4), init(np.eye(2, 3), 4, theta=0.45, decay=0.8), strict=True):
        np.testing.assert_array_equal(a, b)


def test_thresholds_stay_positive_however_long_the_steps(rng):
    W, y, z = benchmark(rng, d=20, k=30, n=60)
    found = fit(init(W, 5, theta=1e-3), W, y, z, rng, rate=0.5, n_epochs=20, batch_size=10)
    assert (found.params.theta > 0).all()


@EITHER
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept(untied, dtype, rng):
    W, y, z = (a.astype(dtype) for a in benchmark(rng, d=20, k=30, n=60))
    params = init(np.repeat(W[None], 3, axis=0) if untied else W, 3)
    found = fit(params, W, y, z, rng, learned=Params._fields, selection=PAPER, n_epochs=1)
    results = [analytic_weights(W), forward(params, W, y, PAPER), loss_grad_y(params, W, y, z, PAPER)]
    results += [*params, *found.params, *from_dictionary(W, 0.1, 3), *loss_grad_params(params, W, y, z, PAPER)]
    assert {a.dtype for a in results} == {np.dtype(dtype)}


@pytest.mark.parametrize("finer", ["V", "gamma", "theta", "W", "y", "z_target"])
def test_in_mixed_precision_all_that_is_trained_is_of_the_finer_one(finer, rng):
    network = draw_network(rng, 2, untied=False, n=12)
    params, *data = tree_map(lambda a: a.astype(np.float32), network)
    if finer in Params._fields:
        params = params._replace(**{finer: getattr(network[0], finer)})
    else:
        i = ("W", "y", "z_target").index(finer)
        data[i] = network[1 + i]
    fitted = fit(params, *data, rng, learned=Params._fields, n_epochs=1).params
    assert {a.dtype for a in fitted} == {np.dtype(np.float64)}


@given(generators(), st.integers(1, 4))
def test_thresholds_of_zero_shrink_nothing(rng, n_steps):
    params, W, y, _ = draw_network(rng, n_steps, untied=False, n=3)
    expected = np.zeros((3, W.shape[1]))
    for gamma in params.gamma:
        expected = expected + gamma * ((y - expected @ W.T) @ params.V)
    np.testing.assert_allclose(forward(params._replace(theta=0 * params.theta), W, y), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("untied", [False, True])
def test_lists_are_arrays(untied, rng):
    params, W, y, z = draw_network(rng, 2, untied=untied, n=12)
    lists = Params(*(a.tolist() for a in params))
    np.testing.assert_array_equal(forward(lists, W.tolist(), y.tolist()), forward(params, W, y))
    np.testing.assert_array_equal(init(lists.V, 2).V, params.V)
    for a, b in zip(loss_grad_params(lists, W, y, z.tolist()), loss_grad_params(params, W, y, z), strict=True):
        np.testing.assert_array_equal(a, b)


def test_single_precision_agrees_with_double(rng):
    params, W, y, z = draw_network(rng, 5, untied=True)
    single = [tree_map(lambda a: a.astype(np.float32), params), *(a.astype(np.float32) for a in (W, y, z))]
    for a, b in zip(loss_grad_params(params, W, y, z), loss_grad_params(*single), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(a).max())


@EITHER
def test_nothing_handed_in_is_written_to(untied, rng):
    params, W, y, z = draw_network(rng, 3, untied, n=20)
    for argument in (*params, W, y, z):
        argument.setflags(write=False)
    kept = [a.copy() for a in (*params, W, y, z)]
    fit(params, W, y, z, rng, learned=Params._fields, selection=PAPER, n_epochs=2)
    loss_grad_params(params, W, y, z, PAPER), loss_grad_y(params, W, y, z, PAPER), analytic_weights(W)
    for before, after in zip(kept, (*params, W, y, z), strict=True):
        np.testing.assert_array_equal(before, after)


def test_memory_of_the_backward_pass_grows_by_the_same_with_each_step_and_that_of_the_forward_pass_not_at_all(rng):
    d, k, n = 20, 40, 500
    W, y, z = benchmark(rng, d=d, k=k, n=n)
    V = analytic_weights(W)
    for selection in (PLAIN, PAPER):
        peaks = [peak(loss_grad_params, init(V, K), W, y, z, selection) for K in (8, 16, 32)]
        a_step = n * (8 * (k + d) + k)
        np.testing.assert_allclose(np.diff(peaks), [8 * a_step, 16 * a_step], rtol=0.02)
        forwards = [peak(forward, init(V, K), W, y, selection) for K in (8, 32)]
        assert forwards[1] < 1.02 * forwards[0]


W_GOOD, Y_GOOD, Z_GOOD = np.eye(3, 4) + 0.1, np.ones((5, 3)), np.ones((5, 4))
GOOD = init(W_GOOD, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: from_dictionary(W_GOOD, 0.1, 0), "n_steps: expected a whole number of at least 1"),
        (lambda: from_dictionary(W_GOOD, -1.0, 2), "lam: expected a positive"),
        (lambda: from_dictionary(np.zeros((2, 3)), 0.1, 2), "W: expected atoms for which 2 / L and lam / L are finite"),
        (lambda: init(W_GOOD, 0), "n_steps: expected a whole number of at least 1"),
        (lambda: init(W_GOOD, 2, decay=0.0), "decay: expected a positive"),
        (lambda: init(np.ones((3, 3, 4)), 2), r"V: expected shape \(2, d, k\)"),
        (
            lambda: analytic_weights(np.eye(4, 3)),
            r"W: expected 4 independent rows, for W W\^T to have an inverse; it is singular$",
        ),
        (lambda: analytic_weights(np.ones(3)), r"W: expected shape \(d, k\), got shape \(3,\)$"),
        (lambda: from_dictionary(np.ones(3), 0.1, 2), r"W: expected shape \(d, k\), got shape \(3,\)$"),
        (lambda: init(np.ones(3), 2), r"V: expected shape \(d, k\), got shape \(3,\)$"),
        (lambda: init(W_GOOD, 2, theta=0.0), "theta: expected a positive"),
        (lambda: forward(GOOD, np.ones(3), Y_GOOD), r"W: expected shape \(d, k\), got shape \(3,\)$"),
        (lambda: forward(GOOD._replace(gamma=1.0), W_GOOD, Y_GOOD), r"params.gamma: expected shape \(K,\), got"),
        (lambda: forward(GOOD, W_GOOD, Y_GOOD, Selection(0.1, -0.5)), "selection.most: expected"),
        (lambda: forward(GOOD, W_GOOD, np.ones(3)), r"y: expected shape \(N, 3\), got shape \(3,\)$"),
        (lambda: analytic_weights(np.ones((2, 3))), "W: expected 2 independent rows"),
        (lambda: analytic_weights(np.eye(2, 3)), "W: expected no atom of zeros$"),
        (lambda: analytic_weights(np.full((2, 3), np.nan)), "W: expected finite numbers"),
        (lambda: forward(GOOD, W_GOOD, np.ones((5, 4))), r"y: expected shape \(N, 3\)"),
        (lambda: forward(GOOD, W_GOOD, np.full((5, 3), np.nan)), "y: expected finite numbers"),
        (lambda: forward(GOOD, W_GOOD[:, :3], Y_GOOD), r"params.V: expected shape \(3, 3\)"),
        (lambda: forward(GOOD._replace(V=np.ones((3, 3, 4))), W_GOOD, Y_GOOD), r"params.V: expected shape \(2, 3, 4\)"),
        (lambda: forward(GOOD._replace(theta=np.ones(3)), W_GOOD, Y_GOOD), r"params.theta: expected shape \(2,\)"),
        (
            lambda: forward(GOOD._replace(theta=-GOOD.gamma), W_GOOD, Y_GOOD),
            "params.theta: expected thresholds >= 0, got -1$",
        ),
        (lambda: forward(Params(W_GOOD, np.ones(0), np.ones(0)), W_GOOD, Y_GOOD), "params.gamma: expected at least"),
        (lambda: forward(GOOD._replace(gamma=np.array([1, np.inf])), W_GOOD, Y_GOOD), "params.gamma: expected finite"),
        (
            lambda: forward(GOOD, W_GOOD, Y_GOOD, Selection(0.1, 1.5)),
            "selection.most: expected a share of at most 1, got 1.5$",
        ),
        (lambda: forward(GOOD, W_GOOD, Y_GOOD, Selection(-0.1, 0.5)), "selection.rise: expected"),
        (lambda: loss(GOOD, W_GOOD, Y_GOOD, np.ones((4, 4))), r"z_target: expected shape \(5, 4\)"),
        (lambda: loss_grad_y(GOOD, W_GOOD, Y_GOOD, np.ones((5, 3))), r"z_target: expected shape \(5, 4\)"),
        (lambda: loss_grad_params(GOOD, W_GOOD, Y_GOOD, np.full((5, 4), np.nan)), "z_target: expected finite"),
    ],
)
def test_wrong_arguments_are_refused_by_name(call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"z_target": np.ones((4, 4))}, ValueError, r"z_target: expected shape \(5, 4\)"),
        (
            {"y": Y_GOOD[:1], "z_target": Z_GOOD[:1]},
            ValueError,
            "y: expected at least 2 samples, of which one is held out, got 1$",
        ),
        (
            {"learned": ("gamma", "W")},
            ValueError,
            r"learned: expected some of 'V', 'gamma', 'theta', got \('gamma', 'W'\)$",
        ),
        ({"learned": ()}, ValueError, "learned: expected some of"),
        ({"learned": None}, ValueError, "learned: expected some of"),
        ({"callback": 1}, TypeError, "callback: expected a function"),
        ({"patience": 0}, ValueError, "patience: expected"),
        ({"params": tuple(GOOD)}, TypeError, "params: expected coupled_lista.Params, got tuple$"),
        ({"selection": (0.1, 0.5)}, TypeError, "selection: expected coupled_lista.Selection, got tuple$"),
        ({"rng": 3}, TypeError, "rng: expected a numpy.random.Generator"),
        ({"rate": -1.0}, ValueError, "rate: expected a positive"),
        ({"n_epochs": 0}, ValueError, "n_epochs: expected"),
        ({"batch_size": 0}, ValueError, "batch_size: expected"),
    ],
)
def test_so_does_fit(changes, error, message):
    good = {"params": GOOD, "W": W_GOOD, "y": Y_GOOD, "z_target": Z_GOOD, "rng": np.random.default_rng(0)}
    with pytest.raises(error, match=f"^{message}"):
        fit(**good | changes)
