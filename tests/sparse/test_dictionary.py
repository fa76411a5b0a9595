import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sparse.problems import dictionary
from strategies import SIZES, generators

from ebm_np.foundations.results import Fit
from ebm_np.sparse import dictionary as module
from ebm_np.sparse.dictionary import NORMALIZATIONS, fit, init_from_samples
from ebm_np.sparse.gram_form import pose
from ebm_np.sparse.sparse_coding import Params, decode, energy, free_energy, infer, init, unit_columns
from ebm_np.sparse.sweeps import descent, sweeps

EVERY_NORMALIZATION = pytest.mark.parametrize("normalization", NORMALIZATIONS)


def draw_problem(rng, d=6, k=4, n=20):
    params, y = init(rng, d, k), rng.normal(size=(n, d))
    for argument in (params.W, y):
        argument.setflags(write=False)
    return params, y


def sparse_data(rng, n, d, k, lengths=1.0):
    """Unit atoms, and sums of two of them with weights of either sign, plus a little noise."""
    truth = init(rng, d, k)
    codes = rng.choice([-1, 1], (n, k)) * rng.uniform(0.5, 1.5, (n, k)) * lengths
    keep = rng.random((n, k)).argsort(axis=1) < 2
    return truth, decode(truth, codes * keep) + 0.01 * rng.normal(size=(n, d))


def likeness(truth, found):
    """|cos| of each true atom with the found one that is most like it."""
    return np.abs(unit_columns(truth).W.T @ unit_columns(found).W).max(axis=1)


def swept(W, y, lam, n, z=None):
    problem = pose(W, y, lam)
    start = np.zeros((W.shape[1], len(y))) if z is None else z
    return sweeps(problem, start, descent(problem) + n, descend=z is None)


def surrogate(W, A, B):
    """Derivation 1, less the term without W."""
    return np.trace(W @ A @ W.T) - 2 * np.trace(W @ B)


def updated(W, A, B, normalization="sphere"):
    """Equation (4), one atom after the other, by loops."""
    W = W.copy()
    for j in range(W.shape[1]):
        if A[j, j] > 0:
            u = W[:, j] + (B[j] - sum(A[j, i] * W[:, i] for i in range(W.shape[1]))) / A[j, j]
            W[:, j] = u / np.sqrt(u @ u) if normalization == "sphere" else u
    return W


# the constraint


@given(generators(), SIZES, SIZES, st.sampled_from([None, 1, 7, 30]), st.sampled_from(["sphere", "columns"]))
def test_every_column_has_unit_norm_after_training(rng, d, k, batch_size, normalization):
    y = rng.normal(size=(30, d)) * 10.0 ** rng.uniform(-3, 3)
    found = fit(init(rng, d, k), y, rng, lam=0.1, n_epochs=2, batch_size=batch_size, normalization=normalization)
    np.testing.assert_allclose(np.linalg.norm(found.params.W, axis=0), 1, rtol=1e-12)


@given(generators(), st.sampled_from([None, 7]))
def test_in_common_the_sum_of_all_norms_is_one(rng, batch_size):
    params, y = draw_problem(rng)
    W = fit(params, y, rng, lam=0.02, batch_size=batch_size, normalization="common").params.W
    assert np.linalg.norm(W, axis=0).sum() == pytest.approx(1, rel=1e-12)


