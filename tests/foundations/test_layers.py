import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import SIZES, arrays, generators

from ebm_np.foundations.gradient_check import complex_step, gradient_check
from ebm_np.foundations.layers import (
    ACTIVATIONS,
    Affine,
    affine,
    affine_grad,
    affine_vjp,
    checked_layers,
    init_mlp,
    mlp,
    mlp_backward,
    mlp_forward,
    mlp_grad,
    mlp_taylor,
    mlp_vjp,
)
from ebm_np.foundations.parameters import flatten, leaves

NAMES = pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
BATCHES = pytest.mark.parametrize("batch", [(), (1,), (4,), (2, 3)])
batches = st.sampled_from([(), (1,), (4,), (2, 3)])
names = st.sampled_from(sorted(ACTIVATIONS))
depths = st.integers(0, 3)
away_from_the_kink = arrays(8, largest=30.0, smallest=1e-3).map(lambda a: np.where(a == 0, 1, a))
TEXTBOOK = {
    "identity": lambda a: a,
    "relu": lambda a: a * (a > 0),
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "softplus": lambda a: np.log1p(np.exp(a)),
    "tanh": np.tanh,
}


def draw_layers(rng, widths):
    """Layers whose biases are not zero."""
    layers = tuple(Affine(layer.W, rng.normal(size=layer.b.shape)) for layer in init_mlp(rng, widths))
    for leaf in leaves(layers):
        leaf.setflags(write=False)
    return layers


def draw_widths(rng, depth):
    return tuple(int(width) for width in rng.integers(1, 5, size=depth + 1))


def draw_input(rng, shape):
    x = rng.normal(size=shape)
    x.setflags(write=False)
    return x


def sums(layers, x, activation, last="identity"):
    """What each layer's activation is applied to: the network in other words."""
    found = []
    for i, layer in enumerate(layers):
        found.append(x @ layer.W.T + layer.b)
        x = TEXTBOOK[last if i == len(layers) - 1 else activation](found[-1])
    return found


def is_steep(layers, x, activation, last):
    """Say whether the last activation is nowhere flat: there, its slope is right in absolute terms only."""
    return last not in ("sigmoid", "tanh") or not layers or np.abs(sums(layers, x, activation, last)[-1]).max() < 4


def no_kink_is_near(layers, x, activation, last="identity"):
    names = [activation] * (len(layers) - 1) + [last]
    pairs = zip(sums(layers, x, activation, last), names, strict=False)
    return all(np.abs(a).min() > 1e-3 for a, name in pairs if name == "relu")


# affine


@BATCHES
def test_affine_is_w_x_plus_b_for_each_row(batch, rng):
    (layer,), x = draw_layers(rng, (3, 2)), draw_input(rng, (*batch, 3))
    found = affine(layer, x)
    assert found.shape == (*batch, 2)
    for n in np.ndindex(batch):
        for k in range(2):
            expected = sum(layer.W[k, d] * x[n][d] for d in range(3)) + layer.b[k]
            assert found[n][k] == pytest.approx(expected, rel=1e-13)


@given(generators(), SIZES, SIZES, batches)
def test_the_vjp_of_affine_is_its_gradient_for_weights_bias_and_input(rng, d, k, batch):
    (layer,), x, grad = draw_layers(rng, (d, k)), draw_input(rng, (*batch, d)), draw_input(rng, (*batch, k))
    check = gradient_check(lambda p: np.sum(grad * affine(*p)), affine_vjp(layer, x, grad), (layer, x))
    assert check.passed, check


@given(generators(), batches)
def test_the_gradient_of_affine_is_the_part_of_its_vjp_that_is_not_the_input_s(rng, batch):
    (layer,), x, grad = draw_layers(rng, (3, 2)), draw_input(rng, (*batch, 3)), draw_input(rng, (*batch, 2))
    for a, b in zip(leaves(affine_grad(x, grad)), leaves(affine_vjp(layer, x, grad)[0]), strict=True):
        np.testing.assert_array_equal(a, b)


