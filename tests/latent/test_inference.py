from functools import partial

import numpy as np
import oracles
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import arrays

from ebm_np.latent import ellipse, inference
from ebm_np.latent.ellipse import LECTURE_SAMPLE, UNTRAINED, Params
from ebm_np.latent.nearest_point import nearest_angle

ANY_METHOD = pytest.mark.parametrize("method", ellipse.METHODS)
LOCAL = ("cg", "line-search", "l-bfgs")
radii = arrays(2, largest=1e3, smallest=1e-3)
points = arrays((1, 2), largest=1e3, smallest=1e-3)


def distance_on_circle(a, b):
    return np.abs(np.angle(np.exp(1j * (np.asarray(a) - b))))


def well_conditioned(w, y, z):
    """The curvature of E at z: without any, no digit of z is meaningful."""
    scale = max(np.abs(w).max(), np.abs(y).max()) ** 2
    return ellipse.energy_curvature_z(Params(w), y, z[:, None]).min() > 1e-4 * scale


@given(radii, points)
@settings(max_examples=300)
def test_nearest_angle_is_the_exact_global_minimum(w, y):
    z, *_ = nearest_angle(w, y)
    least, angles = oracles.nearest_angles(w, y[0])
    scale = np.abs(w).max() ** 2 + np.abs(y).max() ** 2
    assert 0 <= z[0] < 2 * np.pi
    assert ellipse.energy(Params(w), y, z[:, None])[0, 0] - least <= 1e-13 * scale
    if well_conditioned(w, y, z):
        assert distance_on_circle(z, angles).min() < 1e-10


@given(radii, points)
def test_no_angle_of_a_fine_grid_is_better_than_the_nearest(w, y):
    z, *_ = nearest_angle(w, y)
    brute = ellipse.energy(Params(w), y, inference.grid(2000)).min()
    found = ellipse.energy(Params(w), y, z[:, None])[0, 0]
    assert found <= brute + 1e-13 * (np.abs(w).max() ** 2 + np.abs(y).max() ** 2)


@pytest.mark.parametrize("w", [(2.0, 1.5), (-1.45, 0.36), (1.0, 1.0), (0.3, 5.0), (1.0, 1e-9), (1.0, 1 - 1e-12)])
def test_points_that_almost_touch_the_evolute_or_the_axes_have_their_angle_too(w):
    w = np.array(w)
    cusp = (w[0] ** 2 - w[1] ** 2) / w
    tiny = np.concatenate([[0], np.logspace(-300, -1, 60)])
    y = np.concatenate([np.stack([cusp[0] * np.ones_like(tiny), tiny], 1), np.stack([tiny, cusp[1] + 0 * tiny], 1)])
    z, n_iter, converged = nearest_angle(w, y)
    assert n_iter <= 100
    assert converged.all()
    least = np.array([oracles.nearest_angles(w, row)[0] for row in y])
    np.testing.assert_allclose(ellipse.energy(Params(w), y, z[:, None])[:, 0], least, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("w", "y", "z"),
    [
        ((2.0, 1.0), (0.6, 0.0), np.arccos(0.4)),  # on the longer axis, z ties with 2 pi - z
        ((-2.0, 1.0), (0.6, 0.0), np.arccos(-0.4)),
        ((1.0, 2.0), (0.0, 0.6), np.arcsin(0.4)),  # z ties with pi - z
        ((1.0, 2.0), (0.0, -0.6), np.pi + np.arcsin(0.4)),  # with 2 pi - arcsin
        ((2.0, 1.0), (0.0, 0.0), np.pi / 2),
        ((1.0, 2.0), (0.0, 0.0), 0.0),
        ((1.0, 1.0), (0.0, 0.0), 0.0),  # all tie
        ((0.0, 0.0), (1.0, 1.0), 0.0),
        ((2.0, 1.0), (5.0, 0.0), 0.0),
        ((2.0, 1.0), (-5.0, 0.0), np.pi),
        ((2.0, 1.0), (0.0, -5.0), 3 * np.pi / 2),
    ],
)
@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_of_two_angles_that_tie_the_smaller_is_returned(w, y, z, zero):
    y = np.array([y]) + zero  # -0 + 0 = 0, but 0 + -0 = 0 as well: make the sign explicit
    y = np.where(y == 0, zero, y)
    assert nearest_angle(np.array(w), y)[0][0] == pytest.approx(z, abs=1e-12)


