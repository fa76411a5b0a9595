import re
from itertools import islice

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sparse.problems import dictionary, total
from strategies import generators

from ebm_np.foundations.gradient_check import central_difference, gradient_check
from ebm_np.foundations.parameters import inner, leaves, tree_map
from ebm_np.foundations.results import ConvergenceWarning, Fit
from ebm_np.sparse import lista, predictive, sparse_coding, textbook
from ebm_np.sparse.predictive import (
    AffineShrink,
    AffineTanh,
    Params,
    augmented,
    decode,
    distance,
    encode,
    energy,
    energy_grad_params,
    energy_grad_y,
    fit,
    free_energy,
    free_energy_grad_params,
    free_energy_grad_y,
    from_dictionary,
    infer,
    init,
    run,
    smooth_grad_z,
)

KINDS = ("shrink", "tanh", "lista")
EVERY_ENCODER = pytest.mark.parametrize("kind", KINDS)


def powers(low, high):
    """Positive numbers, evenly over the orders of magnitude."""
    return st.floats(low, high).map(lambda e: 10.0**e)


def draw_encoder(rng, kind, d, k, n_steps=3):
    """Weights of either sign, thresholds that some codes pass and others do not."""
    A, b = rng.normal(size=(k, d)), rng.normal(size=k)
    if kind == "shrink":
        return AffineShrink(A, b, rng.uniform(0, 2, k))
    if kind == "tanh":
        return AffineTanh(A, b, rng.normal(size=k))
    S = rng.normal(size=(n_steps - 1, k, k)) / np.sqrt(k)
    return lista.Params(rng.normal(size=(n_steps, d, k)), S, rng.uniform(0, 1.5, (n_steps, k)))


def draw_problem(rng, kind, d=4, k=6, n=5):
    params = Params(dictionary(rng, d, k), draw_encoder(rng, kind, d, k))
    return params, rng.normal(size=(n, d)), rng.normal(size=(n, k))


def guess(encoder, y):
    """Enc(y) number by number, and how near the nearest kink is: no code shared with the library."""
    near = np.inf

    def shrunk(u, theta):
        nonlocal near
        near = min(near, abs(abs(u) - theta))
        return 0.0 if abs(u) <= theta else u - theta if u > 0 else u + theta

    rows = []
    for y_n in y:
        if isinstance(encoder, lista.Params):
            z = np.zeros(encoder.theta.shape[1])
            for t, theta in enumerate(encoder.theta):
                u = [w @ y_n + (encoder.S[t - 1][i] @ z if t else 0) for i, w in enumerate(encoder.W_e[t].T)]
                z = np.array([shrunk(*pair) for pair in zip(u, theta, strict=True)])
        else:
            A, b, last = encoder
            u = [a @ y_n + b_i for a, b_i in zip(A, b, strict=True)]
            f = shrunk if isinstance(encoder, AffineShrink) else lambda u_i, g_i: g_i * np.tanh(u_i)
            z = np.array([f(*pair) for pair in zip(u, last, strict=True)])
        rows.append(z)
    return np.array(rows), near


def smooth(params, y):
    """Say whether Enc has no kink where a finite difference would look."""
    return guess(params.encoder, y)[1] > 1e-3


def sparse_data(rng, n, d=12, k=16):
    """Unit atoms, and sums of two of them with weights of either sign, plus a little noise."""
    truth = sparse_coding.init(rng, d, k)
    codes = rng.choice([-1, 1], (n, k)) * rng.uniform(0.5, 1.5, (n, k))
    keep = rng.random((n, k)).argsort(axis=1) < 2
    return truth.W, sparse_coding.decode(truth, codes * keep) + 0.02 * rng.normal(size=(n, d))


# the energy


@EVERY_ENCODER
@given(rng=generators(), alpha=st.just(0.0) | powers(-3, 3), lam=powers(-3, 3))
def test_energy_is_the_sum_of_its_three_terms(kind, rng, alpha, lam):
    params, y, z = draw_problem(rng, kind)
    z *= rng.random(z.shape) < 0.5
    z_tilde, _ = guess(params.encoder, y)
    np.testing.assert_allclose(encode(params, y), z_tilde, rtol=1e-12, atol=1e-13)
    for n, found in enumerate(energy(params, y, z, alpha, lam)):
        C = sum((y[n, i] - sum(params.W[i, j] * z[n, j] for j in range(6))) ** 2 for i in range(4))
        D = sum((z[n, j] - z_tilde[n, j]) ** 2 for j in range(6))
        R = sum(abs(z[n, j]) for j in range(6))
        assert found == pytest.approx(C + alpha * D + lam * R, rel=1e-12)
        assert distance(params, y, z)[n] == pytest.approx(D, rel=1e-12)
    np.testing.assert_allclose(((y - decode(params, z)) ** 2).sum(axis=1), energy(params, y, z, 0.0, 0.0), rtol=1e-12)


