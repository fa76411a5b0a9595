from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import arrays, generators, numbers

from ebm_np.foundations.optimizers import Optimizer, adam, gradient_descent, momentum, projected, tangent
from ebm_np.foundations.parameters import flatten, leaves, tree_map, unflatten


class Params(NamedTuple):
    W: np.ndarray
    inner: tuple


OPTIMIZERS = {
    "gradient descent": lambda: gradient_descent(0.1),
    "momentum": lambda: momentum(0.1),
    "Adam": lambda: adam(0.1),
    "projected momentum": lambda: projected(momentum(0.1), clipped),
}
ALL = pytest.mark.parametrize("name", OPTIMIZERS)
rates = st.floats(1e-4, 1.0)
fractions = st.floats(0, 0.99)


def draw_params(rng):
    return Params(W=rng.normal(size=(2, 3)), inner=(rng.normal(size=2),))


def freeze(tree):
    for leaf in leaves(tree):
        leaf.setflags(write=False)
    return tree


def clipped(tree):
    """The projection on a box."""
    return tree_map(lambda leaf: np.clip(leaf, -0.5, 1.5), tree)


def descend(optimizer, theta, gradients):
    """Parameters after each gradient of a list."""
    state, path = optimizer.init(theta), []
    for g in gradients:
        theta, state = optimizer.step(theta, g, state)
        path.append(theta)
    return np.array(path)


# closed forms on the quadratic (1/2) sum_i c_i theta_i^2, whose gradient is c theta


@given(rates, arrays(4, largest=10.0), arrays(4).map(lambda c: np.abs(c) / 1e3), st.integers(1, 30))
def test_gradient_descent_on_a_quadratic_is_a_geometric_sequence(rate, theta, c, n):
    optimizer, found, state = gradient_descent(rate), theta, ()
    for _ in range(n):
        found, state = optimizer.step(found, c * found, state)
    # where rate * c is near 1, what is left of theta after a step is rounding
    assert (np.abs(found - (1 - rate * c) ** n * theta) <= 1e-14 * np.abs(theta)).all()


@given(rates, fractions, st.floats(0, 1), numbers(10.0), st.integers(1, 30))
def test_momentum_on_a_quadratic_is_a_power_of_its_matrix(rate, mu, c, theta, n):
    optimizer = momentum(rate, mu)
    found = np.array([theta])
    state = optimizer.init(found)
    for _ in range(n):
        found, state = optimizer.step(found, c * found, state)
    matrix = np.array([[1 - rate * c, -rate * mu], [c, mu]])  # (theta, m) -> (theta, m)
    expected = np.linalg.matrix_power(matrix, n) @ [theta, 0]
    np.testing.assert_allclose([found[0], state[0]], expected, rtol=1e-9, atol=1e-12 * abs(theta))


@given(st.integers(1, 40))
def test_under_a_constant_gradient_the_velocity_approaches_ten_times_it_by_default(n):
    optimizer = momentum(1.0)
    theta = velocity = np.zeros(1)
    for _ in range(n):
        theta, velocity = optimizer.step(theta, np.array([3.0]), velocity)
    assert velocity[0] == pytest.approx(3 * 10 * (1 - 0.9**n), rel=1e-12)


@given(rates, generators())
def test_momentum_without_memory_is_gradient_descent(rate, rng):
    theta, gradients = rng.normal(size=3), rng.normal(size=(5, 3))
    np.testing.assert_array_equal(
        descend(momentum(rate, 0), theta, gradients), descend(gradient_descent(rate), theta, gradients)
    )


# Adam


def adam_of_the_paper(theta, gradients, alpha, beta1, beta2, epsilon):
    """Algorithm 1 of Kingma & Ba, number by number."""
    path = []
    m = [0.0] * len(theta)
    v = [0.0] * len(theta)
    theta = list(theta)
    for t, g in enumerate(gradients, start=1):
        for i in range(len(theta)):
            m[i] = beta1 * m[i] + (1 - beta1) * g[i]
            v[i] = beta2 * v[i] + (1 - beta2) * g[i] ** 2
            m_hat = m[i] / (1 - beta1**t)
            v_hat = v[i] / (1 - beta2**t)
            theta[i] = theta[i] - alpha * m_hat / (np.sqrt(v_hat) + epsilon)
        path.append(list(theta))
    return np.array(path)


