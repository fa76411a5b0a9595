"""What every model promises, in one table: a new model adds a line."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
from guards import read_only

from ebm_np.autoencoders import (
    autoencoder,
    contractive,
    denoising,
    linear_vae,
    network,
    target_propagation,
    variational,
)
from ebm_np.data.ellipse import sample_horn
from ebm_np.foundations.parameters import leaves, tree_map
from ebm_np.latent import ellipse, horn
from ebm_np.sparse import (
    convolutional,
    convolutional_autoencoder,
    convolutional_dictionary,
    dictionary,
    predictive,
    sparse_coding,
)

RNG = np.random.default_rng(7)
X, Y = sample_horn(RNG, 9)
SPARSE = RNG.normal(size=(9, 6))
IMAGES = RNG.normal(size=(9, 2, 5, 6))
PIXELS = RNG.random((9, 6))
HORN_G = horn.init(RNG, g_hidden=(5,))


class Model(NamedTuple):
    """Parameters, data (arrays whose rows are samples), and functions of (params, *data)."""

    params: Any
    data: tuple[Any, ...]
    infer: Callable[..., Any] | None  # None: the model has no latent variable
    per_sample: dict[str, Callable[..., Any]]
    fit: Callable[..., Any]


def _horn(params):
    return Model(
        params,
        (X, Y),
        horn.infer,
        {
            "F_inf": horn.free_energy,
            "F_2": partial(horn.free_energy, beta=2.0),
            "grad_y F_inf": horn.free_energy_grad_y,
            "grad_y F_2": partial(horn.free_energy_grad_y, beta=2.0),
        },
        lambda params, x, y, rng: horn.fit(params, (x, y), rng, n_epochs=2, batch_size=4),
    )


def _autoencoder(params, y, fit=autoencoder.fit, **choices):
    model = autoencoder.Model(**choices)
    return Model(
        params,
        (y,),
        None,
        {
            "F": partial(autoencoder.free_energy, model=model),
            "grad_y F": partial(autoencoder.free_energy_grad_y, model=model),
        },
        lambda params, y, rng: fit(params, y, rng, model=model, n_epochs=2, batch_size=4),
    )


def _target_propagation(params, f):
    options = {"f": f, "alpha": 0.7, "lam": 0.1}
    return Model(
        params,
        (SPARSE,),
        partial(target_propagation.infer, **options, tol=1e-3, trace=True),
        {
            "F_inf": partial(target_propagation.free_energy, **options, tol=1e-5),
            "grad_y F_inf": partial(target_propagation.free_energy_grad_y, **options, tol=1e-5),
        },
        lambda params, y, rng: target_propagation.fit(params, y, rng, **options, n_epochs=2, batch_size=4),
    )


def _variational(y, **choices):
    model, eps = variational.Model(**choices), RNG.normal(size=(9, 3))
    return Model(
        variational.init(RNG, (6, 5, 3), model.f),
        (eps, y),
        None,
        {
            name: lambda params, eps, y, function=function: function(params, y, eps, model)
            for name, function in {
                "F~": variational.free_energy,
                "ELBO": variational.elbo,
                "grad_y F~": variational.free_energy_grad_y,
            }.items()
        },
        lambda params, eps, y, rng: variational.fit(params, y, rng, model, n_epochs=2, batch_size=4),
    )


MODELS = {
    "ellipse": Model(
        ellipse.UNTRAINED,
        (ellipse.LECTURE_SAMPLE[:9],),
        ellipse.infer,
        {
            "F_inf": ellipse.free_energy,
            "F_2": partial(ellipse.free_energy, beta=2.0),
            "grad_y F_inf": ellipse.free_energy_grad_y,
            "grad_y F_2": partial(ellipse.free_energy_grad_y, beta=2.0),
        },
        lambda params, y, rng: ellipse.fit(params, y, rng, n_epochs=2, batch_size=4),
    ),
    "horn": _horn(horn.init(RNG)),
    "horn with a network": _horn(HORN_G),
    "sparse coding": Model(
        sparse_coding.init(RNG, 6, 8),
        (SPARSE,),
        partial(sparse_coding.infer, lam=0.3, tol=1e-3),
        {
            f"{name}, {method}": partial(function, lam=0.3, method=method, tol=1e-11)
            for name, function in {
                "F_inf": sparse_coding.free_energy,
                "grad_y F_inf": sparse_coding.free_energy_grad_y,
            }.items()
            for method in ("fista", "active_set")
        },
        lambda params, y, rng: dictionary.fit(params, y, rng, lam=0.3, n_epochs=2, batch_size=4),
    ),
    **{
        f"predictive, {encoder}": Model(
            predictive.init(RNG, 6, 8, encoder, 0.3),
            (SPARSE,),
            partial(predictive.infer, alpha=0.7, lam=0.3, tol=1e-3),
            {
                "F_inf": partial(predictive.free_energy, alpha=0.7, lam=0.3, tol=1e-11),
                "grad_y F_inf": partial(predictive.free_energy_grad_y, alpha=0.7, lam=0.3, tol=1e-11),
            },
            lambda params, y, rng: predictive.fit(params, y, rng, lam=0.3, n_epochs=2, batch_size=4),
        )
        for encoder in ("shrink", "tanh", "lista")
    },
    "convolutional sparse coding": Model(
        convolutional.init(RNG, 4, 2, 3, 2),
        (IMAGES,),
        partial(convolutional.infer, lam=3.0),
        {
            f"{name}, {boundary}, {method}": partial(function, lam=3.0, boundary=boundary, method=method, tol=1e-11)
            for name, function in {
                "F_inf": convolutional.free_energy,
                "grad_y F_inf": convolutional.free_energy_grad_y,
            }.items()
            for boundary in ("full", "valid", "circular")
            for method in ("fista", "working_set")
        },
        lambda params, y, rng: convolutional_dictionary.fit(params, y, rng, lam=3.0, n_epochs=2, batch_size=4),
    ),
    **{
        f"convolutional auto-encoder, {encoder}": Model(
            convolutional_autoencoder.init(RNG, 4, 2, 3, 2, encoder, 1.0),
            (IMAGES,),
            partial(convolutional_autoencoder.infer, alpha=0.7, lam=1.0),
            {
                f"{name}, {boundary}": partial(function, alpha=0.7, lam=1.0, boundary=boundary, tol=1e-11)
                for name, function in {
                    "F_inf": convolutional_autoencoder.free_energy,
                    "grad_y F_inf": convolutional_autoencoder.free_energy_grad_y,
                }.items()
                for boundary in ("full", "valid", "circular")
            },
            lambda params, y, rng: convolutional_autoencoder.fit(params, y, rng, lam=1.0, n_epochs=2, batch_size=4),
        )
        for encoder in ("shrink", "tanh")
    },
    "auto-encoder": _autoencoder(network.init(RNG, (6, 5, 3)), SPARSE),
    "auto-encoder, tied": _autoencoder(network.init(RNG, (6, 5, 3), tied=True), SPARSE, regularizer="l1", lam=0.3),
    "auto-encoder, contractive": _autoencoder(
        contractive.init(RNG, (6, 5, 8)), SPARSE, f="sigmoid", regularizer="contractive", lam=0.3
    ),
    "auto-encoder, binary cross-entropy": _autoencoder(
        network.init(RNG, (6, 8), "relu"), PIXELS, f="relu", g="sigmoid", cost="binary_cross_entropy"
    ),
    "auto-encoder, denoising": _autoencoder(
        network.init(RNG, (6, 8), "softplus"),
        SPARSE,
        partial(denoising.fit, corruption=denoising.Corruption("gaussian", 0.3)),
        f="softplus",
    ),
    "target propagation, linear decoder": _target_propagation(network.init(RNG, (6, 4)), "identity"),
    "target propagation, tanh": _target_propagation(network.init(RNG, (6, 5, 4)), "tanh"),
    "variational, bernoulli": _variational(PIXELS),
    "variational, gaussian": _variational(SPARSE, f="tanh", cost="gaussian", beta=2.5, learn_s=True),
    "linear variational": Model(
        linear_vae.init(RNG, 6, 3),
        (SPARSE,),
        None,
        {
            "F~": linear_vae.free_energy,
            "log p": linear_vae.log_likelihood,
            "grad_y F~": linear_vae.free_energy_grad_y,
        },
        lambda params, y, rng: linear_vae.fit(params, y, rng, n_epochs=2, batch_size=4),
    ),
}
INFERRING = {name: model for name, model in MODELS.items() if model.infer is not None}
EVERY_MODEL = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
EVERY_INFERRING_MODEL = pytest.mark.parametrize("model", INFERRING.values(), ids=INFERRING)
FUNCTIONS = [pytest.param(m, f, id=f"{name}, {k}") for name, m in MODELS.items() for k, f in m.per_sample.items()]
EVERY_FUNCTION = pytest.mark.parametrize(("model", "function"), FUNCTIONS)


@EVERY_MODEL
def test_arguments_are_never_written_to(model):
    params, data = read_only(model.params), read_only(model.data)
    if model.infer is not None:
        model.infer(params, *data)
    for function in model.per_sample.values():
        function(params, *data)
    model.fit(params, *data, np.random.default_rng(0))


@EVERY_FUNCTION
def test_float32_in_float32_out_and_float64_otherwise(model, function):
    single = tree_map(lambda a: np.asarray(a, np.float32), (model.params, model.data))
    assert function(single[0], *single[1]).dtype == np.float32
    double = function(model.params, *model.data)
    assert double.dtype == np.float64
    np.testing.assert_allclose(function(single[0], *single[1]), double, rtol=1e-3, atol=1e-3 * np.abs(double).max())


@EVERY_MODEL
def test_training_keeps_float32(model):
    params, data = tree_map(lambda a: np.asarray(a, np.float32), (model.params, model.data))
    fitted = model.fit(params, *data, np.random.default_rng(0))
    assert {leaf.dtype for leaf in leaves(fitted.params)} == {np.dtype("f4")}


@EVERY_INFERRING_MODEL
def test_inference_keeps_float32(model):
    params, data = tree_map(lambda a: np.asarray(a, np.float32), (model.params, model.data))
    found = model.infer(params, *data)
    assert {leaf.dtype for leaf in (found.z, found.energy, found.trace)} == {np.dtype("f4")}


@EVERY_FUNCTION
def test_a_batch_is_its_rows_one_by_one(model, function):
    together = function(model.params, *model.data)
    alone = [function(model.params, *(a[n : n + 1] for a in model.data))[0] for n in range(9)]
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6 * np.abs(together).max())


@EVERY_FUNCTION
@pytest.mark.parametrize("view", ["Fortran", "strided", "reversed", "broadcast"])
def test_the_layout_in_memory_does_not_matter(model, function, view):
    data = model.data
    if view == "Fortran":
        looked_at = tuple(np.asfortranarray(a) for a in data)
    elif view == "strided":
        looked_at = tuple(np.repeat(a, 2, axis=0)[::2] for a in data)
    elif view == "reversed":
        looked_at = tuple(np.ascontiguousarray(a[::-1])[::-1] for a in data)
    else:
        looked_at = tuple(np.broadcast_to(a[:1], a.shape) for a in data)
        data = tuple(np.repeat(a[:1], 9, axis=0) for a in data)
    np.testing.assert_allclose(function(model.params, *looked_at), function(model.params, *data), rtol=1e-6, atol=1e-9)


@EVERY_INFERRING_MODEL
def test_results_have_a_row_a_sample(model):
    found = model.infer(model.params, *model.data)
    assert len(found.z) == len(found.energy) == len(found.converged) == found.trace.shape[1] == 9
    assert found.converged.dtype == bool
    assert isinstance(found.n_iter, int)


@EVERY_MODEL
def test_training_is_decided_by_the_seed(model):
    one, same = (model.fit(model.params, *model.data, np.random.default_rng(3)) for _ in range(2))
    for a, b in zip(leaves(one.params), leaves(same.params), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one.history, same.history)
    assert one.history.shape == (2,)


@EVERY_MODEL
def test_trained_parameters_have_the_structure_of_the_untrained(model):
    fitted = model.fit(model.params, *model.data, np.random.default_rng(3)).params
    assert type(fitted) is type(model.params)
    assert [a.shape for a in leaves(fitted)] == [a.shape for a in leaves(model.params)]


BAD = {
    "NaN": lambda y: np.where(np.arange(y.size).reshape(y.shape) == 3, np.nan, y),
    "infinity": lambda y: np.where(np.arange(y.size).reshape(y.shape) == 3, np.inf, y),
    "empty": lambda y: y[:0],
    "too wide": lambda y: np.hstack([y, y]),
    "wrong rank": lambda y: y[0],
    "a string": lambda y: "y",
    "None": lambda y: None,
    "objects": lambda y: y.astype(object),
    "complex numbers": lambda y: y + 0j,
}


@EVERY_MODEL
@pytest.mark.parametrize("spoil", BAD.values(), ids=BAD)
def test_bad_data_is_refused_by_name(model, spoil):
    *x, y = model.data
    expected = r"^(x|y): expected" if spoil is BAD["empty"] else r"^y: expected"
    first = model.per_sample.values() if model.infer is None else [model.infer]
    for door in (*first, lambda *a: model.fit(*a, np.random.default_rng(0))):
        with pytest.raises((ValueError, TypeError), match=expected):
            door(model.params, *x, spoil(y))
