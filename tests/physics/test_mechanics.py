import itertools
from functools import partial

import numpy as np
import pytest
from guards import read_only
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial.legendre import leggauss
from scipy.special import ellipk
from strategies import generators

from ebm_np.foundations.gradient_check import complex_step, gradient_check
from ebm_np.foundations.results import Inference
from ebm_np.physics.mechanics import (
    METHODS,
    System,
    action,
    action_grad,
    action_hess_vec,
    apple,
    energies,
    hessian,
    morse_index,
    oscillator,
    parabola,
    pendulum,
    relax,
    straight,
    upside_down,
)

EVERY_METHOD = pytest.mark.parametrize("method", METHODS)
FEW = settings(max_examples=settings.default.max_examples // 3)
ENDS = np.array([[0.0, 1.5]]), np.array([[4.0, 1.0]])
HALF_PERIOD = np.pi / np.sqrt(9.81)
"""Of small swings of the pendulum of 1 m."""


def powers(low, high):
    """Positive numbers, evenly over the orders of magnitude."""
    return st.floats(low, high).map(lambda e: 10.0**e)


def build(kind, m, a, b):
    systems = {"apple": (apple, (m, a)), "oscillator": (oscillator, (m, a)), "pendulum": (pendulum, (m, a, b))}
    make, constants = systems[kind.removeprefix("upside-down ")]
    return upside_down(make(*constants)) if kind.startswith("upside-down") else make(*constants)


KINDS = [turned + kind for turned in ("", "upside-down ") for kind in ("apple", "oscillator", "pendulum")]
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


@st.composite
def posed(draw, kind):
    """A system, paths of it that no law of nature drives, a duration, and a generator."""
    system = build(kind, draw(powers(-3, 3)), draw(powers(-2, 2)), draw(powers(-2, 2)))
    rng, d = draw(generators()), 1 if "pendulum" in kind else draw(st.integers(1, 3))
    shape = (draw(st.integers(1, 3)), draw(st.integers(2, 12)) + 1, d)
    return system, draw(powers(-2, 2)) * rng.normal(size=shape), draw(powers(-2, 2)), rng


@st.composite
def throws(draw, largest_n=16):
    """Ends of three paths of an apple, their number of steps, duration, mass and gravity, and starts to relax from."""
    rng, d, n = draw(generators()), draw(st.integers(1, 3)), draw(st.integers(2, largest_n))
    start, end = rng.uniform(-10, 10, size=(2, 3, d))
    q = straight(start, end, n)
    q[:, 1:-1] += draw(powers(-1, 1)) * rng.normal(size=(3, n - 1, d))
    return start, end, q, draw(powers(-1, 0.7)), draw(powers(-2, 2)), draw(st.floats(0, 20))


def with_ends(q, inner):
    return np.concatenate([q[:, :1], inner, q[:, -1:]], axis=1)


def size(system, q, duration):
    """The sum of the sizes of all terms of S: what its rounding error goes by."""
    h = duration / (q.shape[1] - 1)
    return (0.5 * system.m / h * np.diff(q, axis=1) ** 2).sum() + h * np.abs(system.value(q)).sum()


def sines(n, count):
    """The first eigenvectors of H where V'' is constant, of length 1: (count, n - 1)."""
    i, k = np.arange(1, n), np.arange(1, count + 1)[:, None]
    return np.sqrt(2 / n) * np.sin(k * np.pi * i / n)


def eigenvalues(m, c, duration, n):
    """Those of derivation 3, in rising order."""
    h = duration / n
    return 4 * m / h * np.sin(np.arange(1, n) * np.pi / (2 * n)) ** 2 - h * c


def oscillation(start, end, omega, t):
    """The oscillator's path between its ends, in numbers t of steps whose phase is omega."""
    n, t = t[-1], t[:, None]
    return (start[:, None] * np.sin(omega * (n - t)) + end[:, None] * np.sin(omega * t)) / np.sin(omega * n)


def kicked(rng, start, end, n, by=1.0):
    """The straight path, with noise between the ends."""
    q = straight(start, end, n)
    q[:, 1:-1] += by * rng.normal(size=q[:, 1:-1].shape)
    return q


def at_rest(n, rng=None, by=0.0):
    zero = np.zeros((1, 1))
    return straight(zero, zero, n) if rng is None else kicked(rng, zero, zero, n, by)


# the potentials


@EVERY_KIND
@given(data=st.data())
def test_slope_and_curvature_are_derivatives_of_the_potential_and_the_curvature_is_bounded(kind, data):
    system, q, _, rng = data.draw(posed(kind))
    u = rng.normal(size=q.shape)
    assert system.value(q).shape == q.shape[:-1]
    check = gradient_check(lambda q: system.value(q).sum(), system.slope(q), q)
    assert check.passed, check
    found = system.curvature(q, u)
    np.testing.assert_allclose(found, complex_step(system.slope, q, u), rtol=1e-12, atol=1e-12 * np.abs(found).max())
    assert (np.abs(found) <= system.stiffest * np.abs(u) * (1 + 1e-15)).all()


@given(powers(-3, 3), powers(-2, 2), powers(-2, 2), generators())
def test_potentials_are_what_their_units_say(m, a, b, rng):
    q = rng.normal(size=(4, 3))
    np.testing.assert_allclose(apple(m, a).value(q), [m * a * height for *_, height in q], rtol=1e-14)
    np.testing.assert_allclose(oscillator(m, a).value(q), [a / 2 * sum(x * x for x in row) for row in q], rtol=1e-14)
    angle = q[:, :1]
    drop = a - a * np.cos(angle[:, 0])  # of a bob at the end of a rod of a metres, above its lowest place
    np.testing.assert_allclose(pendulum(m, a, b).value(angle), m * b * drop, rtol=1e-9, atol=1e-12 * m * b * a)
    # T of the bob is (m / 2) (length dq/dt)^2
    T, _ = energies(pendulum(m, a, b), np.array([[[0.0], [1.0], [2.0]]]), 2.0)
    assert T.item() == pytest.approx(m / 2 * a**2, rel=1e-14)
    assert pendulum(m, a, b).stiffest == pytest.approx(m * a * b)
    assert (apple(m, a).stiffest, oscillator(m, a).stiffest) == (0, a)


def test_the_apple_weighs_a_hundred_grams_on_earth_unless_told():
    q = np.ones((1, 3, 1))
    assert action(apple(), q, 1.0).item() == pytest.approx(-0.1 * 9.81)
    assert action(pendulum(), np.pi * q, 1.0).item() == pytest.approx(-2 * 9.81)
    assert action(oscillator(), q, 1.0).item() == pytest.approx(-0.5)
    np.testing.assert_allclose(parabola([[0.0]], [[0.0]], 1.0, 2)[0, 1], 9.81 / 8)


# the action and its derivatives


@EVERY_KIND
@given(data=st.data())
def test_the_action_is_equation_2_number_by_number(kind, data):
    system, q, duration, _ = data.draw(posed(kind))
    n = q.shape[1] - 1
    h, expected = duration / n, []
    for path in q:
        V = [system.value(point) for point in path]
        T = [system.m / 2 * sum((b - a) ** 2 for a, b in zip(path[i], path[i + 1], strict=True)) for i in range(n)]
        expected.append(sum(T) / h - h * sum((V[i] + V[i + 1]) / 2 for i in range(n)))
    np.testing.assert_allclose(action(system, q, duration), expected, atol=1e-13 * size(system, q, duration))


@EVERY_KIND
@given(data=st.data())
def test_the_gradient_is_the_complex_step_of_the_action(kind, data):
    system, q, duration, _ = data.draw(posed(kind))
    check = gradient_check(
        lambda inner: action(system, with_ends(q, inner), duration).sum(), action_grad(system, q, duration), q[:, 1:-1]
    )
    assert check.passed, check


@EVERY_KIND
@given(data=st.data())
def test_the_hessian_vector_product_is_the_complex_step_of_the_gradient(kind, data):
    system, q, duration, rng = data.draw(posed(kind))
    u = rng.normal(size=q[:, 1:-1].shape)
    expected = complex_step(lambda inner: action_grad(system, with_ends(q, inner), duration), q[:, 1:-1], u)
    found = action_hess_vec(system, q, duration, u)
    np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max(), rtol=0)
    along = complex_step(lambda u: action_hess_vec(system, q, duration, u), u, u)  # linear in u
    np.testing.assert_allclose(along, found, atol=1e-12 * np.abs(expected).max(), rtol=0)


