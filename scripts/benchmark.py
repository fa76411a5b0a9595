"""Time the library against what a reader would otherwise use, in one run, pair by pair.

    python scripts/benchmark.py                     all comparisons, as a table; and as figures/benchmark.json and .png
    python scripts/benchmark.py inference           one of them
    python scripts/benchmark.py inference --record  the same, and its lines in the record are replaced
    python scripts/benchmark.py sparse --only SPAMS the lines whose task or peer has this in it
    python scripts/benchmark.py --json              the same as JSON, for a machine
    python scripts/benchmark.py --threads 2         threads of BLAS (default 1)

Ours and the peer are timed in turn, A B A B ...; what counts is the ratio within a pair, because a machine's speed
drifts, and of the ratios the median. A comparison is a function that yields `Case`s; `COMPARISONS` names them.
"""

import argparse
import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize

from ebm_np.latent import ellipse
from scripts import (
    coding_peers,
    convolutional_peers,
    grids,
    machine_peers,
    memory_peers,
    network_peers,
    peers,
    pipeline,
)
from scripts.benchmark_chart import fraction, picture

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
PAIRS = 7
ENOUGH, PATIENCE, TIRED = 3, 40.0, 400.0
"""`ENOUGH` pairs will do for a comparison that has taken `PATIENCE` seconds; at `TIRED` those that there are will."""


class Case(NamedTuple):
    """One line of the table: what is done, by us and by the peer."""

    task: str
    peer: str
    ours: Callable[[], Any] | peers.Worker
    theirs: Callable[[], Any] | peers.Worker


def inference() -> Iterator[Case]:
    """Dense free energy on the lecture's grid: F, z-check and gradient of 425 points, against 425 calls of SciPy.

    SciPy finds F and z-check only, and from one start not always the right ones. It is given the energy in four ways:
    as a reader of the note would (the model's own energy, all defaults), with the model's gradient, and both as
    hand-written scalar Python, the fastest form that it can be given.
    """
    y, params = grids.lecture(), ellipse.UNTRAINED
    w1, w2 = params.w.tolist()

    def dense() -> tuple[Any, Any, Any]:
        found = ellipse.infer(params, y)
        return found.energy, found.z, ellipse.energy_grad_y(params, y, found.z)

    def scalar(z: Any, y1: float, y2: float) -> tuple[float, float]:
        c, s = math.cos(z[0]), math.sin(z[0])
        r1, r2 = y1 - w1 * c, y2 - w2 * s
        return r1 * r1 + r2 * r2, 2 * (r1 * w1 * s - r2 * w2 * c)

    def model(z: Any, row: Any) -> float:
        return ellipse.energy(params, row, z).item()

    def model_slope(z: Any, row: Any) -> Any:
        return ellipse.energy_grad_z(params, row, z)[0]

    def each(**options: Any) -> Callable[[], Any]:
        return lambda: [optimize.minimize(model, 0.5, args=(row[None],), **options) for row in y]

    def each_scalar(function: Callable[..., Any], **options: Any) -> Callable[[], Any]:
        rows = [tuple(row) for row in y.tolist()]
        return lambda: [optimize.minimize(function, [0.5], args=row, **options) for row in rows]

    task = "F, z-check and gradient of 425 points"
    yield Case(task, "minimize(E, z0)", dense, each())
    yield Case(task, "minimize(E, z0), E in scalar Python", dense, each_scalar(lambda *a: scalar(*a)[0]))
    yield Case(task, "minimize(E, z0, jac, L-BFGS-B)", dense, each(jac=model_slope, method="L-BFGS-B"))
    yield Case(task, "the same in scalar Python", dense, each_scalar(scalar, jac=True, method="L-BFGS-B"))