# activations


@NAMES
@given(arrays(8, largest=30.0))
def test_an_activation_is_what_its_name_says(activation, a):
    np.testing.assert_allclose(ACTIVATIONS[activation].value(a), TEXTBOOK[activation](a), rtol=1e-15, atol=0)


@NAMES
@given(away_from_the_kink)
def test_the_slope_told_from_the_output_is_the_derivative_in_the_input(activation, a):
    value, slope, _ = ACTIVATIONS[activation]
    np.testing.assert_allclose(slope(value(a)), complex_step(value, a, np.ones(8)), rtol=1e-12, atol=1e-15)


@NAMES
@given(away_from_the_kink)
def test_the_curvature_told_from_the_output_is_the_derivative_of_the_slope(activation, a):
    value, slope, curvature = ACTIVATIONS[activation]
    derivative = complex_step(lambda a: slope(value(a)), a, np.ones(8))
    np.testing.assert_allclose(curvature(value(a)), derivative, rtol=1e-12, atol=1e-15)


@given(arrays(8, largest=700.0).map(lambda a: np.minimum(a, -a)))
@pytest.mark.parametrize("activation", ["sigmoid", "softplus"])
def test_where_an_activation_has_almost_died_its_derivatives_keep_all_their_digits(activation, a):
    value, slope, curvature = ACTIVATIONS[activation]
    s = np.exp(a) / (1 + np.exp(a))  # the sigmoid of a < 0
    first, second = {"sigmoid": (s * (1 - s), s * (1 - s) * (1 - 2 * s)), "softplus": (s, s * (1 - s))}[activation]
    np.testing.assert_allclose(slope(value(a)), first, rtol=1e-14)
    np.testing.assert_allclose(curvature(value(a)), second, rtol=1e-14, atol=1e-16 * (a == 0).any())


@NAMES
def test_far_out_an_activation_is_straight(activation):
    value, slope, curvature = ACTIVATIONS[activation]
    h = value(np.array([-1e3, 1e3]))
    left, right = {"identity": (1, 1), "relu": (0, 1), "sigmoid": (0, 0), "softplus": (0, 1), "tanh": (0, 0)}[
        activation
    ]
    np.testing.assert_array_equal(slope(h), [left, right])
    np.testing.assert_array_equal(curvature(h), [0, 0])


def test_at_its_kink_relu_has_the_slope_of_its_dead_side():
    value, slope, curvature = ACTIVATIONS["relu"]
    zero = np.zeros(1)
    assert value(zero) == slope(zero) == curvature(zero) == 0


# networks


@given(names, generators(), depths, names, batches)
def test_an_mlp_is_affine_maps_with_an_activation_after_each_and_another_after_the_last(
    activation, rng, depth, last, batch
):
    widths = draw_widths(rng, depth)
    layers, x = draw_layers(rng, widths), draw_input(rng, (*batch, widths[0]))
    a = sums(layers, x, activation, last)
    expected = TEXTBOOK[last](a[-1]) if a else x
    np.testing.assert_allclose(mlp(layers, x, activation, last), expected, rtol=1e-12, atol=1e-13)
    linear = a[-1] if a else x
    np.testing.assert_allclose(mlp(layers, x, activation), linear, rtol=1e-12, atol=1e-13)


@given(names, generators(), st.integers(1, 3), names)
def test_what_the_forward_pass_keeps_is_what_the_layers_hand_on(activation, rng, depth, last):
    widths = draw_widths(rng, depth)
    layers, x = draw_layers(rng, widths), draw_input(rng, (5, widths[0]))
    hs = mlp_forward(layers, x, activation, last)
    assert len(hs) == depth + 1
    assert hs[0] is x
    np.testing.assert_array_equal(hs[-1], mlp(layers, x, activation, last))
    for i, h in enumerate(hs[:-1]):
        np.testing.assert_allclose(h, mlp(layers[:i], x, activation, activation), rtol=1e-13, atol=1e-13)


