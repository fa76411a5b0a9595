import itertools
import math

import numpy as np
import pytest
from guards import read_only
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from strategies import generators

from ebm_np.autoencoders import variational
from ebm_np.autoencoders.linear_vae import (
    Params,
    _look,
    fit,
    free_energy,
    free_energy_grad_params,
    free_energy_grad_y,
    init,
    log_likelihood,
    principal,
    tighten,
)
from ebm_np.foundations.gradient_check import gradient_check
from ebm_np.foundations.layers import Affine
from ebm_np.foundations.parameters import flatten, leaves, tree_map, zeros_like

HALF = settings(max_examples=settings.default.max_examples // 2)
SPECTRUM = np.array([6.0, 3.0, 0.9, 0.5, 0.4, 0.2])


def powers(low, high):
    """Positive numbers, evenly over the orders of magnitude."""
    return st.floats(low, high).map(lambda e: 10.0**e)


def draw_data(rng, spectrum, n=40):
    """Samples, off centre, whose covariance has exactly these eigenvalues, and its eigenvectors as columns."""
    d = len(spectrum)
    centred = rng.normal(size=(n, d))
    white = np.linalg.qr(centred - centred.mean(axis=0))[0] * math.sqrt(n)
    U = np.linalg.qr(rng.normal(size=(d, d)))[0]
    return rng.normal(size=d) + white * np.sqrt(spectrum) @ U.T, U


@st.composite
def drawn(draw, orthogonal=False, largest_k=5):
    """Parameters of any size and shape, and samples near and far."""
    rng, d = draw(generators()), draw(st.integers(1, 5))
    k = draw(st.integers(1, min(d, largest_k) if orthogonal else largest_k))
    W = draw(powers(-2, 2)) * rng.normal(size=(d, k))
    if orthogonal:
        W = np.linalg.qr(W)[0] * 10 ** rng.uniform(-2, 2, k)
    M, c = draw(powers(-2, 2)) * rng.normal(size=(k, d)), draw(powers(-2, 2)) * rng.normal(size=d)
    params = Params(W, c, rng.uniform(-4, 4, 1), M, rng.uniform(-5, 5, k))
    return params, c + draw(powers(-2, 2)) * rng.normal(size=(4, d))


def assert_above(high, low, rtol=1e-9):
    assert (high >= low - rtol * (1 + np.abs(low) + np.abs(high))).all()


def density(params):
    S = params.W @ params.W.T + np.exp(params.log_s) * np.eye(len(params.W))
    return multivariate_normal(params.c, S, allow_singular=True)


def mean_energy(params, y):
    return free_energy(params, y).mean()


def best_by_eigenvalues(spectrum, k):
    """The least mean of -log p over data of this spectrum, Tipping & Bishop, equation (7) at its maximum."""
    d, s = len(spectrum), spectrum[k:].mean()
    return (d * math.log(2 * math.pi) + np.log(spectrum[:k]).sum() + (d - k) * math.log(s) + d) / 2


# the bound


@given(drawn())
def test_the_likelihood_is_that_of_a_normal_density(posed):
    params, y = posed
    found = log_likelihood(params, y)
    np.testing.assert_allclose(found, density(params).logpdf(y).reshape(4), rtol=1e-7, atol=1e-7)


@settings(max_examples=3 * settings.default.max_examples)
@given(drawn())
def test_the_free_energy_is_never_below_minus_the_log_likelihood(posed):
    params, y = posed
    assert_above(free_energy(params, y), -log_likelihood(params, y))


@given(drawn())
def test_the_gap_is_the_divergence_of_the_encoder_from_the_posterior(posed):
    params, y = posed
    (W, c, log_s, M, log_v), k = params, len(params.log_v)
    v, precision = np.exp(log_v), W.T @ W / np.exp(log_s) + np.eye(k)  # of p(z | y)
    off = (y - c) @ M.T - np.linalg.solve(precision, W.T @ (y - c).T / np.exp(log_s)).T
    trace = (np.diagonal(precision) * v).sum() - k
    gap = 0.5 * (trace + ((off @ precision) * off).sum(axis=1) - np.linalg.slogdet(precision)[1] - log_v.sum())
    found, log_p = free_energy(params, y), log_likelihood(params, y)
    np.testing.assert_allclose(found + log_p, gap, rtol=1e-6, atol=1e-8 * (1 + np.abs(log_p) + found).max())


@given(drawn(largest_k=2), st.data())
def test_it_is_the_mean_over_the_noise_of_the_sampled_variational_auto_encoder(posed, data):
    params, y = posed
    k = len(params.log_v)
    a = variational.B * np.arctanh(params.log_v / variational.B)
    encoder = Affine(np.vstack([params.M, 0 * params.M]), np.concatenate([-params.M @ params.c, a]))
    same = variational.Params((encoder,), (Affine(params.W, params.c),), params.log_s)
    model = variational.Model(data.draw(st.sampled_from(["identity", "relu"])), "gaussian")
    x, w = np.polynomial.hermite_e.hermegauss(3)  # exact: the cost is quadratic in the noise
    mean = 0.0
    for chosen in itertools.product(range(3), repeat=k):
        eps = np.tile(x[list(chosen)], (len(y), 1))
        mean += math.prod(w[i] / w.sum() for i in chosen) * variational.free_energy(same, y, eps, model)
    np.testing.assert_allclose(free_energy(params, y), mean, rtol=1e-9, atol=1e-9)


@given(drawn())
def test_the_gradients_are_the_complex_step(posed):
    params, y = posed
    weights = np.array([1.0, -2.0, 0.5, 3.0])
    np.testing.assert_array_equal(_look(params, y).energy, free_energy(params, y))
    for claimed, c in (
        (free_energy_grad_params(params, y, weights), weights),
        (free_energy_grad_params(params, y), np.full(4, 1 / 4)),
    ):
        assert type(claimed) is Params
        check = gradient_check(lambda p, c=c: c @ _look(p, y).energy, claimed, params)
        assert check.passed, str(check)
    check = gradient_check(lambda y: _look(params, y).energy.sum(), free_energy_grad_y(params, y), y)
    assert check.passed, str(check)


# the best encoder


@given(drawn(orthogonal=True))
def test_the_bound_can_be_made_tight_where_the_columns_of_w_are_orthogonal(posed):
    params, y = posed
    log_p = log_likelihood(params, y)
    np.testing.assert_allclose(free_energy(tighten(params), y), -log_p, rtol=1e-7, atol=1e-7)


@given(drawn())
def test_no_encoder_is_better_for_any_sample_than_the_tightest(posed):
    params, y = posed
    best = tighten(params)
    for kept in ("W", "c", "log_s"):
        np.testing.assert_array_equal(getattr(best, kept), getattr(params, kept))
    assert_above(free_energy(params, y), free_energy(best, y))
    assert_above(free_energy(best, y), -log_likelihood(params, y))
    gradient = free_energy_grad_params(best, y)
    scale = np.abs(y - best.c).max() * (1 + np.abs(best.W).max()) / np.exp(best.log_s)
    assert np.abs(gradient.M).max() < 1e-9 * np.max(scale * np.abs(y - best.c).max() + 1)
    np.testing.assert_allclose(gradient.log_v, 0, atol=1e-10)


def test_where_they_are_not_orthogonal_a_gap_is_left(rng):
    W = np.array([[2.0, 1.9], [0.0, 0.5]])
    params = tighten(init(rng, 2, 2)._replace(W=W))
    y = rng.normal(size=(5, 2))
    assert (free_energy(params, y) + log_likelihood(params, y) > 0.1).all()


# principal components


SPECTRA = st.lists(powers(-2, 2), min_size=2, max_size=6).map(lambda s: np.sort(s)[::-1])


@given(generators(), SPECTRA, st.data())
def test_at_the_principal_components_the_bound_is_tight(rng, spectrum, data):
    k = data.draw(st.integers(1, len(spectrum) - 1))
    y, _ = draw_data(rng, spectrum)
    params = principal(y, k)
    np.testing.assert_allclose(free_energy(params, y), -log_likelihood(params, y), rtol=1e-9, atol=1e-9)
    unseen = 10 * rng.normal(size=(5, len(spectrum)))
    np.testing.assert_allclose(free_energy(params, unseen), -log_likelihood(params, unseen), rtol=1e-9, atol=1e-9)
    assert mean_energy(params, y) == pytest.approx(best_by_eigenvalues(spectrum, k), rel=1e-9, abs=1e-9)


@given(generators(), SPECTRA, st.data())
def test_the_principal_components_are_those_of_the_covariance(rng, spectrum, data):
    k = data.draw(st.integers(1, len(spectrum) - 1))
    y, _ = draw_data(rng, spectrum)
    params = principal(y, k)
    s = spectrum[k:].mean()
    np.testing.assert_allclose(params.c, y.mean(axis=0), rtol=1e-12)
    assert np.exp(params.log_s) == pytest.approx(s, rel=1e-9)
    np.testing.assert_allclose(params.W.T @ params.W, np.diag(spectrum[:k] - s), atol=1e-9 * spectrum[0])
    turned = np.cov(y.T, bias=True) @ params.W
    np.testing.assert_allclose(turned, params.W * spectrum[:k], atol=1e-9 * spectrum[0] ** 1.5)


@given(generators(), SPECTRA, powers(-5, 0), st.data())
def test_they_are_stationary_and_nobody_near_or_far_is_better(rng, spectrum, size, data):
    k = data.draw(st.integers(1, len(spectrum) - 1))
    y, _ = draw_data(rng, spectrum)
    params = principal(y, k)
    least, gradient = mean_energy(params, y), free_energy_grad_params(params, y)
    assert np.abs(flatten(gradient)).max() < 1e-10 * (1 + spectrum[0]) / spectrum[-1]
    near = tree_map(lambda a: a + size * rng.normal(size=a.shape), params)
    far = tree_map(lambda a: rng.normal(size=a.shape), params)
    for other in (near, tighten(near), far, tighten(far)):
        assert_above(mean_energy(other, y), least, 1e-11)
        assert_above(-log_likelihood(other, y).mean(), least, 1e-11)


@given(generators())
def test_a_turned_decoder_is_as_likely_but_its_bound_is_not_tight(rng):
    # the rotation that probabilistic PCA leaves open, the diagonal encoder does not
    y, _ = draw_data(rng, SPECTRUM)
    params = principal(y, 3)
    R = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turned = tighten(params._replace(W=params.W @ R))
    np.testing.assert_allclose(log_likelihood(turned, y), log_likelihood(params, y), rtol=1e-10)
    assert_above(mean_energy(turned, y), mean_energy(params, y), 1e-12)
    lengths = turned.W.T @ turned.W
    if np.abs(lengths - np.diag(np.diagonal(lengths))).max() > 0.1:
        assert mean_energy(turned, y) > mean_energy(params, y) + 1e-4


@pytest.mark.parametrize("exponent", [-200, -60, 60, 200])
def test_in_another_unit_of_data_the_principal_components_are_the_same(exponent, rng):
    y, unit = draw_data(rng, SPECTRUM)[0], 2.0**exponent
    one, other = principal(y, 2), principal(unit * y, 2)
    np.testing.assert_allclose(other.W, unit * one.W, rtol=1e-9, atol=1e-12 * unit)
    np.testing.assert_allclose(other.c, unit * one.c, rtol=1e-12)
    np.testing.assert_allclose(other.log_s, one.log_s + 2 * exponent * math.log(2), rtol=1e-12)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_of_noise_alike_in_all_directions_nothing_is_an_axis(k, rng):
    y, _ = draw_data(rng, np.ones(5))
    params = principal(y, k)
    np.testing.assert_allclose(params.W, 0, atol=1e-6)
    np.testing.assert_allclose(params.log_v, 0, atol=1e-12)
    assert mean_energy(params, y) == pytest.approx(5 * (math.log(2 * math.pi) + 1) / 2)


# training


@pytest.mark.parametrize("seed", range(3))
def test_training_on_the_bound_finds_probabilistic_pca_and_its_axes(seed):
    rng = np.random.default_rng(seed)
    y, U = draw_data(rng, SPECTRUM, 300)
    found = fit(init(rng, 6, 2), y, rng, n_epochs=4_000)
    params, s = found.params, SPECTRUM[2:].mean()
    least = best_by_eigenvalues(SPECTRUM, 2)
    assert -log_likelihood(params, y).mean() == pytest.approx(least, abs=1e-5)
    assert mean_energy(params, y) == pytest.approx(least, abs=1e-5)
    assert found.history[-1] == pytest.approx(least, abs=1e-5)
    assert np.exp(params.log_s) == pytest.approx(s, rel=1e-3)
    np.testing.assert_allclose(params.c, y.mean(axis=0), atol=1e-6)
    lengths = np.square(params.W).sum(axis=0)
    order = np.argsort(lengths)[::-1]
    np.testing.assert_allclose(lengths[order], SPECTRUM[:2] - s, rtol=1e-3)
    axes = (params.W / np.sqrt(lengths))[:, order]
    np.testing.assert_allclose(np.abs(U[:, :2].T @ axes), np.eye(2), atol=1e-3)
    np.testing.assert_allclose(np.exp(params.log_v[order]), s / SPECTRUM[:2], rtol=1e-3)


def test_in_small_batches_too():
    rng = np.random.default_rng(0)
    y, _ = draw_data(rng, SPECTRUM, 300)
    params = init(rng, 6, 2)
    for rate in (1e-2, 1e-3):
        params = fit(params, y, rng, n_epochs=300, batch_size=50, rate=rate).params
    assert mean_energy(params, y) == pytest.approx(best_by_eigenvalues(SPECTRUM, 2), abs=5e-3)


@pytest.mark.parametrize("batch_size", [None, 7])
def test_training_is_adam_on_the_mean_free_energy(batch_size, rng):
    y, params, size = rng.normal(size=(20, 4)), init(rng, 4, 2), batch_size or 20
    order, p, losses = np.random.default_rng(3).permutation(20), params, []
    m = s = zeros_like(p)
    for t, start in enumerate(range(0, 20, size), start=1):
        batch = y[order[start : start + size]]
        losses.extend(free_energy(p, batch))
        g = free_energy_grad_params(p, batch)
        m = tree_map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        s = tree_map(lambda s, g: 0.999 * s + 0.001 * g**2, s, g)
        p = tree_map(lambda p, m, s, t=t: p - 0.3 * (m / (1 - 0.9**t)) / (np.sqrt(s / (1 - 0.999**t)) + 1e-8), p, m, s)
    found = fit(params, y, np.random.default_rng(3), n_epochs=1, batch_size=batch_size, rate=0.3)
    np.testing.assert_allclose(flatten(found.params), flatten(p), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found.history, [np.mean(losses)], rtol=1e-9)


def test_the_callback_hears_of_each_epoch(rng):
    heard = []
    options = {"n_epochs": 3, "callback": lambda *report: heard.append(report)}
    found = fit(init(rng, 4, 2), rng.normal(size=(20, 4)), rng, **options)
    assert heard == list(enumerate(found.history, start=1))


def test_a_step_that_is_too_long_is_said_to_be_and_nothing_is_spoilt(rng):
    params, y = read_only((init(rng, 4, 2), rng.normal(size=(20, 4))))
    with pytest.raises(FloatingPointError, match="diverged"):
        fit(params, y, rng, rate=1e200)


# kinds of numbers


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept_and_nothing_handed_in_is_written_to(dtype, rng):
    y = draw_data(rng, SPECTRUM)[0].astype(dtype)
    params, y = read_only((init(rng, 6, 2, dtype), y))
    results = (
        params,
        principal(y, 2),
        tighten(params),
        log_likelihood(params, y),
        free_energy(params, y),
        free_energy_grad_y(params, y),
        free_energy_grad_params(params, y),
        fit(params, y, rng, n_epochs=2, batch_size=7).params,
    )
    assert {leaf.dtype for leaf in leaves(results)} == {np.dtype(dtype)}
    single = principal(y, 2)
    assert mean_energy(single, y) == pytest.approx(best_by_eigenvalues(SPECTRUM, 2), rel=1e-5)


def test_the_start_has_the_shapes_of_the_book_and_is_decided_by_the_seed():
    a, b, c = (init(np.random.default_rng(seed), 300, 20) for seed in (0, 0, 1))
    assert [leaf.shape for leaf in a] == [(300, 20), (300,), (1,), (20, 300), (20,)]
    np.testing.assert_array_equal(flatten(a), flatten(b))
    assert not np.array_equal(a.W, c.W)
    for matrix in (a.W, a.M):
        assert abs(300 * matrix.var() - 1) < 6 * math.sqrt(2 / matrix.size)
    assert not any(leaf.any() for leaf in (a.c, a.log_s, a.log_v))


# refusals


GOOD = init(np.random.default_rng(0), 3, 2)


@pytest.mark.parametrize(
    ("name", "error", "arguments"),
    [
        ("y", ValueError, {"y": np.full((5, 3), np.nan)}),
        ("y", ValueError, {"y": np.full((5, 3), np.inf)}),
        ("y", ValueError, {"y": np.full((5, 3), 1e200)}),
        ("y", ValueError, {"y": np.ones((5, 2))}),
        ("y", ValueError, {"y": np.ones(3)}),
        ("y", ValueError, {"y": np.ones((0, 3))}),
        ("y", TypeError, {"y": None}),
        ("y", TypeError, {"y": np.ones((5, 3)) * 1j}),
        ("params", TypeError, {"params": None}),
        ("params", TypeError, {"params": tuple(GOOD)}),
        ("params.W", ValueError, {"params": GOOD._replace(W=np.full((3, 2), np.nan))}),
        ("params.W", ValueError, {"params": GOOD._replace(W=np.ones(3))}),
        ("params.c", ValueError, {"params": GOOD._replace(c=np.zeros(2))}),
        ("params.log_s", ValueError, {"params": GOOD._replace(log_s=np.zeros(2))}),
        ("params.M", ValueError, {"params": GOOD._replace(M=np.ones((3, 2)))}),
        ("params.log_v", ValueError, {"params": GOOD._replace(log_v=np.array([0.0, -np.inf]))}),
    ],
)
@pytest.mark.parametrize(
    "function",
    [
        log_likelihood,
        free_energy,
        free_energy_grad_y,
        free_energy_grad_params,
        lambda params, y: fit(params, y, np.random.default_rng(0)),
    ],
    ids=["log_likelihood", "free_energy", "free_energy_grad_y", "free_energy_grad_params", "fit"],
)
def test_a_bad_argument_is_refused_by_name(function, name, error, arguments):
    with pytest.raises(error, match=rf"^{name}: expected"):
        function(**{"params": GOOD, "y": np.ones((5, 3)), **arguments})


FLAT = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 2, 0], [0, -2, 0]])


