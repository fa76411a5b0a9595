import warnings
from itertools import pairwise

import numpy as np
import pytest
from guards import read_only
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import SIZES, arrays, generators

from ebm_np.autoencoders import network, target_propagation
from ebm_np.autoencoders.network import Params, Tied
from ebm_np.autoencoders.target_propagation import (
    decode,
    encode,
    energy,
    energy_grad_params,
    energy_grad_y,
    energy_grad_z,
    fit,
    free_energy,
    free_energy_grad_params,
    free_energy_grad_y,
    infer,
)
from ebm_np.foundations.gradient_check import central_difference, complex_step, complex_step_gradient, gradient_check
from ebm_np.foundations.layers import ACTIVATIONS, Affine, affine, mlp_forward
from ebm_np.foundations.parameters import flatten, inner, leaves, tree_map
from ebm_np.foundations.results import ConvergenceWarning, Fit

NAMES = pytest.mark.parametrize("f", sorted(ACTIVATIONS))
CURVED = pytest.mark.parametrize("f", ["sigmoid", "softplus", "tanh"])
names = st.sampled_from(sorted(ACTIVATIONS))
curved = st.sampled_from(["sigmoid", "softplus", "tanh"])
depths = st.integers(1, 3)


def powers(low, high):
    """Positive numbers, evenly over the orders of magnitude."""
    return st.floats(low, high).map(lambda e: 10.0**e)


def draw_layers(rng, widths, f):
    return tree_map(lambda a: a + 0.5 * rng.normal(size=a.shape), network.init(rng, widths, f).encoder)


def draw_problem(rng, f="tanh", deep=2, high=2, d=4, k=3, n=4):
    """Encoder and decoder of their own depths, observations, and codes somewhere."""
    inner_widths = rng.integers(2, 5, deep + high - 2)
    encoder = draw_layers(rng, (d, *map(int, inner_widths[: deep - 1]), k), f)
    decoder = draw_layers(rng, (k, *map(int, inner_widths[deep - 1 :]), d), f)
    return read_only((Params(encoder, decoder), 1.5 * rng.normal(size=(n, d)), rng.normal(size=(n, k))))


def away_from_kinks(params, y, z, f):
    """Say whether no unit of a ReLU network is near its kink."""
    pairs = [
        affine(layer, h)
        for layers, x in ((params.encoder, y), (params.decoder, z))
        for layer, h in zip(layers[:-1], mlp_forward(layers, x, f), strict=False)
    ]
    return f != "relu" or all(np.abs(a).min() > 1e-3 for a in pairs)


def square(v):
    return (v**2).sum(axis=-1)


def hessian(params, y, z, f, alpha, lam):
    """d2E/dz2 of each sample, by the complex step of the gradient: (N, k, k)."""
    return np.stack(
        [
            complex_step(lambda z: energy_grad_z(params, y, z, f, alpha, lam), z, np.tile(unit, (len(z), 1)))
            for unit in np.eye(z.shape[1])
        ],
        axis=2,
    )


