from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from strategies import arrays, betas

from ebm_np.latent import ellipse
from ebm_np.latent.denoising import denoise
from ebm_np.latent.ellipse import LECTURE_SAMPLE, Params

TRAINED = Params(np.array([2.0, 1.5]))


def gradient(beta=np.inf):
    return lambda y: ellipse.free_energy_grad_y(TRAINED, y, beta)


@given(arrays((4, 2), largest=5))
def test_cold_denoising_is_projection(y):
    # one step of 1/2 goes to the nearest point: y - (1/2) 2 (y - g(z-check)) = g(z-check)
    path = denoise(gradient(), y, rate=0.5, n_steps=1)
    nearest = ellipse.decode(TRAINED, ellipse.infer(TRAINED, y).z)
    np.testing.assert_allclose(path[-1], nearest, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ellipse.free_energy(TRAINED, path[-1]), 0, atol=1e-12)


@given(arrays((4, 2), largest=5), betas(0.05, 5))
def test_free_energy_falls_along_the_path(y, beta):
    path = denoise(gradient(beta), y, rate=0.01, n_steps=20)
    f = np.array([ellipse.free_energy(TRAINED, step, beta) for step in path])
    assert (np.diff(f, axis=0) <= 1e-9).all()


def test_each_step_is_the_one_of_the_note():
    y = LECTURE_SAMPLE[:3] * 1.2
    path = denoise(gradient(2.0), y, rate=0.1, n_steps=5)
    assert path.shape == (6, 3, 2)
    np.testing.assert_array_equal(path[0], y)
    for before, after in pairwise(path):
        np.testing.assert_allclose(after, before - 0.1 * gradient(2.0)(before), rtol=1e-14)


@given(arrays((3, 2)))
def test_in_a_parabolic_well_the_distance_shrinks_by_the_same_factor_a_step(y):
    # F = ||y||^2 / 2; by default a hundred steps of 0.05
    steps = np.arange(101)[:, None, None]
    np.testing.assert_allclose(denoise(lambda y: y, y), 0.95**steps * y, rtol=1e-12)
    np.testing.assert_allclose(denoise(lambda y: y, y, rate=1.5, n_steps=4), (-0.5) ** steps[:5] * y, rtol=1e-12)


def test_the_argument_is_left_alone_and_float32_stays():
    y = LECTURE_SAMPLE.astype(np.float32)
    y.flags.writeable = False
    params = Params(TRAINED.w.astype(np.float32))
    assert denoise(lambda y: ellipse.free_energy_grad_y(params, y), y).dtype == np.float32


@pytest.mark.parametrize(("rate", "n_steps"), [(20.0, 200), (1e300, 10)])
def test_a_step_that_is_too_long_is_an_error_not_a_nan(rate, n_steps):
    for grad in (lambda y: ellipse.free_energy_grad_y(TRAINED, y), lambda y: 2 * y):
        with pytest.raises(FloatingPointError, match=r"^denoising diverged: try a smaller rate$"):
            denoise(grad, LECTURE_SAMPLE, rate=rate, n_steps=n_steps)


@pytest.mark.parametrize(
    ("name", "options"), [("rate", {"rate": 0.0}), ("rate", {"rate": -1}), ("n_steps", {"n_steps": 0})]
)
def test_bad_arguments_are_named(name, options):
    with pytest.raises(ValueError, match=rf"^{name}: "):
        denoise(gradient(), LECTURE_SAMPLE, **options)


def test_what_is_no_gradient_is_refused_by_name():
    with pytest.raises(TypeError, match=r"^free_energy_grad_y: expected"):
        denoise(LECTURE_SAMPLE, LECTURE_SAMPLE)


@pytest.mark.parametrize("grad", [lambda y: 1e200 * y, lambda y: np.exp(900 + y) - np.exp(800 + y)])
def test_gradients_that_overflow_raise_one_error_and_no_warning(grad):
    with pytest.raises(FloatingPointError, match=r"^denoising diverged: try a smaller rate$"):
        denoise(grad, np.ones((3, 2)), rate=1e200)


def test_what_is_no_table_of_points_is_refused_by_name():
    with pytest.raises(ValueError, match=r"^y: expected shape \(N, d\), got shape \(2,\)$"):
        denoise(gradient(), LECTURE_SAMPLE[0])
