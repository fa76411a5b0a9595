import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import arrays, betas

from ebm_np.data.ellipse import radii, sample_horn
from ebm_np.foundations.gradient_check import central_difference, complex_step, gradient_check
from ebm_np.foundations.optimizers import adam, gradient_descent
from ebm_np.foundations.parameters import flatten, leaves, tree_map
from ebm_np.latent import ellipse, horn, inference, losses
from ebm_np.latent.nearest_point import nearest_angle

G_HIDDEN = st.sampled_from([None, (), (4,), (5, 3)])
seeds = st.integers(0, 2**32 - 1)


def model(seed, g_hidden, n=4):
    """A random model with random biases, and samples for it, away from the kinks of its ReLUs."""
    rng = np.random.default_rng(seed)
    params = horn.init(rng, hidden=(4, 3), g_hidden=g_hidden)
    params = tree_map(lambda a: a + 0.1 * rng.normal(size=a.shape), params)
    return params, rng.uniform(size=(n, 1)), rng.normal(size=(n, 2))


@given(seeds, G_HIDDEN)
def test_energy_is_the_squared_distance_to_what_is_decoded(seed, g_hidden):
    params, x, y = model(seed, g_hidden)
    z = inference.grid(5)
    table = horn.energy(params, x, y, z)
    for n in range(4):
        for k in range(5):
            decoded = horn.radii(params, x[n : n + 1])[0] * horn.curve(params, z[k])
            assert table[n, k] == pytest.approx(((y[n] - decoded) ** 2).sum(), rel=1e-12)
    np.testing.assert_allclose(((y[:, None] - horn.decode(params, x, z)) ** 2).sum(-1), table, rtol=1e-13)


@given(seeds, arrays((4, 3), largest=7))
def test_with_the_identity_for_g_each_x_has_the_ellipse_of_radii_f(seed, z):
    params, x, y = model(seed, None)
    for n, w in enumerate(horn.radii(params, x)):
        expected = ellipse.energy(ellipse.Params(w), y[n : n + 1], z[n])[0]
        np.testing.assert_allclose(horn.energy(params, x, y, z)[n], expected, rtol=1e-12)
        assert horn.infer(params, x, y).energy[n] == pytest.approx(
            ellipse.infer(ellipse.Params(w), y[n : n + 1]).energy[0], rel=1e-12
        )


@given(seeds, G_HIDDEN, st.booleans())
@settings(max_examples=30)
def test_parameter_gradient_agrees_with_the_complex_step(seed, g_hidden, shared):
    params, x, y = model(seed, g_hidden)
    rng = np.random.default_rng(seed)
    z, weights = rng.uniform(0, 6, (3,) if shared else (4, 3)), rng.normal(size=(4, 3))
    claimed = horn.energy_grad_params(params, x, y, z, weights)
    report = gradient_check(lambda p: (weights * horn.energy(p, x, y, z)).sum(), claimed, params)
    assert report.passed, report


@given(seeds, G_HIDDEN, arrays((4, 3), largest=7))
def test_slope_and_curvature_in_z_agree_with_the_complex_step(seed, g_hidden, z):
    params, x, y = model(seed, g_hidden)
    rows = np.array([2, 0, 1, 3])
    landscape = horn.landscape(params, x, y)
    np.testing.assert_allclose(landscape.value(rows, z), horn.energy(params, x[rows], y[rows], z), rtol=1e-13)
    slope = complex_step(lambda z: landscape.value(rows, z), z, np.ones_like(z))
    np.testing.assert_allclose(landscape.slope(rows, z), slope, rtol=1e-11, atol=1e-12 * np.abs(slope).max())
    curvature = complex_step(lambda z: landscape.slope(rows, z), z, np.ones_like(z))
    np.testing.assert_allclose(
        landscape.curvature(rows, z), curvature, rtol=1e-11, atol=1e-12 * np.abs(curvature).max()
    )


