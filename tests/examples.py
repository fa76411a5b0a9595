"""A valid call of every public function of the library: small arguments, by module and parameter.

A value is looked for under "function.parameter" of the module, then under the parameter's name of the module, then
under its name in `COMMON`; what is found nowhere keeps its default. A new function needs nothing if its parameters bear
names that its module knows; else the test that walks the library says which argument is missing.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from guards import read_only

import ebm_np
from ebm_np.autoencoders import (
    autoencoder,
    denoising,
    linear_vae,
    network,
    variational,
)
from ebm_np.data.letters import letters
from ebm_np.foundations import layers, optimizers
from ebm_np.latent import ellipse, horn, losses
from ebm_np.physics import boltzmann, mechanics
from ebm_np.sparse import (
    convolutional,
    convolutional_autoencoder,
    convolutional_dictionary,
    convolutional_working_set,
    coupled_lista,
    gabor,
    gram_form,
    lista,
    operator_fista,
    predictive,
    regularized,
    sparse_coding,
)

RNG = np.random.default_rng(7)
N, D, K = 4, 6, 8
Y, Z, U = RNG.normal(size=(N, D)), RNG.normal(size=(N, K)), RNG.random((N, D))
W = sparse_coding.init(RNG, D, K).W
GRAM = gram_form.pose(W, Y, 0.3)
SIGNS = np.sign(Z.T) * (np.abs(Z.T) > 1)
IMAGES, KERNELS = RNG.normal(size=(2, 1, 5, 6)), convolutional.init(RNG, 2, 1, 3, 2)
MAPS = RNG.normal(size=(2, 2, 3, 5))
NET = network.init(RNG, (D, 5, 3))
VAE = variational.init(RNG, (D, 5, 3))
LISTA, TARGET = lista.from_dictionary(W, 0.3), RNG.normal(size=(N, K))
COUPLED = coupled_lista.init(W, 2)
PREDICTIVE = predictive.init(RNG, D, K, "shrink", 0.3)
CONVOLUTIONAL = convolutional_autoencoder.from_kernels(KERNELS.K, "shrink", 1.0)
GOAL = lista.unroll(LISTA, Y, 2)
HS = layers.mlp_forward(NET.encoder, Y, "tanh")
PATTERNS, LETTERS = letters("AZ"), letters("ABC")
APPLE = mechanics.straight(np.zeros((2, 2)), np.ones((2, 2)), 4)
HORN_X = RNG.random((N, 1))
SMOOTH = regularized.init(RNG, D, K)
GABOR = gabor.Gabor(*np.array([[1.0, 2, 2, 0.3, 0.2, 0.1, 1, 1.5]]).T)
POINT = ellipse.landscape(ellipse.UNTRAINED, ellipse.LECTURE_SAMPLE[:N])
SQUARE = np.array([[0.0, 1], [1, 0]])


def cost(x: Any) -> Any:
    return np.tanh(x).sum()


def looked(z: Any) -> operator_fista.Look:
    square = (z**2).sum(axis=1)
    return operator_fista.Look(0.5 * z, lambda: operator_fista.Cost(square, square))


COMMON: dict[str, Any] = {
    "rng": lambda: np.random.default_rng(0),
    "n_epochs": 1,
    "batch_size": 2,
    "callback": lambda: lambda epoch, loss: None,
    "weights": np.full(N, 0.25),
    "lam": 0.3,
    "alpha": 0.7,
    "name": "value",
    "f": "tanh",
    "dtype": np.float64,
    "n_steps": 2,
    "boundary": "full",
    "d": D,
    "k": 3,
    "n": 3,
    "tol": 1e-3,
    "max_iter": 50,
}
LATENT = {
    "y": ellipse.LECTURE_SAMPLE[:N],
    "z": np.linspace(0.1, 3.0, N),
    "n_latents": 8,
    "z0": np.zeros(N),
    "beta": 2.0,
    "energy_grad_params.weights": np.full((N, N), 0.1),
    "loss": losses.hinge_loss(),
    "contrast": lambda: lambda rng, y: y + rng.normal(size=y.shape),
    "optimizer": optimizers.gradient_descent(1e-2),
}
DICTIONARY = {"params": sparse_coding.Params(W), "y": Y, "z": Z, "W": W, "problem": GRAM, "signs": SIGNS}
FAST = {**DICTIONARY, "z": Z.T}
CONVOLUTION = {
    "params": KERNELS,
    "K": KERNELS.K,
    "y": IMAGES,
    "z": RNG.normal(size=(2, 2, 3, 5)),
    "z0": RNG.normal(size=(2, 2, 3, 5)),
    "weights": np.full(2, 0.5),
    "size": (3, 2),
    "shape": (3, 5),
    "lam": 1.0,
    "**options": {"max_iter": 50},
    "M": 2,
    "C": 1,
    "p": 3,
    "q": 2,
}
TWO = {"params": NET, "y": Y, "h": Z[:, :3], "z": Z[:, :3], "y_hat": U, "model": autoencoder.Model(), "network": NET}
MEMORY = {"patterns": PATTERNS, "s": LETTERS}

MODULES: dict[str, dict[str, Any]] = {
    "foundations.convolution": CONVOLUTION | {"g": IMAGES},
    "foundations.costs": {"y": U, "y_tilde": Y, "a": Y, "mu": Y, "log_v": U},
    "foundations.gradient_check": {
        "f": lambda: cost,
        "x": Y[0],
        "direction": U[0],
        "gradient": 1 - np.tanh(Y[0]) ** 2,
        "rtol": 1e-12,
        "step": 1e-6,
    },
    "foundations.layers": {
        "layer": NET.encoder[0],
        "layers": NET.encoder,
        "x": Y,
        "grad": RNG.normal(size=(N, 3)),
        "affine_grad.grad": RNG.normal(size=(N, 5)),
        "affine_vjp.grad": RNG.normal(size=(N, 5)),
        "widths": (D, 3),
        "activation": "tanh",
        "hs": HS,
        "deltas": layers.mlp_backward(NET.encoder, HS, HS[-1], "tanh"),
        "dx": U,
        "ddx": Y,
        "power": 1.0,
        "name": "layers",
    },
    "foundations.numerics": {"a": Y},
    "foundations.optimizers": {
        "rate": 0.1,
        "optimizer": optimizers.adam(),
        "onto": lambda: lambda params: params,
        "along": lambda: lambda params, grads: grads,
        "unit": np.eye(3),
        "grad": U[:3, :3],
        "axis": 1,
    },
    "foundations.parameters": {
        "function": lambda: np.negative,
        "tree": NET,
        "params": NET,
        "y": Y,
        "a": NET,
        "b": NET,
        "vector": np.zeros(sum(a.size for pair in (*NET.encoder, *NET.decoder) for a in pair)),
        "like": NET,
    },
    "foundations.proximal": {"v": Y, "threshold": 0.5},
    "foundations.training": {
        "loss_and_grad": lambda: lambda x, rows: (cost(x), 1 - np.tanh(x) ** 2),
        "params": Y[0],
        "optimizer": optimizers.gradient_descent(0.1),
        "held_out": lambda: cost,
        "watch": lambda: lambda epoch, params: None,
    },
    "foundations.validation": {
        "flag.value": True,
        "instance.kind": tuple,
        "instance.value": (1,),
        "instance.functions": (),
        "array.value": Y,
        "squarable.value": Y,
        "signs.value": LETTERS,
        "floating.value": np.float32,
        "choice.value": "a",
        "options": ("a", "b"),
        "count.value": 3,
        "value": 0.5,
        "shape": ("N", "d"),
        "sample_weights.value": np.full(N, 0.25),
        "sample_weights.name": "weights",
        "like": Y,
        "generator.value": lambda: np.random.default_rng(0),
        "function.value": lambda: cost,
        "log_variance.value": np.zeros(2),
        "log_variance.shape": (2,),
        "largest_squarable.dtype": np.dtype(float),
    },
    "data.contrast": {"image": U, "v": Y, "sigma": 1.0, "floor": 0.5},
    "data.digits": {},
    "data.ellipse": {"radii.x": U[0], "x": 0.5, "noise": 0.1},
    "data.images": {"images": [U, Y], "size": 2},
    "data.bars": {"n": 3, "y": (U > 0.5).astype(float)},
    "data.letters": {"letter": "A", "text": "BOOK", "scale": 2},
    "data.patches": {
        "images": [U, Y],
        "size": 2,
        "patches": U,
        "whitening": lambda: importlib.import_module("ebm_np.data.patches").fit_whitening(U),
        "image": U,
    },
    "data.pen": {"form": "52,0 50,50 48,100", "n": 10},
    "latent.denoising": LATENT | {"free_energy_grad_y": lambda: lambda y: 2 * y},
    "latent.ellipse": LATENT | {"params": ellipse.UNTRAINED},
    "latent.free_energy": {
        "energy": U,
        "beta": 2.0,
        "posterior.energy": lambda: lambda z: np.ones((N, len(z))),
        "z_check": lambda: lambda: np.zeros(N),
        "z": np.linspace(0, 3, 5),
    },
    "latent.horn": LATENT
    | {"params": horn.init(RNG, (3,), (4,)), "x": HORN_X, "data": (HORN_X, LATENT["y"]), "hidden": (3,)},
    "latent.inference": {"landscape": POINT, "z0": np.zeros(N), "z": Y[0], "n_latents": 8, "like": Y, "n": 8},
    "latent.losses": {
        "loss": losses.log_loss(),
        "free_energy": lambda: lambda y: ellipse.free_energy(ellipse.UNTRAINED, y),
        "objective.free_energy": lambda: lambda params, rows, y: (y**2).sum(axis=1),
        "free_energy_grad_params": lambda: lambda y, c: ellipse.free_energy_grad_params(ellipse.UNTRAINED, y, 2.0, c),
        "objective.free_energy_grad_params": lambda: lambda params, rows, y, c: c @ y,
        "y": LATENT["y"],
        "y_hat": U[:, :2],
        "contrast": LATENT["contrast"],
    },
    "latent.nearest_point": {"w": ellipse.UNTRAINED.w, "y": LATENT["y"]},
    "sparse.active_set": FAST | {"signs_of.u": Z.T, "signs_of.t": 0.5},
    "sparse.convolutional": CONVOLUTION | {"pull": convolutional.Pull(0.5, CONVOLUTION["z"])},
    "sparse.convolutional_autoencoder": CONVOLUTION
    | {
        "params": CONVOLUTIONAL,
        "run.encoder": CONVOLUTIONAL.encoder,
        "encoder": "shrink",
        "n_steps": 2,
        "guess": convolutional_autoencoder.run(CONVOLUTIONAL.encoder, IMAGES),
    },
    "sparse.convolutional_dictionary": CONVOLUTION
    | {
        "state": convolutional_dictionary.State(
            KERNELS.K, *convolutional_dictionary.moments(CONVOLUTION["z"], IMAGES, (3, 2), "full")
        ),
        "m": 1,
        "n_sweeps": 1,
    },
    "sparse.convolutional_working_set": CONVOLUTION
    | {
        "candidates.y": IMAGES[0],
        "places": np.array([0, 3, 17]),
        "candidates.shape": (2, 3, 5),
        "gram": lambda: (
            convolutional_working_set.candidates(KERNELS.K, IMAGES[0], np.array([0, 3, 17]), (2, 3, 5), "full").gram
        ),
    },
    "sparse.coupled_lista": {
        "V": W,
        "W": W,
        "params": COUPLED,
        "y": Y,
        "z_target": TARGET,
        "u": Z,
        "theta": 0.4,
        "selection": coupled_lista.Selection(0.1, 0.2),
        "learned": ("gamma", "theta"),
    },
    "sparse.dictionary": DICTIONARY,
    "sparse.fast_fista": FAST,
    "sparse.gabor": {"params": GABOR, "size": (5, 6), "atoms": RNG.normal(size=(2, 5, 5)), "p": np.ones((2, 6))},
    "sparse.gram_form": FAST | {"c": Z.T, "blocks.numbers": K, "blocks.n": N},
    "sparse.lista": {
        "W": W,
        "params": LISTA,
        "y": Y,
        "z_target": TARGET,
        "z": GOAL,
        "grad": TARGET,
        "held_out": 0.3,
        "grads": None,
    },
    "sparse.operator_fista": {
        "look": lambda: looked,
        "z": Z,
        "threshold": 0.1,
        "path": lambda: operator_fista.fista(looked, Z, 0.1),
        "square": np.ones(N),
        "inner": np.ones(N),
        "most": np.ones(N),
        "l1": np.ones(N),
    },
    "sparse.predictive": DICTIONARY
    | {"params": PREDICTIVE, "encoder": "tanh", "run.encoder": PREDICTIVE.encoder, "init.k": K},
    "sparse.regularized": {
        "params": SMOOTH,
        "x": U[:, :1],
        "y": Y,
        "z": Z,
        "regularizer": regularized.L2(0.5),
        "capacity.regularizer": regularized.Noise(0.5, 2.0),
        "level": 1.0,
        "box": 2.0,
    },
    "sparse.sparse_coding": DICTIONARY | {"z0": Z},
    "sparse.supports": FAST,
    "sparse.sweeps": FAST,
    "sparse.textbook": DICTIONARY,
    "autoencoders.autoencoder": TWO | {"corrupt": lambda: lambda y: y},
    "autoencoders.contractive": TWO
    | {"encoder": NET.encoder, "hs": HS, "q": np.ones(N), "widths": (D, 3), "init.f": "sigmoid"},
    "autoencoders.denoising": TWO
    | {"corruption": denoising.Corruption("masking", 0.3), "samples": Y, "sigma": 0.5, "y_hat": U},
    "autoencoders.generation": {
        "params": VAE,
        "y": U,
        "model": variational.Model(),
        "start": U[0],
        "end": U[1],
        "n_samples": 2,
    },
    "autoencoders.linear_vae": {"params": linear_vae.init(RNG, D, 3), "y": Y, "k": 2},
    "autoencoders.network": TWO
    | {
        "widths": (D, 3),
        "grad": NET,
        "layers": NET.encoder,
        "first": D,
    },
    "autoencoders.target_propagation": TWO,
    "autoencoders.variational": {
        "params": VAE,
        "y": U,
        "z": Z[:, :3],
        "eps": Z[:, :3],
        "mu": Z[:, :3],
        "v": U[:, :3],
        "model": variational.Model(),
        "widths": (D, 3),
        "watch": lambda: lambda epoch, params: None,
    },
    "physics.boltzmann": {
        "felt": RNG.normal(size=(N, 3)),
        "params": boltzmann.init(RNG, D, 3, std=0.5),
        "v": (U > 0.5).astype(float),
        "h": (U[:, :3] > 0.5).astype(float),
        "p": U,
        "grad_params.p": U[:, :3],
        "mean": U[0],
        "clamped": U[0] > 0.5,
    },
    "physics.capacity": {
        "patterns": np.stack([PATTERNS, PATTERNS[::-1]]),
        "s": PATTERNS,
        "n_units": 10,
        "n_patterns": 2,
        "n_trials": 3,
        "loads": np.array([0.1, 0.2, 0.3]),
        "successes": np.array([[1.0, 1, 0], [1, 0, 0], [1, 0, 0]]),
    },
    "physics.contrastive_divergence": {
        "params": boltzmann.init(RNG, D, 3, std=0.5),
        "v": (U > 0.5).astype(float),
        "n_chains": 3,
        "n_temperatures": 2,
        "optimizer": optimizers.gradient_descent(1e-2),
    },
    "physics.dense_memory": MEMORY,
    "physics.hopfield": MEMORY
    | {
        "W": PATTERNS.T @ PATTERNS / 35 - 2 / 35 * np.eye(35),
        "rule": "hebb",
        "h": LETTERS,
        "couple": lambda: lambda changes: 0 * changes,
        "own": 0.1,
    },
    "physics.mean_field": {"y": U[0] + 0.1, "alpha": 0.01 + 0.1 * U[0]},
    "physics.mechanics": {
        "system": mechanics.pendulum(),
        "start": np.zeros((2, 1)),
        "end": np.ones((2, 1)),
        "q": APPLE[..., :1],
        "u": np.ones((2, 3, 1)),
        "duration": 0.5,
        "m": 0.2,
        "g": 9.81,
        "length": 1.5,
        "k": 2.0,
        "n_trace": 2,
    },
    "physics.modern_hopfield": MEMORY | {"beta": 0.5, "n_trace": 2},
    "physics.partition": {
        "params": boltzmann.init(RNG, D, 3, std=0.5),
        "v": (U > 0.5).astype(float),
        "mean": U[0],
        "n_runs": 3,
        "n": 3,
    },
}


def public() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield every public function of the library with its name, "chapter.module.function"."""
    for module in pkgutil.walk_packages(ebm_np.__path__, "ebm_np."):
        for name, value in list(vars(importlib.import_module(module.name)).items()):
            if not name.startswith("_") and inspect.isfunction(value) and value.__module__ == module.name:
                yield f"{module.name.removeprefix('ebm_np.')}.{name}", value


def valid_call(name: str, function: Callable[..., Any]) -> dict[str, Any]:
    """Return arguments that the function takes, read-only wherever they are arrays."""
    module, _, short = name.rpartition(".")
    given = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            given.update(MODULES.get(module, {}).get(f"**{parameter.name}", {}))
            continue
        tables = (MODULES.get(module, {}), f"{short}.{parameter.name}"), (MODULES.get(module, {}), parameter.name)
        found = [table[key] for table, key in (*tables, (COMMON, parameter.name)) if key in table]
        if found:
            given[parameter.name] = frozen(found[0]() if inspect.isfunction(found[0]) else found[0])
        elif parameter.default is parameter.empty:
            raise KeyError(f"tests/examples.py: no example of {parameter.name!r} for {name}")
    return given


def frozen(value: Any) -> Any:
    """Return the value, its arrays as copies that cannot be written to."""
    if isinstance(value, np.ndarray):
        return read_only(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(frozen, value))
    return type(value)(map(frozen, value)) if type(value) in (tuple, list) else value
