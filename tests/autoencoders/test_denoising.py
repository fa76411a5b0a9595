import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp
from strategies import generators

from ebm_np.autoencoders import autoencoder, network
from ebm_np.autoencoders.autoencoder import Model, energy, energy_grad_params, free_energy, reconstruct
from ebm_np.autoencoders.denoising import KINDS, Corruption, corrupt, fit, posterior_mean, vector_field
from ebm_np.autoencoders.network import Params
from ebm_np.foundations.gradient_check import gradient_check
from ebm_np.foundations.layers import Affine
from ebm_np.foundations.parameters import flatten, leaves, tree_map

EVERY_KIND = pytest.mark.parametrize("kind", KINDS)
LINEAR = Model("identity", "identity")


def powers(low, high):
    """Positive numbers, evenly over the orders of magnitude."""
    return st.floats(low, high).map(lambda e: 10.0**e)


def square(v):
    return (v**2).sum(axis=-1)


# the corruptions


WIDE = np.array([[3.0, -2.0, 0.5, 7.0]]).repeat(25_000, axis=0)  # no number is 0, salt, or pepper


def drawn(kind, level, seed=0, **values):
    return corrupt(WIDE, np.random.default_rng(seed), Corruption(kind, level, **values))


def assert_is_mean(values, expected):
    """Check a mean over independent numbers, to six standard errors."""
    assert abs(values.mean() - expected) <= 6 * values.std() / math.sqrt(values.size) + 1e-12


def assert_is_share(hit, level):
    """Check how many were hit, to six standard deviations and a few: where they are rare they are not normal."""
    assert abs(hit.sum() - level * hit.size) <= 6 * math.sqrt(level * (1 - level) * hit.size) + 10


@given(powers(-3, 3), st.integers(0, 2**32 - 1))
def test_gaussian_noise_is_normal_of_the_given_deviation(level, seed):
    noise = (drawn("gaussian", level, seed) - WIDE) / level
    for power, moment in enumerate([0, 1, 0, 3], start=1):
        assert_is_mean(noise**power, moment)
    assert_is_mean(noise * WIDE, 0)  # it knows nothing of y


@given(st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_masking_puts_a_zero_in_place_of_the_given_share(level, seed):
    y_hat = drawn("masking", level, seed)
    hit = y_hat == 0
    assert ((y_hat == WIDE) | hit).all()
    assert_is_share(hit, level)


@given(st.floats(0.01, 0.99), st.integers(0, 2**32 - 1))
def test_dropout_keeps_the_mean(level, seed):
    y_hat = drawn("dropout", level, seed)
    hit = y_hat == 0
    np.testing.assert_allclose(y_hat[~hit], (WIDE / (1 - level))[~hit], rtol=1e-14)
    assert_is_share(hit, level)
    assert_is_mean(y_hat / WIDE, 1)


def test_dropout_of_a_half_is_zero_or_twice_as_in_the_lecture():
    ratio = drawn("dropout", 0.5) / WIDE
    assert set(ratio.ravel()) == {0.0, 2.0}


@given(st.floats(0, 1), st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (255.0, -4.0)]), st.integers(0, 2**32 - 1))
def test_salt_and_pepper_share_what_is_hit(level, values, seed):
    pepper, salt = values
    y_hat = drawn("salt_and_pepper", level, seed, pepper=pepper, salt=salt)
    assert ((y_hat == WIDE) | (y_hat == salt) | (y_hat == pepper)).all()
    assert_is_share(y_hat == salt, level / 2)
    assert_is_share(y_hat == pepper, level / 2)


def test_salt_is_white_and_pepper_black_unless_said_otherwise():
    assert set(drawn("salt_and_pepper", 1.0).ravel()) == {0.0, 1.0}
    assert Corruption("salt_and_pepper", 1.0).salt == 1.0


@EVERY_KIND
def test_each_number_is_spoiled_on_its_own(kind):
    change = drawn(kind, 0.3) / WIDE - 1
    change = (change - change.mean(axis=0)) / change.std(axis=0)
    for a, b in ((change[:, 1:], change[:, :-1]), (change[1:], change[:-1])):
        assert_is_mean(a * b, 0)