@given(seeds, G_HIDDEN, betas(0.01, 100))
@settings(max_examples=30)
def test_free_energy_gradients_agree_with_the_complex_step(seed, g_hidden, beta):
    params, x, y = model(seed, g_hidden)
    by_y = [complex_step(lambda y: horn.free_energy(params, x, y, beta), y, np.tile(e, (4, 1))) for e in np.eye(2)]
    np.testing.assert_allclose(
        horn.free_energy_grad_y(params, x, y, beta), np.stack(by_y, -1), rtol=1e-11, atol=1e-12 * np.abs(by_y).max()
    )
    claimed = horn.free_energy_grad_params(params, x, y, beta)
    report = gradient_check(lambda p: horn.free_energy(p, x, y, beta).mean(), claimed, params, rtol=1e-11)
    assert report.passed, report


@pytest.mark.parametrize("beta", [0.1, 10.0])
def test_with_weights_it_is_the_gradient_of_the_weighted_sum(beta):
    params, x, y = model(0, (4,))
    weights = np.array([0.0, -1.0, 2.0, 0.5])
    claimed = horn.free_energy_grad_params(params, x, y, beta, weights)
    report = gradient_check(lambda p: horn.free_energy(p, x, y, beta) @ weights, claimed, params, rtol=1e-11)
    assert report.passed, report


@given(seeds, G_HIDDEN)
def test_the_complex_step_passes_through_the_input_too(seed, g_hidden):
    params, x, y = model(seed, g_hidden)
    one = np.ones_like(x)

    def f(x):
        return horn.free_energy(params, x, y, 2.0)

    difference = central_difference(f, x, one)
    assume(np.abs(difference - central_difference(f, x, one, 1e-4)).max() < 1e-4)  # no kink of a ReLU in between
    np.testing.assert_allclose(complex_step(f, x, one), difference, rtol=1e-6, atol=1e-7)