def quietly(function, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return function(*arguments, **options)


# the energy


@given(names, generators(), depths, depths, powers(-3, 3), st.just(0.0) | powers(-3, 3))
def test_energy_is_the_sum_of_its_three_terms(f, rng, deep, high, alpha, lam):
    params, y, z = draw_problem(rng, f, deep, high)
    guess, decoded = encode(params, y, f), decode(params, z, f)
    assert guess.shape == z.shape
    assert decoded.shape == y.shape
    for n, found in enumerate(energy(params, y, z, f, alpha, lam)):
        C = sum((y[n, i] - decoded[n, i]) ** 2 for i in range(4))
        R = sum(z[n, j] ** 2 for j in range(3))
        D = sum((z[n, j] - guess[n, j]) ** 2 for j in range(3))
        assert found == pytest.approx(C + lam * R + alpha * D, rel=1e-12)
    plain = energy(params, y, z, f)  # the note's: alpha = 1, no R
    np.testing.assert_allclose(plain, energy(params, y, z, f, 1.0, 0.0), rtol=0)


@CURVED
def test_each_network_bends_between_its_layers_and_is_affine_after_the_last(f, rng):
    params, y, z = draw_problem(rng, f)
    for layers, x, function in ((params.encoder, y, encode), (params.decoder, z, decode)):
        (W, b), (V, c) = layers
        textbook = {
            "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
            "softplus": lambda a: np.log1p(np.exp(a)),
            "tanh": np.tanh,
        }[f]
        for found, row in zip(function(params, x, f), x, strict=True):
            np.testing.assert_allclose(found, V @ textbook(W @ row + b) + c, rtol=1e-12, atol=1e-13)


@given(generators(), depths, SIZES, SIZES)
def test_the_decoder_reads_the_code(rng, high, d, k):
    # the note has g(W_y y + b_y), which cannot even be computed where code and observation differ in length
    params, y, _ = draw_problem(rng, "tanh", 1, high, d, k)
    assert decode(params, encode(params, y, "tanh"), "tanh").shape == y.shape
    assert params.decoder[0].W.shape[1] == k
    if d != k:
        with pytest.raises(ValueError, match=r"^z: expected"):
            decode(params, y, "tanh")


@given(names, generators(), depths, depths, powers(-2, 2), st.just(0.0) | powers(-2, 2))
def test_the_gradients_in_code_and_observation_are_the_complex_step(f, rng, deep, high, alpha, lam):
    params, y, z = draw_problem(rng, f, deep, high)
    assume(away_from_kinks(params, y, z, f))
    in_z = energy_grad_z(params, y, z, f, alpha, lam)
    check = gradient_check(lambda z: energy(params, y, z, f, alpha, lam).sum(), in_z, z)
    assert check.passed, str(check)
    in_y = energy_grad_y(params, y, z, f, alpha)
    check = gradient_check(lambda y: energy(params, y, z, f, alpha, lam).sum(), in_y, y)
    assert check.passed, str(check)


@given(names, generators(), depths, depths, powers(-2, 2))
def test_the_gradient_in_the_parameters_is_the_complex_step(f, rng, deep, high, alpha):
    params, y, z = draw_problem(rng, f, deep, high, d=3, k=2, n=3)
    assume(away_from_kinks(params, y, z, f))
    weights = rng.normal(size=3)
    claimed = energy_grad_params(params, y, z, f, alpha, weights)
    check = gradient_check(lambda p: weights @ energy(p, y, z, f, alpha, 0.7), claimed, params)
    assert check.passed, str(check)


@given(names, generators(), depths, depths, powers(-2, 2))
def test_the_encoder_sees_only_the_distance_and_the_decoder_only_the_cost(f, rng, deep, high, alpha):
    params, y, z = draw_problem(rng, f, deep, high)
    other, _, _ = draw_problem(rng, f, 1, 3)
    one = energy_grad_params(params, y, z, f, alpha, np.ones(4))
    mixed = energy_grad_params(Params(params.encoder, other.decoder), y, z, f, 2 * alpha, np.ones(4))
    np.testing.assert_allclose(flatten(mixed.encoder), 2 * flatten(one.encoder), rtol=1e-12)
    mixed = energy_grad_params(Params(other.encoder, params.decoder), y, z, f, 70.0, np.ones(4))
    np.testing.assert_array_equal(flatten(mixed.decoder), flatten(one.decoder))
    unpulled = energy_grad_params(params, y, encode(params, y, f), f, alpha, np.ones(4))
    assert not flatten(unpulled.encoder).any()  # whatever C would say


# inference, where the decoder is linear


@st.composite
def linear_problems(draw):
    """Decoders of any rank and scale, wide or tall; an encoder of any form."""
    d, k, n = (draw(SIZES) for _ in range(3))
    rng = draw(generators())
    encoder = draw_layers(rng, (d, *([3] * draw(st.integers(0, 2))), k), "tanh")
    decoder = (Affine(draw(arrays((d, k), 1e3, 1e-3)), draw(arrays(d))),)
    return Params(encoder, decoder), draw(arrays((n, d)))


@given(linear_problems(), powers(-3, 3), st.just(0.0) | powers(-3, 3))
def test_with_a_linear_decoder_the_target_is_the_closed_form(problem, alpha, lam):
    params, y = problem
    (W, c), guess = params.decoder[0], encode(params, y, "tanh")
    alpha *= max(np.square(W).sum(), 1.0)  # where the normal equations have a few digits to spare
    A = W.T @ W + (lam + alpha) * np.eye(W.shape[1])
    closed = ((y - c) @ W + alpha * guess) @ np.linalg.inv(A)
    found = infer(params, y, "tanh", alpha, lam, tol=1e-10)
    np.testing.assert_allclose(found.z, closed, rtol=1e-9, atol=1e-11 * max(1.0, np.abs(y).max(), np.abs(c).max()))
    assert found.converged.all()
    assert found.n_iter <= 1


@given(generators(), st.integers(1, 3))
def test_with_the_note_s_alpha_and_no_offset_it_is_the_closed_form_of_the_note(rng, deep):
    params, y, _ = draw_problem(rng, deep=deep, high=1)
    W = params.decoder[0].W
    params = Params(params.encoder, (Affine(W, np.zeros(4)),))
    for lam in (0.0, 0.3):
        closed = np.linalg.solve(W.T @ W + (lam + 1) * np.eye(3), (y @ W + encode(params, y, "tanh")).T).T
        np.testing.assert_allclose(infer(params, y, lam=lam).z, closed, rtol=1e-10, atol=1e-12)


@given(generators(), depths, powers(-2, 2), st.just(0.0) | powers(-2, 2))
def test_one_step_reaches_the_bottom_however_many_linear_layers_decode(rng, high, alpha, lam):
    params, y, _ = draw_problem(rng, "identity", 2, high)
    W, c = np.eye(3), np.zeros(3)
    for V, b in params.decoder:
        W, c = V @ W, V @ c + b
    found = infer(params, y, "identity", alpha, lam, tol=1e-12)
    A = W.T @ W + (lam + alpha) * np.eye(3)
    closed = np.linalg.solve(A, ((y - c) @ W + alpha * encode(params, y, "identity")).T).T
    np.testing.assert_allclose(found.z, closed, rtol=1e-8, atol=1e-9)
    assert found.n_iter == 1
    assert found.converged.all()


@given(generators(), depths, powers(-3, 3), st.just(0.0) | powers(-3, 3))
def test_free_energy_is_the_energy_of_the_target_and_of_convex_ones_no_code_has_less(rng, high, alpha, lam):
    # the note writes min_z E(y, z-check): the minimum is taken already
    params, y, _ = draw_problem(rng, "identity", 2, high)
    found = infer(params, y, "identity", alpha, lam)
    F = free_energy(params, y, "identity", alpha, lam)
    np.testing.assert_array_equal(F, found.energy)
    np.testing.assert_allclose(F, energy(params, y, found.z, "identity", alpha, lam), rtol=1e-12)
    for _ in range(20):
        near, far = rng.normal(size=(2, *found.z.shape)) * 10.0 ** rng.uniform(-5, 2, (2, 1, 1))
        for z in (found.z + near, far):
            assert (energy(params, y, z, "identity", alpha, lam) >= F * (1 - 1e-10)).all()


@given(generators(), powers(-3, 3), powers(0, 3), st.sampled_from(["alpha", "lam"]))
def test_with_a_linear_decoder_more_weight_never_lowers_the_energy(rng, weight, factor, which):
    params, y, _ = draw_problem(rng, high=1)
    low, high = (free_energy(params, y, **{"alpha": 0.7, "lam": 0.1, which: w}) for w in (weight, factor * weight))
    assert (low <= high * (1 + 1e-10)).all()


# inference, where it is not


@CURVED
@given(generators(), st.integers(2, 3), powers(-2, 2), st.just(0.0) | powers(-2, 1))
def test_at_the_target_the_gradient_is_zero_and_the_energy_curves_upwards(f, rng, high, alpha, lam):
    params, y, _ = draw_problem(rng, f, 2, high)
    found = infer(params, y, f, alpha, lam, tol=1e-10)
    assert found.converged.all()
    g = energy_grad_z(params, y, found.z, f, alpha, lam)
    H = hessian(params, y, found.z, f, alpha, lam)
    np.testing.assert_allclose(H, np.swapaxes(H, 1, 2), atol=1e-10 * np.abs(H).max())
    curvatures = np.linalg.eigvalsh(H)
    assert (curvatures[:, 0] >= -2e-10 * curvatures[:, -1]).all()
    # half of g, to tol times what cancels in it
    size = np.sqrt(square(y)) + np.sqrt(square(decode(params, found.z, f)))
    J = [complex_step(lambda z: decode(params, z, f), found.z, np.tile(unit, (len(y), 1))) for unit in np.eye(3)]
    length, guess = np.sqrt(square(found.z)), encode(params, y, f)
    scale = np.sqrt(sum(map(square, J))) * size + lam * length + alpha * (length + np.sqrt(square(guess)))
    assert (np.sqrt(square(g)) / 2 <= 1e-10 * scale * (1 + 1e-6)).all()


@given(curved, generators(), st.integers(2, 3), powers(-2, 2), st.just(0.0) | powers(-2, 1))
def test_near_the_target_no_code_has_less_energy(f, rng, high, alpha, lam):
    params, y, _ = draw_problem(rng, f, 2, high)
    found = infer(params, y, f, alpha, lam, tol=1e-10)
    curvature = np.linalg.eigvalsh(hessian(params, y, found.z, f, alpha, lam))
    assume((curvature[:, 0] > 1e-3 * curvature[:, -1]).all())  # else near must be very near
    for size in 10.0 ** rng.uniform(-6, -4, 10):
        z = found.z + size * rng.normal(size=found.z.shape)
        assert (found.energy <= energy(params, y, z, f, alpha, lam) * (1 + 1e-13)).all()


@given(names, generators(), depths, powers(-3, 3), st.just(0.0) | powers(-3, 2), st.integers(1, 40))
def test_the_energy_never_rises_on_the_way_from_the_guess_to_the_target(f, rng, high, alpha, lam, max_iter):
    params, y, _ = draw_problem(rng, f, 2, high)
    found = quietly(infer, params, y, f, alpha, lam, max_iter=max_iter, trace=True)
    guess = encode(params, y, f)
    assert found.trace.shape == (found.n_iter, *guess.shape)
    assert found.n_iter <= max_iter
    way = [energy(params, y, z, f, alpha, lam) for z in (guess, *found.trace)]
    for before, after in pairwise(way):
        assert (after <= before * (1 + 1e-13)).all()
    np.testing.assert_array_equal(found.z, found.trace[-1] if found.n_iter else guess)
    np.testing.assert_allclose(found.energy, way[-1], rtol=1e-12)
    without = quietly(infer, params, y, f, alpha, lam, max_iter=max_iter)
    assert without.trace.shape == (0, *guess.shape)
    np.testing.assert_array_equal(without.z, found.z)


@given(curved, generators(), powers(-1, 1))
def test_at_the_end_the_error_is_squared_at_each_step(f, rng, alpha):
    # as Newton's is: half of the Hessian would double the step, without its second part the error would shrink evenly
    params, y, _ = draw_problem(rng, f, 1, 3, n=1)
    found = infer(params, y, f, alpha, tol=1e-12, trace=True)
    curvature = np.linalg.eigvalsh(hessian(params, y, found.z, f, alpha, 0.0))
    assume(curvature[0, 0] > 0.05 * curvature[0, -1])
    errors = [np.sqrt(square(z - found.z)).item() for z in found.trace[:-1]]
    late = [e for e in errors if 1e-5 < e < 1e-2]
    for before, after in pairwise(errors):
        assert before not in late or after < 1e3 * before**2


@given(curved, generators(), st.integers(1, 3), powers(-2, 2), st.just(0.0) | powers(-2, 1))
def test_what_inference_looks_at_is_the_energy_and_half_of_its_derivatives(f, rng, high, alpha, lam):
    params, y, z = draw_problem(rng, f, 2, high)
    at = target_propagation._look(params, y, z, encode(params, y, f), f, alpha, lam)
    np.testing.assert_allclose(at.energy, energy(params, y, z, f, alpha, lam), rtol=1e-12)
    g = energy_grad_z(params, y, z, f, alpha, lam) / 2
    np.testing.assert_allclose(at.g, g, rtol=1e-11, atol=1e-12 * np.abs(g).max())
    H = hessian(params, y, z, f, alpha, lam) / 2
    np.testing.assert_allclose(at.H, H, rtol=1e-11, atol=1e-12 * np.abs(H).max())
    J = [complex_step(lambda z: decode(params, z, f), z, np.tile(unit, (len(z), 1))) for unit in np.eye(z.shape[1])]
    norms = [np.sqrt(square(a)) for a in (y, decode(params, z, f), z, encode(params, y, f))]
    scale = np.sqrt(sum(map(square, J))) * (norms[0] + norms[1]) + lam * norms[2] + alpha * (norms[2] + norms[3])
    np.testing.assert_allclose(at.scale, scale, rtol=1e-10)


@given(curved, generators(), st.integers(1, 3), powers(-2, 2), st.just(0.0) | powers(-2, 1), st.sampled_from([-20, 20]))
def test_in_another_unit_of_energy_the_target_is_the_same(f, rng, high, alpha, lam, e):
    params, y, _ = draw_problem(rng, f, 2, high)
    (first, *encoder), (*decoder, last) = params
    s = 2.0**e
    scaled = Params((Affine(first.W / s, first.b), *encoder), (*decoder, Affine(s * last.W, s * last.b)))
    one, other = quietly(infer, params, y, f, alpha, lam), quietly(infer, scaled, s * y, f, s**2 * alpha, s**2 * lam)
    np.testing.assert_allclose(other.z, one.z, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(other.energy, s**2 * one.energy, rtol=1e-9)
    np.testing.assert_array_equal(other.converged, one.converged)
    assert other.n_iter == one.n_iter


def test_neither_is_a_saddle_of_a_small_energy_taken_for_a_minimum():
    # hump(0), a ten-thousandth as high, and a second code that decodes to nothing
    encoder = (Affine(np.zeros((2, 1)), np.zeros(2)),)
    decoder = (Affine(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.zeros(2)), Affine(np.full((1, 2), 1e-4), np.zeros(1)))
    with pytest.warns(ConvergenceWarning):
        found = infer(Params(encoder, decoder), np.array([[5e-4]]), "softplus", 1e-9)
    np.testing.assert_array_equal(found.z, 0)


def test_directions_in_which_the_energy_hardly_curves_are_no_hindrance(rng):
    for W in (np.ones((1, 3)), np.array([[1.0, 2, 3], [2, 4, 6]])):
        wide = Params((Affine(np.ones((3, len(W))), np.zeros(3)),), (Affine(W, np.zeros(len(W))),))
        assert infer(wide, rng.normal(size=(4, len(W))), alpha=1e-10).converged.all()


def hump(offset):
    """Dec(z) = softplus(z) + softplus(-z), even in z: where y is larger, E has a maximum at 0, and Enc(y) = offset."""
    encoder = (Affine(np.zeros((1, 1)), np.array([offset])),)
    return Params(encoder, (Affine(np.array([[1.0], [-1.0]]), np.zeros(2)), Affine(np.ones((1, 2)), np.zeros(1))))


def test_a_maximum_is_not_taken_for_a_minimum():
    with pytest.warns(ConvergenceWarning):
        found = infer(hump(0.0), np.array([[5.0], [-5.0]]), "softplus", 0.1)
    np.testing.assert_array_equal(found.z, 0)  # no slope that leads away from it
    np.testing.assert_array_equal(found.converged, [False, True])  # for y below Dec(0) it is a minimum


@given(st.floats(-8, -1).map(lambda e: 10.0**e), st.sampled_from([-1, 1]))
def test_beside_a_maximum_the_way_leads_down_and_not_back_up_as_newton_s_would(offset, side):
    found = infer(hump(side * offset), np.array([[5.0]]), "softplus", 0.1)
    assert found.converged.all()
    assert side * found.z[0, 0] > 4  # Dec(z) = 5 near z = 5
    assert found.energy[0] < 0.25 * energy(hump(0.0), np.array([[5.0]]), np.zeros((1, 1)), "softplus", 0.1)[0]


def test_each_sample_stops_when_it_has_converged_whatever_the_others_do(rng):
    params, y, _ = draw_problem(rng, "tanh", n=6)
    together = infer(params, y, alpha=0.3)
    for n in range(6):
        alone = infer(params, y[n : n + 1], alpha=0.3)
        np.testing.assert_allclose(alone.z[0], together.z[n], rtol=1e-9, atol=1e-12)
        assert alone.n_iter <= together.n_iter


def test_a_perfect_guess_is_its_own_target():
    params = Params((Affine(np.eye(3), np.zeros(3)),), (Affine(np.eye(3), np.zeros(3)),))
    found = infer(params, np.arange(12.0).reshape(4, 3), trace=True)
    assert found.n_iter == 0
    np.testing.assert_array_equal(found.z, np.arange(12.0).reshape(4, 3))
    np.testing.assert_array_equal(found.energy, 0)
    assert found.trace.shape == (0, 4, 3)


def test_samples_that_have_not_converged_are_counted_in_a_warning(rng):
    params, y, _ = draw_problem(rng, "tanh", n=6)
    with pytest.warns(ConvergenceWarning, match="samples have not converged after 1 iterations, tol = 1e-06") as caught:
        found = infer(params, y, "tanh", 0.1, max_iter=1)
    assert str(caught[0].message).startswith(f"{np.count_nonzero(~found.converged)} of 6 samples")
    assert not found.converged.all()
    assert infer(params, y, "tanh", 0.1).converged.all()


def test_the_warning_points_at_the_line_of_the_caller(rng):
    params, y, _ = draw_problem(rng, "tanh", n=6)
    with pytest.warns(ConvergenceWarning) as heard:
        infer(params, y, "tanh", 0.1, max_iter=1)
    assert heard[0].filename == __file__


# the gradients of the free energy


@given(curved, generators(), st.integers(1, 3), powers(-1, 1), st.just(0.0) | powers(-2, 0))
def test_the_gradients_of_the_free_energy_are_its_central_differences(f, rng, high, alpha, lam):
    # the target moves with the parameters; yet the two updates of the note are the two blocks of the gradient
    params, y, _ = draw_problem(rng, f, 2, high)
    weights, options = rng.normal(size=4), {"tol": 1e-12}
    z = infer(params, y, f, alpha, lam, **options).z
    curvature = np.linalg.eigvalsh(hessian(params, y, z, f, alpha, lam))
    assume((curvature[:, 0] > 0.05 * alpha).all())  # a well with firm walls
    in_params = free_energy_grad_params(params, y, f, alpha, lam, weights, **options)
    in_y = free_energy_grad_y(params, y, f, alpha, lam, **options)
    blocks = [
        Params(params.encoder, tree_map(np.zeros_like, params.decoder)),
        Params(tree_map(np.zeros_like, params.encoder), params.decoder),
    ]
    for block in blocks:
        direction = tree_map(lambda a: rng.normal(size=a.shape) * a.any(), block)
        moved = [
            infer(tree_map(lambda a, d, s=s: a + s * d, params, direction), y, f, alpha, lam, **options).z
            for s in (-6e-6, 6e-6)
        ]
        assume(all(np.abs(m - z).max() < 1e-3 for m in moved))  # the same well
        numeric = central_difference(lambda p: weights @ free_energy(p, y, f, alpha, lam, **options), params, direction)
        size = np.abs(weights) @ free_energy(params, y, f, alpha, lam, **options)
        assert inner(in_params, direction) == pytest.approx(float(numeric), rel=1e-6, abs=1e-7 * (1 + size))
    direction = rng.normal(size=y.shape)
    numeric = central_difference(lambda y: free_energy(params, y, f, alpha, lam, **options), y, direction)
    size = free_energy(params, y, f, alpha, lam, **options)
    moved = [infer(params, y + s * direction, f, alpha, lam, **options).z for s in (-6e-6, 6e-6)]
    assume(all(np.abs(m - z).max() < 1e-3 for m in moved))
    np.testing.assert_allclose((in_y * direction).sum(axis=1), numeric, rtol=1e-6, atol=1e-7 * (1 + size.max()))


@given(generators(), depths, powers(-1, 1), st.just(0.0) | powers(-2, 0))
def test_with_a_linear_decoder_the_gradients_are_the_complex_step_of_the_closed_form(rng, deep, alpha, lam):
    params, y, _ = draw_problem(rng, "tanh", deep, 1)
    weights = rng.normal(size=4)

    def closed(p, y):
        (W, c), guess = p.decoder[0], encode(p, y, "tanh")
        A = W.T @ W + (lam + alpha) * np.eye(3)
        z = np.linalg.solve(A, ((y - c) @ W + alpha * guess).T).T
        return weights @ energy(p, y, z, "tanh", alpha, lam)

    in_params = free_energy_grad_params(params, y, "tanh", alpha, lam, weights)
    in_y = weights[:, None] * free_energy_grad_y(params, y, "tanh", alpha, lam)
    check = gradient_check(lambda p: closed(*p), (in_params, in_y), (params, y), rtol=1e-11)
    assert check.passed, str(check)


@given(curved, generators(), st.integers(1, 3), st.just(0.0) | powers(-2, 0))
def test_on_a_tight_leash_the_encoder_learns_as_backpropagation_would_have_it(f, rng, high, lam):
    params, y, _ = draw_problem(rng, f, 2, high)
    weights = rng.uniform(0.5, 2, 4)

    def cost(encoder):  # C + R at the guess, through both networks
        p = Params(encoder, params.decoder)
        z = encode(p, y, f)
        return weights @ (square(y - decode(p, z, f)) + lam * square(z))

    backpropagated = flatten(complex_step_gradient(cost, params.encoder))
    errors = []
    for alpha in (1e4, 1e5, 1e6):
        update = free_energy_grad_params(params, y, f, alpha, lam, weights, tol=1e-14, max_iter=20)
        errors.append(np.abs(flatten(update.encoder) - backpropagated).max() / np.abs(backpropagated).max())
    assert errors[0] < 0.1
    assert errors[1] == pytest.approx(errors[0] / 10, rel=0.1, abs=1e-8)
    assert errors[2] == pytest.approx(errors[0] / 100, rel=0.2, abs=1e-8)
    # the decoder learns at the guess itself
    ahead = free_energy_grad_params(params, y, f, 1e6, lam, weights)
    at_guess = energy_grad_params(params, y, encode(params, y, f), f, 1.0, weights)
    scale = np.abs(flatten(at_guess.decoder)).max()
    np.testing.assert_allclose(flatten(ahead.decoder), flatten(at_guess.decoder), atol=1e-3 * scale)


# training


def curve(rng, n=120):
    """Points near a bent line in the plane of three numbers."""
    t = rng.uniform(-1, 1, n)
    return np.stack([t, t**2, np.sin(2 * t)], axis=1) + 0.02 * rng.normal(size=(n, 3))


@CURVED
@pytest.mark.parametrize("hidden", [(), (8,)], ids=["linear", "deep"])
def test_training_lowers_the_free_energy_and_what_passing_through_both_networks_costs(f, hidden, rng):
    y = curve(rng)
    start = network.init(rng, (3, *hidden, 2), f)
    found = fit(start, y, rng, f=f, lam=1e-3, n_epochs=30, batch_size=20, rate=0.02)
    F, C = [], []
    for params in (start, found.params):
        F.append(quietly(free_energy, params, y, f, 1.0, 1e-3).mean())
        C.append(square(y - decode(params, encode(params, y, f), f)).mean())
    assert F[1] < 0.5 * F[0]
    assert C[1] < 0.5 * C[0]
    assert found.history[-1] < 0.5 * found.history[0]
    assert found.history[-1] == pytest.approx(F[1], rel=0.2)


def test_the_first_step_of_training_is_adam_s_on_the_gradient_of_the_mean_free_energy(rng):
    params, y, _ = draw_problem(rng, "softplus", n=6)
    found = fit(params, y, rng, f="softplus", alpha=0.7, lam=0.1, n_epochs=1, batch_size=None, rate=0.01, tol=1e-6)
    assert type(found) is Fit
    grad = free_energy_grad_params(params, y, "softplus", 0.7, 0.1, np.full(6, 1 / 6), tol=1e-6)
    expected = tree_map(lambda p, g: p - 0.01 * g / (np.abs(g) + 1e-8), params, grad)
    np.testing.assert_allclose(flatten(found.params), flatten(expected), rtol=1e-6, atol=1e-8)
    assert found.history[0] == pytest.approx(free_energy(params, y, "softplus", 0.7, 0.1).mean(), rel=1e-6)


def test_on_a_loose_leash_the_encoder_is_hardly_pulled_and_yet_the_decoder_learns(rng):
    params, y, _ = draw_problem(rng, "tanh", n=6)
    grad = quietly(free_energy_grad_params, params, y, "tanh", 1e-9, 1e-3, np.ones(6))
    assert np.abs(flatten(grad.encoder)).max() < 1e-6 * np.abs(flatten(grad.decoder)).max()


def test_the_generator_shuffles_and_nothing_else_is_random(rng):
    y, start = curve(rng, 50), network.init(rng, (3, 4, 2))
    a, b, c = (fit(start, y, np.random.default_rng(s), n_epochs=2, batch_size=8) for s in (1, 1, 2))
    np.testing.assert_array_equal(flatten(a.params), flatten(b.params))
    np.testing.assert_array_equal(a.history, b.history)
    assert not np.array_equal(flatten(a.params), flatten(c.params))


def test_the_callback_hears_of_each_epoch(rng):
    heard = []
    found = fit(network.init(rng, (3, 2)), curve(rng), rng, n_epochs=3, callback=lambda *report: heard.append(report))
    assert heard == list(enumerate(found.history, start=1))


def test_a_step_that_is_too_long_is_said_to_be(rng):
    with pytest.raises(FloatingPointError, match="diverged"):
        fit(network.init(rng, (3, 2)), curve(rng), rng, rate=1e200)


# what all share


@NAMES
@pytest.mark.parametrize("hidden", [(), (5,)], ids=["linear", "deep"])
def test_single_precision_is_kept_and_nothing_handed_in_is_written_to(f, hidden, rng):
    start = network.init(rng, (3, *hidden, 2), f)
    drawn = start, curve(rng, 6), rng.normal(size=(6, 2)), np.ones(6)
    for dtype in (np.float32, np.float64):
        params, y, z, weights = read_only(tree_map(lambda a, dtype=dtype: a.astype(dtype), drawn))
        found = quietly(infer, params, y, f, np.float64(0.5), np.float64(0.1), tol=1e-3, trace=True, max_iter=10)
        results = (
            *found[:2],
            found.trace,
            quietly(infer, params, y, f, 0.5, tol=1e-3, max_iter=1).trace,
            *(encode(params, y, f), decode(params, z, f), energy(params, y, z, f, 0.5, 0.1)),
            energy_grad_z(params, y, z, f, 0.5, 0.1),
            energy_grad_y(params, y, z, f, 0.5),
            *leaves(energy_grad_params(params, y, z, f, 0.5, weights)),
            quietly(free_energy_grad_y, params, y, f, 0.5, 0.1, tol=1e-3, max_iter=10),
            *leaves(fit(params, y, rng, f=f, n_epochs=2, batch_size=4).params),
        )
        assert {a.dtype for a in results} == {np.dtype(dtype)}
    mixed = fit(params, y.astype(np.float32), rng, f=f, n_epochs=1).params
    assert {leaf.dtype for leaf in leaves(mixed)} == {np.dtype(np.float64)}


@given(curved, generators(), powers(-6, 6), powers(-6, 6), powers(-6, 6), st.just(0.0) | powers(-6, 6))
def test_whatever_the_scales_the_target_is_no_worse_than_the_guess(f, rng, of_y, of_weights, alpha, lam):
    params, y, _ = draw_problem(rng, f)
    params, y = tree_map(lambda a: of_weights * a, params), of_y * y
    found = quietly(infer, params, y, f, alpha, lam)
    assert np.isfinite(found.z).all()
    assert (found.energy <= energy(params, y, encode(params, y, f), f, alpha, lam) * (1 + 1e-12)).all()


def affines(*widths):
    return tuple(Affine(np.ones((k, d)), np.ones(k)) for d, k in pairwise(widths))


GOOD = Params(affines(3, 4, 2), affines(2, 3))
NAN = Affine(np.full((3, 2), np.nan), np.ones(3))
BAD = [
    ("params", TypeError, {"params": None}),
    ("params", TypeError, {"params": tuple(GOOD)}),
    ("params", TypeError, {"params": Tied(GOOD.encoder, (np.ones(4), np.ones(3)))}),
    ("params.encoder", TypeError, {"params": GOOD._replace(encoder=())}),
    ("params.decoder", TypeError, {"params": GOOD._replace(decoder=())}),
    ("params.decoder", TypeError, {"params": GOOD._replace(decoder=list(GOOD.decoder))}),
    ("params.encoder[1].W", ValueError, {"params": GOOD._replace(encoder=(*affines(3, 4), *affines(3, 2)))}),
    ("params.decoder[0].W", ValueError, {"params": GOOD._replace(decoder=affines(3, 3))}),  # reads y, not the code
    ("params.decoder[0].W", ValueError, {"params": GOOD._replace(decoder=affines(2, 4))}),
    ("params.decoder[0].W", ValueError, {"params": GOOD._replace(decoder=(NAN,))}),
    ("params.decoder[0].W", TypeError, {"params": GOOD._replace(decoder=tree_map(lambda a: a + 0j, GOOD.decoder))}),
    ("y", ValueError, {"y": np.ones((5, 2))}),
    ("y", ValueError, {"y": np.ones(3)}),
    ("y", ValueError, {"y": np.ones((0, 3))}),
    ("y", ValueError, {"y": np.full((5, 3), np.nan)}),
    ("y", ValueError, {"y": np.full((5, 3), np.inf)}),
    ("y", TypeError, {"y": None}),
    ("y", TypeError, {"y": np.ones((5, 3)) * 1j}),
    ("f", ValueError, {"f": "gelu"}),
    ("f", ValueError, {"f": None}),
    ("alpha", ValueError, {"alpha": 0.0}),
    ("alpha", ValueError, {"alpha": -1.0}),
    ("alpha", ValueError, {"alpha": np.nan}),
    ("alpha", ValueError, {"alpha": np.inf}),
    ("alpha", ValueError, {"alpha": 1e300}),
    ("alpha", TypeError, {"alpha": None}),
    ("lam", ValueError, {"lam": -1e-9}),
    ("lam", ValueError, {"lam": np.nan}),
    ("lam", ValueError, {"lam": 1e300}),
    ("lam", TypeError, {"lam": "1"}),
    ("tol", ValueError, {"tol": 0.0}),
    ("tol", TypeError, {"tol": None}),
]
DOORS = {
    "infer": infer,
    "free_energy": free_energy,
    "free_energy_grad_y": free_energy_grad_y,
    "free_energy_grad_params": lambda params, y, **rest: free_energy_grad_params(params, y, weights=np.ones(5), **rest),
    "fit": lambda params, y, **rest: fit(params, y, np.random.default_rng(0), **rest),
}


@pytest.mark.parametrize(("name", "error", "arguments"), BAD)
@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_a_bad_argument_is_refused_by_name(door, name, error, arguments):
    good = {"params": GOOD, "y": np.ones((5, 3)), "f": "tanh", "alpha": 1.0, "lam": 0.0}
    with pytest.raises(error) as caught:
        door(**{**good, **arguments})
    assert str(caught.value).startswith(f"{name}: expected")


@pytest.mark.parametrize(
    ("name", "error", "call"),
    [
        ("max_iter", ValueError, lambda p, y, rng: infer(p, y, max_iter=0)),
        ("max_iter", TypeError, lambda p, y, rng: free_energy(p, y, max_iter=2.0)),
        ("rng", TypeError, lambda p, y, rng: fit(p, y, 0)),
        ("n_epochs", ValueError, lambda p, y, rng: fit(p, y, rng, n_epochs=0)),
        ("batch_size", TypeError, lambda p, y, rng: fit(p, y, rng, batch_size=2.0)),
        ("rate", ValueError, lambda p, y, rng: fit(p, y, rng, rate=0.0)),
    ],
)
def test_the_other_arguments_are_refused_by_name_too(name, error, call, rng):
    with pytest.raises(error, match=rf"^{name}: expected"):
        call(GOOD, np.ones((5, 3)), rng)


def test_no_guess_and_nothing_decoded_may_be_too_large_to_be_squared():
    large = tree_map(lambda a: 1e100 * a, GOOD)
    with pytest.raises(ValueError, match=r"^Enc\(y\): expected"):
        infer(large._replace(decoder=GOOD.decoder), 1e100 * np.ones((5, 3)), "identity")
    with pytest.raises(ValueError, match=r"^energy at Enc\(y\): expected"):
        infer(large, np.ones((5, 3)), "tanh")
    # E = (y - w z)^2 + alpha (z - z~)^2 at z = z~: its gradient -2 w (y - w z~), its Hessian 2 w^2 + 2 alpha
    for name, w, v, y in (("gradient", 1e120, 0.0, 1e50), ("Hessian", 1e140, 0.0, 0.0)):
        params = Params((Affine(np.array([[v]]), np.zeros(1)),), (Affine(np.array([[w]]), np.zeros(1)),))
        with pytest.raises(ValueError, match=rf"^{name} at Enc\(y\): expected"):
            infer(params, np.array([[y]]), "identity")


def test_the_weights_must_fit_into_single_precision_too():
    params, y = tree_map(lambda a: a.astype(np.float32), (GOOD, np.ones((5, 3))))
    for name in ("alpha", "lam"):
        with pytest.raises(ValueError, match=rf"^{name}: expected"):
            infer(params, y, **{name: 1e60})


@given(generators())
def test_a_sample_stuck_on_a_kink_raises_no_other_warning(rng):
    params, y = tree_map(np.float32, (network.init(rng, (4, 5, 3), "relu"), rng.normal(size=(5, 4))))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        infer(params, y, "relu", tol=1e-3, max_iter=200)


def test_a_weight_that_is_a_numpy_number_keeps_single_precision(rng):
    params, y = tree_map(np.float32, (network.init(rng, (4, 3)), rng.normal(size=(5, 4))))
    given = {"alpha": np.float64(0.5), "lam": np.float64(0.1)}
    results = (
        free_energy_grad_y(params, y, **given),
        free_energy_grad_params(params, y, **given),
        infer(params, y, **given).z,
    )
    assert {leaf.dtype for leaf in leaves(results)} == {np.dtype(np.float32)}


def test_without_weights_the_gradient_is_that_of_the_mean_and_wrong_ones_are_refused(rng):
    params, y = network.init(rng, (4, 3)), rng.normal(size=(5, 4))
    mean = free_energy_grad_params(params, y, weights=np.full(5, 0.2))
    np.testing.assert_array_equal(flatten(free_energy_grad_params(params, y)), flatten(mean))
    with pytest.raises(ValueError, match=r"^weights: expected shape \(5,\)"):
        free_energy_grad_params(params, y, weights=np.ones(4))


def test_a_wrong_shape_is_answered_in_the_letters_of_the_page():
    for door in (encode, infer):
        with pytest.raises(ValueError, match=r"^y: expected shape \(N, 3\), got shape \(3,\)$"):
            door(GOOD, np.ones(3), "tanh")
    with pytest.raises(ValueError, match=r"^z: expected shape \(N, 2\), got shape \(2,\)$"):
        decode(GOOD, np.ones(2), "tanh")


def test_what_is_no_pair_of_networks_is_refused_in_words_and_what_is_no_flag_by_name():
    words = r"^params: expected network.Params, got tuple: each network learns by itself$"
    for door in (encode, infer):
        with pytest.raises(TypeError, match=words):
            door(tuple(GOOD), np.ones((5, 3)), "tanh")
    with pytest.raises(TypeError, match=words):
        decode(tuple(GOOD), np.ones((5, 2)), "tanh")
    with pytest.raises(TypeError, match=r"^trace: expected"):
        infer(GOOD, np.ones((5, 3)), trace=1)
    for door, a in ((encode, np.ones((5, 3))), (decode, np.ones((5, 2)))):
        with pytest.raises(ValueError, match=r"^f: expected"):
            door(GOOD, a, "gelu")


def test_by_default_adam_makes_twenty_epochs_of_steps_of_a_thousandth_on_batches_of_256(rng):
    params, y, _ = draw_problem(rng, high=1, n=300)
    options = {"f": "tanh", "alpha": 1.0, "lam": 0.0, "n_epochs": 20, "batch_size": 256, "rate": 1e-3, "tol": 1e-3}
    one, other = (fit(params, y, np.random.default_rng(0), **chosen) for chosen in ({}, options))
    np.testing.assert_array_equal(flatten(one.params), flatten(other.params))
    np.testing.assert_array_equal(one.history, other.history)
    assert len(one.history) == 20


def test_unless_told_networks_bend_by_tanh_alpha_is_one_and_lam_none(rng):
    params, y, z = draw_problem(rng)
    for function in (infer, free_energy, free_energy_grad_y, free_energy_grad_params):
        usual, told = function(params, y), function(params, y, "tanh", 1.0, 0.0)
        np.testing.assert_array_equal(*(flatten(one.z if function is infer else one) for one in (usual, told)))
    for function in (energy, energy_grad_z):
        np.testing.assert_array_equal(function(params, y, z, "tanh"), function(params, y, z, "tanh", 1.0, 0.0))
    np.testing.assert_array_equal(energy_grad_y(params, y, z, "tanh"), energy_grad_y(params, y, z, "tanh", 1.0))


def test_by_default_inference_asks_for_a_millionth_and_takes_a_hundred_iterations_at_most(rng):
    params, y, _ = draw_problem(rng)
    usual, told = infer(params, y), infer(params, y, tol=1e-6, max_iter=100, trace=False)
    np.testing.assert_array_equal(usual.z, told.z)
    assert usual.n_iter == told.n_iter
    assert usual.trace.shape == (0, *usual.z.shape)
    with pytest.warns(ConvergenceWarning):
        assert infer(params, y, tol=1e-300).n_iter == 100


def test_the_mean_of_an_epoch_is_not_rounded_to_single_precision(rng):
    y = rng.random((20, 6)).astype(np.float32)
    history = fit(network.init(rng, (6, 3), dtype=np.float32), y, rng, n_epochs=5).history
    assert (history.astype(np.float32) != history).any()