@EVERY_KIND
@given(data=st.data())
def test_the_hessian_is_symmetric_and_its_product_with_a_vector_is_that_of_hess_vec(kind, data):
    system, q, duration, rng = data.draw(posed(kind))
    H, u = hessian(system, q, duration), rng.normal(size=q[:, 1:-1].shape)
    assert H.shape == (len(q), u[0].size, u[0].size)
    np.testing.assert_array_equal(H, H.swapaxes(1, 2))
    by_matrix = (H @ u.reshape(len(q), -1, 1)).reshape(u.shape)
    np.testing.assert_allclose(action_hess_vec(system, q, duration, u), by_matrix, atol=1e-12 * np.abs(H).max() * 10)


@given(generators(), st.integers(2, 15), st.integers(1, 3), powers(-3, 3), powers(-2, 2), powers(-1, 1))
def test_the_eigenvalues_of_the_oscillator_are_those_of_derivation_3_and_its_eigenvectors_sines(rng, n, d, m, k, tau):
    q = rng.normal(size=(2, n + 1, d))
    expected = eigenvalues(m, k, tau, n)
    H = hessian(oscillator(m, k), q, tau)
    scale = 4 * m * n / tau + tau / n * k
    for found in np.linalg.eigvalsh(H):
        np.testing.assert_allclose(found, np.repeat(expected, d), atol=1e-13 * scale)
    for value, sine in zip(expected, sines(n, n - 1), strict=True):
        u = np.broadcast_to(sine[None, :, None], (2, n - 1, d))
        np.testing.assert_allclose(action_hess_vec(oscillator(m, k), q, tau, u), value * u, atol=1e-12 * scale)


@pytest.mark.parametrize("kind", KINDS)
def test_the_action_of_a_smooth_path_is_its_integral_up_to_the_square_of_the_step(kind):
    system, duration = build(kind, 0.7, 2.1, 1.3), 1.7
    amplitudes, frequencies = np.array([0.4, -0.9]), np.array([2.3, 1.1])
    if "pendulum" in kind:
        amplitudes, frequencies = amplitudes[:1], frequencies[:1]
    nodes, weights = leggauss(60)
    t, w = (nodes + 1) * duration / 2, weights * duration / 2
    T = system.m / 2 * ((amplitudes * frequencies * np.cos(np.outer(t, frequencies))) ** 2).sum(axis=1)
    exact = w @ (T - system.value(amplitudes * np.sin(np.outer(t, frequencies))))
    errors = []
    for n in (16, 32, 64):
        t = np.linspace(0, duration, n + 1)
        errors.append(action(system, (amplitudes * np.sin(np.outer(t, frequencies)))[None], duration).item() - exact)
    np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 4, rtol=0.02)
    extrapolated = (4 * errors[2] - errors[1]) / 3
    assert abs(extrapolated) < 1e-5 * abs(exact)


@given(throws(), st.integers(0, 1))
def test_the_action_of_the_thrown_apple_is_its_closed_form_with_any_step(throw, turned):
    start, end, q, tau, m, g = throw
    n = q.shape[1] - 1
    h = tau / n
    # the integral itself has tau^3 for tau (tau^2 - h^2)
    distance, heights = ((end - start) ** 2).sum(axis=1), start[:, -1] + end[:, -1]
    free, lift, fall = m / (2 * tau) * distance, m * g * tau / 2 * heights, m * g**2 * tau * (tau**2 - h**2) / 24
    path = parabola(start, end, tau, n, g)
    if turned:
        path, lift = 2 * straight(start, end, n) - path, -lift
    system = upside_down(apple(m, g)) if turned else apple(m, g)
    np.testing.assert_allclose(action(system, path, tau), free - lift - fall, atol=1e-12 * size(system, path, tau))


@EVERY_KIND
@given(data=st.data())
def test_the_action_of_a_path_is_that_of_its_pieces(kind, data):
    system, q, duration, rng = data.draw(posed(kind))
    q = np.concatenate([q, q[:, ::-1] + 1, rng.normal(size=q[:, :2].shape)], axis=1)
    n = q.shape[1] - 1
    j, h = data.draw(st.integers(2, n - 2)), duration / n
    pieces = action(system, q[:, : j + 1], j * h) + action(system, q[:, j:], (n - j) * h)
    np.testing.assert_allclose(pieces, action(system, q, duration), atol=1e-13 * size(system, q, duration))