@EVERY_KIND
@given(generators())
def test_level_zero_leaves_a_copy(kind, rng):
    y = rng.normal(size=(5, 4))
    y_hat = corrupt(y, rng, Corruption(kind, 0.0))
    np.testing.assert_array_equal(y_hat, y)
    assert not np.shares_memory(y_hat, y)


def test_level_one_of_masking_leaves_nothing():
    assert not drawn("masking", 1.0).any()


@EVERY_KIND
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_generator_decides_and_the_argument_is_left_alone(kind, dtype, rng):
    y, corruption = rng.normal(size=(50, 4)).astype(dtype), Corruption(kind, np.float64(0.3))
    y.setflags(write=False)
    a, b, c = (corrupt(y, np.random.default_rng(seed), corruption) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)
    assert a.dtype == dtype
    assert a.shape == y.shape
    again = np.random.default_rng(1)
    assert not np.array_equal(corrupt(y, again, corruption), corrupt(y, again, corruption))


# the ideal denoiser of finitely many samples


@st.composite
def clouds(draw, low=-1.5, high=2):
    """Observations, samples to go back to, and a noise."""
    rng, m, d = draw(generators()), draw(st.integers(1, 6)), draw(st.integers(1, 4))
    return rng.normal(size=(5, d)), rng.normal(size=(m, d)), draw(powers(low, high))


def log_density(y_hat, samples, sigma):
    """log p_sigma up to a constant: the samples, blurred."""
    return logsumexp(-square(y_hat[:, None] - samples) / (2 * sigma**2), axis=1)


@given(clouds())
def test_posterior_mean_is_bayes_rule(cloud):
    y_hat, samples, sigma = cloud
    for one, found in zip(y_hat, posterior_mean(y_hat, samples, sigma), strict=True):
        exponents = [-sum((a - b) ** 2 for a, b in zip(one, c, strict=True)) / (2 * sigma**2) for c in samples]
        weights = [math.exp(e - max(exponents)) for e in exponents]
        expected = sum(w * c for w, c in zip(weights, samples, strict=True)) / sum(weights)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@given(clouds())
def test_the_ideal_denoiser_moves_along_the_slope_of_the_smoothed_log_density(cloud):
    y_hat, samples, sigma = cloud
    check = gradient_check(
        lambda at: sigma**2 * log_density(at, samples, sigma).sum(),
        posterior_mean(y_hat, samples, sigma) - y_hat,
        y_hat,
        rtol=1e-11,
    )
    assert check.passed, str(check)


@given(clouds(), st.data())
def test_no_network_comes_nearer_than_the_posterior_mean(cloud, data):
    # given y^, E||y - r||^2 = E||y - r*||^2 + ||r - r*||^2
    y_hat, samples, sigma = cloud
    rng = data.draw(generators())
    params = network.init(rng, (samples.shape[1], 7, 5))
    best, r = posterior_mean(y_hat, samples, sigma), reconstruct(params, y_hat, Model())
    weights = np.exp(-square(y_hat[:, None] - samples) / (2 * sigma**2) - log_density(y_hat, samples, sigma)[:, None])
    repeated = [np.broadcast_to(c, y_hat.shape) for c in samples]
    expected = sum(w * energy(params, c, y_hat, Model()) for w, c in zip(weights.T, repeated, strict=True))
    least = sum(w * square(c - best) for w, c in zip(weights.T, repeated, strict=True))
    np.testing.assert_allclose(expected, least + square(r - best), rtol=1e-10)


@given(generators(), powers(-1, 1), st.integers(1, 5))
def test_for_patterns_of_one_length_it_is_attention(rng, sigma, m):
    patterns, y_hat = rng.normal(size=(m, 3)), rng.normal(size=(5, 3))
    patterns *= 2 / np.sqrt(square(patterns))[:, None]
    scores = y_hat @ patterns.T / sigma**2
    attention = np.exp(scores - scores.max(axis=1, keepdims=True))
    attention /= attention.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(posterior_mean(y_hat, patterns, sigma), attention @ patterns, rtol=1e-9, atol=1e-11)


@given(clouds(-100, -8))
def test_without_noise_the_nearest_sample_is_it_and_with_nothing_but_noise_the_mean(cloud):
    y_hat, samples, sigma = cloud
    nearest = samples[square(y_hat[:, None] - samples).argmin(axis=1)]
    np.testing.assert_allclose(posterior_mean(y_hat, samples, sigma), nearest, rtol=1e-14)
    mean = np.broadcast_to(samples.mean(axis=0), y_hat.shape)
    np.testing.assert_allclose(posterior_mean(y_hat, samples, 1 / sigma), mean, atol=1e-13)