@given(seeds, st.sampled_from([None, (6,)]))
@settings(max_examples=30)
def test_envelope_theorem(seed, g_hidden):
    params, x, y = model(seed, g_hidden)
    z, landscape = horn.infer(params, x, y).z[:, None], horn.landscape(params, x, y)
    rows = np.arange(4)
    assume((landscape.curvature(rows, z) > 1e-2).all())

    def twin(params, y):  # F_inf in complex arithmetic: one Newton step follows the minimum
        moved = horn.landscape(params, x, y)
        follow = z - moved.slope(rows, z) / moved.curvature(rows, z)
        return horn.energy(params, x, y, follow)[:, 0]

    by_y = [complex_step(lambda y: twin(params, y), y, np.tile(e, (4, 1))) for e in np.eye(2)]
    grad = horn.free_energy_grad_y(params, x, y)
    np.testing.assert_allclose(grad, np.stack(by_y, -1), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(grad, horn.energy_grad_y(params, x, y, z[:, 0]), rtol=1e-12, atol=1e-14)
    claimed = horn.free_energy_grad_params(params, x, y)
    report = gradient_check(lambda p: twin(p, y).mean(), claimed, params, rtol=1e-9)
    assert report.passed, report


@given(seeds, st.sampled_from([None, (6,)]))
@settings(max_examples=20)
def test_inference_beats_a_fine_grid(seed, g_hidden):
    params, x, y = model(seed, g_hidden)
    found = horn.infer(params, x, y, n_grid=200)
    assert (found.energy <= horn.energy(params, x, y, inference.grid(5000)).min(axis=1) + 1e-12).all()
    np.testing.assert_allclose(found.energy, horn.energy(params, x, y, found.z[:, None])[:, 0], rtol=1e-12)
    assert found.converged.all()


@pytest.mark.parametrize("options", [{}, {"n_grid": 3}, {"n_grid": 48}])
def test_behind_a_network_newton_starts_from_a_grid_of_forty_eight_unless_told_otherwise(options):
    params, x, y = model(3, (5, 3), n=6)
    params = params._replace(g=tree_map(lambda a: 3 * a, params.g))  # so wavy that the grid matters
    found = horn.infer(params, x, y, **options)
    expected = inference.newton(horn.landscape(params, x, y), np.zeros(6), **{"n_grid": 48, **options})
    np.testing.assert_array_equal(found.z, expected.z)
    assert found.n_iter == expected.n_iter
    assert options != {"n_grid": 3} or not np.allclose(found.energy, horn.infer(params, x, y).energy)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_without_one_it_is_exact_and_leaves_no_trace(dtype):
    params, x, y = tree_map(lambda a: a.astype(dtype), model(3, None))
    found, (z, n_iter, converged) = horn.infer(params, x, y), nearest_angle(horn.radii(params, x), y)
    np.testing.assert_array_equal(found.z, z)
    np.testing.assert_array_equal(found.converged, converged)
    assert found.n_iter == n_iter
    assert found.trace.shape == (0, 4)
    assert found.trace.dtype == dtype


@pytest.mark.parametrize(
    "loss", [None, losses.energy_loss(), losses.hinge_loss(2.0), losses.log_loss()], ids=["", "energy", "hinge", "log"]
)
@pytest.mark.parametrize(("beta", "n_latents"), [(np.inf, 96), (20.0, 5)])
def test_a_full_batch_makes_a_step_down_the_gradient_of_the_loss_functional(loss, beta, n_latents):
    params, x, y = model(1, (3,))
    heard = []
    fitted = horn.fit(
        params,
        (x, y),
        np.random.default_rng(0),
        beta=beta,
        loss=loss,
        contrast=lambda rng, y: 1.5 * y,
        optimizer=gradient_descent(0.1),
        n_epochs=1,
        batch_size=None,
        n_latents=n_latents,
        callback=lambda *report: heard.append(report),
    )
    value, gradient = losses.functional_and_grad(
        losses.energy_loss() if loss is None else loss,
        lambda y: horn.free_energy(params, x, y, beta, n_latents),
        lambda y, c: horn.free_energy_grad_params(params, x, y, beta, c, n_latents),
        y,
        1.5 * y,
    )
    np.testing.assert_allclose(flatten(fitted.params), flatten(params) - 0.1 * flatten(gradient), rtol=1e-11)
    assert fitted.history[0] == pytest.approx(value, rel=1e-12)
    assert heard == [(1, fitted.history[0])]


def test_by_default_adam_makes_two_hundred_epochs_of_steps_of_a_hundredth_on_batches_of_32(rng):
    params, x, y = model(1, None, n=40)

    def fit(**options):
        return horn.fit(params, (x, y), np.random.default_rng(0), **options)

    expected = fit(optimizer=adam(1e-2), n_epochs=3, batch_size=32)
    np.testing.assert_array_equal(flatten(fit(n_epochs=3).params), flatten(expected.params))
    assert len(horn.fit(params, (x[:1], y[:1]), rng).history) == 200


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("beta", [np.inf, 30.0])
def test_trained_radii(seed, beta):
    rng = np.random.default_rng(seed)
    data = sample_horn(rng, 1000)
    params = horn.init(rng)
    for rate, n_epochs in ((1e-2, 50), (1e-3, 15)):
        params = horn.fit(params, data, rng, beta=beta, optimizer=adam(rate), n_epochs=n_epochs, batch_size=50).params
    x = np.linspace(0, 1, 201)
    truth = radii(x)
    assert (np.abs(np.abs(horn.radii(params, x[:, None])) - truth) <= 0.05 + 0.05 * truth).all()


def test_network_decoder_fits_what_an_ellipse_cannot():
    rng = np.random.default_rng(0)
    theta = rng.uniform(0, 2 * np.pi, 100)
    r = 1.3 + 0.5 * np.cos(3 * theta)
    y = np.stack([r * np.cos(theta), r * np.sin(theta)], axis=-1)
    x, losses = np.zeros((100, 1)), []
    for g_hidden in (None, (8, 8)):
        fitted = horn.fit(horn.init(rng, g_hidden=g_hidden), (x, y), rng, n_epochs=100, batch_size=20)
        losses.append(horn.free_energy(fitted.params, x, y).mean())
    assert losses[1] < 0.1 * losses[0]


def test_contrastive_training_runs_through_the_same_door(rng):
    data = sample_horn(rng, 50)
    untrained = horn.init(rng)
    fitted = horn.fit(
        untrained,
        data,
        rng,
        beta=1.0,
        loss=losses.log_loss(),
        contrast=lambda rng, y: y + rng.normal(size=y.shape),
        n_epochs=5,
        batch_size=7,
    )
    assert np.isfinite(fitted.history).all()
    assert fitted.history[-1] < fitted.history[0]


def test_training_is_decided_by_the_seed_and_leaves_its_arguments_alone():
    data = sample_horn(np.random.default_rng(0), 40)
    untrained = horn.init(np.random.default_rng(1))
    for leaf in (*leaves(untrained), *data):
        leaf.flags.writeable = False
    one, same, other = (horn.fit(untrained, data, np.random.default_rng(s), n_epochs=2).params for s in (5, 5, 6))
    np.testing.assert_array_equal(flatten(one), flatten(same))
    assert not np.array_equal(flatten(one), flatten(other))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("hidden", [(8, 8), (3,), (4, 4, 4)])
def test_no_unit_of_the_first_layer_is_dead_on_the_inputs(seed, hidden):
    params = horn.init(np.random.default_rng(seed), hidden=hidden)
    x = np.linspace(0, 1, 1001)[:, None]
    active = x @ params.f[0].W.T + params.f[0].b > 0
    assert active.any(axis=0).all()
    assert [layer.W.shape[0] for layer in params.f] == [*hidden, 2]
    kinks = np.sort(-params.f[0].b / params.f[0].W[:, 0])
    n = hidden[0]
    assert ((np.arange(n) / n <= kinks) & (kinks < (np.arange(n) + 1) / n)).all()
    assert len(np.unique((n * kinks % 1).round(9))) == n  # each at its own place in its part
    assert all((layer.b == 0.5).all() for layer in params.f[1:-1])
    assert (params.f[-1].b == 0).all()


@pytest.mark.parametrize("g_hidden", [None, (4,)])
@pytest.mark.parametrize("beta", [np.inf, 2.0])
def test_float32_in_float32_out(g_hidden, beta, rng):
    x, y = sample_horn(rng, 10, dtype=np.float32)
    params = horn.init(rng, g_hidden=g_hidden, dtype=np.float32)
    assert horn.free_energy(params, x, y, beta).dtype == np.float32
    assert horn.free_energy_grad_y(params, x, y, beta).dtype == np.float32
    fitted = horn.fit(params, (x, y), rng, beta=beta, n_epochs=1)
    assert {leaf.dtype for leaf in leaves(fitted.params)} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("x", lambda p, x, y: horn.infer(p, x[:, 0], y)),
        ("x", lambda p, x, y: horn.infer(p, np.full_like(x, np.nan), y)),
        ("y", lambda p, x, y: horn.infer(p, x, y[:3])),
        ("y", lambda p, x, y: horn.infer(p, x, np.ones((4, 3)))),
        ("y", lambda p, x, y: horn.fit(p, (x, y * np.inf), np.random.default_rng(0))),
        ("beta", lambda p, x, y: horn.free_energy(p, x, y, 0)),
        ("beta", lambda p, x, y: horn.free_energy_grad_y(p, x, y, -1)),
        ("beta", lambda p, x, y: horn.fit(p, (x, y), np.random.default_rng(0), beta=0)),
        ("n_latents", lambda p, x, y: horn.fit(p, (x, y), np.random.default_rng(0), n_latents=0)),
        ("n_epochs", lambda p, x, y: horn.fit(p, (x, y), np.random.default_rng(0), n_epochs=0)),
        ("batch_size", lambda p, x, y: horn.fit(p, (x, y), np.random.default_rng(0), batch_size=0)),
        ("n_grid", lambda p, x, y: horn.infer(model(0, (4,))[0], x, y, n_grid=2)),
    ],
)
def test_bad_input_is_refused_by_name(name, call):
    params, x, y = model(0, None)
    with pytest.raises(ValueError, match=f"^{name}: expected"), np.errstate(invalid="ignore"):
        call(params, x, y)


