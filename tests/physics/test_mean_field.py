import math

import numpy as np
import pytest
from guards import read_only
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.polynomial.legendre import leggauss
from scipy.optimize import brentq
from scipy.special import erfinv
from strategies import generators

from ebm_np.physics.capacity import retrieve
from ebm_np.physics.mean_field import (
    Critical,
    critical,
    first_step_error,
    load,
    memory_energy,
    overlap,
    spin_glass_energy,
)

ALPHA_C, Y_C, M_C = 0.13790557, 1.511219, 0.967417
"""Amit, Gutfreund & Sompolinsky 1987, to more digits."""
NODES = leggauss(60)


def powers(low, high):
    """Positive numbers, evenly over the orders of magnitude."""
    return st.floats(low, high).map(lambda e: 10.0**e)


def below_capacity():
    return st.one_of(powers(-300, -1), st.floats(0.1, 0.1379))


def bracket(y):
    """Equation (2)'s erf(y) / y - (2 / sqrt(pi)) exp(-y^2), as an integral in which nothing cancels."""
    x, w = NODES
    end = min(y, 7.0)
    t = end * (x + 1) / 2
    return 4 / (math.sqrt(math.pi) * y) * end / 2 * (w * t**2 * np.exp(-(t**2))).sum()


def iterated(alpha, n=20_000):
    """m, C and r by repeating (1) from the pattern itself, m = 1 and C = 0; None if they do not settle."""
    m, C, r = 1.0, 0.0, 1.0
    for _ in range(n):
        before = r
        y = m / math.sqrt(2 * alpha * r)
        m, C = math.erf(y), 2 / math.sqrt(math.pi) * math.exp(-(y**2)) / math.sqrt(2 * alpha * r)
        r = 1 / (1 - C) ** 2
        if abs(r - before) < 4e-16 * r:
            return m, C, r
    return None


# the critical load


def test_the_capacity_is_the_published_one_to_8_digits():
    found = critical()
    assert isinstance(found, Critical)
    assert abs(found.alpha - ALPHA_C) < 0.6e-8
    assert abs(found.y - Y_C) < 1e-6
    assert abs(found.m - M_C) < 1e-6
    assert {type(number) for number in found} == {float}


def test_the_capacity_is_the_largest_load_of_a_fine_grid():
    coarse = np.linspace(0.01, 10, 2_000)
    best = coarse[np.argmax([bracket(y) for y in coarse])]
    fine = np.linspace(best - 0.006, best + 0.006, 4_001)
    alphas = [0.5 * bracket(y) ** 2 for y in fine]
    assert critical().alpha == pytest.approx(max(alphas), rel=1e-9)
    assert critical().y == pytest.approx(fine[np.argmax(alphas)], abs=1e-5)
    assert (load(coarse) <= critical().alpha).all()
    # where the integral of t^2 exp(-t^2) over y has no slope, it is y^2 exp(-y^2)
    y = critical().y
    assert bracket(y) == pytest.approx(4 / math.sqrt(math.pi) * y**2 * math.exp(-(y**2)), rel=1e-13, abs=0)
    assert critical().m == math.erf(y)


@given(powers(-9, -2))
def test_just_below_the_capacity_there_is_a_memory_and_just_above_it_there_is_none(distance):
    alpha, _, m = critical()
    assert overlap(alpha * (1 - distance)) > m
    assert overlap(alpha * (1 + distance)) == 0
    assert overlap(alpha) == pytest.approx(m, abs=1e-6)


def test_repeating_equation_1_settles_up_to_the_capacity_and_not_beyond_it():
    assert iterated(0.1378)[0] > M_C
    assert overlap(0.1378) == pytest.approx(iterated(0.1378)[0], rel=1e-10)
    for alpha in (0.138, 0.14, 0.2):
        assert iterated(alpha) is None
        assert overlap(alpha) == 0


# load


@given(powers(-70, 150))
def test_the_load_is_half_the_square_of_an_integral(y):
    assert load(y) == pytest.approx(0.5 * bracket(y) ** 2, rel=1e-12, abs=0)


@given(powers(-300, 300))
def test_the_load_of_every_positive_y_is_a_number_below_one_over_2_y_squared(y):
    bound = critical().alpha if y < 1 else min(critical().alpha, 0.5 / y / y)
    assert 0 <= load(y) <= bound * (1 + 1e-12) + 1e-307


