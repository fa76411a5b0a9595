"""The table of all models, whose promises `test_contract` holds them to: a new model adds a line."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ebm_np.autoencoders import (
    autoencoder,
    contractive,
    denoising,
    generation,
    linear_vae,
    network,
    target_propagation,
    variational,
)
from ebm_np.data.ellipse import sample_horn
from ebm_np.latent import ellipse, horn
from ebm_np.physics import (
    boltzmann,
    capacity,
    contrastive_divergence,
    dense_memory,
    hopfield,
    mean_field,
    mechanics,
    modern_hopfield,
    partition,
)
from ebm_np.sparse import (
    convolutional,
    convolutional_autoencoder,
    convolutional_dictionary,
    coupled_lista,
    dictionary,
    lista,
    predictive,
    regularized,
    sparse_coding,
)

RNG = np.random.default_rng(7)
X, Y = sample_horn(RNG, 9)
SPARSE = RNG.normal(size=(9, 6))
IMAGES = RNG.normal(size=(9, 2, 5, 6))
PIXELS = RNG.random((9, 6))
BITS = (PIXELS > 0.5).astype(float)
CODES = RNG.normal(size=(9, 8))
STATES, PATTERNS = (np.sign(RNG.normal(size=shape)) for shape in ((9, 12), (3, 12)))
PATHS = np.cumsum(RNG.normal(size=(9, 6, 2)), axis=1)
W = sparse_coding.init(RNG, 6, 8).W


COMPLEX = frozenset({"complex numbers"})
"""For the complex step."""


class Model(NamedTuple):
    """Parameters, data (arrays whose rows are samples, by name), and functions of (params, *data)."""

    params: Any
    data: dict[str, Any]
    per_sample: dict[str, Callable[..., Any]]
    infer: Callable[..., Any] | None = None  # None: the model has no latent variable
    fit: Callable[..., Any] | None = None  # with rng as the last argument; None: nothing is trained
    grad_params: Callable[..., Any] | None = None  # takes `weights`, too
    not_in_fit: str = ""  # the data that training draws for itself
    accepts: frozenset[str] = frozenset()  # what is bad for other models


def _free_energies(module: Any, **options: Any) -> dict[str, Callable[..., Any]]:
    """Return F and its gradient in y."""
    functions = {"F": module.free_energy, "grad_y F": module.free_energy_grad_y}
    return {name: partial(function, **options) for name, function in functions.items()}


def _latent(module: Any, params: Any, data: dict[str, Any], fit: Callable[..., Any]) -> Model:
    cold, warm = _free_energies(module), _free_energies(module, beta=2.0)
    functions = {f"{name}, beta {beta}": f for beta, part in (("inf", cold), (2, warm)) for name, f in part.items()}
    return Model(params, data, functions, module.infer, fit, partial(module.free_energy_grad_params, beta=2.0))


def _horn(params: Any) -> Model:
    options = {"n_epochs": 2, "batch_size": 4}
    return _latent(horn, params, {"x": X, "y": Y}, lambda p, x, y, rng: horn.fit(p, (x, y), rng, **options))


def _regularized(regularizer: Any) -> Model:
    options = {"regularizer": regularizer}
    return Model(
        regularized.init(RNG, 6, 8, 1),
        {"x": X, "y": SPARSE},
        _free_energies(regularized, **options),
        partial(regularized.infer, **options),
        grad_params=partial(regularized.free_energy_grad_params, **options),
    )


def _predictive(encoder: str) -> Model:
    options = {"alpha": 0.7, "lam": 0.3}
    return Model(
        predictive.init(RNG, 6, 8, encoder, 0.3),
        {"y": SPARSE},
        _free_energies(predictive, **options, tol=1e-11),
        partial(predictive.infer, **options, tol=1e-3),
        partial(predictive.fit, **options, n_epochs=2, batch_size=4),
        partial(predictive.free_energy_grad_params, **options, tol=1e-3),
    )


def _convolutional_autoencoder(encoder: str) -> Model:
    options = {"alpha": 0.7, "lam": 1.0}
    functions = {
        f"{name}, {boundary}": f
        for boundary in ("full", "valid", "circular")
        for name, f in _free_energies(convolutional_autoencoder, **options, boundary=boundary, tol=1e-11).items()
    }
    return Model(
        convolutional_autoencoder.init(RNG, 4, 2, 3, 2, encoder, 1.0),
        {"y": IMAGES},
        functions,
        partial(convolutional_autoencoder.infer, **options),
        partial(convolutional_autoencoder.fit, **options, n_epochs=2, batch_size=4),
        partial(convolutional_autoencoder.free_energy_grad_params, **options, tol=1e-9),
    )


def _autoencoder(params: Any, y: Any, fit: Callable[..., Any] = autoencoder.fit, **choices: Any) -> Model:
    model = autoencoder.Model(**choices)
    functions = {"Enc": autoencoder.encode, "r": autoencoder.reconstruct, "r - y": denoising.vector_field}
    return Model(
        params,
        {"y": y},
        _free_energies(autoencoder, model=model) | {name: partial(f, model=model) for name, f in functions.items()},
        fit=partial(fit, model=model, n_epochs=2, batch_size=4),
        grad_params=partial(autoencoder.free_energy_grad_params, model=model),
    )


def _target_propagation(params: Any, f: str) -> Model:
    options = {"f": f, "alpha": 0.7, "lam": 0.1}
    return Model(
        params,
        {"y": SPARSE},
        _free_energies(target_propagation, **options, tol=1e-5),
        partial(target_propagation.infer, **options, tol=1e-3, trace=True),
        partial(target_propagation.fit, **options, n_epochs=2, batch_size=4),
        partial(target_propagation.free_energy_grad_params, **options, tol=1e-3),
    )


def _variational(y: Any, **choices: Any) -> Model:
    model, functions = variational.Model(**choices), _free_energies(variational) | {"ELBO": variational.elbo}
    return Model(
        variational.init(RNG, (6, 5, 3), model.f),
        {"eps": RNG.normal(size=(9, 3)), "y": y},
        {name: lambda params, eps, y, f=f: f(params, y, eps, model) for name, f in functions.items()},
        fit=lambda params, eps, y, rng: variational.fit(params, y, rng, model, n_epochs=2, batch_size=4),
        grad_params=lambda params, eps, y, weights=None: variational.free_energy_grad_params(
            params, y, eps, model, weights
        ),
        not_in_fit="eps",
    )


def _settled(settle: Callable[..., Any], **options: Any) -> dict[str, Callable[..., Any]]:
    return {field: lambda *args, field=field: getattr(settle(*args, **options), field) for field in ("state", "energy")}


MODELS = {
    "ellipse": _latent(
        ellipse,
        ellipse.UNTRAINED,
        {"y": ellipse.LECTURE_SAMPLE[:9]},
        partial(ellipse.fit, n_epochs=2, batch_size=4),
    ),
    "horn": _horn(horn.init(RNG)),
    "horn with a network": _horn(horn.init(RNG, g_hidden=(5,))),
    "regularized, l1": _regularized(regularized.L1(0.3, 1e-11)),
    "regularized, l2": _regularized(regularized.L2(0.3)),
    "regularized, noise": _regularized(regularized.Noise(0.2, 0.9)),
    "sparse coding": Model(
        sparse_coding.Params(W),
        {"y": SPARSE},
        {
            f"{name}, {method}": f
            for method in ("fista", "active_set")
            for name, f in _free_energies(sparse_coding, lam=0.3, method=method, tol=1e-11).items()
        },
        partial(sparse_coding.infer, lam=0.3, tol=1e-3),
        partial(dictionary.fit, lam=0.3, n_epochs=2, batch_size=4),
        partial(sparse_coding.free_energy_grad_params, lam=0.3, tol=1e-3),
    ),
    "LISTA": Model(
        lista.from_dictionary(W, 0.3),
        {"y": SPARSE, "z_target": CODES},
        {"N grad_y l": lambda params, y, z: lista.loss_grad_y(params, y, z, 3) * len(y)},
        fit=partial(lista.fit, n_steps=3, n_epochs=2, batch_size=4, held_out=0.2),
        accepts=COMPLEX,
    ),
    "coupled LISTA": Model(
        coupled_lista.from_dictionary(W, 0.3, 3),
        {"y": SPARSE, "z_target": CODES},
        {"N grad_y l": lambda params, y, z: coupled_lista.loss_grad_y(params, params.V, y, z) * len(y)},
        fit=lambda params, y, z, rng: coupled_lista.fit(params, params.V, y, z, rng, n_epochs=2, batch_size=4),
        accepts=COMPLEX,
    ),
    **{f"predictive, {encoder}": _predictive(encoder) for encoder in ("shrink", "tanh", "lista")},
    "convolutional sparse coding": Model(
        convolutional.init(RNG, 4, 2, 3, 2),
        {"y": IMAGES},
        {
            f"{name}, {boundary}, {method}": f
            for boundary in ("full", "valid", "circular")
            for method in ("fista", "working_set")
            for name, f in _free_energies(convolutional, lam=3.0, boundary=boundary, method=method, tol=1e-11).items()
        },
        partial(convolutional.infer, lam=3.0),
        partial(convolutional_dictionary.fit, lam=3.0, n_epochs=2, batch_size=4),
        partial(convolutional.free_energy_grad_params, lam=3.0, tol=1e-9),
    ),
    **{f"convolutional auto-encoder, {name}": _convolutional_autoencoder(name) for name in ("shrink", "tanh")},
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
    "variational, generation": Model(
        variational.init(RNG, (6, 5, 3)),
        {"y": PIXELS},
        {"r": partial(generation.reconstruct, model=variational.Model())},
    ),
    "linear variational": Model(
        linear_vae.init(RNG, 6, 3),
        {"y": SPARSE},
        _free_energies(linear_vae) | {"log p": linear_vae.log_likelihood},
        fit=partial(linear_vae.fit, n_epochs=2, batch_size=4),
        grad_params=linear_vae.free_energy_grad_params,
    ),
    "action": Model(
        (),
        {"q": PATHS},
        {
            name: lambda params, q, f=f: f(mechanics.oscillator(), q, 1.5)
            for name, f in {
                "S": mechanics.action,
                "grad S": mechanics.action_grad,
                "H": mechanics.hessian,
                "T": lambda *args: mechanics.energies(*args)[0],
            }.items()
        },
        lambda params, q: mechanics.relax(mechanics.oscillator(), q, 1.5, n_trace=3),
        accepts=frozenset({"too wide"}),  # longer paths
    ),
    "Hopfield's memory": Model(
        hopfield.store(PATTERNS),
        {"s": STATES},
        {"E": hopfield.energy, "h": hopfield.fields}
        | _settled(hopfield.settle)
        | {f"{name}, all at once": f for name, f in _settled(hopfield.settle, update="all at once").items()},
    ),
    "Hopfield's memory, overlaps": Model(PATTERNS, {"s": STATES}, {"m": hopfield.overlaps}),
    "Hopfield networks side by side": Model(
        (),
        {"patterns": np.sign(RNG.normal(size=(9, 3, 12))), "s": STATES},
        _settled(lambda params, patterns, s: capacity.retrieve(patterns, s)),
        accepts=frozenset({"too wide"}),  # more patterns
    ),
    "mean field": Model(
        (),
        {"alpha": np.linspace(0.01, 0.13, 9)},
        {
            name: lambda params, alpha, f=f: f(alpha)
            for name, f in {
                "m": mean_field.overlap,
                "E": mean_field.memory_energy,
                "first step": mean_field.first_step_error,
            }.items()
        },
        accepts=frozenset({"too wide", "wrong rank"}),  # loads of any shape
    ),
    "dense memory": Model(
        PATTERNS, {"s": STATES}, {"E": partial(dense_memory.energy, n=3)} | _settled(dense_memory.settle, n=3)
    ),
    "modern memory": Model(
        RNG.normal(size=(3, 6)),
        {"s": SPARSE},
        {
            "F": partial(modern_hopfield.free_energy, beta=2.0),
            "grad_s F": partial(modern_hopfield.free_energy_grad_s, beta=2.0),
            "step": partial(modern_hopfield.step, beta=2.0),
        },
        partial(modern_hopfield.settle, beta=2.0, n_trace=3),
    ),
    "Boltzmann machine": Model(
        boltzmann.init(RNG, 6, 4, std=0.5),
        {"v": BITS},
        {
            "F": boltzmann.free_energy,
            "grad_v F": boltzmann.free_energy_grad_v,
            "log p": partition.log_likelihood,
        },
        fit=partial(contrastive_divergence.fit, n_epochs=2, batch_size=4, n_chains=5),
        grad_params=boltzmann.free_energy_grad_params,
        accepts=COMPLEX,
    ),
}
