import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from strategies import SIZES, arrays, generators

from ebm_np.foundations.costs import (
    binary_cross_entropy,
    binary_cross_entropy_grad,
    squared_error,
    squared_error_grad,
)
from ebm_np.foundations.gradient_check import complex_step, gradient_check

SHAPES = pytest.mark.parametrize(
    ("shape", "shape_tilde"),
    [((3,), (3,)), ((4, 3), (4, 3)), ((3,), (4, 3)), ((4, 3), (3,)), ((4, 1, 3), (5, 3)), ((1, 3), (2, 4, 3))],
)

BOTH = pytest.mark.parametrize(
    ("cost", "grad"),
    [(squared_error, squared_error_grad), (binary_cross_entropy, binary_cross_entropy_grad)],
    ids=["squared error", "binary cross-entropy"],
)
shares = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))


def targets(shape):
    return hnp.arrays(np.float64, shape, elements=shares)


# squared error


@SHAPES
def test_the_squared_error_is_the_sum_over_the_last_axis_and_has_no_half(shape, shape_tilde, rng):
    y, y_tilde = rng.normal(size=shape), rng.normal(size=shape_tilde)
    rows, rows_tilde = np.broadcast_arrays(y, y_tilde)
    found = squared_error(y, y_tilde)
    assert found.shape == rows.shape[:-1]
    for n in np.ndindex(found.shape):
        expected = sum((a - b) ** 2 for a, b in zip(rows[n], rows_tilde[n], strict=True))
        assert found[n] == pytest.approx(expected, rel=1e-14)


@given(st.tuples(SIZES, SIZES).flatmap(lambda shape: st.tuples(arrays(shape), arrays(shape))))
def test_the_squared_error_is_symmetric_and_zero_only_where_both_are_equal(pair):
    y, y_tilde = pair
    np.testing.assert_array_equal(squared_error(y, y_tilde), squared_error(y_tilde, y))
    np.testing.assert_array_equal(squared_error(y, y), 0)
    np.testing.assert_array_equal(squared_error(y, y_tilde) == 0, (np.abs(y - y_tilde) < 1e-160).all(axis=-1))


@given(generators(), st.tuples(SIZES, SIZES))
def test_the_gradient_is_that_of_the_cost_in_the_decoded(rng, shape):
    y, y_tilde = rng.normal(size=shape), rng.normal(size=shape)
    check = gradient_check(lambda t: squared_error(y, t).sum(), squared_error_grad(y, y_tilde), y_tilde)
    assert check.passed, check


@given(generators(), st.tuples(SIZES, SIZES))
def test_its_negative_is_the_gradient_in_the_observation(rng, shape):
    y, y_tilde = rng.normal(size=shape), rng.normal(size=shape)
    check = gradient_check(lambda y: squared_error(y, y_tilde).sum(), -squared_error_grad(y, y_tilde), y)
    assert check.passed, check


@SHAPES
def test_the_gradient_has_one_row_for_each_cost(shape, shape_tilde, rng):
    y, y_tilde = rng.normal(size=shape), rng.normal(size=shape_tilde)
    gradient = squared_error_grad(y, y_tilde)
    assert gradient.shape == (*squared_error(y, y_tilde).shape, 3)
    # ||grad C||^2 = 4 C
    np.testing.assert_allclose(np.sum(gradient**2, axis=-1), 4 * squared_error(y, y_tilde), rtol=1e-13)


# binary cross-entropy


@SHAPES
def test_the_cross_entropy_is_the_bracketed_sum_over_the_last_axis(shape, shape_tilde, rng):
    y, a = rng.random(shape), 3 * rng.normal(size=shape_tilde)
    rows, logits = np.broadcast_arrays(y, a)
    found = binary_cross_entropy(y, a)
    assert found.shape == rows.shape[:-1]
    for n in np.ndindex(found.shape):
        expected = 0.0
        for t, logit in zip(rows[n], logits[n], strict=True):
            s = 1 / (1 + math.exp(-logit))
            expected -= t * math.log(s) + (1 - t) * math.log(1 - s)
        assert found[n] == pytest.approx(expected, rel=1e-13)


@given(st.tuples(SIZES, SIZES).flatmap(lambda shape: st.tuples(targets(shape), arrays(shape, 10.0))))
def test_where_the_textbook_can_be_computed_the_cross_entropy_is_the_textbook_s(pair):
    y, a = pair
    s = 1 / (1 + np.exp(-a))
    textbook = -(y * np.log(s) + (1 - y) * np.log(1 - s)).sum(axis=-1)
    np.testing.assert_allclose(binary_cross_entropy(y, a), textbook, rtol=1e-11)


@given(generators(), st.tuples(SIZES, SIZES))
def test_without_its_brackets_it_would_be_another_function_and_have_no_lower_bound(rng, shape):
    # the note: -sum_i y_i log y~_i + (1 - y_i) log(1 - y~_i), where the second half stands outside of the minus sign
    y, near, far = rng.uniform(0, 0.9, shape), rng.normal(size=shape), np.full(shape, 1e3)

    def halves(a):
        return (-y * np.log1p(np.exp(-a))).sum(axis=-1), (-(1 - y) * np.logaddexp(0, a)).sum(axis=-1)

    first, second = halves(near)
    assert (-first + second < binary_cross_entropy(y, near)).all()
    np.testing.assert_allclose(binary_cross_entropy(y, near), -first - second, rtol=1e-13)
    first, second = halves(far)
    assert (-first + second < -99).all()  # the worse y~, the lower
    assert (binary_cross_entropy(y, far) > 99).all()


