import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import SIZES, arrays, generators

from ebm_np.foundations.costs import squared_error
from ebm_np.foundations.gradient_check import gradient_check
from ebm_np.foundations.optimizers import Optimizer, adam, gradient_descent
from ebm_np.foundations.proximal import shrink
from ebm_np.foundations.results import Fit, Inference
from ebm_np.sparse.sparse_coding import (
    Params,
    cost_grad_z,
    decode,
    energy,
    energy_grad_params,
    fit,
    free_energy,
    infer,
    init,
    unit_columns,
)

lambdas = st.one_of(st.just(0.0), st.floats(-3, 3).map(lambda e: 10.0**e))


@st.composite
def problems(draw):
    """A dictionary with some number that is not zero, observations, and lambda, of every order of magnitude."""
    d, k, n = draw(SIZES), draw(SIZES), draw(st.integers(1, 3))
    return Params(draw(arrays((d, k)).filter(np.any))), draw(arrays((n, d))), draw(lambdas)


def draw_problem(rng, d=8, k=5, n=4):
    """Unit atoms, fewer than dimensions, so that the minimiser is unique and soon found."""
    params, y = init(rng, d, k), 2 * rng.normal(size=(n, d))
    for argument in (params.W, y):
        argument.setflags(write=False)
    return params, y


def lipschitz(params):
    return 2 * np.linalg.eigvalsh(params.W.T @ params.W).max()


def kkt_residual(params, y, z, lam):
    """Distance of the gradient of ||y - W z||^2 from -lam times a subgradient of ||z||_1: per row, the largest."""
    g = 2 * (y - z @ params.W.T) @ params.W
    return np.where(z == 0, np.maximum(np.abs(g) - lam, 0), np.abs(g - lam * np.sign(z))).max(axis=1)


def duality_gap(params, y, z, lam):
    """E less the dual function 2 <nu, y> - ||nu||^2 at the residual, scaled until |2 W^T nu| <= lam."""
    residual = y - decode(params, z)
    correlation = 2 * np.abs(residual @ params.W).max(axis=1)
    nu = residual * np.minimum(1, lam / correlation)[:, None]
    return energy(params, y, z, lam) - (2 * nu * y - nu**2).sum(axis=1)


def ista(params, y, z, lam, step, threshold):
    """One step of equation (2) for one row, with the size of the gradient step and the threshold left open."""
    gradient = params.W.T @ (params.W @ z - y)
    moved = z - step * gradient
    return np.sign(moved) * np.maximum(np.abs(moved) - threshold, 0)


# energy


def test_the_energy_is_squared_error_plus_lambda_times_the_l1_norm_and_has_no_half(rng):
    params, y = draw_problem(rng)
    z = rng.normal(size=(4, 5))
    for n in range(4):
        error = sum((y[n, i] - sum(params.W[i, j] * z[n, j] for j in range(5))) ** 2 for i in range(8))
        expected = error + 0.3 * sum(abs(z[n, j]) for j in range(5))
        assert energy(params, y, z, 0.3)[n] == pytest.approx(expected, rel=1e-13)


def test_decoding_is_the_sum_of_atoms_weighted_by_the_code(rng):
    params, _ = draw_problem(rng)
    z = rng.normal(size=(2, 5))
    for n in range(2):
        np.testing.assert_allclose(decode(params, z)[n], sum(z[n, j] * params.W[:, j] for j in range(5)), atol=1e-13)


@given(generators(), SIZES, SIZES)
def test_the_gradient_of_the_cost_in_z_is_right(rng, d, k):
    params, y = draw_problem(rng, d, k)
    z = rng.normal(size=(4, k))
    check = gradient_check(lambda z: squared_error(y, decode(params, z)).sum(), cost_grad_z(params, y, z), z)
    assert check.passed, check


@given(generators(), SIZES, SIZES)
def test_the_gradient_of_the_weighted_energies_in_the_dictionary_is_right(rng, d, k):
    params, y = draw_problem(rng, d, k)
    z, weights = rng.normal(size=(4, k)), rng.normal(size=4)
    grads = energy_grad_params(params, y, z, weights)
    assert type(grads) is Params
    check = gradient_check(lambda params: (weights * energy(params, y, z, 0.3)).sum(), grads, params)
    assert check.passed, check