@EVERY_KIND
@given(data=st.data())
def test_a_path_and_the_same_path_run_backwards_have_the_same_action(kind, data):
    system, q, duration, _ = data.draw(posed(kind))
    back = q[:, ::-1]
    np.testing.assert_allclose(
        action(system, back, duration), action(system, q, duration), atol=1e-13 * size(system, q, duration)
    )
    grad = action_grad(system, q, duration)
    np.testing.assert_allclose(action_grad(system, back, duration)[:, ::-1], grad, atol=1e-13 * np.abs(grad).max())


@given(throws(), generators())
def test_where_an_apple_is_thrown_from_does_not_matter(throw, rng):
    _, _, q, tau, m, g = throw
    shift, system = 10 * rng.normal(size=q.shape[-1]), apple(m, g)
    scale = size(system, q, tau) + size(system, q + shift, tau)
    expected = action(system, q, tau) - m * g * shift[-1] * tau
    np.testing.assert_allclose(action(system, q + shift, tau), expected, atol=1e-12 * scale)
    grad = action_grad(system, q, tau)
    h = tau / (q.shape[1] - 1)
    np.testing.assert_allclose(
        action_grad(system, q + shift, tau), grad, atol=1e-12 * (m * 100 / h + np.abs(grad).max())
    )


@given(throws(), powers(-3, 3))
def test_how_heavy_the_apple_is_does_not_matter(throw, factor):
    _, _, q, tau, m, g = throw
    one, other = (action_grad(apple(mass, g), q, tau) for mass in (m, factor * m))
    np.testing.assert_allclose(other, factor * one, rtol=1e-9, atol=1e-12 * factor * np.abs(one).max())


@EVERY_KIND
@given(data=st.data())
def test_upside_down_adds_what_was_taken_away_and_twice_is_as_before(kind, data):
    system, q, duration, _ = data.draw(posed(kind))
    turned = upside_down(system)
    h = duration / (q.shape[1] - 1)
    kinetic = (system.m / (2 * h) * np.diff(q, axis=1) ** 2).sum(axis=(1, 2))
    both = action(system, q, duration) + action(turned, q, duration)
    np.testing.assert_allclose(both, 2 * kinetic, atol=1e-12 * size(system, q, duration))
    for function in (action, action_grad, hessian):
        np.testing.assert_array_equal(function(upside_down(turned), q, duration), function(system, q, duration))
    (T, V), (same, opposite) = energies(system, q, duration), energies(turned, q, duration)
    np.testing.assert_array_equal(same, T)
    np.testing.assert_array_equal(opposite, -V)


# straight lines and parabolas


@given(throws())
def test_straight_paths_are_as_long_as_the_way_in_equal_steps(throw):
    start, end, q, *_ = throw
    n = q.shape[1] - 1
    line = straight(start, end, n)
    assert line.shape == (len(start), n + 1, start.shape[1])
    np.testing.assert_array_equal(line[:, 0], start)
    np.testing.assert_array_equal(line[:, -1], end)
    np.testing.assert_allclose(np.diff(line, axis=1), np.repeat((end - start)[:, None] / n, n, axis=1), atol=1e-13)


@given(throws())
def test_the_parabola_has_the_given_ends_and_everywhere_the_acceleration_of_gravity(throw):
    start, end, q, tau, _, g = throw
    n = q.shape[1] - 1
    path = parabola(start, end, tau, n, g)
    np.testing.assert_array_equal(path[:, 0], start)
    np.testing.assert_array_equal(path[:, -1], end)
    expected = np.zeros_like(path[:, 1:-1])
    expected[..., -1] = -g * (tau / n) ** 2
    np.testing.assert_allclose(np.diff(path, 2, axis=1), expected, atol=1e-12 * (10 + g * tau**2))
    np.testing.assert_array_equal(path[..., :-1], straight(start, end, n)[..., :-1])


@given(throws(), generators())
def test_the_parabola_has_less_action_than_any_other_path_by_the_kinetic_energy_of_the_difference(throw, rng):
    start, end, q, tau, m, g = throw
    n = q.shape[1] - 1
    path = parabola(start, end, tau, n, g)
    other, system = with_ends(path, path[:, 1:-1] + rng.normal(size=q[:, 1:-1].shape)), apple(m, g)
    more = (0.5 * m * n / tau * np.diff(other - path, axis=1) ** 2).sum(axis=(1, 2))
    assert (more > 0).all()
    scale = size(system, other, tau) + size(system, path, tau)
    np.testing.assert_allclose(action(system, other, tau) - action(system, path, tau), more, atol=1e-12 * scale)
    np.testing.assert_array_equal(morse_index(system, other, tau), 0)


# relaxation


@EVERY_METHOD
@FEW
@given(throw=throws())
def test_the_apple_relaxes_to_the_parabola_with_steps_of_any_length(method, throw):
    start, end, q, tau, m, g = throw
    found = relax(apple(m, g), q, tau, method)
    assert type(found) is Inference
    assert found.converged.all()
    exact = parabola(start, end, tau, q.shape[1] - 1, g)
    np.testing.assert_allclose(found.z, exact, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(found.z[:, [0, -1]], q[:, [0, -1]])
    np.testing.assert_array_equal(found.energy, action(apple(m, g), found.z, tau))
    # SciPy's last bits depend on where in memory its arrays are
    again = relax(apple(m, g), q, tau, method).z
    np.testing.assert_allclose(again, found.z, rtol=0, atol=1e-12 if method == "scipy" else 0)


@pytest.mark.parametrize("n", [2, 30])
@EVERY_METHOD
def test_so_it_does_with_two_steps_and_with_many(method, n, rng):
    q = kicked(rng, *ENDS, n, by=3.0)
    np.testing.assert_allclose(relax(apple(), q, 1.2, method).z, parabola(*ENDS, 1.2, n), rtol=0, atol=1e-10)


@EVERY_METHOD
@FEW
@given(throw=throws())
def test_erratum_19_the_least_integral_of_t_plus_v_is_the_mirror_image_an_apple_that_falls_up(method, throw):
    start, end, q, tau, m, g = throw
    n = q.shape[1] - 1
    line, true = straight(start, end, n), parabola(start, end, tau, n, g)
    found = relax(upside_down(apple(m, g)), q, tau, method).z
    np.testing.assert_allclose(found, 2 * line - true, rtol=0, atol=1e-10)


def test_erratum_19_mechanical_energy_is_conserved_on_the_true_path_where_its_integral_is_not_least():
    system, tau, n = apple(), 1.2, 40
    true = parabola(*ENDS, tau, n)
    mirrored = relax(upside_down(system), true, tau, "newton").z
    whole = [action(upside_down(system), path, tau).item() for path in (mirrored, straight(*ENDS, n), true)]
    assert whole[0] < whole[1] < whole[2]
    T, V = energies(system, mirrored, tau)
    assert np.ptp(T + V) > 1.0
    T, V = energies(system, true, tau)
    assert np.ptp(T + V) < 1e-13
    assert (mirrored[0, 1:-1, 1] < true[0, 1:-1, 1]).all()
    assert (np.diff(mirrored[0, :, 1], 2) > 0).all()  # it falls up: its acceleration is + g


@given(throws())
def test_along_the_parabola_the_energy_is_that_of_the_throw(throw):
    start, end, q, tau, m, g = throw
    n = q.shape[1] - 1
    T, V = energies(apple(m, g), parabola(start, end, tau, n, g), tau)
    assert T.shape == V.shape == (len(start), n - 1)
    throw = (end - start) / tau
    throw[:, -1] += g * tau / 2
    expected = m / 2 * (throw**2).sum(axis=1) + m * g * start[:, -1]
    scale = m * ((throw**2).sum() + g * (np.abs(start) + np.abs(end)).sum() + (g * tau) ** 2)
    np.testing.assert_allclose(T + V, np.repeat(expected[:, None], n - 1, axis=1), atol=1e-11 * scale)


LAWS = {
    "pendulum": (pendulum(), [[0.9]], [[-0.4]], 0.8),
    "oscillator": (oscillator(2.0, 5.0), [[1.0, 0.2]], [[-0.3, 0.7]], 1.5),
}
EVERY_LAW = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)