def test_samples_as_near_as_each_other_share_the_weight():
    samples = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 5.0]])
    np.testing.assert_array_equal(posterior_mean(np.array([[0.0, -2.0]]), samples, 1e-3), [[0.0, 0.0]])


def test_posterior_mean_keeps_single_precision(rng):
    y_hat, samples = rng.normal(size=(4, 3)), rng.normal(size=(6, 3))
    single = posterior_mean(y_hat.astype(np.float32), samples.astype(np.float32), np.float64(0.7))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, posterior_mean(y_hat, samples, 0.7), rtol=1e-5, atol=1e-6)


# linear denoisers


SPECTRUM = np.array([4.0, 1.0, 0.25])


def linear_data(rng, n):
    """Samples of mean 0 whose covariance has exactly this spectrum, and its eigenvectors as columns."""
    centred = rng.normal(size=(n, 3))
    white = np.linalg.qr(centred - centred.mean(axis=0))[0] * math.sqrt(n)
    U = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return white * np.sqrt(SPECTRUM) @ U.T, U


def linear(encoder, decoder):
    return Params((Affine(encoder, np.zeros(len(encoder))),), (Affine(decoder, np.zeros(len(decoder))),))


def all_noises(y, sigma):
    """Each sample beside y^ = y +- sigma sqrt(d) e_j: for a quadratic as good as Gaussian noise."""
    step = sigma * math.sqrt(y.shape[1]) * np.eye(y.shape[1])
    moves = np.concatenate([step, -step])
    return y.repeat(len(moves), axis=0), (y[:, None] + moves).reshape(-1, y.shape[1])


@given(generators(), powers(-1, 1), st.integers(1, 3))
def test_the_linear_closed_form_is_stationary_and_none_near_it_is_better(rng, sigma, k):
    # A = Sigma (Sigma + sigma^2 I)^-1; with a narrower code, its leading directions
    y, U = linear_data(rng, 12)
    shrink = SPECTRUM / (SPECTRUM + sigma**2)
    params = linear(U[:, :k].T, U[:, :k] * shrink[:k])
    target, y_hat = all_noises(y, sigma)
    loss = energy(params, target, y_hat, LINEAR).mean()
    assert loss == pytest.approx((sigma**2 * shrink)[:k].sum() + SPECTRUM[k:].sum(), rel=1e-10)
    weights = np.full(len(target), 1 / len(target))
    grad = flatten(energy_grad_params(params, target, y_hat, LINEAR, weights))
    assert np.abs(grad).max() < 1e-11 * (1 + sigma**2)
    near = tree_map(lambda a: a + 10.0 ** rng.uniform(-4, 0) * rng.normal(size=a.shape), params)
    assert energy(near, target, y_hat, LINEAR).mean() >= loss * (1 - 1e-12)


@given(generators(), powers(-2, 1))
def test_noise_makes_the_cost_of_a_linear_network_contractive(rng, sigma):
    # it adds sigma^2 ||dr/dy||_F^2
    y, V, W = rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=(2, 3))
    params = linear(W, V)
    noisy = energy(params, *all_noises(y, sigma), LINEAR).reshape(4, -1).mean(axis=1)
    np.testing.assert_allclose(noisy, free_energy(params, y, LINEAR) + sigma**2 * ((V @ W) ** 2).sum(), rtol=1e-11)


@pytest.mark.parametrize("sigma", [0.5, 1.0])
def test_training_comes_near_the_linear_closed_form(sigma, rng):
    y, U = linear_data(rng, 2000)
    params = network.init(rng, (3, 3), "identity")
    for rate in (1e-2, 1e-3, 1e-4):  # the last, slow, is a mean over some 10^5 draws
        options = {"n_epochs": 40, "batch_size": 100, "rate": rate}
        params = fit(params, y, rng, LINEAR, Corruption("gaussian", sigma), **options).params
    A = params.decoder[0].W @ params.encoder[0].W
    np.testing.assert_allclose(A, U * (SPECTRUM / (SPECTRUM + sigma**2)) @ U.T, atol=0.015)


