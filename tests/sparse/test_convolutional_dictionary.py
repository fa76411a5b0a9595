import re
import warnings
from itertools import islice

import numpy as np
import pytest
from guards import read_only
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import generators

from ebm_np.foundations.results import ConvergenceWarning, Fit
from ebm_np.sparse import convolutional, convolutional_dictionary
from ebm_np.sparse.convolutional import Params, decode, energy, energy_grad_params
from ebm_np.sparse.convolutional_dictionary import (
    State,
    descend,
    fit,
    init_from_images,
    kernel_cost_grad,
    moments,
)

EVERY_BOUNDARY = pytest.mark.parametrize("boundary", ["full", "circular"])


def draw_problem(rng, boundary, n=2, M=3, C=2, size=(3, 2), pixels=(5, 4)):
    """Kernels, sparse maps and images that have nothing to do with them."""
    p, q = size
    K, z = rng.normal(size=(M, C, p, q)), rng.normal(size=(n, M, *pixels)) * (rng.random((n, M, *pixels)) < 0.5)
    return K, z, rng.normal(size=decode(Params(K), z, boundary).shape)


def planted(rng, n=30, pixels=32, size=7):
    """Three different shapes of unit norm, and images in which they lie here and there."""
    u = np.arange(size) - size // 2
    bell = np.exp(-(u[:, None] ** 2 + u**2) / 6)
    K = np.stack([bell * (u[:, None] ** 2 + u**2 < 4), bell * u, bell * np.cos(1.5 * (u[:, None] + u))])[:, None]
    K = convolutional.unit_kernels(Params(K)).K
    maps = rng.normal(size=(n, 3, pixels, pixels)) * (rng.random((n, 3, pixels, pixels)) < 0.01)
    y = decode(Params(K), maps, "full")
    return K, y + 0.01 * rng.normal(size=y.shape)


def likeness(a, b):
    """The largest |<a, b shifted>| over all shifts: 1 for unit kernels that are the same but for place and sign."""
    return max(np.abs(np.correlate(np.pad(a, 8).ravel(), np.pad(b, 8).ravel(), "full")))


# the moments and the cost


@EVERY_BOUNDARY
@given(rng=generators())
def test_moments_are_correlations_at_every_lag(boundary, rng):
    K, z, y = draw_problem(rng, boundary)
    (M, C, p, q), (n, _, h, w) = K.shape, z.shape
    A, B = moments(z, y, (p, q), boundary)
    assert A.shape == (M, M, 2 * p - 1, 2 * q - 1)
    assert B.shape == (M, C, p, q)
    torus = boundary == "circular"

    def at(a, i, j):
        if torus:
            return a[i % a.shape[0], j % a.shape[1]]
        return a[i, j] if 0 <= i < a.shape[0] and 0 <= j < a.shape[1] else 0.0

    for m, o, i, j in np.ndindex(A.shape):
        expected = sum(
            z[k, m, r, s] * at(z[k, o], r + i - p + 1, s + j - q + 1)
            for k in range(n) for r in range(h) for s in range(w)
        )  # fmt: skip
        assert A[m, o, i, j] == pytest.approx(expected, abs=1e-12)
    for m, c, i, j in np.ndindex(B.shape):
        expected = sum(z[k, m, r, s] * at(y[k, c], r + i, s + j) for k in range(n) for r in range(h) for s in range(w))
        assert B[m, c, i, j] == pytest.approx(expected, abs=1e-12)


@EVERY_BOUNDARY
@given(
    rng=generators(), size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    pixels=st.tuples(st.integers(1, 6), st.integers(1, 6)),
)  # fmt: skip
def test_the_moments_know_the_gradient_of_the_cost_in_every_kernel(boundary, rng, size, pixels):
    # also where maps are smaller than kernels, and kernels larger than the torus
    K, z, y = draw_problem(rng, boundary, size=size, pixels=pixels)
    state = State(K, *moments(z, y, size, boundary))
    expected = energy_grad_params(Params(K), y, z, np.ones(len(y)), boundary).K / 2
    found = np.stack([kernel_cost_grad(state, m) for m in range(len(K))])
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


