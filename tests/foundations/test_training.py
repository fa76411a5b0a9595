import re
from typing import NamedTuple

import numpy as np
import pytest
from guards import peak
from hypothesis import given
from hypothesis import strategies as st
from strategies import arrays, generators

from ebm_np.foundations import training
from ebm_np.foundations.optimizers import Optimizer, adam, gradient_descent
from ebm_np.foundations.results import Fit
from ebm_np.foundations.training import batches, minimize

STAND_STILL = Optimizer(lambda params: (), lambda params, grads, state: (params, state))
ns, sizes = st.integers(1, 20), st.one_of(st.none(), st.integers(1, 25))


class Params(NamedTuple):
    mean: np.ndarray


def distance_to(data):
    """The loss (1/2) (theta - x_n)^2, whose minimiser is the mean of the data."""

    def loss_and_grad(params, batch):
        difference = params.mean - data[batch]
        return float(np.mean(difference**2) / 2), Params(difference.mean(keepdims=True))

    return loss_and_grad


# batches


@given(ns, sizes, st.one_of(st.none(), generators()))
def test_an_epoch_visits_every_sample_once_in_batches_of_which_only_the_last_is_smaller(n, size, rng):
    epoch = list(batches(n, size, rng))
    assert sorted(np.concatenate(epoch)) == list(range(n))
    full = min(n, size or n)
    assert [len(batch) for batch in epoch[:-1]] == [full] * (len(epoch) - 1)
    assert 1 <= len(epoch[-1]) <= full


@given(ns, sizes)
def test_without_a_generator_the_order_is_as_listed(n, size):
    assert np.concatenate(list(batches(n, size, None))).tolist() == list(range(n))


def test_all_samples_are_one_batch_if_no_size_is_given():
    assert [batch.tolist() for batch in batches(3, None, None)] == [[0, 1, 2]]


def test_with_a_generator_every_order_is_equally_likely():
    rng = np.random.default_rng(0)
    orders = [tuple(np.concatenate(list(batches(3, 2, rng)))) for _ in range(6000)]
    counts = np.unique(orders, axis=0, return_counts=True)[1]
    assert len(counts) == 6
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)


# the loop


@given(st.integers(1, 20).flatmap(arrays), sizes, st.integers(1, 4), st.one_of(st.none(), generators()))
def test_while_nothing_moves_history_is_the_mean_loss_over_samples_however_they_are_batched(data, size, n_epochs, rng):
    fit = minimize(
        distance_to(data),
        Params(np.ones(1)),
        len(data),
        optimizer=STAND_STILL,
        n_epochs=n_epochs,
        batch_size=size,
        rng=rng,
    )
    assert type(fit) is Fit
    assert fit.history.shape == (n_epochs,)
    np.testing.assert_allclose(fit.history, np.mean((1 - data) ** 2 / 2), rtol=1e-12)


@given(arrays(5, largest=10.0), st.floats(0.01, 1), st.integers(1, 20))
def test_full_batch_descent_approaches_the_mean_geometrically(data, rate, n_epochs):
    fit = minimize(distance_to(data), Params(np.array([20.0])), 5, optimizer=gradient_descent(rate), n_epochs=n_epochs)
    expected = data.mean() + (1 - rate) ** n_epochs * (20 - data.mean())
    assert fit.params.mean[0] == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_history_holds_the_loss_before_each_step_not_after():
    fit = minimize(distance_to(np.zeros(1)), Params(np.array([2.0])), 1, optimizer=gradient_descent(0.5), n_epochs=3)
    assert fit.history.tolist() == [2.0, 0.5, 0.125]


