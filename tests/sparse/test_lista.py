import re
from itertools import islice

import numpy as np
import pytest
from guards import peak, read_only
from hypothesis import assume, given
from hypothesis import strategies as st
from sparse.problems import by_all_signs, dictionary, problems, total
from strategies import SIZES, generators

from ebm_np.foundations.gradient_check import gradient_check
from ebm_np.foundations.optimizers import adam
from ebm_np.foundations.parameters import leaves, tree_map
from ebm_np.foundations.results import Fit
from ebm_np.sparse import sparse_coding, textbook
from ebm_np.sparse.lista import (
    BLOCK,
    Energy,
    Params,
    fit,
    forward,
    from_dictionary,
    ista_step,
    loss,
    loss_grad_params,
    loss_grad_y,
    unroll,
    untie,
    vjp_params,
    vjp_y,
)

STEPS = st.integers(1, 10)
EITHER = pytest.mark.parametrize("untied", [False, True], ids=["tied", "untied"])
EITHER_GOAL = pytest.mark.parametrize("goal", ["codes", "energy"])
solvable = problems(largest_k=6).filter(lambda problem: problem.W.any())


def draw_weights(rng, n_steps, untied, d, k):
    """Weights far from the analytic ones, of a size with which codes neither die out nor explode."""
    each, between = ((n_steps,), (n_steps - 1,)) if untied else ((), ())
    return Params(
        rng.normal(size=(*each, d, k)) / np.sqrt(d),
        rng.normal(size=(*between, k, k)) / np.sqrt(k),
        rng.uniform(0.01, 0.3, size=(*each, k)),
    )


def draw_network(rng, n_steps, untied=False, goal="codes", d=4, k=6, n=3):
    """Weights, observations, and what to train for."""
    params, y = draw_weights(rng, n_steps, untied, d, k), 2 * rng.normal(size=(n, d))
    z_target = rng.normal(size=(n, k))
    return params, y, z_target if goal == "codes" else Energy(dictionary(rng, d, k), 10.0 ** rng.uniform(-2, 1))


def by_loops(params, y, n_steps):
    """z(1), ..., z(K) of one sample, equation (1) number by number; and how far the nearest kink is."""
    untied, path, margin = params.theta.ndim == 2, [], np.inf
    k = params.theta.shape[-1]
    for t in range(n_steps):
        W_e, theta = (params.W_e[t], params.theta[t]) if untied else (params.W_e, params.theta)
        u = [sum(W_e[i, j] * y[i] for i in range(len(y))) for j in range(k)]
        if t:
            S = params.S[t - 1] if untied else params.S
            u = [u[j] + sum(S[j, i] * path[-1][i] for i in range(k)) for j in range(k)]
        path.append([np.sign(u[j]) * max(abs(u[j]) - theta[j], 0) for j in range(k)])
        margin = min(margin, *(abs(abs(u[j]) - theta[j]) for j in range(k)))
    return np.array(path), margin


def away_from_kinks(params, y, n_steps, least=1e-4):
    return all(by_loops(params, y_n, n_steps)[1] > least for y_n in y)


def analytic_loss(params, y, z_target, n_steps):
    """`loss`, with an energy that takes complex codes: |z| is z times its sign."""
    if not isinstance(z_target, Energy):
        return loss(params, y, z_target, n_steps)
    z = forward(params, y, n_steps)
    error = ((y - z @ z_target.W.T) ** 2).sum(axis=1)
    return (error + z_target.lam * (z * np.sign(z.real)).sum(axis=1)).mean()


def sparse_data(rng, n=400, d=10, k=20, lam=0.3):
    """Unit atoms, sums of three of them, and the solver's codes."""
    W = sparse_coding.init(rng, d, k).W
    on = rng.random((n, k)).argsort(axis=1) < 3
    y = (on * rng.normal(size=(n, k))) @ W.T
    return W, y, lam, sparse_coding.infer(sparse_coding.Params(W), y, lam, "active_set", tol=1e-10).z


def goals(W, lam, z):
    return {"codes": z, "energy": Energy(W, lam)}


def rows(z_target, which):
    return z_target if isinstance(z_target, Energy) else z_target[which]


def single(tree):
    return tree_map(lambda a: np.asarray(a, np.float32) if np.ndim(a) else a, tree)