@EVERY_BOUNDARY
@given(rng=generators())
def test_a_sweep_never_raises_the_cost_and_stays_on_the_sphere(boundary, rng):
    K, z, y = draw_problem(rng, boundary)
    K = convolutional.unit_kernels(Params(K)).K
    state = State(K, *moments(z, y, K.shape[2:], boundary))
    before = energy(Params(K), y, z, 0.0, boundary).sum()
    for _ in range(5):
        K = descend(state._replace(K=K), 1)
        np.testing.assert_allclose((K**2).sum(axis=(1, 2, 3)), 1, rtol=1e-12)
        after = energy(Params(K), y, z, 0.0, boundary).sum()
        assert after <= before * (1 + 1e-12)
        before = after


@EVERY_BOUNDARY
@given(rng=generators())
@settings(max_examples=5)
def test_many_sweeps_end_where_the_gradient_points_straight_out_of_the_sphere(boundary, rng):
    K, z, y = draw_problem(rng, boundary, M=2)
    state = State(convolutional.unit_kernels(Params(K)).K, *moments(z, y, K.shape[2:], boundary))
    state = state._replace(K=descend(state, 1000))
    for m, kernel in enumerate(state.K):
        gradient = kernel_cost_grad(state, m)
        across = gradient - (gradient * kernel).sum() * kernel
        assert np.abs(across).max() < 1e-3 * np.abs(state.B).max()


def test_a_kernel_that_no_map_uses_stays_as_it_is():
    rng = np.random.default_rng(0)
    K, z, y = draw_problem(rng, "full")
    z[:, 1] = 0
    found = descend(State(K, *moments(z, y, K.shape[2:], "full")), 3)
    np.testing.assert_array_equal(found[1], K[1])
    assert np.abs(found[0] - K[0]).max() > 1e-3


@EVERY_BOUNDARY
@given(rng=generators(), e=st.integers(-60, 60))
def test_how_much_data_there_was_does_not_matter_to_a_sweep(boundary, rng, e):
    K, z, y = draw_problem(rng, boundary)
    A, B = moments(z, y, K.shape[2:], boundary)
    np.testing.assert_array_equal(descend(State(K, 2.0**e * A, 2.0**e * B), 2), descend(State(K, A, B), 2))


# training


@pytest.mark.parametrize("seed", [0, 1])
def test_planted_kernels_are_found(seed):
    rng = np.random.default_rng(seed)
    truth, y = planted(rng, n=20, pixels=28)
    start = convolutional.init(rng, 6, 1, 7, 7)
    found = fit(start, y, np.random.default_rng(1), lam=0.3, n_epochs=15, batch_size=5).params.K
    for kernel in truth[:, 0]:
        assert max(likeness(kernel, other) for other in start.K[:, 0]) < 0.6
        assert max(likeness(kernel, other) for other in found[:, 0]) > 0.94


def trained_by_hand(K, y, rng, *, lam, boundary, n_epochs, batch_size, n_steps, n_sweeps, forgetting):
    """Equations (2) to (5), batch by batch, where every kernel is used."""
    K, A, B, z, history, i = convolutional.unit_kernels(Params(K)).K, 0, 0, None, [], 0
    options = {"boundary": boundary, "max_iter": n_steps, "tol": 1e-300}
    for _ in range(n_epochs):
        order, energies = np.arange(len(y)) if batch_size is None else rng.permutation(len(y)), []
        for start in range(0, len(y), batch_size or len(y)):
            batch, i = y[order[start : start + (batch_size or len(y))]], i + 1
            found = convolutional.infer(Params(K), batch, lam, z0=z, **options)
            z, memory = (found.z, 0) if batch_size is None else (None, (1 - 1 / i) ** forgetting)
            energies.extend(found.energy)
            a, b = moments(found.z, batch, K.shape[2:], boundary)
            A, B = memory * A + a, memory * B + b
            K = descend(State(K, A, B), n_sweeps)
        history.append(np.mean(energies))
    return K, history