# inference: what it returns


@given(problems())
def test_the_energy_never_rises_from_one_iteration_to_the_next(problem):
    params, y, lam = problem
    found = infer(params, y, lam, max_iter=40, trace=True)
    path = np.array([energy(params, y, z, lam) for z in (np.zeros_like(found.z), *found.trace)])
    assert (np.diff(path, axis=0) <= 1e-12 * path[0]).all()


@given(problems(), st.floats(-8, -2).map(lambda e: 10.0**e))
def test_where_it_has_converged_the_kkt_conditions_hold_up_to_tol(problem, tol):
    # a step s leaves a residual of at most 2 L ||s||, and ||s|| <= sqrt(k) tol max|z|
    params, y, lam = problem
    found = infer(params, y, lam, tol=tol, max_iter=300)
    size, L = np.abs(found.z).max(axis=1), lipschitz(params)
    rounding = 1e-13 * (L * size + np.sqrt(L) * np.abs(y).sum(axis=1))
    residual = kkt_residual(params, y, found.z, lam)
    assert (residual <= 2 * L * np.sqrt(found.z.shape[1]) * tol * size + rounding)[found.converged].all()


@given(generators(), st.floats(0.01, 3))
def test_at_convergence_the_kkt_residual_and_the_duality_gap_vanish(rng, lam):
    params, y = draw_problem(rng)
    found = infer(params, y, lam, tol=1e-13, max_iter=20_000)
    assert found.converged.all()
    assert (kkt_residual(params, y, found.z, lam) < 1e-10).all()
    gap = duality_gap(params, y, found.z, lam)
    assert (np.abs(gap) <= 1e-9 * (1 + found.energy)).all()


@given(problems(), generators())
def test_no_code_has_less_energy_than_the_dual_function_and_so_the_gap_is_never_negative(problem, rng):
    params, y, lam = problem
    z = rng.normal(size=(len(y), params.W.shape[1]))
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = duality_gap(params, y, z, lam)
    assert (gap[np.isfinite(gap)] >= -1e-12 * energy(params, y, z, lam)[np.isfinite(gap)]).all()


@given(generators(), st.floats(0.01, 2))
def test_no_rival_beats_the_code_that_was_found(rng, lam):
    params, y = draw_problem(rng)
    found = infer(params, y, lam, tol=1e-12, max_iter=20_000)
    rivals = found.z + rng.normal(size=(100, 1, 5)) * 10.0 ** rng.uniform(-4, 1, size=(100, 1, 1))
    assert (energy(params, y, rivals, lam) >= found.energy - 1e-12).all()


@given(generators(), st.floats(0.01, 1))
def test_the_gap_to_the_minimum_falls_at_least_as_one_over_t(rng, lam):
    params, y = draw_problem(rng, k=6, n=2)
    best = infer(params, y, lam, tol=1e-10, max_iter=5000)
    z0 = rng.normal(size=best.z.shape)
    path = infer(params, y, lam, tol=1e-12, max_iter=50, z0=z0, trace=True).trace
    bound = lipschitz(params) * ((z0 - best.z) ** 2).sum(axis=1) / 2
    for t, z in enumerate(path, start=1):
        assert (energy(params, y, z, lam) - best.energy <= bound / t * (1 + 1e-9)).all()


# inference: closed forms


@given(generators(), st.integers(1, 6), st.floats(0, 4))
def test_with_orthonormal_atoms_one_step_shrinks_by_half_of_lambda(rng, k, lam):
    W = np.linalg.qr(rng.normal(size=(6, k)))[0]
    y = rng.normal(size=(3, 6))
    found = infer(Params(W), y, lam)
    np.testing.assert_allclose(found.z, shrink(y @ W, lam / 2), atol=1e-14)
    assert found.n_iter <= 2
    assert found.converged.all()


