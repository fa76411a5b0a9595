import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import arrays, betas

from ebm_np.foundations.gradient_check import complex_step
from ebm_np.latent import ellipse, losses
from ebm_np.latent.ellipse import LECTURE_SAMPLE, Params

LOSSES = {"energy": losses.energy_loss(), "hinge": losses.hinge_loss(0.7), "log": losses.log_loss()}
ANY_LOSS = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
energies = arrays(5, largest=50)


@ANY_LOSS
@given(f=energies, f_hat=energies)
def test_slopes_are_the_derivatives_of_the_loss(loss, f, f_hat):
    assume((np.abs(0.7 - (f_hat - f)) > 1e-9).all())  # the hinge's kink
    one = np.ones_like(f)
    slope, slope_hat = loss.slopes(f, f_hat)
    np.testing.assert_allclose(slope, complex_step(lambda f: loss.value(f, f_hat), f, one), rtol=1e-12, atol=1e-300)
    numeric = complex_step(lambda f_hat: loss.value(f, f_hat) + 0 * f_hat, f_hat, one)
    np.testing.assert_allclose(slope_hat, numeric, rtol=1e-12, atol=1e-300)


@given(f=energies, f_hat=energies)
def test_values_are_those_of_the_lecture(f, f_hat):
    np.testing.assert_array_equal(LOSSES["energy"].value(f, f_hat), f)
    by_hand = [max(0.0, 0.7 - (b - a)) for a, b in zip(f, f_hat, strict=True)]
    np.testing.assert_allclose(LOSSES["hinge"].value(f, f_hat), by_hand, rtol=1e-14)
    np.testing.assert_allclose(LOSSES["log"].value(f, f_hat), np.logaddexp(0, f - f_hat), rtol=1e-13)


@given(f=energies, f_hat=energies)
def test_contrastive_losses_pull_y_down_as_much_as_they_push_y_hat_up(f, f_hat):
    for name in ("hinge", "log"):
        slope, slope_hat = LOSSES[name].slopes(f, f_hat)
        np.testing.assert_array_equal(slope, -slope_hat)
        assert (slope >= 0).all()


def test_by_default_the_hinge_asks_for_a_margin_of_one_and_where_it_is_just_kept_pushes_no_more():
    f, f_hat = np.zeros(3), np.array([-1.0, 0.0, 1.0])
    np.testing.assert_array_equal(losses.hinge_loss().value(f, f_hat), [2, 1, 0])
    np.testing.assert_array_equal(losses.hinge_loss().slopes(f, f_hat), [[1, 1, 0], [-1, -1, 0]])


@ANY_LOSS
def test_energies_of_single_precision_have_losses_and_slopes_of_single_precision(loss):
    f = np.array([1.0, 2.0], np.float32)
    assert {a.dtype for a in (loss.value(f, f[::-1]), *loss.slopes(f, f[::-1]))} == {np.dtype(np.float32)}


def test_log_loss_does_not_overflow():
    f = np.array([1e4, -1e4])
    assert LOSSES["log"].value(f, -f).tolist() == [2e4, 0.0]


def free_energy(params, beta):
    return lambda y: ellipse.free_energy(params, y, beta)


@ANY_LOSS
@given(w=arrays(2, largest=2, smallest=0.1), beta=betas(0.1, 10), seed=st.integers(0, 99))
def test_gradient_of_the_functional_is_the_chain_rule(loss, w, beta, seed):
    y = LECTURE_SAMPLE[:6]
    y_hat = y + np.random.default_rng(seed).normal(size=y.shape)
    params = Params(w)
    value, grads = losses.functional_and_grad(
        loss,
        free_energy(params, beta),
        lambda y, c: ellipse.free_energy_grad_params(params, y, beta, c),
        y,
        y_hat,
    )

    def functional(w):  # per sample, so that the complex step passes through the loss and not through a float()
        return loss.value(free_energy(Params(w), beta)(y), free_energy(Params(w), beta)(y_hat)).mean()

    assert value == pytest.approx(losses.functional(loss, free_energy(params, beta), y, y_hat), rel=1e-14)
    assert value == pytest.approx(functional(w), rel=1e-14)
    margins = 0.7 - (free_energy(params, beta)(y_hat) - free_energy(params, beta)(y))
    assume((np.abs(margins) > 1e-6).all())
    numeric = [complex_step(functional, w, d) for d in np.eye(2)]
    np.testing.assert_allclose(grads.w, numeric, rtol=1e-11, atol=1e-13)


def test_contrastive_losses_ask_for_y_hat():
    for name in ("hinge", "log"):
        with pytest.raises(ValueError, match=r"^y_hat: expected as many points as y has, 3, got 1$"):
            losses.functional(LOSSES[name], lambda y: y.sum(axis=1), LECTURE_SAMPLE[:3], LECTURE_SAMPLE[:1])
        with pytest.raises(ValueError, match=r"^y_hat: expected contrastive points for this loss, got None$"):
            losses.functional(LOSSES[name], free_energy(ellipse.UNTRAINED, 1.0), LECTURE_SAMPLE)