@pytest.mark.parametrize("scale", [1e-150, 1e-100, 1e100, 1e150])
def test_the_angle_does_not_depend_on_the_unit(scale):
    z, *_ = nearest_angle(UNTRAINED.w, LECTURE_SAMPLE)
    scaled, *_ = nearest_angle(UNTRAINED.w * scale, LECTURE_SAMPLE * scale)
    np.testing.assert_allclose(scaled, z, rtol=1e-12)


@given(arrays((4, 2), largest=10, smallest=1e-3), arrays((4, 2), largest=10, smallest=1e-3))
def test_each_sample_can_have_its_own_ellipse(w, y):
    together, *_ = nearest_angle(w, y)
    alone = [nearest_angle(w[n], y[n : n + 1])[0][0] for n in range(4)]
    energies = [[oracles.ellipse_energy(w[n], y[n], z) for n, z in enumerate(angles)] for angles in (together, alone)]
    np.testing.assert_allclose(*energies, rtol=1e-10, atol=1e-10)


@ANY_METHOD
def test_all_methods_find_the_exact_root_from_the_right_well(method):
    rng = np.random.default_rng(1)
    w = np.array([-1.45265, 0.35856])
    y = rng.uniform((-3, -2), (3, 2), (40, 2))
    exact = [oracles.nearest_angles(w, row) for row in y]
    start = np.array([angles[0] for _, angles in exact]) + rng.uniform(-0.05, 0.05, 40)
    found = ellipse.infer(Params(w), y, method=method, z0=start)
    assert found.converged.all()
    np.testing.assert_allclose(found.energy, [least for least, _ in exact], rtol=0, atol=1e-10)
    assert max(distance_on_circle(z, angles).min() for z, (_, angles) in zip(found.z, exact, strict=True)) < 1e-10


@pytest.mark.parametrize("method", ["exhaustive", "newton"])
@given(w=arrays(2, largest=3, smallest=0.05), y=arrays((1, 2), largest=3, smallest=0.05))
def test_grid_methods_are_right_from_anywhere(method, w, y):
    found = ellipse.infer(Params(w), y, method=method)
    least, angles = oracles.nearest_angles(w, y[0])
    # two wells within one step of the grid are nearly one: there the grid may take the other
    assert found.energy[0] - least < 2e-4
    wells = np.sum(ellipse.energy_curvature_z(Params(w), y, oracles.stationary_angles(w, y[0])[None].astype(float)) > 0)
    assume(wells == 1 or well_conditioned(w, y, np.array([angles[0]])))
    if found.energy[0] - least < 1e-10 and well_conditioned(w, y, found.z):
        assert distance_on_circle(found.z, angles).min() < 1e-6


@pytest.mark.parametrize("method", LOCAL)
@given(start=st.floats(-10, 10), n=st.integers(0, 23))
@settings(max_examples=30)
def test_local_methods_land_in_some_well_and_say_so(method, start, n):
    y = LECTURE_SAMPLE[n : n + 1]
    found = ellipse.infer(UNTRAINED, y, method=method, z0=start)
    least, _ = oracles.nearest_angles(UNTRAINED.w, y[0])
    assert found.energy[0] >= least - 1e-12
    assert found.energy[0] <= ellipse.energy(UNTRAINED, y, np.array([start]))[0, 0] + 1e-12
    assert found.converged[0]
    assert abs(ellipse.energy_grad_z(UNTRAINED, y, found.z[:, None])[0, 0]) < 1e-6