@pytest.mark.parametrize(
    ("name", "error", "y", "k"),
    [
        ("k", ValueError, np.eye(3), 3),
        ("k", ValueError, np.eye(3), 4),
        ("k", ValueError, np.eye(3), 0),
        ("k", TypeError, np.eye(3), 1.0),
        ("y", ValueError, FLAT, 2),
        ("y", ValueError, np.zeros((5, 3)), 1),
        ("y", ValueError, np.full((5, 3), 0.25), 1),
        ("y", ValueError, FLAT[:1], 1),
        ("y", ValueError, np.full((5, 3), np.nan), 1),
        ("y", ValueError, np.zeros((0, 3)), 1),
        ("y", TypeError, None, 1),
    ],
)
def test_what_has_no_principal_components_is_refused_by_name(name, error, y, k):
    with pytest.raises(error, match=rf"^{name}: expected"):
        principal(y, k)


@pytest.mark.parametrize(
    ("name", "error", "options"),
    [
        ("d", ValueError, {"d": 0}),
        ("k", ValueError, {"k": 0}),
        ("k", TypeError, {"k": 1.5}),
        ("rng", TypeError, {"rng": 0}),
        ("dtype", TypeError, {"dtype": np.int32}),
    ],
)
def test_a_start_that_cannot_be_is_refused_by_name(name, error, options):
    with pytest.raises(error, match=rf"^{name}: expected"):
        init(**{"rng": np.random.default_rng(0), "d": 3, "k": 2, **options})