def assert_same(one, other, **tolerance):
    for a, b in zip(leaves(one), leaves(other), strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


# the network


@given(solvable, st.integers(1, 30))
def test_the_untrained_network_is_ista_iterate_by_iterate(problem, n_steps):
    W, y, lam = problem
    params, step = from_dictionary(W, lam), 2 / textbook.lipschitz(W)
    network = list(unroll(params, y, n_steps))
    assert len(network) == n_steps
    ista = islice(textbook.ista(W, y, lam, np.zeros((len(y), W.shape[1]))), n_steps)
    rounding = np.zeros(len(y))  # a step moves no two codes apart, so that what each has rounded adds up
    for found, expected in zip(network, ista, strict=True):
        moved = np.abs(expected) + step * (np.abs(y) + np.abs(expected) @ np.abs(W.T)) @ np.abs(W)
        rounding += 1e-14 * np.linalg.norm(moved, axis=1)
        assert (np.linalg.norm(found - expected, axis=1) <= rounding).all()
    np.testing.assert_array_equal(forward(params, y, n_steps), network[-1])


@given(solvable)
def test_the_analytic_weights_are_equation_2(problem):
    W, _, lam = problem
    L = 2 * np.linalg.svd(W, compute_uv=False)[0] ** 2
    d, k = W.shape
    W_e, S, theta = from_dictionary(W, lam)
    gram = [[sum(W[n, i] * W[n, j] for n in range(d)) for j in range(k)] for i in range(k)]
    np.testing.assert_allclose(W_e, 2 * W / L, rtol=1e-12)
    np.testing.assert_allclose(S, np.eye(k) - 2 * np.array(gram) / L, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(theta, [lam / L] * k, rtol=1e-12)


@given(generators(), SIZES, st.integers(0, 4), st.floats(-2, 0.1), st.integers(1, 30))
def test_erratum_7_on_orthogonal_atoms_what_is_found_stays_and_the_rest_follows_geometrically(
    rng, k, extra, exponent, n_steps
):
    # z_i(K) = (1 - r_i^K) z*_i, r_i = S_ii = 1 - ||w_i||^2 / max ||w||^2; the note's - S z would go to (1 - r_i) / (1 +
    # r_i) z*_i. Erratum 6: z*_i = sh_{lam / 2}(w_i^T y) / ||w_i||^2; without the factor 2 the threshold would be lam
    Q = np.linalg.qr(rng.normal(size=(k + extra, k + extra)))[0][:, :k]
    W, y = Q * 10.0 ** rng.uniform(-1, 0.5, size=k), rng.normal(size=(3, k + extra))
    lam = 2 * np.abs(y @ W).max() * 10.0**exponent
    square = (W**2).sum(axis=0)
    best = np.sign(y @ W) * np.maximum(np.abs(y @ W) - lam / 2, 0) / square
    expected = (1 - (1 - square / square.max()) ** n_steps) * best
    found = forward(from_dictionary(W, lam), y, n_steps)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12 * np.abs(y @ W / square).max())
    np.testing.assert_allclose(total(W, y, best, lam), by_all_signs(W, y, lam)[0], rtol=1e-12)


@given(generators(), SIZES, st.integers(0, 4), st.floats(-2, 0.1))
def test_at_orthonormal_atoms_one_step_gives_the_exact_code(rng, k, extra, exponent):
    W = np.linalg.qr(rng.normal(size=(k + extra, k + extra)))[0][:, :k]
    y = rng.normal(size=(3, k + extra))
    lam = 2 * np.abs(y @ W).max() * 10.0**exponent
    params, best = from_dictionary(W, lam), np.sign(y @ W) * np.maximum(np.abs(y @ W) - lam / 2, 0)
    np.testing.assert_allclose(forward(params, y, 1), best, atol=1e-12 * np.abs(y).max())
    F, _ = by_all_signs(W, y, lam)
    assert loss(params, y, Energy(W, lam), 1) == pytest.approx(F.mean(), rel=1e-12)


@given(solvable, st.integers(1, 60))
def test_the_energy_of_the_untrained_network_falls_to_the_free_energy_within_istas_bound(problem, n_steps):
    W, y, lam = problem
    F, best = by_all_signs(W, y, lam)
    bound = textbook.lipschitz(W) * (best**2).sum(axis=1) / (2 * n_steps)
    excess = loss(from_dictionary(W, lam), y, Energy(W, lam), n_steps) - F.mean()
    assert -1e-12 * F.mean() <= excess <= bound.mean() + 1e-12 * (y**2).sum()


def test_with_many_steps_the_energy_is_the_free_energy_of_sparse_coding(rng):
    W, y, lam, z = sparse_data(rng, n=50, d=20, k=15)
    F = sparse_coding.free_energy(sparse_coding.Params(W), y, lam, method="active_set", tol=1e-11).mean()
    params = from_dictionary(W, lam)
    assert loss(params, y, Energy(W, lam), 5000) == pytest.approx(F, rel=1e-9)
    assert loss(params, y, z, 5000) < 1e-8 * (z**2).sum(axis=1).mean()


@EITHER
@given(rng=generators(), n_steps=STEPS, d=SIZES, k=SIZES, n=st.integers(1, 3))
def test_each_step_is_equation_1_number_by_number(untied, rng, n_steps, d, k, n):
    params, y, _ = draw_network(rng, n_steps, untied, d=d, k=k, n=n)
    found = np.array(list(unroll(params, y, n_steps)))
    expected = np.array([by_loops(params, y_n, n_steps)[0] for y_n in y]).swapaxes(0, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)
    np.testing.assert_array_equal(forward(params, y, n_steps), found[-1])


@EITHER
@given(rng=generators(), d=SIZES, k=SIZES)
def test_one_step_shrinks_what_the_encoder_says_whatever_s_is(untied, rng, d, k):
    params, y, _ = draw_network(rng, 1, untied, d=d, k=k)
    W_e, theta = params.W_e.reshape(d, k), params.theta.reshape(k)
    expected = np.sign(y @ W_e) * np.maximum(np.abs(y @ W_e) - theta, 0)
    np.testing.assert_allclose(forward(params, y, 1), expected, rtol=1e-12, atol=1e-14)
    if not untied:
        spoiled = params._replace(S=np.full((k, k), 1e100))
        np.testing.assert_array_equal(forward(spoiled, y, 1), forward(params, y, 1))


@EITHER
@given(rng=generators(), n_steps=STEPS, exponent=st.integers(-300, 300))
def test_in_another_unit_of_observations_and_thresholds_the_codes_are_the_same(untied, rng, n_steps, exponent):
    params, y, _ = draw_network(rng, n_steps, untied)
    unit = 2.0**exponent  # exactly: multiplying by it rounds nothing
    found = forward(params._replace(theta=unit * params.theta), unit * y, n_steps)
    np.testing.assert_array_equal(found / unit, forward(params, y, n_steps))
    np.testing.assert_array_equal(forward(params, -y, n_steps), -forward(params, y, n_steps))


@given(generators(), STEPS)
def test_in_another_unit_of_the_dictionary_the_codes_have_its_inverse(rng, n_steps):
    W, y = dictionary(rng, 4, 6), rng.normal(size=(3, 4))
    z = forward(from_dictionary(W, 0.3), y, n_steps)
    for unit in (2.0**-200, 2.0**200):
        np.testing.assert_allclose(unit * forward(from_dictionary(unit * W, unit * 0.3), y, n_steps), z, rtol=1e-9)


# losses


@EITHER
@given(rng=generators(), n_steps=STEPS, n=st.integers(1, 5))
def test_losses_are_means_over_samples_of_equations_3_and_4(untied, rng, n_steps, n):
    params, y, z_target = draw_network(rng, n_steps, untied, n=n)
    z = forward(params, y, n_steps)
    errors = [sum((a - b) ** 2 for a, b in zip(z[i], z_target[i], strict=True)) for i in range(n)]
    assert loss(params, y, z_target, n_steps) == pytest.approx(sum(errors) / n, rel=1e-12)
    W = dictionary(rng, 4, 6)
    assert loss(params, y, Energy(W, 0.7), n_steps) == pytest.approx(total(W, y, z, 0.7).sum() / n, rel=1e-12)


@EITHER
@given(rng=generators(), n_steps=STEPS)
def test_the_complex_safe_loss_of_these_tests_is_the_librarys_on_real_numbers(untied, rng, n_steps):
    params, y, goal = draw_network(rng, n_steps, untied, "energy")
    assert analytic_loss(params, y, goal, n_steps) == pytest.approx(loss(params, y, goal, n_steps), rel=1e-13)


@EITHER
@given(rng=generators(), n_steps=STEPS)
def test_where_the_network_gives_the_targets_loss_and_gradients_vanish(untied, rng, n_steps):
    params, y, _ = draw_network(rng, n_steps, untied)
    z = forward(params, y, n_steps)
    assert loss(params, y, z, n_steps) == 0
    gradients = (loss_grad_params(params, y, z, n_steps), loss_grad_y(params, y, z, n_steps))
    assert not any(np.any(leaf) for leaf in leaves(gradients))


@EITHER
@pytest.mark.parametrize("threshold", [1e3, 1e100])
@given(rng=generators(), n_steps=STEPS)
def test_under_huge_thresholds_all_codes_are_zero_and_nothing_can_be_learned(untied, threshold, rng, n_steps):
    params, y, z_target = draw_network(rng, n_steps, untied)
    params = params._replace(theta=np.full_like(params.theta, threshold))
    np.testing.assert_array_equal(forward(params, y, n_steps), 0)
    assert loss(params, y, z_target, n_steps) == pytest.approx((z_target**2).sum() / 3, rel=1e-13)
    goal = Energy(dictionary(rng, 4, 6), 0.3)
    assert loss(params, y, goal, n_steps) == pytest.approx((y**2).sum() / 3, rel=1e-13)
    for target in (z_target, goal):
        assert not any(np.any(leaf) for leaf in leaves(loss_grad_params(params, y, target, n_steps)))
    np.testing.assert_array_equal(loss_grad_y(params, y, z_target, n_steps), 0)
    np.testing.assert_allclose(loss_grad_y(params, y, goal, n_steps), 2 * y / 3, rtol=1e-13)  # an energy sees y itself


# gradients


@EITHER
@EITHER_GOAL
@pytest.mark.parametrize("part", [*Params._fields, "y"])
@given(rng=generators(), n_steps=STEPS, d=SIZES, k=SIZES)
def test_the_gradient_through_time_is_the_complex_step_of_the_loss(untied, goal, part, rng, n_steps, d, k):
    params, y, z_target = draw_network(rng, n_steps, untied, goal, d, k, n=2)
    assume(away_from_kinks(params, y, n_steps))
    if part == "y":
        claimed = loss_grad_y(params, y, z_target, n_steps)
        check = gradient_check(lambda y: analytic_loss(params, y, z_target, n_steps), claimed, y, directions=3, rng=rng)
    else:
        claimed, at = (getattr(p, part) for p in (loss_grad_params(params, y, z_target, n_steps), params))
        assume(at.size)  # S between the steps of a single one

        def f(a):
            return analytic_loss(params._replace(**{part: a}), y, z_target, n_steps)

        check = gradient_check(f, claimed, at, directions=3, rng=rng)
    assert check.passed, check


@EITHER
@EITHER_GOAL
@pytest.mark.parametrize("n_steps", range(1, 11))
def test_so_is_each_of_its_components(untied, goal, n_steps):
    rng = np.random.default_rng(n_steps)
    network = draw_network(rng, n_steps, untied, goal, d=2, k=3, n=2)
    while not (away_from_kinks(*network[:2], n_steps) and forward(*network[:2], n_steps).any(axis=0).all()):
        network = draw_network(rng, n_steps, untied, goal, d=2, k=3, n=2)
    params, y, z_target = network
    claimed = loss_grad_params(params, y, z_target, n_steps)
    assert type(claimed) is Params
    assert [a.shape for a in claimed] == [a.shape for a in params]
    for part in Params._fields:
        at, gradient = getattr(params, part), getattr(claimed, part)
        if at.size:
            check = gradient_check(
                lambda a, part=part: analytic_loss(params._replace(**{part: a}), y, z_target, n_steps), gradient, at
            )
            assert check.passed, f"{part}: {check}"
            assert gradient.any() or (part == "S" and n_steps == 1)
    check = gradient_check(
        lambda y: analytic_loss(params, y, z_target, n_steps), loss_grad_y(params, y, z_target, n_steps), y
    )
    assert check.passed, check


@EITHER
@given(rng=generators(), n_steps=STEPS)
def test_what_comes_back_through_time_is_returned_or_added_to_what_is_there(untied, rng, n_steps):
    params, y, z_target = draw_network(rng, n_steps, untied)
    z = unroll(params, y, n_steps)
    grad, expected = 2 * (z[-1] - z_target) / len(y), loss_grad_params(params, y, z_target, n_steps)
    alone = vjp_params(params, y, z, grad)
    assert_same(alone, expected, rtol=1e-12, atol=1e-14)
    added = vjp_params(params, y, z, grad, tree_map(np.ones_like, params))
    assert_same(added, tree_map(lambda a: 1 + a, alone), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        vjp_y(params, z, grad), loss_grad_y(params, y, z_target, n_steps), rtol=1e-12, atol=1e-14
    )


@EITHER
@given(rng=generators(), n_steps=STEPS)
def test_the_gradient_with_respect_to_the_targets_is_twice_their_distance(untied, rng, n_steps):
    params, y, z_target = draw_network(rng, n_steps, untied)
    claimed = 2 * (z_target - forward(params, y, n_steps)) / len(y)
    check = gradient_check(lambda z: loss(params, y, z, n_steps), claimed, z_target)
    assert check.passed, check


def test_at_a_kink_the_derivative_is_the_one_from_below():
    params, y = Params(np.eye(2), np.eye(2), np.array([3.0, 1.0])), np.array([[3.0, -1.0]])
    for n_steps in (1, 3):
        for z_target in (np.ones((1, 2)), Energy(np.ones((2, 2)), 1.0)):
            assert not any(np.any(leaf) for leaf in leaves(loss_grad_params(params, y, z_target, n_steps)))
    np.testing.assert_array_equal(loss_grad_y(params, y, np.ones((1, 2)), 2), 0)


@EITHER_GOAL
@given(rng=generators(), n_steps=STEPS)
def test_untied_it_is_the_same_network_and_shared_weights_receive_what_all_steps_do(goal, rng, n_steps):
    params, y, z_target = draw_network(rng, n_steps, goal=goal)
    each = untie(params, n_steps)
    assert type(each) is Params
    assert [a.shape for a in each] == [(n_steps, 4, 6), (n_steps - 1, 6, 6), (n_steps, 6)]
    assert_same(list(unroll(each, y, n_steps)), list(unroll(params, y, n_steps)), rtol=1e-12, atol=1e-14)
    shared, apart = (loss_grad_params(p, y, z_target, n_steps) for p in (params, each))
    scale = max(np.abs(leaf).max(initial=0) for leaf in leaves(apart))
    assert_same(shared, tree_map(lambda a: a.sum(axis=0), apart), rtol=1e-11, atol=1e-12 * scale)
    found, expected = (loss_grad_y(p, y, z_target, n_steps) for p in (each, params))
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12 * scale)


