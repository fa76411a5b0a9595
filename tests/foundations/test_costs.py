import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import SIZES, arrays, generators

from ebm_np.foundations.costs import squared_error, squared_error_grad
from ebm_np.foundations.gradient_check import gradient_check

SHAPES = pytest.mark.parametrize(
    ("shape", "shape_tilde"),
    [((3,), (3,)), ((4, 3), (4, 3)), ((3,), (4, 3)), ((4, 3), (3,)), ((4, 1, 3), (5, 3)), ((1, 3), (2, 4, 3))],
)


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


def test_single_precision_is_kept():
    y, y_tilde = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)
    assert squared_error(y, y_tilde).dtype == squared_error_grad(y, y_tilde).dtype == np.float32


def test_arguments_are_not_written_to(rng):
    y, y_tilde = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    for argument in (y, y_tilde):
        argument.setflags(write=False)
    squared_error(y, y_tilde)
    squared_error_grad(y, y_tilde)