@pytest.mark.parametrize(
    ("name", "error", "options"),
    [
        ("rng", TypeError, {"rng": 0}),
        ("n_epochs", ValueError, {"n_epochs": 0}),
        ("batch_size", ValueError, {"batch_size": 0}),
        ("rate", ValueError, {"rate": 0.0}),
    ],
)
def test_the_options_of_training_are_refused_by_name_too(name, error, options):
    with pytest.raises(error, match=rf"^{name}: expected"):
        fit(GOOD, np.ones((5, 3)), **{"rng": np.random.default_rng(0), **options})


def test_weights_that_are_not_one_a_sample_are_refused_by_name():
    with pytest.raises(ValueError, match=r"^weights: expected"):
        free_energy_grad_params(GOOD, np.ones((5, 3)), np.ones(4))


@given(generators())
def test_data_on_as_many_axes_as_are_asked_for_are_refused_wherever_they_lie(rng):
    d = rng.integers(2, 8)
    k, n = rng.integers(1, d), rng.integers(2, 30)
    y = rng.normal(size=(n, k)) @ rng.normal(size=(k, d)) + 10.0 ** rng.integers(-2, 4) * rng.normal(size=d)
    with pytest.raises(ValueError, match=r"^y: expected data with some variance"):
        principal(y, int(k))