@given(st.floats(0.1, 10), st.floats(-10, 10), st.floats(0, 20))
def test_one_atom_in_one_dimension_is_solved_by_hand(w, y, lam):
    expected = np.sign(y) * max(w * abs(y) - lam / 2, 0) / w**2
    found = infer(Params(np.array([[w]])), np.array([[y]]), lam)
    assert found.z[0, 0] == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_without_lambda_it_is_least_squares(rng):
    params, y = draw_problem(rng)
    expected = np.linalg.lstsq(params.W, y.T)[0].T
    found = infer(params, y, 0, tol=1e-13, max_iter=20_000)
    np.testing.assert_allclose(found.z, expected, atol=1e-10)


@given(generators(), SIZES, SIZES)
def test_the_code_is_zero_exactly_from_lambda_twice_the_largest_correlation_on(rng, d, k):
    params, y = draw_problem(rng, d, k, n=1)
    border = 2 * np.abs(y @ params.W).max()
    found = infer(params, y, border * (1 + 1e-12))
    assert not found.z.any()
    assert found.converged.all()
    assert found.n_iter == 1
    assert found.energy == pytest.approx((y**2).sum())
    assert infer(params, y, 0.99 * border).z.any()


# inference: the iteration


@given(generators(), st.floats(0, 2))
def test_each_iterate_is_equation_2_applied_to_the_one_before_and_to_nothing_else(rng, lam):
    # so there is no momentum, whatever the note calls it
    params, y = draw_problem(rng)
    z = rng.normal(size=(4, 5))
    L = lipschitz(params)
    for found in infer(params, y, lam, tol=1e-300, max_iter=6, z0=z, trace=True).trace:
        z = np.array([ista(params, y[n], z[n], lam, 2 / L, lam / L) for n in range(4)])
        np.testing.assert_allclose(found, z, rtol=1e-11, atol=1e-12)


@given(generators())
def test_the_notes_step_without_the_factor_two_misses_the_minimum_and_finds_that_of_another_energy(rng):
    params, y = draw_problem(rng, k=3, n=1)
    lam, L = 0.5 * np.abs(y @ params.W).max(), lipschitz(params) / 2
    z = np.zeros(3)
    for _ in range(1500):
        z = ista(params, y[0], z, lam, 1 / L, lam / L)
    assert kkt_residual(params, y, z[None], lam)[0] > 0.1 * lam
    assert infer(params, y, lam).energy[0] < energy(params, y, z[None], lam)[0]
    # (1/2) ||y - W z||^2 + lam ||z||_1 is half of the stated energy at twice the lambda
    assert kkt_residual(params, y, z[None], 2 * lam)[0] < 1e-8


def test_at_orthonormal_atoms_the_notes_threshold_lambda_is_not_the_minimiser(rng):
    W = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    y, lam = rng.normal(size=(3, 6)), 0.4
    note, right = shrink(y @ W, lam), shrink(y @ W, lam / 2)
    assert (energy(Params(W), y, right, lam) < energy(Params(W), y, note, lam)).all()
    assert (kkt_residual(Params(W), y, right, lam) < 1e-14).all()
    assert (kkt_residual(Params(W), y, note, lam) > 0.9 * lam).all()