@NAMES
@given(generators(), depths, names, batches)
def test_the_vjp_of_an_mlp_is_its_gradient_for_all_parameters_and_the_input(activation, rng, depth, last, batch):
    widths = draw_widths(rng, depth)
    layers, x = draw_layers(rng, widths), draw_input(rng, (*batch, widths[0]))
    assume(no_kink_is_near(layers, x, activation, last) and is_steep(layers, x, activation, last))
    hs = mlp_forward(layers, x, activation, last)
    grad = draw_input(rng, hs[-1].shape)
    check = gradient_check(
        lambda p: np.sum(grad * mlp(p[0], p[1], activation, last)),
        mlp_vjp(layers, hs, grad, activation, last),
        (layers, x),
    )
    assert check.passed, check


@given(names, generators(), st.integers(1, 3))
def test_unless_it_is_named_nothing_follows_the_last_layer_forward_and_backward(activation, rng, depth):
    widths = draw_widths(rng, depth)
    layers, x = draw_layers(rng, widths), draw_input(rng, (4, widths[0]))
    hs = mlp_forward(layers, x, activation)
    for found, expected in zip(hs, mlp_forward(layers, x, activation, "identity"), strict=True):
        np.testing.assert_array_equal(found, expected)
    grad = draw_input(rng, hs[-1].shape)
    assert mlp_backward(layers, hs, grad, activation)[-1] is grad  # not even multiplied by ones
    found, expected = (mlp_vjp(layers, hs, grad, activation, *last) for last in ((), ("identity",)))
    np.testing.assert_array_equal(flatten(found), flatten(expected))


@given(names, generators(), st.integers(1, 3), names, batches, st.integers(0, 7))
def test_the_backward_pass_takes_along_what_enters_the_layers_from_elsewhere(
    activation, rng, depth, last, batch, silent
):
    # L = <grad, output> + sum_l <also_l, a_l>, where some of the also_l are the number 0
    widths = draw_widths(rng, depth)
    layers, x = draw_layers(rng, widths), draw_input(rng, (*batch, widths[0]))
    assume(no_kink_is_near(layers, x, activation, last) and is_steep(layers, x, activation, last))
    hs = mlp_forward(layers, x, activation, last)
    grad = draw_input(rng, hs[-1].shape)
    also = [0.0 if silent >> i & 1 else draw_input(rng, h.shape) for i, h in enumerate(hs[1:])]

    def scalar(p):
        hs = mlp_forward(p[0], p[1], activation, last)
        entering = zip(also, p[0], hs[:-1], strict=True)
        return np.sum(grad * hs[-1]) + sum(np.sum(g * affine(layer, h)) for g, layer, h in entering)

    deltas = mlp_backward(layers, hs, grad, activation, last, also)
    check = gradient_check(scalar, (mlp_grad(hs, deltas), deltas[0] @ layers[0].W), (layers, x))
    assert check.passed, check


@given(names, generators(), st.integers(1, 3), names)
def test_the_deltas_are_the_gradients_in_the_sums_so_those_in_the_offsets_of_one_sample(activation, rng, depth, last):
    widths = draw_widths(rng, depth)
    layers, x = draw_layers(rng, widths), draw_input(rng, (1, widths[0]))
    hs = mlp_forward(layers, x, activation, last)
    grad = draw_input(rng, hs[-1].shape)
    deltas = mlp_backward(layers, hs, grad, activation, last)
    vjp, _ = mlp_vjp(layers, hs, grad, activation, last)
    for (W, b), h, delta in zip(vjp, hs[:-1], deltas, strict=True):
        np.testing.assert_array_equal(b, delta[0])
        np.testing.assert_allclose(W, np.outer(delta[0], h[0]), rtol=1e-13)