def test_the_likelihood_is_right_where_next_to_nothing_is_left_beside_the_axes(rng):
    params = init(rng, 4, 2)._replace(log_s=np.array([-80.0]))
    U = np.linalg.svd(params.W)[0][:, 2:]
    found = log_likelihood(params, params.c + 1e-17 * U.T)
    S = params.W.T @ params.W  # the two other directions have variance exp(-80)
    expected = -0.5 * (4 * np.log(2 * np.pi) + np.linalg.slogdet(S)[1] - 160 + 1e-34 * np.exp(80))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("name", ["log_s", "log_v"])
@pytest.mark.parametrize("value", [-1000.0, 1000.0])
def test_a_variance_beyond_the_largest_number_is_refused_by_name(name, value, rng):
    params = init(rng, 3, 1)._replace(**{name: np.array([value])})
    with pytest.raises(ValueError, match=rf"^exp\(-?params.{name}\): expected"):
        free_energy(params, rng.normal(size=(2, 3)))


def test_a_wrong_shape_is_answered_in_the_letters_of_the_page():
    with pytest.raises(ValueError, match=r"^y: expected shape \(N, d\), got shape \(3,\)$"):
        principal(np.ones(3), 1)
    with pytest.raises(ValueError, match=r"^y: expected shape \(N, 3\), got shape \(3,\)$"):
        free_energy(GOOD, np.ones(3))
    with pytest.raises(ValueError, match=r"^params.W: expected shape \(d, k\), got shape \(3,\)$"):
        free_energy(GOOD._replace(W=np.ones(3)), np.ones((5, 3)))
    with pytest.raises(ValueError, match=r"^params.log_v: expected shape \(2,\), got shape \(3,\)$"):
        free_energy(GOOD._replace(log_v=np.zeros(3)), np.ones((5, 3)))


