from functools import cache
from math import cos, exp, pi, sin

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import least_squares

from ebm_np.foundations.gradient_check import complex_step, gradient_check
from ebm_np.sparse import gabor
from ebm_np.sparse.gabor import Gabor, evaluate, expand, fit

N = 80


def random_gabors(rng, n, size, f_max=0.49):
    """Gabor functions of all kinds that a patch holds: centres in it, widths from half a pixel to half of its side."""
    h, w = size
    widths = np.exp(rng.uniform(np.log(0.5), np.log(max(size) / 2), (2, n)))
    centres = rng.uniform(0, w - 1, n), rng.uniform(0, h - 1, n)
    phase = rng.uniform(-pi, pi, n)
    return Gabor(np.ones(n), *centres, rng.uniform(0, pi, n), rng.uniform(0, f_max, n), phase, *widths)


def nonlinear(params):
    """The p that `expand` takes."""
    _, u0, v0, theta, f, _, sigma_u, sigma_v = params
    return np.stack([u0, v0, theta, f, np.log(sigma_u), np.log(sigma_v)], axis=1)


def unit(atoms):
    return atoms / np.sqrt((atoms**2).sum(axis=(1, 2), keepdims=True))


@cache
def clean():
    params = random_gabors(np.random.default_rng(0), N, (12, 12))
    atoms = unit(evaluate(params, (12, 12)))
    atoms.setflags(write=False)
    return params, atoms, fit(atoms)


@cache
def noisy(size=(12, 12), n=N, noise=0.5):
    """Gabor functions of norm 1 with noise of norm sqrt(noise)."""
    rng = np.random.default_rng(1)
    params = random_gabors(rng, n, size)
    atoms = unit(evaluate(params, size)) + rng.normal(size=(n, *size)) * np.sqrt(noise / np.prod(size))
    return params, atoms, fit(atoms)


@cache
def noise_only(side, n=32):
    atoms = np.random.default_rng(2).normal(size=(n, side, side))
    return atoms, fit(atoms)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 5))
def test_evaluate_is_the_formula(seed, h, w):
    params = random_gabors(np.random.default_rng(seed), 3, (h, w))._replace(amplitude=np.array([0.0, 1.0, 2.5]))
    for image, (a, u0, v0, theta, f, phase, s_u, s_v) in zip(
        evaluate(params, (h, w)), np.transpose(params), strict=True
    ):
        for v in range(h):
            for u in range(w):
                along = (u - u0) * cos(theta) + (v - v0) * sin(theta)
                across = -(u - u0) * sin(theta) + (v - v0) * cos(theta)
                envelope = exp(-(along**2) / (2 * s_u**2) - across**2 / (2 * s_v**2))
                assert abs(image[v, u] - a * envelope * cos(2 * pi * f * along + phase)) < 1e-12


def test_an_envelope_that_misses_all_pixels_is_zero():
    between = Gabor(*(np.array([number]) for number in (1.0, 1.5, 1.5, 0.0, 0.2, 0.0, 0.01, 0.01)))
    assert not evaluate(between, (4, 4)).any()


@given(st.integers(0, 2**32 - 1), st.tuples(st.integers(3, 12), st.integers(3, 12)))
def test_the_gradient_is_the_complex_step(seed, size):
    rng = np.random.default_rng(seed)
    p, atom = nonlinear(random_gabors(rng, 1, size)), unit(rng.normal(size=(1, *size)))
    p[:, 3:] = np.maximum(p[:, 3:], [0.05, 0.0, 0.0])  # where cosine and sine are parallel no digit is left
    assert (check := gradient_check(lambda p: expand(p, atom)[1][0], expand(p, atom)[2], p)).passed, check


@given(st.integers(0, 2**32 - 1))
def test_free_energy_is_the_minimum_over_amplitude_and_phase(seed):
    rng = np.random.default_rng(seed)
    params, atom = random_gabors(rng, 1, (7, 9)), rng.normal(size=(1, 7, 9))
    p = nonlinear(params)
    c, energy, _, _ = expand(p, atom)
    columns = np.stack([evaluate(params._replace(phase=np.array([x])), (7, 9)).ravel() for x in (0, -pi / 2)], axis=1)
    expected, *_ = np.linalg.lstsq(columns, atom.ravel(), rcond=None)
    reached = ((atom.ravel() - columns @ expected) ** 2).sum()
    np.testing.assert_allclose(energy, reached, rtol=1e-9)
    assert ((atom.ravel() - columns @ c[0]) ** 2).sum() <= reached * (1 + 1e-9)