def test_a_seed_is_no_generator():
    with pytest.raises(TypeError, match=r"^rng: expected"):
        horn.init(0)
    params, x, y = model(0, None)
    with pytest.raises(TypeError, match=r"^rng: expected"):
        horn.fit(params, (x, y), 3)


def test_integers_are_observations_too():
    params = horn.init(np.random.default_rng(0))
    x, y = np.full((3, 1), 0.5), np.array([[3, 1], [2, 4], [-1, 2]])
    np.testing.assert_array_equal(horn.free_energy(params, x, y, 1.0), horn.free_energy(params, x, y * 1.0, 1.0))


def test_parameters_that_are_not_finite_are_refused():
    params, x, y = model(0, (4,))
    with pytest.raises(ValueError, match=r"^params\.f\[0\]\.W: expected finite"):
        horn.infer(tree_map(lambda a: a * np.nan, params), x, y)


def test_observations_are_real_and_inputs_a_table():
    params, x, y = model(0, None)
    with pytest.raises(TypeError, match=r"^y: expected real numbers"):
        horn.infer(params, x, 1j * y)
    with pytest.raises(ValueError, match=r"^x: expected shape \(N, 1\), got shape \(4,\)$"):
        horn.infer(params, x[:, 0], y)


def test_a_precision_that_is_none_is_refused_by_name(rng):
    with pytest.raises(TypeError, match=r"^dtype: expected float32 or float64, got 'float16'$"):
        horn.init(rng, dtype="float16")