@given(st.tuples(SIZES, SIZES).flatmap(lambda shape: st.tuples(targets(shape), arrays(shape, 1e6))))
def test_the_cross_entropy_is_never_below_the_entropy_of_the_target_and_there_it_is_least(pair):
    y, a = pair
    logs = (np.log(np.where(p > 0, p, 1)) for p in (y, 1 - y))
    entropy = -sum(p * log for p, log in zip((y, 1 - y), logs, strict=True)).sum(axis=-1)
    assert (binary_cross_entropy(y, a) >= entropy * (1 - 1e-14)).all()
    inner = np.clip(y, 1e-6, 1 - 1e-6)
    best = np.log(inner / (1 - inner))
    assert (binary_cross_entropy(inner, best) <= binary_cross_entropy(inner, a) * (1 + 1e-14)).all()
    np.testing.assert_allclose(binary_cross_entropy_grad(inner, best), 0, atol=1e-15)


@given(targets(6), arrays(6, 1e6))
def test_a_pixel_and_its_negative_cost_the_same(y, a):
    np.testing.assert_allclose(binary_cross_entropy(y, a), binary_cross_entropy(1 - y, -a), rtol=1e-12, atol=1e-9)


def test_a_logit_of_a_thousand_costs_nothing_or_a_thousand():
    y, a = np.array([1.0, 0.0, 1.0, 0.0, 0.25, 0.25])[:, None], np.array([1e3, -1e3, -1e3, 1e3, 1e3, -1e3])[:, None]
    np.testing.assert_array_equal(binary_cross_entropy(y, a), [0, 0, 1000, 1000, 750, 250])
    np.testing.assert_array_equal(binary_cross_entropy_grad(y, a)[:, 0], [0, 0, -1, 1, 0.75, -0.25])


@given(st.floats(0, 700))
def test_what_is_almost_certain_and_right_keeps_all_its_digits(a):
    right, tiny = np.array([[1.0], [0.0]]), np.log1p(np.exp(-a))  # at 30 it is 9e-14, and log(1 - sigmoid) is off by 1%
    np.testing.assert_allclose(binary_cross_entropy(right, np.array([[a], [-a]])), tiny, rtol=1e-15)
    np.testing.assert_allclose(binary_cross_entropy(1 - right, np.array([[a], [-a]])), a + tiny, rtol=1e-15)
    certain = np.array([-a])
    np.testing.assert_allclose(
        binary_cross_entropy_grad(np.zeros(1), certain), np.exp(-a) / (1 + np.exp(-a)), rtol=1e-15
    )


@given(st.tuples(SIZES, SIZES).flatmap(lambda shape: st.tuples(targets(shape), arrays(shape, 30.0, 1e-3))))
def test_the_gradient_of_the_cross_entropy_is_that_in_the_logits(pair):
    y, a = pair
    a = np.where(a == 0, 1.0, a)  # the form that does not cancel has two branches, which meet at 0
    derivative = complex_step(lambda a: binary_cross_entropy(y[..., None], a[..., None]), a, np.ones(a.shape))
    np.testing.assert_allclose(binary_cross_entropy_grad(y, a), derivative, rtol=1e-12, atol=1e-15)


def test_where_the_two_branches_meet_the_gradient_has_no_kink():
    y = np.array([0.0, 0.3, 1.0])
    near = [binary_cross_entropy_grad(y, np.full(3, a)) for a in (-1e-15, 0.0, 1e-15)]
    np.testing.assert_allclose(near, np.tile(0.5 - y, (3, 1)), atol=1e-15)


@given(generators(), st.tuples(SIZES, SIZES))
def test_the_negative_logits_are_the_gradient_of_the_cross_entropy_in_the_observation(rng, shape):
    y, a = rng.random(shape), 5 * rng.normal(size=shape)
    check = gradient_check(lambda y: binary_cross_entropy(y, a).sum(), -a, y)
    assert check.passed, check


# what both share


@BOTH
@SHAPES
def test_a_gradient_has_one_row_for_each_cost(cost, grad, shape, shape_tilde, rng):
    y, seen = rng.random(shape), rng.normal(size=shape_tilde)
    assert grad(y, seen).shape == (*cost(y, seen).shape, 3)


@BOTH
def test_single_precision_is_kept(cost, grad):
    y, seen = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)
    assert cost(y, seen).dtype == grad(y, seen).dtype == np.float32


@BOTH
def test_arguments_are_not_written_to(cost, grad, rng):
    y, seen = rng.random((2, 3)), rng.normal(size=(2, 3))
    for argument in (y, seen):
        argument.setflags(write=False)
    cost(y, seen)
    grad(y, seen)