def test_untied_weights_are_copies_of_their_own(rng):
    params, _, _ = draw_network(rng, 3)
    each = untie(params, 3)
    for a, b in zip(each, params, strict=True):
        a[0] += 1
        assert not np.shares_memory(a, b)
        np.testing.assert_array_equal(a[1], b)


# samples: blocks, batches, memory


@EITHER
@EITHER_GOAL
@pytest.mark.parametrize("n", [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1])
def test_loss_and_gradients_of_many_samples_are_those_of_each_added_up(untied, goal, n):
    params, y, z_target = draw_network(np.random.default_rng(n), 3, untied, goal, n=n)
    singles = [(y[[i]], rows(z_target, [i])) for i in range(n)]
    mean = sum(loss(params, *one, 3) for one in singles) / n
    assert loss(params, y, z_target, 3) == pytest.approx(mean, rel=1e-12)
    added = tree_map(lambda *grads: sum(grads) / n, *(loss_grad_params(params, *one, 3) for one in singles))
    assert_same(loss_grad_params(params, y, z_target, 3), added, rtol=1e-9, atol=1e-12)
    each = np.concatenate([loss_grad_y(params, *one, 3) for one in singles]) / n
    np.testing.assert_allclose(loss_grad_y(params, y, z_target, 3), each, rtol=1e-9, atol=1e-13)
    options = {"n_steps": 3, "n_epochs": 1, "batch_size": None, "held_out": 1e-9}  # all but the last sample at once
    history = fit(params, y, z_target, np.random.default_rng(0), **options).history
    assert history[0] == pytest.approx(loss(params, y[:-1], rows(z_target, slice(n - 1)), 3), rel=1e-12)