@given(ns, sizes, st.integers(1, 3))
def test_there_is_one_step_a_batch_each_from_where_the_last_one_ended(n, size, n_epochs):
    steps = []

    def step(params, grads, state):
        steps.append((params, state))
        return Params(params.mean + 1), state + 10

    fit = minimize(
        lambda params, batch: (0.0, params),
        Params(np.zeros(1)),
        n,
        optimizer=Optimizer(lambda params: 7, step),
        n_epochs=n_epochs,
        batch_size=size,
    )
    expected = n_epochs * -(-n // (size or n))
    assert [(params.mean[0], state) for params, state in steps] == [(i, 7 + 10 * i) for i in range(expected)]
    assert fit.params.mean == expected


def test_the_gradient_of_a_batch_reaches_the_step_with_the_parameters_it_was_taken_at():
    seen = []

    def loss_and_grad(params, batch):
        return 0.0, Params(params.mean * 100 + batch)

    def step(params, grads, state):
        seen.append((params.mean[0], grads.mean[0]))
        return Params(params.mean + 1), state

    minimize(loss_and_grad, Params(np.zeros(1)), 3, optimizer=Optimizer(lambda p: (), step), n_epochs=1, batch_size=1)
    assert seen == [(0, 0), (1, 101), (2, 202)]


def fitted(seed):
    data, rng = np.arange(10.0), np.random.default_rng(seed)
    return minimize(distance_to(data), Params(np.zeros(1)), 10, optimizer=adam(0.1), n_epochs=3, batch_size=4, rng=rng)


def test_the_same_seed_gives_the_same_fit_and_another_seed_another():
    assert fitted(0).params.mean == fitted(0).params.mean
    np.testing.assert_array_equal(fitted(0).history, fitted(0).history)
    assert fitted(0).params.mean != fitted(1).params.mean


def test_each_epoch_is_shuffled_anew(rng):
    seen = []

    def loss_and_grad(params, batch):
        seen.append(batch.tolist())
        return 0.0, params

    minimize(loss_and_grad, Params(np.zeros(1)), 30, optimizer=STAND_STILL, n_epochs=2, rng=rng)
    assert seen[0] != seen[1]
    assert sorted(seen[0]) == sorted(seen[1]) == list(range(30))


def test_the_parameters_handed_in_are_not_written_to():
    start = np.zeros(1)
    start.setflags(write=False)
    minimize(distance_to(np.ones(4)), Params(start), 4, optimizer=adam(0.1), n_epochs=2, batch_size=3)


def test_the_callback_hears_of_each_epoch_from_one_with_its_mean_loss():
    heard = []
    fit = minimize(
        distance_to(np.arange(5.0)),
        Params(np.zeros(1)),
        5,
        optimizer=gradient_descent(0.1),
        n_epochs=3,
        batch_size=2,
        callback=lambda epoch, loss: heard.append((epoch, loss)),
    )
    assert heard == list(enumerate(fit.history, start=1))
    assert all(type(loss) is float for _, loss in heard)


@given(ns, sizes, st.integers(1, 4), generators())
def test_the_watcher_sees_the_start_and_what_each_epoch_made_of_it(n, size, n_epochs, rng):
    seen, data = [], rng.normal(size=n)
    seed = int(rng.integers(2**32))

    def run(n_epochs, **options):
        again, start = np.random.default_rng(seed), Params(np.array([3.0]))
        options |= {"optimizer": adam(0.1), "n_epochs": n_epochs, "batch_size": size, "rng": again}
        return minimize(distance_to(data), start, n, **options)

    fit = run(n_epochs, watch=lambda epoch, params: seen.append((epoch, params)))
    assert [epoch for epoch, _ in seen] == list(range(n_epochs + 1))
    assert all(type(params) is Params for _, params in seen)
    assert seen[0][1].mean == 3
    for epoch, params in seen[1:]:
        assert params.mean == run(epoch).params.mean
    assert seen[-1][1].mean == fit.params.mean
    np.testing.assert_array_equal(fit.history, run(n_epochs).history)


def test_the_watcher_is_asked_before_the_first_step_and_after_the_callback_of_each_epoch():
    told = []

    def loss_and_grad(params, batch):
        told.append("step")
        return 0.0, params

    minimize(
        loss_and_grad,
        Params(np.zeros(1)),
        2,
        optimizer=STAND_STILL,
        n_epochs=2,
        batch_size=1,
        callback=lambda epoch, loss: told.append(f"callback {epoch}"),
        watch=lambda epoch, params: told.append(f"watch {epoch}"),
    )
    assert told == ["watch 0", *["step", "step", "callback 1", "watch 1"], *["step", "step", "callback 2", "watch 2"]]


# divergence


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("epoch", [1, 3])
def test_a_loss_that_is_not_finite_stops_training_and_the_epoch_is_named(bad, epoch):
    heard, losses = [], iter([0.0] * (epoch - 1) + [bad] + [0.0] * 9)
    with pytest.raises(FloatingPointError, match=rf"^training diverged in epoch {epoch}: try a smaller rate$"):
        minimize(
            lambda params, batch: (next(losses), params),
            Params(np.zeros(1)),
            2,
            optimizer=STAND_STILL,
            n_epochs=5,
            callback=lambda *report: heard.append(report),
        )
    assert len(heard) == epoch - 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 1])
