import numpy as np
import oracles
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import arrays, betas

from ebm_np.foundations.gradient_check import complex_step
from ebm_np.foundations.optimizers import gradient_descent
from ebm_np.latent import ellipse, inference, losses
from ebm_np.latent.ellipse import LECTURE_SAMPLE, UNTRAINED, Params

Y23, Y10 = LECTURE_SAMPLE[22:23], LECTURE_SAMPLE[9:10]
FIVE_POINTS = np.array([[-3, -0.5], [-2.25, -0.5], [-1.5, -0.5], [-0.75, -0.5], [0, -0.5]])
COLDNESS = 10.0 ** np.array([-1, -0.5, 0, 0.5, 1])
ALONG_Y1_0 = np.stack([np.zeros(41), np.linspace(-2, 2, 41)], axis=-1)

radii = arrays(2, largest=1e3)
points = arrays((3, 2), largest=1e3)
angles = arrays((3, 4), largest=10)
scales = {"w": radii, "y": points}


def assert_close(claimed, numeric, *terms):
    """To 1e-12, relative to the derivative or to the terms that it is a sum of, whichever is larger."""
    scale = max(np.abs(numeric).max(), *(np.abs(term).max() for term in terms), 1e-300)
    np.testing.assert_allclose(claimed, numeric, rtol=0, atol=1e-12 * scale)


# --- the model


@given(w=radii, z=angles)
def test_decoder_draws_an_ellipse(w, z):
    g = ellipse.decode(Params(w), z)
    assert g.shape == (3, 4, 2)
    np.testing.assert_allclose(g[..., 0], w[0] * np.cos(z), rtol=1e-15)
    assume((w != 0).all())
    np.testing.assert_allclose(((g / w) ** 2).sum(axis=-1), 1, rtol=1e-12)


def test_the_untrained_decoder_starts_on_the_left_and_runs_clockwise():
    # erratum 2: true for this w only; a positive w1 starts on the right and runs anticlockwise
    left, later = ellipse.decode(UNTRAINED, np.array([0.0, 0.1]))
    assert left[0] < 0
    assert later[1] > left[1]
    right, later = ellipse.decode(Params(np.array([2.0, 1.5])), np.array([0.0, 0.1]))
    assert right[0] > 0
    assert later[1] > right[1]


@given(w=radii, y=points, z=arrays(5, largest=10))
def test_energy_is_the_squared_distance(w, y, z):
    # erratum 1: squared, though the note says "Euclidean distance"
    table = ellipse.energy(Params(w), y, z)
    by_hand = [[np.linalg.norm(row - ellipse.decode(Params(w), np.array(angle))) ** 2 for angle in z] for row in y]
    np.testing.assert_allclose(table, by_hand, rtol=1e-10, atol=1e-12 * (np.abs(w).max() + np.abs(y).max()) ** 2)


@given(w=radii, y=points, z=angles)
def test_each_sample_can_have_its_own_latents(w, y, z):
    table = ellipse.energy(Params(w), y, z)
    for n in range(3):
        np.testing.assert_array_equal(table[n], ellipse.energy(Params(w), y[n : n + 1], z[n])[0])


@given(w=radii, y=points, z=angles)
def test_energy_gradients_agree_with_the_complex_step(w, y, z):
    params, terms = Params(w), (np.abs(w).max() * (np.abs(w).max() + np.abs(y).max()),)
    slope = complex_step(lambda z: ellipse.energy(params, y, z), z, np.ones_like(z))
    assert_close(ellipse.energy_grad_z(params, y, z), slope, *terms)
    curvature = complex_step(lambda z: ellipse.energy_grad_z(params, y, z), z, np.ones_like(z))
    assert_close(ellipse.energy_curvature_z(params, y, z), curvature, *terms)
    by_y = [complex_step(lambda y: ellipse.energy(params, y, z[:, :1])[:, 0], y, np.tile(e, (3, 1))) for e in np.eye(2)]
    assert_close(ellipse.energy_grad_y(params, y, z[:, 0]), np.stack(by_y, axis=-1), w, y)