@given(st.floats(0.01, 10), st.floats(0.01, 10))
def test_the_load_rises_up_to_the_critical_y_and_falls_beyond_it(a, b):
    low, high = sorted([a, b])
    if high <= Y_C:
        assert load(low) <= load(high) * (1 + 1e-14)
    elif low >= Y_C:
        assert load(low) >= load(high) * (1 - 1e-14)


# overlap


@given(below_capacity())
@example(0.008971001663067664)
@example(5e-324)
@example(np.finfo(float).tiny)
def test_overlap_solves_equation_1_from_which_the_module_has_derived_another(alpha):
    m = overlap(alpha)
    if alpha < 1e-3:
        assert m == pytest.approx(1, abs=1e-15)
    else:
        expected, _, r = iterated(alpha)
        tolerance = 1e-14 + 1e-15 / (1 - alpha / critical().alpha)
        assert m == pytest.approx(expected, abs=tolerance)
        # and E / N by the r of that solution, equation (3)
        assert memory_energy(alpha) == pytest.approx(-(m**2) / 2 + alpha / 2 * (1 - r), abs=10 * tolerance)


def test_the_unit_that_is_right_as_often_as_the_overlap_says_feels_that_load_to_13_digits():
    alpha = np.linspace(0.1, 0.135, 200)
    np.testing.assert_allclose(load(erfinv(overlap(alpha))), alpha, rtol=1e-13)


@pytest.mark.parametrize(("alpha", "m"), [(0.05, 0.999992), (0.10, 0.997999), (0.12, 0.993223), (0.13, 0.987212)])
def test_overlaps_are_the_published_ones(alpha, m):
    assert abs(overlap(alpha) - m) < 1e-6


@given(powers(-300, 300), powers(-300, 300))
def test_overlap_falls_with_load_and_is_1_at_none_and_0_beyond_the_capacity(a, b):
    low, high = sorted([a, b])
    assert 1 >= overlap(low) >= overlap(high) >= 0
    assert (overlap(high) > 0) == (high <= critical().alpha)
    assert overlap(high) == 0 or overlap(high) >= critical().m - 1e-6


@given(st.floats(0.02, 0.1379), st.floats(0.02, 0.1379))
def test_near_the_capacity_it_falls_strictly(a, b):
    low, high = sorted([a, b])
    assert overlap(low) > overlap(high) or high - low < 1e-6 or overlap(high) == pytest.approx(1, abs=1e-10)


# energies


def test_memories_are_the_deepest_minima_up_to_0_0519():
    crossing = brentq(lambda a: memory_energy(a) - spin_glass_energy(a), 0.01, 0.13)
    assert abs(crossing - 0.0519) < 1e-4
    for alpha in np.linspace(0.001, 0.1379, 30):
        assert (memory_energy(alpha) < spin_glass_energy(alpha)) == (alpha < crossing)


@given(powers(-3, 3))
def test_the_spin_glass_is_the_limit_of_equations_1_and_3_at_small_y(alpha):
    # y / m -> sqrt(pi) / 2 and C sqrt(2 alpha r) -> 2 / sqrt(pi): sqrt(2 alpha r) = sqrt(2 alpha) + C sqrt(2 alpha r)
    y = 1e-5
    root = math.sqrt(2 * alpha) + 2 / math.sqrt(math.pi) * math.exp(-(y**2))
    r = root**2 / (2 * alpha)
    expected = -(math.erf(y) ** 2) / 2 + alpha / 2 * (1 - r)
    assert spin_glass_energy(alpha) == pytest.approx(expected, rel=1e-8)


@given(powers(-300, 300))
def test_energies_are_numbers_where_there_is_such_a_state(alpha):
    E = memory_energy(alpha)
    assert np.isnan(E) == (alpha > critical().alpha)
    assert np.isnan(E) or -0.52 < E < -0.49
    assert spin_glass_energy(alpha) < -1 / np.pi + 1e-15


