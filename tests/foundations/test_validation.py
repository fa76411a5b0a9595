import re
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from guards import peak
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from strategies import generators

from ebm_np.foundations.layers import Affine
from ebm_np.foundations.validation import (
    array,
    choice,
    count,
    flag,
    floating,
    function,
    generator,
    instance,
    log_variance,
    non_negative,
    positive,
    rank,
    sample_weights,
    signs,
    squarable,
)

# array: what it accepts


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ([[1, 2], [3, 4]], ("N", 2)),
        ([[1, 2], [3, 4]], (2, "d")),
        (np.zeros((3, 2, 1)), ("N", 2, 1)),
        ((1.0, 2.0), ("N",)),
        (5, ()),
        ([True, False], (2,)),
        (range(3), ("N",)),
        (np.arange(3, dtype=np.uint8), (3,)),
        (np.ones(3, np.float16), (3,)),
        (np.ones(3, ">f8"), (3,)),
        (np.ones(3, np.longdouble), (3,)),
    ],
)
def test_whatever_is_real_and_of_the_expected_shape_comes_back_as_double(value, shape):
    found = array("y", value, shape)
    assert type(found) is np.ndarray
    assert found.dtype == np.float64
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, np.array(value))


def test_single_precision_is_kept():
    assert array("y", np.ones(3, np.float32), (3,)).dtype == np.float32


@given(hnp.arrays(st.sampled_from([np.float32, np.float64]), hnp.array_shapes(max_dims=3)))
def test_an_array_that_is_right_already_is_not_copied(value):
    if np.isfinite(value).all():
        assert array("y", value, ("any",) * value.ndim) is value


def test_read_only_arrays_are_welcome_and_not_written_to():
    value = np.arange(3)
    value.setflags(write=False)
    array("y", value, (3,))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_pass_only_where_asked_for(bad):
    value = np.array([1.0, bad])
    np.testing.assert_array_equal(array("y", value, (2,), finite=False), value)
    with pytest.raises(ValueError, match=r"^y: expected finite numbers, got NaN or infinity$"):
        array("y", value, (2,))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_an_empty_array_passes_only_where_asked_for(shape):
    value, expected = np.zeros(shape), ("N", "d")[: len(shape)]
    assert array("y", value, expected, empty=True) is value
    with pytest.raises(ValueError, match=r"^y: expected at least one number, got an empty array of shape \("):
        array("y", value, expected)


# array: what it refuses


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (None, "NoneType"),
        ("text", "str"),
        (1j, "complex"),
        (object(), "object"),
        ({"a": 1}, "dict"),
        (10**400, "int"),
        (["a", "b"], "an array of <U1"),
        ([None, 1.0], "an array of object"),
        (np.ones(2, complex), "an array of complex128"),
        (np.array(["2020-10-18"], "datetime64[D]"), r"an array of datetime64\[D\]"),
        (np.zeros(2, [("a", float)]), "an array of "),
    ],
)
def test_what_is_not_real_numbers_is_a_type_error_that_says_what_came(value, got):
    with pytest.raises(TypeError, match=rf"^lovely_name: expected real numbers, got {got}"):
        array("lovely_name", value, ("N",))


def test_the_rank_is_that_of_the_array_to_be():
    for shape in ((), (2,), (2, 3), (2, 3, 4)):
        assert rank(np.zeros(shape)) == rank(np.zeros(shape).tolist()) == len(shape)
    assert rank([[1, 2], [3]]) == 0


def test_rows_of_unequal_length_are_called_that():
    with pytest.raises(ValueError, match=r"^y: expected shape \(N, 2\), got rows of unequal length$"):
        array("y", [[1, 2], [3]], ("N", 2))
    with pytest.raises(ValueError, match=r"^y: expected rows of equal length, got rows of unequal length$"):
        array("y", [[1, 2], [3]], None)


@pytest.mark.parametrize(
    ("value", "expected", "words"),
    [
        (np.zeros(2), ("N", 2), r"shape \(N, 2\), got shape \(2,\)"),
        (np.zeros((2, 2, 1)), ("N", 2), r"shape \(N, 2\), got shape \(2, 2, 1\)"),
        (np.zeros((4, 3)), ("N", 2), r"shape \(N, 2\), got shape \(4, 3\)"),
        (np.zeros((2, 3)), (2, 2), r"shape \(2, 2\), got shape \(2, 3\)"),
        (np.zeros((3, 2)), (2, "d"), r"shape \(2, d\), got shape \(3, 2\)"),
        (np.zeros(3), (2,), r"shape \(2,\), got shape \(3,\)"),
        (3.0, ("N",), r"shape \(N,\), got shape \(\)"),
        (np.zeros(1), (), r"shape \(\), got shape \(1,\)"),
        (np.zeros((0, 3)), ("N", 2), r"shape \(N, 2\), got shape \(0, 3\)"),
    ],
)
def test_another_rank_or_width_is_refused_with_both_shapes(value, expected, words):
    with pytest.raises(ValueError, match=rf"^y: expected {words}$"):
        array("y", value, expected)


