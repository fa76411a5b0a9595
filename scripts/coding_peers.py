"""What sparse coding is timed against: the same problems for every library (see `peers`)."""

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ebm_np.data import mnist
from ebm_np.foundations.arrays import Array
from ebm_np.sparse import dictionary, sparse_coding
from ebm_np.sparse.sparse_coding import Params
from scripts import materials, peers

TOL = 1e-6
"""The relative duality gap that every library has to reach for every signal."""
MOST = 2_000


class Problem(NamedTuple):
    """Codes wanted of y (N, d) with W (d, k)."""

    W: Array
    y: Array
    lam: float


def synthetic() -> Problem:
    """Return 10,000 random signals and 128 random atoms of 64 numbers, all of unit norm: 16 atoms a signal."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=(10_000, 64))
    return Problem(sparse_coding.init(rng, 64, 128).W, y / np.linalg.norm(y, axis=1, keepdims=True), 0.3)


def whitened(n: int = 10_000) -> Problem:
    """Return n patches of 8 x 8 pixels of whitened photographs, of unit norm, and 128 atoms learned from others."""
    y = _patches(n + 20_000)
    rng = np.random.default_rng(1)
    start = dictionary.init_from_samples(rng, y[n:], 128)
    return Problem(dictionary.fit(start, y[n:], rng, lam=0.3, n_epochs=3).params.W, y[:n], 0.3)


def digits() -> Problem:
    """Return 5,000 digits of 784 pixels, and 256 atoms learned from others."""
    rng = np.random.default_rng(2)
    y = mnist.load_or_synthetic("train").images[:15_000]
    start = dictionary.init_from_samples(rng, y[5_000:], 256)
    return Problem(dictionary.fit(start, y[5_000:], rng, lam=0.5, n_epochs=2).params.W, y[:5_000], 0.5)


def _patches(n: int) -> Array:
    return materials.unit_norm(materials.whitened_patches(np.random.default_rng(0), n, 8)[0])


def ours(method: str, problem: Problem) -> Callable[[], Array]:
    """Prepare one of our methods."""
    return lambda: sparse_coding.infer(Params(problem.W), problem.y, problem.lam, method, tol=TOL).z


def lasso(method: str, problem: Problem) -> Callable[[], Array]:
    """Prepare scikit-learn's `sparse_encode`, whose energy is half of ours: alpha = lam / 2."""
    decomposition = importlib.import_module("sklearn.decomposition")
    options = {"algorithm": method, "alpha": problem.lam / 2, "max_iter": 10_000}
    atoms = np.ascontiguousarray(problem.W.T)
    return lambda: decomposition.sparse_encode(problem.y, atoms, **options)


def spams(problem: Problem) -> Callable[[], Array]:
    """Prepare SPAMS, whose energy is half of ours, too; its answer is a sparse matrix, and stays one."""
    library = importlib.import_module("spams")
    y, W = np.asfortranarray(problem.y.T), np.asfortranarray(problem.W)
    return lambda: library.lasso(y, D=W, lambda1=problem.lam / 2, mode=2, numThreads=peers.threads()).T


def torch_fista(problem: Problem) -> Callable[[], Array]:
    """Prepare FISTA as one writes it in PyTorch: fixed step, two products, all signals until the last one is done.

    Or until `MOST` iterations: its gap then says that it was not, and the time is less than what it would need.
    """
    torch = importlib.import_module("torch")
    torch.set_num_threads(peers.threads())
    W, y, lam = torch.tensor(problem.W), torch.tensor(problem.y), problem.lam
    step = 1 / (2 * torch.linalg.matrix_norm(W, 2) ** 2)

    def solved(z: Any) -> bool:
        residual = y - z @ W.T
        s = (lam / (2 * (residual @ W).abs().amax(1))).clamp(max=1)
        energy = (residual**2).sum(1) + lam * z.abs().sum(1)
        bound = s * (2 * (residual * y).sum(1) - s * (residual**2).sum(1))
        return bool((energy - bound <= TOL * energy).all())

    def run() -> Array:
        z = x = torch.zeros(len(y), W.shape[1], dtype=y.dtype)
        s, n = 1.0, 0
        while n % 10 or not (n == MOST or solved(z)):
            z_next = torch.nn.functional.softshrink(x - 2 * step * ((x @ W.T - y) @ W), float(lam * step))
            s_next = (1 + (1 + 4 * s * s) ** 0.5) / 2
            x = z_next + (s - 1) / s_next * (z_next - z)
            z, s, n = z_next, s_next, n + 1
        return z.numpy()

    return run


