import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from strategies import generators

from ebm_np.autoencoders import network
from ebm_np.autoencoders.autoencoder import (
    COSTS,
    REGULARIZERS,
    Model,
    decode,
    encode,
    energy,
    energy_grad_params,
    energy_grad_y,
    energy_grad_y_hat,
    fit,
    free_energy,
    free_energy_grad_params,
    free_energy_grad_y,
    reconstruct,
)
from ebm_np.autoencoders.network import Params, Tied
from ebm_np.foundations.gradient_check import gradient_check
from ebm_np.foundations.layers import ACTIVATIONS, Affine
from ebm_np.foundations.parameters import flatten, leaves, tree_map, unflatten

EVERY_F = pytest.mark.parametrize("f", sorted(ACTIVATIONS))
EVERY_REGULARIZER = pytest.mark.parametrize("regularizer", REGULARIZERS)
EVERY_SHARING = pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
OUTPUTS = [(g, "squared_error") for g in sorted(ACTIVATIONS)] + [("sigmoid", "binary_cross_entropy")]
HALF = settings(max_examples=settings.default.max_examples // 2)  # for tests of 20 parametrisations
LINEAR = Model("identity", "identity")
CROSS_ENTROPY = Model("tanh", "sigmoid", "binary_cross_entropy")

# the activations once more, as the book writes them: value and slope at a number
BOOK = {
    "identity": (lambda a: a, lambda a: 1.0),
    "relu": (lambda a: max(a, 0.0), lambda a: float(a > 0)),
    "sigmoid": (lambda a: 1 / (1 + math.exp(-a)), lambda a: math.exp(-a) / (1 + math.exp(-a)) ** 2),
    "softplus": (lambda a: math.log(1 + math.exp(a)), lambda a: 1 / (1 + math.exp(-a))),
    "tanh": (math.tanh, lambda a: 1 / math.cosh(a) ** 2),
}


def powers(low, high):
    """Positive numbers, evenly over the orders of magnitude."""
    return st.floats(low, high).map(lambda e: 10.0**e)


def draw_network(rng, widths, tied=False, scale=1.0):
    """A random network with offsets that are not zero."""
    return tree_map(lambda a: scale * a + 0.3 * rng.normal(size=a.shape), network.init(rng, widths, tied=tied))


def draw_widths(rng, depth):
    return tuple(int(width) for width in rng.integers(1, 5, depth + 1))


def seen_by_units(params, y_hat, model):
    """Yield the name of each layer's activation and its argument a, first those of the encoder."""
    both, h = network.untied(params), y_hat
    names = [model.f] * (len(both.encoder) + len(both.decoder) - 1) + [model.g]
    for (W, b), name in zip(both.encoder + both.decoder, names, strict=True):
        a = h @ W.T + b
        h = ACTIVATIONS[name].value(a)
        yield name, a


def is_smooth(params, y_hat, model):
    """Say whether E is analytic for some way around: no unit at the kink of relu, no code at that of |h|."""
    seen = list(seen_by_units(params, y_hat, model))
    kinks = [a for name, a in seen if name == "relu"]
    if model.regularizer == "l1":
        kinks.append(seen[len(params.encoder) - 1][1])  # the code is 0 where its a is, or for relu on one side
    return all((np.abs(a) > 1e-3).all() for a in kinks)


def is_saturated(params, y_hat, model):
    """Say whether a slope has lost digits: 1 - h^2 and h (1 - h) do in the flat ends."""
    return any((np.abs(a) > 3).any() for name, a in seen_by_units(params, y_hat, model) if name in ("sigmoid", "tanh"))


@st.composite
def posed(draw, f, regularizer):
    """A network of one to three layers each way, a model, observations, other inputs and weights."""
    rng, depth, tied = draw(generators()), draw(st.integers(1, 3)), draw(st.booleans())
    g, cost = draw(st.sampled_from(OUTPUTS))
    widths = draw_widths(rng, depth)
    params = draw_network(rng, widths, tied, draw(st.floats(0.1, 2)))
    model = Model(f, g, cost, regularizer, draw(powers(-2, 1)))
    y_hat = rng.normal(size=(3, widths[0]))
    y = rng.uniform(0, 1, y_hat.shape) if cost == "binary_cross_entropy" else rng.normal(size=y_hat.shape)
    while is_saturated(params, np.vstack([y, y_hat]), model):
        params = tree_map(lambda a: 0.8 * a, params)
    return params, model, y, y_hat, rng.normal(size=3)


def mean_gradient(params, y, model):
    """The largest number of the gradient of the mean free energy."""
    return np.abs(flatten(free_energy_grad_params(params, y, model))).max()


def trained_by_bfgs(params, y, model):
    """A network at a minimum of the mean free energy."""

    def value_and_slope(vector):
        at = unflatten(vector, params)
        return free_energy(at, y, model).mean(), flatten(free_energy_grad_params(at, y, model))

    options = {"maxiter": 2000, "maxfun": 4000, "ftol": 1e-16, "gtol": 1e-10}
    return unflatten(minimize(value_and_slope, flatten(params), jac=True, method="L-BFGS-B", options=options).x, params)


def draw_data(rng, spectrum, n=40):
    """Samples of mean 0 whose covariance has exactly these eigenvalues, and its eigenvectors as columns."""
    d = len(spectrum)
    centred = rng.normal(size=(n, d))
    white = np.linalg.qr(centred - centred.mean(axis=0))[0] * math.sqrt(n)
    U = np.linalg.qr(rng.normal(size=(d, d)))[0]
    return white * np.sqrt(spectrum) @ U.T, U


def linear(encoder, decoder):
    """The linear auto-encoder of two matrices, without offsets."""
    return Params((Affine(encoder, np.zeros(len(encoder))),), (Affine(decoder, np.zeros(len(decoder))),))


def tied_linear(W):
    return Tied((Affine(W, np.zeros(len(W))),), (np.zeros(W.shape[1]),))


SPECTRA = st.lists(powers(-2, 2), min_size=2, max_size=6).map(lambda s: np.sort(s)[::-1])


# the energy


def written_out(params, y, y_hat, model):
    """E of one sample, in loops over units, and by the derivative of each for the contractive penalty."""

    def layer(W, b, t, J, name):
        value, slope = BOOK[name]
        a = [sum(W[i][j] * t[j] for j in range(len(t))) + b[i] for i in range(len(b))]
        dh = [
            [slope(a[i]) * sum(W[i][j] * J[j][c] for j in range(len(t))) for c in range(len(y))] for i in range(len(a))
        ]
        return [value(u) for u in a], dh

    t, J = list(y_hat), [[float(i == j) for j in range(len(y))] for i in range(len(y))]
    for W, b in params.encoder:
        t, J = layer(W, b, t, J, model.f)
    h, R = t, 0.0
    if model.regularizer == "l1":
        R = sum(abs(u) for u in h)
    elif model.regularizer == "l2":
        R = sum(u * u for u in h)
    elif model.regularizer == "contractive":
        R = sum(u * u for row in J for u in row)
    L = len(params.encoder)
    for m in range(L):
        if isinstance(params, Tied):
            W, b = params.encoder[L - 1 - m].W.T, params.offsets[m]
        else:
            W, b = params.decoder[m]
        t, J = layer(W, b, t, J, model.f if m < L - 1 else model.g)
    if model.cost == "squared_error":
        C = sum((u - v) ** 2 for u, v in zip(y, t, strict=True))
    else:
        C = -sum(u * math.log(v) + (1 - u) * math.log(1 - v) for u, v in zip(y, t, strict=True))
    return C + model.lam * R, h, t


@EVERY_REGULARIZER
@EVERY_F
@HALF
@given(st.data())
def test_energy_is_the_one_of_the_note(f, regularizer, data):
    params, model, y, y_hat, _ = data.draw(posed(f, regularizer))
    E, h, y_tilde = zip(*(written_out(params, *pair, model) for pair in zip(y, y_hat, strict=True)), strict=True)
    np.testing.assert_allclose(encode(params, y_hat, model), h, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(decode(params, np.array(h), model), y_tilde, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(reconstruct(params, y_hat, model), y_tilde, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(energy(params, y, y_hat, model), E, rtol=1e-9, atol=1e-12)
    if model.cost == "squared_error":  # as target, then, y^ is as good as any
        F = [written_out(params, one, one, model)[0] for one in y_hat]
        np.testing.assert_allclose(free_energy(params, y_hat, model), F, rtol=1e-9, atol=1e-12)


@EVERY_REGULARIZER
@EVERY_F
@HALF
@given(st.data())
def test_the_gradients_in_the_parameters_are_the_complex_step(f, regularizer, data):
    params, model, y, y_hat, weights = data.draw(posed(f, regularizer))
    assume(is_smooth(params, y_hat, model) and is_smooth(params, y, model))
    few = {"directions": 4, "rng": np.random.default_rng(0)}
    check = gradient_check(
        lambda p: weights @ energy(p, y, y_hat, model),
        energy_grad_params(params, y, y_hat, model, weights),
        params,
        **few,
    )
    assert check.passed, str(check)
    for claimed, c in (
        (free_energy_grad_params(params, y, model, weights), weights),
        (free_energy_grad_params(params, y, model), np.full(3, 1 / 3)),
    ):
        assert type(claimed) is type(params)
        check = gradient_check(lambda p, c=c: c @ energy(p, y, y, model), claimed, params, **few)
        assert check.passed, str(check)


@EVERY_REGULARIZER
@EVERY_F
@HALF
@given(st.data())
def test_the_gradients_in_target_and_input_are_the_complex_step(f, regularizer, data):
    params, model, y, y_hat, _ = data.draw(posed(f, regularizer))
    assume(is_smooth(params, y_hat, model) and is_smooth(params, y, model))
    for function, claimed, at in (
        (lambda y: energy(params, y, y_hat, model).sum(), energy_grad_y(params, y, y_hat, model), y),
        (lambda y_hat: energy(params, y, y_hat, model).sum(), energy_grad_y_hat(params, y, y_hat, model), y_hat),
        (lambda y: energy(params, y, y, model).sum(), free_energy_grad_y(params, y, model), y),
    ):
        check = gradient_check(function, claimed, at, directions=3, rng=np.random.default_rng(0))
        assert check.passed, str(check)


@EVERY_SHARING
@EVERY_REGULARIZER
@pytest.mark.parametrize(("g", "cost"), OUTPUTS)
def test_every_number_of_the_gradient_is_right(g, cost, regularizer, tied, rng):
    params = draw_network(rng, (3, 4, 2), tied)
    model, y = Model("tanh", g, cost, regularizer, 0.7), rng.uniform(0, 1, (3, 3))
    assert is_smooth(params, y, model)
    weights = np.array([1.0, -2.0, 0.5])
    claimed = free_energy_grad_params(params, y, model, weights)
    check = gradient_check(lambda p: weights @ energy(p, y, y, model), claimed, params)
    assert check.passed, str(check)
    check = gradient_check(lambda y: energy(params, y, y, model).sum(), free_energy_grad_y(params, y, model), y)
    assert check.passed, str(check)


def test_encoder_and_decoder_may_differ_in_depth(rng):
    # a decoder of one layer behind an encoder of three, and the other way around
    for deep, flat in (((4, 3, 3, 2), (2, 4)), ((4, 2), (2, 3, 3, 4))):
        encoder = draw_network(rng, deep).encoder
        params = Params(encoder, draw_network(rng, flat).encoder)
        model, y = Model("tanh", "sigmoid", "binary_cross_entropy", "contractive", 0.3), rng.uniform(size=(3, 4))
        check = gradient_check(
            lambda p, y=y, model=model: energy(p, y, y, model).mean(),
            free_energy_grad_params(params, y, model),
            params,
        )
        assert check.passed, str(check)


@pytest.mark.parametrize("size", [40.0, 1000.0])
@EVERY_SHARING
def test_cross_entropy_of_a_network_that_is_sure_of_itself_is_finite_and_exact(tied, size):
    # logits 0 and +-size: right it costs nothing, wrong it costs size, and the undecided cost log 2 each
    y, y_hat = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.25]]), np.array([[-1.0, 1.0, 0.0], [-1.0, 1.0, 0.0]])
    W, root = np.eye(3), math.sqrt(size)
    params = tied_linear(root * W) if tied else linear(W, size * W)
    model = Model("identity", "sigmoid", "binary_cross_entropy")
    tail = math.log1p(math.exp(-size))
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        found = energy(params, y, y_hat, model)
        np.testing.assert_allclose(found, [math.log(2) + 2 * tail, 2 * size + math.log(2) + 2 * tail], rtol=1e-15)
        np.testing.assert_allclose(
            energy_grad_y(params, y, y_hat, model), size * np.array([[1, -1, 0], [1, -1, 0]]), rtol=1e-14
        )
        for grad in leaves(
            (energy_grad_params(params, y, y_hat, model, np.ones(2)), energy_grad_y_hat(params, y, y_hat, model))
        ):
            assert np.isfinite(grad).all()


# what an encoder is asked for: to see along the data, and to be still


@EVERY_F
@given(generators(), st.integers(1, 3))
def test_the_contractive_penalty_knows_no_direction_of_the_data_from_another(f, rng, depth):
    # turn the data, and the networks with them: nothing changes
    widths = (4, *draw_widths(rng, depth)[1:])
    params, y, Q = draw_network(rng, widths), rng.normal(size=(5, 4)), np.linalg.qr(rng.normal(size=(4, 4)))[0]
    (first, *encoder), (*decoder, last) = params
    turned = Params((Affine(first.W @ Q.T, first.b), *encoder), (*decoder, Affine(Q @ last.W, Q @ last.b)))
    model = Model(f, "identity", regularizer="contractive", lam=1.3)
    np.testing.assert_allclose(
        energy(turned, y @ Q.T, y @ Q.T, model), energy(params, y, y, model), rtol=1e-11, atol=1e-12
    )


@given(generators(), powers(-1, 1))
def test_the_penalty_is_against_every_direction_and_the_cost_for_the_one_of_the_data(rng, lam):
    # erratum 18: data on a line; R is the same for encoders that look along it and across, C differs
    along, across = np.linalg.qr(rng.normal(size=(5, 2)))[0].T
    y = rng.normal(size=(6, 1)) * along
    contractive = LINEAR._replace(regularizer="contractive", lam=lam)
    for u in (along, across, 0.6 * along + 0.8 * across):
        params = linear(u[None], u[:, None])
        C = free_energy(params, y, LINEAR)
        np.testing.assert_allclose(free_energy(params, y, contractive) - C, lam, rtol=1e-9)
        np.testing.assert_allclose(C, (y**2).sum(axis=1) * (1 - (u @ along) ** 2), rtol=1e-9, atol=1e-12)


@given(generators(), st.integers(0, 3))
def test_the_energy_of_an_overcomplete_network_collapses_unless_it_is_regularised(rng, more):
    # the identity is within reach: F = 0 everywhere; a regulariser gives it a slope, and the code a price
    encoder = np.linalg.qr(rng.normal(size=(4 + more, 4 + more)))[0][:, :4]
    params, y = linear(encoder, encoder.T), 100 * rng.normal(size=(8, 4))
    np.testing.assert_allclose(free_energy(params, y, LINEAR), 0, atol=1e-22)
    np.testing.assert_allclose(free_energy_grad_y(params, y, LINEAR), 0, atol=1e-11)
    assert mean_gradient(params, y, LINEAR) < 1e-8
    h = y @ encoder.T
    for regularizer, price in (("l1", np.abs(h).sum(axis=1)), ("l2", (y**2).sum(axis=1)), ("contractive", 4.0)):
        F = free_energy(params, y, LINEAR._replace(regularizer=regularizer, lam=0.3))
        np.testing.assert_allclose(F, 0.3 * price, rtol=1e-10)


@given(generators(), st.integers(1, 4))
def test_the_energy_of_an_undercomplete_network_is_the_squared_distance_to_its_plane(rng, k):
    Q = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    params, y = linear(Q[:, :k].T, Q[:, :k]), 100 * rng.normal(size=(8, 5))
    off = y @ Q[:, k:]
    np.testing.assert_allclose(free_energy(params, y, LINEAR), (off**2).sum(axis=1), rtol=1e-11)
    np.testing.assert_allclose(free_energy_grad_y(params, y, LINEAR), 2 * off @ Q[:, k:].T, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(free_energy(params, y - off @ Q[:, k:].T, LINEAR), 0, atol=1e-20)


# linear auto-encoders: principal components


@given(generators(), SPECTRA, st.data())
def test_principal_components_are_stationary_and_cost_the_discarded_eigenvalues(rng, spectrum, data):
    k = data.draw(st.integers(1, len(spectrum)))
    y, U = draw_data(rng, spectrum)
    G = np.linalg.qr(rng.normal(size=(k, k)))[0] * rng.uniform(0.5, 2, k)  # the code's axes are free
    scale = math.sqrt(spectrum[0])
    for params in (
        linear(U[:, :k].T, U[:, :k]),
        linear(G @ U[:, :k].T, U[:, :k] @ np.linalg.inv(G)),
        tied_linear(U[:, :k].T),
    ):
        F = free_energy(params, y, LINEAR)
        assert F.mean() == pytest.approx(spectrum[k:].sum(), rel=1e-9, abs=1e-12 * spectrum[0])
        assert mean_gradient(params, y, LINEAR) < 1e-11 * scale * (1 + scale)


@given(generators(), SPECTRA, st.sampled_from(sorted(ACTIVATIONS)), powers(-6, 1), st.data())
def test_no_encoder_beats_the_principal_components_where_the_decoder_is_linear(rng, spectrum, f, size, data):
    # whatever the encoder, y~ lies in a plane of k dimensions; also close to the optimum, and off centre
    d = len(spectrum)
    k = data.draw(st.integers(1, d))
    y, U = draw_data(rng, spectrum)
    mean = rng.normal(size=d)
    deep = draw_network(rng, (d, 3, k), scale=10 * size).encoder
    near = tree_map(lambda a: a + size * rng.normal(size=a.shape), linear(U[:, :k].T, U[:, :k]))
    least = spectrum[k:].sum() * (1 - 1e-12)
    assert free_energy(Params(deep, near.decoder), y + mean, Model(f)).mean() >= least
    assert free_energy(near, y, LINEAR).mean() >= least
    assert free_energy(Params(deep, near.decoder), y, Model(f)).mean() >= least


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_training_ends_on_the_principal_components(seed, k):
    rng, spectrum = np.random.default_rng(seed), np.array([4.0, 2.0, 1.0, 0.3, 0.1])
    y, U = draw_data(rng, spectrum)
    params = network.init(rng, (5, k), "identity")
    for rate in (3e-2, 3e-3, 3e-4):
        params = fit(params, y, rng, LINEAR, n_epochs=600, batch_size=None, rate=rate).params
    assert free_energy(params, y, LINEAR).mean() == pytest.approx(spectrum[k:].sum(), rel=1e-7)
    projector = params.decoder[0].W @ params.encoder[0].W
    np.testing.assert_allclose(projector, U[:, :k] @ U[:, :k].T, atol=1e-4)
    assert not np.allclose(np.abs(params.encoder[0].W @ U[:, :k]), np.eye(k), atol=1e-2)  # but not on their axes


@EVERY_SHARING
def test_trained_to_the_end_a_linear_network_knows_the_plane_and_the_mean(tied, rng):
    y, U = draw_data(rng, np.array([4.0, 2.0, 1.0, 0.3, 0.1]))
    mean = rng.normal(size=5)
    params = trained_by_bfgs(network.init(rng, (5, 2), "identity", tied=tied), y + mean, LINEAR)
    assert free_energy(params, y + mean, LINEAR).mean() == pytest.approx(1.4, rel=1e-7)
    both = network.untied(params)
    np.testing.assert_allclose(both.decoder[0].W @ both.encoder[0].W, U[:, :2] @ U[:, :2].T, atol=1e-4)
    np.testing.assert_allclose(reconstruct(params, mean[None], LINEAR), mean[None], atol=1e-4)


# linear and regularised: closed forms


def shrunk(spectrum, lam, regularizer):
    """The squared singular values of W at the optimum, one for each direction."""
    if regularizer == "l2":
        return np.full(len(spectrum), max(0.0, 1 - lam / 2))
    return np.maximum(0, 1 - lam / (2 * spectrum))


@pytest.mark.parametrize("regularizer", ["contractive", "l2"])
@given(generators(), SPECTRA, powers(-2, 2), st.integers(0, 2), st.data())
def test_the_tied_linear_closed_form_is_stationary_and_none_near_it_is_better(
    regularizer, rng, spectrum, lam, more, data
):
    # contractive: sum_i (1 - p_i)^2 s_i + lam p_i. l2: sum_i s_i [(1 - p_i)^2 + lam p_i], the same p everywhere
    d = len(spectrum)
    y, U = draw_data(rng, spectrum)
    p = shrunk(spectrum, lam, regularizer)
    frame = np.linalg.qr(rng.normal(size=(d + more, d + more)))[0][:, :d]
    W = frame * np.sqrt(p) @ U.T
    params, model = tied_linear(W), LINEAR._replace(regularizer=regularizer, lam=lam)
    price = p if regularizer == "contractive" else p * spectrum
    least = ((1 - p) ** 2 * spectrum + lam * price).sum()
    reached = free_energy(params, y, model).mean()
    assert reached == pytest.approx(least, rel=1e-10)
    assert mean_gradient(params, y, model) < 1e-10 * (spectrum[0] + lam * (1 + spectrum[0]))
    size = 10.0 ** rng.uniform(-4, 0)
    near = tree_map(lambda a: a + size * rng.normal(size=a.shape), params)
    assert free_energy(near, y, model).mean() >= reached * (1 - 1e-12)


@pytest.mark.parametrize("regularizer", ["contractive", "l2"])
@pytest.mark.parametrize("k", [4, 6])
@pytest.mark.parametrize("lam", [0.5, 1.5])
def test_training_reaches_the_tied_linear_closed_form(lam, k, regularizer, rng):
    spectrum = np.array([4.0, 2.0, 1.0, 0.2])
    y, U = draw_data(rng, spectrum)
    model = LINEAR._replace(regularizer=regularizer, lam=lam)
    params = trained_by_bfgs(network.init(rng, (4, k), "identity", tied=True), y, model)
    W = params.encoder[0].W
    p = shrunk(spectrum, lam, regularizer)
    np.testing.assert_allclose(np.linalg.svd(W, compute_uv=False) ** 2, p, atol=1e-6)
    np.testing.assert_allclose(W.T @ W, U * p @ U.T, atol=1e-6)


@given(generators(), SPECTRA, powers(-6, 0), powers(-1, 1))
def test_untied_the_penalty_is_evaded(rng, spectrum, s, lam):
    # erratum 18: encoder times s, decoder by s: the same y~, s^2 of the penalty. Tied there is a floor
    d = len(spectrum)
    y, U = draw_data(rng, spectrum)
    k = max(1, d - 1)
    model, E, V = LINEAR._replace(regularizer="contractive", lam=lam), rng.normal(size=(k, d)), rng.normal(size=(d, k))
    C, F = free_energy(linear(E, V), y, LINEAR), free_energy(linear(E, V), y, model)
    np.testing.assert_allclose(free_energy(linear(s * E, V / s), y, LINEAR), C, rtol=1e-9)
    np.testing.assert_allclose(free_energy(linear(s * E, V / s), y, model), C + s**2 * (F - C), rtol=1e-9)
    best = linear(s * U[:, :k].T, U[:, :k] / s)
    assert free_energy(best, y, model).mean() == pytest.approx(spectrum[k:].sum() + lam * s**2 * k, rel=1e-9)
    p = shrunk(spectrum, lam, "contractive")
    floor = ((1 - p) ** 2 * spectrum + lam * p)[:k].sum() + spectrum[k:].sum()
    assert floor > spectrum[k:].sum()
    for shrunken in (s, 1.0, 1 / s):
        assert free_energy(tied_linear(shrunken * U[:, :k].T), y, model).mean() >= floor * (1 - 1e-12)


def test_untied_training_evades_the_penalty_and_tied_training_cannot(rng):
    y, _ = draw_data(rng, np.array([4.0, 2.0, 1.0, 0.2]))
    model, reached = LINEAR._replace(regularizer="contractive", lam=0.5), {}
    for tied in (False, True):
        params = trained_by_bfgs(network.init(rng, (4, 2), "identity", tied=tied), y, model)
        reached[tied] = free_energy(params, y, model).mean() - 1.2
    assert 0 <= reached[False] < 3e-3
    assert reached[True] == pytest.approx(4 * (1 / 16) ** 2 + 2 * (1 / 8) ** 2 + 0.5 * (15 / 16 + 7 / 8), rel=1e-6)


# training


@EVERY_SHARING
@pytest.mark.parametrize("batch_size", [None, 7])
def test_training_is_adam_on_the_mean_free_energy(batch_size, tied, rng):
    params = draw_network(rng, (4, 5, 2), tied)
    model, y = Model("tanh", regularizer="contractive", lam=0.2), rng.normal(size=(20, 4))
    order = np.random.default_rng(3).permutation(20)
    p, losses = params, []
    m, v = (tree_map(np.zeros_like, p) for _ in range(2))
    for t, start in enumerate(range(0, 20, batch_size or 20), start=1):
        batch = y[order[start : start + (batch_size or 20)]]
        losses.extend(free_energy(p, batch, model))
        g = free_energy_grad_params(p, batch, model)
        m = tree_map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = tree_map(lambda v, g: 0.999 * v + 0.001 * g**2, v, g)
        p = tree_map(lambda p, m, v, t=t: p - 0.3 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8), p, m, v)
    found = fit(params, y, np.random.default_rng(3), model, n_epochs=1, batch_size=batch_size, rate=0.3)
    np.testing.assert_allclose(flatten(found.params), flatten(p), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found.history, [np.mean(losses)], rtol=1e-9)


@EVERY_REGULARIZER
@pytest.mark.parametrize("cost", COSTS)
def test_training_lowers_the_free_energy(cost, regularizer, rng):
    g = "sigmoid" if cost == "binary_cross_entropy" else "identity"
    model, y = Model("softplus", g, cost, regularizer, 0.1), (rng.random((64, 1)) * rng.random(6)).round(2)
    start = network.init(rng, (6, 4, 2), tied=True)
    found = fit(start, y, rng, model, n_epochs=30, batch_size=16, rate=1e-2)
    before, after = (free_energy(p, y, model).mean() for p in (start, found.params))
    assert after < found.history[0] < 1.1 * before
    assert after < 0.9 * before
    assert found.history.shape == (30,)
    first = fit(start, y, rng, model, n_epochs=1, batch_size=None).history
    np.testing.assert_allclose(first, [before], rtol=1e-12)  # all at once: the loss functional (6) of the start


def test_every_sample_counts_once_in_an_uneven_last_batch(rng):
    y = rng.normal(size=(10, 3)) * 10.0 ** np.arange(-2, 3).repeat(2)[:, None]
    params = network.init(rng, (3, 2))
    found = fit(params, y, rng, Model(), n_epochs=3, batch_size=4, rate=1e-14)
    np.testing.assert_allclose(found.history, free_energy(params, y, Model()).mean(), rtol=1e-8)


def test_the_generator_shuffles_and_nothing_else_is_random(rng):
    y, params = rng.normal(size=(20, 4)), network.init(rng, (4, 3))
    a, b, c = (fit(params, y, np.random.default_rng(s), Model(), n_epochs=2, batch_size=6) for s in (1, 1, 2))
    np.testing.assert_array_equal(flatten(a.params), flatten(b.params))
    np.testing.assert_array_equal(a.history, b.history)
    assert not np.array_equal(flatten(a.params), flatten(c.params))


def test_the_callback_hears_of_each_epoch(rng):
    heard = []
    options = {"n_epochs": 3, "callback": lambda *report: heard.append(report)}
    found = fit(network.init(rng, (4, 3)), rng.normal(size=(20, 4)), rng, Model(), **options)
    assert heard == list(enumerate(found.history, start=1))


def frozen(tree):
    for leaf in leaves(tree):
        leaf.setflags(write=False)
    return tree


@EVERY_SHARING
@pytest.mark.parametrize(("regularizer", "cost"), list(itertools.product(REGULARIZERS, COSTS)))
def test_single_precision_is_kept_and_nothing_handed_in_is_written_to(regularizer, cost, tied, rng):
    g = "sigmoid" if cost == "binary_cross_entropy" else "tanh"
    model, double = Model("tanh", g, cost, regularizer, 0.3), (draw_network(rng, (4, 3, 2), tied), rng.random((5, 4)))
    for dtype in (np.float32, np.float64):
        params, y = frozen(tree_map(lambda a, dtype=dtype: a.astype(dtype), double))
        results = (
            free_energy(params, y, model),
            free_energy_grad_y(params, y, model),
            reconstruct(params, y, model),
            *leaves(free_energy_grad_params(params, y, model)),
            *leaves(fit(params, y, rng, model, n_epochs=2, batch_size=3).params),
        )
        assert {array.dtype for array in results} == {np.dtype(dtype)}
        np.testing.assert_allclose(results[0], free_energy(*double, model), rtol=1e-4)
    mixed = fit(tree_map(lambda a: a.astype(np.float32), double[0]), double[1], rng, model, n_epochs=1).params
    assert {leaf.dtype for leaf in leaves(mixed)} == {np.dtype(np.float64)}


def test_a_step_that_is_too_long_is_said_to_be_and_nothing_is_spoilt(rng):
    params, y = frozen((draw_network(rng, (4, 3)), rng.normal(size=(20, 4))))
    copies = tree_map(np.copy, (params, y))
    with pytest.raises(FloatingPointError, match="diverged"):
        fit(params, y, rng, Model(), rate=1e200)
    np.testing.assert_array_equal(flatten((params, y)), flatten(copies))


# refusals


GOOD = draw_network(np.random.default_rng(0), (3, 2))
SPOILT = np.array([[0.5, 0.5, np.nan]])


@pytest.mark.parametrize(
    ("name", "error", "arguments"),
    [
        ("y", ValueError, {"y": SPOILT}),
        ("y", ValueError, {"y": np.full((5, 3), np.inf)}),
        ("y", ValueError, {"y": np.full((5, 3), 1e200)}),
        ("y", ValueError, {"y": np.ones((5, 2))}),
        ("y", ValueError, {"y": np.ones(3)}),
        ("y", ValueError, {"y": np.ones((0, 3))}),
        ("y", TypeError, {"y": None}),
        ("y", TypeError, {"y": np.ones((5, 3)) * 1j}),
        ("y", ValueError, {"model": CROSS_ENTROPY, "y": np.full((5, 3), 1 + 1e-9)}),
        ("y", ValueError, {"model": CROSS_ENTROPY, "y": np.full((5, 3), -1e-9)}),
        ("y", ValueError, {"model": CROSS_ENTROPY, "y": SPOILT}),
        ("model", TypeError, {"model": "tanh"}),
        ("model", TypeError, {"model": tuple(Model())}),
        ("model", TypeError, {"model": None}),
        ("model.f", ValueError, {"model": Model(f="gelu")}),
        ("model.f", ValueError, {"model": Model(f=np.tanh)}),
        ("model.g", ValueError, {"model": Model(g="softmax")}),
        ("model.g", ValueError, {"model": CROSS_ENTROPY._replace(g="identity")}),
        ("model.cost", ValueError, {"model": Model(cost="l2")}),
        ("model.regularizer", ValueError, {"model": Model(regularizer="L1")}),
        ("model.regularizer", ValueError, {"model": Model(regularizer=None)}),
        ("model.lam", ValueError, {"model": Model(lam=-1e-9)}),
        ("model.lam", ValueError, {"model": Model(lam=np.nan)}),
        ("model.lam", ValueError, {"model": Model(lam=np.inf)}),
        ("model.lam", TypeError, {"model": Model(lam="1")}),
        ("params", TypeError, {"params": None}),
        ("params", TypeError, {"params": tuple(GOOD)}),
        ("params.encoder", TypeError, {"params": GOOD._replace(encoder=())}),
        (r"params.encoder\[0\].W", ValueError, {"params": linear(np.full((2, 3), np.nan), np.ones((3, 2)))}),
        (r"params.decoder\[0\].W", ValueError, {"params": linear(np.ones((2, 3)), np.ones((3, 4)))}),
    ],
)
@pytest.mark.parametrize(
    "function",
    [
        free_energy,
        free_energy_grad_y,
        free_energy_grad_params,
        lambda params, y, model: fit(params, y, np.random.default_rng(0), model),
    ],
    ids=["free_energy", "free_energy_grad_y", "free_energy_grad_params", "fit"],
)
def test_a_bad_argument_is_refused_by_name(function, name, error, arguments):
    with pytest.raises(error, match=rf"^{name}(, with binary cross-entropy)?: expected"):
        function(**{"params": GOOD, "y": np.ones((5, 3)), "model": Model(), **arguments})


@pytest.mark.parametrize(
    ("name", "error", "options"),
    [
        ("rng", TypeError, {"rng": 0}),
        ("rng", TypeError, {"rng": None}),
        ("n_epochs", ValueError, {"n_epochs": 0}),
        ("n_epochs", TypeError, {"n_epochs": 1.5}),
        ("batch_size", ValueError, {"batch_size": 0}),
        ("batch_size", TypeError, {"batch_size": 2.0}),
        ("rate", ValueError, {"rate": 0.0}),
        ("rate", ValueError, {"rate": np.nan}),
    ],
)
def test_the_options_of_training_are_refused_by_name_too(name, error, options):
    with pytest.raises(error, match=rf"^{name}: expected"):
        fit(GOOD, np.ones((5, 3)), **{"rng": np.random.default_rng(0), "model": Model(), **options})


def test_weights_that_are_not_one_a_sample_are_refused_by_name():
    with pytest.raises(ValueError, match=r"^weights: expected"):
        free_energy_grad_params(GOOD, np.ones((5, 3)), Model(), np.ones(4))


@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_the_ends_of_the_interval_are_targets_for_cross_entropy(edge):
    assert np.isfinite(free_energy(GOOD, np.full((5, 3), edge), CROSS_ENTROPY)).all()


@pytest.mark.parametrize("regularizer", REGULARIZERS)
def test_a_weight_that_is_a_numpy_number_keeps_single_precision(regularizer, rng):
    params, y = network.init(rng, (4, 3, 2), dtype=np.float32), rng.random((5, 4)).astype(np.float32)
    model = Model(regularizer=regularizer, lam=np.float64(0.3))
    results = (
        free_energy(params, y, model),
        free_energy_grad_y(params, y, model),
        *leaves(free_energy_grad_params(params, y, model)),
        *leaves(fit(params, y, rng, model, n_epochs=1).params),
    )
    assert {array.dtype for array in results} == {np.dtype(np.float32)}


@pytest.mark.parametrize("spoil", [lambda y: y[:, :-1], lambda y: y * np.nan, lambda y: "y"])
def test_what_a_corruption_of_ones_own_returns_is_checked(spoil, rng):
    params, y = network.init(rng, (4, 3)), rng.random((5, 4))
    with pytest.raises((ValueError, TypeError), match=r"^corrupt\(y\): expected"):
        fit(params, y, rng, Model(), corrupt=spoil)


def test_a_corruption_of_ones_own_in_double_precision_keeps_the_training_single(rng):
    params, y = network.init(rng, (4, 3), dtype=np.float32), rng.random((5, 4)).astype(np.float32)
    single, double = (
        fit(params, y, np.random.default_rng(0), Model(), corrupt=lambda some, kind=kind: some.astype(kind), n_epochs=9)
        for kind in (np.float32, np.float64)
    )
    assert {array.dtype for array in leaves(double.params)} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(flatten(double.params), flatten(single.params))
    np.testing.assert_array_equal(double.history, single.history)


def test_energies_and_weights_beyond_the_largest_number_are_refused_by_name(rng):
    params, y = network.init(rng, (4, 3)), rng.random((5, 4))
    huge = tree_map(lambda a: 1e100 + a, params)
    with pytest.raises(ValueError, match=r"^F\(y\): expected finite"):
        free_energy(huge, 1e100 * y, Model("identity"))
    with pytest.raises(ValueError, match=r"^F\(y\): expected finite"):  # infinity less infinity
        free_energy(tree_map(lambda a: 1e150 * a, params), 1e150 * y, Model("identity"))
    with pytest.raises(ValueError, match=r"^model.lam: expected"):
        free_energy(params, y.astype(np.float32), Model(regularizer="l2", lam=1e60))


def test_a_wrong_shape_is_answered_in_the_letters_of_the_page():
    for door in (encode, reconstruct, free_energy):
        with pytest.raises(ValueError, match=r"^y: expected shape \(N, 3\), got shape \(3,\)$"):
            door(GOOD, np.ones(3), Model())
    with pytest.raises(ValueError, match=r"^h: expected shape \(N, 2\), got shape \(2,\)$"):
        decode(GOOD, np.ones(2), Model())


def test_what_corrupts_has_to_be_a_function(rng):
    with pytest.raises(TypeError, match=r"^corrupt: expected"):
        fit(GOOD, np.ones((5, 3)), rng, Model(), corrupt="gaussian")


def test_by_default_adam_makes_twenty_epochs_of_steps_of_a_thousandth_on_batches_of_256(rng):
    y = rng.random((600, 3))
    options = {"n_epochs": 20, "batch_size": 256, "rate": 1e-3}
    one, other = (fit(GOOD, y, np.random.default_rng(0), Model(), **chosen) for chosen in ({}, options))
    np.testing.assert_array_equal(flatten(one.params), flatten(other.params))
    np.testing.assert_array_equal(one.history, other.history)
    assert len(one.history) == 20


def test_the_mean_of_an_epoch_is_not_rounded_to_single_precision(rng):
    y = rng.random((20, 6)).astype(np.float32)
    history = fit(network.init(rng, (6, 3), dtype=np.float32), y, rng, Model(), n_epochs=5).history
    assert (history.astype(np.float32) != history).any()


def test_what_is_no_model_is_told_what_it_is_instead():
    with pytest.raises(TypeError, match=r"^model: expected an autoencoder.Model, got str$"):
        encode(GOOD, np.ones((5, 3)), "tanh")