# a trained denoiser is a gradient of the log-density


MEANS, TAU, SIGMA = np.array([[1.0, 0.0], [-0.5, 0.9], [-0.5, -0.9]]), 0.2, 0.4
TANH = Model("tanh")


def draw_mixture(rng, n):
    return MEANS[rng.integers(3, size=n)] + TAU * rng.normal(size=(n, 2))


def log_mixture(y_hat):
    """log p_sigma of the mixture, up to a constant: each component is wider by the noise."""
    return logsumexp(-square(y_hat[:, None] - MEANS) / (2 * (TAU**2 + SIGMA**2)), axis=1)


def mixture_mean(y_hat):
    """E[y | y^]: each component's own estimate, weighted by how likely it is."""
    v = TAU**2 + SIGMA**2
    p = np.exp(-square(y_hat[:, None] - MEANS) / (2 * v) - log_mixture(y_hat)[:, None])
    return (TAU**2 * y_hat + SIGMA**2 * p @ MEANS) / v


@pytest.fixture(scope="module")
def trained():
    """An over-complete denoiser, samples that it has not seen, and the same spoiled."""
    rng = np.random.default_rng(7)
    y = draw_mixture(rng, 24_000).astype(np.float32)
    params = network.init(rng, (2, 32, 32), dtype=np.float32)
    for rate in (5e-3, 1e-3, 2e-4):
        params = fit(params, y[:20_000], rng, TANH, Corruption("gaussian", SIGMA), n_epochs=10, rate=rate).params
    unseen = y[20_000:].astype(np.float64)
    return tree_map(lambda a: a.astype(np.float64), params), unseen, unseen + SIGMA * rng.normal(size=unseen.shape)


def test_the_mean_of_a_mixture_given_noise_obeys_tweedie(rng):
    y_hat = rng.normal(size=(5, 2))
    check = gradient_check(lambda at: SIGMA**2 * log_mixture(at).sum(), mixture_mean(y_hat) - y_hat, y_hat)
    assert check.passed, str(check)


def test_many_samples_stand_for_their_density(rng):
    y_hat = draw_mixture(rng, 200)
    found = posterior_mean(y_hat, draw_mixture(rng, 20_000), SIGMA)
    np.testing.assert_allclose(found, mixture_mean(y_hat), atol=0.02)


def test_the_vector_field_is_the_slope_of_the_smoothed_log_density(trained):
    params, _, y_hat = trained
    field, slope = vector_field(params, y_hat, TANH), mixture_mean(y_hat) - y_hat
    assert np.corrcoef(field.ravel(), slope.ravel())[0, 1] > 0.995
    assert square(field - slope).mean() < 0.01 * square(slope).mean()
    assert log_mixture(y_hat + field).mean() > log_mixture(y_hat).mean() + 0.1


def test_the_trained_denoiser_comes_near_the_best_but_not_below(trained):
    params, y, y_hat = trained
    best, reached = square(y - mixture_mean(y_hat)), energy(params, y, y_hat, TANH)
    above = reached - best
    assert -4 * above.std() / math.sqrt(len(above)) < above.mean() < 0.02 * best.mean()


# contrast: the energy rises around the data


@pytest.fixture(scope="module")
def circle():
    """An over-complete network trained on a circle, with noise of 0.2 and without; samples, and the same spoiled."""
    rng, model, noise = np.random.default_rng(5), Model("relu"), Corruption("gaussian", 0.2)
    angle = rng.uniform(0, 2 * np.pi, 4000)
    y = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    plain = denoiser = network.init(rng, (2, 128), "relu")
    for rate in (5e-3, 1e-3, 2e-4):
        options = {"n_epochs": 12, "batch_size": 128, "rate": rate}
        denoiser = fit(denoiser, y, rng, model, noise, **options).params
        plain = autoencoder.fit(plain, y, rng, model, **options).params
    return denoiser, plain, model, y, corrupt(y, rng, noise)