def test_complex_numbers_pass_only_where_asked_for_and_stay_complex():
    value = np.array([1 + 1j])
    assert array("y", value, (1,), analytic=True) is value
    assert array("y", np.ones(1, np.float32), (1,), analytic=True).dtype == np.float32
    assert array("y", [1], (1,), analytic=True).dtype == np.float64
    with pytest.raises(TypeError, match=r"^y: expected real numbers, got an array of object$"):
        array("y", [None], (1,), analytic=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_squarable_numbers_are_those_of_which_a_million_squares_stay_finite(dtype):
    bound = dtype(0.999e-3) * np.sqrt(np.finfo(dtype).max)
    value = np.array([bound, -bound], dtype)
    assert squarable("y", value, (2,)) is value
    with np.errstate(over="raise"):
        np.square(value.repeat(500_000)).sum()
    for sign in (-1, 1):
        with pytest.raises(ValueError, match=r"^y: expected numbers up to \d\S*, whose squares are finite, got \d"):
            squarable("y", np.array([0, sign * dtype(1.01) * bound], dtype), (2,))


def test_squarable_looks_at_all_numbers_without_a_copy_of_any_kind():
    value = np.ones(100_000)
    assert peak(lambda: squarable("y", value, ("N",))) < value.nbytes / 100


def test_squarable_lets_complex_numbers_pass_only_where_asked_for():
    value = np.array([1j, 2])
    assert squarable("y", value, (2,), analytic=True) is value
    for large in (1e200, -1e200, 1e200j, -1e200j):  # it is their size that counts
        with pytest.raises(ValueError, match=r"^y: expected numbers up to \S*, whose squares are finite, got 1e\+200$"):
            squarable("y", np.array([1, large]), (2,), analytic=True)
    with pytest.raises(TypeError, match=r"^y: expected real numbers"):
        squarable("y", value, (2,))


@pytest.mark.parametrize("value", [np.ones(3), [np.nan, 1], [], None, "text", 1j])
def test_squarable_refuses_whatever_array_refuses_in_the_same_words(value):
    with pytest.raises((TypeError, ValueError)) as expected:
        array("y", value, (2,))
    with pytest.raises(expected.type, match=rf"^{re.escape(str(expected.value))}$"):
        squarable("y", value, (2,))


# numbers

REAL = [1, 2.5, np.float32(0.5), np.float64(3), np.int64(4), np.uint8(5), np.float16(0.5), Fraction(1, 3)]
NOT_REAL = [None, "1", True, np.True_, 1j, [1.0], np.array(1.0), np.ones(1), object()]


@pytest.mark.parametrize("value", REAL, ids=repr)
def test_a_positive_number_comes_back_as_a_float(value):
    for read in (positive, non_negative):
        found = read("beta", value)
        assert type(found) is float
        assert found == float(value)


@pytest.mark.parametrize("value", NOT_REAL, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("function", [positive, non_negative])
def test_what_is_no_real_number_is_a_type_error(function, value):
    with pytest.raises(TypeError, match=rf"^beta: expected a real number, got {type(value).__name__}$"):
        function("beta", value)


@pytest.mark.parametrize("value", [0, 0.0, -0.0, -1, -1e-300, -np.inf, np.nan, np.float32(-1)])
@pytest.mark.parametrize(
    ("infinite", "kind"), [(False, "a positive finite number"), (True, "a positive number or infinity")]
)
def test_positive_refuses_zero_negative_numbers_and_nan(value, infinite, kind):
    with pytest.raises(ValueError, match=rf"^beta: expected {kind}, got "):
        positive("beta", value, infinite=infinite)


def test_infinity_is_positive_only_where_asked_for():
    assert positive("beta", np.inf, infinite=True) == np.inf
    with pytest.raises(ValueError, match=r"^beta: expected a positive finite number, got inf$"):
        positive("beta", np.inf)


def test_a_finite_number_stays_welcome_where_infinity_is():
    assert positive("beta", 2.0, infinite=True) == 2
    assert positive("beta", 5e-324) > 0


@pytest.mark.parametrize("value", [0, 0.0, -0.0])
def test_zero_is_not_negative(value):
    assert non_negative("lam", value) == 0


@pytest.mark.parametrize("value", [-1, -1e-300, -np.inf, np.inf, np.nan])
def test_non_negative_refuses_the_rest_and_shows_it(value):
    with pytest.raises(ValueError, match=rf"^lam: expected a finite number that is not negative, got {value!r}$"):
        non_negative("lam", value)


# counts


@pytest.mark.parametrize("value", [1, 7, 10**30, np.int64(3), np.uint8(200)])
def test_a_count_comes_back_as_an_int(value):
    found = count("n", value)
    assert type(found) is int
    assert found == value


@pytest.mark.parametrize("value", [1.0, np.float64(2), "3", None, True, np.True_, [1], Fraction(3)])
def test_what_is_no_whole_number_is_a_type_error(value):
    with pytest.raises(TypeError, match=rf"^n: expected a whole number, got {type(value).__name__}$"):
        count("n", value)


@given(st.integers(-100, 100), st.integers(-100, 100))
def test_a_count_may_be_its_minimum_but_not_less(value, minimum):
    if value >= minimum:
        assert count("n", value, minimum) == value
        return
    with pytest.raises(ValueError, match=rf"^n: expected a whole number of at least {minimum}, got {value}$"):
        count("n", value, minimum)


def test_the_least_count_is_one_by_default():
    with pytest.raises(ValueError, match=r"^n: expected a whole number of at least 1, got 0$"):
        count("n", 0)


# dtypes


@pytest.mark.parametrize("value", [np.float32, "float32", "<f4", ">f4", np.dtype("f4")])
def test_float32_by_any_name_is_native(value):
    assert floating("dtype", value) == np.float32
    assert floating("dtype", value).isnative


@pytest.mark.parametrize("value", [float, "float64", np.float64, "d"])
def test_float64_by_any_name(value):
    assert floating("dtype", value) == np.float64


@pytest.mark.parametrize("value", [None, int, "float16", complex, np.longdouble, "no such", object(), bool])
def test_anything_else_is_refused_by_name(value):
    with pytest.raises(TypeError, match=r"^dtype: expected float32 or float64, got"):
        floating("dtype", value)


# weights of samples


@given(hnp.arrays(st.sampled_from([np.float32, np.float64]), hnp.array_shapes(min_dims=1, max_dims=3)))
def test_without_weights_the_samples_have_those_of_the_mean(like):
    weights = sample_weights(None, like)
    assert weights.shape == like.shape[:1]
    assert weights.dtype == like.dtype
    assert (weights == weights[0]).all()
    assert weights.sum() == pytest.approx(1, rel=1e-6)


def test_weights_are_one_number_a_sample():
    weights = np.array([0.5, -2.0, 0.0])
    assert sample_weights(weights, np.ones((3, 2))) is weights
    with pytest.raises(ValueError, match=r"^weights: expected shape \(3,\), got shape \(2,\)$"):
        sample_weights(weights[:2], np.ones((3, 2)))


# choices and generators


def test_a_choice_is_returned():
    assert choice("method", "grid", {"grid", "newton"}) == "grid"
    assert choice("method", "newton", ["grid", "newton"]) == "newton"


@pytest.mark.parametrize("value", ["Grid", "gri", "", None, 3, ["grid"]])
def test_another_choice_is_refused_and_the_options_are_listed_in_order(value):
    with pytest.raises(ValueError, match=rf"^method: expected one of 'grid', 'newton', got {re.escape(repr(value))}$"):
        choice("method", value, ("newton", "grid"))


def test_part_of_a_name_is_no_choice_even_if_the_options_are_one_string():
    with pytest.raises(ValueError, match=r"^method: expected one of"):
        choice("method", 0, "grid")


def test_a_generator_is_returned_as_it_is():
    rng = np.random.default_rng(0)
    assert generator("rng", rng) is rng


@pytest.mark.parametrize("value", [None, 0, np.random.RandomState(0), np.random.PCG64(0), np.random])
def test_only_a_generator_is_a_generator(value):
    with pytest.raises(TypeError, match=rf"^rng: expected a numpy.random.Generator, got {type(value).__name__}$"):
        generator("rng", value)


# signs


@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64]), hnp.array_shapes(max_dims=3), elements=st.sampled_from([-1, 1])
    )
)
def test_signs_come_back_as_they_are(value):
    assert signs("s", value, tuple("BNT"[: value.ndim])) is value