@EVERY_ENCODER
@given(rng=generators(), alpha=powers(-2, 2))
def test_the_gradient_in_z_is_the_complex_step_of_the_smooth_part(kind, rng, alpha):
    params, y, z = draw_problem(rng, kind)
    claimed = smooth_grad_z(params, y, z, alpha)
    check = gradient_check(lambda z: energy(params, y, z, alpha, 0.0).sum(), claimed, z)
    assert check.passed, str(check)


@EVERY_ENCODER
@given(rng=generators(), alpha=powers(-2, 2))
def test_the_gradient_in_y_is_the_complex_step_through_the_encoder_too(kind, rng, alpha):
    params, y, z = draw_problem(rng, kind)
    assume(smooth(params, y))
    claimed = energy_grad_y(params, y, z, alpha)
    check = gradient_check(lambda y: energy(params, y, z, alpha, 0.7).sum(), claimed, y)
    assert check.passed, str(check)


@EVERY_ENCODER
@given(rng=generators(), alpha=powers(-2, 2))
def test_the_gradient_in_the_parameters_is_the_complex_step(kind, rng, alpha):
    params, y, z = draw_problem(rng, kind, d=2, k=3, n=4)
    assume(smooth(params, y))
    weights = rng.normal(size=4)
    claimed = energy_grad_params(params, y, z, alpha, weights)
    assert type(claimed.encoder) is type(params.encoder)
    check = gradient_check(lambda p: weights @ energy(p, y, z, alpha, 0.7), claimed, params)
    assert check.passed, str(check)


@EVERY_ENCODER
@given(rng=generators())
def test_the_vector_jacobian_product_of_an_encoder_is_the_complex_step_of_what_it_says(kind, rng):
    params, y, _ = draw_problem(rng, kind, d=3, k=4, n=3)
    assume(smooth(params, y))
    q = rng.normal(size=(3, 4))
    _, vjp = run(params.encoder, y)
    for check in (
        gradient_check(lambda e: (q * run(e, y)[0]).sum(), vjp.encoder(q), params.encoder),
        gradient_check(lambda y: (q * run(params.encoder, y)[0]).sum(), vjp.y(q), y),
    ):
        assert check.passed, str(check)


@EVERY_ENCODER
@given(rng=generators(), alpha=powers(-2, 2))
def test_the_encoder_sees_only_the_distance_and_the_decoder_only_the_cost(kind, rng, alpha):
    params, y, z = draw_problem(rng, kind)
    one, weights = energy_grad_params(params, y, z, alpha, np.ones(5)), np.ones(5)
    other = Params(params.W, draw_encoder(rng, kind, 4, 6))
    np.testing.assert_array_equal(energy_grad_params(other, y, z, 3 * alpha, weights).W, one.W)
    elsewhere = Params(rng.normal(size=(4, 6)), params.encoder)
    twice = energy_grad_params(elsewhere, y, z, 2 * alpha, weights).encoder
    for a, b in zip(leaves(twice), leaves(one.encoder), strict=True):
        np.testing.assert_allclose(a, 2 * b, rtol=1e-12)
    assert not any(leaf.any() for leaf in leaves(energy_grad_params(params, y, z, 0.0, weights).encoder))


@given(generators(), powers(-3, 0), powers(-2, 2))
@pytest.mark.parametrize("kind", ["shrink", "tanh"])
def test_if_nothing_held_the_atoms_longer_ones_would_cost_less(kind, rng, s, alpha):
    params, y, z = draw_problem(rng, kind)
    A, b, last = params.encoder
    small = AffineTanh(A, b, s * last) if kind == "tanh" else AffineShrink(s * A, s * b, s * last)
    C = energy(params, y, z, 0.0, 0.0)
    D, R = distance(params, y, z), np.abs(z).sum(axis=1)
    grown = energy(Params(params.W / s, small), y, s * z, alpha, 0.7)
    np.testing.assert_allclose(grown, C + s**2 * alpha * D + s * 0.7 * R, rtol=1e-10)


# inference


@EVERY_ENCODER
@given(rng=generators(), alpha=st.just(0.0) | powers(-3, 3), lam=powers(-3, 3))
def test_the_energy_is_that_of_sparse_coding_with_a_longer_dictionary(kind, rng, alpha, lam):
    params, y, z = draw_problem(rng, kind)
    longer, target = augmented(params, y, alpha)
    np.testing.assert_allclose(total(longer.W, target, z, lam), energy(params, y, z, alpha, lam), rtol=1e-11)
    if alpha:
        np.testing.assert_array_equal(longer.W, np.vstack([params.W, np.sqrt(alpha) * np.eye(6)]))
        np.testing.assert_allclose(target, np.hstack([y, np.sqrt(alpha) * guess(params.encoder, y)[0]]), atol=1e-11)
    else:
        assert longer.W is params.W
        assert target is y