def sparse() -> Iterator[Case]:
    """Sparse coding to a relative gap of 1e-6 for every signal, and dictionaries to the same held-out objective.

    Each library has a process of its own, which starts when it is first called (see `peers`). The trainings are those
    that just reach the target.
    """
    yield from _against(coding_peers.coder, coding_peers.PROBLEMS, coding_peers.PEERS)
    yield from _against(coding_peers.learner, coding_peers.TARGETS, coding_peers.LEARNERS)


def lista() -> Iterator[Case]:
    """Train LISTA for one step, forward and backward, for a batch of 1,000 patches of 10 x 10 pixels."""
    yield from _against(network_peers.stepper, network_peers.STEPS, network_peers.PEERS)


def convolutional() -> Iterator[Case]:
    """Find maps of one image, their energy near the least; and learn kernels as good as SPORCO's after 150 iterations.

    The kernels take half an hour: SPORCO's are learned anew for every timing, and for ours, to know what to reach.
    """
    yield from _against(convolutional_peers.coder, convolutional_peers.TASKS, convolutional_peers.PEERS)
    learners = "our fit", "SPORCO ConvBPDNDictLearn"
    yield from _against(convolutional_peers.learner, [convolutional_peers.LEARNING], learners)


def autoencoders() -> Iterator[Case]:
    """Train an auto-encoder and a denoising one for an epoch of the lecture's notebook, float32."""
    yield from _against(network_peers.trainer, network_peers.EPOCHS, network_peers.TRAINERS)


def variational() -> Iterator[Case]:
    """Train a variational auto-encoder of digits for an epoch, float32."""
    yield from _against(
        network_peers.variational_trainer, network_peers.VARIATIONAL_EPOCHS, network_peers.VARIATIONAL_TRAINERS
    )


def hopfield() -> Iterator[Case]:
    """Find out how much a Hopfield network holds. The package takes minutes for each sweep."""
    yield from _against(memory_peers.sweeper, memory_peers.SWEEPS, memory_peers.SWEEPERS)


def boltzmann() -> Iterator[Case]:
    """Train a restricted Boltzmann machine on binary digits for an epoch, float32."""
    yield from _against(machine_peers.trainer, machine_peers.EPOCHS, machine_peers.TRAINERS)


def _against(prepare: Callable[[str, str], Any], tasks: Iterable[str], runners: Iterable[str]) -> Iterator[Case]:
    """Yield each task by the first of the runners, which is ours, against each of the others."""
    me, *others = runners
    for task in tasks:
        with peers.Worker(prepare, task, me) as ours:
            for peer in others:
                with peers.Worker(prepare, task, peer) as theirs:
                    yield Case(task, peer, ours, theirs)


COMPARISONS = {
    "inference": inference,
    "sparse": sparse,
    "lista": lista,
    "autoencoders": autoencoders,
    "variational": variational,
    "boltzmann": boltzmann,
    "hopfield": hopfield,
    "convolutional": convolutional,
}
"""The long ones last."""


class Row(NamedTuple):
    """The result of a case: median seconds of both, and the median of the ratios ours / theirs with its range."""

    comparison: str
    task: str
    peer: str
    ours: float
    theirs: float
    ratio: float
    lowest: float
    highest: float
    threads: str
    machine: str
    quality: str


def measure(name: str, case: Case, pairs: int = PAIRS) -> Row:
    """Time a case pair by pair; each timing repeats until it takes at least 50 ms.

    Raises
    ------
    ImportError
        if the peer is not installed.
    """
    first = _seconds(case.ours), _seconds(case.theirs)
    started = time.perf_counter() - sum(first)
    timed = [first] if sum(first) > PATIENCE else []  # runs as long need no warm-up; of others the first is that
    while len(timed) < pairs and (passed := time.perf_counter() - started) < TIRED:
        if len(timed) >= ENOUGH and passed > PATIENCE:
            break
        timed.append((_seconds(case.ours), _seconds(case.theirs)))
    seconds = np.array(timed)
    ratios = seconds[:, 0] / seconds[:, 1]
    ours, theirs = np.median(seconds, axis=0)
    low, high = float(ratios.min()), float(ratios.max())
    quality = "; ".join(run.quality for run in (case.ours, case.theirs) if isinstance(run, peers.Worker))
    ratio, threads = float(np.median(ratios)), os.environ[THREADS[0]]
    return Row(name, case.task, case.peer, ours, theirs, ratio, low, high, threads, _machine(), quality)