@EVERY_LAW
def test_halving_the_step_quarters_by_how_much_the_energy_varies_along_the_path(law):
    system, start, end, tau = law
    spreads = []
    for n in (32, 64, 128):
        T, V = energies(system, relax(system, straight(start, end, n), tau, "newton").z, tau)
        middle = slice(n // 16 - 1, n - n // 16)  # the same stretch of time whatever n is
        spreads.append(np.ptp((T + V)[0, middle]))
    np.testing.assert_allclose(np.divide(spreads[:-1], spreads[1:]), 4, rtol=0.03)
    assert spreads[-1] < 1e-3 * (T + V).mean()


@EVERY_LAW
def test_all_methods_find_the_one_true_path_before_the_conjugate_point_from_anywhere(law, rng):
    system, start, end, tau = law
    q = np.concatenate([kicked(rng, np.array(start), np.array(end), 12, by) for by in (0.0, 0.1, 1.0)])
    for method in METHODS:
        found = relax(system, q[: 2 if method == "newton" else 3], tau, method)
        assert found.converged.all()
        np.testing.assert_allclose(found.z, np.broadcast_to(found.z[:1], found.z.shape), atol=1e-11)
        np.testing.assert_allclose(found.z[0], relax(system, q[:1], tau, "newton").z[0], atol=1e-11)
        np.testing.assert_array_equal(morse_index(system, found.z, tau), 0)


def test_stepped_on_by_stoermer_and_verlet_from_its_first_two_points_the_relaxed_pendulum_arrives():
    n, tau = 50, 1.7
    path = relax(pendulum(1.0, 2.0, 9.81), straight([[0.5]], [[-1.0]], n), tau, "newton").z[0, :, 0]
    stepped = [path[0], path[1]]
    for _ in range(n - 1):
        stepped.append(2 * stepped[-1] - stepped[-2] - (tau / n) ** 2 * 9.81 / 2.0 * np.sin(stepped[-1]))
    np.testing.assert_allclose(stepped, path, atol=1e-12)


@given(
    generators(), powers(-2, 2), powers(-2, 2), st.integers(0, 4), st.floats(0.1, 0.9), st.integers(8, 30),
    st.integers(1, 3),
)  # fmt: skip
def test_the_oscillators_path_is_its_closed_form_on_both_sides_of_conjugate_points(rng, m, k, passed, part, n, d):
    tau = (passed + part) * np.pi * np.sqrt(m / k)
    phase = 2 * np.arcsin(tau / n / 2 * np.sqrt(k / m))  # of a step: 4 m / h sin^2(phase / 2) = h k
    start, end = rng.normal(size=(2, 2, d))
    expected = oscillation(start, end, phase, np.arange(n + 1))
    found = relax(oscillator(m, k), kicked(rng, start, end, n), tau, "newton")
    assert found.converged.all()
    closeness = abs(np.sin(phase * n))  # to a conjugate point, where rounding errors become large
    np.testing.assert_allclose(found.z, expected, atol=1e-10 * np.abs(expected).max() / closeness)


def test_halving_the_step_brings_it_four_times_nearer_to_the_exact_sine():
    (m, k), (start, end) = (2.0, 5.0), (np.array([[1.0]]), np.array([[-0.3]]))
    for tau in (1.5, 3.0):
        errors = []
        for n in (32, 64, 128):
            exact = oscillation(start, end, tau / n * np.sqrt(k / m), np.arange(n + 1))
            errors.append(np.abs(relax(oscillator(m, k), straight(start, end, n), tau, "newton").z - exact).max())
        np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 4, rtol=0.03)


# gradient descent, step by step


@EVERY_KIND
@given(data=st.data())
def test_a_step_of_gradient_descent_is_as_long_as_the_largest_curvature_allows_and_lowers_the_action(kind, data):
    system, q, duration, _ = data.draw(posed(kind))
    h = duration / (q.shape[1] - 1)
    L = 4 * system.m / h + h * system.stiffest
    trace = relax(system, q, duration, max_iter=3, n_trace=10).trace
    assert trace.shape[1:] == q.shape
    np.testing.assert_array_equal(trace[0], q)
    for before, after in itertools.pairwise(trace):
        grad = action_grad(system, before, duration)
        scale = np.abs(before).max() + np.abs(grad).max() / L
        np.testing.assert_allclose(after[:, 1:-1], before[:, 1:-1] - grad / L, atol=1e-14 * scale)
        np.testing.assert_array_equal(after[:, [0, -1]], q[:, [0, -1]])
        fallen = action(system, before, duration) - action(system, after, duration)
        rounding = 1e-12 * (size(system, before, duration) + size(system, after, duration))
        assert (fallen >= (grad**2).sum(axis=(1, 2)) / (2 * L) - rounding).all()


@FEW
@given(throws())
def test_each_step_of_gradient_descent_brings_the_apple_nearer_by_the_factor_of_the_slowest_sine(throw):
    start, end, q, tau, m, g = throw
    n = q.shape[1] - 1
    trace = relax(apple(m, g), q, tau, max_iter=200, n_trace=200).trace
    away = np.linalg.norm(trace - parabola(start, end, tau, n, g), axis=(2, 3))
    factor = np.cos(np.pi / (2 * n)) ** 2
    bound = factor ** np.arange(len(trace))[:, None] * away[0]
    assert (away <= bound * (1 + 1e-12) + 1e-11).all()