@EITHER
@given(rng=generators(), n_steps=STEPS, n=st.integers(1, 6))
def test_a_batch_is_its_rows_one_by_one(untied, rng, n_steps, n):
    params, y, _ = draw_network(rng, n_steps, untied, n=n)
    alone = np.concatenate([forward(params, y[[i]], n_steps) for i in range(n)])
    np.testing.assert_allclose(forward(params, y, n_steps), alone, rtol=1e-10, atol=1e-12)


LAYOUTS = {
    "Fortran": np.asfortranarray,
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "reversed": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "read-only": lambda a: read_only(a),
    "list": lambda a: a.tolist(),
}


@EITHER
@EITHER_GOAL
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_the_layout_in_memory_does_not_matter(untied, goal, layout, rng):
    plain = draw_network(rng, 3, untied, goal, n=5)
    other = tree_map(lambda a: layout(a) if np.ndim(a) else a, plain)
    for function in (loss, loss_grad_params, loss_grad_y):
        assert_same(function(*other, 3), function(*plain, 3), rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(forward(*other[:2], 3), forward(*plain[:2], 3), rtol=1e-10, atol=1e-13)
    one, same = (fit(*network, np.random.default_rng(0), n_steps=3, n_epochs=2) for network in (plain, other))
    assert_same(one, same, rtol=1e-9, atol=1e-12)


def test_whole_numbers_are_numbers():
    whole = Params(np.array([[1, 0, 2], [0, 1, -1]]), np.eye(3, dtype=int), np.array([0, 1, 1]))
    y, z_target = np.array([[1, 2], [3, -4]]), np.ones((2, 3), int)
    floating = tree_map(lambda a: a.astype(float), whole)
    np.testing.assert_array_equal(forward(whole, y, 2), [[2, 2, 0], [6, -6, 18]])
    found = loss_grad_params(whole, y, z_target, 2)
    assert {a.dtype for a in found} == {np.dtype(float)}
    assert_same(found, loss_grad_params(floating, y.astype(float), z_target, 2), rtol=0)


@EITHER
@EITHER_GOAL
def test_single_precision_is_kept_and_double_otherwise(untied, goal, rng):
    W, y, lam, z = sparse_data(rng, n=60)
    z_target = goals(W, lam, z)[goal]
    options = {"n_steps": 3, "rate": 3e-4, "n_epochs": 2, "batch_size": 7, "held_out": 0.5}
    for params, data, dtype in (
        (from_dictionary(W, lam), (y, z_target), np.float64),
        (from_dictionary(single(W), lam), single((y, z_target)), np.float32),
    ):
        start = untie(params, 3) if untied else params
        found = fit(start, *data, np.random.default_rng(0), **options)
        assert found.held_out.argmin() > 0  # what is returned has been trained
        results = (
            start,
            found.params,
            forward(start, data[0], 3),
            loss_grad_params(start, *data, 3),
            loss_grad_y(start, *data, 3),
        )
        assert {leaf.dtype for leaf in leaves(results)} == {np.dtype(dtype)}


def test_single_precision_says_the_same_to_its_digits(rng):
    params, y, z_target = draw_network(rng, 4, n=300)
    less = single((params, y, z_target))
    for function in (loss, loss_grad_params, loss_grad_y):
        found, expected = function(*less, 4), function(params, y, z_target, 4)
        scale = max(np.abs(leaf).max() for leaf in leaves(expected))
        assert_same(found, expected, rtol=0, atol=1e-4 * scale)


@EITHER_GOAL
def test_memory_grows_by_one_block_of_codes_a_step_and_not_with_the_samples(goal, rng):
    k = 40
    params, y, z_target = draw_network(rng, 1, goal=goal, d=10, k=k, n=4 * BLOCK)
    params = params._replace(S=0.1 * params.S)
    array = BLOCK * k * 8
    peaks = [peak(loss_grad_params, params, y, z_target, n_steps) for n_steps in (10, 20, 40)]
    np.testing.assert_allclose(np.diff(peaks), [10 * array, 20 * array], rtol=0.02)
    assert peaks[0] < 20 * array
    few = peak(loss_grad_params, params, y[:BLOCK], rows(z_target, slice(BLOCK)), 40)
    assert peaks[2] == pytest.approx(few, rel=0.02)


def test_forward_over_several_blocks_is_each_sample_alone(rng):
    params, y, _ = draw_network(rng, 3, n=2 * BLOCK + 1)
    found = forward(params, y, 3)
    assert found.shape == (2 * BLOCK + 1, params.S.shape[0])
    for n in (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK):
        np.testing.assert_allclose(found[n], forward(params, y[n : n + 1], 3)[0], rtol=1e-10, atol=1e-12)


def test_forward_keeps_the_steps_of_one_block_only(rng):
    params, y, _ = draw_network(rng, 1, d=5, k=100, n=4 * BLOCK)
    params, array = params._replace(S=0.1 * params.S), BLOCK * 100 * 8
    for n_steps in (3, 30):
        assert peak(forward, params, y, n_steps) < (n_steps + 2 * 4 + 3) * array  # the answer, and once more its parts


# training


def trained_by_hand(params, y, z_target, rng, *, n_steps, rate, n_epochs, batch_size, held_out, patience):
    """What `fit` says it does: Adam on shuffled mini-batches of all but the last samples, theta >= 0, the best kept."""
    n = len(y) - max(1, round(held_out * len(y)))
    optimizer, history = adam(rate), []
    state = optimizer.init(params)
    best, kept = params, [loss(params, y[n:], rows(z_target, slice(n, None)), n_steps)]
    for _ in range(n_epochs):
        order, losses = rng.permutation(n), []
        for start in range(0, n, batch_size or n):
            batch = order[start : start + (batch_size or n)]
            losses += [loss(params, y[batch], rows(z_target, batch), n_steps)] * len(batch)
            grads = loss_grad_params(params, y[batch], rows(z_target, batch), n_steps)
            params, state = optimizer.step(params, grads, state)
            params = Params(params.W_e, params.S, np.where(params.theta < 0, 0, params.theta))
        history.append(np.mean(losses))
        kept.append(loss(params, y[n:], rows(z_target, slice(n, None)), n_steps))
        if kept[-1] < min(kept[:-1]):
            best = params
        if len(kept) - 1 - np.argmin(kept) == patience:
            break
    return Fit(best, np.array(history), np.array(kept))


@EITHER
@EITHER_GOAL
@given(
    seed=st.integers(0, 2**32 - 1),
    n_steps=st.integers(1, 4),
    n=st.integers(2, 30),
    batch_size=st.sampled_from([None, 1, 7, 100]),
    held_out=st.floats(0.01, 0.6),
    rate=st.floats(-4, -0.5).map(lambda e: 10.0**e),
    patience=st.integers(1, 4),
)
def test_fit_is_adam_on_mini_batches_with_thresholds_clipped_and_the_best_by_the_samples_held_out(
    untied, goal, seed, n_steps, n, batch_size, held_out, rate, patience
):
    params, y, z_target = read_only(draw_network(np.random.default_rng(seed), n_steps, untied, goal, n=n))
    z_target = z_target if goal == "codes" else z_target._replace(lam=float(z_target.lam))
    assume(n - max(1, round(held_out * n)) >= 1)
    options = {"n_steps": n_steps, "rate": rate, "n_epochs": 6, "batch_size": batch_size}
    options |= {"held_out": held_out, "patience": patience}
    expected = trained_by_hand(params, y, z_target, np.random.default_rng(seed), **options)
    found = fit(params, y, z_target, np.random.default_rng(seed), **options)
    assert type(found) is Fit
    assert type(found.params) is Params
    assert [a.shape for a in leaves(found)] == [a.shape for a in leaves(expected)]
    assert_same(found, expected, rtol=1e-6, atol=1e-8)


def test_training_has_a_hundred_epochs_of_250_samples_a_batch_unless_told_otherwise(rng):
    params, y, z_target = draw_network(rng, 1, d=2, k=2, n=335)
    told = {"rate": 1e-3, "batch_size": 250, "held_out": 0.1, "n_epochs": 6, "patience": 5}
    options = {"n_steps": 1, "n_epochs": 6}
    found, expected = (fit(params, y, z_target, np.random.default_rng(0), **options | more) for more in ({}, told))
    assert_same(found, expected, rtol=0)
    assert len(fit(params, y[:9], z_target[:9], rng, n_steps=1, rate=1e-9, patience=1000).history) == 100


@EITHER
@EITHER_GOAL
def test_training_is_decided_by_the_seed_and_reports_each_epoch(untied, goal, rng):
    W, y, lam, z = sparse_data(rng, n=60)
    start, z_target = from_dictionary(W, lam), goals(W, lam, z)[goal]
    start, seen = untie(start, 3) if untied else start, []
    options = {"n_steps": 3, "n_epochs": 4, "batch_size": 10, "callback": lambda *now: seen.append(now)}
    one, same, other = (fit(start, y, z_target, np.random.default_rng(seed), **options) for seed in (3, 3, 4))
    for a, b in zip(leaves(one), leaves(same), strict=True):
        np.testing.assert_array_equal(a, b)
    assert seen == [(i + 1, loss) for run in (one, same, other) for i, loss in enumerate(run.history)]
    assert not np.array_equal(one.history, other.history)


@EITHER
@EITHER_GOAL
@given(seed=st.integers(0, 2**32 - 1), exponent=st.floats(-6, 308), patience=st.integers(1, 3))
def test_never_worse_than_its_start_on_the_samples_held_out_however_absurd_the_rate(
    untied, goal, seed, exponent, patience
):
    params, y, z_target = draw_network(np.random.default_rng(seed), 3, untied, goal, n=20)
    try:
        with np.errstate(all="ignore"):  # the error, if there is one, is what counts
            rng, options = np.random.default_rng(seed), {"n_steps": 3, "n_epochs": 3, "batch_size": 5}
            found = fit(params, y, z_target, rng, rate=10.0**exponent, patience=patience, **options)
    except FloatingPointError as error:
        assert str(error).startswith("training diverged")  # noqa: PT017 - it may, and it need not
        assert exponent > 0
        return
    before, after = (loss(p, y[18:], rows(z_target, slice(18, None)), 3) for p in (params, found.params))
    assert after <= before
    np.testing.assert_allclose([found.held_out[0], found.held_out.min()], [before, after], rtol=1e-12)
    assert (found.params.theta >= 0).all()
    assert len(found.held_out) == len(found.history) + 1


@pytest.mark.parametrize("patience", [1, 3])
def test_training_stops_early_and_returns_the_best(patience, rng):
    W, y, lam, z = sparse_data(rng, n=60)  # so few that what is learned soon holds for them alone
    options = {"n_steps": 3, "rate": 3e-4, "n_epochs": 2000, "batch_size": None, "held_out": 0.5, "patience": patience}
    found = fit(from_dictionary(W, lam), y, z, rng, **options)
    assert 1 < len(found.history) < 2000
    best = int(found.held_out.argmin())
    assert best == len(found.held_out) - 1 - patience > 0
    assert loss(found.params, y[30:], z[30:], 3) == pytest.approx(found.held_out[best], rel=1e-12)


def test_where_every_step_does_harm_the_start_comes_back(rng):
    W, y, lam, z = sparse_data(rng, n=60)
    start = from_dictionary(W, lam)
    found = fit(start, y, z, rng, n_steps=3, rate=10, n_epochs=20)
    assert len(found.history) == 5
    assert_same(found.params, start, rtol=0)


@EITHER
def test_thresholds_stay_non_negative_in_training(untied, rng):
    W, y, lam, _ = sparse_data(rng, n=100)
    start = from_dictionary(W, 0.05 * lam)
    start = untie(start, 3) if untied else start
    larger = 1.2 * forward(start._replace(theta=0 * start.theta), y, 3)  # thresholds below zero would bring it nearer
    found = fit(start, y, larger, rng, n_steps=3, n_epochs=20, batch_size=10)
    assert found.held_out.argmin() > 0
    assert (found.params.theta >= 0).all()
    assert (found.params.theta == 0).any()


@pytest.mark.parametrize(("held_out", "n"), [(0.1, 36), (0.25, 30), (1e-9, 39), (0.975, 1)])
def test_the_last_share_of_the_samples_is_never_trained_on(held_out, n, rng):
    W, y, lam, z = sparse_data(rng, n=40)
    options = {"n_steps": 3, "n_epochs": 3, "batch_size": 8, "patience": 10, "held_out": held_out}
    keep = np.arange(40) < n
    runs = [
        fit(from_dictionary(W, lam), seen, codes, np.random.default_rng(1), **options)
        for seen, codes in (
            (y, z),
            (y, np.where(keep[:, None], z, 1e6)),
            (np.where(keep[:, None], y, 1e6), z),
            (y, np.where((keep | (np.arange(40) > n))[:, None], z, 1e6)),  # the first of them alone
        )
    ]
    for other in runs[1:]:
        np.testing.assert_array_equal(runs[0].history, other.history)
        assert other.held_out[0] > 1e6 * runs[0].held_out[0]
    spoiled = np.where((np.arange(40) == n - 1)[:, None], 1e6, z)  # the last that is trained on
    assert fit(from_dictionary(W, lam), y, spoiled, rng, **options).history[0] > 1e6


@EITHER
def test_trained_for_three_steps_it_beats_three_of_ista_and_of_fista_on_new_samples(untied):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        W, y, lam, z = sparse_data(rng, n=1200)
        start, new = from_dictionary(W, lam), slice(1000, None)
        start = untie(start, 3) if untied else start
        found = fit(start, y[:1000], z[:1000], rng, n_steps=3, rate=3e-3, n_epochs=40, batch_size=50)
        error = ((forward(found.params, y[new], 3) - z[new]) ** 2).sum()
        for method in (textbook.ista, textbook.fista):
            other = list(islice(method(W, y[new], lam, np.zeros_like(z[new])), 3))[-1]
            assert error < 0.5 * ((other - z[new]) ** 2).sum()


@EITHER
def test_trained_on_the_energy_it_has_less_of_it_on_new_samples(untied):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        W, y, lam, z = sparse_data(rng, n=1200)
        start, goal, new = from_dictionary(W, lam), Energy(W, lam), slice(1000, None)
        start = untie(start, 3) if untied else start
        found = fit(start, y[:1000], goal, rng, n_steps=3, rate=3e-3, n_epochs=40, batch_size=50)
        least = total(W, y[new], z[new], lam).mean()
        before, after = (loss(params, y[new], goal, 3) - least for params in (start, found.params))
        assert 0 < after < 0.5 * before


def test_arguments_are_never_written_to(rng):
    W, y, lam, z = sparse_data(rng, n=300)
    W, y, z = read_only((W, y, z))
    tied = read_only(from_dictionary(W, lam))
    for params in (tied, read_only(untie(tied, 3))):
        for goal in goals(W, lam, z).values():
            for function in (loss, loss_grad_params, loss_grad_y):
                function(params, y, goal, 3)
            fit(params, y, goal, rng, n_steps=3, n_epochs=1)


# bad input


def spoil(a, value):
    return np.where(np.arange(np.size(a)).reshape(np.shape(a)) == np.size(a) - 1, value, a)


DOORS = {
    "forward": lambda params, y, z_target, n_steps: forward(params, y, n_steps),
    "loss": loss,
    "loss_grad_params": loss_grad_params,
    "loss_grad_y": loss_grad_y,
    "fit": lambda params, y, z_target, n_steps: fit(
        params, y, z_target, np.random.default_rng(0), n_steps=n_steps, n_epochs=1
    ),
}
EVERY_DOOR = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
DOORS_WITH_A_GOAL = pytest.mark.parametrize("door", list(DOORS.values())[1:], ids=list(DOORS)[1:])
VALUES = {"NaN": np.nan, "infinity": np.inf, "minus infinity": -np.inf}


@EVERY_DOOR
@EITHER
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("name", [*Params._fields, "y"])
def test_numbers_that_are_not_finite_are_refused_by_name(door, untied, value, name, rng):
    params, y, z_target = draw_network(rng, 3, untied)
    if name == "y":
        y = spoil(y, value)
    else:
        params, name = params._replace(**{name: spoil(getattr(params, name), value)}), f"params.{name}"
    with pytest.raises(ValueError, match=rf"^{name}: expected finite numbers"):
        door(params, y, z_target, 3)


@DOORS_WITH_A_GOAL
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_so_are_those_of_what_to_train_for(door, value, rng):
    params, y, z_target = draw_network(rng, 3)
    W = dictionary(rng, 4, 6)
    for name, kind, goal in (
        ("z_target", "finite numbers", spoil(z_target, value)),
        ("z_target.W", "finite numbers", Energy(spoil(W, value), 0.3)),
        ("z_target.lam", "a positive finite number", Energy(W, value)),
    ):
        with pytest.raises(ValueError, match=rf"^{name}: expected {kind}"):
            door(params, y, goal, 3)


@DOORS_WITH_A_GOAL
@pytest.mark.parametrize("name", ["params.W_e", "params.theta", "y", "z_target", "z_target.W"])
def test_numbers_whose_squares_are_not_finite_are_refused_by_name(door, name, rng):
    params, y, z_target = draw_network(rng, 3)
    if name.startswith("params."):
        field = name.removeprefix("params.")
        params = params._replace(**{field: spoil(getattr(params, field), 1e160)})
    y = spoil(y, 1e160) if name == "y" else y
    z_target = spoil(z_target, 1e160) if name == "z_target" else z_target
    z_target = Energy(spoil(np.ones((4, 6)), 1e160), 0.3) if name == "z_target.W" else z_target
    with pytest.raises(ValueError, match=rf"^{name}: expected numbers up to .* whose squares are finite, got 1e\+160"):
        door(params, y, z_target, 3)


@EVERY_DOOR
@EITHER
@pytest.mark.parametrize(
    ("value", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError), (None, TypeError)]
)
def test_a_number_of_steps_that_is_none_is_refused_by_name(door, untied, value, error, rng):
    network = draw_network(rng, 1, untied)
    with pytest.raises(error, match=r"^n_steps: expected a whole number"):
        door(*network, value)


