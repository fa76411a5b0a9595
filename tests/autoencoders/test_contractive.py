import numpy as np
import pytest
from guards import read_only
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import SIZES, arrays, generators

from ebm_np.autoencoders import autoencoder, contractive, network
from ebm_np.autoencoders.contractive import jacobian, penalty, penalty_grad
from ebm_np.autoencoders.network import Params, Tied
from ebm_np.foundations.gradient_check import complex_step, gradient_check
from ebm_np.foundations.layers import (
    ACTIVATIONS,
    Affine,
    affine,
    init_mlp,
    mlp,
    mlp_backward,
    mlp_forward,
    mlp_grad,
)
from ebm_np.foundations.parameters import leaves, tree_map

NAMES = pytest.mark.parametrize("f", sorted(ACTIVATIONS))
names = st.sampled_from(sorted(ACTIVATIONS))
depths = st.integers(1, 3)
SLOPES = {
    "identity": lambda a: 1 + 0 * a,
    "relu": lambda a: a > 0,
    "sigmoid": lambda a: 1 / (2 + np.exp(a) + np.exp(-a)),
    "softplus": lambda a: 1 / (1 + np.exp(-a)),
    "tanh": lambda a: 1 / np.cosh(a) ** 2,
}


def draw_encoder(rng, widths, power=1.0):
    """Layers whose offsets are not zero."""
    layers = init_mlp(rng, widths, power=power)
    return read_only(tuple(Affine(W, 0.7 * rng.normal(size=b.shape)) for W, b in layers))


def draw_problem(rng, depth, f, n=3):
    """An encoder and observations that are near none of its kinks."""
    widths = tuple(int(width) for width in rng.integers(1, 5, depth + 1))
    encoder, y = draw_encoder(rng, widths), read_only(rng.normal(size=(n, widths[0])))
    hs = mlp_forward(encoder, y, f, last=f)
    sums = [affine(layer, h) for layer, h in zip(encoder, hs, strict=False)]
    assume(f != "relu" or all(np.abs(a).min() > 1e-3 for a in sums))
    return encoder, y


def passed(encoder, y, f):
    return mlp_forward(encoder, y, f, last=f)


# the Jacobian and its norm


@NAMES
@given(generators(), depths)
def test_the_jacobian_is_the_complex_step_of_the_code_column_by_column(f, rng, depth):
    encoder, y = draw_problem(rng, depth, f)
    J = jacobian(encoder, y, f)
    assert J.shape == (len(y), len(encoder[-1].W), y.shape[1])
    for j, unit in enumerate(np.eye(y.shape[1])):
        column = complex_step(lambda y: mlp(encoder, y, f, last=f), y, np.tile(unit, (len(y), 1)))
        np.testing.assert_allclose(J[:, :, j], column, rtol=1e-12, atol=1e-12 * np.abs(J).max())


@NAMES
@given(generators(), depths)
def test_the_penalty_is_the_squared_frobenius_norm_of_the_jacobian(f, rng, depth):
    encoder, y = draw_problem(rng, depth, f)
    R = penalty(encoder, passed(encoder, y, f), f)
    assert R.shape == (len(y),)
    for r, J in zip(R, jacobian(encoder, y, f), strict=True):
        assert r == pytest.approx(np.linalg.norm(J, "fro") ** 2, rel=1e-12)


@NAMES
@given(generators(), SIZES, SIZES)
def test_of_one_layer_it_is_each_unit_s_squared_slope_times_the_length_of_its_weights(f, rng, d, k):
    encoder, y = draw_encoder(rng, (d, k)), rng.normal(size=(4, d))
    W, b = encoder[0]
    for n, found in enumerate(penalty(encoder, passed(encoder, y, f), f)):
        rifai = sum(SLOPES[f](W[i] @ y[n] + b[i]) ** 2 * sum(w**2 for w in W[i]) for i in range(k))
        assert found == pytest.approx(rifai, rel=1e-11)