@EVERY_BOUNDARY
@pytest.mark.parametrize(("batch_size", "forgetting"), [(2, 0.0), (2, 1.0), (2, 3.0), (None, 0.0), (None, 1.0)])
def test_each_batch_is_steps_of_fista_then_sweeps_and_old_ones_fade_as_equation_3_says(
    boundary, batch_size, forgetting, rng
):
    y, K = rng.normal(size=(5, 2, 6, 7)), rng.normal(size=(3, 2, 2, 3))
    options = {"lam": 0.2, "boundary": boundary, "n_epochs": 2, "batch_size": batch_size, "n_steps": 7, "n_sweeps": 2}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        expected = trained_by_hand(K, y, np.random.default_rng(1), forgetting=forgetting, **options)
    found = fit(Params(K), y, np.random.default_rng(1), forgetting=forgetting, **options)
    np.testing.assert_allclose(found.params.K, expected[0], rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.history, expected[1], rtol=1e-10)


def test_a_batch_has_eight_images_thirty_steps_and_four_sweeps_unless_told_otherwise(rng):
    y, K = rng.normal(size=(17, 1, 5, 5)), rng.normal(size=(2, 1, 2, 2))
    told = {"boundary": "full", "n_epochs": 1, "batch_size": 8, "n_steps": 30, "n_sweeps": 4, "forgetting": 5.0}
    found, expected = (fit(Params(K), y, np.random.default_rng(0), lam=0.2, **options) for options in ({}, told))
    np.testing.assert_array_equal(found.params.K, expected.params.K)


def test_a_batch_may_be_larger_than_the_data_and_asks_for_no_more_memory(rng):
    y, K = rng.normal(size=(3, 1, 5, 5)), rng.normal(size=(2, 1, 2, 2))
    found, same = (fit(Params(K), y, np.random.default_rng(0), lam=0.2, batch_size=n) for n in (10**12, 3))
    np.testing.assert_array_equal(found.params.K, same.params.K)


@pytest.mark.parametrize("dtypes", [("f4", "f8"), ("f8", "f4")])
def test_in_mixed_precision_all_is_of_the_finer_one(dtypes, rng):
    K, y = rng.normal(size=(2, 1, 2, 2)).astype(dtypes[0]), rng.normal(size=(3, 1, 5, 5)).astype(dtypes[1])
    found = fit(Params(K), y, np.random.default_rng(0), lam=0.2, batch_size=2)
    expected = fit(Params(K.astype(float)), y.astype(float), np.random.default_rng(0), lam=0.2, batch_size=2)
    np.testing.assert_array_equal(found.params.K, expected.params.K)


def test_the_mean_over_images_of_single_precision_is_taken_in_double(rng):
    params, y = convolutional.init(rng, 2, 1, 2, 2, np.float32), rng.normal(size=(40, 1, 5, 5)).astype(np.float32)
    z = np.zeros((40, 2, 4, 4), np.float32)
    _, at = next(islice(convolutional.iterates(convolutional.unit_kernels(params), y, z, 0.2), 30, None))
    history = fit(params, y, rng, lam=0.2, batch_size=None).history
    assert history[0] == pytest.approx(at.cost().energy.mean(dtype=np.float64), rel=1e-12)


def test_kernels_that_are_no_longer_finite_are_said_to_have_diverged_and_when(rng, monkeypatch):
    original, epochs = convolutional_dictionary._update, []

    def spoil(*arguments):
        state = original(*arguments)
        return state if len(epochs) < 2 else state._replace(K=np.where(np.eye(2) > 0, np.nan, state.K))

    monkeypatch.setattr(convolutional_dictionary, "_update", spoil)
    with pytest.raises(FloatingPointError, match=r"^training diverged in epoch 3$"):
        fit(
            convolutional.init(rng, 2, 1, 2, 2), rng.normal(size=(3, 1, 5, 5)), rng, lam=0.2, n_epochs=5,
            callback=lambda *now: epochs.append(now),
        )  # fmt: skip