@given(rates, fractions, fractions, st.floats(1e-10, 1e-1), arrays(3), arrays((12, 3)))
def test_adam_is_algorithm_1_of_kingma_and_ba(rate, b1, b2, eps, theta, gradients):
    expected = adam_of_the_paper(theta, gradients, rate, b1, b2, eps)
    np.testing.assert_allclose(
        descend(adam(rate, b1, b2, eps), theta, gradients), expected, rtol=1e-11, atol=1e-11 * rate
    )


def test_adams_defaults_are_those_of_the_paper(rng):
    theta, gradients = np.zeros(3), 1e-7 * rng.normal(size=(2000, 3))
    expected = adam_of_the_paper(theta, gradients, 0.001, 0.9, 0.999, 1e-8)
    np.testing.assert_allclose(descend(adam(), theta, gradients), expected, rtol=1e-9, atol=1e-12)


@given(rates, fractions, fractions, arrays(5, smallest=1e-3).map(lambda g: np.where(g == 0, 1, g)))
def test_adams_first_step_has_length_rate_against_the_sign_of_the_gradient(rate, b1, b2, g):
    (theta,) = descend(adam(rate, b1, b2, eps=1e-12), np.zeros(5), [g])
    np.testing.assert_allclose(theta, -rate * np.sign(g), rtol=1e-8)


@given(rates, st.floats(1e-8, 1.0))
def test_adams_eps_stands_outside_of_the_root_a_gradient_of_its_size_goes_half_as_far(rate, eps):
    (theta,) = descend(adam(rate, eps=eps), np.zeros(1), np.array([[eps]]))
    assert theta[0] == pytest.approx(-rate / 2, rel=1e-9)


@given(generators(), st.floats(-3, 3).map(lambda e: 10.0**e))
def test_adam_does_not_see_the_scale_of_the_gradient(rng, scale):
    theta, gradients = rng.normal(size=3), rng.normal(size=(8, 3))
    optimizer = adam(0.1, eps=1e-30)
    np.testing.assert_allclose(
        descend(optimizer, theta, scale * gradients), descend(optimizer, theta, gradients), rtol=1e-9, atol=1e-9
    )


def test_adam_stands_still_where_the_gradient_always_vanished(rng):
    theta = rng.normal(size=3)
    np.testing.assert_array_equal(descend(adam(), theta, np.zeros((3, 3))), [theta] * 3)


# projected

INNER = {
    "gradient descent": gradient_descent,
    "momentum": momentum,
    "Adam": adam,
    "one that remembers its start": lambda rate: Optimizer(
        lambda params: params, lambda params, grads, start: (tree_map(lambda a, g: a - rate * g, start, grads), start)
    ),
}
EVERY_INNER = pytest.mark.parametrize("inner", INNER.values(), ids=INNER)


@EVERY_INNER
@given(rate=rates, rng=generators())
def test_each_step_is_the_optimizers_own_and_then_the_projection(inner, rate, rng):
    optimizer = inner(rate)
    theta, gradients = rng.normal(size=4), rng.normal(size=(8, 4))
    expected, state, path = theta, optimizer.init(theta), []
    for g in gradients:
        expected, state = optimizer.step(expected, g, state)
        expected = clipped(expected) / 2
        path.append(expected)
    onto = projected(optimizer, lambda theta: clipped(theta) / 2)  # applied twice, it would show
    np.testing.assert_array_equal(descend(onto, theta, gradients), path)


@EVERY_INNER
@given(rate=rates, rng=generators())
def test_the_state_of_the_projected_optimizer_is_the_optimizers_and_knows_no_projection(inner, rate, rng):
    optimizer, params = inner(rate), draw_params(rng)
    held = projected(optimizer, lambda tree: tree_map(lambda leaf: leaf + 100, tree))
    assert isinstance(held, Optimizer)
    state, expected = held.init(params), optimizer.init(params)
    for _ in range(3):
        assert type(state) is type(expected)
        for a, b in zip(leaves(state), leaves(expected), strict=True):
            np.testing.assert_array_equal(a, b)
        grads = draw_params(rng)
        (_, state), (_, expected) = held.step(params, grads, state), optimizer.step(params, grads, expected)