@given(w=radii, y=points, z=angles, weights=arrays((3, 4), largest=10))
def test_parameter_gradient_agrees_with_the_complex_step(w, y, z, weights):
    claimed = ellipse.energy_grad_params(Params(w), y, z, weights)
    numeric = [complex_step(lambda w: (weights * ellipse.energy(Params(w), y, z)).sum(), w, e) for e in np.eye(2)]
    assert isinstance(claimed, Params)
    assert_close(claimed.w, numeric, np.abs(weights).max() * (np.abs(w).max() + np.abs(y).max()))


def test_random_radii_are_two_independent_standard_normals(rng):
    w = np.array([ellipse.init(rng).w for _ in range(4000)])
    assert w.shape == (4000, 2)
    np.testing.assert_allclose(w.mean(axis=0), 0, atol=5 / np.sqrt(4000))
    np.testing.assert_allclose(np.cov(w.T), np.eye(2), atol=5 * np.sqrt(2 / 4000))


@given(w=radii, y=points, z=arrays((2, 4), largest=10), rows=st.sampled_from([(0, 1), (2, 0), (1, 1)]))
def test_the_landscape_is_the_energy_of_the_samples_asked_for_with_its_two_derivatives(w, y, z, rows):
    found, rows = ellipse.landscape(Params(w), y), np.array(rows)
    for part, whole in zip(found, (ellipse.energy, ellipse.energy_grad_z, ellipse.energy_curvature_z), strict=True):
        np.testing.assert_array_equal(part(rows, z), whole(Params(w), y[rows], z))


# --- free energy


@given(w=arrays(2, largest=30), y=arrays((3, 2), largest=30), beta=betas(1e-4, 1e4), c=arrays(3, largest=10))
def test_free_energy_gradients_agree_with_the_complex_step(w, y, beta, c):
    params = Params(w)
    by_y = [complex_step(lambda y: ellipse.free_energy(params, y, beta), y, np.tile(e, (3, 1))) for e in np.eye(2)]
    assert_close(ellipse.free_energy_grad_y(params, y, beta), np.stack(by_y, axis=-1), w, y)
    by_w = [complex_step(lambda w: (c * ellipse.free_energy(Params(w), y, beta)).sum(), w, e) for e in np.eye(2)]
    terms = np.abs(c).max() * (np.abs(w).max() + np.abs(y).max())
    assert_close(ellipse.free_energy_grad_params(params, y, beta, c).w, by_w, terms)


def cold_twin(params, y, start):
    """F_inf in complex arithmetic: Newton follows the minimum wherever y and w are moved."""
    z = start[:, None]
    for _ in range(3):
        z = z - ellipse.energy_grad_z(params, y, z) / ellipse.energy_curvature_z(params, y, z)
    return ellipse.energy(params, y, z)[:, 0]


@given(w=radii, y=points, c=arrays(3, largest=10))
@settings(max_examples=200)
def test_envelope_theorem(w, y, c):
    params, found = Params(w), ellipse.infer(Params(w), y)
    scale = (np.abs(w).max() + np.abs(y).max()) ** 2
    assume((ellipse.energy_curvature_z(params, y, found.z[:, None]) > 1e-3 * scale).all())
    np.testing.assert_allclose(cold_twin(params, y, found.z), found.energy, rtol=1e-12, atol=1e-12 * scale)
    grad = ellipse.free_energy_grad_y(params, y)
    by_y = [complex_step(lambda y: cold_twin(params, y, found.z), y, np.tile(e, (3, 1))) for e in np.eye(2)]
    assert_close(grad, np.stack(by_y, axis=-1), w, y)
    by_w = [complex_step(lambda w: (c * cold_twin(Params(w), y, found.z)).sum(), w, e) for e in np.eye(2)]
    terms = np.abs(c).max() * (np.abs(w).max() + np.abs(y).max())
    assert_close(ellipse.free_energy_grad_params(params, y, weights=c).w, by_w, terms)
    np.testing.assert_allclose((grad**2).sum(axis=-1), 4 * found.energy, rtol=1e-12, atol=1e-12 * scale)