@given(st.integers(0, 2**32 - 1))
def test_gauss_newton_is_the_hessian_where_the_fit_is_perfect(seed):
    params = random_gabors(np.random.default_rng(seed), 1, (9, 8))
    params = params._replace(frequency=0.1 + 0.6 * params.frequency, sigma_u=1 + params.sigma_u)
    p, atom = nonlinear(params), unit(evaluate(params, (9, 8)))
    hessian = np.stack([complex_step(lambda p: expand(p, atom)[2][0], p, d[None]) for d in np.eye(6)])
    np.testing.assert_allclose(expand(p, atom)[3][0], hessian, atol=1e-9 * np.abs(hessian).max())


def test_gabors_are_recovered():
    _, _, result = clean()
    assert result.r_squared.min() > 1 - 1e-4
    assert np.mean(result.r_squared > 1 - 1e-6) >= 0.99
    assert result.converged.mean() > 0.95


def test_parameters_are_recovered_where_the_patch_shows_them():
    truth, _, result = clean()
    found = result.params
    inside = (np.abs(truth.u0 - 5.5) < 5) & (np.abs(truth.v0 - 5.5) < 5) & (truth.sigma_v < 4) & (truth.sigma_u < 4)
    shown = inside & (truth.frequency * truth.sigma_u > 0.3) & (truth.frequency < 0.45)
    assert shown.sum() > 12
    for name in ("u0", "v0", "frequency", "sigma_u", "sigma_v"):
        np.testing.assert_allclose(getattr(found, name)[shown], getattr(truth, name)[shown], atol=1e-3)
    turn = (found.theta - truth.theta)[shown]
    np.testing.assert_allclose(np.sin(turn), 0, atol=1e-3)
    difference = found.phase[shown] * np.sign(np.cos(turn)) - truth.phase[shown]
    np.testing.assert_allclose(np.sin(difference / 2), 0, atol=1e-3)


@pytest.mark.parametrize(
    ("size", "n", "noise"), [((12, 12), N, 0.5), ((8, 8), 64, 0.1), ((16, 16), 8, 0.2), ((7, 13), 32, 0.2)]
)
def test_the_fit_is_never_worse_than_the_truth(size, n, noise):
    params, atoms, result = noisy(size, n, noise)
    _, energy, _, _ = expand(nonlinear(params), atoms)
    assert np.all(result.r_squared >= 1 - energy / (atoms**2).sum(axis=(1, 2)) - 1e-6)
    assert result.converged.mean() > 0.95


LOW = [-3, -3, -np.inf, 1e-3, np.log(0.4), np.log(0.4)]
HIGH = [14, 14, np.inf, 0.499, np.log(24), np.log(24)]


def full_residual(x, atom):
    """All eight parameters free: p, and the factors of cosine and sine."""
    both = Gabor(np.ones(2), *np.tile(x[:4, None], 2), np.array([0, -pi / 2]), *np.exp(np.tile(x[4:6, None], 2)))
    return (atom - np.tensordot(x[6:], evaluate(both, (12, 12)), 1)).ravel()


def test_scipy_from_the_truth_is_hardly_ever_better():
    params, atoms, result = noisy()
    gap = []
    for i, p in enumerate(np.clip(nonlinear(params), LOW, HIGH)[:12]):
        start = np.r_[p, expand(p[None], atoms[i : i + 1])[0][0]]
        bounds = [*LOW, -np.inf, -np.inf], [*HIGH, np.inf, np.inf]
        best = least_squares(full_residual, start, bounds=bounds, x_scale="jac", max_nfev=50, args=(atoms[i],))
        gap.append(1 - 2 * best.cost / (atoms[i] ** 2).sum() - result.r_squared[i])
    assert np.sum(np.array(gap) > 1e-6) <= 1
    assert max(gap) < 0.01