@EVERY_ENCODER
@given(rng=generators(), method=st.sampled_from(sparse_coding.METHODS), alpha=powers(-1, 2), lam=powers(-2, 1))
def test_no_code_has_less_energy(kind, method, rng, alpha, lam):
    params, y, _ = draw_problem(rng, kind)
    found = infer(params, y, alpha, lam, method, tol=1e-9)
    assert found.converged.all()
    np.testing.assert_array_equal(found.energy, energy(params, y, found.z, alpha, lam))
    for _ in range(20):
        near, far = rng.normal(size=(2, *found.z.shape)) * 10.0 ** rng.uniform(-5, 1, (2, 1, 1))
        for z in (found.z * (1 + near) + far, encode(params, y), 0 * far):
            assert (found.energy <= energy(params, y, z, alpha, lam) * (1 + 1e-8)).all()


@EVERY_ENCODER
@given(rng=generators(), alpha=powers(-2, 3), lam=powers(-2, 1))
def test_zero_is_in_the_subgradient_of_the_whole_energy(kind, rng, alpha, lam):
    params, y, _ = draw_problem(rng, kind)
    z = infer(params, y, alpha, lam, tol=1e-11).z
    slope = 2 * (z @ params.W.T - y) @ params.W + 2 * alpha * (z - guess(params.encoder, y)[0])
    violation = np.where(z == 0, np.abs(slope) - lam, np.abs(slope + lam * np.sign(z)))
    assert violation.max() <= 1e-8 * max(1, alpha)


@EVERY_ENCODER
@given(rng=generators(), method=st.sampled_from(sparse_coding.METHODS), lam=powers(-2, 1))
def test_without_pull_it_is_sparse_coding(kind, method, rng, lam):
    params, y, _ = draw_problem(rng, kind, d=6, k=4)
    options = {"tol": 1e-4, "trace": method in sparse_coding.ITERATES}
    found = infer(params, y, 0.0, lam, method, **options)
    expected = sparse_coding.infer(sparse_coding.Params(params.W), y, lam, method, **options)
    for mine, its in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, its)


@EVERY_ENCODER
@given(rng=generators(), alpha=powers(2, 7))
def test_the_encoder_has_its_way_as_its_pull_grows(kind, rng, alpha):
    params, y, _ = draw_problem(rng, kind)
    found, z_tilde = infer(params, y, alpha, 0.5), encode(params, y)
    assert (alpha * distance(params, y, found.z) <= energy(params, y, z_tilde, alpha, 0.5) * (1 + 1e-5)).all()
    limit = infer(params, y, 1e8, 0.5).z
    np.testing.assert_allclose(limit, z_tilde, atol=1e-5)


def test_a_pull_beyond_rounding_is_said_to_be_uncertain(rng):
    params, y, _ = draw_problem(rng, "tanh")
    with pytest.warns(ConvergenceWarning, match="have not converged"):
        found = infer(params, y, 1e14, 0.5)
    np.testing.assert_allclose(found.z, encode(params, y), atol=1e-6)


@EVERY_ENCODER
@given(rng=generators(), alpha=st.just(0.0) | powers(-3, 3), lam=powers(-3, 1))
def test_codes_of_orthonormal_atoms_are_shrunk_means_of_two_guesses(kind, rng, alpha, lam):
    W = np.linalg.qr(rng.normal(size=(6, 6)))[0][:, :4]
    params, y = Params(W, draw_encoder(rng, kind, 6, 4)), rng.normal(size=(5, 6))
    mean = (y @ W + alpha * guess(params.encoder, y)[0]) / (1 + alpha)
    z = np.sign(mean) * np.maximum(np.abs(mean) - lam / (2 * (1 + alpha)), 0)
    np.testing.assert_allclose(infer(params, y, alpha, lam, tol=1e-10).z, z, atol=1e-9)


@given(st.sampled_from(KINDS), generators(), powers(-2, 1))
def test_more_pull_never_lets_code_and_guess_drift_apart(kind, rng, lam):
    params, y, _ = draw_problem(rng, kind)
    codes = [infer(params, y, alpha, lam, tol=1e-10).z for alpha in (0.0, 0.1, 0.5, 3.0, 100.0)]
    D = np.array([distance(params, y, z) for z in codes])
    assert (np.diff(D, axis=0) <= 1e-6 * (1 + D[0])).all()
    F = np.array([free_energy(params, y, alpha, lam) for alpha in (0.0, 0.3, 10.0)])
    assert (np.diff(F, axis=0) >= -1e-6 * F[1:]).all()
    bound = energy(params, y, encode(params, y), 0.0, lam)
    assert (bound * (1 + 1e-6) >= F).all()


@given(generators(), powers(-2, 2), powers(-1, 0))
def test_an_encoder_that_is_right_changes_nothing(rng, alpha, lam):
    W = np.linalg.qr(rng.normal(size=(6, 6)))[0][:, :4] + 0.1 * rng.normal(size=(6, 4))
    y = rng.normal(size=(1, 6))
    optimal = sparse_coding.infer(sparse_coding.Params(W), y, lam, "active_set", tol=1e-12)
    says_it_by_heart = AffineTanh(np.zeros((4, 6)), np.full(4, 40.0), optimal.z[0])  # tanh(40) rounds to 1
    iterates_long = from_dictionary(W, "lista", lam, 200).encoder
    for encoder in (says_it_by_heart, iterates_long):
        found = infer(Params(W, encoder), y, alpha, lam, tol=1e-10)
        np.testing.assert_allclose(found.z, optimal.z, atol=1e-8)
        np.testing.assert_allclose(found.energy, optimal.energy, rtol=1e-8)
        assert distance(Params(W, encoder), y, found.z) < 1e-14