@EVERY_BOUNDARY
def test_unused_kernels_become_the_windows_explained_worst_one_an_image_and_the_others_keep_what_they_know(
    boundary, rng
):
    K, A, B = rng.normal(size=(4, 1, 2, 3)), rng.normal(size=(4, 4, 3, 5)), rng.normal(size=(4, 1, 2, 3))
    K = convolutional.unit_kernels(Params(K)).K
    A[np.arange(4), np.arange(4), 1, 2] = [2.0, 1e-9, 3.0, 0.0]
    y = rng.normal(size=(3, 1, 4, 5)) * np.array([1.0, 5.0, 3.0])[:, None, None, None]
    z = np.zeros((3, 4, 3, 3) if boundary == "full" else (3, 4, 4, 5))
    z[:, 0, 1, 1] = z[:, 0, -1, -1] = 0.5
    state = convolutional_dictionary._seed_unused(State(K, A, B), y, z, boundary)
    residual = y - decode(Params(K), z, boundary)
    for m, n in ((1, 1), (3, 2)):  # the worst image first
        windows = [residual[n, :, i : i + 2, j : j + 3] for i, j in np.ndindex(3, 3)]
        worst = max(windows, key=lambda a: (a**2).sum())
        np.testing.assert_allclose(state.K[m], worst / np.linalg.norm(worst), rtol=1e-12)
    np.testing.assert_allclose(state.K[[0, 2]], K[[0, 2]], rtol=1e-14)
    kept = np.outer([1, 0, 1, 0], [1, 0, 1, 0])[:, :, None, None]
    np.testing.assert_array_equal(state.A, A * kept)
    np.testing.assert_array_equal(state.B, B * kept.diagonal().reshape(4, 1, 1, 1))


@EVERY_BOUNDARY
def test_training_lowers_the_free_energy_of_images_it_never_saw(boundary):
    rng = np.random.default_rng(5)
    _, y = planted(rng, n=24, pixels=20)
    start = init_from_images(rng, y, 3, 5, 5)
    found = fit(start, y[:16], rng, lam=0.2, boundary=boundary, n_epochs=5)
    assert isinstance(found, Fit)
    options = {"boundary": boundary, "method": "working_set", "tol": 1e-4}
    before, after = (convolutional.free_energy(p, y[16:], 0.2, **options).mean() for p in (start, found.params))
    assert after < 0.8 * before
    assert found.history[-1] < found.history[0]
    np.testing.assert_allclose((found.params.K**2).sum(axis=(1, 2, 3)), 1, rtol=1e-12)


def test_with_all_images_at_once_every_epoch_starts_from_the_maps_of_the_last():
    rng = np.random.default_rng(6)
    _, y = planted(rng, n=6, pixels=16)
    start = init_from_images(rng, y, 3, 5, 5)
    patient = fit(start, y, rng, lam=0.1, n_epochs=1, batch_size=None, n_steps=400).history[0]
    history = fit(start, y, rng, lam=0.1, n_epochs=20, batch_size=None, n_steps=20).history
    assert (np.diff(history) <= 1e-9 * history[0]).all()
    assert history[-1] < patient  # the maps of one epoch alone, however exact, do not explain it


def test_history_is_the_mean_energy_at_the_maps_and_kernels_met():
    rng = np.random.default_rng(7)
    _, y = planted(rng, n=5, pixels=12)
    start = init_from_images(rng, y, 2, 5, 5)
    history = fit(start, y, np.random.default_rng(0), lam=0.3, batch_size=5, n_steps=3000).history
    expected = convolutional.free_energy(start, y, 0.3, tol=1e-10).mean()
    assert history[0] == pytest.approx(expected, rel=1e-8)


def test_a_kernel_of_zeros_is_seeded_anew_where_the_image_is_explained_worst():
    rng = np.random.default_rng(8)
    _, y = planted(rng, n=4, pixels=16)
    y[2, :, 5:10, 6:11] += 3 * rng.normal(size=(1, 5, 5))
    K = init_from_images(rng, y, 2, 5, 5).K
    K[1] = 0
    found = fit(Params(K), y, rng, lam=0.3, batch_size=4).params.K
    assert (found[1] ** 2).sum() == pytest.approx(1)
    residual = y[2, 0] - decode(Params(found[:1]), convolutional.infer(Params(found[:1]), y[2:3], 0.3).z)[0, 0]
    window = max(
        (residual[i : i + 5, j : j + 5] for i, j in np.ndindex(residual.shape[0] - 4, residual.shape[1] - 4)),
        key=lambda a: (a**2).sum(),
    )
    assert abs((window * found[1, 0]).sum()) > 0.9 * np.linalg.norm(window)