def test_white_noise_is_no_gabor():
    """Else a share of atoms with R^2 > 0.8 would say nothing."""
    for side, largest in ((8, 0.6), (12, 0.35)):
        _, result = noise_only(side)
        assert result.r_squared.max() < largest


def test_parameters_keep_their_bounds_and_r_squared_is_what_it_says():
    for atoms, result in (noise_only(8), noise_only(12), noisy()[1:], clean()[1:]):
        h, w = atoms.shape[1:]
        amplitude, u0, v0, theta, f, phase, *widths = result.params
        assert np.all(amplitude >= 0)
        assert np.all((u0 >= -3) & (u0 <= w + 2) & (v0 >= -3) & (v0 <= h + 2))
        assert np.all((theta >= 0) & (theta <= pi) & (np.abs(phase) <= pi))
        assert np.all((f > 0) & (f * np.maximum(np.abs(np.cos(theta)), np.abs(np.sin(theta))) < 0.5))
        assert all(np.all((s >= 0.4 - 1e-12) & (s <= 2 * max(h, w) + 1e-9)) for s in widths)
        left = ((atoms - evaluate(result.params, (h, w))) ** 2).sum(axis=(1, 2)) / (atoms**2).sum(axis=(1, 2))
        np.testing.assert_allclose(result.r_squared, 1 - left, atol=1e-8)


def test_a_descent_cut_short_has_not_converged(monkeypatch):
    descend = gabor._descend
    monkeypatch.setattr(gabor, "_descend", lambda p, atoms, n_iter: descend(p, atoms, 1))
    assert not fit(noisy()[1][:8]).converged.any()


def test_where_the_descent_rests_the_gradient_vanishes():
    _, atoms, result = noisy()
    p = nonlinear(result.params)
    free = (p > np.add(LOW, 1e-6)) & (p < np.subtract(HIGH, 1e-6))
    free[:, 2] &= free[:, 3]  # along the bound of f, which depends on theta, both move
    _, _, gradient, _ = expand(p, unit(atoms))
    assert np.quantile(np.abs(gradient * free)[result.converged].max(axis=1), 0.95) < 1e-3


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (lambda a: np.rot90(a, axes=(1, 2)), lambda g: g._replace(u0=g.v0, v0=11 - g.u0, theta=g.theta - pi / 2)),
        (lambda a: a[:, :, ::-1], lambda g: g._replace(u0=11 - g.u0, theta=pi - g.theta)),
        (lambda a: a[:, ::-1], lambda g: g._replace(v0=11 - g.v0, theta=-g.theta)),
        (lambda a: -a, lambda g: g._replace(phase=g.phase + pi)),
        (lambda a: 1e-20 * a, lambda g: g._replace(amplitude=1e-20 * g.amplitude)),
    ],
    ids=["turn", "mirror", "upside down", "sign", "scale"],
)
def test_the_fit_moves_with_the_atom(transform, expected):
    _, atoms, result = noisy()
    moved = fit(transform(atoms[:32]))
    np.testing.assert_allclose(moved.r_squared, result.r_squared[:32], atol=1e-6)
    first = Gabor(*(part[:32] for part in result.params))
    image, wanted = evaluate(moved.params, (12, 12)), evaluate(expected(first), (12, 12))
    scale = np.sqrt((image**2).sum(axis=(1, 2), keepdims=True))
    np.testing.assert_allclose(image / scale, wanted / scale, atol=1e-3)


def test_a_shifted_atom_has_a_shifted_centre():
    params = random_gabors(np.random.default_rng(3), 8, (12, 12), 0.4)
    params = params._replace(u0=5 + params.u0 / 12, v0=5 + params.v0 / 12, sigma_u=np.full(8, 1.0), sigma_v=np.ones(8))
    params = params._replace(frequency=0.25 + params.frequency / 4)
    here = fit(evaluate(params, (12, 12))).params
    there = fit(np.roll(evaluate(params, (12, 12)), (-2, 1), axis=(1, 2))).params
    np.testing.assert_allclose(there.u0, here.u0 + 1, atol=1e-3)
    np.testing.assert_allclose(there.v0, here.v0 - 2, atol=1e-3)
    for name in ("amplitude", "frequency", "sigma_u", "sigma_v"):
        np.testing.assert_allclose(getattr(there, name), getattr(here, name), atol=1e-3)


