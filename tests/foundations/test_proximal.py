import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import SIZES, arrays, generators, numbers

from ebm_np.foundations.gradient_check import complex_step
from ebm_np.foundations.proximal import shrink

EPS = np.finfo(float).eps
vectors = arrays(st.tuples(SIZES))
thresholds = st.one_of(st.just(0.0), st.floats(1e-6, 2e3))


def objective(z, v, t):
    """What the shrinkage minimises, (1/2) ||z - v||^2 + t ||z||_1, term by term."""
    return 0.5 * (z - v) ** 2 + t * np.abs(z)


@given(vectors, thresholds)
def test_shrink_is_sign_times_what_is_left_of_the_size(v, t):
    expected = np.sign(v) * np.maximum(np.abs(v) - t, 0)
    np.testing.assert_allclose(shrink(v, t), expected, rtol=1e-15, atol=0)


@given(numbers(100.0), st.one_of(st.just(0.0), st.floats(1e-6, 200)))
def test_shrink_is_the_prox_of_l1_no_point_of_a_fine_grid_beats_it(v, t):
    grid = np.linspace(-1.5 * abs(v) - 1, 1.5 * abs(v) + 1, 4001)
    least = objective(shrink(v, t), v, t)
    assert least <= objective(grid, v, t).min() + 4 * EPS * least
    best = grid[objective(grid, v, t).argmin()]
    assert abs(best - shrink(v, t)) <= grid[1] - grid[0]


@given(vectors, thresholds, generators())
def test_every_competitor_is_worse_by_half_its_squared_distance(v, t, rng):
    # the three-point inequality, which only the minimiser of a strongly convex function satisfies
    z = shrink(v, t)
    rivals = z + rng.normal(size=(200, v.size)) * 10.0 ** rng.uniform(-6, 3, size=(200, 1))
    margin = objective(rivals, v, t).sum(1) - objective(z, v, t).sum() - 0.5 * ((rivals - z) ** 2).sum(1)
    scale = objective(rivals, v, t).sum(1) + (v**2).sum()
    assert (margin >= -1e-14 * scale).all()


@given(vectors, thresholds)
def test_what_is_taken_away_is_a_subgradient_of_the_l1_norm(v, t):
    z = shrink(v, t)
    rounding = 4 * EPS * np.abs(v)
    assert (np.abs(v - z) <= t + rounding).all()
    assert (np.abs(v - z - t * np.sign(z)) <= rounding)[z != 0].all()


@given(vectors, thresholds)
def test_moreau_shrinkage_and_projection_on_the_dual_ball_add_up_to_the_identity(v, t):
    projection = np.sign(v) * np.minimum(np.abs(v), t)
    np.testing.assert_allclose(shrink(v, t) + projection, v, rtol=2 * EPS, atol=0)


@given(st.integers(1, 6).flatmap(lambda n: st.tuples(arrays(n), arrays(n))), thresholds)
def test_shrink_is_firmly_nonexpansive(pair, t):
    u, v = pair
    moved = shrink(u, t) - shrink(v, t)
    rounding = 8 * EPS * np.maximum(np.abs(u), np.abs(v))
    assert (np.abs(moved) <= np.abs(u - v) + rounding).all()
    assert (moved * (u - v) >= moved**2 - rounding * np.abs(u - v)).all()


@given(vectors, thresholds)
def test_shrink_is_odd(v, t):
    np.testing.assert_array_equal(shrink(-v, t), -shrink(v, t))


@given(vectors)
def test_a_threshold_of_zero_changes_nothing(v):
    np.testing.assert_array_equal(shrink(v, 0.0), v)


@given(vectors, st.floats(1, 10))
def test_a_threshold_of_the_largest_size_or_more_leaves_exact_zeros(v, factor):
    np.testing.assert_array_equal(shrink(v, factor * np.abs(v).max()), 0)


@given(vectors, st.floats(1e-3, 100))
def test_the_derivative_is_one_outside_the_threshold_and_zero_inside(v, t):
    v = np.append(v[np.abs(np.abs(v) - t) > 1e-12], [0, 2 * t])
    np.testing.assert_array_equal(complex_step(lambda v: shrink(v, t), v, np.ones_like(v)), np.abs(v) > t)


@given(arrays((4, 3)), arrays(3).map(np.abs))
def test_an_array_of_thresholds_holds_for_each_its_own_column(v, t):
    expected = np.stack([shrink(v[:, j], t[j]) for j in range(3)], axis=1)
    np.testing.assert_array_equal(shrink(v, t), expected)


@given(arrays((4, 3)), thresholds)
def test_a_threshold_says_the_same_as_a_number_and_as_an_array_of_any_shape(v, t):
    for shape in ((), (1,), (3,), (4, 1), (4, 3)):
        np.testing.assert_array_equal(shrink(v, np.full(shape, t)), shrink(v, t))


@given(arrays((4, 3)), arrays((4, 3)).map(np.abs))
def test_an_array_of_thresholds_is_the_definition_number_by_number(v, t):
    expected = [np.sign(a) * max(abs(a) - b, 0.0) for a, b in zip(v.flat, t.flat, strict=True)]
    np.testing.assert_allclose(shrink(v, t), np.reshape(expected, (4, 3)), rtol=1e-15, atol=0)


@given(arrays((4, 3), largest=10), arrays(3, largest=10).map(np.abs))
def test_under_an_array_of_thresholds_the_derivatives_are_those_of_the_definition(v, t):
    v = np.where(np.abs(np.abs(v) - t) > 1e-9, v, 2 * t + 1)
    on = np.abs(v) > t
    np.testing.assert_array_equal(complex_step(lambda v: shrink(v, t), v, np.ones_like(v)), on)
    found = complex_step(lambda t: shrink(v, t), t, np.ones_like(t))
    np.testing.assert_array_equal(found, np.where(on, -np.sign(v), 0))


@given(numbers(10.0), st.floats(1e-3, 10))
def test_the_derivative_in_a_single_threshold_is_minus_the_sign_outside_and_zero_inside(v, t):
    v = v if abs(abs(v) - t) > 1e-9 else 2 * t + 1
    expected = -np.sign(v) if abs(v) > t else 0
    for shape in ((), (1,)):
        assert complex_step(lambda t: shrink(v, t), np.full(shape, t), np.ones(shape)) == expected


@pytest.mark.parametrize(
    "threshold", [0.7, np.float32(0.7), np.array(0.7, np.float32), np.full(3, 0.7, np.float32), np.ones((2, 1), "f4")]
)
def test_single_precision_is_kept(threshold, rng):
    assert shrink(rng.normal(size=(2, 3)).astype(np.float32), threshold).dtype == np.float32


@pytest.mark.parametrize("threshold", [0.5, np.array([0.1, 0.5, 1.0])], ids=["number", "array"])
def test_the_result_goes_where_it_is_wanted(threshold, rng):
    v, out = rng.normal(size=(4, 3)), np.full((4, 3), np.nan)
    assert shrink(v, threshold, out=out) is out
    np.testing.assert_array_equal(out, shrink(v, threshold))


def test_the_argument_is_not_written_to(rng):
    v, t = rng.normal(size=(4, 3)), np.ones(3)
    for argument in (v, t):
        argument.setflags(write=False)
    shrink(v, t)