@pytest.mark.parametrize("alpha", [0.03, 0.1])
def test_networks_that_remember_have_that_energy(alpha, rng):
    n, n_trials = 1_000, 60
    patterns = rng.choice(np.array([-1, 1], np.float32), (n_trials, round(alpha * n), n))
    E = retrieve(patterns, patterns[:, 0]).energy / n
    assert abs(E.mean() - memory_energy(alpha)) < 4 * E.std() / np.sqrt(n_trials) + 0.5 / n
    for wrong in (spin_glass_energy(alpha), -(overlap(alpha) ** 2) / 2 + alpha / 2):
        assert abs(E.mean() - wrong) > 10 * E.std() / np.sqrt(n_trials)


# the first step


@pytest.mark.parametrize(("alpha", "error"), [(0.105, 0.00101), (0.138, 0.00355), (0.185, 0.01004)])
def test_first_step_errors_are_the_published_ones(alpha, error):
    assert abs(first_step_error(alpha) - error) < 0.6e-5


@given(powers(-3, 4))
def test_the_first_step_error_is_the_chance_that_a_normal_number_outweighs_the_signal(alpha):
    for signal, keep_diagonal in ((1, False), (1 + alpha, True)):
        expected = 0.5 * math.erfc(signal / math.sqrt(2 * alpha))
        assert first_step_error(alpha, keep_diagonal=keep_diagonal) == pytest.approx(expected, rel=1e-10, abs=1e-300)


@given(powers(-300, 300))
def test_erratum_20_a_kept_diagonal_spoils_fewer_bits_and_none_of_very_many_patterns(alpha):
    plain, kept = first_step_error(alpha), first_step_error(alpha, keep_diagonal=True)
    assert 0 <= kept <= plain <= 0.5
    assert kept < plain or plain < 1e-300 or alpha < 1e-15
    if alpha > 1e4:
        assert plain > 0.49
        assert kept < 1e-300


# shapes, and bad input

ELEMENTWISE = {
    "load": load,
    "overlap": overlap,
    "memory_energy": memory_energy,
    "spin_glass_energy": spin_glass_energy,
    "first_step_error": first_step_error,
    "first_step_error, diagonal kept": lambda alpha: first_step_error(alpha, keep_diagonal=True),
}
EVERY = pytest.mark.parametrize(("name", "function"), ELEMENTWISE.items(), ids=ELEMENTWISE)


@EVERY
@given(rng=generators(), shape=st.lists(st.integers(1, 3), max_size=3))
def test_numbers_of_any_shape_give_numbers_of_that_shape_each_for_itself(name, function, rng, shape):
    x = read_only(rng.uniform(0.01, 0.2, shape))
    found = function(x)
    assert np.shape(found) == np.shape(x)
    for place in np.ndindex(*shape):
        np.testing.assert_equal(np.asarray(found)[place], function(float(x[place])))
    np.testing.assert_array_equal(function(x.tolist()), found)


@EVERY
def test_whole_numbers_are_numbers(name, function):
    np.testing.assert_array_equal(function(np.array([1, 2])), function(np.array([1.0, 2.0])))
    np.testing.assert_equal(function(1), function(1.0))


@EVERY
def test_single_precision_is_kept(name, function):
    x = np.array([0.01, 0.1, 0.13, 0.2], np.float32)
    found = function(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, function(x.astype(float)), rtol=1e-5)


@EVERY
@pytest.mark.parametrize(
    "bad",
    [0, -0.1, np.nan, np.inf, [0.1, 0.0], [0.1, np.nan], [], [[0.1], [0.1, 0.2]], None, "0.1", ["0.1"], 0.1 + 0j],
    ids=repr,
)
def test_what_is_no_load_is_refused_by_name(name, function, bad):
    with pytest.raises((ValueError, TypeError), match=rf"^{'y' if name == 'load' else 'alpha'}: expected"):
        function(bad)


def test_what_is_not_positive_and_what_is_no_flag_is_told_in_words():
    for function in (overlap, memory_energy, spin_glass_energy, first_step_error):
        with pytest.raises(ValueError, match=r"^alpha: expected positive loads P / N$"):
            function(0)
    with pytest.raises(ValueError, match=r"^y: expected positive numbers$"):
        load(0)
    with pytest.raises(TypeError, match=r"^keep_diagonal: expected"):
        first_step_error(0.1, keep_diagonal=1)