def test_a_denoiser_gives_what_is_spoiled_the_energy_of_the_spoiling_that_it_undoes(circle):
    # r* = E[y|y^] leaves an error that is orthogonal to what it knows: F(y^) = ||y^ - y||^2 - C, in the mean;
    # of noise around a curve in the plane the half is across, and can be undone
    denoiser, _, model, y, y_hat = circle
    noise, left = square(y_hat - y).mean(), energy(denoiser, y, y_hat, model).mean()
    hot, cold = free_energy(denoiser, y_hat, model).mean(), free_energy(denoiser, y, model).mean()
    assert hot == pytest.approx(noise - left, rel=0.1)
    assert hot == pytest.approx(noise / 2, rel=0.15)
    assert cold < 0.1 * hot


def test_the_energy_of_a_plain_overcomplete_network_collapses(circle):
    denoiser, plain, model, y, y_hat = circle
    assert free_energy(plain, y_hat, model).mean() < 0.1 * free_energy(denoiser, y_hat, model).mean()
    assert free_energy(plain, y, model).mean() < 1e-2 * square(y_hat - y).mean()


# what goes in and what is asked for


def test_the_corrupted_goes_in_and_the_clean_is_asked_for(rng):
    # erratum 17: the loss of the first step is that of (y, y^), no other pair
    y, params, seen = rng.normal(size=(20, 3)), network.init(rng, (3, 2)), []

    def spoil(batch):
        seen.append((batch.copy(), batch + rng.normal(size=batch.shape)))
        return seen[-1][1]

    found = autoencoder.fit(params, y, rng, Model(), corrupt=spoil, n_epochs=1, batch_size=None)
    (clean, spoiled) = seen[0]
    np.testing.assert_allclose(found.history, [energy(params, clean, spoiled, Model()).mean()], rtol=1e-12)


def test_each_epoch_spoils_each_sample_once_and_anew(rng):
    y, seen = np.arange(60.0).reshape(20, 3) / 60, []
    record = {"corrupt": lambda batch: (seen.append(batch), 0 * batch)[1], "n_epochs": 2, "batch_size": 6}
    autoencoder.fit(network.init(rng, (3, 2)), y, rng, Model(), **record)
    assert [len(batch) for batch in seen] == [6, 6, 6, 2] * 2
    for epoch in (seen[:4], seen[4:]):
        rows = np.concatenate(epoch)
        np.testing.assert_array_equal(rows[np.argsort(rows[:, 0])], y)


def test_a_network_that_is_shown_nothing_learns_the_mean(rng):
    y = rng.normal([1.0, -2.0, 0.5], 1, (40, 3))
    params = network.init(rng, (3, 4))
    for rate in (1e-1, 1e-2, 1e-3):
        options = {"corrupt": np.zeros_like, "n_epochs": 300, "batch_size": None, "rate": rate}
        found = autoencoder.fit(params, y, rng, Model(), **options)
        params = found.params
    np.testing.assert_allclose(reconstruct(params, np.zeros((1, 3)), Model())[0], y.mean(axis=0), atol=1e-4)
    assert found.history[-1] == pytest.approx(y.var(axis=0).sum(), rel=1e-6)


@EVERY_KIND
def test_training_is_that_of_an_auto_encoder_whose_input_is_corrupted(kind, rng):
    y, params, corruption = rng.random((20, 3)), network.init(rng, (3, 2)), Corruption(kind, 0.4)
    model = Model("tanh", "sigmoid", "binary_cross_entropy", "l2", 0.1)  # y^ may leave [0, 1], y does not
    a, b, options = np.random.default_rng(1), np.random.default_rng(1), {"n_epochs": 3, "batch_size": 6, "rate": 0.1}
    found = fit(params, y, a, model, corruption, **options)
    expected = autoencoder.fit(params, y, b, model, corrupt=lambda some: corrupt(some, b, corruption), **options)
    np.testing.assert_array_equal(flatten(found.params), flatten(expected.params))
    np.testing.assert_array_equal(found.history, expected.history)
    other = fit(params, y, np.random.default_rng(2), model, corruption, **options)
    assert not np.array_equal(flatten(found.params), flatten(other.params))


@EVERY_KIND
def test_training_keeps_single_precision_and_writes_to_no_argument(kind, rng):
    start, y = network.init(rng, (3, 4, 2), dtype=np.float32), rng.random((20, 3)).astype(np.float32)
    for leaf in leaves((start, y)):
        leaf.setflags(write=False)
    heard = []
    options = {"n_epochs": 20, "rate": 1e-2, "callback": lambda *report: heard.append(report)}
    found = fit(start, y, rng, Model(), Corruption(kind, np.float64(0.3)), **options)
    assert {leaf.dtype for leaf in leaves(found.params)} == {np.dtype(np.float32)}
    assert found.history[-1] < found.history[0]
    assert heard == list(enumerate(found.history, start=1))