@pytest.mark.parametrize("kind", [np.int8, np.int64, np.float16, np.longdouble, object, list])
def test_signs_of_other_kinds_become_float64(kind):
    value = np.array([[1, -1], [-1, -1]])
    if kind is object:
        with pytest.raises(TypeError, match=r"^s: expected real numbers, got an array of object$"):
            signs("s", value.astype(object), ("B", 2))
        return
    found = signs("s", value.tolist() if kind is list else value.astype(kind), ("B", 2))
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, value)


@pytest.mark.parametrize(
    "wrong", [0, -0.0, 0.5, 2, -2, 1 + 1e-15, 1 - 1e-15, -1 - 1e-15, np.nan, np.inf, -np.inf, 1e300]
)
def test_a_single_number_that_is_no_sign_is_refused_and_shown(wrong):
    value = np.ones((3, 4))
    value[1, 2] = wrong
    with pytest.raises(ValueError, match=rf"^s: expected .*{re.escape(f'{wrong:.3g}')}$"):
        signs("s", value, ("B", "N"))


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (np.ones(3), ValueError),
        (np.ones((3, 5)), ValueError),
        (np.ones((0, 4)), ValueError),
        ([[1, -1, 1, 1], [1]], ValueError),
        (np.array([[True, False, True, True]]), ValueError),
        (np.ones((1, 4), complex), TypeError),
        (None, TypeError),
        ("+-+-", TypeError),
    ],
)
def test_what_is_no_array_of_signs_of_that_shape_is_refused_by_name(value, error):
    with pytest.raises(error, match=r"^s: expected"):
        signs("s", value, ("B", 4))