@pytest.mark.parametrize("n", [10, 20, 40])
def test_gradient_descent_takes_about_twelve_times_the_square_of_the_number_of_points(n, rng):
    assert 9 * n**2 < relax(apple(), kicked(rng, *ENDS, n), 1.2).n_iter < 15 * n**2


@pytest.mark.parametrize("n_trace", [0, 1, 2, 7, 1000])
def test_the_trace_holds_the_first_iterates_that_were_asked_for(n_trace, rng):
    q = kicked(rng, *ENDS, 4)
    found, whole = relax(apple(), q, 1.0, n_trace=n_trace), relax(apple(), q, 1.0, n_trace=10**6)
    assert len(whole.trace) == whole.n_iter + 1
    np.testing.assert_array_equal(whole.trace[-1], whole.z)
    np.testing.assert_array_equal(found.trace, whole.trace[:n_trace])
    assert found.trace.shape == (min(n_trace, whole.n_iter + 1), *q.shape)
    np.testing.assert_array_equal(found.z, whole.z)


def test_unless_told_it_is_gradient_descent_of_a_hundred_thousand_steps_at_most_and_no_trace(rng):
    q = kicked(rng, *ENDS, 4)
    usual, told = relax(apple(), q, 1.0), relax(apple(), q, 1.0, "gradient descent", max_iter=100_000, n_trace=0)
    np.testing.assert_array_equal(usual.z, told.z)
    assert usual.n_iter == told.n_iter
    assert usual.trace.shape == (0, *q.shape)


@EVERY_METHOD
def test_what_was_stopped_too_early_has_not_converged(method, rng):
    q, tau = kicked(rng, [[0.5]], [[0.2]], 8, by=0.5), 0.7
    whole = relax(pendulum(), q, tau, method)
    assert whole.converged.all()
    assert whole.n_iter > 1
    short = relax(pendulum(), q, tau, method, max_iter=whole.n_iter - 1)
    assert not short.converged.any()
    assert short.n_iter == whole.n_iter - 1
    just = relax(pendulum(), q, tau, method, max_iter=whole.n_iter)
    assert just.converged.all()
    np.testing.assert_array_equal(just.z, whole.z)


@EVERY_METHOD
def test_converged_means_that_a_step_of_gradient_descent_would_move_nothing_but_rounding_errors(method, rng):
    q, tau, n = kicked(rng, [[0.5]], [[0.2]], 8, by=0.5), 0.7, 8
    found = relax(pendulum(), q, tau, method, n_trace=10**6)
    rate = 1 / (4 * n / tau + tau / n * 9.81)
    moves = [np.abs(rate * action_grad(pendulum(), path, tau)).max() for path in (found.z, found.trace[-2])]
    bounds = [8 * np.finfo(float).eps * np.abs(path).max() for path in (found.z, found.trace[-2])]
    assert moves[0] <= bounds[0]
    assert moves[1] > bounds[1]


def test_each_path_of_a_batch_converges_on_its_own(rng):
    there, away = parabola(*ENDS, 1.2, 5), kicked(rng, *ENDS, 5)
    found = relax(apple(), np.concatenate([there, away]), 1.2, max_iter=3)
    np.testing.assert_array_equal(found.converged, [True, False])
    assert found.n_iter == 3
    assert relax(apple(), there, 1.2).n_iter == 0


# past the conjugate point


@given(st.integers(0, 5), st.floats(0.1, 0.9), st.integers(1, 3), powers(-2, 2), powers(-2, 2), generators())
def test_the_index_of_the_oscillator_counts_the_half_periods_passed_once_a_direction(passed, part, d, m, k, rng):
    n = 20 * (passed + 1)
    q, tau = rng.normal(size=(2, n + 1, d)), (passed + part) * np.pi * np.sqrt(m / k)
    np.testing.assert_array_equal(morse_index(oscillator(m, k), q, tau), d * passed)
    np.testing.assert_array_equal(morse_index(upside_down(oscillator(m, k)), q, tau), 0)


@pytest.mark.parametrize("passed", range(4))
def test_so_does_that_of_a_pendulum_at_rest_and_upright_it_stays_zero(passed):
    q = at_rest(20 * (passed + 1))
    for part in (0.02, 0.98):
        tau = (passed + part) * HALF_PERIOD
        assert morse_index(pendulum(), q, tau).item() == passed
        assert morse_index(pendulum(), q + np.pi, tau).item() == 0
        assert morse_index(pendulum(3.0, 4.0), q, 2 * tau).item() == passed  # a rod of 4 m swings half as fast


@given(generators(), powers(-2, 2), powers(-2, 2), st.floats(0.2, 1.8), st.integers(10, 20), powers(-3, 3))
def test_along_the_first_sine_the_action_of_the_oscillator_is_a_parabola_that_opens_downwards_past_half_a_period(
    rng, m, k, halves, n, amplitude
):
    tau = halves * np.pi * np.sqrt(m / k)
    start, end = rng.normal(size=(2, 1, 2))
    true = oscillation(start, end, 2 * np.arcsin(tau / n / 2 * np.sqrt(k / m)), np.arange(n + 1))
    u = sines(n, 1)[0][:, None] * rng.normal(size=2)
    other = with_ends(true, true[:, 1:-1] + amplitude * u)
    scale = size(oscillator(m, k), true, tau) + size(oscillator(m, k), other, tau)
    change = action(oscillator(m, k), other, tau) - action(oscillator(m, k), true, tau)
    value = eigenvalues(m, k, tau, n)[0]
    np.testing.assert_allclose(change, value / 2 * amplitude**2 * (u**2).sum(), atol=1e-12 * scale)
    assert value > 0 if halves < 0.99 else value < 0 if halves > 1.01 else True