@given(generators())
def test_a_row_does_not_see_its_neighbours(rng):
    params, y = draw_problem(rng)
    z0 = rng.normal(size=(4, 5))
    batch = infer(params, y, 0.3, tol=1e-300, max_iter=7, z0=z0)
    for n in range(4):
        row = infer(params, y[[n]], 0.3, tol=1e-300, max_iter=7, z0=z0[[n]])
        np.testing.assert_allclose(batch.z[[n]], row.z, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(batch.energy[[n]], row.energy, rtol=1e-12)


@given(problems(), st.integers(1, 8), st.floats(-6, -0.5).map(lambda e: 10.0**e))
def test_a_row_has_converged_when_its_last_step_is_small_and_all_rows_having_converged_it_stops(problem, most, tol):
    params, y, lam = problem
    found = infer(params, y, lam, tol=tol, max_iter=most, trace=True)
    path = np.concatenate([np.zeros((1, *found.z.shape)), found.trace])
    small = np.abs(np.diff(path, axis=0)).max(axis=2) <= tol * np.abs(path[1:]).max(axis=2)
    np.testing.assert_array_equal(found.converged, small[-1])
    assert not small[:-1].all(axis=1).any()
    assert found.converged.all() or found.n_iter == most
    assert found.n_iter == len(found.trace)


def test_each_row_has_its_own_verdict(rng):
    params, y = draw_problem(rng, n=3)
    y = y * np.array([[0], [1], [0]])
    found = infer(params, y, 0.1, max_iter=3)
    assert found.converged.tolist() == [True, False, True]
    assert found.converged.dtype == bool


def test_a_start_at_the_minimum_stays_there(rng):
    params, y = draw_problem(rng)
    best = infer(params, y, 0.3, tol=1e-14, max_iter=20_000)
    again = infer(params, y, 0.3, z0=best.z)
    assert again.n_iter == 1
    np.testing.assert_allclose(again.z, best.z, atol=1e-12)


def test_by_default_it_starts_at_zero(rng):
    params, y = draw_problem(rng)
    np.testing.assert_array_equal(infer(params, y, 0.3).z, infer(params, y, 0.3, z0=np.zeros((4, 5))).z)


def test_the_default_tolerance_is_met_well_within_the_default_number_of_iterations(rng):
    params, y = draw_problem(rng)
    found = infer(params, y, 0.3)
    assert found.converged.all()
    assert (kkt_residual(params, y, found.z, 0.3) < 1e-3).all()
    assert 10 < found.n_iter < 1000


@pytest.mark.parametrize("trace", [False, True])
def test_the_type_returned_does_not_depend_on_flags(trace, rng):
    params, y = draw_problem(rng)
    found = infer(params, y, 0.3, trace=trace)
    assert type(found) is Inference
    assert found.trace.shape == (found.n_iter if trace else 0, 4, 5)
    if trace:
        np.testing.assert_array_equal(found.trace[-1], found.z)
    else:
        np.testing.assert_array_equal(infer(params, y, 0.3).trace, found.trace)
    np.testing.assert_array_equal(found.energy, energy(params, y, found.z, 0.3))


# free energy


def test_the_free_energy_is_the_energy_of_the_code_found_with_the_same_options(rng):
    params, y = draw_problem(rng)
    options = {"tol": 1e-2, "max_iter": 3, "z0": np.ones((4, 5))}
    np.testing.assert_array_equal(free_energy(params, y, 0.3, **options), infer(params, y, 0.3, **options).energy)
    assert not np.array_equal(free_energy(params, y, 0.3), free_energy(params, y, 0.3, max_iter=1))


@given(generators(), st.floats(0.01, 1), st.floats(0.01, 1), st.floats(0, 1))
def test_the_free_energy_grows_with_lambda_and_is_concave_in_it(rng, a, b, t):
    params, y = draw_problem(rng, k=4)
    low, high, between = (
        free_energy(params, y, lam, tol=1e-9, max_iter=5000) for lam in (min(a, b), max(a, b), t * a + (1 - t) * b)
    )
    assert (low <= high + 1e-9).all()
    at_a, at_b = (low, high) if a < b else (high, low)
    assert (between >= t * at_a + (1 - t) * at_b - 1e-9).all()


@given(generators())
def test_its_gradient_in_the_dictionary_is_that_of_the_energy_at_the_code_found(rng):
    # the envelope theorem, derivation 3: z-check moves with W, but E does not feel it
    params, y = draw_problem(rng, d=20, k=3)
    options = {"tol": 1e-13, "max_iter": 5000}
    direction, h = rng.normal(size=params.W.shape), 1e-6
    ahead, behind = (free_energy(Params(params.W + s * direction), y, 0.3, **options).sum() for s in (h, -h))
    grads = energy_grad_params(params, y, infer(params, y, 0.3, **options).z, np.ones(4))
    slope = (grads.W * direction).sum()
    assert abs((ahead - behind) / (2 * h) - slope) < 1e-6 * (1 + np.abs(grads.W * direction).sum())


# dictionaries


@given(SIZES, SIZES, generators())
def test_initial_atoms_have_unit_norm(d, k, rng):
    params = init(rng, d, k)
    assert type(params) is Params
    assert params.W.shape == (d, k)
    np.testing.assert_allclose(np.linalg.norm(params.W, axis=0), 1, rtol=1e-14)


def test_initial_atoms_are_uniform_on_the_sphere():
    k = 40_000
    W = init(np.random.default_rng(0), 3, k).W
    # Archimedes: each coordinate of a point on the sphere in three dimensions is uniform on [-1, 1]
    for coordinate in W:
        counts = np.histogram(coordinate, bins=10, range=(-1, 1))[0]
        assert ((counts - k / 10) ** 2 / (k / 10)).sum() < 9 + 6 * np.sqrt(18)
    np.testing.assert_allclose(W @ W.T / k, np.eye(3) / 3, atol=0.02)


def test_initial_atoms_are_the_generators_alone():
    a, b, c = (init(np.random.default_rng(seed), 3, 4).W for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


@given(arrays((4, 3), smallest=1e-3).filter(lambda W: W.any(axis=0).all()))
def test_unit_columns_keeps_the_directions_of_atoms_and_makes_their_norms_one(W):
    unit = unit_columns(Params(W)).W
    norms = np.linalg.norm(W, axis=0)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=0), 1, rtol=1e-14)
    np.testing.assert_allclose(unit * norms, W, rtol=1e-14)