@NAMES
@BATCHES
def test_no_layers_are_the_identity(activation, batch, rng):
    x, dx, ddx = (draw_input(rng, (*batch, 3)) for _ in range(3))
    np.testing.assert_array_equal(mlp((), x, activation), x)
    np.testing.assert_array_equal(mlp((), x, activation, last=activation), x)
    layer_grads, grad = mlp_vjp((), mlp_forward((), x, activation), dx, activation)
    assert layer_grads == ()
    np.testing.assert_array_equal(grad, dx)
    np.testing.assert_array_equal(mlp_taylor((), x, dx, ddx, activation), (x, dx, ddx))


# derivatives along a curve


def draw_curve(rng, depth, batch):
    """Layers, and a parabola z -> (x, x', x'') to send through them."""
    widths = draw_widths(rng, depth)
    x, dx, ddx = (draw_input(rng, (*batch, widths[0])) for _ in range(3))
    return draw_layers(rng, widths), lambda z: (x + z * dx + z**2 / 2 * ddx, dx + z * ddx, ddx + 0 * z)


@NAMES
@given(generators(), depths, batches)
def test_mlp_taylor_carries_the_value_and_its_first_two_derivatives(activation, rng, depth, batch):
    layers, curve = draw_curve(rng, depth, batch)
    assume(activation != "relu" or no_kink_is_near(layers, curve(0.0)[0], activation))
    h, dh, ddh = mlp_taylor(layers, *curve(0.0), activation)
    np.testing.assert_allclose(h, mlp(layers, curve(0.0)[0], activation), rtol=1e-13, atol=1e-13)
    of_value = complex_step(lambda z: mlp(layers, curve(z)[0], activation), 0.0, 1.0)
    of_first = complex_step(lambda z: mlp_taylor(layers, *curve(z), activation)[1], 0.0, 1.0)
    np.testing.assert_allclose(dh, of_value, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ddh, of_first, rtol=1e-12, atol=1e-11)


# initialisation


@pytest.mark.parametrize(("options", "power"), [({}, 2.0), ({"power": 1.0}, 1.0), ({"power": 5.0}, 5.0)])
def test_initial_weights_are_normal_with_variance_power_over_the_inputs_and_biases_zero(options, power):
    first, second = init_mlp(np.random.default_rng(0), (100, 400, 50), **options)
    for layer, d in ((first, 100), (second, 400)):
        standard = layer.W * np.sqrt(d / power)
        assert abs(standard.mean()) < 4 / np.sqrt(layer.W.size)
        assert abs(standard.var() - 1) < 4 * np.sqrt(2 / layer.W.size)
        assert abs((standard**4).mean() - 3) < 4 * np.sqrt(96 / layer.W.size)  # 3 only for a normal distribution
        assert not layer.b.any()


@pytest.mark.parametrize(("activation", "power"), [("relu", 2.0), ("tanh", 1.0)])
def test_with_its_power_an_activation_passes_on_a_signal_through_many_layers(activation, power):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 400)) * (0.05 if activation == "tanh" else 1)  # tanh where it is steep
    right, other = (
        mlp(init_mlp(rng, (400,) * 7, power=p), x, activation).var() / x.var() for p in (power, 3.0 - power)
    )
    assert power / 2 < right < 1.5 * power  # the first layer has its power to itself
    assert not 1 / 8 < other < 8