def test_by_default_adam_makes_two_thousand_steps_of_a_hundredth_on_all_samples_at_once(rng):
    y = rng.normal(size=(20, 3))
    expected = fit(GOOD, y, np.random.default_rng(0), n_epochs=2, batch_size=20, rate=1e-2)
    found = fit(GOOD, y, np.random.default_rng(0), n_epochs=2)
    np.testing.assert_array_equal(flatten(found.params), flatten(expected.params))
    assert len(fit(GOOD, y[:1], rng).history) == 2_000


@pytest.mark.parametrize("scale", [1e100, 1e150])  # infinity, and what is left of the difference of two
def test_energies_beyond_the_largest_number_are_refused_by_name(scale):
    with pytest.raises(ValueError, match=r"^F~\(y\): expected finite"):
        free_energy(GOOD._replace(W=scale * GOOD.W, M=scale * GOOD.M), scale * np.ones((5, 3)))


def test_the_mean_of_an_epoch_is_not_rounded_to_single_precision(rng):
    y = rng.normal(size=(20, 6)).astype(np.float32)
    history = fit(init(rng, 6, 2, np.float32), y, rng, n_epochs=5).history
    assert (history.astype(np.float32) != history).any()


def test_what_are_no_parameters_is_told_what_they_are_instead():
    with pytest.raises(TypeError, match=r"^params: expected linear_vae.Params, got tuple$"):
        free_energy(tuple(GOOD), np.ones((5, 3)))