@EVERY_NORMALIZATION
@given(rng=generators())
def test_dividing_the_columns_and_multiplying_the_codes_leaves_what_is_decoded(normalization, rng):
    # so A and B, sums over codes, say the same of the surrogate before and after
    params, y = draw_problem(rng)
    z = swept(params.W, y, 0.2, 30)
    state = module.State(params.W, np.zeros((4, 4)), np.zeros((4, 6)))
    after, s = module._update(state, y, z, 0.0, normalization)
    raw = updated(params.W, z @ z.T, z @ y, normalization)
    np.testing.assert_allclose(after.W @ (s[:, None] * z), raw @ z, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(after.A, (s[:, None] * z) @ (s[:, None] * z).T, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(after.B, (s[:, None] * z) @ y, rtol=1e-9, atol=1e-10)
    norms = np.linalg.norm(raw, axis=0)
    expected = {"columns": norms, "common": np.full(4, norms.sum())}.get(normalization, np.ones(4))
    np.testing.assert_allclose(s, expected, rtol=1e-10)


# one step


@given(generators(), st.integers(2, 5), st.integers(1, 6))
def test_each_atom_in_turn_becomes_the_unit_vector_that_explains_most(rng, d, k):
    W, z, y = unit_columns(Params(dictionary(rng, d, k))).W, rng.normal(size=(k, 12)), rng.normal(size=(12, d))
    state = module.State(W, np.zeros((k, k)), np.zeros((k, d)))
    after = module._update(state, y, z, 0.0, "sphere")[0].W
    for j in range(k):
        so_far = np.column_stack([after[:, : j + 1], W[:, j + 1 :]])
        least = ((y.T - so_far @ z) ** 2).sum()
        before = np.column_stack([after[:, :j], W[:, j:]])
        assert least <= ((y.T - before @ z) ** 2).sum() * (1 + 1e-12)
        for rival in unit_columns(Params(rng.normal(size=(d, 200)))).W.T:
            so_far[:, j] = rival
            assert ((y.T - so_far @ z) ** 2).sum() >= least * (1 - 1e-12)


@given(generators())
def test_the_statistics_are_all_that_the_surrogate_needs(rng):
    params, y = draw_problem(rng)
    z = rng.normal(size=(4, 20))
    error = ((y.T - params.W @ z) ** 2).sum()
    assert surrogate(params.W, z @ z.T, z @ y) + (y**2).sum() == pytest.approx(error, rel=1e-10)


@EVERY_NORMALIZATION
@given(rng=generators(), n_sweeps=st.integers(1, 5))
def test_one_batch_is_sweeps_from_zero_then_equation_4(normalization, rng, n_sweeps):
    params, y = draw_problem(rng)
    z = swept(params.W, y, 0.1, n_sweeps)
    W = updated(params.W, z @ z.T, z @ y, normalization)
    norms = np.linalg.norm(W, axis=0)
    W = {"columns": W / norms, "common": W / norms.sum()}.get(normalization, W)
    options = {"lam": 0.1, "n_sweeps": n_sweeps, "normalization": normalization}
    for batch_size in (20, 100):
        found = fit(params, y, rng, batch_size=batch_size, **options)
        np.testing.assert_allclose(found.params.W, W, rtol=1e-8, atol=1e-9)
        assert found.history == pytest.approx(energy(params, y, z.T, 0.1).mean())


@pytest.mark.parametrize("forgetting", [0, 1, 3.0])
@given(rng=generators())
def test_the_statistics_of_old_batches_fade_as_equation_3_says(forgetting, rng):
    params, y = draw_problem(rng)
    order = np.random.default_rng(5).permutation(20)  # what the generator of this seed will shuffle to
    W, A, B, energies = params.W, 0.0, 0.0, []
    for i, start in enumerate((0, 8, 16), start=1):
        batch = y[order[start : start + 8]]
        z = swept(W, batch, 0.1, 4)
        energies.extend(energy(Params(W), batch, z.T, 0.1))
        memory = (1 - 1 / i) ** forgetting
        A = memory * A + sum(np.outer(z[:, n], z[:, n]) for n in range(len(batch)))
        B = memory * B + sum(np.outer(z[:, n], batch[n]) for n in range(len(batch)))
        W = updated(W, A, B)
    found = fit(params, y, np.random.default_rng(5), lam=0.1, batch_size=8, forgetting=forgetting)
    np.testing.assert_allclose(found.params.W, W, rtol=1e-7, atol=1e-8)
    assert len(energies) == 20
    assert found.history == pytest.approx(np.mean(energies))


def test_the_count_of_batches_goes_on_from_epoch_to_epoch(rng):
    params, y = draw_problem(rng)
    generator = np.random.default_rng(5)
    orders = [generator.permutation(20) for _ in range(2)]
    W, A, B, i = params.W, 0.0, 0.0, 0
    for order in orders:
        for batch in (y[order[:10]], y[order[10:]]):
            i += 1
            z = swept(W, batch, 0.1, 4)
            A, B = (1 - 1 / i) ** 2 * A + z @ z.T, (1 - 1 / i) ** 2 * B + z @ batch
            W = updated(W, A, B)
    found = fit(params, y, np.random.default_rng(5), lam=0.1, batch_size=10, forgetting=2, n_epochs=2)
    np.testing.assert_allclose(found.params.W, W, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("normalization", ["sphere", "columns"])
def test_with_all_samples_at_once_codes_go_on_from_where_they_were_and_nothing_is_shuffled(normalization, rng):
    params, y = draw_problem(rng)
    W, z, history = params.W, None, []
    for _ in range(3):
        z = swept(W, y, 0.1, 2, z)
        history.append(energy(Params(W), y, z.T, 0.1).mean())
        W = updated(W, z @ z.T, z @ y, normalization)
        norms = np.linalg.norm(W, axis=0)
        W, z = W / norms, z * norms[:, None]
    before = rng.bit_generator.state
    found = fit(params, y, rng, lam=0.1, batch_size=None, n_sweeps=2, n_epochs=3, normalization=normalization)
    assert rng.bit_generator.state == before
    np.testing.assert_allclose(found.params.W, W, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(found.history, history, rtol=1e-9)


def test_the_start_is_brought_to_unit_norm(rng):
    params, y = draw_problem(rng)
    one, other = (fit(Params(c * params.W), y, np.random.default_rng(0), lam=0.1) for c in (1, 7))
    np.testing.assert_allclose(one.params.W, other.params.W, rtol=1e-9)
    np.testing.assert_allclose(one.history, other.history, rtol=1e-9)


# what it learns


def test_atoms_that_made_the_data_are_found_again():
    for seed in range(3):
        rng = np.random.default_rng(seed)
        truth, y = sparse_data(rng, 2000, 20, 20)
        found = fit(init_from_samples(rng, y, 20), y, rng, lam=0.3, n_epochs=20, batch_size=100)
        assert (likeness(truth, found.params) > 0.99).all()
        assert free_energy(found.params, y, 0.3).mean() < 1.001 * free_energy(truth, y, 0.3).mean()


def test_so_they_are_with_more_atoms_than_dimensions_and_from_random_ones():
    rng = np.random.default_rng(0)
    truth, y = sparse_data(rng, 4000, 16, 24)
    found = fit(init(rng, 16, 24), y, rng, lam=0.5, n_epochs=30, batch_size=200, forgetting=20)
    assert np.mean(likeness(truth, found.params) > 0.99) > 0.9


@given(generators(), st.sampled_from([None, 7, 20, 100]))
def test_learning_lowers_the_free_energy(rng, batch_size):
    _, y = sparse_data(rng, 60, 5, 6)
    start = init(rng, 5, 6)
    found = fit(start, y, rng, lam=0.1, n_epochs=6, batch_size=batch_size)
    assert type(found) is Fit
    assert type(found.params) is Params
    assert found.history.shape == (6,)
    before, after = (free_energy(params, y, 0.1, method="active_set").mean() for params in (start, found.params))
    assert after < before


@given(generators())
def test_with_all_samples_at_once_and_many_sweeps_the_energy_never_rises(rng):
    _, y = sparse_data(rng, 30, 5, 6)
    history = fit(init(rng, 5, 6), y, rng, lam=0.3, n_epochs=10, batch_size=None, n_sweeps=60).history
    assert (np.diff(history) <= 1e-9 * history[0]).all()


def test_without_normalisation_atoms_grow_and_codes_shrink_for_ever_while_the_energy_falls():
    rng = np.random.default_rng(0)
    _, y = sparse_data(rng, 400, 10, 14)
    start, paths = init_from_samples(rng, y, 14), {}
    for normalization in ("none", "sphere"):
        path = paths[normalization] = []
        for n_epochs in (2, 8, 32, 128):
            options = {"lam": 0.3, "n_epochs": n_epochs, "batch_size": None, "normalization": normalization}
            params = fit(start, y, rng, **options).params
            found = infer(params, y, 0.3, "active_set")
            path.append([np.linalg.norm(params.W), -np.abs(found.z).sum(axis=1).mean(), -found.energy.mean()])
    growing = np.array(paths["none"])
    assert (np.diff(growing, axis=0) > 0.05 * np.abs(growing[:-1])).all()
    held = np.array(paths["sphere"])
    np.testing.assert_allclose(held[:, 0], np.sqrt(14), rtol=1e-12)
    assert growing[-1, 2] > 0.3 * held[-1, 2]
    assert abs(held[-1, 1]) > 2 * abs(growing[-1, 1])


def test_held_in_common_atoms_drift_apart_and_explain_new_data_worse():
    for seed in range(3):
        rng = np.random.default_rng(seed)
        _, y = sparse_data(rng, 600, 10, 14, np.geomspace(1, 5, 14))
        seen, unseen, lam = y[200:], y[:200], 0.3
        F, norms = {}, {}
        for normalization in ("sphere", "columns", "common"):
            start = init_from_samples(np.random.default_rng(9), seen, 14)
            # in common, columns are some 14 times shorter, and lam has the unit of a column
            weight = lam / 14 if normalization == "common" else lam
            options = {"n_epochs": 15, "batch_size": 50, "normalization": normalization}
            params = fit(start, seen, np.random.default_rng(1), lam=weight, **options).params
            norms[normalization] = np.linalg.norm(params.W, axis=0)
            F[normalization] = free_energy(unit_columns(params), unseen, lam, method="active_set").mean()
        assert norms["common"].sum() == pytest.approx(1, rel=1e-12)
        assert norms["common"].max() > 2 * norms["common"].min()
        assert F["sphere"] < F["columns"] < F["common"]
        assert F["common"] > 1.05 * F["sphere"]


# atoms that no code uses


def test_an_unused_atom_is_seeded_with_the_sample_that_is_explained_worst():
    y = np.zeros((10, 4))
    y[:, 0] = 2
    y[3] = [0, 0, 3, 4]
    W = np.eye(4, 2)  # the second atom meets no sample
    start = Params(W)
    found = fit(start, y, np.random.default_rng(0), lam=0.1)
    np.testing.assert_allclose(found.params.W, [[1, 0], [0, 0], [0, 0.6], [0, 0.8]], atol=1e-12)
    used = fit(start, y, np.random.default_rng(0), lam=0.1, n_epochs=2)
    np.testing.assert_allclose(used.params.W, found.params.W, atol=1e-12)
    assert used.history[1] < 0.1 * used.history[0]
    assert infer(used.params, y, 0.1).z[3, 1] > 4.9


def test_atoms_of_zeros_are_put_to_use(rng):
    _, y = sparse_data(rng, 200, 8, 8)
    W = init(rng, 8, 8).W.copy()
    W[:, [1, 5]] = 0
    found = fit(Params(W), y, rng, lam=0.2, n_epochs=10, batch_size=50)
    np.testing.assert_allclose(np.linalg.norm(found.params.W, axis=0), 1, rtol=1e-12)
    assert (np.abs(infer(found.params, y, 0.2).z).max(axis=0) > 0.1).all()


def test_several_unused_atoms_are_seeded_with_different_samples_the_worst_first():
    y = np.diag([5.0, 4.0, 3.0, 2.0])
    found = fit(Params(np.zeros((4, 3))), y, np.random.default_rng(0), lam=0.1)
    np.testing.assert_array_equal(found.params.W, np.eye(4, 3))


def test_more_unused_atoms_than_samples_in_the_batch_wait_for_the_next(rng):
    y = np.diag([5.0, 4.0])
    found = fit(Params(np.zeros((2, 3))), y, rng, lam=0.1)
    np.testing.assert_array_equal(found.params.W, np.eye(2, 3))


def test_a_seeded_atom_has_no_memory_of_the_one_before_the_others_keep_theirs_and_it_is_as_long_as_they_are():
    A = np.array([[4.0, 1e-4, 1.0], [1e-4, 1e-8, 1e-4], [1.0, 1e-4, 2.0]])
    B = np.arange(6.0).reshape(3, 2)
    state = module._seed_unused(
        module.State(np.array([[1.0, 9, 3], [1, 9, 3]]), A, B), np.array([[3.0, 4.0], [1, 1]]), np.array([2.0, 1])
    )
    np.testing.assert_array_equal(state.A, [[4, 0, 1], [0, 0, 0], [1, 0, 2]])
    np.testing.assert_array_equal(state.B, [[0, 1], [0, 0], [4, 5]])
    mean = 2 * np.sqrt(2)
    np.testing.assert_allclose(state.W, [[1, 0.6 * mean, 3], [1, 0.8 * mean, 3]])


def test_data_of_zeros_seeds_nothing_and_teaches_nothing(rng):
    params, _ = draw_problem(rng)
    found = fit(params, np.zeros((5, 6)), rng, lam=0.1)
    np.testing.assert_allclose(found.params.W, params.W, rtol=1e-14)
    assert found.history == 0


# the loop


@pytest.mark.parametrize("batch_size", [None, 3, 7, 10, 1000])
def test_history_is_the_mean_energy_of_all_samples_however_the_last_batch_comes_out(batch_size, rng):
    atom = init(rng, 5, 1)  # multiples of one atom, which therefore stays
    y = np.linspace(-3, 3, 10)[:, None] * atom.W.T
    found = fit(atom, y, rng, lam=0.3, n_epochs=2, batch_size=batch_size, n_sweeps=40)
    np.testing.assert_allclose(found.history, free_energy(atom, y, 0.3, method="active_set").mean(), rtol=1e-9)


@given(generators(), st.integers(1, 12))
def test_every_sample_is_met_once_an_epoch(rng, batch_size):
    params, y = draw_problem(rng, n=10)
    met = []
    original = module._update

    def watch(state, batch, *rest):
        met.append(batch)
        return original(state, batch, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_update", watch)
        fit(params, y, rng, lam=0.3, n_epochs=2, batch_size=batch_size)
    n_batches = -(-10 // batch_size)
    assert [len(batch) for batch in met] == [min(batch_size, 10 - i * batch_size) for i in range(n_batches)] * 2
    for epoch in (met[:n_batches], met[n_batches:]):
        rows = np.concatenate(epoch)
        np.testing.assert_array_equal(rows[np.lexsort(rows.T)], y[np.lexsort(y.T)])


def test_the_callback_hears_of_each_epoch(rng):
    params, y = draw_problem(rng)
    heard = []
    found = fit(params, y, rng, lam=0.3, n_epochs=3, callback=lambda *report: heard.append(report))
    assert heard == list(enumerate(found.history, start=1))


def test_the_generator_shuffles_and_nothing_else_is_random(rng):
    params, y = draw_problem(rng)
    a, b, c = (fit(params, y, np.random.default_rng(seed), lam=0.3, batch_size=6, n_epochs=2) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a.params.W, b.params.W)
    np.testing.assert_array_equal(a.history, b.history)
    assert not np.array_equal(a.params.W, c.params.W)


@EVERY_NORMALIZATION
@pytest.mark.parametrize("batch_size", [None, 7])
def test_single_precision_is_kept_throughout_and_follows_double(normalization, batch_size, rng):
    params, y = draw_problem(rng)
    options = {"lam": 0.02, "n_epochs": 2, "batch_size": batch_size, "normalization": normalization}
    double = fit(params, y, np.random.default_rng(0), **options)
    seen = []
    original = module._update

    def watch(*arguments):
        seen.append(original(*arguments))
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_update", watch)
        single = fit(Params(params.W.astype(np.float32)), y.astype(np.float32), np.random.default_rng(0), **options)
    assert {a.dtype for state, s in seen for a in (*state, s)} == {np.dtype(np.float32)}
    assert single.params.W.dtype == np.float32
    np.testing.assert_allclose(single.params.W, double.params.W, atol=2e-3 * np.abs(double.params.W).max())
    np.testing.assert_allclose(single.history, double.history, rtol=1e-4)


def test_the_mean_over_samples_of_single_precision_is_taken_in_double(rng):
    params, y = draw_problem(rng, n=100)
    params, y = unit_columns(Params(params.W.astype(np.float32))), y.astype(np.float32)
    problem = pose(params.W, y, 0.1)
    z = sweeps(problem, np.zeros((4, 100), np.float32), descent(problem) + 4, descend=True)
    expected = energy(params, y, z.T, 0.1).mean(dtype=np.float64)
    assert fit(params, y, rng, lam=0.1, batch_size=None).history[0] == pytest.approx(expected, rel=1e-12)


def test_atoms_that_are_no_longer_finite_are_said_to_have_diverged_and_when(rng, monkeypatch):
    params, y = draw_problem(rng)
    original, epochs = module._update, []

    def spoil(state, *rest):
        state, s = original(state, *rest)
        return (state if len(epochs) < 2 else state._replace(W=np.where(np.eye(6, 4) > 0, np.nan, state.W))), s

    monkeypatch.setattr(module, "_update", spoil)
    with pytest.raises(FloatingPointError, match=r"^training diverged in epoch 3$"):
        fit(params, y, rng, lam=0.1, n_epochs=5, callback=lambda *now: epochs.append(now))


@pytest.mark.parametrize("dtypes", [("f4", "f8"), ("f8", "f4")])
def test_in_mixed_precision_all_is_of_the_finer_one(dtypes, rng):
    params, y = draw_problem(rng)
    W, y = params.W.astype(dtypes[0]), y.astype(dtypes[1])
    found = fit(Params(W), y, np.random.default_rng(0), lam=0.1, batch_size=7)
    expected = fit(Params(W.astype(float)), y.astype(float), np.random.default_rng(0), lam=0.1, batch_size=7)
    assert found.params.W.dtype == np.float64
    np.testing.assert_array_equal(found.params.W, expected.params.W)


def test_a_batch_has_512_samples_and_four_sweeps_and_old_ones_fade_with_the_power_10_unless_told_otherwise(rng):
    params, y = draw_problem(rng, n=1025)
    told = {"n_epochs": 1, "batch_size": 512, "n_sweeps": 4, "forgetting": 10.0, "normalization": "sphere"}
    found, expected = (fit(params, y, np.random.default_rng(0), lam=0.1, **options) for options in ({}, told))
    np.testing.assert_array_equal(found.params.W, expected.params.W)


@EVERY_NORMALIZATION
@pytest.mark.parametrize("batch_size", [None, 7])
def test_nothing_handed_in_is_written_to(normalization, batch_size, rng):
    params, y = draw_problem(rng)
    W = params.W.copy()
    W[:, 0] = 0
    W.setflags(write=False)
    fit(Params(W), y, rng, lam=0.3, n_epochs=2, batch_size=batch_size, normalization=normalization)
    init_from_samples(rng, y, 3)


@EVERY_NORMALIZATION
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_data_in_other_units_teach_the_same_atoms(normalization, size, rng):
    params, y = draw_problem(rng)
    options = {"n_epochs": 3, "batch_size": 7, "normalization": "sphere" if normalization == "none" else normalization}
    plain, scaled = (fit(params, c * y, np.random.default_rng(0), lam=c * 0.05, **options) for c in (1.0, size))
    np.testing.assert_allclose(scaled.params.W, plain.params.W, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(scaled.history, size**2 * plain.history, rtol=1e-8)


# first atoms


@given(generators(), st.integers(1, 9), st.integers(1, 9))
def test_first_atoms_are_different_samples_that_are_not_zero_at_unit_norm(rng, k, d):
    y = rng.normal(size=(12, d))
    y[[2, 5, 7]] = 0
    params = init_from_samples(rng, y, k)
    assert type(params) is Params
    assert params.W.shape == (d, k)
    np.testing.assert_allclose(np.linalg.norm(params.W, axis=0), 1, rtol=1e-13)
    same = np.abs(params.W.T @ y.T - np.linalg.norm(y, axis=1)) < 1e-12  # parallel: Cauchy and Schwarz
    same[:, [2, 5, 7]] = False
    assert same.any(axis=1).all()
    if d > 1:
        chosen = same.argmax(axis=1)
        assert len(set(chosen)) == k


def test_first_atoms_are_the_generators_alone(rng):
    _, y = draw_problem(rng)
    a, b, c = (init_from_samples(np.random.default_rng(seed), y, 4).W for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_first_atoms_keep_single_precision_and_take_integers(rng):
    assert init_from_samples(rng, np.eye(3, dtype=np.float32), 2).W.dtype == np.float32
    assert init_from_samples(rng, np.eye(3, dtype=int), 2).W.dtype == np.float64


def test_more_atoms_than_samples_that_are_not_zero_are_refused_by_name(rng):
    y = np.vstack([np.eye(3), np.zeros((2, 3))])
    assert init_from_samples(rng, y, 3).W.shape == (3, 3)
    message = r"^k: expected at most 3, the samples of y that are not zero, got 4$"
    with pytest.raises(ValueError, match=message):
        init_from_samples(rng, y, 4)


# what it refuses

W, Y = np.eye(3, 2), np.ones((4, 3))


@pytest.mark.parametrize(
    ("name", "error", "arguments"),
    [
        ("params.W", ValueError, {"params": Params(np.full((3, 2), np.nan))}),
        ("params.W", ValueError, {"params": Params(np.ones(3))}),
        ("params.W", TypeError, {"params": Params(None)}),
        ("params.W", TypeError, {"params": Params(W * 1j)}),
        ("y", ValueError, {"y": np.ones((4, 2))}),
        ("y", ValueError, {"y": np.full((4, 3), np.inf)}),
        ("y", ValueError, {"y": np.ones((0, 3))}),
        ("y", TypeError, {"y": None}),
        ("rng", TypeError, {"rng": None}),
        ("rng", TypeError, {"rng": 0}),
        ("lam", ValueError, {"lam": 0}),
        ("lam", ValueError, {"lam": -1}),
        ("lam", ValueError, {"lam": np.nan}),
        ("lam", ValueError, {"lam": 1e-200}),
        ("lam", TypeError, {"lam": "0.1"}),
        ("n_epochs", ValueError, {"n_epochs": 0}),
        ("n_epochs", TypeError, {"n_epochs": 1.0}),
        ("batch_size", ValueError, {"batch_size": 0}),
        ("batch_size", TypeError, {"batch_size": 2.0}),
        ("n_sweeps", ValueError, {"n_sweeps": 0}),
        ("n_sweeps", TypeError, {"n_sweeps": None}),
        ("forgetting", ValueError, {"forgetting": -1}),
        ("forgetting", ValueError, {"forgetting": np.inf}),
        ("forgetting", TypeError, {"forgetting": None}),
        ("normalization", ValueError, {"normalization": "rows"}),
        ("normalization", ValueError, {"normalization": None}),
        ("callback", TypeError, {"callback": 1}),
    ],
)
def test_learning_refuses_a_bad_argument_by_name(name, error, arguments):
    good = {"params": Params(W), "y": Y, "rng": np.random.default_rng(0), "lam": 0.1}
    with pytest.raises(error, match=rf"^{name}: expected"):
        fit(**{**good, **arguments})


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (
            TypeError("params: expected sparse_coding.Params, got tuple"),
            lambda rng: fit((W,), Y, rng, lam=0.1),
        ),
        (
            ValueError("params.W: expected shape (d, k), got shape (3,)"),
            lambda rng: fit(Params(np.ones(3)), Y, rng, lam=0.1),
        ),
        (
            ValueError("y: expected shape (N, 3), got shape (3,)"),
            lambda rng: fit(Params(W), np.ones(3), rng, lam=0.1),
        ),
        (
            ValueError("y: expected shape (N, d), got shape (3,)"),
            lambda rng: init_from_samples(rng, np.ones(3), 2),
        ),
    ],
)
def test_the_message_says_what_was_expected_and_what_came(error, call, rng):
    with pytest.raises(type(error), match=f"^{re.escape(str(error))}$"):
        call(rng)


@pytest.mark.parametrize(
    ("name", "error", "arguments"),
    [
        ("rng", TypeError, {"rng": 0}),
        ("y", ValueError, {"y": np.ones(3)}),
        ("y", ValueError, {"y": np.full((4, 3), np.nan)}),
        ("y", TypeError, {"y": None}),
        ("k", ValueError, {"k": 0}),
        ("k", ValueError, {"k": 5}),
        ("k", TypeError, {"k": 2.0}),
    ],
)
def test_first_atoms_refuse_a_bad_argument_by_name(name, error, arguments):
    with pytest.raises(error, match=rf"^{name}: expected"):
        init_from_samples(**{"rng": np.random.default_rng(0), "y": Y, "k": 2, **arguments})