def test_the_energy_loss_needs_none():
    expected = ellipse.free_energy(ellipse.UNTRAINED, LECTURE_SAMPLE, 1.0).mean()
    assert losses.functional(LOSSES["energy"], free_energy(ellipse.UNTRAINED, 1.0), LECTURE_SAMPLE) == pytest.approx(
        expected
    )


@pytest.mark.parametrize("margin", [0.0, -1.0, np.nan, np.inf])
def test_a_margin_that_is_none_is_refused(margin):
    with pytest.raises(ValueError, match=r"^margin: "):
        losses.hinge_loss(margin)


def test_drawing_contrast_needs_a_function_and_a_generator(rng):
    assert losses.contrast_drawer(LOSSES["energy"], None, None)(LECTURE_SAMPLE) is None
    with pytest.raises(ValueError, match=r"^contrast: expected a function \(rng, y\) -> y_hat .*, got None$"):
        losses.contrast_drawer(LOSSES["log"], None, rng)
    with pytest.raises(TypeError, match=r"^rng: "):
        losses.contrast_drawer(LOSSES["log"], lambda rng, y: y, None)
    drawn = losses.contrast_drawer(LOSSES["log"], lambda rng, y: y + 1, rng)(LECTURE_SAMPLE)
    np.testing.assert_array_equal(drawn, LECTURE_SAMPLE + 1)


@ANY_LOSS
@given(seed=st.integers(0, 99), rows=st.lists(st.integers(0, 7), min_size=1, max_size=8, unique=True))
def test_the_objective_of_a_batch_is_the_functional_of_its_samples_with_their_own_inputs(loss, seed, rows):
    # F(x, y) = (y - w x)^2
    rng = np.random.default_rng(seed)
    x, y, w, rows = rng.normal(size=8), rng.normal(size=8), (np.array(0.7),), np.array(rows)

    def free_energy(w, rows, y):
        return (y - w[0] * x[rows]) ** 2

    def grad(w, rows, y, c):
        return (np.sum(-2 * c * x[rows] * (y - w[0] * x[rows])),)

    objective = losses.objective(loss, lambda rng, y: y + 0.3, rng, y, free_energy, grad)
    value, (slope,) = objective(w, rows)

    def mean_loss(a):
        return loss.value((y[rows] - a * x[rows]) ** 2, (y[rows] + 0.3 - a * x[rows]) ** 2).mean()

    assert value == pytest.approx(mean_loss(0.7), rel=1e-14)
    assert slope == pytest.approx(complex_step(mean_loss, 0.7, 1.0), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("name", ["hinge", "log"])
def test_contrastive_training_does_not_collapse_where_the_energy_loss_does(name):
    options = {"beta": 0.1, "n_epochs": 300, "batch_size": None}
    collapsed = ellipse.fit(ellipse.UNTRAINED, LECTURE_SAMPLE, **options).params
    kept = ellipse.fit(
        ellipse.UNTRAINED,
        LECTURE_SAMPLE,
        np.random.default_rng(0),
        loss=LOSSES[name],
        contrast=lambda rng, y: y + rng.normal(size=y.shape),
        **options,
    ).params
    assert np.abs(collapsed.w).max() < 1e-3
    assert np.abs(kept.w).min() > 1


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("free_energy", lambda: losses.functional(losses.energy_loss(), 3, np.ones((2, 1)))),
        ("free_energy", lambda: losses.functional_and_grad(losses.energy_loss(), 3, abs, np.ones((2, 1)))),
        (
            "free_energy_grad_params",
            lambda: losses.functional_and_grad(losses.energy_loss(), lambda y: y[:, 0], 3, np.ones((2, 1))),
        ),
        ("free_energy", lambda: losses.objective(None, None, None, np.ones((2, 1)), 3, abs)),
        ("free_energy_grad_params", lambda: losses.objective(None, None, None, np.ones((2, 1)), abs, 3)),
        ("contrast", lambda: losses.contrast_drawer(losses.hinge_loss(), 3, np.random.default_rng(0))),
    ],
)
def test_what_is_no_function_is_refused_by_name(name, call):
    with pytest.raises(TypeError, match=rf"^{name}: expected a function, got int$"):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda loss: losses.functional(loss, abs, np.ones((2, 1))),
        lambda loss: losses.contrast_drawer(loss, None, None),
    ],
)
def test_a_loss_is_two_functions(call):
    with pytest.raises(TypeError, match=r"^loss: expected losses.Loss, got str$"):
        call("hinge")
    for field in ("value", "slopes"):
        with pytest.raises(TypeError, match=rf"^loss.{field}: expected a function, got int$"):
            call(losses.energy_loss()._replace(**{field: 3}))