def test_several_unused_kernels_are_seeded_with_different_windows():
    rng = np.random.default_rng(9)
    _, y = planted(rng, n=4, pixels=16)
    found = fit(Params(np.zeros((3, 1, 5, 5))), y, rng, lam=0.3, batch_size=4).params.K.reshape(3, -1)
    np.testing.assert_allclose((found**2).sum(axis=1), 1, rtol=1e-12)
    assert np.abs(np.triu(found @ found.T, 1)).max() < 0.99


@pytest.mark.parametrize("batch_size", [2, None])
def test_training_is_decided_by_the_seed_and_writes_to_nothing(batch_size):
    rng = np.random.default_rng(10)
    _, y = planted(rng, n=5, pixels=12)
    params, y = read_only((Params(np.array(init_from_images(rng, y, 2, 5, 5).K)), y))
    one, same = (fit(params, y, np.random.default_rng(1), lam=0.3, n_epochs=2, batch_size=batch_size) for _ in range(2))
    np.testing.assert_array_equal(one.params.K, same.params.K)
    np.testing.assert_array_equal(one.history, same.history)


def test_float32_stays_and_colours_are_learned_and_progress_is_reported():
    rng = np.random.default_rng(11)
    y = rng.normal(size=(4, 3, 10, 9)).astype(np.float32)
    seen = []
    found = fit(
        init_from_images(rng, y, 2, 3, 4), y, rng, lam=0.5, n_epochs=3, callback=lambda *told: seen.append(told)
    )
    assert found.params.K.dtype == np.float32
    assert found.params.K.shape == (2, 3, 3, 4)
    assert seen == [(i + 1, pytest.approx(e)) for i, e in enumerate(found.history)]


def test_forgetting_everything_is_to_learn_from_the_last_batch_only():
    rng = np.random.default_rng(12)
    _, y = planted(rng, n=4, pixels=12)
    start = init_from_images(rng, y, 2, 5, 5)
    fitted = fit(start, y, np.random.default_rng(0), lam=0.2, batch_size=2, forgetting=1e9, n_sweeps=200)
    remembered = fit(start, y, np.random.default_rng(0), lam=0.2, batch_size=2, forgetting=0.0, n_sweeps=200)
    first = fit(start, y[np.random.default_rng(0).permutation(4)[:2]], rng, lam=0.2, batch_size=None, n_sweeps=200)
    last = y[np.random.default_rng(0).permutation(4)[2:]]
    alone = fit(first.params, last, rng, lam=0.2, batch_size=None, n_sweeps=200)
    np.testing.assert_allclose(fitted.params.K, alone.params.K, atol=1e-10)
    assert np.abs(remembered.params.K - alone.params.K).max() > 1e-3


# the start


@given(generators())
def test_kernels_to_start_with_are_windows_of_the_images(rng):
    y = rng.normal(size=(3, 2, 6, 7))
    K = init_from_images(rng, y, 4, 3, 2).K
    windows = np.lib.stride_tricks.sliding_window_view(y, (3, 2), axis=(2, 3)).transpose(0, 2, 3, 1, 4, 5)
    windows = windows.reshape(-1, 12) / np.linalg.norm(windows.reshape(-1, 12), axis=1, keepdims=True)
    likely = K.reshape(4, 12) @ windows.T
    np.testing.assert_allclose(likely.max(axis=1), 1, rtol=1e-12)
    assert len(set(likely.argmax(axis=1))) == 4


def test_windows_of_zeros_are_no_kernels():
    y = np.zeros((1, 1, 8, 8))
    y[0, 0, 0, 0] = 1
    np.testing.assert_array_equal(init_from_images(np.random.default_rng(0), y, 1, 2, 2).K, [[[[1, 0], [0, 0]]]])
    with pytest.raises(ValueError, match=r"^M: expected at most 1, the windows that are not zero, got 2"):
        init_from_images(np.random.default_rng(0), y, 2, 2, 2)
    with pytest.raises(ValueError, match=r"^M: expected at most 0"):
        init_from_images(np.random.default_rng(0), 0 * y, 1, 2, 2)


# bad input


