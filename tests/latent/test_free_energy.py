import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp
from strategies import arrays, betas

from ebm_np.foundations.gradient_check import complex_step_gradient
from ebm_np.latent.free_energy import gibbs, posterior, softmin

ROUNDING = 1e-13
tables = st.integers(1, 40).flatmap(lambda k: arrays((3, k), largest=1e6))


@given(tables, betas())
def test_softmin_lies_between_least_and_mean_energy(energy, beta):
    f, slack = softmin(energy, beta), ROUNDING * np.abs(energy).max()
    assert (energy.min(axis=-1) - slack <= f).all()
    assert (f <= energy.mean(axis=-1) + slack).all()


@given(tables, betas(), betas())
def test_softmin_falls_as_beta_rises(energy, a, b):
    cold, warm = softmin(energy, max(a, b)), softmin(energy, min(a, b))
    assert (cold <= warm + ROUNDING * np.abs(energy).max()).all()


@given(tables, betas())
def test_softmin_exceeds_the_minimum_by_log_k_over_beta_at_most(energy, beta):
    excess = softmin(energy, beta) - energy.min(axis=-1)
    assert (excess <= np.log(energy.shape[-1]) / beta * (1 + 1e-12) + ROUNDING * np.abs(energy).max()).all()


@given(tables, betas(1e-3, 1e3))
def test_softmin_is_minus_log_mean_exp(energy, beta):
    expected = -(logsumexp(-beta * energy, axis=-1) - np.log(energy.shape[-1])) / beta
    np.testing.assert_allclose(
        softmin(energy, beta), expected, rtol=1e-12, atol=1e-12 * (np.abs(energy).max() + 1 / beta)
    )


@given(tables)
def test_softmin_at_infinite_beta_is_the_minimum_and_near_it_tends_there(energy):
    np.testing.assert_array_equal(softmin(energy, np.inf), energy.min(axis=-1))
    np.testing.assert_allclose(softmin(energy, 1e300), energy.min(axis=-1), rtol=1e-14, atol=1e-14)


@given(arrays((3, 7), largest=10))
def test_softmin_tends_to_the_mean_as_beta_vanishes_with_its_second_order(energy):
    # F = mean - (beta / 2) variance + O(beta^2): the naive form has lost every digit here
    beta = 1e-9
    expected = energy.mean(axis=-1) - beta / 2 * energy.var(axis=-1)
    np.testing.assert_allclose(softmin(energy, beta), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("size", [1e6, -1e6])
def test_softmin_and_gibbs_are_stable_at_a_million(size):
    energy = np.array([size, size + 1, size + 2])
    expected = size - (np.log(1 + np.exp(-1) + np.exp(-2)) - np.log(3))
    assert softmin(energy, 1.0) == pytest.approx(expected, rel=1e-15)
    assert softmin(energy * 1.0, 1e6) == pytest.approx(size, abs=1e-5)
    np.testing.assert_allclose(gibbs(energy, 1.0), np.exp(-np.arange(3.0)) / np.exp(-np.arange(3.0)).sum(), rtol=1e-15)


def test_forbidden_latents_carry_no_weight():
    energy = np.array([0.0, np.inf, 1.0])
    assert softmin(energy, 1.0) == pytest.approx(-np.log((1 + np.exp(-1)) / 3), rel=1e-14)
    assert gibbs(energy, 1.0)[1] == 0


@given(tables, betas())
def test_gibbs_weights_are_a_distribution_that_prefers_low_energy(energy, beta):
    p = gibbs(energy, beta)
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-13)
    order = np.argsort(energy, axis=-1)
    assert (np.diff(np.take_along_axis(p, order, axis=-1), axis=-1) <= 0).all()


@given(arrays(5, largest=1e3), betas(1e-4, 1e4))
def test_gibbs_weights_are_the_gradient_of_softmin(energy, beta):
    numeric = complex_step_gradient(lambda e: softmin(e, beta), energy)
    np.testing.assert_allclose(gibbs(energy, beta), numeric, rtol=1e-12, atol=1e-12)


def test_gibbs_at_infinite_beta_shares_among_minimisers():
    np.testing.assert_array_equal(
        gibbs(np.array([[2.0, 1.0, 1.0], [0.0, 5.0, 5.0]]), np.inf), [[0, 0.5, 0.5], [1, 0, 0]]
    )