@given(generators())
def test_inference_starts_from_the_guess_unless_told_otherwise(rng):
    params, y, z = draw_problem(rng, "tanh")
    path = infer(params, y, 1.0, 0.5, "ista", max_iter=1000, tol=1e-3, trace=True).trace
    longer, target = augmented(params, y, 1.0)
    np.testing.assert_allclose(path[0], next(textbook.ista(longer.W, target, 0.5, encode(params, y))), rtol=1e-12)
    path = infer(params, y, 1.0, 0.5, "ista", z0=z, tol=1e-3, trace=True).trace
    np.testing.assert_allclose(path[0], next(textbook.ista(longer.W, target, 0.5, z)), rtol=1e-12)


# the gradients of the free energy


@EVERY_ENCODER
@given(rng=generators(), alpha=powers(-1, 1))
def test_the_gradients_of_the_free_energy_are_its_differences(kind, rng, alpha):
    params, y, _ = draw_problem(rng, kind)
    assume(smooth(params, y))
    options, weights = {"alpha": alpha, "lam": 0.5, "tol": 1e-12}, rng.normal(size=5)
    v = rng.normal(size=y.shape)
    numeric = central_difference(lambda y: free_energy(params, y, **options), y, v, 1e-5)
    claimed = (free_energy_grad_y(params, y, **options) * v).sum(axis=1)
    np.testing.assert_allclose(claimed, numeric, rtol=1e-5, atol=1e-5 * (1 + alpha))
    claimed = free_energy_grad_params(params, y, weights=weights, **options)
    for kept in ("W", "encoder"):  # one by one, so that neither hides the other
        v = tree_map(lambda a: rng.normal(size=a.shape), params)._replace(**{kept: getattr(params, kept)})
        v = v._replace(**{kept: tree_map(np.zeros_like, getattr(params, kept))})
        numeric = central_difference(lambda p: weights @ free_energy(p, y, **options), params, v, 1e-6)
        assert inner(claimed, v) == pytest.approx(numeric, rel=1e-5, abs=1e-4 * (1 + alpha))


# where training starts


@given(generators(), st.integers(1, 5), st.integers(1, 6), st.integers(1, 4))
def test_untrained_encoders_are_steps_of_ista(rng, d, k, n_steps):
    W, y = dictionary(rng, d, k), rng.normal(size=(3, d))
    steps = list(islice(textbook.ista(W, y, 0.3, np.zeros((3, k))), n_steps))
    for kind, expected in (("shrink", steps[0]), ("lista", steps[-1])):
        params = from_dictionary(W, kind, 0.3, n_steps)
        np.testing.assert_array_equal(params.W, W)
        np.testing.assert_allclose(encode(params, y), expected, atol=1e-12)
    step = 2 / textbook.lipschitz(W) * y @ W
    np.testing.assert_allclose(encode(from_dictionary(W, "tanh", 0.3), y), 0.3 * np.tanh(step / 0.3), atol=1e-12)


@given(st.sampled_from(KINDS), generators(), st.integers(1, 5), st.integers(1, 6))
def test_init_draws_atoms_of_unit_norm(kind, rng, d, k):
    params = init(rng, d, k, kind, 0.3, n_steps=2)
    np.testing.assert_allclose((params.W**2).sum(axis=0), 1, rtol=1e-12)
    expected = from_dictionary(params.W, kind, 0.3, 2)
    for a, b in zip(leaves(params), leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)
    assert {leaf.dtype for leaf in leaves(init(rng, d, k, kind, 0.3, 2, np.float32))} == {np.dtype("f4")}
    for networks in (init(rng, d, k, "lista", 0.3), from_dictionary(params.W, "lista", 0.3)):
        assert len(networks.encoder.theta) == 3  # steps, unless told otherwise


# training


@EVERY_ENCODER
@pytest.mark.parametrize("batch_size", [None, 7])
def test_training_is_adam_on_the_mean_free_energy_with_atoms_and_thresholds_held(kind, batch_size, rng):
    params, y, _ = draw_problem(rng, kind, n=20)
    if kind != "tanh":  # guesses too timid: thresholds fall
        params = params._replace(encoder=tree_map(lambda a: 0.05 * a, params.encoder))
    order = np.random.default_rng(3).permutation(20)
    options = {"alpha": 0.7, "lam": 0.4}
    p = params._replace(W=params.W / np.sqrt((params.W**2).sum(axis=0)))
    m, v = (tree_map(np.zeros_like, p) for _ in range(2))
    for t, start in enumerate(range(0, 20, batch_size or 20), start=1):
        batch = y[order[start : start + (batch_size or 20)]]
        weights = np.full(len(batch), 1 / len(batch))
        g = free_energy_grad_params(p, batch, weights=weights, tol=1e-3, **options)
        g = g._replace(W=g.W - p.W * np.einsum("dk,dk->k", p.W, g.W))  # along the sphere of each atom
        m = tree_map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = tree_map(lambda v, g: 0.999 * v + 0.001 * g**2, v, g)
        p = tree_map(lambda p, m, v, t=t: p - 0.3 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8), p, m, v)
        p = p._replace(W=p.W / np.sqrt((p.W**2).sum(axis=0)))
        if kind != "tanh":
            assert t > 1 or (p.encoder.theta < 0).any()  # the projection has something to do
            p = p._replace(encoder=p.encoder._replace(theta=np.maximum(p.encoder.theta, 0)))
    found = fit(params, y, np.random.default_rng(3), n_epochs=1, batch_size=batch_size, rate=0.3, **options)
    assert type(found) is Fit
    for a, b in zip(leaves(found.params), leaves(p), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)