@given(w=radii, y=points, beta=st.one_of(betas(), st.just(np.inf)))
def test_without_weights_the_gradient_is_that_of_the_mean(w, y, beta):
    unweighted = ellipse.free_energy_grad_params(Params(w), y, beta)
    np.testing.assert_allclose(unweighted.w, ellipse.free_energy_grad_params(Params(w), y, beta, np.full(3, 1 / 3)).w)


@given(w=arrays(2, largest=3), y=arrays((1, 2), largest=3), beta=betas(1e-3, 10))
def test_free_energy_is_the_integral(w, y, beta):
    f = ellipse.free_energy(Params(w), y, beta, n_latents=256)[0]
    tolerance = 1e-10 + 1e-14 / beta
    assert f == pytest.approx(oracles.free_energy_quadrature(w, y[0], beta), abs=tolerance)
    bessel, cancellation = oracles.free_energy_bessel(w, y[0], beta)
    assert f == pytest.approx(bessel, abs=tolerance * cancellation)


@pytest.mark.parametrize("params", [UNTRAINED, Params(np.array([2.0, 1.5]))], ids=["untrained", "trained"])
@pytest.mark.parametrize("beta", COLDNESS)
def test_coldness_curves_match_quadrature_and_bessel(params, beta):
    f = ellipse.free_energy(params, ALONG_Y1_0, beta)
    quadrature = [oracles.free_energy_quadrature(params.w, y, beta) for y in ALONG_Y1_0]
    np.testing.assert_allclose(f, quadrature, rtol=0, atol=1e-10)
    bessel, cancellation = np.array([oracles.free_energy_bessel(params.w, y, beta) for y in ALONG_Y1_0]).T
    stable = cancellation < 1e3
    assert stable.mean() > 0.8
    np.testing.assert_allclose(f[stable], bessel[stable], rtol=1e-12)


@pytest.mark.parametrize("params", [UNTRAINED, Params(np.array([2.0, 1.5]))], ids=["untrained", "trained"])
def test_the_coldest_curve_is_the_minimum(params):
    exact = [oracles.nearest_angles(params.w, y)[0] for y in ALONG_Y1_0]
    np.testing.assert_allclose(ellipse.free_energy(params, ALONG_Y1_0), exact, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("n_latents", "beta", "error"),
    [
        (48, 10, 2e-7),
        (48, 20, 5e-5),
        (48, 100, 5e-3),
        (96, 10, 1e-14),
        (96, 20, 1e-13),
        (96, 100, 6e-5),
        (480, 100, 1e-14),
    ],
)
def test_a_finer_grid_is_exact_to_a_colder_temperature(n_latents, beta, error):
    params = Params(np.array([2.0, 1.5]))
    exact = np.array([oracles.free_energy_quadrature(params.w, y, beta) for y in LECTURE_SAMPLE])
    assert np.abs(ellipse.free_energy(params, LECTURE_SAMPLE, beta, n_latents) - exact).max() < error


@given(r=st.floats(0.1, 5), y=arrays((1, 2), largest=5), beta=betas(0.01, 5))
def test_free_energy_of_a_circle_is_a_bessel_function(r, y, beta):
    from scipy.special import ive

    k = 2 * beta * r * np.hypot(*y[0])
    expected = (y**2).sum() + r**2 - (np.log(ive(0, k)) + k) / beta
    assert ellipse.free_energy(Params(np.array([r, r])), y, beta, 512)[0] == pytest.approx(expected, abs=1e-10)


@given(w=radii)
def test_at_the_centre_the_free_energy_is_the_shorter_radius_squared(w):
    f = ellipse.free_energy(Params(w), np.zeros((1, 2)))[0]
    assert f == pytest.approx(np.abs(w).min() ** 2, rel=1e-12, abs=1e-12 * np.abs(w).max() ** 2)