@given(
    st.sampled_from([(4, 5, 6), (1, 5, 6), (3, 1, 1)]).flatmap(lambda shape: arrays(shape, largest=10)),
    st.sampled_from([0, 1, 2, -1]),
    st.one_of(betas(0.1, 10), st.sampled_from([1e-310, np.inf])),
)
def test_any_axis_can_be_the_latent_and_all_others_stay(energy, axis, beta):
    moved = np.moveaxis(energy, axis, -1)
    rows = moved.reshape(-1, moved.shape[-1])
    one_by_one = np.reshape([softmin(row, beta) for row in rows], moved.shape[:-1])
    for found in (softmin(energy, beta, axis=axis), softmin(moved, beta)):
        assert found.shape == moved.shape[:-1]
        np.testing.assert_allclose(found, one_by_one, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(np.moveaxis(gibbs(energy, beta, axis=axis), axis, -1), gibbs(moved, beta), rtol=1e-13)


@pytest.mark.parametrize("function", [softmin, gibbs])
@pytest.mark.parametrize("beta", [0, 0.0, -1.0, np.nan, -np.inf])
def test_a_temperature_that_is_none_is_refused(function, beta):
    with pytest.raises(ValueError, match=r"^beta: expected a positive number or infinity"):
        function(np.ones((2, 3)), beta)


@pytest.mark.parametrize("beta", [0.5, np.inf])
@pytest.mark.parametrize(
    ("given", "found"), [(np.float32, np.float32), (np.float64, np.float64), (np.int64, np.float64)]
)
def test_float32_stays_and_everything_else_is_double(beta, given, found):
    energy = np.array([[0, 1, 1], [2, 1, 1]], given)
    assert gibbs(energy, beta).dtype == found
    np.testing.assert_array_equal(gibbs(energy, beta), gibbs(energy.astype(found), beta))
    np.testing.assert_array_equal(softmin(energy, beta), softmin(energy.astype(found), beta))
    assert softmin(energy.astype(found), beta).dtype == found


def test_a_beta_beyond_the_type_is_its_limit():
    energy = np.array([0, 1, 2], np.float32)
    assert softmin(energy, 1e39) == 0
    assert softmin(energy, 1e-46) == 1
    assert gibbs(energy, 1e39).tolist() == [1, 0, 0]
    assert gibbs(np.array([0, 1e10]), 1e300).tolist() == [1, 0]  # where beta E is beyond it, and no warning is given
    assert softmin(energy.astype(float), 1e308) == pytest.approx(0, abs=1e-300)
    assert softmin([0.0, 1.0], np.float64(1)).dtype == float


def test_where_every_latent_is_forbidden_f_is_infinite_and_there_are_no_weights():
    table = np.array([[np.inf, np.inf], [0.0, 0.0]])
    assert softmin(table, 1.0).tolist() == [np.inf, 0.0]
    with pytest.raises(ValueError, match=r"^energy: expected a latent of finite energy in each row, got none or NaN$"):
        gibbs(table, 1.0)


def never(*_):
    raise AssertionError("nobody should have asked")


@given(arrays((4, 7), largest=10), betas(0.1, 10))
def test_the_posterior_on_a_grid_weighs_the_gradients_of_the_energies_to_that_of_the_free_energy(y, beta):
    # E(y_n, z) = sum_k y_nk z^k, whose gradient in y is (1, z, z^2, ...)
    z = np.linspace(-1, 1, 5)
    powers = z ** np.arange(7)[:, None]
    latents, p = posterior(lambda z: y @ z ** np.arange(7)[:, None], never, beta, z)
    assert latents is z
    numeric = complex_step_gradient(lambda y: softmin(y @ powers, beta).sum(), y)
    np.testing.assert_allclose(p @ powers.T, numeric, rtol=1e-12, atol=1e-12)


def test_the_posterior_at_zero_temperature_is_all_on_the_minimiser_of_each_sample():
    minimisers = np.array([3.0, 0.5])
    latents, p = posterior(never, lambda: minimisers, np.inf, np.zeros(4))
    np.testing.assert_array_equal(latents, minimisers[:, None])
    np.testing.assert_array_equal(p, [[1.0], [1.0]], strict=True)
    with pytest.raises(ValueError, match=r"^beta: expected a positive number or infinity"):
        posterior(never, never, 0.0, np.zeros(4))


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("energy: expected real numbers, got str", lambda: softmin("E", 1.0)),
        ("energy: expected real numbers, got str", lambda: gibbs("E", 1.0)),
        ("axis: expected a whole number, got float", lambda: softmin(np.ones(3), 1.0, 0.5)),
        ("axis: expected a whole number of at least -1, got -2", lambda: gibbs(np.ones(3), 1.0, -2)),
        ("z_check: expected a function, got int", lambda: posterior(abs, 3, np.inf, np.ones(2))),
        ("energy: expected a function, got int", lambda: posterior(3, abs, 1.0, np.ones(2))),
        ("z: expected shape (K,), got shape (2, 1)", lambda: posterior(abs, abs, 1.0, np.ones((2, 1)))),
    ],
)
def test_bad_arguments_are_refused_by_name(message, call):
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}$"):
        call()