def test_training_has_a_hundred_samples_a_batch_ten_epochs_and_a_pull_of_one_unless_told_otherwise(rng):
    params, y, _ = draw_problem(rng, "shrink", n=101)
    told = {"alpha": 1.0, "n_epochs": 10, "batch_size": 100, "rate": 1e-3, "tol": 1e-3}
    found, expected = (fit(params, y, np.random.default_rng(0), lam=0.3, **options) for options in ({}, told))
    for a, b in zip(leaves(found), leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_mean_over_samples_of_single_precision_is_taken_in_double(rng):
    params, y, _ = tree_map(lambda a: a.astype(np.float32), draw_problem(rng, "shrink", n=20))
    held = params._replace(W=sparse_coding.unit_columns(sparse_coding.Params(params.W)).W)
    energies = free_energy(held, y[np.random.default_rng(0).permutation(20)], 1.0, 0.3, tol=1e-3)
    history = fit(params, y, np.random.default_rng(0), lam=0.3, n_epochs=1, batch_size=None).history
    assert history[0] == pytest.approx(energies.mean(dtype=np.float64), rel=1e-12)


@EVERY_ENCODER
def test_training_lowers_the_free_energy_and_the_distance(kind, rng):
    for alpha in (0.3, 3.0):
        _, y = sparse_data(rng, 400)
        start = init(rng, 12, 16, kind, 0.2)
        found = fit(start, y, rng, alpha=alpha, lam=0.2, n_epochs=8, batch_size=20, rate=3e-3)
        F, D = [], []
        for params in (start, found.params):
            inferred = infer(params, y, alpha, 0.2)
            F.append(inferred.energy.mean())
            D.append(distance(params, y, inferred.z).mean())
        assert F[1] < 0.8 * F[0]
        assert D[1] < 0.9 * D[0]
        assert found.history[0] < 1.1 * F[0]
        assert found.history[-1] == pytest.approx(F[1], rel=0.1)
        np.testing.assert_allclose((found.params.W**2).sum(axis=0), 1, rtol=1e-12)


@pytest.fixture(scope="module")
def trained():
    """Each kind trained on the same data, and samples it has not seen with their optimal codes."""
    (_, y), found = sparse_data(np.random.default_rng(4), 800), {}
    for kind in KINDS:
        start = init(np.random.default_rng(1), 12, 16, kind, 0.2)
        options = {"alpha": 1.0, "lam": 0.2, "n_epochs": 12, "batch_size": 20, "rate": 3e-3}
        params = fit(start, y[:600], np.random.default_rng(2), **options).params
        z = sparse_coding.infer(sparse_coding.Params(params.W), y[600:], 0.2, "active_set").z
        found[kind] = params, y[600:], z
    return found


def relative_error(params, y, z):
    return ((encode(params, y) - z) ** 2).sum() / (z**2).sum()


@EVERY_ENCODER
def test_the_trained_encoder_predicts_new_codes_better_than_the_untrained(kind, trained):
    params, y, z = trained[kind]
    same_atoms = from_dictionary(params.W, kind, 0.2)
    assert relative_error(params, y, z) < 0.75 * relative_error(same_atoms, y, z)
    zeros = (encode(params, y) == 0).mean()
    assert zeros == 0 if kind == "tanh" else zeros > 0.3


def test_lista_predicts_better_than_shrinkage_and_shrinkage_better_than_tanh(trained):
    errors = {kind: relative_error(*trained[kind]) for kind in KINDS}
    assert errors["lista"] < 0.8 * errors["shrink"]
    assert errors["shrink"] < 0.9 * errors["tanh"]


@EVERY_ENCODER
def test_without_pull_the_encoder_learns_nothing(kind, rng):
    params, y, _ = draw_problem(rng, kind, n=20)
    found = fit(params, y, rng, alpha=0.0, lam=0.3, n_epochs=2, batch_size=10)
    for a, b in zip(leaves(found.params.encoder), leaves(params.encoder), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(found.params.W, params.W / np.sqrt((params.W**2).sum(axis=0)))


@EVERY_ENCODER
def test_the_generator_shuffles_and_nothing_else_is_random(kind, rng):
    params, y, _ = draw_problem(rng, kind, n=20)
    a, b, c = (fit(params, y, np.random.default_rng(s), lam=0.3, n_epochs=2, batch_size=6) for s in (1, 1, 2))
    for one, same in zip(leaves(a.params), leaves(b.params), strict=True):
        np.testing.assert_array_equal(one, same)
    np.testing.assert_array_equal(a.history, b.history)
    assert not np.array_equal(a.params.W, c.params.W)


def test_the_callback_hears_of_each_epoch(rng):
    params, y, _ = draw_problem(rng, "shrink", n=20)
    heard = []
    found = fit(params, y, rng, lam=0.3, n_epochs=3, callback=lambda *report: heard.append(report))
    assert heard == list(enumerate(found.history, start=1))


def test_a_step_that_is_too_long_is_said_to_be(rng):
    params, y, _ = draw_problem(rng, "shrink", n=20)
    with pytest.raises(FloatingPointError, match="diverged"):
        fit(params, y, rng, lam=0.3, rate=1e200)


# what all share


@given(st.sampled_from(KINDS), generators())
def test_a_batch_is_its_rows_one_by_one(kind, rng):
    params, y, _ = draw_problem(rng, kind, n=2)
    for function in (free_energy, free_energy_grad_y):
        alone = np.concatenate([function(params, y[n : n + 1], 0.7, 0.3, tol=1e-10) for n in range(2)])
        np.testing.assert_allclose(function(params, y, 0.7, 0.3, tol=1e-10), alone, rtol=1e-6, atol=1e-7)
    weights = rng.normal(size=2)
    together = free_energy_grad_params(params, y, 0.7, 0.3, weights, tol=1e-10)
    alone = [free_energy_grad_params(params, y[[n]], 0.7, 0.3, weights[[n]], tol=1e-10) for n in range(2)]
    for a, b in zip(leaves(together), leaves(tree_map(lambda *parts: sum(parts), *alone)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


@EVERY_ENCODER
@pytest.mark.parametrize("alpha", [0.0, 0.7])
def test_single_precision_is_kept_and_nothing_handed_in_is_written_to(kind, alpha, rng):
    double = (*draw_problem(rng, kind), np.ones(5))
    for dtype in (np.float32, np.float64):
        params, y, z, weights = tree_map(lambda a, dtype=dtype: a.astype(dtype), double)
        for leaf in leaves((params, y, z, weights)):
            leaf.setflags(write=False)
        found, options = infer(params, y, alpha, 0.3), {"alpha": np.float64(alpha), "lam": 0.3}
        fitted = fit(params, y, rng, n_epochs=2, batch_size=3, **options)
        results = (
            found.z,
            found.energy,
            found.trace,
            infer(params, y, tol=1e-3, z0=z, **options).z,
            free_energy(params, y, **options),
            free_energy_grad_y(params, y, **options),
            *leaves(free_energy_grad_params(params, y, weights=weights, **options)),
            *leaves(fitted.params),
        )
        assert {array.dtype for array in results} == {np.dtype(dtype)}
        np.testing.assert_allclose(found.energy, free_energy(*double[:2], alpha, 0.3), rtol=1e-4)
        mixed = fit(params, y.astype(np.float64), rng, n_epochs=1, **options).params
        assert {leaf.dtype for leaf in leaves(mixed)} == {np.dtype(np.float64)}


@EVERY_ENCODER
def test_integers_become_double_precision(kind, rng):
    params, y, _ = draw_problem(rng, kind)
    whole, y = tree_map(lambda a: np.round(3 * a).astype(int), (params, y))
    exact = tree_map(lambda a: a.astype(float), whole)
    np.testing.assert_array_equal(infer(whole, y, 1, 1).z, infer(exact, y.astype(float), 1.0, 1.0).z)
    assert fit(whole, y, rng, lam=1).params.W.dtype == np.float64
    assert from_dictionary(whole.W, kind, 0.3).W.dtype == np.float64


def test_a_lista_of_one_step_has_nothing_to_pass_on(rng):
    params = from_dictionary(dictionary(rng, 4, 6), "lista", 0.3, 1)
    same = from_dictionary(params.W, "shrink", 0.3)
    y = rng.normal(size=(5, 4))
    np.testing.assert_allclose(infer(params, y, 1.0, 0.3).z, infer(same, y, 1.0, 0.3).z, atol=1e-12)
    assert fit(params, y, rng, lam=0.3).params.encoder.S.shape == (0, 6, 6)


GOOD = {
    "shrink": Params(np.eye(3, 4), AffineShrink(np.ones((4, 3)), np.ones(4), np.ones(4))),
    "tanh": Params(np.eye(3, 4), AffineTanh(np.ones((4, 3)), np.ones(4), np.ones(4))),
    "lista": Params(np.eye(3, 4), lista.Params(np.ones((2, 3, 4)), np.ones((1, 4, 4)), np.ones((2, 4)))),
}


def spoilt(kind, **fields):
    return {"params": GOOD[kind]._replace(encoder=GOOD[kind].encoder._replace(**fields))}


BAD = [
    ("params.W", ValueError, {"params": GOOD["shrink"]._replace(W=np.ones(3))}),
    ("params.W", ValueError, {"params": GOOD["shrink"]._replace(W=np.full((3, 4), np.nan))}),
    ("params.W", ValueError, {"params": GOOD["shrink"]._replace(W=np.ones((3, 0)))}),
    ("params.W", TypeError, {"params": GOOD["shrink"]._replace(W=None)}),
    ("params.encoder", TypeError, {"params": GOOD["shrink"]._replace(encoder=None)}),
    ("params.encoder", TypeError, {"params": GOOD["shrink"]._replace(encoder="lista")}),
    ("params.encoder", TypeError, {"params": GOOD["shrink"]._replace(encoder=tuple(GOOD["shrink"].encoder))}),
    ("params.encoder.A", ValueError, spoilt("shrink", A=np.ones((3, 4)))),
    ("params.encoder.A", ValueError, spoilt("tanh", A=np.full((4, 3), np.inf))),
    ("params.encoder.A", TypeError, spoilt("tanh", A="A")),
    ("params.encoder.b", ValueError, spoilt("shrink", b=np.ones(3))),
    ("params.encoder.b", TypeError, spoilt("shrink", b=None)),
    ("params.encoder.g", ValueError, spoilt("tanh", g=np.ones((4, 1)))),
    ("params.encoder.g", TypeError, spoilt("tanh", g=np.ones(4) * 1j)),
    ("params.encoder.theta", ValueError, spoilt("shrink", theta=np.array([1, 1, -1e-9, 1]))),
    ("params.encoder.theta", ValueError, spoilt("shrink", theta=np.ones(3))),
    ("params.encoder.theta", ValueError, spoilt("lista", theta=np.ones(4))),  # tied: for how many steps?
    ("params.encoder.theta", ValueError, spoilt("lista", theta=-np.ones((2, 4)))),
    ("params.encoder.theta", TypeError, spoilt("lista", theta=None)),
    ("params.encoder.W_e", ValueError, spoilt("lista", W_e=np.ones((3, 3, 4)))),
    ("params.encoder.W_e", ValueError, spoilt("lista", W_e=np.ones((3, 4)))),
    ("params.encoder.S", ValueError, spoilt("lista", S=np.ones((2, 4, 4)))),
    ("params.encoder.S", ValueError, spoilt("lista", S=np.full((1, 4, 4), np.nan))),
    (r"max\(1, sqrt\(alpha\)\) Enc\(y\)", ValueError, spoilt("shrink", A=np.full((4, 3), 1e200))),
    (r"max\(1, sqrt\(alpha\)\) Enc\(y\)", ValueError, spoilt("lista", W_e=np.full((2, 3, 4), 1e308))),
    (
        r"max\(1, sqrt\(alpha\)\) Enc\(y\)",  # the first step is beyond all numbers, the second a difference of such
        ValueError,
        spoilt("lista", W_e=np.full((2, 3, 4), 1e308), S=np.tile([1.0, -1, 1, -1], (1, 4, 1))),
    ),
    ("y", ValueError, {"y": np.ones((5, 2))}),
    ("y", ValueError, {"y": np.ones((0, 3))}),
    ("y", ValueError, {"y": np.full((5, 3), np.nan)}),
    ("y", TypeError, {"y": None}),
    ("y", TypeError, {"y": np.ones((5, 3)) * 1j}),
    ("alpha", ValueError, {"alpha": -1e-9}),
    ("alpha", ValueError, {"alpha": np.nan}),
    ("alpha", ValueError, {"alpha": np.inf}),
    ("alpha", ValueError, {"alpha": 1e300}),
    ("alpha", TypeError, {"alpha": None}),
    ("lam", ValueError, {"lam": 0.0}),
    ("lam", ValueError, {"lam": np.inf}),
    ("lam", TypeError, {"lam": "1"}),
    ("tol", ValueError, {"tol": 0}),
]


@pytest.mark.parametrize(("name", "error", "arguments"), BAD)
@pytest.mark.parametrize(
    "function",
    [
        infer,
        free_energy,
        free_energy_grad_y,
        lambda params, y, **rest: free_energy_grad_params(params, y, weights=np.ones(5), **rest),
        lambda params, y, **rest: fit(params, y, np.random.default_rng(0), **rest),
    ],
)
def test_a_bad_argument_is_refused_by_name(function, name, error, arguments):
    good = {"params": GOOD["shrink"], "y": np.ones((5, 3)), "alpha": 1.0, "lam": 1.0}
    with pytest.raises(error, match=rf"^{name}: expected"):
        function(**{**good, **arguments})


@pytest.mark.parametrize(("size", "alpha"), [(1e200, 0.0), (1e300, 1e-9), (1e100, 1e150)])
def test_no_guess_may_be_too_large_to_be_squared_with_its_weight(size, alpha):
    params = GOOD["shrink"]._replace(encoder=tree_map(lambda a: size * a, GOOD["shrink"].encoder))
    with pytest.raises(ValueError, match=r"^max\(1, sqrt\(alpha\)\) Enc\(y\): expected numbers up to"):
        infer(params, np.ones((5, 3)), alpha, 1.0)


def test_a_guess_that_can_just_be_squared_is_welcome_where_it_does_not_draw():
    says_so = AffineTanh(np.zeros((4, 3)), np.full(4, 40.0), np.full(4, 1.3e151))  # tanh(40) rounds to 1
    assert infer(Params(np.eye(3, 4), says_so), np.ones((5, 3)), 0.0, 1.0).converged.all()
    with pytest.raises(ValueError, match=r"^max\(1, sqrt\(alpha\)\) Enc\(y\): expected numbers up to 1.34e\+151"):
        infer(Params(np.eye(3, 4), says_so._replace(g=np.full(4, 1.4e151))), np.ones((5, 3)), 0.0, 1.0)


def test_alpha_must_fit_into_single_precision_too():
    params, y = tree_map(lambda a: a.astype(np.float32), (GOOD["tanh"], np.ones((5, 3))))
    with pytest.raises(ValueError, match=r"^alpha: expected"):
        infer(params, y, 1e60, 1.0)


@pytest.mark.parametrize(
    ("name", "error", "call"),
    [
        ("method", ValueError, lambda p, y: infer(p, y, 1.0, 1.0, "newton")),
        ("z0", ValueError, lambda p, y: infer(p, y, 1.0, 1.0, z0=np.ones((5, 3)))),
        ("max_iter", ValueError, lambda p, y: infer(p, y, 1.0, 1.0, max_iter=0)),
        ("rng", TypeError, lambda p, y: fit(p, y, None, lam=1.0)),
        ("n_epochs", ValueError, lambda p, y: fit(p, y, np.random.default_rng(0), lam=1.0, n_epochs=0)),
        ("batch_size", TypeError, lambda p, y: fit(p, y, np.random.default_rng(0), lam=1.0, batch_size=2.0)),
        ("rate", ValueError, lambda p, y: fit(p, y, np.random.default_rng(0), lam=1.0, rate=0.0)),
        ("encoder", ValueError, lambda p, y: from_dictionary(p.W, "relu", 1.0)),
        ("encoder", ValueError, lambda p, y: init(np.random.default_rng(0), 3, 4, None, 1.0)),
        ("W", ValueError, lambda p, y: from_dictionary(np.ones(3), "tanh", 1.0)),
        ("W", ValueError, lambda p, y: from_dictionary(np.zeros((3, 4)), "tanh", 1.0)),
        ("lam", ValueError, lambda p, y: from_dictionary(p.W, "tanh", 0.0)),
        ("n_steps", ValueError, lambda p, y: from_dictionary(p.W, "lista", 1.0, 0)),
        ("n_steps", ValueError, lambda p, y: from_dictionary(p.W, "shrink", 1.0, 0)),
        ("lam", ValueError, lambda p, y: from_dictionary(p.W, "tanh", 1e-200)),
        ("callback", TypeError, lambda p, y: fit(p, y, np.random.default_rng(0), lam=1.0, callback=1)),
        ("rng", TypeError, lambda p, y: init(0, 3, 4, "tanh", 1.0)),
        ("d", ValueError, lambda p, y: init(np.random.default_rng(0), 0, 4, "tanh", 1.0)),
        ("dtype", TypeError, lambda p, y: init(np.random.default_rng(0), 3, 4, "tanh", 1.0, dtype=int)),
    ],
)
def test_the_other_doors_refuse_by_name_too(name, error, call):
    with pytest.raises(error, match=rf"^{name}: expected"):
        call(GOOD["shrink"], np.ones((5, 3)))


@pytest.mark.parametrize(
    ("error", "changes"),
    [
        (TypeError("params: expected predictive.Params, got tuple"), {"params": tuple(GOOD["shrink"])}),
        (
            ValueError("params.W: expected shape (d, k), got shape (3,)"),
            {"params": GOOD["tanh"]._replace(W=np.ones(3))},
        ),
        (
            TypeError(f"params.encoder: expected {predictive.Encoder}, got str"),
            {"params": GOOD["shrink"]._replace(encoder="lista")},
        ),
        (
            ValueError("params.encoder.theta: expected shape (K, 4), got shape (4,)"),
            spoilt("lista", theta=np.ones(4)),
        ),
        (
            ValueError("params.encoder.theta: expected thresholds >= 0, got -0.125"),
            spoilt("shrink", theta=np.array([1, 2, -0.125, 1])),
        ),
        (ValueError("y: expected shape (N, 3), got shape (3,)"), {"y": np.ones(3)}),
    ],
)
def test_the_message_says_what_was_expected_and_what_came(error, changes):
    with pytest.raises(type(error), match=f"^{re.escape(str(error))}$"):
        infer(**{"params": GOOD["shrink"], "y": np.ones((5, 3)), "alpha": 1.0, "lam": 1.0} | changes)


def test_every_encoder_is_known_to_the_door():
    assert {type(params.encoder) for params in GOOD.values()} == set(predictive.Encoder.__args__)