@pytest.mark.parametrize("method", LOCAL)
def test_local_methods_get_the_wrong_minimum_of_y10_from_the_wrong_side(method):
    y = LECTURE_SAMPLE[9:10]
    found = ellipse.infer(UNTRAINED, y, method=method, z0=4.6)
    assert found.z[0] == pytest.approx(4.52, abs=0.05)
    assert found.energy[0] == pytest.approx(3.5, abs=0.1)
    assert ellipse.infer(UNTRAINED, y).energy[0] == pytest.approx(1.320, abs=5e-4)


@pytest.mark.parametrize("method", ["cg", "l-bfgs"])
def test_the_trace_starts_at_the_start_and_ends_where_the_descent_ends(method):
    found = ellipse.infer(UNTRAINED, LECTURE_SAMPLE, method=method, z0=0.5)
    assert found.trace.shape == (found.n_iter + 1, 24)
    np.testing.assert_array_equal(found.trace[0], 0.5)
    assert distance_on_circle(found.trace[-1], found.z).max() < 1e-4
    energies = [ellipse.energy(UNTRAINED, LECTURE_SAMPLE, z[:, None])[:, 0] for z in found.trace]
    assert (np.diff(energies, axis=0) <= 1e-12).all()


@pytest.mark.parametrize("method", ["secular", "newton", "exhaustive", "line-search"])
def test_methods_without_a_path_return_an_empty_trace(method):
    assert ellipse.infer(UNTRAINED, LECTURE_SAMPLE, method=method).trace.shape == (0, 24)


@ANY_METHOD
def test_a_batch_is_its_rows_one_by_one(method):
    y = LECTURE_SAMPLE[:5]
    together = ellipse.infer(UNTRAINED, y, method=method)
    alone = [ellipse.infer(UNTRAINED, row[None], method=method) for row in y]
    np.testing.assert_allclose(together.z, [r.z[0] for r in alone], rtol=1e-10)
    np.testing.assert_allclose(together.energy, [r.energy[0] for r in alone], rtol=1e-12)
    assert together.z.shape == together.energy.shape == together.converged.shape == (5,)


@ANY_METHOD
def test_energy_is_that_of_the_latent_returned(method):
    found = ellipse.infer(UNTRAINED, LECTURE_SAMPLE, method=method)
    np.testing.assert_allclose(
        found.energy, ellipse.energy(UNTRAINED, LECTURE_SAMPLE, found.z[:, None])[:, 0], rtol=1e-13
    )
    assert ((found.z >= 0) & (found.z < 2 * np.pi)).all()


@ANY_METHOD
def test_float32_in_float32_out(method):
    params, y = Params(UNTRAINED.w.astype(np.float32)), LECTURE_SAMPLE[:4].astype(np.float32)
    found = ellipse.infer(params, y, method=method)
    assert found.z.dtype == found.energy.dtype == found.trace.dtype == np.float32
    np.testing.assert_allclose(
        found.energy, ellipse.infer(UNTRAINED, LECTURE_SAMPLE[:4], method=method).energy, rtol=1e-4
    )


@given(st.floats(-1e6, 1e6))
def test_wrapped_angles_are_the_same_angles_in_one_turn(z):
    wrapped = inference.wrap(np.array([z]))[0]
    assert 0 <= wrapped < 2 * np.pi
    assert distance_on_circle(wrapped, z) < 1e-9


def test_a_tiny_negative_angle_wraps_to_zero_not_to_a_full_turn():
    assert inference.wrap(np.array([-1e-20])).tolist() == [0.0]


@pytest.mark.parametrize("n", [1, 2, 48])
def test_the_grid_is_even_and_starts_at_zero(n):
    np.testing.assert_allclose(np.diff(np.append(inference.grid(n), 2 * np.pi)), 2 * np.pi / n, rtol=1e-13)
    assert inference.grid(n)[0] == 0
    assert inference.grid(n, np.float32).dtype == np.float32