@pytest.mark.parametrize("widths", [(3,), (3, 2), (1, 8, 8, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_initial_layers_map_each_width_to_the_next_in_the_type_asked_for(widths, dtype, rng):
    layers = init_mlp(rng, widths, dtype)
    assert [layer.W.shape for layer in layers] == [(k, d) for d, k in pairwise(widths)]
    assert [layer.b.shape for layer in layers] == [(k,) for k in widths[1:]]
    assert all(type(layer) is Affine for layer in layers)
    assert all(leaf.dtype == dtype for leaf in leaves(layers))


def test_initial_layers_are_double_by_default_and_the_generators_alone():
    a, b, c = (init_mlp(np.random.default_rng(seed), (3, 4, 2)) for seed in (1, 1, 2))
    assert all(leaf.dtype == np.float64 for leaf in leaves(a))
    assert all(np.array_equal(p, q) for p, q in zip(leaves(a), leaves(b), strict=True))
    assert not np.array_equal(a[0].W, c[0].W)


@NAMES
def test_single_precision_is_kept(activation, rng):
    layers = init_mlp(rng, (3, 4, 2), np.float32)
    x = rng.normal(size=(5, 3)).astype(np.float32)
    hs = mlp_forward(layers, x, activation, activation)
    grads = mlp_vjp(layers, hs, hs[-1], activation, activation)
    deltas = mlp_backward(layers, hs, hs[-1], activation, activation, [0.0, hs[-1]])
    taylor = mlp_taylor(layers, x, x, x, activation)
    elementwise = tuple(function(x) for function in ACTIVATIONS[activation])
    assert all(leaf.dtype == np.float32 for leaf in leaves((*hs, grads, *deltas, taylor, elementwise)))


def chain(*widths):
    return tuple(Affine(np.ones((k, d)), np.zeros(k)) for d, k in pairwise(widths))


def test_layers_that_fit_each_other_pass_in_their_precision():
    for layers in (chain(3, 2), chain(3, 4, 2)):
        found = checked_layers("encoder", layers, 3, 2)
        assert type(found) is tuple
        for layer, same in zip(found, layers, strict=True):
            assert type(layer) is Affine
            np.testing.assert_array_equal(layer.W, same.W)
            np.testing.assert_array_equal(layer.b, same.b)
    single = tuple(Affine(*(a.astype(np.float32) for a in layer)) for layer in chain(3, 2))
    assert {a.dtype for a in leaves(checked_layers("encoder", single))} == {np.dtype(np.float32)}
    turned = (Affine(1j * np.ones((2, 3)), 1j * np.ones(2)),)
    assert checked_layers("encoder", turned, analytic=True)[0].W.dtype == complex


@pytest.mark.parametrize(
    ("message", "layers"),
    [
        ("e: expected a tuple of Affine layers, got an empty one", ()),
        ("e: expected a tuple of Affine layers, got NoneType", None),
        ("e: expected a tuple of Affine layers, got list", list(chain(3, 2))),
        ("e: expected a tuple of Affine layers, got tuple", (np.ones((2, 3)),)),
        ("e[0].W: expected shape (2, 3), got shape (2, 4)", chain(4, 2)),
        ("e[0].W: expected shape (2, 3), got shape (1, 3)", chain(3, 1)),
        ("e[0].W: expected shape (k, 3), got shape (4,)", (Affine(np.ones(4), np.ones(4)), *chain(4, 2))),
        ("e[1].W: expected shape (2, 4), got shape (2, 5)", (*chain(3, 4), *chain(5, 2))),
        ("e[1].W: expected shape (2, 4), got shape (3, 4)", chain(3, 4, 3)),
        ("e[0].b: expected shape (2,), got shape (3,)", (Affine(np.ones((2, 3)), np.ones(3)),)),
        ("e[0].W: expected finite numbers, got NaN or infinity", (Affine(np.full((2, 3), np.nan), np.ones(2)),)),
        ("e[0].b: expected finite numbers, got NaN or infinity", (Affine(np.ones((2, 3)), np.full(2, np.inf)),)),
        ("e[0].W: expected real numbers, got an array of complex128", (Affine(1j * np.ones((2, 3)), np.ones(2)),)),
        ("e[0].b: expected real numbers, got an array of complex128", (Affine(np.ones((2, 3)), 1j * np.ones(2)),)),
    ],
)
def test_layers_that_do_not_fit_are_refused_by_name_and_number(message, layers):
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}$"):
        checked_layers("e", layers, 3, 2)


def test_widths_that_are_free_have_letters():
    for message, layers in (
        ("e[0].W: expected shape (k, d), got shape (3,)", (Affine(np.ones(3), np.ones(3)),)),
        ("e[1].W: expected shape (k, 4), got shape (2, 5)", (*chain(3, 4), *chain(5, 2))),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            checked_layers("e", layers)