@given(w=radii, z=arrays(6, largest=10))
def test_on_the_manifold_the_free_energy_is_zero(w, z):
    y = ellipse.decode(Params(w), z)
    assert (
        ellipse.free_energy(Params(w), y).max() <= 1e-24 * max(1, np.abs(w).max() ** 2) + 1e-26 * np.abs(w).max() ** 2
    )


@given(w=radii, y=points, beta=betas())
def test_cold_is_below_warm_and_warm_below_the_mean(w, y, beta):
    f, slack = ellipse.free_energy(Params(w), y, beta), 1e-12 * (np.abs(w).max() + np.abs(y).max()) ** 2
    assert (ellipse.free_energy(Params(w), y) <= f + slack).all()
    assert (f <= (y**2).sum(axis=1) + (w**2).sum() / 2 + slack).all()  # the mean of E over the circle, exactly


# --- the numbers of the lecture


def test_numbers_of_the_lecture():
    found = ellipse.infer(UNTRAINED, FIVE_POINTS)
    np.testing.assert_allclose(found.energy, [2.6308, 0.8611, 0.1551, 0.0365, 0.0200], atol=5.1e-5)
    np.testing.assert_allclose(found.z, [6.208, 6.147, 5.846, 5.234, 4.712], atol=5.1e-4)
    largest = ellipse.energy(UNTRAINED, FIVE_POINTS, inference.grid(100_000)).max(axis=1)
    np.testing.assert_allclose(largest, [20.081, 13.966, 8.976, 5.112, 2.376], atol=5.1e-4)
    ten = ellipse.infer(UNTRAINED, Y10)
    assert ten.energy[0] == pytest.approx(1.320, abs=5e-4)
    assert ten.z[0] == pytest.approx(1.678, abs=6e-4)
    assert ellipse.infer(UNTRAINED, Y23).z[0] == pytest.approx(3.106, abs=5e-4)


def test_energies_of_y23_come_out_within_the_rounding_of_the_published_sample():
    # The lecture computed 11.718, 0.2735 and 0.27455 from an unrounded y(23); printed is (1.969, .087). All three come
    # out, to the last digit, at a y that rounds to the printed one.
    unrounded = np.array([[1.96942, 0.0866]])
    np.testing.assert_array_equal(unrounded.round(3), Y23)
    start, at_pi = ellipse.energy(UNTRAINED, unrounded, np.array([0, np.pi]))[0]
    assert start == pytest.approx(11.718, abs=5e-4)
    assert at_pi == pytest.approx(0.27455, abs=5.1e-6)
    assert ellipse.infer(UNTRAINED, unrounded).energy[0] == pytest.approx(0.2735, abs=5.1e-5)
    # and at the printed one they are as near as half a unit of its last digit allows: |dE| <= |grad E| 0.0005
    for z, number in ((0.0, 11.718), (np.pi, 0.27455)):
        slack = 0.0005 * np.abs(ellipse.energy_grad_y(UNTRAINED, Y23, np.array([z]))).sum()
        assert ellipse.energy(UNTRAINED, Y23, np.array([z]))[0, 0] == pytest.approx(number, abs=slack)


def test_the_grid_of_425_points_is_inferred_exactly():
    y1, y2 = np.meshgrid(np.arange(-3, 3.01, 0.25), np.arange(-2, 2.01, 0.25))
    grid = np.stack([y1.ravel(), y2.ravel()], axis=-1)
    assert len(grid) == 425
    found = ellipse.infer(UNTRAINED, grid)
    for y, z, f in zip(grid, found.z, found.energy, strict=True):
        least, minima = oracles.nearest_angles(UNTRAINED.w, y)
        assert f == pytest.approx(least, abs=1e-13)
        assert np.abs(np.angle(np.exp(1j * (minima - z)))).min() < 1e-10
    gradient = ellipse.free_energy_grad_y(UNTRAINED, grid)
    np.testing.assert_allclose((gradient**2).sum(axis=1), 4 * found.energy, rtol=1e-12, atol=1e-14)


