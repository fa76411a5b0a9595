import re
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import SIZES, arrays, generators

from ebm_np.foundations.gradient_check import central_difference, complex_step, complex_step_gradient, gradient_check
from ebm_np.foundations.parameters import flatten, unflatten


class Inner(NamedTuple):
    b: np.ndarray


class Outer(NamedTuple):
    W: np.ndarray
    inner: Inner


def f(p):
    return np.sum(np.sin(p.W)) + np.sum(p.W**2) * np.sum(np.exp(p.inner.b))


def grad_f(p):
    return Outer(
        W=np.cos(p.W) + 2 * p.W * np.sum(np.exp(p.inner.b)),
        inner=Inner(b=np.sum(p.W**2) * np.exp(p.inner.b)),
    )


def draw_point(rng):
    point = Outer(W=rng.normal(size=(2, 3)), inner=Inner(b=rng.normal(size=2)))
    for leaf in (point.W, point.inner.b):
        leaf.setflags(write=False)
    return point


def altered(gradient, place, change):
    vector = flatten(gradient).copy()
    vector[place] = change(vector[place])
    return unflatten(vector, gradient)


# derivatives


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=8), st.floats(-3, 3))
def test_complex_step_is_exact_for_polynomials(coefficients, x):
    powers = np.arange(len(coefficients))
    derivative = sum(k * c * x ** (k - 1) for k, c in enumerate(coefficients) if k)
    rounding = 1e-14 * sum(k * abs(c) * abs(x) ** (k - 1) for k, c in enumerate(coefficients) if k)
    found = complex_step(lambda x: np.sum(coefficients * np.power(x, powers)), np.float64(x), 1.0)
    assert abs(found - derivative) <= rounding + 1e-50  # the step squared


@pytest.mark.parametrize(
    ("function", "derivative"),
    [
        (np.sin, np.cos),
        (np.exp, np.exp),
        (np.log, lambda x: 1 / x),
        (np.sqrt, lambda x: 0.5 / np.sqrt(x)),
        (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
        (np.log1p, lambda x: 1 / (1 + x)),
        (np.expm1, np.exp),
    ],
    ids=lambda function: getattr(function, "__name__", ""),
)
def test_complex_step_is_exact_for_analytic_functions(function, derivative, rng):
    x = rng.uniform(0.01, 5, 50)
    np.testing.assert_allclose(complex_step(function, x, np.ones(50)), derivative(x), rtol=1e-13)


@given(generators())
def test_complex_step_is_the_inner_product_of_gradient_and_direction(rng):
    point, direction = draw_point(rng), draw_point(rng)
    expected = flatten(grad_f(point)) @ flatten(direction)
    size = np.abs(flatten(grad_f(point))) @ np.abs(flatten(direction))
    assert abs(complex_step(f, point, direction) - expected) < 1e-13 * size


def test_complex_step_of_an_array_function_is_its_jacobian_times_the_direction(rng):
    A, x, direction = rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=3)
    found = complex_step(lambda x: A @ x**3, x, direction)
    np.testing.assert_allclose(found, A @ (3 * x**2 * direction), rtol=1e-13)


def test_complex_step_takes_plain_numbers_and_whole_numbers():
    assert complex_step(lambda x: x**3, 2, 1) == 12
    assert complex_step(lambda x: x**3, 2, 10) == 120


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-2, 2), st.floats(0.01, 1))
def test_central_difference_is_exact_for_parabolas_at_any_step(a, b, x, h):
    found = central_difference(lambda x: a * x**2 + b * x, np.float64(x), 1.0, step=h)
    assert abs(found - (2 * a * x + b)) < 1e-12


def test_central_difference_errs_by_the_third_derivative_times_h_squared_over_six():
    x = np.float64(0.7)
    for h in (0.1, 0.05, 0.01):
        error = central_difference(np.sin, x, 1.0, step=h) - np.cos(x)
        assert abs(error / (-np.cos(x) * h**2 / 6) - 1) < h**2


