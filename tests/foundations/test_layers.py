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
    affine_vjp,
    init_mlp,
    mlp,
    mlp_forward,
    mlp_taylor,
    mlp_vjp,
)
from ebm_np.foundations.parameters import leaves

NAMES = pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
BATCHES = pytest.mark.parametrize("batch", [(), (1,), (4,), (2, 3)])
depths = st.integers(0, 3)
away_from_the_kink = arrays(8, largest=30.0, smallest=1e-3).map(lambda a: np.where(a == 0, 1, a))
TEXTBOOK = {"identity": lambda a: a, "relu": lambda a: a * (a > 0), "tanh": np.tanh}


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


def no_kink_is_near(layers, x, activation):
    hidden = mlp_forward(layers, x, activation)[1][1:]
    return all(np.abs(a).min() > 1e-3 for a in hidden)


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


@BATCHES
@given(generators(), SIZES, SIZES)
def test_the_vjp_of_affine_is_its_gradient_for_weights_bias_and_input(batch, rng, d, k):
    (layer,), x, grad = draw_layers(rng, (d, k)), draw_input(rng, (*batch, d)), draw_input(rng, (*batch, k))
    check = gradient_check(lambda p: np.sum(grad * affine(*p)), affine_vjp(layer, x, grad), (layer, x))
    assert check.passed, check


# activations


@NAMES
@given(arrays(8, largest=30.0))
def test_an_activation_is_what_its_name_says(activation, a):
    np.testing.assert_array_equal(ACTIVATIONS[activation].value(a), TEXTBOOK[activation](a))


@NAMES
@given(away_from_the_kink)
def test_the_slope_of_an_activation_is_its_derivative(activation, a):
    value, slope, _ = ACTIVATIONS[activation]
    np.testing.assert_allclose(slope(a), complex_step(value, a, np.ones(8)), rtol=1e-12, atol=1e-15)


@NAMES
@given(away_from_the_kink)
def test_the_curvature_of_an_activation_is_the_derivative_of_its_slope(activation, a):
    _, slope, curvature = ACTIVATIONS[activation]
    np.testing.assert_allclose(curvature(a), complex_step(slope, a, np.ones(8)), rtol=1e-12, atol=1e-15)


def test_at_its_kink_relu_has_the_slope_of_its_dead_side():
    value, slope, curvature = ACTIVATIONS["relu"]
    zero = np.zeros(1)
    assert value(zero) == slope(zero) == curvature(zero) == 0


# networks


@NAMES
@BATCHES
@given(generators(), depths)
def test_an_mlp_is_affine_maps_with_an_activation_after_each_but_the_last(activation, batch, rng, depth):
    widths = draw_widths(rng, depth)
    layers, x = draw_layers(rng, widths), draw_input(rng, (*batch, widths[0]))
    h = x
    for i, layer in enumerate(layers):
        h = h @ layer.W.T + layer.b
        h = h if i == depth - 1 else TEXTBOOK[activation](h)
    np.testing.assert_allclose(mlp(layers, x, activation), h, rtol=1e-13, atol=1e-13)


@NAMES
@given(generators(), st.integers(1, 3))
def test_what_the_forward_pass_keeps_is_what_came_into_each_layer(activation, rng, depth):
    widths = draw_widths(rng, depth)
    layers, x = draw_layers(rng, widths), draw_input(rng, (5, widths[0]))
    output, inputs = mlp_forward(layers, x, activation)
    np.testing.assert_array_equal(output, mlp(layers, x, activation))
    assert len(inputs) == depth
    for i, a in enumerate(inputs):
        np.testing.assert_allclose(a, mlp(layers[:i], x, activation), rtol=1e-13, atol=1e-13)


@NAMES
@BATCHES
@given(generators(), depths)
def test_the_vjp_of_an_mlp_is_its_gradient_for_all_parameters_and_the_input(activation, batch, rng, depth):
    widths = draw_widths(rng, depth)
    layers, x = draw_layers(rng, widths), draw_input(rng, (*batch, widths[0]))
    assume(activation != "relu" or no_kink_is_near(layers, x, activation))
    output, inputs = mlp_forward(layers, x, activation)
    grad = draw_input(rng, output.shape)
    check = gradient_check(
        lambda p: np.sum(grad * mlp(p[0], p[1], activation)), mlp_vjp(layers, inputs, grad, activation), (layers, x)
    )
    assert check.passed, check


@NAMES
@BATCHES
def test_no_layers_are_the_identity(activation, batch, rng):
    x, dx, ddx = (draw_input(rng, (*batch, 3)) for _ in range(3))
    np.testing.assert_array_equal(mlp((), x, activation), x)
    layer_grads, grad = mlp_vjp((), mlp_forward((), x, activation)[1], dx, activation)
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
@BATCHES
@given(generators(), depths)
def test_mlp_taylor_carries_the_value_and_its_first_two_derivatives(activation, batch, rng, depth):
    layers, curve = draw_curve(rng, depth, batch)
    assume(activation != "relu" or no_kink_is_near(layers, curve(0.0)[0], activation))
    h, dh, ddh = mlp_taylor(layers, *curve(0.0), activation)
    np.testing.assert_allclose(h, mlp(layers, curve(0.0)[0], activation), rtol=1e-13, atol=1e-13)
    of_value = complex_step(lambda z: mlp(layers, curve(z)[0], activation), 0.0, 1.0)
    of_first = complex_step(lambda z: mlp_taylor(layers, *curve(z), activation)[1], 0.0, 1.0)
    np.testing.assert_allclose(dh, of_value, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ddh, of_first, rtol=1e-12, atol=1e-11)


# initialisation


def test_initial_weights_are_normal_with_variance_two_over_the_inputs_and_biases_zero():
    first, second = init_mlp(np.random.default_rng(0), (100, 400, 50))
    for layer, d in ((first, 100), (second, 400)):
        standard = layer.W * np.sqrt(d / 2)
        assert abs(standard.mean()) < 4 / np.sqrt(layer.W.size)
        assert abs(standard.var() - 1) < 4 * np.sqrt(2 / layer.W.size)
        assert abs((standard**4).mean() - 3) < 4 * np.sqrt(96 / layer.W.size)  # 3 only for a normal distribution
        assert not layer.b.any()


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
    output, inputs = mlp_forward(layers, x, activation)
    grads = mlp_vjp(layers, inputs, output, activation)
    taylor = mlp_taylor(layers, x, x, x, activation)
    elementwise = tuple(function(x) for function in ACTIVATIONS[activation])
    assert all(leaf.dtype == np.float32 for leaf in leaves((output, *inputs, grads, taylor, elementwise)))
