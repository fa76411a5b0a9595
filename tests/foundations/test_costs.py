import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import integrate
from strategies import SIZES, arrays, generators

from ebm_np.foundations.costs import (
    binary_cross_entropy,
    binary_cross_entropy_grad,
    gaussian_kl,
    gaussian_kl_grad,
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


# Gaussian KL


def kl_quadrature(mu, v):
    """The integral of q log(q / p) for q = N(mu, v), p = N(0, 1), in units of q's deviation."""

    def log_density(x, mu, v):
        return -((x - mu) ** 2) / (2 * v) - math.log(2 * math.pi * v) / 2

    def integrand(t):
        x = mu + t * math.sqrt(v)
        return math.exp(-(t**2) / 2) / math.sqrt(2 * math.pi) * (log_density(x, mu, v) - log_density(x, 0, 1))

    options = {"epsabs": 0, "epsrel": 1e-11, "limit": 200}
    return sum(integrate.quad(integrand, *ends, **options)[0] for ends in ((-12, -4), (-4, 0), (0, 4), (4, 12)))


PLACES = list(itertools.product([0.0, -0.3, 2.0, -40.0], [1e-4, 0.01, 0.5, 1.0, 3.0, 400.0]))


@pytest.mark.parametrize(("mu", "v"), PLACES)
def test_the_gaussian_kl_is_the_integral_that_defines_it(mu, v):
    found = gaussian_kl(np.array([mu]), np.array([math.log(v)])).item()
    assert found == pytest.approx(kl_quadrature(mu, v), rel=1e-9, abs=1e-11)


@SHAPES
def test_over_several_dimensions_it_is_the_sum_of_the_integrals(shape, shape_tilde):
    rng = np.random.default_rng(0)
    mu, log_v = 2 * rng.normal(size=shape), rng.normal(size=shape_tilde)
    rows, rows_v = np.broadcast_arrays(mu, np.exp(log_v))
    found = gaussian_kl(mu, log_v)
    assert found.shape == rows.shape[:-1]
    for n in np.ndindex(found.shape):
        expected = sum(kl_quadrature(*pair) for pair in zip(rows[n], rows_v[n], strict=True))
        assert found[n] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "misread",
    [
        lambda mu, v: 0.5 * v.sum() - np.log(v).sum() - len(v) + (mu**2).sum(),  # (1/2) sum before v alone
        lambda mu, v: 0.5 * v.sum() - np.log(v).sum() - 1 + (mu**2).sum(),
        lambda mu, v: 0.5 * (v - np.log(v)).sum() - 1 + (mu**2).sum(),  # -1 and mu^2 outside
        lambda mu, v: (v - np.log(v) - 1 + mu**2).sum(),  # no half
    ],
)
@pytest.mark.parametrize(("mu", "v"), [([0.5], [0.2]), ([-1.0, 2.0], [0.01, 3.0]), ([0.0, 0.1, 1.0], [1.0, 2.0, 9.0])])
def test_the_note_without_its_brackets_is_another_function(misread, mu, v):
    # erratum 14
    mu, v = np.array(mu), np.array(v)
    expected = sum(map(kl_quadrature, mu, v))
    assert gaussian_kl(mu, np.log(v)) == pytest.approx(expected, rel=1e-9)
    assert abs(misread(mu, v) - expected) > 0.05 * expected


def test_the_note_without_its_brackets_would_be_negative_where_nothing_is_to_be_paid():
    assert gaussian_kl(np.zeros(3), np.zeros(3)) == 0
    assert 0.5 * 1 - math.log(1) - 1 + 0 < 0


def test_a_radius_of_a_tenth_costs_what_the_figure_shows():
    # V(v) = v - log v - 1 of the notes' figure is 3.615 at v = 0.01; the KL has half of it
    found = gaussian_kl(np.zeros(1), np.log([0.01])).item()
    assert found == pytest.approx((0.01 - math.log(0.01) - 1) / 2, rel=1e-14)
    assert 2 * found == pytest.approx(3.615, abs=5e-4)


@given(SIZES.flatmap(lambda k: st.tuples(arrays((3, k)), arrays((3, k), 40.0))))
def test_the_gaussian_kl_is_zero_for_the_standard_normal_alone_and_else_positive(pair):
    # erratum 9: the variance's place is 1
    mu, log_v = pair
    found, at_home = gaussian_kl(mu, log_v), (np.maximum(np.abs(mu), np.abs(log_v)) < 1e-7).all(axis=-1)
    assert (found >= -1e-30).all()
    assert (found[~at_home] > 0).all()
    assert (found[at_home] < 1e-13).all()
    assert gaussian_kl(np.zeros(3), np.zeros(3)) == 0
    for gradient in gaussian_kl_grad(np.zeros(3), np.zeros(3)):
        np.testing.assert_array_equal(gradient, 0)


@given(SIZES.flatmap(lambda k: st.tuples(arrays(k), arrays(k, 40.0))))
def test_it_falls_on_the_way_home(pair):
    mu, log_v = pair
    far, half_way = gaussian_kl(mu, log_v), gaussian_kl(mu / 2, log_v / 2)
    assert half_way <= far + 1e-30
    in_mu, in_log_v = gaussian_kl_grad(mu, log_v)
    assert mu @ in_mu + log_v @ in_log_v >= 0


@given(st.floats(-8, -1), st.booleans())
def test_near_the_standard_normal_it_keeps_its_digits(exponent, wide):
    # (1/2) (e^x - 1 - x) = x^2 / 4 + x^3 / 12 + ...
    x = (1 if wide else -1) * 10.0**exponent
    series = x**2 / 4 * (1 + x / 3 + x**2 / 12 + x**3 / 60 + x**4 / 360 + x**5 / 2520)
    found = gaussian_kl(np.zeros(1), np.array([x])).item()
    assert found == pytest.approx(series, rel=1e-7 + 1e-15 / abs(x))


@given(SIZES.flatmap(lambda k: st.tuples(arrays((3, k)), arrays((3, k), 40.0))))
def test_the_gradient_of_the_gaussian_kl_is_that_in_mean_and_log_variance(pair):
    mu, log_v = pair
    one = np.ones(mu.shape)
    in_mu = complex_step(lambda m: gaussian_kl(m[..., None], log_v[..., None]), mu, one)
    in_log_v = complex_step(lambda a: gaussian_kl(mu[..., None], a[..., None]), log_v, one)
    found = gaussian_kl_grad(mu, log_v)
    np.testing.assert_allclose(found[0], in_mu, rtol=1e-12, atol=1e-30)
    np.testing.assert_allclose(found[1], in_log_v, rtol=1e-12, atol=1e-15)


def test_the_gaussian_kl_keeps_single_precision_and_writes_to_nothing():
    mu, log_v = np.ones((2, 3), np.float32), np.full((2, 3), 20, np.float32)
    for argument in (mu, log_v):
        argument.setflags(write=False)
    results = (gaussian_kl(mu, log_v), *gaussian_kl_grad(mu, log_v))
    assert {array.dtype for array in results} == {np.dtype(np.float32)}
    assert all(np.isfinite(array).all() for array in results)


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