@EVERY_INNER
@given(rate=rates, rng=generators())
def test_projected_on_everything_it_is_the_optimizer(inner, rate, rng):
    theta, gradients = rng.normal(size=4), rng.normal(size=(8, 4))
    optimizer = inner(rate)
    np.testing.assert_array_equal(
        descend(projected(optimizer, lambda theta: theta), theta, gradients), descend(optimizer, theta, gradients)
    )


@given(generators(), st.floats(0.1, 1))
def test_projected_gradient_descent_finds_the_least_of_a_quadratic_among_what_is_allowed(rng, rate):
    # (1/2) sum_i c_i (theta_i - a_i)^2 over theta >= 0 is least at max(a, 0), and no step on the way leaves the set
    a, c = rng.normal(size=5), rng.uniform(0.2, 1, size=5)
    optimizer = projected(gradient_descent(rate), lambda theta: np.maximum(theta, 0))
    theta, state = np.abs(rng.normal(size=5)), ()
    for _ in range(2000):
        theta, state = optimizer.step(theta, c * (theta - a), state)
        assert (theta >= 0).all()
    np.testing.assert_allclose(theta, np.maximum(a, 0), atol=1e-12)


@given(generators())
def test_on_the_sphere_adam_needs_the_gradient_along_it(rng):
    # -<a, theta> is least on the sphere at a / |a|; there the gradient is not 0, but has no part along the sphere
    a = rng.permutation([5, 1, 0.5, 3, 0.1]) * rng.choice([-1, 1], 5)
    goal = a / np.linalg.norm(a)

    def held(along):
        optimizer = projected(adam(1e-3), lambda theta: theta / np.linalg.norm(theta), along)
        theta, state = goal, optimizer.init(goal)
        for _ in range(200):
            theta, state = optimizer.step(theta, -a, state)
        return theta

    np.testing.assert_allclose(held(lambda theta, grad: tangent(theta, grad, 0)), goal, atol=1e-6)
    assert np.ptp(np.abs(held(None))) < 0.95 * np.ptp(np.abs(goal))  # all coordinates tend to the same size


@given(generators())
def test_tangent_removes_just_the_part_along_each_unit_vector(rng):
    grad, unit = rng.normal(size=(2, 4, 3, 2))
    unit /= np.sqrt((unit**2).sum(axis=(1, 2), keepdims=True))
    found = tangent(unit, grad, (1, 2))
    np.testing.assert_allclose((found * unit).sum(axis=(1, 2)), 0, atol=1e-14)
    for n in range(4):
        radial = (grad - found)[n]
        np.testing.assert_allclose(radial, (radial * unit[n]).sum() * unit[n], atol=1e-14)


# what all share


@ALL
@given(generators())
def test_each_array_of_nested_parameters_goes_its_own_way(name, rng):
    optimizer = OPTIMIZERS[name]()
    params, gradients = draw_params(rng), rng.normal(size=(4, 8))
    found, state = params, optimizer.init(params)
    for g in gradients:
        found, state = optimizer.step(found, unflatten(g, params), state)
    assert type(found) is Params
    np.testing.assert_allclose(flatten(found), descend(optimizer, flatten(params), gradients)[-1], rtol=1e-13)


@ALL
def test_parameters_gradients_and_states_are_not_written_to(name, rng):
    optimizer = OPTIMIZERS[name]()
    params, grads = freeze(draw_params(rng)), freeze(draw_params(rng))
    state = freeze(optimizer.init(params))
    for _ in range(3):
        params, state = freeze(optimizer.step(params, grads, state))


@ALL
def test_a_parameter_that_is_one_number_goes_the_way_of_an_array_of_one(name, rng):
    optimizer = OPTIMIZERS[name]()
    number, row = (np.array(3.0), ()), (np.array([3.0]), ())
    states = [optimizer.init(number), optimizer.init(row)]
    for g in rng.normal(size=5):
        number, states[0] = optimizer.step(number, (np.array(g), ()), states[0])
        row, states[1] = optimizer.step(row, (np.array([g]), ()), states[1])
        assert number[0] == row[0][0]