@given(generators())
def test_the_vector_field_is_zero_where_the_network_gives_back_what_it_gets(rng):
    Q = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    plane, y = linear(Q[:2], Q[:2].T), rng.normal(size=(4, 3))
    np.testing.assert_allclose(vector_field(plane, y @ Q[:2].T @ Q[:2], LINEAR), 0, atol=1e-14)
    np.testing.assert_allclose(square(vector_field(plane, y, LINEAR)), free_energy(plane, y, LINEAR), rtol=1e-9)


# refusals


GOOD = {"params": network.init(np.random.default_rng(0), (3, 2)), "y": np.ones((5, 3)), "model": Model()}


@pytest.mark.parametrize(
    ("name", "error", "arguments"),
    [
        ("y", ValueError, {"y": np.full((5, 3), np.nan)}),
        ("y", ValueError, {"y": np.full((5, 3), np.inf)}),
        ("y", ValueError, {"y": np.ones(3)}),
        ("y", ValueError, {"y": np.ones((0, 3))}),
        ("y", TypeError, {"y": None}),
        ("rng", TypeError, {"rng": 0}),
        ("rng", TypeError, {"rng": None}),
        ("corruption", TypeError, {"corruption": ("gaussian", 0.3, 0.0, 1.0)}),
        ("corruption", TypeError, {"corruption": "gaussian"}),
        ("corruption", TypeError, {"corruption": None}),
        ("corruption.kind", ValueError, {"corruption": Corruption("blur", 0.3)}),
        ("corruption.kind", ValueError, {"corruption": Corruption(None, 0.3)}),
        ("corruption.level", TypeError, {"corruption": Corruption("gaussian", "0.3")}),
        ("corruption.level", TypeError, {"corruption": Corruption("gaussian", None)}),
        ("corruption.level", ValueError, {"corruption": Corruption("gaussian", np.inf)}),
        *(("corruption.level", ValueError, {"corruption": Corruption(kind, -1e-9)}) for kind in KINDS),
        *(("corruption.level", ValueError, {"corruption": Corruption(kind, np.nan)}) for kind in KINDS),
        *(("corruption.level", ValueError, {"corruption": Corruption(kind, 1 + 1e-9)}) for kind in KINDS[1:]),
        ("corruption.level", ValueError, {"corruption": Corruption("dropout", 1.0)}),
        ("corruption.salt", ValueError, {"corruption": Corruption("salt_and_pepper", 0.3, salt=np.nan)}),
        ("corruption.salt", TypeError, {"corruption": Corruption("salt_and_pepper", 0.3, salt=None)}),
        ("corruption.pepper", ValueError, {"corruption": Corruption("salt_and_pepper", 0.3, pepper=-np.inf)}),
        ("corruption.pepper", ValueError, {"corruption": Corruption("salt_and_pepper", 0.3, pepper=np.zeros(3))}),
    ],
)
@pytest.mark.parametrize(
    "function", [lambda params, y, rng, model, corruption: corrupt(y, rng, corruption), fit], ids=["corrupt", "fit"]
)
def test_a_bad_argument_is_refused_by_name(function, name, error, arguments):
    good = {**GOOD, "rng": np.random.default_rng(0), "corruption": Corruption("gaussian", 0.3)}
    with pytest.raises(error, match=rf"^{name}: expected"):
        function(**{**good, **arguments})


@pytest.mark.parametrize(
    ("name", "error", "arguments"),
    [
        ("params", TypeError, {"params": None}),
        ("model", TypeError, {"model": "tanh"}),
        ("y", ValueError, {"y": np.ones((5, 2))}),
        ("y", ValueError, {"y": np.full((5, 3), 1.1), "model": Model("tanh", "sigmoid", "binary_cross_entropy")}),
        ("n_epochs", ValueError, {"n_epochs": 0}),
        ("batch_size", ValueError, {"batch_size": 0}),
    ],
)
def test_training_refuses_what_an_auto_encoder_does(name, error, arguments):
    good = {**GOOD, "rng": np.random.default_rng(0), "corruption": Corruption("masking", 0.3)}
    with pytest.raises(error, match=rf"^{name}: expected"):
        fit(**{**good, **arguments})


