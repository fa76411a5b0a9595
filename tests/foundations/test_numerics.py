import numpy as np
import pytest
from hypothesis import given
from scipy import special
from strategies import arrays

from ebm_np.foundations.gradient_check import complex_step
from ebm_np.foundations.numerics import sigmoid, softplus

EPS = np.finfo(float).eps
anywhere = arrays(20, largest=1e4)


@given(anywhere)
def test_softplus_is_log_one_plus_exp_to_a_few_units_in_the_last_place(a):
    np.testing.assert_array_max_ulp(softplus(a), -special.log_expit(-a), maxulp=4)


@given(arrays(20, largest=700.0))
def test_softplus_is_what_the_textbook_says_where_that_does_not_overflow(a):
    np.testing.assert_array_max_ulp(softplus(a), np.log1p(np.exp(a)), maxulp=4)


@given(anywhere)
def test_sigmoid_is_one_over_one_plus_exp_of_minus_a_to_a_few_units_in_the_last_place_of_either_tail(a):
    np.testing.assert_allclose(sigmoid(a), special.expit(a), rtol=4 * EPS, atol=1e-300)


@given(anywhere)
def test_the_derivative_of_softplus_is_sigmoid(a):
    derivative = complex_step(softplus, a, np.ones_like(a))
    np.testing.assert_allclose(derivative, sigmoid(a), rtol=8 * EPS, atol=1e-270)


@given(anywhere)
def test_the_derivative_of_sigmoid_is_sigmoid_times_its_complement(a):
    derivative = complex_step(sigmoid, a, np.ones_like(a))
    np.testing.assert_allclose(derivative, sigmoid(a) * sigmoid(-a), rtol=16 * EPS, atol=1e-270)


@given(anywhere)
def test_softplus_of_a_less_that_of_minus_a_is_a(a):
    np.testing.assert_allclose(softplus(a) - softplus(-a), a, rtol=4 * EPS, atol=4 * EPS)


@given(anywhere)
def test_sigmoids_of_a_and_minus_a_sum_to_one(a):
    np.testing.assert_allclose(sigmoid(a) + sigmoid(-a), 1, rtol=2 * EPS)


@pytest.mark.parametrize("size", [1e3, 1e4, 1e30, 1e300, 1.7e308, np.inf])
def test_far_out_nothing_overflows_and_the_limits_are_reached(size):
    a = np.array([-size, size])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert sigmoid(a).tolist() == [0, 1]
        assert softplus(a).tolist() == [0, size]


@pytest.mark.parametrize("function", [softplus, sigmoid])
def test_nan_stays_nan(function):
    assert np.isnan(function(np.array([np.nan, 1.0]))).tolist() == [True, False]


@pytest.mark.parametrize("function", [softplus, sigmoid])
@given(arrays(20, largest=1e4))
def test_single_precision_is_kept_and_agrees_with_double(function, a):
    a = a.astype(np.float32)
    found = function(a)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, function(a.astype(float)), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("function", [softplus, sigmoid])
def test_the_argument_is_not_written_to_and_its_shape_is_kept(function, rng):
    a = rng.normal(size=(2, 3, 4))
    a.setflags(write=False)
    assert function(a).shape == (2, 3, 4)