GOOD = {"lam": 0.3}
Y = np.random.default_rng(13).normal(size=(3, 1, 8, 8))
START = init_from_images(np.random.default_rng(14), Y, 2, 3, 3)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("y", {"y": np.where(Y > 1, np.nan, Y)}),
        ("y", {"y": []}),
        ("y", {"y": np.zeros((2, 3, 8, 8))}),
        ("y", {"y": Y[:, :, :2]}),
        ("params.K", {"params": Params(START.K[0])}),
        ("rng", {"rng": 0}),
        ("lam", {"lam": 0.0}),
        ("boundary", {"boundary": "valid"}),
        ("n_epochs", {"n_epochs": 0}),
        ("batch_size", {"batch_size": 0}),
        ("n_steps", {"n_steps": 0}),
        ("n_sweeps", {"n_sweeps": 1.5}),
        ("forgetting", {"forgetting": -1.0}),
        ("callback", {"callback": 1}),
    ],
)
def test_bad_input_is_refused_by_name(name, options):
    given = {"params": START, "y": Y, "rng": np.random.default_rng(0), "lam": 0.3} | options
    params, y, rng = (given.pop(key) for key in ("params", "y", "rng"))
    with pytest.raises((ValueError, TypeError), match=f"^{name}: expected"):
        fit(params, y, rng, **given)


@pytest.mark.parametrize(
    ("name", "options"),
    [("rng", {"rng": 0}), ("M", {"M": 0}), ("p", {"p": 0}), ("q", {"q": -1}), ("y", {"y": []}), ("y", {"p": 9})],
)
def test_bad_starts_are_refused_by_name(name, options):
    given = {"rng": np.random.default_rng(0), "y": Y, "M": 2, "p": 3, "q": 3} | options
    with pytest.raises((ValueError, TypeError), match=f"^{name}: expected"):
        init_from_images(**given)


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("y: expected shape (N, C, H, W), got shape (3, 8, 8)", {"y": Y[:, 0]}),
        ("y: expected at least 9 x 3 pixels, those of the kernels, got 8 x 8", {"p": 9}),
        ("y: expected at least 3 x 9 pixels, those of the kernels, got 8 x 8", {"q": 9}),
        ("M: expected at most 108, the windows that are not zero, got 109", {"M": 109}),
        ("M: expected at most 0, the windows that are not zero, got 1", {"y": 0 * Y, "M": 1}),
    ],
)
def test_the_message_says_what_was_expected_and_what_came(message, options):
    given = {"rng": np.random.default_rng(0), "y": Y, "M": 2, "p": 3, "q": 3} | options
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        init_from_images(**given)


def test_as_many_kernels_as_there_are_windows_and_kernels_as_large_as_the_image_are_welcome():
    every = init_from_images(np.random.default_rng(0), Y, 108, 3, 3).K
    assert every.shape == (108, 1, 3, 3)
    assert len(np.unique(every, axis=0)) == 108
    assert init_from_images(np.random.default_rng(0), Y, 3, 8, 8).K.shape == (3, 1, 8, 8)
    assert init_from_images(np.random.default_rng(0), Y[:, :, :4], 3, 2, 7).K.shape == (3, 1, 2, 7)
    assert init_from_images(np.random.default_rng(0), Y[..., :4], 3, 7, 2).K.shape == (3, 1, 7, 2)


def test_whole_numbers_are_taken_as_numbers():
    images = np.random.default_rng(15).integers(0, 256, size=(3, 1, 8, 8), dtype=np.uint8)
    found, same = (fit(START, y, np.random.default_rng(0), lam=9.0) for y in (images, images.astype(float)))
    np.testing.assert_array_equal(found.params.K, same.params.K)


def test_it_is_the_plain_dictionary_where_maps_have_one_pixel():
    rng = np.random.default_rng(16)
    z, y = rng.normal(size=(5, 3, 1, 1)), rng.normal(size=(5, 2, 3, 4))
    A, B = convolutional_dictionary.moments(z, y, (3, 4), "full")
    flat = z[:, :, 0, 0]
    np.testing.assert_allclose(A[:, :, 2, 3], flat.T @ flat, rtol=1e-12)
    np.testing.assert_allclose(B.reshape(3, -1), flat.T @ y.reshape(5, -1), rtol=1e-12)
    assert np.count_nonzero(A) == 9