def test_gradient_descent_remembers_nothing(rng):
    optimizer, params = gradient_descent(0.1), draw_params(rng)
    state = optimizer.init(params)
    for _ in range(2):
        assert list(leaves(state)) == []
        params, state = optimizer.step(params, params, state)


@ALL
def test_a_step_from_the_same_state_is_the_same_step(name, rng):
    optimizer = OPTIMIZERS[name]()
    params, grads = draw_params(rng), draw_params(rng)
    params, state = optimizer.step(params, grads, optimizer.init(params))
    first, second = (flatten(optimizer.step(params, grads, state)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@ALL
def test_single_precision_is_kept(name, rng):
    optimizer = OPTIMIZERS[name]()
    params = tree_map(lambda leaf: leaf.astype(np.float32), draw_params(rng))
    state = optimizer.init(params)
    for _ in range(3):
        params, state = optimizer.step(params, params, state)
    assert all(leaf.dtype == np.float32 for leaf in leaves(params))
    assert all(leaf.dtype == np.float32 for leaf in leaves(state) if leaf.ndim)


@pytest.mark.parametrize(
    "optimizer",
    [
        gradient_descent(np.float64(0.1)),
        momentum(np.float64(0.1), np.float64(0.5)),
        adam(*map(np.float64, (0.1, 0.9, 0.99, 1e-8))),
    ],
    ids=["gradient descent", "momentum", "Adam"],
)
def test_settings_that_are_numpy_numbers_do_not_widen_the_parameters(optimizer):
    theta = np.ones(3, np.float32)
    found, _ = optimizer.step(theta, theta, optimizer.init(theta))
    assert found.dtype == np.float32


@ALL
def test_a_quadratic_is_brought_down(name, rng):
    optimizer = OPTIMIZERS[name]()
    theta = rng.normal(size=5)
    start, state = theta, optimizer.init(theta)
    for _ in range(200):
        theta, state = optimizer.step(theta, theta, state)
    assert (np.abs(theta) < 0.05 * np.abs(start).max()).all()


MAKERS = {"gradient_descent": gradient_descent, "momentum": momentum, "adam": adam}


@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf])
@pytest.mark.parametrize("maker", MAKERS)
def test_a_rate_that_is_not_positive_and_finite_is_refused_by_name(maker, value):
    with pytest.raises(ValueError, match=r"^rate: expected a positive finite number"):
        MAKERS[maker](value)


@pytest.mark.parametrize("maker", MAKERS)
def test_a_rate_that_is_no_number_is_refused_by_name(maker):
    with pytest.raises(TypeError, match=r"^rate: expected a real number, got str"):
        MAKERS[maker]("0.1")


@pytest.mark.parametrize("value", [-0.1, 1, 1.5, np.nan, np.inf])
@pytest.mark.parametrize(("maker", "name"), [(momentum, "mu"), (adam, "b1"), (adam, "b2")])
def test_a_memory_outside_of_zero_to_one_is_refused_by_name(maker, name, value):
    with pytest.raises(ValueError, match=rf"^{name}: expected"):
        maker(rate=0.1, **{name: value})


def test_one_is_too_much_of_a_memory_and_the_range_is_named():
    with pytest.raises(ValueError, match=r"^mu: expected a number in \[0, 1\), got 1$"):
        momentum(0.1, mu=1)


@pytest.mark.parametrize("value", [0, -1e-8, np.nan])
def test_an_eps_that_is_not_positive_is_refused_by_name(value):
    with pytest.raises(ValueError, match=r"^eps: expected a positive finite number"):
        adam(eps=value)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("optimizer", lambda: projected(adam, abs)),
        ("optimizer.init", lambda: projected(Optimizer(None, abs), abs)),
        ("optimizer.step", lambda: projected(Optimizer(abs, None), abs)),
        ("onto", lambda: projected(adam(0.1), 3)),
        ("along", lambda: projected(adam(0.1), abs, "x")),
    ],
)
def test_what_is_no_optimizer_or_function_is_refused_by_name(name, call):
    with pytest.raises(TypeError, match=rf"^{name}: expected"):
        call()