@pytest.mark.parametrize("passed", [1, 2, 3])
def test_past_it_newton_finds_the_true_path_of_the_oscillator_and_it_is_a_saddle(passed, rng):
    tau, n, start, end = (passed + 0.5) * np.pi, 40, np.array([[1.0]]), np.array([[0.3]])
    found = relax(oscillator(), kicked(rng, start, end, n), tau, "newton")
    assert found.converged.all()
    exact = oscillation(start, end, tau / n, np.arange(n + 1))
    assert np.abs(found.z - exact).max() < 0.1 * np.abs(exact).max()
    assert morse_index(oscillator(), found.z, tau).item() == passed
    for nearness in (1e-3, 1.0):
        down, up = (
            with_ends(found.z, found.z[:, 1:-1] + nearness * sine[:, None]) for sine in sines(n, passed + 1)[[0, -1]]
        )
        assert action(oscillator(), down, tau).item() < found.energy.item() < action(oscillator(), up, tau).item()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_past_it_gradient_descent_on_the_oscillator_says_that_there_is_no_minimum(dtype, rng):
    q = kicked(rng, np.array([[1.0]]), np.array([[0.3]]), 12).astype(dtype)
    with pytest.raises(FloatingPointError, match="no minimum of S"):
        relax(oscillator(), q, 2.5 * np.pi)


@pytest.mark.parametrize("method", ["gradient descent", "scipy"])
@pytest.mark.parametrize("by", [1e-6, 0.1, 2.0])
def test_past_half_a_period_the_pendulum_leaves_rest_for_a_swing_of_less_action_or_its_mirror_image(method, by, rng):
    n, tau = 20, 1.5 * HALF_PERIOD
    rest = relax(pendulum(), at_rest(n), tau)
    assert rest.n_iter == 0  # stationary
    assert rest.converged.all()
    assert morse_index(pendulum(), rest.z, tau).item() == 1
    q = by * np.abs(at_rest(n, rng, 1.0))
    found, mirrored = (relax(pendulum(), sign * q, tau, method) for sign in (1, -1))
    for swing in (found, mirrored):
        assert swing.converged.all()
        assert swing.energy.item() < rest.energy.item() - 0.1
        assert morse_index(pendulum(), swing.z, tau).item() == 0
    np.testing.assert_allclose(mirrored.z, -found.z, atol=1e-11)
    assert (found.z[0, 1:-1] > 0.1).all()


def test_before_half_a_period_rest_is_where_newton_goes_and_no_path_has_less_action(rng):
    n, tau = 20, 0.9 * HALF_PERIOD
    q = at_rest(n, rng, 0.3)
    found = relax(pendulum(), q, tau, "newton")
    assert found.converged.all()
    np.testing.assert_allclose(found.z, 0, atol=1e-15)
    assert (action(pendulum(), np.concatenate([at_rest(n, rng, by) for by in (1e-3, 0.1, 1.0, 10.0)]), tau) > 0).all()


def test_the_swing_is_as_wide_as_the_complete_elliptic_integral_says():
    # half a period of amplitude A lasts 2 sqrt(length / g) K(sin^2(A / 2))
    length, g, A = 2.0, 9.81, 1.3
    tau, errors = 2 * np.sqrt(length / g) * ellipk(np.sin(A / 2) ** 2), []
    for n in (16, 32, 64):
        q = A * np.sin(np.pi * np.linspace(0, 1, n + 1))[None, :, None]
        q[:, -1] = 0
        errors.append(relax(pendulum(1.0, length, g), q, tau, "newton").z.max() - A)
    np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 4, rtol=0.05)
    assert abs(errors[-1]) < 1e-3


def test_newton_at_a_conjugate_point_says_so():
    # m = 2, k = 4, h = 1: H = 2 m / h - h k = 0
    words = r"^Newton's method met a conjugate point, where the Hessian has no inverse$"
    with pytest.raises(FloatingPointError, match=words):
        relax(oscillator(2.0, 4.0), [[[1.0], [0.0], [2.0]]], 2.0, "newton")


def test_where_both_ends_are_rest_gradient_descent_comes_to_rest(rng):
    for system, tau in ((oscillator(), 1.0), (pendulum(), 0.5), (upside_down(oscillator()), 5.0)):
        found = relax(system, at_rest(12, rng, 1.0), tau)
        assert found.converged.all()
        assert found.n_iter < 50 * 12**2
        np.testing.assert_allclose(found.z, 0, atol=1e-15)


@pytest.mark.parametrize("end", [0.0, 0.3])
def test_scipy_takes_no_saddle_for_a_minimum(end, rng):
    q = kicked(rng, np.array([[end]]), np.array([[2 * end]]), 8)
    assert not relax(oscillator(), q, 1.3 * np.pi, "scipy").converged.any()
    assert relax(oscillator(), q, 0.7 * np.pi, "scipy").converged.all()


def test_where_the_action_overflows_there_is_one_message(rng):
    # so far past the conjugate point that each step makes the path longer by nine tenths: 1e154 after 550 of them
    q = kicked(rng, np.array([[1.0]]), np.array([[0.3]]), 3)
    found = relax(oscillator(), q, 20.0, max_iter=500)
    assert not found.converged.any()
    assert np.isfinite(found.energy).all()
    for max_iter in (700, 5000):
        with pytest.raises(FloatingPointError, match=r"^relaxation diverged in step \d+: no minimum of S"):
            relax(oscillator(), q, 20.0, max_iter=max_iter)


@pytest.mark.parametrize("d", [2, 3])
def test_several_pendulums_know_nothing_of_one_another(d, rng):
    q, system = rng.normal(size=(2, 6, d)), pendulum(0.5, 2.0)
    alone = sum(action(system, q[..., [i]], 1.3) for i in range(d))
    np.testing.assert_allclose(action(system, q, 1.3), alone, rtol=1e-12)
    check = gradient_check(
        lambda inner: action(system, with_ends(q, inner), 1.3).sum(), action_grad(system, q, 1.3), q[:, 1:-1]
    )
    assert check.passed, check


# batches, memory, kinds of numbers


@EVERY_KIND
@given(data=st.data())
def test_a_batch_is_its_paths_one_by_one(kind, data):
    system, q, duration, rng = data.draw(posed(kind))
    u = rng.normal(size=q[:, 1:-1].shape)
    for function in (action, action_grad, hessian, morse_index, partial(stacked, energies)):
        found = function(system, q, duration)
        alone = np.concatenate([function(system, path[None], duration) for path in q])
        np.testing.assert_allclose(found, alone, rtol=1e-12, atol=1e-12 * np.abs(alone).max())
    alone = np.concatenate([action_hess_vec(system, q[[i]], duration, u[[i]]) for i in range(len(q))])
    np.testing.assert_allclose(action_hess_vec(system, q, duration, u), alone, rtol=1e-13)


@pytest.mark.parametrize("method", ["gradient descent", "newton"])
def test_a_potential_that_overflows_does_so_too(method):
    steep = System(
        1.0, lambda q: np.exp(q).sum(axis=-1), np.exp, lambda q, u: np.exp(q) * u, 1.0
    )  # V' = infinity, V'' u = infinity times 0
    with pytest.raises(FloatingPointError, match=r"^relaxation diverged in step 1: no minimum of S"):
        relax(steep, [[[0.0], [800.0], [800.0], [0.0]]], 1.0, method)


