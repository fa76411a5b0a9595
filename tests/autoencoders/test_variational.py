import itertools
import math

import numpy as np
import pytest
from guards import read_only
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit
from strategies import generators

from ebm_np.autoencoders import linear_vae, network
from ebm_np.autoencoders.generation import generate, interpolate, log_likelihood, reconstruct
from ebm_np.autoencoders.variational import (
    COSTS,
    B,
    Model,
    Params,
    decode,
    elbo,
    encode,
    fit,
    free_energy,
    free_energy_grad_params,
    free_energy_grad_y,
    init,
    parts,
    sample,
)
from ebm_np.foundations.gradient_check import gradient_check
from ebm_np.foundations.layers import ACTIVATIONS, Affine
from ebm_np.foundations.parameters import flatten, leaves, tree_map, zeros_like

EVERY_F = pytest.mark.parametrize("f", sorted(ACTIVATIONS))
EVERY_COST = pytest.mark.parametrize("cost", COSTS)
EVERY_V = pytest.mark.parametrize("v", [None, 0.3], ids=["v free", "v fixed"])
HALF = settings(max_examples=settings.default.max_examples // 2)
LINEAR = Model("identity", "gaussian")

# the activations once more, as the book writes them
BOOK = {
    "identity": lambda a: a,
    "relu": lambda a: max(a, 0.0),
    "sigmoid": expit,
    "softplus": lambda a: np.logaddexp(0, a),
    "tanh": math.tanh,
}


def powers(low, high):
    """Positive numbers, evenly over the orders of magnitude."""
    return st.floats(low, high).map(lambda e: 10.0**e)


def draw_params(rng, widths, scale=1.0):
    """Random parameters; neither offsets nor log s are 0."""

    def layers(widths):
        deviations = [(d, k, math.hypot(scale * math.sqrt(1.5 / d), 0.3)) for d, k in itertools.pairwise(widths)]
        return tuple(Affine(s * rng.normal(size=(k, d)), 0.3 * rng.normal(size=k)) for d, k, s in deviations)

    return Params(layers((*widths[:-1], 2 * widths[-1])), layers(widths[::-1]), 0.3 * rng.normal(size=1))


def draw_observations(rng, cost, shape):
    return rng.uniform(0, 1, shape) if cost == "bernoulli" else rng.normal(size=shape)


def hidden(params, y, eps, model):
    """Yield the argument a of each activation, and 10 times that of (1)'s tanh."""
    h = y
    for layers in (params.encoder, params.decoder):
        for i, (W, b) in enumerate(layers):
            h = h @ W.T + b
            if i < len(layers) - 1:
                yield h
                h = ACTIVATIONS[model.f].value(h)
        if layers is params.encoder:
            k = h.shape[1] // 2
            yield 10 * h[:, k:] / B
            h = sample(*encode(params, y, model), eps)


@st.composite
def posed(draw, f, cost, v):
    """Parameters of one to three layers each way, a model, observations, noise and weights."""
    rng, depth = draw(generators()), draw(st.integers(1, 3))
    widths = tuple(int(width) for width in rng.integers(1, 5, depth + 1))
    params = draw_params(rng, widths, draw(st.floats(0.1, 2)))
    y, eps = draw_observations(rng, cost, (3, widths[0])), rng.normal(size=(3, widths[-1]))
    v = None if v is None else draw(powers(-2, 1))
    model = Model(f, cost, draw(st.sampled_from([0.0, 1.0, 2.5])), v, draw(st.booleans()))
    # in the flat ends a slope, 1 - h^2, has lost digits
    while f in ("sigmoid", "tanh") and any((np.abs(a) > 3).any() for a in hidden(params, y, eps, model)):
        params = tree_map(lambda a: 0.8 * a, params)
    return params, model, y, eps, rng.normal(size=3)


def is_smooth(params, y, eps, model):
    return model.f != "relu" or all((np.abs(a) > 1e-3).all() for a in hidden(params, y, eps, model))


def hermite(n, k):
    """Points (n^k, k) and weights of the mean over k standard normal numbers, exact for degrees below 2 n."""
    x, w = np.polynomial.hermite_e.hermegauss(n)
    points = np.array(list(itertools.product(x, repeat=k)))
    return points, np.array([math.prod(p) for p in itertools.product(w / w.sum(), repeat=k)])


def over_noise(function, y, eps):
    """function(y_n, eps_m) for every pair: (N, M)."""
    both = function(np.repeat(y, len(eps), axis=0), np.tile(eps, (len(y), 1)))
    return both.reshape(len(y), len(eps))


def exact_log_p(params, y, model):
    """log p(y) by a fine sum over a code of one number; for the C of a code, the noise that leads to it."""
    z = np.linspace(-12, 12, 4801)
    log_prior = stats.norm.logpdf(z) + math.log(z[1] - z[0])
    found = []
    for one in y:
        many = np.repeat(one[None], len(z), axis=0)
        mu, v = encode(params, many, model)
        cost, _ = parts(params, many, (z[:, None] - mu) / np.sqrt(v), model)
        log_joint = log_prior - cost
        found.append(log_joint.max() + math.log(np.exp(log_joint - log_joint.max()).sum()))
    return np.array(found)


def assert_is_mean(values, expected, slack=1e-12):
    """Check a mean over independent numbers, to six standard errors."""
    assert abs(values.mean() - expected) <= 6 * values.std() / math.sqrt(values.size) + slack


def affine_vae(rng, d, k, nonlinear=False):
    """A linear decoder; an encoder that is linear or not."""
    widths, f = ((d, 3, k), "tanh") if nonlinear else ((d, k), "identity")
    encoder = draw_params(rng, widths, 0.5).encoder
    decoder = (Affine(rng.normal(size=(d, k)), rng.normal(size=d)),)
    return Params(encoder, decoder, rng.normal(size=1)), Model(f, "gaussian")


def gaussian_log_p(params, y):
    (W, c), s = params.decoder[0], np.exp(params.log_s[0])
    return stats.multivariate_normal(c, W @ W.T + s * np.eye(len(W))).logpdf(y).reshape(len(y))


# the ball


@given(generators(), st.integers(1, 4), powers(-6, 6))
def test_a_sampled_code_has_mean_mu_and_variance_v(rng, k, size):
    # erratum 15: v is the variance; exact, as z is affine in eps
    mu, v = size * rng.normal(size=k), 10.0 ** rng.uniform(-6, 6, k)
    eps, weights = hermite(4, 1)
    z = sample(mu, v, np.repeat(eps, k, axis=1))
    np.testing.assert_allclose(weights @ z, mu, rtol=1e-12, atol=1e-13 * np.sqrt(v).max())
    moved = sample(np.zeros(k), v, np.repeat(eps, k, axis=1))
    for power, moment in ((2, v), (4, 3 * v**2)):
        np.testing.assert_allclose(weights @ moved**power, moment, rtol=1e-12)


@pytest.mark.parametrize("v", [1e-4, 0.25, 4.0, 9.0, 1e4])
def test_many_codes_spread_by_v_and_not_by_its_root_or_square(v, rng):
    mu = np.full((100_000, 1), -3.0)
    z = sample(mu, np.full_like(mu, v), rng.standard_normal(mu.shape))
    assert_is_mean(z, -3)
    assert_is_mean((z + 3) ** 2, v)
    for wrong in (math.sqrt(v), v**2):
        assert abs(((z + 3) ** 2).mean() - wrong) > 0.3 * min(wrong, v)


@pytest.mark.parametrize("log_v", [-3.0, 0.0, 2.0])
@EVERY_V
def test_the_code_that_is_decoded_has_the_variance_that_is_encoded(v, log_v, rng):
    # a decoder that hands on the code: 2 C - log(2 pi) = (y - z)^2
    zero, one = np.zeros((1, 1)), np.ones((1, 1))
    a = B * math.atanh(log_v / B)
    encoder = (Affine(np.concatenate([zero, zero]), np.array([0.7, a])),)
    params, model = Params(encoder, (Affine(one, np.zeros(1)),), np.zeros(1)), LINEAR._replace(v=v)
    y, eps = np.zeros((50_000, 1)), rng.standard_normal((50_000, 1))
    expected = math.exp(log_v) if v is None else v
    mu, found = encode(params, y, model)
    np.testing.assert_allclose(mu, 0.7, rtol=1e-14)
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert_is_mean(2 * parts(params, y, eps, model)[0] - math.log(2 * math.pi), 0.7**2 + expected)
    np.testing.assert_allclose(parts(params, y, eps, model)[1], (0.49 + expected - math.log(expected) - 1) / 2)


@given(generators(), st.floats(-1e4, 1e4))
def test_log_v_is_nearly_a_as_long_as_it_is_a_few_and_never_beyond_its_bound(rng, a):
    encoder = (Affine(np.zeros((2, 3)), np.array([0.0, a])),)
    params = Params(encoder, (Affine(np.zeros((3, 1)), np.zeros(3)),), np.zeros(1))
    log_v = np.log(encode(params, rng.random((1, 3)), Model())[1].item())
    assert -B - 1e-12 <= log_v <= B + 1e-12
    assert log_v == pytest.approx(B * math.tanh(a / B), abs=1e-12)
    if abs(a) < 3:
        assert abs(log_v - a) < 0.03


# the energy


def written_out(params, y, eps, model):
    """mu, v, y~ of the noise, C and KL of one sample, in loops over units."""

    def through(layers, h):
        for i, (W, b) in enumerate(layers):
            a = [sum(w * u for w, u in zip(row, h, strict=True)) + c for row, c in zip(W, b, strict=True)]
            h = a if i == len(layers) - 1 else [BOOK[model.f](u) for u in a]
        return h

    out = through(params.encoder, list(y))
    k = len(out) // 2
    mu = out[:k]
    v = [math.exp(20 * math.tanh(a / 20)) for a in out[k:]] if model.v is None else [model.v] * k
    z = [m + e * math.sqrt(u) for m, e, u in zip(mu, eps, v, strict=True)]
    t, s = through(params.decoder, z), math.exp(params.log_s[0])
    if model.cost == "bernoulli":
        C = sum(u * np.logaddexp(0, -a) + (1 - u) * np.logaddexp(0, a) for u, a in zip(y, t, strict=True))
        t = expit(t)
    else:
        C = sum((u - m) ** 2 for u, m in zip(y, t, strict=True)) / (2 * s) + len(y) / 2 * math.log(2 * math.pi * s)
    KL = sum(m**2 + u - math.log(u) - 1 for m, u in zip(mu, v, strict=True)) / 2
    return mu, v, t, C, KL


@EVERY_V
@EVERY_COST
@EVERY_F
@HALF
@given(st.data())
def test_the_free_energy_is_the_one_of_the_equations(f, cost, v, data):
    params, model, y, eps, _ = data.draw(posed(f, cost, v))
    each = [written_out(params, *one, model) for one in zip(y, eps, strict=True)]
    mu, v, y_tilde, C, KL = (np.array(part) for part in zip(*each, strict=True))
    close = {"rtol": 1e-9, "atol": 1e-11}
    np.testing.assert_allclose(encode(params, y, model), (mu, v), **close)
    np.testing.assert_allclose(decode(params, sample(mu, v, eps), model), y_tilde, **close)
    np.testing.assert_allclose(parts(params, y, eps, model), (C, KL), **close)
    np.testing.assert_allclose(free_energy(params, y, eps, model), C + model.beta * KL, **close)
    np.testing.assert_allclose(elbo(params, y, eps, model), -C - KL, **close)
    np.testing.assert_allclose(reconstruct(params, y, model), decode(params, mu, model), **close)


@given(generators(), st.integers(1, 4), st.floats(0.1, 3))
def test_the_gaussian_cost_is_minus_the_log_of_a_normal_density(rng, d, scale):
    params, model = draw_params(rng, (d, 3, 2), scale=scale), Model("tanh", "gaussian")
    y, eps = 3 * rng.normal(size=(4, d)), rng.normal(size=(4, 2))
    y_tilde, s = decode(params, sample(*encode(params, y, model), eps), model), np.exp(params.log_s[0])
    expected = [-stats.multivariate_normal(t, s * np.eye(d)).logpdf(u) for t, u in zip(y_tilde, y, strict=True)]
    np.testing.assert_allclose(parts(params, y, eps, model)[0], expected, rtol=1e-10)


@given(generators(), st.integers(1, 6), st.floats(0.1, 3))
def test_the_bernoulli_cost_is_minus_the_log_of_the_probability_of_black_and_white(rng, d, scale):
    params, model = draw_params(rng, (d, 3, 2), scale=scale), Model("tanh")
    y, eps = rng.integers(0, 2, (4, d)).astype(float), rng.normal(size=(4, 2))
    y_tilde = decode(params, sample(*encode(params, y, model), eps), model)
    expected = -stats.bernoulli.logpmf(y, y_tilde).sum(axis=1)
    np.testing.assert_allclose(parts(params, y, eps, model)[0], expected, rtol=1e-8)


@EVERY_COST
def test_cost_and_spring_are_sums_over_numbers_and_never_means(cost, rng):
    # twice the pixels: twice the cost; twice the code, the other half unseen: twice the KL
    (layer,), (back,), log_s = params = draw_params(rng, (3, 2))
    y, eps, model = draw_observations(rng, cost, (4, 3)), rng.normal(size=(4, 2)), Model("identity", cost)
    C, KL = parts(params, y, eps, model)
    none = np.zeros_like(layer.W)
    wide = Params(
        (Affine(np.hstack([layer.W, none]), layer.b),),
        (Affine(np.vstack([back.W, back.W]), np.tile(back.b, 2)),),
        log_s,
    )
    np.testing.assert_allclose(parts(wide, np.hstack([y, y]), eps, model), (2 * C, KL), rtol=1e-12)
    (mu_W, a_W), (mu_b, a_b) = np.split(layer.W, 2), np.split(layer.b, 2)
    long = Params(
        (Affine(np.vstack([mu_W, mu_W, a_W, a_W]), np.concatenate([mu_b, mu_b, a_b, a_b])),),
        (Affine(np.hstack([back.W, 0 * back.W]), back.b),),
        log_s,
    )
    np.testing.assert_allclose(parts(long, y, np.hstack([eps, eps]), model), (C, 2 * KL), rtol=1e-12)


# gradients


def as_learned(p, params, model):
    """The point p, with log s held where it is not learned."""
    return p if model.learn_s else p._replace(log_s=params.log_s)


@EVERY_V
@EVERY_COST
@EVERY_F
@HALF
@given(st.data())
def test_the_gradients_are_the_complex_step_at_the_same_noise(f, cost, v, data):
    params, model, y, eps, weights = data.draw(posed(f, cost, v))
    assume(is_smooth(params, y, eps, model))
    few = {"directions": 3, "rng": np.random.default_rng(0)}

    def energy(p, y=y):
        C, KL = parts(as_learned(p, params, model), y, eps, model)
        return C + model.beta * KL

    claimed = free_energy_grad_params(params, y, eps, model, weights)
    assert type(claimed) is Params
    check = gradient_check(lambda p: weights @ energy(p), claimed, params, **few)
    assert check.passed, str(check)
    of_mean, thirds = (free_energy_grad_params(params, y, eps, model, c) for c in (None, np.full(3, 1 / 3)))
    np.testing.assert_array_equal(flatten(of_mean), flatten(thirds))
    check = gradient_check(lambda y: energy(params, y).sum(), free_energy_grad_y(params, y, eps, model), y, **few)
    assert check.passed, str(check)


@pytest.mark.parametrize("learn_s", [False, True], ids=["s held", "s learned"])
@pytest.mark.parametrize("beta", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("widths", [(3, 2), (3, 4, 2), (3, 4, 3, 2)], ids=len)
@EVERY_V
@EVERY_COST
def test_every_number_of_the_gradient_is_right(cost, v, widths, beta, learn_s, rng):
    params, model = draw_params(rng, widths, scale=0.7), Model("tanh", cost, beta, v, learn_s)
    y, eps, weights = draw_observations(rng, cost, (3, 3)), rng.normal(size=(3, 2)), np.array([1.0, -2.0, 0.5])

    def energy(p, y=y):
        C, KL = parts(as_learned(p, params, model), y, eps, model)
        return C + beta * KL

    claimed = free_energy_grad_params(params, y, eps, model, weights)
    check = gradient_check(lambda p: weights @ energy(p), claimed, params)
    assert check.passed, str(check)
    assert (claimed.log_s != 0).any() == (learn_s and cost == "gaussian")
    check = gradient_check(lambda y: energy(params, y).sum(), free_energy_grad_y(params, y, eps, model), y)
    assert check.passed, str(check)


@given(generators(), st.floats(-60, 60))
def test_the_bend_of_the_variance_is_in_the_gradient(rng, a):
    # far out, where log v is no longer a
    (layer,), decoder, log_s = draw_params(rng, (3, 2))
    params = Params((Affine(0.1 * layer.W, np.array([0.1, -0.2, a, -a])),), decoder, log_s)
    y, eps, model = rng.normal(size=(2, 3)), rng.normal(size=(2, 2)), LINEAR._replace(learn_s=True)
    check = gradient_check(
        lambda p: sum(parts(p, y, eps, model)).sum(),
        free_energy_grad_params(params, y, eps, model, np.ones(2)),
        params,
        rtol=1e-11,
    )
    assert check.passed, str(check)


@given(generators(), st.integers(1, 4))
def test_the_best_observation_variance_is_the_mean_squared_error(rng, d):
    params, model = draw_params(rng, (d, 3, 2)), Model("tanh", "gaussian", learn_s=True)
    y, eps = rng.normal(size=(6, d)), rng.normal(size=(6, 2))
    error = ((y - decode(params, sample(*encode(params, y, model), eps), model)) ** 2).mean()
    at_best = params._replace(log_s=np.log([error]))
    assert abs(free_energy_grad_params(at_best, y, eps, model).log_s.item()) < 1e-12 * d
    for factor in (0.5, 0.9, 1.1, 2):
        other = params._replace(log_s=np.log([factor * error]))
        assert free_energy(other, y, eps, model).mean() > free_energy(at_best, y, eps, model).mean()


# the bound


@given(generators(), st.integers(1, 4), st.integers(1, 2), st.booleans())
def test_the_mean_of_the_elbo_is_never_above_the_log_likelihood(rng, d, k, nonlinear):
    params, model = affine_vae(rng, d, k, nonlinear)
    y, (eps, weights) = 2 * rng.normal(size=(5, d)), hermite(3, k)  # exact: F~ is quadratic in eps
    bound, log_p = over_noise(lambda y, eps: elbo(params, y, eps, model), y, eps) @ weights, gaussian_log_p(params, y)
    assert (bound <= log_p + 1e-9 * (1 + np.abs(bound))).all()


@EVERY_COST
@EVERY_F
@settings(max_examples=6)
@given(generators())
def test_nor_is_it_for_a_decoder_that_bends(f, cost, rng):
    params, model = draw_params(rng, (3, 4, 1)), Model(f, cost)
    y, (eps, weights) = draw_observations(rng, cost, (2, 3)), hermite(60, 1)
    bound = over_noise(lambda y, eps: elbo(params, y, eps, model), y, eps) @ weights
    assert (bound <= exact_log_p(params, y, model) + 1e-6).all()


@pytest.mark.parametrize("beta", [0.0, 2.5])
def test_the_bound_knows_no_other_beta_than_one(beta, rng):
    params, y, eps = draw_params(rng, (3, 2)), rng.random((4, 3)), rng.normal(size=(4, 2))
    bound = elbo(params, y, eps, Model("tanh", beta=beta))
    np.testing.assert_array_equal(bound, -free_energy(params, y, eps, Model("tanh")))
    assert not np.allclose(bound, -free_energy(params, y, eps, Model("tanh", beta=beta)))


@given(generators(), st.integers(2, 5), st.data())
def test_with_the_posterior_as_encoder_one_code_tells_the_log_likelihood(rng, d, data):
    # p(y|z) p(z) / q(z|y) is p(y) for every z
    k = data.draw(st.integers(1, d))
    W = np.linalg.qr(rng.normal(size=(d, k)))[0] * rng.uniform(0.2, 3, k)
    flat = linear_vae.tighten(linear_vae.init(rng, d, k)._replace(W=W, c=rng.normal(size=d), log_s=rng.normal(size=1)))
    a = B * np.arctanh(flat.log_v / B)
    encoder = (Affine(np.vstack([flat.M, np.zeros((k, d))]), np.concatenate([-flat.M @ flat.c, a])),)
    params, y = Params(encoder, (Affine(W, flat.c),), flat.log_s), 2 * rng.normal(size=(4, d))
    n = data.draw(st.sampled_from([1, 2, 7]))
    found = log_likelihood(params, y, rng, n, LINEAR)
    np.testing.assert_allclose(found, gaussian_log_p(params, y), rtol=1e-9, atol=1e-9)


def test_more_codes_bring_the_estimate_from_the_elbo_to_the_log_likelihood_and_never_back(rng):
    params, model = affine_vae(rng, 3, 2)
    y, (eps, weights) = rng.normal(size=(1, 3)), hermite(3, 2)
    bound = (over_noise(lambda y, eps: elbo(params, y, eps, model), y, eps) @ weights).item()
    log_p = gaussian_log_p(params, y).item()
    assert bound < log_p - 0.1
    many = np.repeat(y, 10_000, axis=0)
    by_count = [log_likelihood(params, many, rng, n, model) for n in (1, 4, 16)]
    assert_is_mean(by_count[0], bound)
    for fewer, more in itertools.pairwise(by_count):
        assert more.mean() > fewer.mean() + 6 * math.hypot(fewer.std(), more.std()) / math.sqrt(len(many))
    assert by_count[-1].mean() < log_p + 6 * by_count[-1].std() / math.sqrt(len(many))
    likelihoods = np.exp(by_count[0] - log_p)
    assert_is_mean(likelihoods, 1)  # without the log it is not a bound, it is right
    np.testing.assert_allclose(log_likelihood(params, y, rng, 40_000, model), log_p, atol=0.05)


@EVERY_COST
def test_the_estimate_is_right_for_a_decoder_that_bends(cost):
    rng = np.random.default_rng(7)
    params, model = draw_params(rng, (3, 4, 1), 0.5), Model("tanh", cost)
    y = draw_observations(rng, cost, (3, 3))
    found = log_likelihood(params, y, rng, 20_000, model)
    np.testing.assert_allclose(found, exact_log_p(params, y, model), atol=0.02)


def test_the_estimate_takes_no_notice_of_beta_and_is_decided_by_the_seed(rng):
    params, y = draw_params(rng, (3, 2)), rng.random((4, 3))
    one, same, other, beta = (
        log_likelihood(params, y, np.random.default_rng(seed), 5, Model("tanh", beta=beta))
        for seed, beta in ((0, 1.0), (0, 1.0), (1, 1.0), (0, 7.0))
    )
    np.testing.assert_array_equal(one, same)
    np.testing.assert_array_equal(one, beta)
    assert not np.array_equal(one, other)


def test_the_estimate_of_thousands_of_nats_does_not_underflow(rng):
    params = draw_params(rng, (3, 2))._replace(log_s=np.array([-12.0]))
    found = log_likelihood(params, 10 * rng.normal(size=(4, 3)), rng, 5, LINEAR)
    assert np.isfinite(found).all()
    assert (found < -1e4).all()


# between code and observation


@EVERY_COST
@given(generators(), st.integers(2, 6))
def test_a_walk_between_two_ends_at_the_reconstructions_of_both(cost, rng, n):
    params, model = draw_params(rng, (4, 3, 2)), Model("tanh", cost)
    ends = draw_observations(rng, cost, (2, 4))
    path = interpolate(params, *ends, n, model)
    assert path.shape == (n, 4)
    np.testing.assert_allclose(path[[0, -1]], reconstruct(params, ends, model), rtol=1e-12, atol=1e-14)
    t, mu = np.linspace(0, 1, n)[:, None], encode(params, ends, model)[0]
    np.testing.assert_allclose(path, decode(params, mu[0] + t * (mu[1] - mu[0]), model), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(path[::-1], interpolate(params, *ends[::-1], n, model), rtol=1e-9, atol=1e-12)


def test_between_samples_of_a_linear_decoder_the_walk_is_straight(rng):
    params, model = affine_vae(rng, 3, 2, nonlinear=True)
    path = interpolate(params, *rng.normal(size=(2, 3)), 7, model)
    np.testing.assert_allclose(np.diff(path, 2, axis=0), 0, atol=1e-13)


@given(generators(), powers(-2, 4))
def test_pixels_are_decoded_into_the_unit_interval(rng, scale):
    params = draw_params(rng, (4, 3, 2), scale)
    y_tilde = decode(params, scale * rng.normal(size=(5, 2)), Model())
    assert ((y_tilde >= 0) & (y_tilde <= 1)).all()


def test_what_is_generated_has_the_mean_and_the_covariance_of_the_linear_decoder(rng):
    params, model = affine_vae(rng, 3, 2)
    W, c = params.decoder[0]
    y = generate(params, rng, 100_000, model)
    off = y - c
    for i, j in itertools.product(range(3), repeat=2):
        assert_is_mean(off[:, i], 0)
        assert_is_mean(off[:, i] * off[:, j], (W @ W.T)[i, j])
    z = off @ np.linalg.pinv(W).T
    np.testing.assert_allclose(z @ W.T, off, atol=1e-12)  # no noise of the observation is added
    assert_is_mean(z**4, 3)


@EVERY_COST
def test_the_seed_decides_what_is_generated_and_the_encoder_does_not(cost, rng):
    params, model = draw_params(rng, (4, 3, 2)), Model("tanh", cost)
    deaf = params._replace(encoder=zeros_like(params.encoder))
    one, same, other = (generate(p, np.random.default_rng(s), 5, model) for p, s in ((params, 0), (deaf, 0), (deaf, 1)))
    assert one.shape == (5, 4)
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


# the start


@EVERY_F
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_start_has_the_shapes_of_the_book(f, dtype, rng):
    params = init(rng, (6, 5, 3), f, s=0.25, dtype=dtype)
    assert [layer.W.shape for layer in params.encoder] == [(5, 6), (6, 5)]
    assert [layer.W.shape for layer in params.decoder] == [(5, 3), (6, 5)]
    assert {leaf.dtype for leaf in leaves(params)} == {np.dtype(dtype)}
    assert not any(layer.b.any() for layer in params.encoder + params.decoder)
    assert params.log_s == pytest.approx(math.log(0.25))
    again = init(np.random.default_rng(0), (6, 5, 3), f), init(np.random.default_rng(0), (6, 5, 3), f)
    np.testing.assert_array_equal(*map(flatten, again))


@pytest.mark.parametrize(("f", "power"), [("relu", 2), ("tanh", 1)])
def test_both_halves_of_the_start_s_last_layer_have_the_variance_of_the_others(f, power):
    params = init(np.random.default_rng(0), (300, 200), f)
    for half in np.split(params.encoder[0].W, 2):
        assert_is_mean(half**2 * 300, power)
    assert_is_mean(params.encoder[0].W[:200] * params.encoder[0].W[200:], 0)


# training


def two_groups(rng, n=200):
    """Two narrow groups of points in the plane."""
    return np.where(rng.random((n, 1)) < 0.5, 1.0, -1.0) * np.array([1.0, 0.5]) + 0.1 * rng.normal(size=(n, 2))


HALF_AWAKE = Params(
    (Affine(np.array([[0.5, 0.25], [0.0, 0.0]]), np.zeros(2)),),
    (Affine(np.array([[0.5], [0.25]]), np.zeros(2)),),
    np.log([0.1]),
)


@EVERY_V
@EVERY_COST
@pytest.mark.parametrize("batch_size", [None, 7])
def test_training_is_adam_on_the_mean_free_energy_with_new_noise_for_each_batch(batch_size, cost, v, rng):
    params, model = draw_params(rng, (4, 5, 2)), Model("tanh", cost, 1.7, v, True)
    y, size, same = draw_observations(rng, cost, (20, 4)), batch_size or 20, np.random.default_rng(3)
    order, p, losses = same.permutation(20), params, []
    m = s = zeros_like(p)
    for t, start in enumerate(range(0, 20, size), start=1):
        batch = y[order[start : start + size]]
        eps = same.standard_normal((len(batch), 2))
        losses.extend(free_energy(p, batch, eps, model))
        g = free_energy_grad_params(p, batch, eps, model)
        m = tree_map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        s = tree_map(lambda s, g: 0.999 * s + 0.001 * g**2, s, g)
        p = tree_map(lambda p, m, s, t=t: p - 0.3 * (m / (1 - 0.9**t)) / (np.sqrt(s / (1 - 0.999**t)) + 1e-8), p, m, s)
    found = fit(params, y, np.random.default_rng(3), model, n_epochs=1, batch_size=batch_size, rate=0.3)
    np.testing.assert_allclose(flatten(found.params), flatten(p), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found.history, [np.mean(losses)], rtol=1e-9)


def test_every_sample_counts_once_in_an_uneven_last_batch(rng):
    # v tiny: the noise does not matter
    y = rng.normal(size=(10, 3)) * 10.0 ** np.arange(-2, 3).repeat(2)[:, None]
    params, model = draw_params(rng, (3, 2)), Model("tanh", "gaussian", v=1e-24)
    found = fit(params, y, rng, model, n_epochs=3, batch_size=4, rate=1e-14)
    np.testing.assert_allclose(found.history, free_energy(params, y, np.zeros((10, 2)), model).mean(), rtol=1e-8)


@EVERY_V
@EVERY_COST
def test_training_lowers_the_free_energy(cost, v, rng):
    model, y = Model("tanh", cost, v=v, learn_s=True), rng.random((64, 1)) * rng.random(6).round(2)
    start, eps = draw_params(rng, (6, 4, 2)), rng.normal(size=(64, 2))
    found = fit(start, y, rng, model, n_epochs=60, batch_size=16, rate=1e-2)
    before, after = (free_energy(p, y, eps, model).mean() for p in (start, found.params))
    assert after < before - 0.5
    assert found.history[-1] < found.history[0] - 0.3
    assert found.history.shape == (60,)


def test_the_observation_variance_is_left_alone_unless_it_is_learned(rng):
    start, y, options = (
        draw_params(rng, (2, 1))._replace(log_s=np.array([2.0])),
        two_groups(rng),
        {"n_epochs": 30, "rate": 1e-2},
    )
    held, learned = (
        fit(start, y, rng, LINEAR._replace(learn_s=learn), **options).params.log_s for learn in (False, True)
    )
    np.testing.assert_array_equal(held, start.log_s)
    assert learned < start.log_s


@pytest.mark.parametrize("seed", range(3))
def test_without_springs_the_balls_fly_apart_and_shrink(seed):
    # 08-2, figures 8 to 10
    rng = np.random.default_rng(seed)
    y, start = two_groups(rng), HALF_AWAKE
    apart, size = {}, {}
    for beta in (0.0, 1.0):
        model = LINEAR._replace(beta=beta)
        trained = fit(start, y, np.random.default_rng(0), model, n_epochs=300, batch_size=None, rate=0.1).params
        mu, v = encode(trained, y, model)
        apart[beta], size[beta] = mu.var(), v.mean() / mu.var()
    assert 0.5 < apart[1.0] < 1.5
    assert size[0.0] < 0.1 * size[1.0]
    assert apart[0.0] > 5 * apart[1.0]


def test_the_stronger_the_springs_the_nearer_the_codes_to_the_standard_normal(rng):
    y, start, kl = two_groups(rng), HALF_AWAKE, []
    for beta in (0.1, 1.0, 10.0, 100.0):
        model = LINEAR._replace(beta=beta)
        trained = fit(start, y, np.random.default_rng(0), model, n_epochs=300, batch_size=None, rate=2e-2).params
        kl.append(parts(trained, y, np.zeros((len(y), 1)), model)[1].mean())
    assert all(less < more for more, less in itertools.pairwise(kl))
    assert kl[-1] < 0.01 < 1 < kl[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_is_decided_by_the_seed_and_writes_to_nothing(dtype, rng):
    params, y = read_only(tree_map(lambda a: a.astype(dtype), (init(rng, (4, 3, 2)), rng.random((20, 4)))))
    a, b, c = (fit(params, y, np.random.default_rng(s), Model(), n_epochs=2, batch_size=6) for s in (1, 1, 2))
    np.testing.assert_array_equal(flatten(a.params), flatten(b.params))
    np.testing.assert_array_equal(a.history, b.history)
    assert not np.array_equal(flatten(a.params), flatten(c.params))
    assert {leaf.dtype for leaf in leaves(a.params)} == {np.dtype(dtype)}


def test_the_watcher_sees_the_parameters_from_the_start_to_the_end_and_the_callback_the_losses(rng):
    seen, heard = [], []
    start, y = init(rng, (4, 3, 2)), rng.random((20, 4))
    options = {"watch": lambda *at: seen.append(at), "callback": lambda *report: heard.append(report)}
    found = fit(start, y, np.random.default_rng(0), Model(), n_epochs=3, batch_size=6, **options)
    assert heard == list(enumerate(found.history, start=1))
    assert [epoch for epoch, _ in seen] == [0, 1, 2, 3]
    np.testing.assert_array_equal(flatten(seen[0][1]), flatten(start))
    np.testing.assert_array_equal(flatten(seen[-1][1]), flatten(found.params))
    for n in (1, 2):
        shorter = fit(start, y, np.random.default_rng(0), Model(), n_epochs=n, batch_size=6)
        np.testing.assert_array_equal(flatten(seen[n][1]), flatten(shorter.params))


def test_a_step_that_is_too_long_is_said_to_be_and_nothing_is_spoilt(rng):
    params, y = read_only((draw_params(rng, (4, 3)), rng.normal(size=(20, 4))))
    with pytest.raises(FloatingPointError, match="diverged"):
        fit(params, y, rng, LINEAR, rate=1e200)


# what networks may say


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("a", [-1e4, -100.0, 100.0, 1e4])
@EVERY_COST
def test_whatever_the_encoder_says_variances_are_positive_and_energies_finite(cost, a, dtype, rng):
    params, model = init(rng, (4, 3, 2), dtype=dtype), Model(cost=cost)
    last = params.encoder[-1]
    params = params._replace(encoder=(params.encoder[0], Affine(last.W, last.b + np.array([0, 0, a, -a], dtype))))
    y, eps = rng.random((5, 4)).astype(dtype), rng.normal(size=(5, 2)).astype(dtype)
    mu, v = encode(params, y, model)
    assert (v > 0).all()
    results = (mu, v, free_energy(params, y, eps, model), free_energy_grad_y(params, y, eps, model))
    for array in (*results, *leaves(free_energy_grad_params(params, y, eps, model))):
        assert np.isfinite(array).all()
        assert array.dtype == dtype
    trained = fit(params, y, rng, model, n_epochs=2).params
    assert all(np.isfinite(leaf).all() for leaf in leaves(trained))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("logit", [1e3, 1e4])
def test_a_decoder_that_is_sure_of_itself_costs_its_logits_where_it_errs(logit, dtype):
    y, eps = np.array([[0, 1, 1], [1, 0, 0.25]], dtype), np.zeros((2, 1), dtype)
    encoder = (Affine(np.zeros((2, 3), dtype), np.zeros(2, dtype)),)
    decoder = (Affine(np.zeros((3, 1), dtype), np.array([-logit, logit, 0], dtype)),)
    params = Params(encoder, decoder, np.zeros(1, dtype))
    found = free_energy(params, y, eps, Model())
    np.testing.assert_allclose(found, [math.log(2), 2 * logit + math.log(2)], rtol=1e-6)
    np.testing.assert_array_equal(decode(params, eps, Model())[0], [0, 1, 0.5])
    gradient = free_energy_grad_params(params, y, eps, Model(), np.ones(2, dtype)).decoder[0].b
    np.testing.assert_allclose(gradient, [-1, 1, -0.25], rtol=1e-6)
    assert found.dtype == dtype


@EVERY_COST
@EVERY_V
def test_choices_that_are_numpy_numbers_keep_single_precision(v, cost, rng):
    params, y = init(rng, (4, 3, 2), dtype=np.float32), rng.random((5, 4)).astype(np.float32)
    eps = rng.standard_normal((5, 2), np.float32)
    model = Model(cost=cost, beta=np.float64(0.3), v=None if v is None else np.float64(v), learn_s=True)
    results = (
        *encode(params, y, model),
        decode(params, eps, model),
        reconstruct(params, y, model),
        generate(params, rng, 3, model),
        interpolate(params, y[0], y[1], 3, model),
        free_energy(params, y, eps, model),
        elbo(params, y, eps, model),
        log_likelihood(params, y, rng, 3, model),
        free_energy_grad_y(params, y, eps, model),
        *leaves(free_energy_grad_params(params, y, eps, model)),
        *leaves(fit(params, y, rng, model, n_epochs=1).params),
    )
    assert {array.dtype for array in results} == {np.dtype(np.float32)}
    mixed = fit(params, y.astype(np.float64), rng, model, n_epochs=1).params
    assert {leaf.dtype for leaf in leaves(mixed)} == {np.dtype(np.float64)}


# refusals


GOOD = draw_params(np.random.default_rng(0), (3, 4, 2))
SPOILT = np.array([[0.5, 0.5, np.nan]]).repeat(5, axis=0)
ODD = GOOD._replace(encoder=(GOOD.encoder[0], Affine(np.ones((3, 4)), np.ones(3))))


def at_noise(function):
    def door(params, y, model, eps=None):
        return function(params, y, np.zeros((5, 2)) if eps is None else eps, model)

    return door


NOISY = {
    function.__name__: at_noise(function)
    for function in (free_energy, elbo, free_energy_grad_y, free_energy_grad_params)
}
DOORS = {
    **NOISY,
    "log_likelihood": lambda params, y, model: log_likelihood(params, y, np.random.default_rng(0), 3, model),
    "fit": lambda params, y, model: fit(params, y, np.random.default_rng(0), model),
}


@pytest.mark.parametrize(
    ("name", "error", "arguments"),
    [
        ("y", ValueError, {"y": SPOILT}),
        ("y", ValueError, {"y": np.full((5, 3), np.inf)}),
        ("y", ValueError, {"y": np.full((5, 3), 1e200), "model": LINEAR}),
        ("y", ValueError, {"y": np.full((5, 3), 1 + 1e-9)}),
        ("y", ValueError, {"y": np.full((5, 3), -1e-9)}),
        ("y", ValueError, {"y": np.ones((5, 2))}),
        ("y", ValueError, {"y": np.ones((5, 4))}),
        ("y", ValueError, {"y": np.ones(3)}),
        ("y", ValueError, {"y": np.ones((0, 3))}),
        ("y", TypeError, {"y": np.ones((5, 3)) * 1j}),
        ("model.f", ValueError, {"model": Model(f="gelu")}),
        ("model.f", ValueError, {"model": Model(f=np.tanh)}),
        ("model.cost", ValueError, {"model": Model(cost="squared_error")}),
        ("model.cost", ValueError, {"model": Model(cost=None)}),
        ("model.v", ValueError, {"model": Model(v=0.0)}),
        ("model.v", ValueError, {"model": Model(v=-1.0)}),
        ("model.v", ValueError, {"model": Model(v=np.nan)}),
        ("model.v", TypeError, {"model": Model(v="1")}),
        ("model.learn_s", TypeError, {"model": Model(learn_s=1)}),
        ("params", TypeError, {"params": network.init(np.random.default_rng(0), (3, 2))}),
        ("params.encoder", ValueError, {"params": ODD}),
        ("params.encoder", TypeError, {"params": GOOD._replace(encoder=())}),
        (r"params.decoder\[0\].W", ValueError, {"params": draw_params(np.random.default_rng(0), (3, 4, 1))._replace(
            encoder=GOOD.encoder)}),
        (r"params.decoder\[1\].W", ValueError, {"params": GOOD._replace(
            decoder=(GOOD.decoder[0], Affine(np.ones((4, 4)), np.ones(4))))}),
        (r"params.encoder\[0\].b", ValueError, {"params": GOOD._replace(
            encoder=(Affine(np.ones((4, 3)), np.full(4, np.nan)), GOOD.encoder[1]))}),
        ("params.log_s", ValueError, {"params": GOOD._replace(log_s=np.zeros(2))}),
        ("params.log_s", ValueError, {"params": GOOD._replace(log_s=np.array([np.inf]))}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_a_bad_argument_is_refused_by_name(door, name, error, arguments):
    with pytest.raises(error, match=rf"^{name}: expected"):
        door(**{"params": GOOD, "y": np.full((5, 3), 0.5), "model": Model(), **arguments})


@pytest.mark.parametrize(
    ("name", "error", "arguments"),
    [
        ("y", TypeError, {"y": None}),
        ("params", TypeError, {"params": None}),
        ("params", TypeError, {"params": tuple(GOOD)}),
        ("model", TypeError, {"model": "relu"}),
        ("model", TypeError, {"model": tuple(Model())}),
        ("model.beta", ValueError, {"model": Model(beta=-1e-9)}),
        ("model.beta", ValueError, {"model": Model(beta=np.inf)}),
        ("model.beta", ValueError, {"model": Model(beta=np.nan)}),
        ("model.beta", ValueError, {"model": Model(beta=1e200)}),
        ("model.beta", TypeError, {"model": Model(beta="1")}),
    ],
)
@pytest.mark.parametrize("name_of_door", ["free_energy", "free_energy_grad_y", "free_energy_grad_params", "fit"])
def test_what_is_no_argument_at_all_is_refused_by_name(name_of_door, name, error, arguments):
    with pytest.raises(error, match=rf"^{name}: expected"):
        DOORS[name_of_door](**{"params": GOOD, "y": np.full((5, 3), 0.5), "model": Model(), **arguments})


@pytest.mark.parametrize("door", NOISY.values(), ids=NOISY)
@pytest.mark.parametrize(
    ("eps", "error"),
    [
        (np.zeros((5, 3)), ValueError),
        (np.zeros((4, 2)), ValueError),
        (np.zeros(2), ValueError),
        (np.full((5, 2), np.nan), ValueError),
        (np.zeros((5, 2)) * 1j, TypeError),
        ("eps", TypeError),
    ],
)
def test_noise_that_is_not_one_number_for_each_of_a_code_is_refused_by_name(door, eps, error):
    with pytest.raises(error, match=r"^eps: expected"):
        door(GOOD, np.full((5, 3), 0.5), Model(), eps)


@pytest.mark.parametrize(
    ("name", "error", "options"),
    [
        ("rng", TypeError, {"rng": 0}),
        ("rng", TypeError, {"rng": None}),
        ("n_epochs", ValueError, {"n_epochs": 0}),
        ("n_epochs", TypeError, {"n_epochs": 1.5}),
        ("batch_size", ValueError, {"batch_size": 0}),
        ("rate", ValueError, {"rate": 0.0}),
        ("rate", ValueError, {"rate": np.nan}),
    ],
)
def test_the_options_of_training_are_refused_by_name_too(name, error, options):
    with pytest.raises(error, match=rf"^{name}: expected"):
        fit(GOOD, np.full((5, 3), 0.5), **{"rng": np.random.default_rng(0), "model": Model(), **options})


@pytest.mark.parametrize(
    ("name", "error", "options"),
    [
        ("widths", ValueError, {"widths": (4, 0)}),
        ("widths", ValueError, {"widths": (4,)}),
        ("widths", TypeError, {"widths": (4, 2.0)}),
        ("f", ValueError, {"f": "gelu"}),
        ("s", ValueError, {"s": 0.0}),
        ("s", ValueError, {"s": -1.0}),
        ("s", ValueError, {"s": np.nan}),
        ("rng", TypeError, {"rng": 0}),
        ("dtype", TypeError, {"dtype": np.int32}),
    ],
)
def test_a_start_that_cannot_be_is_refused_by_name(name, error, options):
    with pytest.raises(error, match=rf"^{name}: expected"):
        init(**{"rng": np.random.default_rng(0), "widths": (4, 2), **options})


@pytest.mark.parametrize(("n", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError)])
def test_the_log_likelihood_of_no_samples_is_refused_by_name(n, error, rng):
    with pytest.raises(error, match=r"^n_samples: expected"):
        log_likelihood(GOOD, np.full((5, 3), 0.5), rng, n, Model())


@pytest.mark.parametrize("weights", [np.ones(4), np.ones((5, 1)), np.full(5, np.nan)])
def test_weights_that_are_not_one_a_sample_are_refused_by_name(weights):
    with pytest.raises(ValueError, match=r"^weights: expected"):
        free_energy_grad_params(GOOD, np.full((5, 3), 0.5), np.zeros((5, 2)), Model(), weights)


def test_a_seed_is_no_generator():
    y = np.full((5, 3), 0.5)
    for function in (lambda: generate(GOOD, 0, 3, Model()), lambda: log_likelihood(GOOD, y, 0, 3, Model())):
        with pytest.raises(TypeError, match=r"^rng: expected a numpy.random.Generator, got int$"):
            function()


def test_energies_beyond_the_largest_number_are_refused_by_name():
    huge = tree_map(lambda a: 1e100 + a, GOOD)._replace(log_s=GOOD.log_s)
    with pytest.raises(ValueError, match=r"^F~\(y\): expected finite"):
        free_energy(huge, np.ones((5, 3)), np.zeros((5, 2)), LINEAR)


@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_the_ends_of_the_interval_are_pixels(edge):
    assert np.isfinite(free_energy(GOOD, np.full((5, 3), edge), np.zeros((5, 2)), Model())).all()


def test_what_is_missing_is_named_by_every_door(rng):
    y, eps = np.full((2, 3), 0.5), np.zeros((2, 2))
    for call, name in (
        (lambda: log_likelihood(GOOD, None, rng, 3, Model()), "y"),
        (lambda: log_likelihood(None, y, rng, 3, Model()), "params"),
        (lambda: free_energy(GOOD, y, None, Model()), "eps"),
        (lambda: elbo(GOOD, y, eps, None), "model"),
        (lambda: elbo(GOOD, y, eps, Model(beta=np.nan)), "model.beta"),
        (lambda: generate(GOOD, rng, 0, Model()), "n"),
        (lambda: interpolate(GOOD, y[0], y[0, :2], 3, Model()), "end"),
        (
            lambda: free_energy(GOOD._replace(log_s=np.array([-1000.0])), y, eps, Model("relu", "gaussian")),
            r"exp\(-params",
        ),
    ):
        with pytest.raises((ValueError, TypeError), match=f"^{name}"):
            call()


@given(st.integers(0, 2**32 - 1), st.integers(-3, 3), st.sampled_from(["relu", "tanh"]))
def test_power_is_that_of_all_weights_and_last_multiplies_those_of_both_last_layers(seed, e, f):
    def start(**options):
        params = init(np.random.default_rng(seed), (6, 5, 3), f, **options)
        return [layer.W for layer in (*params.encoder, *params.decoder)]

    plain = start(power=1.0)
    for i, (W, loud, scaled) in enumerate(zip(plain, start(power=4.0**e), start(power=1.0, last=2.0**e), strict=True)):
        np.testing.assert_allclose(loud, 2.0**e * W, rtol=1e-14)
        np.testing.assert_array_equal(scaled, W * (2.0**e if i in (1, 3) else 1))


def test_a_start_with_quiet_last_layers_has_the_prior_for_every_ball(rng):
    params = init(rng, (5, 4, 2), power=1 / 3, last=0)
    y = rng.random((3, 5))
    mu, v = encode(params, y, Model())
    assert not mu.any()
    assert (v == 1).all()
    assert (decode(params, rng.normal(size=(3, 2)), Model()) == 0.5).all()
    loud = init(np.random.default_rng(0), (400, 300, 2), power=1 / 3)
    assert_is_mean(loud.encoder[0].W ** 2 * 400, 1 / 3)
    with pytest.raises(ValueError, match=r"^last: expected"):
        init(rng, (5, 2), last=-1.0)
    with pytest.raises(ValueError, match=r"^power: expected"):
        init(rng, (5, 2), power=0.0)


def test_a_wrong_shape_is_answered_in_the_letters_of_the_page(rng):
    for door in (encode, reconstruct):
        with pytest.raises(ValueError, match=r"^y: expected shape \(N, 3\), got shape \(3,\)$"):
            door(GOOD, np.full(3, 0.5), Model())
    with pytest.raises(ValueError, match=r"^z: expected shape \(N, 2\), got shape \(2,\)$"):
        decode(GOOD, np.ones(2), Model())


@pytest.mark.parametrize("name", ["start", "end"])
def test_the_ends_of_a_walk_are_single_observations_and_its_steps_a_number(name, rng):
    ends = {"start": np.full(3, 0.5), "end": np.full(3, 0.5)}
    with pytest.raises(ValueError, match=rf"^{name}: expected shape \(3,\), got shape \(1, 3\)$"):
        interpolate(GOOD, **(ends | {name: np.full((1, 3), 0.5)}), n=3, model=Model())
    for door in (lambda n: interpolate(GOOD, **ends, n=n, model=Model()), lambda n: generate(GOOD, rng, n, Model())):
        with pytest.raises(ValueError, match=r"^n: expected"):
            door(0)


def test_by_default_adam_makes_ten_epochs_of_steps_of_a_thousandth_on_batches_of_128(rng):
    y = rng.random((300, 3))
    options = {"n_epochs": 10, "batch_size": 128, "rate": 1e-3}
    one, other = (fit(GOOD, y, np.random.default_rng(0), Model(), **chosen) for chosen in ({}, options))
    np.testing.assert_array_equal(flatten(one.params), flatten(other.params))
    np.testing.assert_array_equal(one.history, other.history)
    assert len(one.history) == 10


def test_the_start_is_that_of_digits_and_of_ball_and_pixels_as_wide_as_the_rest_unless_told(rng):
    one, other = init(np.random.default_rng(0)), init(np.random.default_rng(0), (784, 400, 20), "relu", s=1.0, last=1.0)
    np.testing.assert_array_equal(flatten(one), flatten(other))
    assert one.log_s == 0
    assert {leaf.dtype for leaf in leaves(one)} == {np.dtype(np.float64)}


def test_the_mean_of_an_epoch_is_not_rounded_to_single_precision(rng):
    y = rng.random((20, 6)).astype(np.float32)
    history = fit(init(rng, (6, 3), dtype=np.float32), y, rng, Model(), n_epochs=5).history
    assert (history.astype(np.float32) != history).any()