def test_latents_are_the_grid_in_the_precision_of_the_samples():
    for like, dtype in ((np.ones(3, np.float32), np.float32), (np.ones(3), np.float64), (np.ones(3, int), np.float64)):
        found = inference.latents(7, like)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, inference.grid(7, dtype))
    with pytest.raises(ValueError, match=r"^n_latents: expected a whole number of at least 1, got 0$"):
        inference.latents(0, np.ones(3))


def parabolas(curvature, bottom):
    """E = c (z - b)^2 / 2, each sample with its own c and b."""
    c, b = np.reshape(curvature, (-1, 1)), np.reshape(bottom, (-1, 1))
    return inference.Landscape(
        lambda rows, z: c[rows] * (z - b[rows]) ** 2 / 2,
        lambda rows, z: c[rows] * z - c[rows] * b[rows],
        lambda rows, z: c[rows] + 0 * z,
    )


def test_the_polish_mends_the_last_digits_and_does_not_search():
    start = np.array([1 + 1e-4, 1.0, 1.5, 1.9, 0.5, 3.5])
    found = inference._finish(parabolas(np.full(6, 1.0), np.ones(6)), start, 7)
    np.testing.assert_array_equal(found.z, [1.0, 1.0, *start[2:]])
    assert found.converged.tolist() == [True, True, False, False, False, False]
    assert found.n_iter == 7


def test_a_flat_place_counts_as_a_minimum_and_a_top_does_not():
    found = inference._finish(parabolas([0.0, 1.0, -1.0], np.ones(3)), np.ones(3), 1)
    assert found.converged.tolist() == [True, True, False]
    np.testing.assert_array_equal(found.z, 1)


def test_in_a_steep_well_rounding_alone_is_left_of_the_slope_and_that_is_converged():
    well = parabolas([1e6], [1.0])
    blurred = well._replace(slope=lambda rows, z: well.slope(rows, z) + 1e-11)  # the bottom is between two floats
    assert inference._finish(blurred, np.array([1 + 1e-5]), 1).converged.all()


@pytest.mark.parametrize("level", [0.0, 1.0, -1e8, 1e8])
def test_of_wells_that_differ_by_rounding_alone_the_smaller_angle_is_taken(level):
    rounding = 4 * np.spacing(max(1.0, abs(level)))
    energy = np.array([level + rounding, level, level + 1.0, level, level + 100 * rounding])
    landscape = inference.Landscape(lambda rows, z: energy[:, None], None, None)
    found = inference._lowest(landscape, np.array([0, 0, 1, 1, 1]), np.array([1.0, 4.0, 1.0, 5.0, 3.0]), 2)
    np.testing.assert_array_equal(found, [1.0, 5.0])


@pytest.mark.parametrize("method", ["cg", "l-bfgs"])
def test_descents_follow_the_slope_that_was_derived_by_hand_to_a_millionth(method):
    exact, asked = ellipse.landscape(UNTRAINED, LECTURE_SAMPLE), []

    def slope(rows, z):
        asked.append(z)
        return exact.slope(rows, z)

    found = inference.METHODS[method](exact._replace(slope=slope), np.full(24, 0.5))
    assert len(asked) > 24 * 3 + 3  # three are for the polish
    rows = np.arange(24)
    height = np.ptp(exact.value(rows, inference.grid(48)), axis=1)
    assert (np.abs(exact.slope(rows, found.trace[-1][:, None])[:, 0]) <= 1e-6 * height).all()


def test_newton_finds_the_bottom_of_every_well_of_a_wavy_landscape():
    # E = cos(5 z) + 0.1 sin(z - phase): five wells, a tilt decides; brute force on a million angles is the judge
    phase = np.linspace(0, 6, 13)[:, None]
    landscape = inference.Landscape(
        lambda rows, z: np.cos(5 * z) + 0.1 * np.sin(z - phase[rows]),
        lambda rows, z: -5 * np.sin(5 * z) + 0.1 * np.cos(z - phase[rows]),
        lambda rows, z: -25 * np.cos(5 * z) - 0.1 * np.sin(z - phase[rows]),
    )
    fine = inference.grid(1_000_000)
    brute = np.array([(np.cos(5 * fine) + 0.1 * np.sin(fine - p)).min() for p in phase])
    for method in (inference.newton, partial(inference.exhaustive, n_grid=480)):
        found = method(landscape, np.zeros(13))
        np.testing.assert_allclose(found.energy, brute, rtol=0, atol=1e-9)
        assert found.converged.all()