def test_a_layer_without_units_is_refused():
    with pytest.raises(ValueError, match=r"^hidden: expected"):
        horn.init(np.random.default_rng(0), hidden=(0,))


def test_training_that_diverges_is_one_clear_error(rng):
    with pytest.raises(FloatingPointError, match="smaller rate"):
        horn.fit(horn.init(rng, g_hidden=(4,)), sample_horn(rng, 20), rng, optimizer=adam(1e200), n_epochs=20)


@pytest.mark.parametrize("name", ["hidden", "g_hidden"])
def test_widths_that_are_no_tuple_or_no_numbers_are_refused_by_name(name):
    for widths, error in (([4], TypeError), ((4, 0), ValueError)):
        with pytest.raises(error, match=f"^{name}: expected"):
            horn.init(np.random.default_rng(0), **{name: widths})


def test_the_weights_of_g_keep_the_mean_square_of_what_passes_through_them():
    first, second = horn.init(np.random.default_rng(0), g_hidden=(3000,)).g
    np.testing.assert_allclose(first.W.var() * 2, 1, atol=0.1)
    np.testing.assert_allclose(second.W.var() * 3000, 1, atol=0.1)


def test_a_number_of_latents_is_checked_where_it_is_not_needed():
    params, x, y = model(0, None)
    with pytest.raises(ValueError, match=r"^n_latents: expected"):
        horn.free_energy(params, x, y, n_latents=0)


@pytest.mark.parametrize("data", [None, [1, 2, 3], np.ones((2, 4)), np.ones((4, 1))])
def test_data_that_is_no_pair_is_refused_by_name(data):
    message = rf"^data: expected inputs and observations \(x, y\), got {type(data).__name__}$"
    with pytest.raises(TypeError, match=message):
        horn.fit(model(0, None)[0], data, np.random.default_rng(0))


def test_networks_that_are_none_are_refused_by_name():
    params, x, y = model(0, (4,))
    wide = horn.Params(params.f, horn.init(np.random.default_rng(0), (4,), (4, 3)).g[1:])
    for bad, error, message in (
        ((params.f, params.g), TypeError, "params: expected horn.Params, got tuple"),
        (params._replace(f=None), TypeError, "params.f: expected a tuple of Affine layers, got NoneType"),
        (params._replace(f=params.f[:-1]), ValueError, r"params.f\[1\].W: expected shape \(2, 4\), got shape \(3, 4\)"),
        (params._replace(g=None), TypeError, "params.g: expected a tuple of Affine layers, got NoneType"),
        (params._replace(g=params.g[:-1]), ValueError, r"params.g\[0\].W: expected shape \(2, 2\), got shape \(4, 2\)"),
        (wide, ValueError, r"params.g\[0\].W: expected shape \(k, 2\), got shape \(3, 4\)"),
    ):
        with pytest.raises(error, match=f"^{message}$"):
            horn.infer(bad, x, y)


def test_inputs_of_another_width_are_refused_by_name():
    params, x, y = model(0, None)
    flat = params._replace(f=(params.f[0]._replace(W=params.f[0].W[:, 0]), *params.f[1:]))
    with pytest.raises(ValueError, match=r"^params.f\[0\].W: expected shape \(k, d\), got shape \(4,\)$"):
        horn.infer(flat, x, y)