@EVERY_DOOR
@pytest.mark.parametrize("n_steps", [1, 2, 4])
def test_untied_weights_are_for_their_number_of_steps_only(door, n_steps, rng):
    with pytest.raises(ValueError, match=rf"^params\.theta: expected shape \({n_steps}, k\), got shape \(3, 6\)"):
        door(*draw_network(rng, 3, untied=True), n_steps)


@EVERY_DOOR
@EITHER
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("W_e", lambda a: a[..., :-1]),
        ("W_e", lambda a: np.stack([a, a])),
        ("S", lambda a: a[..., :-1]),
        ("S", lambda a: a[..., :-1, :]),
        ("S", lambda a: np.stack([a, a])),
        ("S", lambda a: a[..., :0]),
        ("theta", lambda a: np.stack([np.stack([a, a])] * 2)),
        ("theta", lambda a: a[..., :0]),
        ("theta", lambda a: 0.1),
    ],
)
def test_weights_whose_shapes_disagree_are_refused_by_name(door, untied, name, change, rng):
    params, y, z_target = draw_network(rng, 3, untied)
    with pytest.raises(ValueError, match=rf"^params\.{name}: expected"):
        door(params._replace(**{name: change(getattr(params, name))}), y, z_target, 3)


@EVERY_DOOR
@pytest.mark.parametrize("name", ["W_e", "S"])
def test_untied_weights_need_all_be_untied_and_have_enough_steps(door, name, rng):
    params, y, z_target = draw_network(rng, 3, untied=True)
    for value in (getattr(params, name)[0], getattr(params, name)[:-1], np.repeat(getattr(params, name), 2, axis=0)):
        with pytest.raises(ValueError, match=rf"^params\.{name}: expected shape \([23], "):
            door(params._replace(**{name: value}), y, z_target, 3)