def test_newton_takes_the_smaller_of_two_angles_that_tie():
    landscape = inference.Landscape(
        lambda rows, z: np.cos(2 * z) + 0 * rows[:, None],
        lambda rows, z: -2 * np.sin(2 * z) + 0 * rows[:, None],
        lambda rows, z: -4 * np.cos(2 * z) + 0 * rows[:, None],
    )
    np.testing.assert_allclose(inference.newton(landscape, np.zeros(3)).z, np.pi / 2, rtol=1e-14)


def test_newton_says_when_it_was_stopped_too_early():
    found = inference.newton(ellipse.landscape(UNTRAINED, LECTURE_SAMPLE), np.zeros(24), n_grid=4, max_iter=1)
    assert not found.converged.all()


@ANY_METHOD
@pytest.mark.parametrize("scale", [1e-100, 1e-8, 1e-5, 1e3, 1e100])
def test_no_method_depends_on_the_unit(method, scale):
    y = LECTURE_SAMPLE[[9, 22]] * [1, -1]
    found = ellipse.infer(UNTRAINED, y, method=method)
    scaled = ellipse.infer(Params(UNTRAINED.w * scale), y * scale, method=method)
    np.testing.assert_allclose(scaled.z, found.z, rtol=1e-9)
    np.testing.assert_allclose(scaled.energy, found.energy * scale**2, rtol=1e-9)
    assert scaled.converged.all()


@pytest.mark.parametrize("method", ["cg", "l-bfgs"])
def test_a_maximum_is_not_called_converged(method):
    found = ellipse.infer(Params(np.array([2.0, 1.0])), np.array([[3.0, 0.0]]), method=method, z0=np.pi)
    assert found.energy[0] == pytest.approx(1) or not found.converged[0]


def test_samples_of_very_different_scale_do_not_disturb_one_another():
    w, y = np.array([[1e150, 2e150], [1, 2], [1e-150, 2e-150]]), np.array([[1, 1], [0.3, 0.4], [1e-150, 0]])
    together, _, converged = nearest_angle(w, y)
    np.testing.assert_array_equal(together, [nearest_angle(w[n], y[n : n + 1])[0][0] for n in range(3)])
    assert converged.all()


@pytest.mark.parametrize("w", [(2.0, 1.0), (1.0, 2.0), (-2.0, 0.5), (1.0, 1.0)])
def test_where_two_angles_tie_nothing_is_left_to_iterate(w):
    y = np.array([[0.0, 0.0], [0.4, 0.0], [-0.4, 0.0]] if abs(w[0]) > abs(w[1]) else [[0.0, 0.0], [0.0, 0.4]])
    _, n_iter, converged = nearest_angle(np.array(w), y[: 1 if w[0] == w[1] else 3])
    assert n_iter == 1
    assert converged.all()


def test_circles_and_ellipses_may_tie_in_one_batch():
    w, y = np.array([[1.0, 1.0], [2.0, 1.0], [1.0, 2.0]]), np.array([[0.0, 0.0], [0.6, 0.0], [0.0, 0.6]])
    together, *_ = nearest_angle(w, y)
    np.testing.assert_array_equal(together, [nearest_angle(w[n], y[n : n + 1])[0][0] for n in range(3)])


def test_an_iteration_cut_short_is_not_called_converged():
    _, n_iter, converged = nearest_angle(UNTRAINED.w, LECTURE_SAMPLE, max_iter=1)
    assert n_iter == 1
    assert not converged.all()