@given(names, generators(), depths)
def test_it_is_the_energy_that_small_noise_in_the_observation_has_in_the_code(f, rng, depth):
    # the 2d points +-sigma sqrt(d) e_j have mean 0 and covariance sigma^2 I, as the Gaussian has
    encoder, y = draw_problem(rng, depth, f)
    d, sigma = y.shape[1], 1e-4
    cloud = sigma * np.sqrt(d) * np.vstack([np.eye(d), -np.eye(d)])
    h = mlp(encoder, y, f, last=f)
    moved = [((mlp(encoder, y + noise, f, last=f) - h) ** 2).sum(axis=1) for noise in cloud]
    R = penalty(encoder, passed(encoder, y, f), f)
    np.testing.assert_allclose(np.mean(moved, axis=0) / sigma**2, R, rtol=1e-4, atol=1e-6)


@given(names, generators(), depths)
def test_it_is_blind_to_the_axes_and_so_as_large_in_every_direction(f, rng, depth):
    # the note has R spare directions along the data; but turn the data, and the penalty turns with them
    encoder, y = draw_problem(rng, depth, f)
    Q = np.linalg.qr(rng.normal(size=(y.shape[1],) * 2))[0]
    turned = (Affine(encoder[0].W @ Q.T, encoder[0].b), *encoder[1:])
    R = penalty(encoder, passed(encoder, y, f), f)
    np.testing.assert_allclose(penalty(turned, passed(turned, y @ Q.T, f), f), R, rtol=1e-10, atol=1e-14)
    shares = (jacobian(encoder, y, f) @ Q.T) ** 2  # along each of any orthonormal directions
    np.testing.assert_allclose(shares.sum(axis=(1, 2)), R, rtol=1e-11)


@given(generators(), depths)
def test_a_linear_code_trembles_everywhere_alike(rng, depth):
    encoder, y = draw_problem(rng, depth, "identity")
    product = encoder[0].W
    for layer in encoder[1:]:
        product = layer.W @ product
    np.testing.assert_allclose(penalty(encoder, passed(encoder, y, "identity"), "identity"), (product**2).sum())


@pytest.mark.parametrize("f", ["sigmoid", "tanh"])
def test_a_saturated_code_does_not_tremble(f, rng):
    encoder, y = draw_encoder(rng, (3, 4, 2)), rng.normal(size=(5, 3))
    far = (encoder[0], Affine(encoder[1].W, np.full(2, 800.0)))
    assert not penalty(far, passed(far, y, f), f).any()
    assert not jacobian(far, y, f).any()


# its gradient


@NAMES
@given(generators(), depths, st.integers(1, 2))
def test_the_gradient_of_the_penalty_is_the_complex_step_in_all_weights_and_in_the_observation(f, rng, depth, n):
    encoder, y = draw_problem(rng, depth, f, n)
    q = rng.normal(size=n)
    hs = passed(encoder, y, f)
    in_matrices, also = penalty_grad(encoder, hs, f, q)
    assert [a.shape for a in in_matrices] == [layer.W.shape for layer in encoder]
    assert [a.shape for a in also] == [h.shape for h in hs[1:]]
    deltas = mlp_backward(encoder, hs, np.zeros_like(hs[-1]), f, f, also)
    grads = mlp_grad(hs, deltas)
    claimed = (
        tuple(Affine(W + more, b) for (W, b), more in zip(grads, in_matrices, strict=True)),
        deltas[0] @ encoder[0].W,
    )
    check = gradient_check(lambda p: q @ penalty(p[0], passed(*p, f), f), claimed, (encoder, y))
    assert check.passed, str(check)