@EVERY_DOOR
@EITHER
@pytest.mark.parametrize("change", [lambda y: y[:, :-1], lambda y: y[0], lambda y: y[None], lambda y: y[:0]])
def test_observations_of_another_shape_are_refused_by_name(door, untied, change, rng):
    params, y, z_target = draw_network(rng, 3, untied)
    with pytest.raises(ValueError, match=r"^y: expected"):
        door(params, change(y), z_target, 3)


@DOORS_WITH_A_GOAL
@EITHER
def test_a_goal_of_another_shape_is_refused_by_name(door, untied, rng):
    params, y, z_target = draw_network(rng, 3, untied)
    for codes in (z_target[:-1], np.repeat(z_target, 2, axis=0), z_target[:, :-1], z_target[0], z_target[:, :1]):
        with pytest.raises(ValueError, match=r"^z_target: expected shape \(3, 6\), got"):
            door(params, y, codes, 3)
    for W in (np.ones((6, 4)), np.ones((4, 5)), np.ones((5, 6)), np.ones(6)):
        with pytest.raises(ValueError, match=r"^z_target\.W: expected shape \(4, 6\), got"):
            door(params, y, Energy(W, 0.3), 3)
    for lam in (0, -0.3):
        with pytest.raises(ValueError, match=r"^z_target\.lam: expected a positive finite number"):
            door(params, y, Energy(np.ones((4, 6)), lam), 3)
    with pytest.raises(TypeError, match=r"^z_target: expected real numbers, got NoneType"):
        door(params, y, None, 3)