def test_the_sample_is_the_lectures_and_cannot_be_changed():
    assert LECTURE_SAMPLE.shape == (24, 2)
    np.testing.assert_array_equal(LECTURE_SAMPLE[22], [1.969, 0.087])  # erratum 4: numbered from 1 in the note
    distance = np.abs(np.sqrt(ellipse.free_energy(Params(np.array([2.0, 1.5])), LECTURE_SAMPLE)))
    assert distance.max() < 4 / 20  # noise of 1/20 a component
    for constant in (LECTURE_SAMPLE, UNTRAINED.w):
        with pytest.raises(ValueError, match="read-only"):
            constant[0] = 0


# --- inference


@pytest.mark.parametrize("method", ellipse.METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_method_finds_the_well_that_it_starts_in_and_keeps_the_precision(method, dtype):
    y = (LECTURE_SAMPLE[:4] * 1.1).astype(dtype)
    least, minima = zip(*(oracles.nearest_angles(UNTRAINED.w, row) for row in y), strict=True)
    start = np.array([angles[0] for angles in minima]) + 0.1
    found = ellipse.infer(Params(UNTRAINED.w.astype(dtype)), y, method=method, z0=start)
    assert found.z.dtype == found.energy.dtype == found.trace.dtype == dtype
    np.testing.assert_allclose(found.energy, least, rtol=1e-12 if dtype is np.float64 else 1e-4)
    assert found.converged.tolist() == [True] * 4
    assert found.n_iter >= 1
    assert found.trace.shape == ((found.n_iter + 1, 4) if method in ("cg", "l-bfgs") else (0, 4))


@pytest.mark.parametrize("method", ellipse.METHODS)
@pytest.mark.parametrize("types", [(np.float32, np.float64), (np.float64, np.float32)])
def test_of_two_precisions_the_wider_one_is_that_of_the_latents(method, types):
    w, y = UNTRAINED.w.astype(types[0]), LECTURE_SAMPLE[:2].astype(types[1])
    found = ellipse.infer(Params(w), y, method=method)
    assert found.z.dtype == found.trace.dtype == np.float64


def test_one_start_serves_all_samples_and_by_default_it_is_the_lectures():
    for found in (
        ellipse.infer(UNTRAINED, LECTURE_SAMPLE, method="cg"),
        ellipse.infer(UNTRAINED, LECTURE_SAMPLE, method="cg", z0=0.5),
    ):
        np.testing.assert_array_equal(found.trace[0], 0.5)


# --- training


@pytest.mark.parametrize(
    "loss", [None, losses.energy_loss(), losses.hinge_loss(2.0), losses.log_loss()], ids=["", "energy", "hinge", "log"]
)
@pytest.mark.parametrize(("beta", "n_latents"), [(np.inf, 96), (20.0, 5)])
def test_a_full_batch_makes_a_step_down_the_gradient_of_the_loss_functional(loss, beta, n_latents):
    y, heard = LECTURE_SAMPLE, []
    fitted = ellipse.fit(
        UNTRAINED,
        y,
        np.random.default_rng(0),
        beta=beta,
        loss=loss,
        contrast=lambda rng, y: 1.5 * y,
        batch_size=None,
        n_latents=n_latents,
        callback=lambda *report: heard.append(report),
    )
    value, gradient = losses.functional_and_grad(
        losses.energy_loss() if loss is None else loss,
        lambda y: ellipse.free_energy(UNTRAINED, y, beta, n_latents),
        lambda y, c: ellipse.free_energy_grad_params(UNTRAINED, y, beta, c, n_latents),
        y,
        1.5 * y,
    )
    np.testing.assert_allclose(fitted.params.w, UNTRAINED.w - 0.3 * gradient.w, rtol=1e-13)
    assert fitted.history[0] == pytest.approx(value, rel=1e-13)
    assert heard == [(1, fitted.history[0])]


@pytest.mark.parametrize("rate", [0.2, 0.3, 0.4, 0.5])
def test_one_cold_epoch_reaches_the_radii(rate):
    fitted = ellipse.fit(UNTRAINED, LECTURE_SAMPLE, optimizer=gradient_descent(rate))
    np.testing.assert_allclose(np.abs(fitted.params.w), [2, 1.5], rtol=0.05)
    assert fitted.history.shape == (1,)


def optimum(beta):
    options = {"beta": beta, "n_epochs": 1500, "batch_size": None, "optimizer": gradient_descent(0.5)}
    return ellipse.fit(UNTRAINED, LECTURE_SAMPLE, **options)


@pytest.mark.parametrize(
    ("beta", "radii", "loss"),
    [
        (10, (2.0138, 1.4771), 0.2967),
        (10**0.5, (2.0021, 1.4176), 0.7497),
        (1, (1.9479, 1.2007), 1.7515),
        (0.5, (1.8125, 0.4317), 2.6186),
        (0.1, (0, 0), 3.3332),
    ],
)
def test_optima_against_beta(beta, radii, loss):
    fitted = optimum(beta)
    np.testing.assert_allclose(np.abs(fitted.params.w), radii, rtol=5e-4, atol=1e-3)
    assert fitted.history[-1] == pytest.approx(loss, rel=5e-4)
    gradient = ellipse.free_energy_grad_params(fitted.params, LECTURE_SAMPLE, beta)
    assert np.abs(gradient.w).max() < 1e-8


def test_optimum_at_zero_temperature():
    fitted = optimum(np.inf)
    np.testing.assert_allclose(np.abs(fitted.params.w), (2.0177, 1.5049), rtol=5e-5)
    # The lecture's .001426 came from unrounded samples. Moving all 24 by half a unit of the last printed digit, .0005,
    # moves the mean F by at most mean |grad F|_1 * .0005: the number lies inside.
    slack = 0.0005 * np.abs(ellipse.free_energy_grad_y(fitted.params, LECTURE_SAMPLE)).sum(axis=1).mean()
    assert fitted.history[-1] == pytest.approx(0.001426, abs=slack)


@pytest.mark.parametrize("axis", [0, 1])
def test_w_0_attracts_along_an_axis_while_beta_is_below_one_over_twice_its_mean_square(axis):
    # near w = 0: F = |y|^2 + |w|^2 / 2 - beta (w1^2 y1^2 + w2^2 y2^2) + O(w^4), from the variance of E over the circle
    critical = 1 / (2 * (LECTURE_SAMPLE[:, axis] ** 2).mean())
    small = np.zeros(2)
    small[axis] = 1e-3
    for beta, sign in ((0.99 * critical, 1), (1.01 * critical, -1)):
        slope = ellipse.free_energy_grad_params(Params(small), LECTURE_SAMPLE, beta).w[axis]
        assert np.sign(slope) == sign


def test_full_batches_lower_the_loss_in_every_epoch():
    history = ellipse.fit(
        UNTRAINED, LECTURE_SAMPLE, beta=1.0, n_epochs=100, batch_size=None, optimizer=gradient_descent(0.1)
    ).history
    assert (np.diff(history) <= 1e-12).all()


def test_training_is_decided_by_the_seed_and_leaves_its_arguments_alone():
    w = UNTRAINED.w.copy()
    w.flags.writeable = False
    fits = [
        ellipse.fit(Params(w), LECTURE_SAMPLE, np.random.default_rng(seed), n_epochs=2, batch_size=5)
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(fits[0].params.w, fits[1].params.w)
    assert not np.array_equal(fits[0].params.w, fits[2].params.w)


def test_without_a_generator_samples_come_in_the_listed_order():
    # two steps by hand: y(1), then y(2)
    params = UNTRAINED
    for n in range(2):
        gradient = ellipse.free_energy_grad_params(params, LECTURE_SAMPLE[n : n + 1])
        params = Params(params.w - 0.3 * gradient.w)
    np.testing.assert_allclose(ellipse.fit(UNTRAINED, LECTURE_SAMPLE[:2]).params.w, params.w, rtol=1e-14)


@given(shift=st.integers(0, 23), beta=st.sampled_from([np.inf, 1.0]))
@settings(max_examples=20)
def test_a_batch_is_its_rows_one_by_one(shift, beta):
    y = np.roll(LECTURE_SAMPLE, shift, axis=0)[:7]
    np.testing.assert_allclose(
        ellipse.free_energy(UNTRAINED, y, beta),
        [ellipse.free_energy(UNTRAINED, row[None], beta)[0] for row in y],
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        ellipse.free_energy_grad_y(UNTRAINED, y, beta),
        [ellipse.free_energy_grad_y(UNTRAINED, row[None], beta)[0] for row in y],
        rtol=1e-11,
        atol=1e-13,
    )


@pytest.mark.parametrize("beta", [np.inf, 2.0])
def test_float32_in_float32_out(beta):
    params, y = Params(UNTRAINED.w.astype(np.float32)), LECTURE_SAMPLE.astype(np.float32)
    for result in (
        ellipse.free_energy(params, y, beta),
        ellipse.free_energy_grad_y(params, y, beta),
        ellipse.free_energy_grad_params(params, y, beta).w,
        ellipse.fit(params, y, beta=beta).params.w,
        ellipse.init(np.random.default_rng(0), np.float32).w,
    ):
        assert result.dtype == np.float32
    np.testing.assert_allclose(
        ellipse.free_energy(params, y, beta), ellipse.free_energy(UNTRAINED, LECTURE_SAMPLE, beta), rtol=1e-4
    )


def test_lists_and_integers_are_welcome():
    found = ellipse.infer(Params([2, 1]), [[3, 0], [0, 2]])
    np.testing.assert_allclose(found.energy, [1, 1])


# --- bad input

BAD_Y = [
    (np.ones(2), ValueError),
    (np.ones((3, 3)), ValueError),
    (np.empty((0, 2)), ValueError),
    (np.array([[1, np.nan]]), ValueError),
    (np.array([[1, np.inf]]), ValueError),
    (None, TypeError),
    ("abc", TypeError),
    (np.array([[1, None]]), TypeError),
    (np.ones((1, 2)) * 1j, TypeError),
    ([[1, 2], [3]], ValueError),
]


@pytest.mark.parametrize(("y", "error"), BAD_Y)
@pytest.mark.parametrize("door", [ellipse.infer, ellipse.fit, ellipse.free_energy])
def test_bad_observations_are_refused_by_name(door, y, error):
    with pytest.raises(error, match=r"^y: expected"):
        door(UNTRAINED, y)


@pytest.mark.parametrize("w", [np.ones(3), np.ones((1, 2)), np.array([1, np.nan])])
def test_bad_parameters_are_refused_by_name(w):
    for door in (ellipse.infer, ellipse.fit):
        with pytest.raises(ValueError, match=r"^params.w: expected"):
            door(Params(w), LECTURE_SAMPLE)


def test_radii_that_are_no_params_are_refused_by_name():
    with pytest.raises(TypeError, match=r"^params: expected ellipse.Params, got list$"):
        ellipse.infer([2.0, 1.5], LECTURE_SAMPLE)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("beta", lambda: ellipse.free_energy(UNTRAINED, LECTURE_SAMPLE, 0)),
        ("beta", lambda: ellipse.free_energy_grad_y(UNTRAINED, LECTURE_SAMPLE, -1.0)),
        ("beta", lambda: ellipse.free_energy_grad_params(UNTRAINED, LECTURE_SAMPLE, np.nan)),
        ("beta", lambda: ellipse.fit(UNTRAINED, LECTURE_SAMPLE, beta=0)),
        ("n_latents", lambda: ellipse.free_energy(UNTRAINED, LECTURE_SAMPLE, 1.0, 0)),
        ("n_latents", lambda: ellipse.fit(UNTRAINED, LECTURE_SAMPLE, n_latents=0)),
        ("n_epochs", lambda: ellipse.fit(UNTRAINED, LECTURE_SAMPLE, n_epochs=0)),
        ("batch_size", lambda: ellipse.fit(UNTRAINED, LECTURE_SAMPLE, batch_size=0)),
        ("method", lambda: ellipse.infer(UNTRAINED, LECTURE_SAMPLE, method="magic")),
        ("method", lambda: ellipse.infer(UNTRAINED, LECTURE_SAMPLE, method=None)),
        ("z0", lambda: ellipse.infer(UNTRAINED, LECTURE_SAMPLE, method="cg", z0=np.nan)),
        ("z0", lambda: ellipse.infer(UNTRAINED, LECTURE_SAMPLE, method="cg", z0=np.ones(3))),
    ],
)
def test_bad_options_are_refused_by_name(name, call):
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        call()