def test_a_parameter_that_is_not_finite_stops_training_even_in_the_last_epoch(bad, place):
    broken = tuple(np.array([0.0, bad if i == place else 0.0]) for i in range(2))
    with pytest.raises(FloatingPointError, match="epoch 1"):
        minimize(
            lambda params, batch: (0.0, params),
            (np.zeros(2), np.zeros(2)),
            1,
            optimizer=Optimizer(lambda params: (), lambda params, grads, state: (broken, state)),
            n_epochs=1,
        )


def test_a_rate_beyond_two_over_the_curvature_is_found_out():
    # in one message: NumPy's warnings on the way would fail this test
    with pytest.raises(FloatingPointError, match="diverged"):
        minimize(distance_to(np.zeros(2)), Params(np.ones(1)), 2, optimizer=gradient_descent(1e6), n_epochs=200)


@pytest.mark.parametrize("blow_up", [lambda: np.exp(np.float64(1e4)), lambda: np.float64(np.inf) - np.inf])
def test_overflow_within_a_step_is_told_once_as_divergence(blow_up):
    with pytest.raises(FloatingPointError, match="diverged"):
        minimize(lambda p, batch: (float(blow_up()), p), Params(np.zeros(1)), 1, optimizer=STAND_STILL, n_epochs=1)


@pytest.mark.parametrize(("dtype", "fine", "too_large"), [(np.float64, 1e151, 1e153), (np.float32, 1e16, 1e18)])
def test_parameters_whose_squares_overflow_count_as_diverged(dtype, fine, too_large):
    def train(size):
        start = Params(np.array([1, -size], dtype))
        return minimize(lambda p, batch: (0.0, p), start, 1, optimizer=STAND_STILL, n_epochs=1)

    assert train(fine).params.mean[1] == dtype(-fine)
    with pytest.raises(FloatingPointError, match="diverged"):
        train(too_large)


def test_what_the_c_library_is_shown_is_below_the_size_beyond_which_it_learns_nothing():
    assert training.LARGEST_KEPT <= peak(training._keep_freed_memory) < 32 << 20


def test_parameters_may_hold_an_empty_array():
    start = (np.zeros((0, 3)), np.ones(1))
    minimize(lambda params, batch: (0.0, params), start, 1, optimizer=gradient_descent(0.1), n_epochs=1)


def test_the_watcher_does_not_see_parameters_that_diverged():
    seen, losses = [], iter([0.0, np.nan])
    with pytest.raises(FloatingPointError, match="epoch 2"):
        minimize(
            lambda params, batch: (next(losses), params),
            Params(np.zeros(1)),
            1,
            optimizer=STAND_STILL,
            n_epochs=5,
            watch=lambda epoch, params: seen.append(epoch),
        )
    assert seen == [0, 1]


def test_the_batch_that_diverges_is_the_last_one_seen():
    seen = []

    def loss_and_grad(params, batch):
        seen.append(batch.tolist())
        return (np.nan if 2 in batch else 0.0), params

    with pytest.raises(FloatingPointError, match="epoch 1"):
        minimize(loss_and_grad, Params(np.zeros(1)), 9, optimizer=STAND_STILL, n_epochs=2, batch_size=2)
    assert seen == [[0, 1], [2, 3]]


# what it refuses


@pytest.mark.parametrize("name", ["n_epochs", "batch_size"])
@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError)])
def test_a_number_that_is_no_count_is_refused_by_name(name, value, error):
    options = {"n_epochs": 1, "batch_size": 1, name: value}
    with pytest.raises(error, match=rf"^{name}: expected a whole number"):
        minimize(distance_to(np.ones(2)), Params(np.ones(1)), 2, optimizer=STAND_STILL, **options)


def test_nothing_to_learn_from_is_refused_by_name():
    with pytest.raises(ValueError, match=r"^n: expected a whole number of at least 1, got 0$"):
        minimize(distance_to(np.ones(0)), Params(np.ones(1)), 0, optimizer=STAND_STILL, n_epochs=1)


def test_a_seed_is_no_generator():
    with pytest.raises(TypeError, match=r"^rng: expected a numpy.random.Generator, got int$"):
        minimize(distance_to(np.ones(2)), Params(np.ones(1)), 2, optimizer=STAND_STILL, n_epochs=1, rng=0)


# samples held out


