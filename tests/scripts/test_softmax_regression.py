import logging

import numpy as np
import pytest
from guards import read_only
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from ebm_np.foundations.gradient_check import gradient_check
from ebm_np.foundations.numerics import softplus
from ebm_np.foundations.parameters import flatten, tree_map
from scripts.softmax_regression import Params, error, fit, loss, loss_grad

seeds = st.integers(0, 2**32 - 1)
decays = st.floats(-4, 2).map(lambda exponent: 10.0**exponent)


def problem(seed, n=30, k=4, classes=3, scale=1.0):
    """Parameters, features whose mean is far from zero, and labels that have something to do with them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, k)) + 3
    labels = (x[:, : min(k, classes)] + rng.normal(size=(n, min(k, classes)))).argmax(axis=1)
    return Params(scale * rng.normal(size=(k, classes)), scale * rng.normal(size=classes)), x, labels


@given(seeds, st.integers(1, 6), st.integers(1, 4), st.integers(2, 5), st.floats(0, 10), st.floats(-2, 2))
def test_the_gradient_is_that_of_the_loss(seed, n, k, classes, decay, exponent):
    params, x, labels = problem(seed, n, k, classes, scale=10.0**exponent)
    claimed = loss_grad(params, x, labels, decay)
    # relative to the largest component; that of the cross-entropy vanishes where the reader is sure and right
    check = gradient_check(lambda p: loss(p, x, labels, decay) + np.sum(p.b), claimed._replace(b=claimed.b + 1), params)
    assert check.passed, check


@given(seeds, st.integers(2, 5), decays)
def test_the_loss_is_the_mean_log_probability_and_the_decay(seed, classes, decay):
    params, x, labels = problem(seed, classes=classes)
    total = 0.0
    for row, label in zip(x, labels, strict=True):
        odds = np.exp(row @ params.W + params.b)
        total -= np.log(odds[label] / odds.sum())
    np.testing.assert_allclose(loss(params, x, labels, decay), total / len(x) + decay * (params.W**2).sum())


@given(seeds, st.floats(-1e3, 1e3), decays)
def test_a_number_added_to_all_scores_changes_nothing(seed, shift, decay):
    params, x, labels = problem(seed)
    shifted = params._replace(b=params.b + shift)
    np.testing.assert_allclose(loss(shifted, x, labels, decay), loss(params, x, labels, decay), rtol=1e-11)
    for a, b in zip(loss_grad(shifted, x, labels, decay), loss_grad(params, x, labels, decay), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-11)
    turned = params._replace(W=params.W + np.arange(4.0)[:, None])  # the same for all classes: other decay, same p
    np.testing.assert_allclose(loss(turned, x, labels, 0.0), loss(params, x, labels, 0.0), rtol=1e-11)
    assert error(shifted, x, labels) == error(turned, x, labels) == error(params, x, labels)


def test_scores_of_any_size_do_not_overflow():
    x, labels = np.array([[1.0], [-1.0]]), np.array([1, 1])
    params = Params(np.array([[-1e5, 1e5]]), np.zeros(2))
    np.testing.assert_allclose(loss(params, x, labels, 0.0), 1e5)
    np.testing.assert_allclose(loss_grad(params, x, labels, 0.0).W, [[-0.5, 0.5]])


@given(seeds, st.integers(2, 5), decays)
def test_the_gradient_vanishes_at_the_fit(seed, classes, decay):
    _, x, labels = problem(seed, classes=classes)
    fitted = fit(x, labels, classes, decay, tol=1e-8)
    np.testing.assert_allclose(flatten(loss_grad(fitted, x, labels, decay)), 0, atol=1e-6)
    assert abs(fitted.b.sum()) < 1e-6
    np.testing.assert_allclose(fitted.W.sum(axis=1), 0, atol=1e-6)  # decay leaves nothing that all classes share


@given(seeds, decays)
def test_from_another_fit_the_same_minimum_is_reached_in_fewer_steps(seed, decay):
    _, x, labels = problem(seed)
    fitted, near = (fit(x, labels, 3, some, tol=1e-8) for some in (decay, 1.01 * decay))
    again = fit(x, labels, 3, decay, start=near, tol=1e-8)
    np.testing.assert_allclose(flatten(again), flatten(fitted), atol=1e-4)
    stays = fit(x, labels, 3, decay, start=fitted, max_iterations=1)
    np.testing.assert_allclose(flatten(stays), flatten(fitted), atol=1e-6)


@given(seeds, decays)
def test_no_neighbour_of_the_fit_has_less_loss(seed, decay):
    step, x, labels = problem(seed)
    fitted = fit(x, labels, 3, decay, tol=1e-8)
    least = loss(fitted, x, labels, decay)
    for size in (1e-3, 1e-1, 10.0):
        assert loss(tree_map(lambda a, d, h=size: a + h * d, fitted, step), x, labels, decay) >= least - 1e-12


def sigmoid_regression(x, labels, decay):
    """Logistic regression of two classes, by another minimiser."""
    sign = 2.0 * labels - 1

    def objective(u):
        return softplus(-sign * (x @ u[:-1] + u[-1])).mean() + decay * u[:-1] @ u[:-1]

    return objective, minimize(objective, np.zeros(x.shape[1] + 1), method="BFGS", options={"gtol": 1e-7}).x


@pytest.mark.parametrize("decay", [0.003, 0.1, 3.0])
def test_two_classes_are_a_sigmoid_regression(decay):
    params, x, labels = problem(5, classes=2)
    objective, best = sigmoid_regression(
        x, labels, decay / 2
    )  # w_1 = -w_0 = u / 2: ||w_0||^2 + ||w_1||^2 = ||u||^2 / 2
    fitted = fit(x, labels, 2, decay, tol=1e-9)
    difference = flatten(Params(fitted.W[:, 1] - fitted.W[:, 0], fitted.b[1] - fitted.b[0]))
    np.testing.assert_allclose(difference, best, atol=1e-4)
    np.testing.assert_allclose(loss(fitted, x, labels, decay), objective(best), rtol=1e-9)
    u = flatten(Params(params.W[:, 1] - params.W[:, 0], params.b[1] - params.b[0]))
    assert loss(params, x, labels, 0.0) == pytest.approx(objective(u) - decay / 2 * u[:-1] @ u[:-1])


def test_features_moved_by_a_constant_give_the_same_weights():
    _, x, labels = problem(0)
    here, there = (fit(features, labels, 3, 0.01, tol=1e-9) for features in (x, x + 40))
    np.testing.assert_allclose(here.W, there.W, atol=1e-5)
    assert error(here, x, labels) == error(there, x + 40, labels)


def test_with_overwhelming_decay_the_probabilities_are_the_shares_of_the_classes():
    labels = np.repeat([0, 1, 2], [10, 30, 60])
    x = np.random.default_rng(0).normal(size=(100, 5))
    fitted = fit(x, labels, 3, 1e6)
    np.testing.assert_allclose(np.exp(fitted.b) / np.exp(fitted.b).sum(), [0.1, 0.3, 0.6], atol=1e-4)


def test_fewer_samples_than_features_are_all_learned():
    _, x, labels = problem(0, n=20, k=50, classes=5)
    fitted = fit(x, labels, 5, 1e-4)
    assert error(fitted, x, labels) == 0
    assert error(fitted, x, (labels + 1) % 5) == 1
    wrong = labels.copy()
    wrong[:5] = (wrong[:5] + 1) % 5
    assert error(fitted, x, wrong) == 0.25


def test_a_class_without_samples_is_never_chosen():
    _, x, labels = problem(0)
    fitted = fit(x, labels, 4, 0.01)
    assert fitted.W.shape == (4, 4)
    assert ((x @ fitted.W + fitted.b).argmax(axis=1) < 3).all()


def test_float32_is_kept_and_arguments_are_left_alone():
    params, x, labels = read_only(problem(0, n=200, k=20))
    double = fit(x, labels, 3, 0.01)
    single = fit(read_only(x.astype(np.float32)), labels, 3, 0.01)
    assert {a.dtype for a in double} == {np.dtype("f8")}
    assert {a.dtype for a in single} == {np.dtype("f4")}
    np.testing.assert_allclose(flatten(single), flatten(double), atol=0.01)
    gradient = loss_grad(tree_map(np.float32, params), x.astype(np.float32), labels, 0.01)
    assert {a.dtype for a in gradient} == {np.dtype("f4")}
    np.testing.assert_allclose(flatten(gradient), flatten(loss_grad(params, x, labels, 0.01)), atol=1e-4)


def test_only_the_products_are_in_single_precision():
    rng = np.random.default_rng(0)
    params, x = Params(rng.integers(-3, 4, (4, 3)), rng.integers(-3, 4, 3)), rng.integers(-3, 4, (30, 4))
    single = tree_map(np.float32, (params, x))  # small whole numbers: their products are exact
    labels = rng.integers(0, 3, 30)
    np.testing.assert_allclose(loss(*single, labels, 0.5), loss(params, x, labels, 0.5), rtol=1e-14)


def test_labels_may_be_of_any_whole_type():
    _, x, labels = problem(0)
    for kind in (np.uint8, np.int32, list):
        other = labels.tolist() if kind is list else labels.astype(kind)
        np.testing.assert_array_equal(fit(x, other, 3, 0.1).W, fit(x, labels, 3, 0.1).W)


def test_an_unfinished_search_says_so(caplog):
    _, x, labels = problem(0)
    with caplog.at_level(logging.WARNING):
        fit(x, labels, 3, 0.1)
        assert not caplog.records
        fit(x, labels, 3, 0.1, max_iterations=1)
    assert "no minimum within 1 iteration" in caplog.text


X, LABELS = np.eye(4), np.array([0, 1, 2, 0])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("x", {"x": np.full((4, 4), np.nan)}),
        ("x", {"x": np.zeros((0, 4))}),
        ("x", {"x": np.zeros(4)}),
        ("x", {"x": None}),
        ("labels", {"labels": LABELS[:3]}),
        ("labels", {"labels": LABELS[:, None]}),
        ("labels", {"labels": LABELS.astype(float)}),
        ("labels", {"labels": LABELS - 1}),
        ("labels", {"labels": LABELS + 1}),
        ("labels", {"labels": None}),
        ("n_classes", {"n_classes": 1}),
        ("n_classes", {"n_classes": 3.0}),
        ("decay", {"decay": 0.0}),
        ("decay", {"decay": np.inf}),
        ("start.W", {"start": Params(np.zeros((3, 3)), np.zeros(3))}),
        ("start.b", {"start": Params(np.zeros((4, 3)), np.zeros(4))}),
        ("tol", {"tol": 0.0}),
        ("max_iterations", {"max_iterations": 0}),
    ],
)
def test_bad_arguments_are_refused_by_name(name, change):
    arguments = {"x": X, "labels": LABELS, "n_classes": 3, "decay": 0.1} | change
    with pytest.raises((TypeError, ValueError), match=f"^{name}: expected"):
        fit(**arguments)