def test_small_paths_beside_large_ones_come_to_rest_as_they_do_alone():
    q = np.sin(np.linspace(0, np.pi, 7))[:, None] * np.array([1.0, 1e-9])[:, None, None]
    n_iter = relax(oscillator(), q[1:], 1.0).n_iter
    for max_iter, arrived in ((n_iter - 1, False), (n_iter, True)):
        assert relax(oscillator(), q, 1.0, max_iter=max_iter).converged[1] == arrived


def stacked(function, *arguments):
    return np.stack(function(*arguments), axis=-1)


@EVERY_METHOD
def test_so_is_the_relaxation_of_a_batch(method, rng):
    start, end = rng.normal(size=(2, 4, 1))
    q = kicked(rng, start, end, 8, by=0.3)
    found = relax(pendulum(), q, 0.7, method)
    alone = [relax(pendulum(), path[None], 0.7, method) for path in q]
    np.testing.assert_allclose(found.z, np.concatenate([one.z for one in alone]), atol=1e-12)
    np.testing.assert_allclose(found.energy, np.concatenate([one.energy for one in alone]), atol=1e-12)
    assert found.n_iter == max(one.n_iter for one in alone)


def test_arguments_are_never_written_to(rng):
    q, u = read_only((kicked(rng, *ENDS, 6), rng.normal(size=(1, 5, 2))))
    for system in (apple(), oscillator(), upside_down(apple())):
        for function in (action, action_grad, hessian, morse_index, energies):
            function(system, q, 1.0)
        action_hess_vec(system, q, 1.0, u)
        for method in METHODS:
            relax(system, q, 1.0, method, n_trace=3)
    straight(*read_only(ENDS), 4)
    parabola(*read_only(ENDS), 1.0, 4)


def test_what_is_returned_is_the_callers_own(rng):
    q = kicked(rng, *ENDS, 6)
    found = relax(apple(), q, 1.0, n_trace=3)
    assert not any(np.shares_memory(a, q) for a in (found.z, found.trace))


@pytest.mark.parametrize(("given", "kept"), [(np.float32, np.float32), (np.float64, np.float64), (int, np.float64)])
@pytest.mark.parametrize("kind", KINDS)
def test_single_precision_is_kept_and_everything_else_becomes_double(kind, given, kept):
    system = build(kind, 0.7, 2.1, 1.3)
    q = np.array([[[0], [2], [1], [1]], [[1], [0], [0], [-1]]], given)
    u = np.array([[[1], [2]], [[0], [-1]]], given)
    results = [action(system, q, 0.5), action_grad(system, q, 0.5), hessian(system, q, 0.5)]
    results += [action_hess_vec(system, q, 0.5, u), *energies(system, q, 0.5)]
    for method in METHODS:
        found = relax(system, q, 0.5, method, n_trace=3)
        assert found.converged.all()
        results += [found.z, found.energy, found.trace, relax(system, q, 0.5, method).trace]
    assert {a.dtype for a in results} == {np.dtype(kept)}
    ends = np.array([[0], [1]], given), np.array([[3], [1]], given)
    assert {straight(*ends, 3).dtype, parabola(*ends, 1.0, 3).dtype} == {np.dtype(kept)}


@EVERY_METHOD
def test_single_precision_says_the_same_to_its_digits(method, rng):
    q = kicked(rng, *ENDS, 8)
    found, expected = (relax(apple(), paths, 1.2, method).z for paths in (q.astype(np.float32), q))
    np.testing.assert_allclose(found, expected, atol=1e-3 if method == "gradient descent" else 1e-5)


def test_lists_are_paths_too():
    q = [[[0.0], [1.0], [0.0]]]
    np.testing.assert_array_equal(action(oscillator(), q, 2.0), action(oscillator(), np.array(q), 2.0))
    np.testing.assert_array_equal(action_hess_vec(oscillator(), q, 2.0, [[[1.0]]]), [[[1.0]]])
    np.testing.assert_array_equal(straight([[0]], [[1]], 2), [[[0.0], [0.5], [1.0]]])


# bad input

PATH = np.linspace(0.0, 1.0, 4).reshape(1, 4, 1)
DOORS = {
    "action": action,
    "action_grad": action_grad,
    "action_hess_vec": lambda system, q, duration: action_hess_vec(system, q, duration, np.ones((1, 2, 1))),
    "hessian": hessian,
    "morse_index": morse_index,
    "energies": energies,
    "relax": relax,
}
EVERY_DOOR = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)


@EVERY_DOOR
@pytest.mark.parametrize("system", [None, "apple", apple, (1.0, None, None, None, 0.0)])
def test_what_is_not_a_system_is_refused_by_name(door, system):
    with pytest.raises(TypeError, match=r"^system: expected mechanics\.System, got"):
        door(system, PATH, 1.0)


@EVERY_DOOR
@pytest.mark.parametrize(
    ("q", "error", "words"),
    [
        (np.where(PATH == 1, np.nan, PATH), ValueError, "expected finite numbers"),
        (np.where(PATH == 0, np.inf, PATH), ValueError, "expected finite numbers"),
        (PATH[0], ValueError, r"expected shape \(N, n \+ 1, d\), got shape \(4, 1\)"),
        (PATH[None], ValueError, r"expected shape \(N, n \+ 1, d\)"),
        (PATH[:, :2], ValueError, "expected paths of at least two steps, three points, got 2"),
        (PATH[:0], ValueError, "expected at least one number"),
        (PATH[..., :0], ValueError, "expected at least one number"),
        ([[[0.0], [1.0, 2.0], [3.0]]], ValueError, r"expected shape \(N, n \+ 1, d\), got rows of unequal length"),
        (None, TypeError, "expected real numbers, got NoneType"),
        ("path", TypeError, "expected real numbers, got str"),
    ],
)
def test_what_is_not_a_batch_of_paths_is_refused_by_name(door, q, error, words):
    with pytest.raises(error, match=f"^q: {words}"):
        door(oscillator(), q, 1.0)


@EVERY_DOOR
@pytest.mark.parametrize("duration", [0, 0.0, -1.0, np.nan, np.inf])
def test_a_duration_that_is_not_positive_is_refused_by_name(door, duration):
    with pytest.raises(ValueError, match=r"^duration: expected a positive finite number"):
        door(oscillator(), PATH, duration)