@EVERY_DOOR
@EITHER
def test_negative_thresholds_are_refused_by_name_and_zero_is_none(door, untied, rng):
    params, y, z_target = draw_network(rng, 3, untied)
    with pytest.raises(ValueError, match=r"^params\.theta: expected thresholds >= 0, got -0.125"):
        door(params._replace(theta=spoil(params.theta, -0.125)), y, z_target, 3)
    door(params._replace(theta=spoil(params.theta, 0)), y, z_target, 3)


@pytest.mark.parametrize("name", ["W_e", "S", "theta", "y", "z_target", "z_target.W"])
def test_training_takes_real_numbers_only(name, rng):
    params, y, z_target = draw_network(rng, 3)
    if name in Params._fields:
        params, name = params._replace(**{name: getattr(params, name) + 0j}), f"params.{name}"
    y = y + 0j if name == "y" else y
    z_target = z_target + 0j if name == "z_target" else z_target
    z_target = Energy(np.ones((4, 6)) + 0j, 0.3) if name == "z_target.W" else z_target
    with pytest.raises(TypeError, match=rf"^{name}: expected real numbers, got an array of complex128"):
        fit(params, y, z_target, rng, n_steps=3)


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("held_out", 0, ValueError),
        ("held_out", 1, ValueError),
        ("held_out", -0.1, ValueError),
        ("held_out", np.nan, ValueError),
        ("held_out", "some", TypeError),
        ("rate", 0, ValueError),
        ("n_epochs", 0, ValueError),
        ("batch_size", 0, ValueError),
        ("patience", 0, ValueError),
        ("patience", 2.5, TypeError),
    ],
)
def test_options_of_training_out_of_range_are_refused_by_name(option, value, error, rng):
    with pytest.raises(error, match=rf"^{option}: expected"):
        fit(*draw_network(rng, 2), rng, n_steps=2, **{option: value})


def test_a_sample_to_train_with_and_one_to_hold_out_are_the_least(rng):
    params, y, z_target = draw_network(rng, 2)
    with pytest.raises(ValueError, match=r"^y: expected samples to train with and samples to hold out, got 1 in all"):
        fit(params, y[:1], z_target[:1], rng, n_steps=2)
    with pytest.raises(ValueError, match=r"^y: expected samples to train with and samples to hold out, got 3 in all"):
        fit(params, y, z_target, rng, n_steps=2, held_out=0.9)
    found = fit(params, y[:2], z_target[:2], rng, n_steps=2, n_epochs=1)
    assert found.history[0] == pytest.approx(loss(params, y[:1], z_target[:1], 2), rel=1e-12)
    assert found.held_out[0] == pytest.approx(loss(params, y[1:2], z_target[1:2], 2), rel=1e-12)


@pytest.mark.parametrize("value", [None, 0, np.random.RandomState(0)], ids=["None", "a seed", "the old kind"])
def test_randomness_comes_in_as_a_generator(value, rng):
    with pytest.raises(TypeError, match=r"^rng: expected a numpy\.random\.Generator"):
        fit(*draw_network(rng, 2), value, n_steps=2)


@pytest.mark.parametrize("lam", [0, -1, np.nan, np.inf])
def test_a_lambda_that_is_not_positive_is_refused_by_name(lam, rng):
    with pytest.raises(ValueError, match=r"^lam: expected a positive finite number"):
        from_dictionary(dictionary(rng, 4, 6), lam)


def test_a_lambda_too_large_for_its_threshold_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match=r"^W: expected atoms for which .* got L = 2, lam = 1e\+36$"):
        from_dictionary(np.eye(2, dtype=np.float32), 1e36)
    assert from_dictionary(np.eye(2), 1e36).theta.tolist() == [5e35, 5e35]


