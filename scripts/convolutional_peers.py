"""What convolutional sparse coding is timed against: SPORCO's ADMM, on the same image, kernels and images.

SPORCO minimises half of our energy, (1/2) ||y - K * z||^2 + lmbda ||z||_1 with lmbda = lam / 2, on the torus. It has no
certificate, so every peer, ours too, is first run until its energy is as near to the minimum as wanted, and then timed
for just that many iterations (or that tolerance). Every task is prepared in a process of its own (`peers.Worker`).
"""

import importlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from ebm_np.data import contrast, images, photographs
from ebm_np.foundations.arrays import Array
from ebm_np.sparse import convolutional, convolutional_dictionary
from ebm_np.sparse.convolutional import Params
from scripts import peers

SIZE, M, KERNEL = 256, 32, 9
SIGMA = 3.0
STEP, MOST = 10, 3_000
"""SPORCO's energy is looked at every so many iterations, and so many are all that it is given."""


class Coding(NamedTuple):
    """Maps wanted for one image y (1, 1, H, W), and the least energy, certified."""

    K: Array
    y: Array
    lam: float
    least: float
    level: float


def pictures(n: int) -> Array:
    """Return the middle of n photographs, contrast-normalised: (n, 1, SIZE, SIZE)."""
    found = photographs.load(dtype=np.float32).images[:n]
    normalised = (contrast.local_contrast_normalize(image, SIGMA) for image in found)
    corners = ((image, *((length - SIZE) // 2 for length in image.shape)) for image in normalised)
    return images.channels_first([image[i : i + SIZE, j : j + SIZE] for image, i, j in corners])


def coding_task(lam: float, level: float) -> Coding:
    """Return the second photograph, and kernels learned from the first four."""
    rng = np.random.default_rng(0)
    y = pictures(4)
    crops = images.random_crops([a[0] for a in y], rng, 200, 48)
    start = convolutional_dictionary.init_from_images(rng, crops, M, KERNEL, KERNEL)
    K = convolutional_dictionary.fit(start, crops, rng, lam=2.0, n_sweeps=1).params.K.astype(np.float64)
    image = y[1:2].astype(np.float64)
    found = convolutional.infer(Params(K), image, lam, "working_set", boundary="circular", tol=1e-9)
    return Coding(K, image, lam, found.energy.item(), level)


def _excess(given: Coding, z: Array) -> float:
    """Return how far E(z) is above the minimum, as a part of that."""
    E = convolutional.energy(Params(given.K), given.y, z.astype(np.float64), given.lam, "circular").item()
    return E / given.least - 1


def _near(given: Coding, z: Array) -> bool:
    return _excess(given, z) <= given.level


def working_set(given: Coding) -> Callable[[], Array]:
    """Prepare our working sets, at the largest tolerance that serves."""

    def run(tol: float) -> Array:
        return convolutional.infer(Params(given.K), given.y, given.lam, "working_set", boundary="circular", tol=tol).z

    return partial(run, next(tol for tol in 0.5 ** np.arange(40) if _near(given, run(tol))))


def our_fista(given: Coding) -> Callable[[], Array]:
    """Prepare our FISTA, for as many iterations as it needs."""
    start = np.zeros((1, M, SIZE, SIZE))

    def path() -> Iterator[Array]:
        return (z for z, _ in convolutional.iterates(Params(given.K), given.y, start, given.lam, "circular"))

    n = next(n for n, z in enumerate(path()) if n % STEP == 0 and _near(given, z))
    return lambda: next(islice(path(), n, None))


def _library(name: str) -> Any:
    """Return a module of SPORCO, which is allowed as many threads as BLAS."""
    fft: Any = importlib.import_module("sporco.fft")
    fft.pyfftw_threads = peers.threads()
    return importlib.import_module(f"sporco.{name}")


def sporco(dtype: DTypeLike, given: Coding) -> Callable[[], Array]:
    """Prepare SPORCO's ConvBPDN with all defaults but the type, for as many iterations as it needs."""
    cbpdn = _library("admm.cbpdn")
    kernels, image = given.K[:, 0].transpose(1, 2, 0).astype(dtype), given.y[0, 0].astype(dtype)

    def solver(n: int) -> Any:
        options = {"Verbose": False, "MaxMainIter": n, "RelStopTol": 0.0, "DataType": np.dtype(dtype)}
        return cbpdn.ConvBPDN(kernels, image, given.lam / 2, cbpdn.ConvBPDN.Options(options))

    def maps(found: Array) -> Array:
        return found.squeeze().transpose(2, 0, 1)[None]

    def enough() -> int:
        search = solver(STEP)
        while not _near(given, maps(search.solve())) and search.k < MOST:
            pass  # `solve` goes on where it stopped
        return int(search.k)

    n = enough()
    return lambda: maps(solver(n).solve())


TASKS = {
    f"our working_set: 256 x 256, 32 kernels 9 x 9, lam = {lam:g}, to {level:g}": (lam, level)
    for lam, level in ((2.0, 1e-4), (1.0, 1e-4))
}
PEERS: dict[str, Callable[[Coding], Callable[[], Array]]] = {
    "our working_set": working_set,
    "our fista": our_fista,
    "SPORCO ConvBPDN": partial(sporco, np.float64),
    "SPORCO ConvBPDN, float32": partial(sporco, np.float32),
}


def coder(task: str, peer: str) -> tuple[Callable[[], Any], str]:
    """Return inference to the task's level, how far above the minimum it ends, and the share of non-zero codes."""
    given = coding_task(*TASKS[task])
    run = PEERS[peer](given)
    z = run()
    return run, f"{_excess(given, z):.0e} above F, {100 * (z != 0).mean():.2f} % non-zeros"


LAM_LEARNING, ITERATIONS = 2.0, 150
LEARNING = f"our fit: 32 kernels 9 x 9, 4 images, as good as {ITERATIONS} iterations of SPORCO"


def objective(K: Array, y: Array) -> float:
    """Return the mean free energy of the images on the torus, which SPORCO supposes, to some 1e-4."""
    K = convolutional.unit_kernels(Params(K.astype(np.float64))).K
    options: dict[str, Any] = {"method": "working_set", "boundary": "circular", "tol": 0.02}
    return float(convolutional.free_energy(Params(K), y.astype(np.float64), LAM_LEARNING, **options).mean())


def sporco_learning(y: Array) -> Callable[[], Array]:
    """Prepare ConvBPDNDictLearn with all defaults, from random kernels."""
    cbpdndl = _library("dictlrn.cbpdndl")
    start = np.random.default_rng(0).normal(size=(KERNEL, KERNEL, M)).astype(y.dtype)

    def run() -> Array:
        options = cbpdndl.ConvBPDNDictLearn.Options({"Verbose": False, "MaxMainIter": ITERATIONS})
        learner = cbpdndl.ConvBPDNDictLearn(start, y[:, 0].transpose(1, 2, 0), LAM_LEARNING / 2, options)
        learner.solve()
        return np.asarray(learner.getdict()).squeeze().transpose(2, 0, 1)[:, None]

    return run


def our_learning(y: Array, n_crops: int) -> Callable[[], Array]:
    """Prepare our own, once through n_crops random crops of the same images."""

    def run() -> Array:
        rng = np.random.default_rng(0)
        crops = images.random_crops([a[0] for a in y], rng, n_crops, 64)
        start = convolutional_dictionary.init_from_images(rng, crops, M, KERNEL, KERNEL)
        return convolutional_dictionary.fit(start, crops, rng, lam=LAM_LEARNING, n_sweeps=1).params.K

    return run


def _reaching(y: Array, target: float) -> Iterator[tuple[Callable[[], Array], float]]:
    for n_crops in (50, 100, 200, 400, 800, 1600):
        run = our_learning(y, n_crops)
        reached = objective(run(), y)
        yield run, reached
        if reached <= target:
            return


def learner(task: str, peer: str) -> tuple[Callable[[], Any], str]:
    """Return a training, and the mean free energy of the four images that it reaches; ours is the shortest as good."""
    y = pictures(4)
    run = sporco_learning(y)
    reached = objective(run(), y)
    if not peer.startswith("SPORCO"):
        *_, (run, reached) = _reaching(y, reached)
    return run, f"F = {reached:.1f}"