@EVERY_DOOR
@pytest.mark.parametrize("duration", [None, "1", [1.0], True])
def test_a_duration_that_is_no_number_is_refused_by_name(door, duration):
    with pytest.raises(TypeError, match=r"^duration: expected a real number"):
        door(oscillator(), PATH, duration)


@pytest.mark.parametrize(
    ("u", "error"),
    [
        (np.ones((1, 4, 1)), ValueError),
        (np.ones((1, 2, 2)), ValueError),
        (np.ones((2, 2, 1)), ValueError),
        (np.ones((2, 1)), ValueError),
        (np.full((1, 2, 1), np.nan), ValueError),
        (None, TypeError),
    ],
)
def test_a_change_of_another_shape_than_the_points_between_the_ends_is_refused_by_name(u, error):
    with pytest.raises(error, match=r"^u: expected"):
        action_hess_vec(oscillator(), PATH, 1.0, u)


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"method": "leapfrog"}, ValueError, "method"),
        ({"method": None}, ValueError, "method"),
        ({"max_iter": 0}, ValueError, "max_iter"),
        ({"max_iter": 2.5}, TypeError, "max_iter"),
        ({"n_trace": -1}, ValueError, "n_trace"),
        ({"n_trace": None}, TypeError, "n_trace"),
    ],
)
def test_options_of_relaxation_that_make_no_sense_are_refused_by_name(options, error, name):
    with pytest.raises(error, match=f"^{name}: expected"):
        relax(apple(), PATH, 1.0, **options)


@pytest.mark.parametrize(
    ("make", "names", "zero_allowed"),
    [(apple, "mg", "g"), (oscillator, "mk", ""), (pendulum, ("m", "length", "g"), "")],
)
def test_constants_of_nature_that_make_no_sense_are_refused_by_name(make, names, zero_allowed):
    for name in names:
        for value in (-1.0, np.nan, np.inf, *([] if name in zero_allowed else [0.0])):
            with pytest.raises(ValueError, match=f"^{name}: expected"):
                make(**{name: value})
        for value in (None, "1"):
            with pytest.raises(TypeError, match=f"^{name}: expected"):
                make(**{name: value})
    assert isinstance(make(**dict.fromkeys(names, 2)), System)
    assert isinstance(apple(g=0), System)


@pytest.mark.parametrize("make", [partial(straight, n=4), partial(parabola, duration=1.0, n=4)])
@pytest.mark.parametrize("bad", [np.ones(2), np.full((1, 2), np.nan), np.ones((0, 2)), [[1.0], [1.0, 2.0]]])
def test_ends_that_make_no_sense_are_refused_by_name(make, bad):
    with pytest.raises(ValueError, match=r"^start: expected"):
        make(start=bad, end=ENDS[1])
    with pytest.raises(ValueError, match=r"^end: expected"):
        make(start=ENDS[0], end=bad)
    for other in (np.ones((2, 2)), np.ones((1, 3))):
        with pytest.raises(ValueError, match=r"^end: expected shape \(1, 2\), got shape"):
            make(start=ENDS[0], end=other)
    with pytest.raises(TypeError, match=r"^start: expected real numbers"):
        make(start=None, end=ENDS[1])


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"n": 1}, ValueError, "n"),
        ({"n": 2.0}, TypeError, "n"),
        ({"duration": 0.0}, ValueError, "duration"),
        ({"duration": np.nan}, ValueError, "duration"),
        ({"g": -9.81}, ValueError, "g"),
        ({"g": None}, TypeError, "g"),
    ],
)
def test_parabolas_of_no_steps_no_time_or_negative_gravity_are_refused_by_name(options, error, name):
    with pytest.raises(error, match=f"^{name}: expected"):
        parabola(*ENDS, **({"duration": 1.0, "n": 4} | options))
    if name == "n":
        with pytest.raises(error, match=r"^n: expected"):
            straight(*ENDS, **options)


@EVERY_DOOR
@pytest.mark.parametrize("largest", [1e160, -1e300])
def test_numbers_whose_squares_are_not_finite_are_refused_by_name(door, largest):
    with pytest.raises(ValueError, match=r"^q: expected numbers up to"):
        door(oscillator(), largest * PATH, 1.0)


@pytest.mark.parametrize("door", [relax, morse_index, partial(relax, method="newton")])
def test_complex_paths_are_for_the_complex_step_alone(door):
    with pytest.raises(TypeError, match=r"^q: expected real numbers, got an array of complex128"):
        door(oscillator(), PATH + 0j, 1.0)


@pytest.mark.parametrize("make", [partial(straight, n=4), partial(parabola, duration=1.0, n=4)])
def test_the_shape_of_the_ends_is_answered_in_the_letters_of_the_page(make):
    with pytest.raises(ValueError, match=r"^start: expected shape \(N, d\), got shape \(2,\)$"):
        make(start=np.ones(2), end=np.ones(2))


@EVERY_DOOR
@pytest.mark.parametrize("field", ["m", "stiffest"])
def test_a_system_of_ones_own_is_checked_too(door, field):
    with pytest.raises(ValueError, match=rf"^system.{field}: expected"):
        door(oscillator()._replace(**{field: -1.0}), PATH, 1.0)
    with pytest.raises(TypeError, match=rf"^system.{field}: expected"):
        door(oscillator()._replace(**{field: None}), PATH, 1.0)
    for function in ("value", "slope", "curvature"):
        with pytest.raises(TypeError, match=rf"^system.{function}: expected"):
            door(oscillator()._replace(**{function: 1.0}), PATH, 1.0)


def test_a_rod_and_a_duration_beyond_the_largest_number_are_refused_by_name():
    with pytest.raises(ValueError, match=r"^length: expected"):
        pendulum(length=1e200)
    with pytest.raises(ValueError, match=r"^duration: expected"):
        parabola(*ENDS, 1e300, 4)
    for duration in (1e300, 1e-300):
        with pytest.raises(ValueError, match=r"^duration: expected steps h with h and m / h below"):
            action(oscillator(), PATH, duration)


def test_a_pendulum_of_unit_mass_and_length_is_on_earth_and_an_oscillator_of_unit_stiffness_unless_told():
    q = np.array([[[0.0], [1.0], [0.5]]])
    for usual, told in (
        (pendulum(), pendulum(1.0, 1.0, 9.81)),
        (oscillator(), oscillator(1.0, 1.0)),
        (apple(), apple(0.1, 9.81)),
    ):
        assert usual.m == told.m
        np.testing.assert_array_equal(action(usual, q, 1.0), action(told, q, 1.0))