def test_a_seed_is_no_generator():
    with pytest.raises(TypeError, match=r"^rng: expected a numpy.random.Generator, got int"):
        ellipse.init(0)


def test_a_precision_that_is_none_is_refused_by_name(rng):
    with pytest.raises(TypeError, match=r"^dtype: expected float32 or float64, got 'float16'$"):
        ellipse.init(rng, "float16")


def test_training_that_diverges_is_an_error_not_a_nan():
    with pytest.raises(FloatingPointError, match="smaller rate"), np.errstate(all="ignore"):
        ellipse.fit(UNTRAINED, LECTURE_SAMPLE, beta=1.0, optimizer=gradient_descent(1e3), n_epochs=200)


HUGE = np.array([[1e200, 0.0]])


def test_numbers_whose_squares_overflow_and_other_shapes_are_refused_by_name():
    with pytest.raises(ValueError, match=r"^y: expected numbers up to .*, whose squares are finite, got 1e\+200"):
        ellipse.infer(UNTRAINED, HUGE)
    with pytest.raises(ValueError, match=r"^y: expected shape \(N, 2\), got shape \(1, 1\)$"):
        ellipse.infer(UNTRAINED, HUGE[:, :1])
    with pytest.raises(ValueError, match=r"^params.w: expected numbers up to"):
        ellipse.free_energy(Params(HUGE[0]), LECTURE_SAMPLE, 1.0)