def test_central_difference_has_more_than_half_of_the_digits_by_default(rng):
    point, direction = draw_point(rng), draw_point(rng)
    found, exact = central_difference(f, point, direction), flatten(grad_f(point)) @ flatten(direction)
    assert abs(found - exact) < 1e-9 * abs(exact)


@given(generators())
def test_complex_step_gradient_has_the_structure_of_the_point(rng):
    point = draw_point(rng)
    gradient = complex_step_gradient(f, point)
    assert type(gradient) is Outer
    assert type(gradient.inner) is Inner
    np.testing.assert_allclose(gradient.W, grad_f(point).W, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(gradient.inner.b, grad_f(point).inner.b, rtol=1e-12)


# verdicts

MODES = pytest.mark.parametrize("directions", [0, 1, 5])


@MODES
@given(generators())
def test_the_right_gradient_passes(directions, rng):
    point = draw_point(rng)
    check = gradient_check(f, grad_f(point), point, directions=directions, rng=rng)
    assert check.passed is True
    # in one direction the inner product may nearly vanish, and the error is relative to it
    assert check.error <= 1e-12


@MODES
@pytest.mark.parametrize("factor", [-1, 2, 0.5, 0, np.nan, 1 + 1e-9])
def test_a_gradient_off_by_a_factor_fails(directions, factor, rng):
    point = draw_point(rng)
    wrong = unflatten(factor * flatten(grad_f(point)), point)
    assert gradient_check(f, wrong, point, directions=directions).passed is False


@MODES
@given(generators(), st.integers(0, 7), st.sampled_from([-1.0, 2.0, np.nan, np.inf, 1e300]))
def test_one_wrong_component_fails(directions, rng, place, factor):
    point = draw_point(rng)
    wrong = altered(grad_f(point), place, lambda g: factor * g)
    check = gradient_check(f, wrong, point, directions=directions)
    assert not check.passed
    if not directions:
        assert check.worst == place


@given(arrays(st.tuples(SIZES), largest=100.0, smallest=1e-3).filter(np.any), st.data())
def test_the_error_is_the_largest_difference_over_the_largest_component(x, data):
    place, extra = data.draw(st.integers(0, x.size - 1)), data.draw(st.floats(0.1, 10))
    wrong = 2 * x
    wrong[place] += extra
    check = gradient_check(lambda x: np.sum(x**2), wrong, x)
    assert check.worst == place
    assert check.error == pytest.approx(extra / np.abs(2 * x).max(), rel=1e-12)
    np.testing.assert_array_equal(check.claimed, wrong)
    np.testing.assert_allclose(check.numeric, 2 * x, rtol=1e-14)


@pytest.mark.parametrize(("relative", "passed"), [(0, True), (5e-13, True), (2e-12, False)])
def test_twelve_digits_are_asked_for_by_default(relative, passed):
    x = np.array([3.0])
    assert gradient_check(lambda x: np.sum(x**2), 2 * x * (1 + relative), x).passed is passed


def test_rtol_moves_the_border():
    x = np.array([3.0])
    assert gradient_check(lambda x: np.sum(x**2), 2.02 * x, x, rtol=0.02).passed
    assert not gradient_check(lambda x: np.sum(x**2), 2.02 * x, x, rtol=0.005).passed
    assert gradient_check(lambda x: np.sum(x**2), 2.5 * x, x, rtol=0.25).passed  # on it


def test_a_vanishing_gradient_passes_only_as_zero():
    x = np.zeros(2)
    assert gradient_check(lambda x: np.sum(x**4), np.zeros(2), x).passed
    assert not gradient_check(lambda x: np.sum(x**4), np.array([0.0, 1e-9]), x).passed


def test_where_the_function_is_flat_a_claimed_slope_is_infinitely_wrong():
    check = gradient_check(lambda x: np.sum(x**4), np.array([0.0, 1e9]), np.zeros(2))  # and no warning is given
    assert not check.passed
    assert check.error == np.inf


def test_a_function_that_is_nan_never_passes():
    x = np.ones(2)
    assert not gradient_check(lambda x: np.nan * x.sum(), np.full(2, np.nan), x).passed


# directions


def test_directions_cost_one_complex_evaluation_each_however_many_numbers_there_are():
    calls = []

    def counting(x):
        calls.append(np.iscomplexobj(x))
        return np.sum(x**2)

    check = gradient_check(counting, np.full(1000, 2.0), np.ones(1000), directions=3)
    assert check.passed
    assert sum(calls) == 3
    assert len(calls) < 12
    assert check.claimed.shape == check.numeric.shape == (3,)


def test_directions_come_from_the_generator_and_are_the_same_without_one():
    x = np.ones(4)

    def numeric(rng=None):
        return gradient_check(lambda x: np.sum(x**2), 2 * x, x, directions=2, rng=rng).numeric

    np.testing.assert_array_equal(numeric(), numeric())
    np.testing.assert_array_equal(numeric(np.random.default_rng(7)), numeric(np.random.default_rng(7)))
    assert not np.array_equal(numeric(np.random.default_rng(7)), numeric(np.random.default_rng(8)))
    assert not np.array_equal(numeric(np.random.default_rng(7)), numeric())


def test_directions_are_standard_normal():
    x = np.ones(400)
    check = gradient_check(lambda x: np.sum(x**2), 2 * x, x, directions=400)
    assert abs(check.numeric.std() / 40 - 1) < 0.2  # <2 x, d> is normal with variance 4 * 400
    assert abs(check.numeric.mean()) < 4 * 40 / 20


# what it refuses

NOT_ANALYTIC = {
    "abs": lambda x: np.abs(x).sum(),
    "norm": np.linalg.norm,
    "conjugate": lambda x: (x * x.conj()).sum().real + 0j,
    "real part": lambda x: np.sum(x.real**2),
    "comparison of sizes": lambda x: np.sum(np.where(np.abs(x) > 0.1, x, 0).real),
    "only one component": lambda x: np.sum(x**2) + np.abs(x[0]),
    "of little weight": lambda x: 1e-6 * np.abs(x).sum(),
}


@MODES
@pytest.mark.parametrize("name", NOT_ANALYTIC)
def test_code_that_is_not_analytic_is_refused_even_with_the_right_gradient(name, directions):
    x = np.array([0.5, -2.0, 1.5])
    gradient = np.array([central_difference(NOT_ANALYTIC[name], x, unit) for unit in np.eye(3)])
    with pytest.raises(ValueError, match=r"^f: complex step and central difference disagree"):
        gradient_check(NOT_ANALYTIC[name], gradient, x, directions=directions)


def test_a_kink_is_refused():
    with pytest.raises(ValueError, match=r"^f: .*, or a kink at x\?$"):
        gradient_check(lambda x: np.maximum(x, 0).sum(), np.zeros(2), np.array([0.0, 1.0]))


@given(st.floats(0, 10).map(lambda e: 10**e), arrays(3, largest=10.0))
def test_a_large_constant_is_not_mistaken_for_a_kink(constant, x):
    # central differences then lose digits to rounding, complex steps none
    assert gradient_check(lambda x: np.sum(x**2) + constant, 2 * x, x).passed


def test_a_steep_component_beside_a_flat_one_is_not_mistaken_for_a_kink():
    # central differences err by 6e-6 of the steep slope
    x = np.array([0.3, 0.3])
    gradient = np.array([1000 * np.cos(300), 1])
    assert gradient_check(lambda x: np.sin(1000 * x[0]) + x[1], gradient, x).passed


@pytest.mark.parametrize(("constant", "steepness"), [(1e6, 1000), (1e8, 1)])
def test_digits_lost_on_the_way_are_not_mistaken_for_a_kink(constant, steepness):
    # the differences keep few digits over a short step, and none of the slope of a steep function over a long one
    def f(x):
        return (constant + np.sin(steepness * x[0]) / steepness) - constant

    assert gradient_check(f, np.cos(steepness * np.array([0.1])), np.array([0.1])).passed


@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_gradient_of_another_size_is_refused_by_name(size):
    with pytest.raises(ValueError, match=rf"^gradient: expected the shapes of x, \[\(3,\)\], got \[\({size},\)\]"):
        gradient_check(lambda x: np.sum(x**2), np.zeros(size), np.ones(3))


@pytest.mark.parametrize(("directions", "error"), [(-1, ValueError), (1.5, TypeError), (True, TypeError)])
def test_a_number_of_directions_that_is_no_count_is_refused_by_name(directions, error):
    with pytest.raises(error, match=r"^directions: expected a whole number"):
        gradient_check(lambda x: np.sum(x**2), np.ones(1), np.ones(1), directions=directions)


@pytest.mark.parametrize("rtol", [0, -1e-12, np.nan, np.inf])
def test_a_tolerance_that_is_not_positive_and_finite_is_refused_by_name(rtol):
    with pytest.raises(ValueError, match=r"^rtol: expected"):
        gradient_check(lambda x: np.sum(x**2), np.ones(1), np.ones(1), rtol=rtol)


# how it reads


def test_a_failure_says_where_and_shows_both_numbers():
    x = np.array([1.0, 2.0, 4.0])
    message = str(gradient_check(lambda x: np.sum(x**2), np.array([2.0, -4.5, 8.0]), x))
    assert message == ("gradient check FAILED: relative error 1.1e+00; at number 1 claimed -4.5, complex step 4")


def test_a_success_says_so():
    x = np.array([1.0, 2.0])
    message = str(gradient_check(lambda x: np.sum(x**2), 2 * x, x))
    assert message.startswith("gradient check passed: relative error 0.0e+00; at number 0 claimed 2,")
    assert "\n" not in message


def test_the_same_numbers_in_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"^gradient: expected the shapes of x"):
        gradient_check(lambda x: np.sum(x**2), 2 * np.ones((3, 2)), np.ones((2, 3)))