def replay(losses):
    """A training whose parameters count the steps taken, and whose held-out loss after n steps is losses[n]."""

    def run(n_epochs, **options):
        def loss_and_grad(params, batch):
            return 0.0, params

        def step(params, grads, state):
            return Params(params.mean + 1), state

        counting = Optimizer(lambda params: (), step)
        held_out = lambda params: losses[int(params.mean[0])]  # noqa: E731
        return minimize(
            loss_and_grad, Params(np.zeros(1)), 1, optimizer=counting, n_epochs=n_epochs, held_out=held_out, **options
        )

    return run


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=12), st.integers(1, 12))
def test_the_parameters_of_the_lowest_held_out_loss_are_returned_the_first_where_some_tie(losses, patience):
    fit = replay(losses)(len(losses) - 1, patience=patience)
    seen = losses[: len(fit.held_out)]
    assert fit.held_out.tolist() == seen
    assert len(fit.history) == len(seen) - 1
    assert fit.params.mean == np.argmin(seen)


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=12), st.integers(1, 12))
def test_training_stops_exactly_when_patience_epochs_in_a_row_were_no_better(losses, patience):
    stopped = len(replay(losses)(len(losses) - 1, patience=patience).held_out) - 1
    since_best = [n - int(np.argmin(losses[: n + 1])) for n in range(len(losses))]
    expected = next((n for n, wait in enumerate(since_best) if wait >= patience), len(losses) - 1)
    assert stopped == expected


def test_the_watcher_sees_the_epochs_after_the_best_too():
    seen = []
    fit = replay([3.0, 1.0, 2.0, 2.0, 2.0])(4, patience=2, watch=lambda epoch, params: seen.append(int(params.mean[0])))
    assert seen == [0, 1, 2, 3]
    assert fit.params.mean == 1


def test_without_samples_held_out_the_last_parameters_are_returned_and_nothing_is_recorded():
    data = np.array([1.0, 3.0])
    fit = minimize(distance_to(data), Params(np.zeros(1)), 2, optimizer=gradient_descent(0.5), n_epochs=3)
    assert fit.params.mean == pytest.approx(2 * (1 - 0.5**3))
    assert fit.held_out.shape == (0,)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_held_out_loss_that_is_not_finite_is_an_error_that_says_when(bad):
    with pytest.raises(FloatingPointError, match=r"^held_out: expected a finite loss at the start, got "):
        replay([bad, 1.0])(1)
    with pytest.raises(FloatingPointError, match=r"^training diverged in epoch 1: try a smaller rate$"):
        replay([1.0, bad])(1)


@pytest.mark.parametrize("blow_up", [lambda: np.exp(np.float64(1e4)), lambda: np.float64(np.inf) - np.inf])
def test_overflow_in_the_held_out_loss_is_told_once_as_an_error(blow_up):
    with pytest.raises(FloatingPointError, match=r"^held_out: expected"):
        minimize(
            distance_to(np.ones(1)),
            Params(np.ones(1)),
            1,
            optimizer=STAND_STILL,
            n_epochs=1,
            held_out=lambda p: blow_up(),
        )


def test_by_default_ten_epochs_that_are_no_better_are_enough():
    assert len(replay([0.0] + [1.0] * 20)(20).history) == 10


def test_patience_is_a_count():
    with pytest.raises(ValueError, match=r"^patience: expected"):
        replay([0.0, 0.0])(1, patience=0)


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("loss_and_grad: expected a function, got int", {"loss_and_grad": 3}),
        ("n: expected a whole number, got float", {"n": 3.0}),
        ("patience: expected a whole number of at least 1, got 0", {"patience": 0}),
        ("n_epochs: expected a whole number of at least 1, got 0", {"n_epochs": 0}),
        ("batch_size: expected a whole number of at least 1, got 0", {"batch_size": 0}),
        ("callback: expected a function, got int", {"callback": 3}),
        ("held_out: expected a function, got int", {"held_out": 3}),
        ("watch: expected a function, got int", {"watch": 3}),
        ("optimizer: expected optimizers.Optimizer, got function", {"optimizer": gradient_descent}),
        ("optimizer.step: expected a function, got NoneType", {"optimizer": Optimizer(abs, None)}),
        ("rng: expected a numpy.random.Generator, got int", {"rng": 0}),
    ],
)
def test_each_argument_is_refused_by_its_own_name_before_anything_is_done(message, options):
    def loss_and_grad(params, batch):
        pytest.fail("training began")

    good = {"loss_and_grad": loss_and_grad, "params": np.ones(2), "n": 3, "optimizer": gradient_descent(0.1)}
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}$"):
        minimize(**good | {"n_epochs": 1} | options)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("n", lambda: next(batches(0, 1, None))),
        ("batch_size", lambda: next(batches(3, 0, None))),
        ("rng", lambda: next(batches(3, 1, 0))),
    ],
)
def test_so_do_batches(name, call):
    with pytest.raises((TypeError, ValueError), match=rf"^{name}: expected"):
        call()