@pytest.mark.parametrize(("y", "error"), BAD_Y[:-2])
@pytest.mark.parametrize("beta", [1.0, np.inf])
def test_every_door_of_the_free_energy_refuses_bad_observations_by_name(y, error, beta):
    for door in (ellipse.free_energy, ellipse.free_energy_grad_y, ellipse.free_energy_grad_params):
        with pytest.raises(error, match=r"^y: expected"):
            door(UNTRAINED, y, beta)


def test_weights_of_another_length_are_refused_by_name():
    with pytest.raises(ValueError, match=r"^weights: expected shape \(24,\)"):
        ellipse.free_energy_grad_params(UNTRAINED, LECTURE_SAMPLE, 1.0, np.ones(3))


@pytest.mark.parametrize("rate", [1e3, 1e100, 1e300])
def test_a_step_of_any_excess_is_the_same_error(rate):
    with pytest.raises(FloatingPointError, match="smaller rate"):
        ellipse.fit(UNTRAINED, LECTURE_SAMPLE, beta=1.0, optimizer=gradient_descent(rate), n_epochs=200)


def test_hyper_parameters_of_numpy_type_keep_float32():
    params, y, one = Params(UNTRAINED.w.astype(np.float32)), LECTURE_SAMPLE.astype(np.float32), np.float64(1)
    assert ellipse.free_energy(params, y, one).dtype == np.float32
    assert ellipse.fit(params, y, beta=one, optimizer=gradient_descent(np.float64(0.1))).params.w.dtype == np.float32