def test_a_column_of_zeros_has_no_direction_and_stays():
    np.testing.assert_array_equal(unit_columns(Params(np.array([[3.0, 0], [4, 0]]))).W, [[0.6, 0], [0.8, 0]])


def test_an_atom_of_zeros_is_never_used_and_learning_leaves_it_alone(rng):
    params, y = draw_problem(rng, k=2)
    with_dead = Params(np.column_stack([params.W, np.zeros(8)]))
    found = infer(with_dead, y, 0.3)
    assert not found.z[:, 2].any()
    np.testing.assert_allclose(found.energy, free_energy(params, y, 0.3), rtol=1e-8)
    assert not fit(with_dead, y, rng, lam=0.3).params.W[:, 2].any()


def test_a_dictionary_of_zeros_explains_nothing_and_says_so_at_once():
    found = infer(Params(np.zeros((3, 2))), Y, 0.1)
    assert not found.z.any()
    assert found.converged.all()
    np.testing.assert_array_equal(found.energy, (Y**2).sum(axis=1))


# learning


def sparse_data(rng, n, d, k):
    """Unit atoms, and sums of two of them with weights of either sign, plus a little noise."""
    truth = init(rng, d, k)
    codes = rng.choice([-1, 1], (n, k)) * rng.uniform(0.5, 1.5, (n, k))
    keep = rng.random((n, k)).argsort(axis=1) < 2
    return truth, decode(truth, codes * keep) + 0.01 * rng.normal(size=(n, d))


def test_atoms_that_made_the_data_are_found_again():
    rng = np.random.default_rng(0)
    truth, y = sparse_data(rng, 800, 12, 16)
    found = fit(init(rng, 12, 16), y, rng, lam=0.1, optimizer=adam(0.03), n_epochs=60, batch_size=100, max_iter=50)
    likeness = np.abs(truth.W.T @ found.params.W).max(axis=1)
    assert np.mean(likeness > 0.95) >= 0.9
    assert found.history[-1] < 0.6 * found.history[0]
    # as good as the truth, up to the samples that the last batches happened to hold
    assert free_energy(found.params, y, 0.1).mean() < 1.05 * free_energy(truth, y, 0.1).mean()


@given(generators(), st.sampled_from([None, 7, 20]))
def test_learning_keeps_columns_at_unit_norm_and_lowers_the_free_energy(rng, batch_size):
    _, y = sparse_data(rng, 30, 5, 6)
    start, options = init(rng, 5, 6), {"tol": 1e-3, "max_iter": 100}
    found = fit(start, y, rng, lam=0.1, n_epochs=4, batch_size=batch_size, **options)
    assert type(found) is Fit
    assert type(found.params) is Params
    assert found.history.shape == (4,)
    np.testing.assert_allclose(np.linalg.norm(found.params.W, axis=0), 1, rtol=1e-14)
    assert free_energy(found.params, y, 0.1, **options).mean() < free_energy(start, y, 0.1, **options).mean()