def test_atoms_at_the_edge_of_the_family():
    v, u = np.indices((12, 12))
    blob = np.exp(-((u - 5) ** 2) / 8 - (v - 6.0) ** 2 / 18)
    edge = (u + v - 11.0) * np.exp(-((u - 5.5) ** 2 + (v - 5.5) ** 2) / 12)
    pixel = ((u == 4) & (v == 7)).astype(float)
    checkerboard, stripes = (-1.0) ** (u + v), (-1.0) ** u
    result = fit(np.stack([blob, edge, pixel, checkerboard, stripes]))
    assert np.all(result.r_squared > [1 - 1e-5, 1 - 1e-3, 0.98, 0.97, 0.97])
    assert result.params.frequency[0] < 0.05
    np.testing.assert_allclose(sorted([result.params.sigma_u[0], result.params.sigma_v[0]]), [2, 3], rtol=0.2)
    np.testing.assert_allclose(np.sin(result.params.phase[1]) ** 2, 1, atol=0.01)
    np.testing.assert_allclose(result.params.theta[1], pi / 4, atol=0.01)
    np.testing.assert_allclose(result.params.frequency[3:], [np.sqrt(0.5), 0.5], atol=0.01)


def test_an_atom_of_zeros_is_no_gabor_and_harms_none():
    atoms = noisy()[1][:3].copy()
    alone = fit(atoms[[0, 2]])
    atoms[1] = 0
    result = fit(atoms)
    assert result.r_squared[1] == result.params.amplitude[1] == 0
    assert all(np.isfinite(part).all() for part in result.params)
    np.testing.assert_allclose(result.r_squared[[0, 2]], alone.r_squared, atol=1e-9)


def test_a_batch_is_its_rows_and_nothing_is_random():
    atoms = noisy()[1][60:70]
    together, again = fit(atoms), fit(atoms)
    assert all(np.array_equal(a, b) for a, b in zip(together.params, again.params, strict=True))
    alone = [fit(atoms[i : i + 1]).r_squared[0] for i in range(2)]
    np.testing.assert_allclose(together.r_squared[:2], alone, atol=1e-9)
    np.testing.assert_allclose(together.r_squared, noisy()[2].r_squared[60:70], atol=1e-9)  # over two blocks


def test_long_atoms_and_the_smallest():
    """Envelopes at the far end of a long patch underflow; 3 x 3 pixels hardly say anything."""
    rng = np.random.default_rng(4)
    for atoms in (rng.normal(size=(4, 3, 3)), rng.normal(size=(4, 3, 30))):
        result = fit(atoms)
        assert all(np.isfinite(part).all() for part in result.params)
        assert np.all((result.r_squared >= 0) & (result.r_squared <= 1))


def test_float32_stays():
    atoms = noisy()[1][:8]
    result = fit(atoms.astype(np.float32))
    assert all(part.dtype == np.float32 for part in (*result.params, result.r_squared))
    assert evaluate(result.params, (12, 12)).dtype == np.float32
    np.testing.assert_allclose(result.r_squared, noisy()[2].r_squared[:8], atol=1e-5)


@pytest.mark.parametrize(
    ("error", "atoms"),
    [
        (ValueError, np.full((2, 5, 5), np.nan)),
        (ValueError, np.full((2, 5, 5), np.inf)),
        (ValueError, np.full((2, 5, 5), 1e300)),
        (ValueError, np.ones((5, 5))),
        (ValueError, np.ones((2, 25, 1, 1))),
        (ValueError, np.ones((0, 5, 5))),
        (ValueError, np.ones((4, 0, 5))),
        (ValueError, np.ones((4, 2, 5))),
        (TypeError, np.ones((2, 5, 5), complex)),
        (TypeError, np.full((2, 5, 5), "a")),
        (TypeError, None),
    ],
)
def test_bad_atoms_are_refused_by_name(error, atoms):
    with pytest.raises(error, match=r"^atoms: expected"):
        fit(atoms)