@given(generators(), depths, names, st.booleans())
def test_with_the_penalty_the_gradient_of_the_free_energy_is_the_complex_step(rng, depth, f, tied):
    encoder, y = draw_problem(rng, depth, f)
    model = autoencoder.Model(f, regularizer="contractive", lam=0.8)
    back = [layer.W.shape[1] for layer in reversed(encoder)]
    if tied:
        params = Tied(encoder, tuple(0.7 * rng.normal(size=k) for k in back))
    else:
        params = Params(encoder, draw_encoder(rng, (len(encoder[-1].W), *back)))
    decoder = network.untied(params).decoder
    ts = mlp_forward(decoder, mlp(encoder, y, f, last=f), f)
    assume(f != "relu" or all(np.abs(affine(layer, t)).min() > 1e-3 for layer, t in zip(decoder, ts, strict=False)))
    weights = rng.normal(size=len(y))
    claimed = autoencoder.free_energy_grad_params(params, y, model, weights)
    check = gradient_check(lambda p: weights @ autoencoder.energy(p, y, y, model), claimed, params)
    assert check.passed, str(check)


@given(names, generators(), depths)
def test_a_sample_without_weight_leaves_no_trace_in_the_gradient(f, rng, depth):
    encoder, y = draw_problem(rng, depth, f)
    one, all_three = (
        penalty_grad(encoder, passed(encoder, some, f), f, q)
        for some, q in (
            (y[1:2], np.ones(1)),
            (y, np.array([0.0, 1.0, 0.0])),
        )
    )
    for a, b in zip(one[0], all_three[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    for a, b in zip(one[1], all_three[1], strict=True):
        np.testing.assert_allclose(b, np.vstack([0 * a, a, 0 * a]), rtol=1e-12, atol=1e-14)


# what it asks of a network


@given(generators(), st.floats(-6, 6).map(lambda e: 10.0**e))
def test_untied_the_encoder_shrinks_and_the_decoder_grows_and_nothing_is_contracted(rng, s):
    params = network.init(rng, (4, 3))
    y = rng.normal(size=(5, 4))
    (W, _), (V, _) = params.encoder[0], params.decoder[0]
    evading = Params((Affine(s * W, np.zeros(3)),), (Affine(V / s, np.zeros(4)),))
    linear = autoencoder.Model("identity", regularizer="contractive", lam=1.0)
    free = linear._replace(regularizer="none")
    same = autoencoder.free_energy(params, y, free)
    np.testing.assert_allclose(autoencoder.free_energy(evading, y, free), same, rtol=1e-12)
    R = autoencoder.free_energy(evading, y, linear) - autoencoder.free_energy(evading, y, free)
    np.testing.assert_allclose(R, s**2 * (W**2).sum(), rtol=1e-8, atol=1e-12)


@given(generators(), SIZES, st.floats(-2, 2).map(lambda e: 10.0**e))
def test_tied_and_linear_it_shrinks_what_varies_and_gives_up_what_hardly_does(rng, d, lam):
    # derivation 6: with W^T W = U diag(p) U^T the best are p_i = max(0, 1 - lam / 2 s_i), s_i the variance along u_i
    s, U = rng.exponential(2.0, d) + 0.01, np.linalg.qr(rng.normal(size=(d, d)))[0]
    y = np.sqrt(d) * np.vstack([np.sqrt(s)[:, None] * U.T, -np.sqrt(s)[:, None] * U.T])  # mean 0, covariance U s U^T
    p = np.maximum(0, 1 - lam / (2 * s))
    model = autoencoder.Model("identity", regularizer="contractive", lam=lam)

    def mean(W):
        return autoencoder.free_energy(Tied((Affine(W, np.zeros(len(W))),), (np.zeros(d),)), y, model).mean()

    best = np.sqrt(p)[:, None] * U.T
    assert mean(best) == pytest.approx(np.where(p > 0, lam - lam**2 / (4 * s), s).sum(), rel=1e-11)
    for _ in range(10):
        V = rng.normal(size=(2, d, d)) * 10.0 ** rng.uniform(-4, 1, (2, 1, 1))
        assert mean(best) <= mean(best + V[0]) * (1 + 1e-12)
        assert mean(best) <= mean(V[1]) * (1 + 1e-12)
    params = Tied((Affine(best, np.zeros(d)),), (np.zeros(d),))
    grad = autoencoder.free_energy_grad_params(params, y, model)
    np.testing.assert_allclose(grad.encoder[0].W, 0, atol=1e-11 * (1 + lam) * (1 + s.max()))


@pytest.mark.parametrize(("f", "tied"), [("sigmoid", True), ("relu", False)])
def test_a_network_starts_as_any_other_but_tied_and_with_the_sigmoid(f, tied):
    options = {} if tied else {"f": f, "tied": False}
    found = contractive.init(np.random.default_rng(1), (5, 4, 3), **options, dtype=np.float32)
    expected = network.init(np.random.default_rng(1), (5, 4, 3), f, tied=tied, dtype=np.float32)
    assert type(found) is type(expected) is (Tied if tied else Params)
    for a, b in zip(leaves(found), leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == np.float32


def test_training_with_the_penalty_lowers_it(rng):
    y = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 5))
    start = contractive.init(rng, (5, 8))
    fitted = {
        lam: autoencoder.fit(
            start,
            y,
            np.random.default_rng(0),
            autoencoder.Model("sigmoid", regularizer="contractive", lam=lam),
            n_epochs=100,
            batch_size=20,
            rate=0.02,
        )
        for lam in (0.0, 100.0)
    }
    free, held = (
        penalty(fit.params.encoder, passed(fit.params.encoder, y, "sigmoid"), "sigmoid").mean()
        for fit in fitted.values()
    )
    assert held < 0.5 * free
    for fit in fitted.values():
        assert fit.history[-1] < fit.history[0]


# what all share


@given(names, generators(), depths)
def test_a_batch_is_its_rows_one_by_one(f, rng, depth):
    encoder, y = draw_problem(rng, depth, f, 4)
    R, J = penalty(encoder, passed(encoder, y, f), f), jacobian(encoder, y, f)
    for n in range(4):
        row = y[n : n + 1]
        np.testing.assert_allclose(penalty(encoder, passed(encoder, row, f), f), R[n : n + 1], rtol=1e-12)
        np.testing.assert_allclose(jacobian(encoder, row, f), J[n : n + 1], rtol=1e-12, atol=1e-14)


@NAMES
@pytest.mark.parametrize("widths", [(3, 4), (3, 4, 2), (3, 4, 5, 2)])
def test_single_precision_is_kept(f, widths, rng):
    encoder, y, q = tree_map(
        lambda a: a.astype(np.float32), (draw_encoder(rng, widths), rng.normal(size=(5, 3)), rng.normal(size=5))
    )
    hs = passed(encoder, y, f)
    in_matrices, also = penalty_grad(encoder, hs, f, q)
    results = jacobian(encoder, y, f), penalty(encoder, hs, f), *in_matrices, *also
    assert {a.dtype for a in results} == {np.dtype(np.float32)}


@given(st.sampled_from(["sigmoid", "softplus", "tanh"]), arrays((5, 3), 1e3), generators())
def test_no_observation_is_too_far_out(f, y, rng):
    encoder = draw_encoder(rng, (3, 4, 2))
    hs = passed(encoder, y, f)
    R = penalty(encoder, hs, f)
    bound = np.prod([(layer.W**2).sum() for layer in encoder])  # slopes are at most 1
    assert R.min() >= 0
    assert R.max() <= bound * (1 + 1e-12)
    for part in penalty_grad(encoder, hs, f, np.ones(5)):
        assert all(np.isfinite(a).all() for a in part)


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("encoder: expected", {"encoder": None}),
        (r"encoder\[0\].W: expected", {"encoder": (Affine(np.full((2, 3), np.nan), np.zeros(2)),)}),
        (r"y: expected shape \(N, 3\), got shape \(5, 2\)", {"y": np.ones((5, 2))}),
        (r"y: expected shape \(N, 3\), got shape \(3,\)", {"y": np.ones(3)}),
        ("y: expected finite", {"y": np.full((5, 3), np.inf)}),
        ("f: expected one of", {"f": "gelu"}),
    ],
)
def test_bad_arguments_are_refused_by_name(message, change):
    good = {"encoder": (Affine(np.ones((2, 3)), np.zeros(2)),), "y": np.ones((5, 3)), "f": "tanh"}
    with pytest.raises((ValueError, TypeError), match=f"^{message}"):
        jacobian(**good | change)