@pytest.mark.parametrize(
    ("name", "error", "arguments"),
    [
        ("y_hat", ValueError, {"y_hat": np.ones((5, 2))}),
        ("y_hat", ValueError, {"y_hat": np.full((5, 3), np.nan)}),
        ("samples", ValueError, {"samples": np.ones(3)}),
        ("samples", ValueError, {"samples": np.ones((0, 3))}),
        ("samples", TypeError, {"samples": None}),
        ("sigma", ValueError, {"sigma": 0.0}),
        ("sigma", ValueError, {"sigma": -1.0}),
        ("sigma", ValueError, {"sigma": np.nan}),
        ("sigma", TypeError, {"sigma": None}),
    ],
)
def test_the_posterior_mean_refuses_by_name(name, error, arguments):
    with pytest.raises(error, match=rf"^{name}: expected"):
        posterior_mean(**{"y_hat": np.ones((5, 3)), "samples": np.ones((2, 3)), "sigma": 1.0, **arguments})


@pytest.mark.parametrize("power", [-300, -200, -154, 160, 200, 300])
def test_any_noise_will_do(power, rng):
    y_hat, samples = rng.normal(size=(4, 2)), rng.normal(size=(5, 2))
    nearest = samples[((y_hat[:, None] - samples) ** 2).sum(axis=-1).argmin(axis=1)]
    expected = nearest if power < 0 else np.broadcast_to(samples.mean(axis=0), nearest.shape)
    np.testing.assert_allclose(posterior_mean(y_hat, samples, 10.0**power), expected, rtol=1e-13, atol=1e-13)


@given(generators(), st.floats(0, 8))
def test_where_the_origin_lies_does_not_matter(rng, power):
    y_hat, samples, far = rng.normal(size=(4, 2)), rng.normal(size=(5, 2)), 10.0**power
    found = posterior_mean(y_hat + far, samples + far, 0.3) - far
    np.testing.assert_allclose(found, posterior_mean(y_hat, samples, 0.3), atol=1e-13 * far + 1e-12)


@pytest.mark.parametrize("corruption", [Corruption("gaussian", 1e60), Corruption("salt_and_pepper", 0.1, salt=1e60)])
def test_noise_beyond_single_precision_is_refused_by_name(corruption, rng):
    params, y = network.init(rng, (3, 2), dtype=np.float32), np.ones((2, 3), np.float32)
    for door in (lambda: corrupt(y, rng, corruption), lambda: fit(params, y, rng, Model(), corruption)):
        with pytest.raises(ValueError, match=r"^corruption.(level|salt): expected"):
            door()


def test_a_wrong_shape_is_answered_in_the_letters_of_the_page(rng):
    corruption = Corruption("gaussian", 0.3)
    for door in (lambda y: corrupt(y, rng, corruption), lambda y: fit(GOOD["params"], y, rng, Model(), corruption)):
        with pytest.raises(ValueError, match=r"^y: expected shape \(N, d\), got shape \(3,\)$"):
            door(np.ones(3))
    with pytest.raises(ValueError, match=r"^samples: expected shape \(M, d\), got shape \(3,\)$"):
        posterior_mean(np.ones((5, 3)), np.ones(3), 1.0)
    with pytest.raises(ValueError, match=r"^y_hat: expected shape \(N, 3\), got shape \(5, 2\)$"):
        posterior_mean(np.ones((5, 2)), np.ones((2, 3)), 1.0)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_what_is_no_probability_is_told_the_bounds_of_one(kind, rng):
    words = f"corruption.level: expected a probability in {'[0, 1)' if kind == 'dropout' else '[0, 1]'}, got 1.5"
    with pytest.raises(ValueError, match=rf"^{re.escape(words)}$"):
        corrupt(np.ones((2, 3)), rng, Corruption(kind, 1.5))


def test_what_is_no_corruption_is_told_what_it_is_instead(rng):
    with pytest.raises(TypeError, match=r"^corruption: expected a denoising.Corruption, got str$"):
        corrupt(np.ones((5, 3)), rng, "gaussian")