PROBLEMS = {
    "our active_set: 64 x 128, 10,000 random signals": synthetic,
    "our active_set: 64 x 128, 10,000 whitened patches": whitened,
    "our active_set: 784 x 256, 5,000 digits": digits,
}
PEERS: dict[str, Callable[[Problem], Callable[[], Any]]] = {
    "our active_set": partial(ours, "active_set"),
    "our fista": partial(ours, "fista"),
    "scikit-learn lasso_cd": partial(lasso, "lasso_cd"),
    "scikit-learn lasso_lars": partial(lasso, "lasso_lars"),
    "SPAMS lasso": spams,
    "PyTorch FISTA": torch_fista,
}


class Learning(NamedTuple):
    """A dictionary wanted for y (N, d), from W on, whose free energy of other data is below `target`."""

    W: Array
    y: Array
    held_out: Array
    lam: float
    target: float


def learning(share: float) -> Learning:
    """Return 50,000 whitened patches, 128 of them as atoms, and the target: a share of the free energy with those."""
    y = _patches(55_000)
    start, held_out = dictionary.init_from_samples(np.random.default_rng(1), y[:50_000], 128).W, y[50_000:]
    return Learning(start, y[:50_000], held_out, 0.3, share * _free_energy(start, held_out, 0.3))


def _free_energy(W: Array, y: Array, lam: float) -> float:
    unit = sparse_coding.unit_columns(Params(np.asarray(W, y.dtype)))
    return float(sparse_coding.free_energy(unit, y, lam, method="active_set").mean())


def learn_ours(problem: Learning) -> Callable[[int], Array]:
    """Prepare our own `fit` for a number of samples, in single precision."""
    y, start = problem.y.astype(np.float32), Params(problem.W.astype(np.float32))

    def fit(n: int) -> Array:
        n_epochs, part = -(-n // len(y)), y[:n]
        n_sweeps = 4 if n_epochs < 2 else 6
        rng = np.random.default_rng(0)
        return dictionary.fit(start, part, rng, lam=problem.lam, n_epochs=n_epochs, n_sweeps=n_sweeps).params.W

    return fit


def learn_scikit(problem: Learning) -> Callable[[int], Array]:
    """Prepare scikit-learn's `MiniBatchDictionaryLearning` with its `cd` fit; alpha = lam / 2."""
    estimator = importlib.import_module("sklearn.decomposition").MiniBatchDictionaryLearning
    options = {"alpha": problem.lam / 2, "fit_algorithm": "cd", "batch_size": 512, "random_state": 0, "tol": 0.0}

    def fit(n: int) -> Array:
        n_epochs, part = -(-n // len(problem.y)), problem.y[:n]
        learner = estimator(128, max_iter=n_epochs, max_no_improvement=None, dict_init=problem.W.T, **options)
        return learner.fit(part).components_.T

    return fit


def learn_spams(problem: Learning) -> Callable[[int], Array]:
    """Prepare SPAMS's `trainDL`, which counts mini-batches of 512."""
    library = importlib.import_module("spams")
    y, W = np.asfortranarray(problem.y.T), np.asfortranarray(problem.W)
    options = {"lambda1": problem.lam / 2, "batchsize": 512, "verbose": False, "numThreads": peers.threads()}
    return lambda n: library.trainDL(y, D=W, iter=-(-n // 512), **options)


TARGETS = {"our dictionary.fit: an early target": 0.9, "our dictionary.fit: a late target": 0.888}
LEARNERS = {
    "our dictionary.fit": learn_ours,
    "scikit-learn MiniBatchDictionaryLearning": learn_scikit,
    "SPAMS trainDL": learn_spams,
}


def coder(problem: str, peer: str) -> tuple[Callable[[], Any], str]:
    """Return what is to be timed, and how good its answer is."""
    given = PROBLEMS[problem]()
    run = PEERS[peer](given)
    z = run()
    z = np.asarray(z.todense() if hasattr(z, "todense") else z)
    energy = sparse_coding.energy(Params(given.W), given.y, z, given.lam)
    worst = (sparse_coding.gap(Params(given.W), given.y, z, given.lam) / energy).max()
    return run, f"gap {worst:.0e}"


def learner(target: str, peer: str) -> tuple[Callable[[], Any], str]:
    """Return the training that just reaches the target, in steps of a quarter, and the objective that it reaches."""
    given = learning(TARGETS[target])
    fit, n = LEARNERS[peer](given), 2_500
    while (reached := _free_energy(fit(n), given.held_out, given.lam)) > given.target:
        n = n * 5 // 4
        if n > 20_000_000:
            raise RuntimeError(f"the target {given.target:.4f} was not reached with {n:,} samples, but {reached:.4f}")
    return lambda: fit(n), f"F {reached:.4f} after {n:,} samples"