def test_a_dictionary_of_zeros_or_of_another_rank_is_refused_by_name():
    with pytest.raises(ValueError, match=r"^W: expected atoms for which 2 / L and lam / L are finite"):
        from_dictionary(np.zeros((4, 6)), 0.3)
    for W in (np.ones(3), np.ones((0, 3)), np.full((2, 2), np.nan), [[1, 2], [3]]):
        with pytest.raises(ValueError, match=r"^W: expected"):
            from_dictionary(W, 0.3)
    with pytest.raises(TypeError, match=r"^W: expected real numbers"):
        from_dictionary(np.eye(2) + 0j, 0.3)
    with pytest.raises(ValueError, match=r"^W: expected numbers up to .* whose squares are finite"):
        from_dictionary(np.full((2, 2), 1e160), 0.3)


@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (1.5, TypeError), (True, TypeError)])
def test_untying_checks_what_it_is_given(value, error, rng):
    params = draw_weights(rng, 3, False, 4, 6)
    with pytest.raises(error, match=r"^n_steps: expected a whole number"):
        untie(params, value)
    with pytest.raises(ValueError, match=r"^params\.S: expected finite numbers"):
        untie(params._replace(S=spoil(params.S, np.nan)), 3)
    with pytest.raises(TypeError, match=r"^params\.W_e: expected real numbers"):
        untie(params._replace(W_e=params.W_e + 0j), 3)


def test_weights_that_are_untied_already_are_not_untied_again(rng):
    for n_steps in (1, 3):
        with pytest.raises(ValueError, match=r"^params: expected weights shared by all steps"):
            untie(draw_weights(rng, n_steps, True, 4, 6), n_steps)


@pytest.mark.parametrize("single_ones", [("params",), ("y",), ("z_target",), ("params", "y")])
def test_in_mixed_precision_all_that_is_trained_is_of_the_finer_one(single_ones, rng):
    network = dict(zip(("params", "y", "z_target"), draw_network(rng, 2, n=10), strict=True))
    network |= {name: single(network[name]) for name in single_ones}
    dtype = np.result_type(network["y"], *network["params"])
    for rate in (1e-3, 1e3):  # where something is learned, and where the start is the best
        with np.errstate(all="ignore"):
            fitted = fit(**network, rng=np.random.default_rng(0), n_steps=2, rate=rate, n_epochs=1).params
        assert {leaf.dtype for leaf in leaves(fitted)} == {dtype}


@pytest.mark.parametrize(("dtype", "size"), [("f8", 1e-157), ("f8", 1e-181), ("f4", 1e-21), ("f4", 1e-25)])
def test_atoms_whose_squares_vanish_are_refused(dtype, size):
    with pytest.raises(ValueError, match=r"^W: expected atoms for which 2 / L and lam / L are finite"):
        from_dictionary(size * np.eye(3, dtype=dtype), 0.3)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_atoms_are_small_enough_to_be_refused_where_2_over_l_is_a_thousandth_of_the_largest_number(dtype):
    limit = 1e-3 * float(np.finfo(dtype).max)
    for share, welcome in ((0.8, True), (1.2, False)):
        W = np.sqrt(1 / (share * limit)) * np.eye(3)  # L = 2 ||w||^2
        if welcome:
            np.testing.assert_allclose(from_dictionary(W.astype(dtype), 0.3).S, 0, atol=1e-5)
        else:
            with pytest.raises(ValueError, match=r"^W: expected atoms for which 2 / L and lam / L are finite"):
                from_dictionary(W.astype(dtype), 0.3)


def test_thresholds_of_unequal_length_are_refused_by_name(rng):
    params, y, z_target = draw_network(rng, 2)
    with pytest.raises(ValueError, match=r"^params\.theta: expected"):
        loss(params._replace(theta=[[1.0, 2.0], [1.0]]), y, z_target, 2)


@pytest.mark.parametrize("rate", [1e60, 1e100, 1e140])
def test_training_that_diverges_says_so_and_nothing_else(rate, rng):
    with pytest.raises(FloatingPointError, match=r"^training diverged in epoch 1"):
        fit(*draw_network(rng, 5, n=10), rng, n_steps=5, rate=rate, n_epochs=3)


def test_the_gradient_in_y_keeps_the_steps_of_one_block_only(rng):
    params, y, z_target = draw_network(rng, 1, d=4, k=40, n=5 * BLOCK)
    params = params._replace(S=0.1 * params.S)
    few, all_of_them = (peak(loss_grad_y, params, y[:n], z_target[:n], 40) for n in (BLOCK, 5 * BLOCK))
    assert all_of_them < 1.1 * few


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (TypeError("params: expected lista.Params, got tuple"), lambda p, y, z: forward(tuple(p), y, 2)),
        (
            ValueError("params.theta: expected shape (k,), got shape ()"),
            lambda p, y, z: forward(p._replace(theta=0.1), y, 2),
        ),
        (
            ValueError("params.W_e: expected shape (d, 6), got shape (4,)"),
            lambda p, y, z: forward(p._replace(W_e=np.ones(4)), y, 2),
        ),
        (
            ValueError("params.S: expected shape (6, 6), got shape (6,)"),
            lambda p, y, z: forward(p._replace(S=np.ones(6)), y, 2),
        ),
        (ValueError("y: expected shape (N, 4), got shape (4,)"), lambda p, y, z: forward(p, np.ones(4), 2)),
        (ValueError("W: expected shape (d, k), got shape (3,)"), lambda p, y, z: from_dictionary(np.ones(3), 0.3)),
        (ValueError("W: expected shape (d, k), got shape (3,)"), lambda p, y, z: ista_step(np.ones(3), 0.3)),
        (ValueError("lam: expected a positive finite number, got 0"), lambda p, y, z: ista_step(np.eye(3), 0)),
        (
            ValueError("W: expected atoms for which 2 / L and lam / L are finite, got L = 0, lam = 0.3"),
            lambda p, y, z: ista_step(np.zeros((4, 6)), 0.3),
        ),
        (
            ValueError("params: expected weights shared by all steps, got those of 2 steps"),
            lambda p, y, z: untie(untie(p, 2), 2),
        ),
        (
            ValueError("held_out: expected a share between 0 and 1, got 1.5"),
            lambda p, y, z: fit(p, y, z, np.random.default_rng(0), n_steps=2, held_out=1.5),
        ),
        (
            TypeError("callback: expected a function, got int"),
            lambda p, y, z: fit(p, y, z, np.random.default_rng(0), n_steps=2, callback=1),
        ),
    ],
)
def test_the_message_says_what_was_expected_and_what_came(error, call, rng):
    with pytest.raises(type(error), match=f"^{re.escape(str(error))}$"):
        call(*draw_network(rng, 2))