@given(generators(), st.floats(-300, 300))
def test_the_log_of_a_variance_passes_where_the_variance_and_its_inverse_can_be_squared(rng, size):
    value = np.append(rng.uniform(-1, 1, 4), size)
    assert log_variance("log_v", value, (5,)) is value


@pytest.mark.parametrize(
    ("size", "name"), [(360.0, r"exp\(log_v\)"), (1e6, r"exp\(log_v\)"), (-360.0, r"exp\(-log_v\)")]
)
def test_where_one_of_them_cannot_it_is_the_one_that_is_named(size, name):
    with pytest.raises(ValueError, match=rf"^{name}: expected "):
        log_variance("log_v", np.array([0.0, size]), (2,))


def test_the_log_of_a_variance_has_the_shape_and_the_name_that_were_asked_for():
    with pytest.raises(ValueError, match=r"^log_v: expected shape \(3,\), got shape \(2,\)$"):
        log_variance("log_v", np.zeros(2), (3,))


def test_flags_are_true_or_false_and_nothing_that_counts_as_such():
    for value in (True, np.True_):
        assert flag("trace", value) is True
    for value in (False, np.False_):
        assert flag("trace", value) is False
    for value in (1, 0, "no", None, np.array([True])):
        words = f"trace: expected True or False, got {type(value).__name__}"
        with pytest.raises(TypeError, match=f"^{re.escape(words)}$"):
            flag("trace", value)


class Pair(NamedTuple):
    """With a function in it."""

    f: object
    x: object


def test_instances_are_of_the_kind_asked_for_and_their_functions_can_be_called():
    pair = Pair(abs, 3)
    assert instance("pair", pair, Pair) is instance("pair", pair, Pair, ("f",)) is pair
    module = Pair.__module__.rpartition(".")[2]
    for message, call in (
        (f"pair: expected {module}.Pair, got int", lambda: instance("pair", 3, Pair)),
        ("pair: expected a tuple, got list", lambda: instance("pair", [], tuple)),
        ("m: expected layers.Affine, got tuple", lambda: instance("m", (), Affine)),
        ("pair.x: expected a function, got int", lambda: instance("pair", pair, Pair, ("f", "x"))),
        ("f: expected a function, got str", lambda: function("f", "abs")),
    ):
        with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
            call()
    assert function("f", abs) is abs


def test_a_moderate_number_and_its_inverse_can_be_squared():
    for value in (1e-150, 1.0, 1e150):
        assert positive("v", value, moderate=True) == value
    for value in (1e-152, 1e152, 1e200, 1e-200):
        with pytest.raises(ValueError, match=r"^v: expected numbers up to"):
            positive("v", value, moderate=True)
    for value in (0, -1.0, np.nan):
        with pytest.raises(ValueError, match=r"^v: expected a positive finite number, got"):
            positive("v", value, moderate=True)


def test_empty_arrays_are_for_those_who_say_so():
    with pytest.raises(ValueError, match=r"^y: expected at least one number"):
        squarable("y", np.zeros((0, 2)), ("N", 2))
    assert squarable("y", np.zeros((0, 2)), ("N", 2), empty=True).shape == (0, 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_are_in_the_precision_of_the_rows(dtype):
    like = np.zeros((2, 3), dtype)
    assert sample_weights(None, like).dtype == sample_weights([1.0, 2.0], like).dtype == dtype
    assert sample_weights(np.float32([1, 2]), like).dtype == dtype