@pytest.mark.parametrize("x", [1e-6, 1e-4, 1.0, 1e6])
def test_steep_functions_near_zero_are_not_taken_for_kinks(x):
    assert gradient_check(lambda x: np.log(x).sum(), np.array([1 / x]), np.array([x])).passed


def test_a_small_function_that_is_not_analytic_is_refused_too():
    with pytest.raises(ValueError, match=r"^f: complex step and central difference disagree"):
        gradient_check(lambda z: 1e-10 * np.sum(z.real**2), np.zeros(2), np.array([1.0, 2.0]))


def cube(x):
    return (x**3).sum()


X = np.array([1.0, 2.0])


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("x: expected real numbers, got str", lambda: complex_step(cube, "x", X)),
        ("x: expected finite numbers, got NaN or infinity", lambda: complex_step(cube, np.nan * X, X)),
        ("direction: expected real numbers, got str", lambda: complex_step(cube, X, "x")),
        ("direction: expected finite numbers, got NaN or infinity", lambda: complex_step(cube, X, np.inf * X)),
        ("direction: expected the shapes of x, [(2,)], got [(1,)]", lambda: complex_step(cube, X, X[:1])),
        ("f: expected a function, got str", lambda: complex_step("f", X, X)),
        ("x: expected real numbers, got str", lambda: central_difference(cube, "x", X)),
        ("direction: expected real numbers, got str", lambda: central_difference(cube, X, "x")),
        ("direction: expected the shapes of x, [(2,)], got [(1,)]", lambda: central_difference(cube, X, X[:1])),
        ("step: expected a positive finite number, got 0", lambda: central_difference(cube, X, X, 0)),
        ("f: expected a function, got str", lambda: central_difference("f", X, X)),
        ("x: expected real numbers, got str", lambda: complex_step_gradient(cube, "x")),
        ("x: expected real numbers, got str", lambda: gradient_check(cube, X, "x")),
        ("gradient: expected real numbers, got str", lambda: gradient_check(cube, "x", X)),
        ("gradient: expected the shapes of x, [(2,)], got [(1,)]", lambda: gradient_check(cube, X[:1], X)),
        (
            "rng: expected a numpy.random.Generator, got int",
            lambda: gradient_check(cube, 3 * X**2, X, directions=1, rng=0),
        ),
    ],
)
def test_bad_arguments_are_refused_by_name(message, call):
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}$"):
        call()