@given(generators())
def test_a_step_goes_against_the_mean_gradient_at_the_inferred_codes_then_normalises(rng):
    params, y = draw_problem(rng)
    z = infer(params, y, 0.3, tol=1e-3, max_iter=100).z
    gradient = np.mean([-2 * np.outer(y[n] - params.W @ z[n], z[n]) for n in range(4)], axis=0)
    moved = params.W - 0.1 * gradient  # the default rate
    found = fit(params, y, rng, lam=0.3)
    np.testing.assert_allclose(found.params.W, moved / np.linalg.norm(moved, axis=0), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("batch_size", [None, 3, 7, 10])
def test_history_is_the_mean_free_energy_of_all_samples_however_the_last_batch_comes_out(batch_size, rng):
    params, y = draw_problem(rng, n=10)
    options = {"tol": 1e-10, "max_iter": 5000}
    found = fit(
        params, y, rng, lam=0.3, optimizer=gradient_descent(1e-12), n_epochs=2, batch_size=batch_size, **options
    )
    np.testing.assert_allclose(found.history, free_energy(params, y, 0.3, **options).mean(), rtol=1e-9)


def test_a_batch_of_equal_samples_has_the_gradient_of_one_of_them_however_many_it_holds(rng):
    params, y = draw_problem(rng, n=1)
    seen = []

    def step(params, grads, state):
        seen.append(grads.W)
        return params, state

    fit(params, y.repeat(5, axis=0), rng, lam=0.3, optimizer=Optimizer(lambda p: (), step), batch_size=3)
    assert len(seen) == 2  # of three samples, then of two
    np.testing.assert_allclose(seen[0], seen[1], rtol=1e-9)
    assert np.abs(seen[0]).max() > 0.01


def test_inference_within_learning_obeys_tol_and_max_iter(rng):
    params, y = draw_problem(rng, n=10)
    for options in ({"tol": 1e-9, "max_iter": 1}, {"tol": 0.5, "max_iter": 1000}):
        found = fit(params, y, rng, lam=0.3, **options)
        assert found.history[0] == pytest.approx(free_energy(params, y, 0.3, **options).mean(), rel=1e-12)
        assert found.history[0] > free_energy(params, y, 0.3).mean() * (1 + 1e-6)


def test_the_optimizer_is_given_one_state_that_goes_from_step_to_step(rng):
    params, y = draw_problem(rng, n=5)
    states = []

    def step(params, grads, state):
        states.append(state)
        return Params(3 * params.W), state + 1

    found = fit(params, y, rng, lam=0.3, optimizer=Optimizer(lambda p: 0, step), n_epochs=2, batch_size=2)
    assert states == [0, 1, 2, 3, 4, 5]
    np.testing.assert_allclose(found.params.W, params.W, rtol=1e-14)


def test_the_callback_hears_of_each_epoch(rng):
    params, y = draw_problem(rng, n=5)
    heard = []
    found = fit(params, y, rng, lam=0.3, n_epochs=3, callback=lambda *report: heard.append(report))
    assert heard == list(enumerate(found.history, start=1))


def test_the_generator_shuffles_and_nothing_else_is_random(rng):
    params, y = draw_problem(rng, n=20)
    a, b, c = (fit(params, y, np.random.default_rng(seed), lam=0.3, batch_size=6, n_epochs=2) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a.params.W, b.params.W)
    np.testing.assert_array_equal(a.history, b.history)
    assert not np.array_equal(a.params.W, c.params.W)


def test_by_default_a_batch_holds_five_hundred_samples(rng):
    calls = []

    def step(params, grads, state):
        calls.append(grads)
        return params, state

    params, y = draw_problem(rng, d=2, k=1, n=501)
    fit(params, y, rng, lam=0.3, optimizer=Optimizer(lambda p: (), step))
    assert len(calls) == 2


# why columns are normalised


@given(generators(), st.floats(1.01, 100))
def test_a_longer_dictionary_with_a_shorter_code_decodes_the_same_at_less_energy(rng, a):
    params, y = draw_problem(rng)
    z = rng.normal(size=(4, 5))
    long, short = Params(a * params.W), z / a
    np.testing.assert_allclose(decode(long, short), decode(params, z), rtol=1e-12, atol=1e-13)
    assert (energy(long, y, short, 0.3) < energy(params, y, z, 0.3)).all()
    saved = energy(params, y, z, 0.3) - energy(long, y, short, 0.3)
    np.testing.assert_allclose(saved, 0.3 * (1 - 1 / a) * np.abs(z).sum(axis=1), rtol=1e-9)


def test_without_normalisation_atoms_grow_and_codes_shrink_for_ever_while_the_energy_falls(rng):
    params, y = draw_problem(rng, n=30)
    path = []
    for _ in range(60):
        found = infer(params, y, 0.3, tol=1e-6, max_iter=5000)
        path.append([(params.W**2).sum(), -np.abs(found.z).sum(), -found.energy.sum()])
        grads = energy_grad_params(params, y, found.z, np.full(30, 1 / 30))
        params = Params(params.W - 0.05 * grads.W)
    assert (np.diff(path[10:], axis=0) > 0).all()  # the first steps turn atoms towards the data


# what all share


def test_single_precision_is_kept(rng):
    params = init(rng, 6, 4, np.float32)
    y = rng.normal(size=(3, 6)).astype(np.float32)
    found = infer(params, y, 0.3)
    weights = np.ones(3, np.float32)
    results = (
        params.W,
        found.z,
        found.energy,
        found.trace,
        infer(params, y, 0.3, trace=True).trace,
        free_energy(params, y, 0.3),
        cost_grad_z(params, y, found.z),
        energy_grad_params(params, y, found.z, weights).W,
        fit(params, y, rng, lam=0.3, n_epochs=2, batch_size=2).params.W,
        fit(params, y, rng, lam=0.3, optimizer=adam(0.01)).params.W,
    )
    assert [array.dtype for array in results] == [np.float32] * len(results)


def test_a_start_in_double_precision_does_not_widen_the_codes():
    found = infer(Params(W.astype(np.float32)), Y.astype(np.float32), 0.1, z0=np.ones((4, 2)))
    assert found.z.dtype == np.float32


def test_single_precision_finds_the_same_code(rng):
    params, y = draw_problem(rng)
    found = infer(Params(params.W.astype(np.float32)), y.astype(np.float32), 0.3)
    np.testing.assert_allclose(found.z, infer(params, y, 0.3).z, atol=1e-4)


def test_double_precision_is_the_default(rng):
    assert init(rng, 3, 2).W.dtype == infer(init(rng, 3, 2), [[1, 2, 3]], 1).z.dtype == np.float64


def test_nothing_handed_in_is_written_to(rng):
    params, y = draw_problem(rng)
    z, weights = rng.normal(size=(4, 5)), np.ones(4)
    for argument in (z, weights):
        argument.setflags(write=False)
    unit_columns(params)
    energy(params, y, z, 0.3)
    cost_grad_z(params, y, z)
    energy_grad_params(params, y, z, weights)
    infer(params, y, 0.3, z0=z, trace=True)
    fit(params, y, rng, lam=0.3, n_epochs=2, batch_size=3)


# what it refuses

W, Y = np.eye(3, 2), np.ones((4, 3))
NAN = np.full((4, 3), np.nan)


@pytest.mark.parametrize(
    ("name", "error", "arguments"),
    [
        ("params.W", ValueError, {"params": Params(np.ones(3))}),
        ("params.W", ValueError, {"params": Params(np.ones((3, 0)))}),
        ("params.W", ValueError, {"params": Params(np.full((3, 2), np.inf))}),
        ("params.W", TypeError, {"params": Params(None)}),
        ("params.W", TypeError, {"params": Params(W * 1j)}),
        ("y", ValueError, {"y": np.ones(3)}),
        ("y", ValueError, {"y": np.ones((4, 2))}),
        ("y", ValueError, {"y": np.ones((0, 3))}),
        ("y", ValueError, {"y": NAN}),
        ("y", ValueError, {"y": [[1, 2, 3], [4, 5]]}),
        ("y", ValueError, {"y": 1e200 * Y}),
        ("y", TypeError, {"y": None}),
        ("y", TypeError, {"y": Y.astype(str)}),
        ("lam", ValueError, {"lam": -1e-9}),
        ("lam", ValueError, {"lam": np.nan}),
        ("lam", ValueError, {"lam": np.inf}),
        ("lam", TypeError, {"lam": None}),
        ("lam", TypeError, {"lam": np.ones(4)}),
        ("tol", ValueError, {"tol": 0}),
        ("tol", ValueError, {"tol": np.nan}),
        ("tol", TypeError, {"tol": "1e-3"}),
        ("max_iter", ValueError, {"max_iter": 0}),
        ("max_iter", TypeError, {"max_iter": 10.0}),
        ("z0", ValueError, {"z0": np.ones((4, 3))}),
        ("z0", ValueError, {"z0": np.ones((3, 2))}),
        ("z0", ValueError, {"z0": np.ones(2)}),
        ("z0", ValueError, {"z0": np.full((4, 2), np.nan)}),
        ("z0", TypeError, {"z0": "zero"}),
    ],
)
@pytest.mark.parametrize("function", [infer, free_energy])
def test_inference_refuses_a_bad_argument_by_name(function, name, error, arguments):
    with pytest.raises(error, match=rf"^{name}: expected"):
        function(**{"params": Params(W), "y": Y, "lam": 0.1, **arguments})


def test_a_wrong_shape_is_answered_in_the_letters_of_the_page():
    with pytest.raises(ValueError, match=r"^params.W: expected shape \(d, k\), got shape \(3,\)$"):
        infer(Params(np.ones(3)), Y, 0.1)
    with pytest.raises(ValueError, match=r"^y: expected shape \(N, 3\), got shape \(4, 2\)$"):
        infer(Params(W), Y[:, :2], 0.1)
    with pytest.raises(ValueError, match=r"^z0: expected shape \(4, 2\), got shape \(2,\)$"):
        infer(Params(W), Y, 0.1, z0=np.ones(2))


@pytest.mark.parametrize(
    ("name", "error", "arguments"),
    [
        ("params.W", ValueError, {"params": Params(np.full((3, 2), np.nan))}),
        ("params.W", ValueError, {"params": Params(np.ones(3))}),
        ("params.W", TypeError, {"params": Params(None)}),
        ("y", ValueError, {"y": np.ones((4, 2))}),
        ("y", ValueError, {"y": NAN}),
        ("y", ValueError, {"y": np.ones((0, 3))}),
        ("y", TypeError, {"y": None}),
        ("rng", TypeError, {"rng": None}),
        ("rng", TypeError, {"rng": 0}),
        ("lam", ValueError, {"lam": -1}),
        ("lam", TypeError, {"lam": "0.1"}),
        ("n_epochs", ValueError, {"n_epochs": 0}),
        ("n_epochs", TypeError, {"n_epochs": 1.0}),
        ("batch_size", ValueError, {"batch_size": 0}),
        ("batch_size", TypeError, {"batch_size": 2.0}),
        ("tol", ValueError, {"tol": 0}),
        ("max_iter", ValueError, {"max_iter": 0}),
    ],
)
def test_learning_refuses_a_bad_argument_by_name(name, error, arguments):
    good = {"params": Params(W), "y": Y, "rng": np.random.default_rng(0), "lam": 0.1}
    with pytest.raises(error, match=rf"^{name}: expected"):
        fit(**{**good, **arguments})


@pytest.mark.parametrize(
    ("name", "error", "arguments"),
    [
        ("rng", TypeError, {"rng": 0}),
        ("rng", TypeError, {"rng": None}),
        ("d", ValueError, {"d": 0}),
        ("d", TypeError, {"d": 2.0}),
        ("k", ValueError, {"k": -1}),
        ("k", TypeError, {"k": "3"}),
        ("dtype", TypeError, {"dtype": int}),
    ],
)
def test_init_refuses_a_bad_argument_by_name(name, error, arguments):
    with pytest.raises(error, match=rf"^{name}: expected"):
        init(**{"rng": np.random.default_rng(0), "d": 3, "k": 2, **arguments})


@pytest.mark.parametrize("size", [0.0, 1e-300, 1e-160])
def test_a_dictionary_of_nothing_explains_nothing_wherever_the_search_starts(size):
    y = np.array([[1.0, 2.0], [0.5, -1.0]])
    found = infer(Params(np.full((2, 3), size)), y, 0.3, z0=np.ones((2, 3)))
    np.testing.assert_array_equal(found.z, 0)
    np.testing.assert_allclose(found.energy, (y**2).sum(axis=1))