def table(rows: list[Row]) -> str:
    """Return the rows as text."""
    head = ("comparison", "task", "peer", "our time", "its time", "ratio (range)", "threads", "ours; peer")
    lines = [head]
    for r in rows:
        ratio = f"{fraction(r.ratio)} ({fraction(r.lowest)} .. {fraction(r.highest)})"
        ours, theirs = (f"{1e3 * s:,.3f} ms" for s in (r.ours, r.theirs))
        lines.append((r.comparison, r.task, r.peer, ours, theirs, ratio, r.threads, r.quality))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exits with 2 if a name is unknown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"comparisons: {', '.join(COMPARISONS)}")
    parser.add_argument("--record", action="store_true", help="keep the lines of whole comparisons in figures/")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--only", metavar="TEXT", default="", help="lines whose task or peer contains TEXT")
    parser.add_argument("--pairs", type=int, choices=range(1, 101), default=PAIRS, metavar="N", help="rounds")
    parser.add_argument("--threads", type=int, choices=range(1, 129), default=1, metavar="N", help="BLAS threads")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in COMPARISONS]
    if unknown:
        parser.exit(2, f"unknown comparison {', '.join(unknown)}; known: {', '.join(COMPARISONS)}\n")
    if os.environ.get(THREADS[0]) != str(options.threads):  # BLAS reads it once, when NumPy is imported: start anew
        os.environ.update(dict.fromkeys(THREADS, str(options.threads)))
        os.execv(sys.executable, [sys.executable, sys.argv[0], *(sys.argv[1:] if arguments is None else arguments)])
    rows = list[Row]()
    for name in options.names or COMPARISONS:
        found = list(_measured(name, options.only, options.pairs))
        rows += found
        if found and (options.record or not options.names) and not options.only:
            _keep(name, found)  # now: what comes may take an hour
    print(_text(rows) if options.json else table(rows))


def _measured(name: str, only: str, pairs: int) -> Iterator[Row]:
    """Yield the row of each case, saying on the way what is done and what cannot be."""
    for case in COMPARISONS[name]():
        if only in f"{case.task} {case.peer}":
            try:
                row = measure(name, case, pairs)
            except ImportError as missing:
                print(f"skipped: {case.task}, against {case.peer}: {missing}", file=sys.stderr)
            else:
                print(f"{name}: {case.task}, against {case.peer}: {fraction(row.ratio)}", file=sys.stderr)
                yield row


def _keep(name: str, found: list[Row]) -> None:
    """Put the rows of a comparison in the place of those that the record has, and draw it anew."""
    path = pipeline.FIGURES / "benchmark.json"
    kept = [Row(**row) for row in json.loads(path.read_text())] if path.exists() else []
    others = [row for row in kept if row.comparison in COMPARISONS and row.comparison != name]
    rows = sorted(others + found, key=lambda row: list(COMPARISONS).index(row.comparison))
    pipeline.write(path, f"{_text(rows)}\n".encode())
    pipeline.write(path.with_suffix(".png"), picture([row._asdict() for row in rows]))


def _text(rows: list[Row]) -> str:
    return json.dumps([row._asdict() for row in rows], indent=1)


def _machine() -> str:
    """Return what the ratios were measured on."""
    return f"{platform.machine()}, {os.cpu_count()} cores, NumPy {np.__version__}, Python {platform.python_version()}"


def _seconds(run: Callable[[], Any] | peers.Worker) -> float:
    return run.seconds() if isinstance(run, peers.Worker) else peers.seconds(run)


if __name__ == "__main__":
    main()
