"""Time the library against what a reader would otherwise use, in one run, pair by pair.

    python scripts/benchmark.py                     all comparisons, as a table
    python scripts/benchmark.py inference           one of them
    python scripts/benchmark.py --json              the same as JSON, for a machine
    python scripts/benchmark.py --threads 2         threads of BLAS (default 1)

Ours and the peer are timed in turn, A B A B ...; what counts is the ratio within a pair, because a machine's speed
drifts, and of the ratios the median. A comparison is a function that yields `Case`s; `COMPARISONS` names them.
"""

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize

from ebm_np.latent import ellipse
from scripts import grids

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
PAIRS = 7


class Case(NamedTuple):
    """One line of the table: what is done, by us and by the peer."""

    task: str
    peer: str
    ours: Callable[[], Any]
    theirs: Callable[[], Any]


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

    def each(**options: Any) -> Callable[[], None]:
        def run() -> None:
            for row in y:
                optimize.minimize(model, 0.5, args=(row[None],), **options)

        return run

    def each_scalar(with_slope: bool, **options: Any) -> Callable[[], None]:
        def run() -> None:
            for row in y.tolist():
                if with_slope:
                    optimize.minimize(scalar, [0.5], args=tuple(row), jac=True, **options)
                else:
                    optimize.minimize(lambda *a: scalar(*a)[0], [0.5], args=tuple(row), **options)

        return run

    task = "F, z-check and gradient of 425 points"
    yield Case(task, "minimize(E, z0)", dense, each())
    yield Case(task, "minimize(E, z0), E in scalar Python", dense, each_scalar(False))
    yield Case(task, "minimize(E, z0, jac, L-BFGS-B)", dense, each(jac=model_slope, method="L-BFGS-B"))
    yield Case(task, "the same in scalar Python", dense, each_scalar(True, method="L-BFGS-B"))


COMPARISONS = {"inference": inference}


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


def measure(name: str, case: Case, pairs: int = PAIRS) -> Row:
    """Time a case pair by pair; each timing repeats until it takes at least 50 ms."""
    seconds = np.array([(_seconds(case.ours), _seconds(case.theirs)) for _ in range(pairs + 1)])[1:]  # first: warm-up
    ratios = seconds[:, 0] / seconds[:, 1]
    ours, theirs = np.median(seconds, axis=0)
    low, high = float(ratios.min()), float(ratios.max())
    return Row(name, case.task, case.peer, ours, theirs, float(np.median(ratios)), low, high, os.environ[THREADS[0]])


def table(rows: list[Row]) -> str:
    """Return the rows as text."""
    lines = [
        f"{'comparison':12} {'task':40} {'peer':38} {'ours':>10} {'peer':>10} {'ratio (range)':>32} {'threads':>8}"
    ]
    for r in rows:
        ratio = f"{_fraction(r.ratio)} ({_fraction(r.lowest)} .. {_fraction(r.highest)})"
        ours, theirs = (f"{1e3 * s:.3f} ms" for s in (r.ours, r.theirs))
        lines.append(f"{r.comparison:12} {r.task:40} {r.peer:38} {ours:>10} {theirs:>10} {ratio:>32} {r.threads:>8}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exits with 2 if a name is unknown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"comparisons: {', '.join(COMPARISONS)}")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--threads", type=int, choices=range(1, 129), default=1, metavar="N", help="BLAS threads")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in COMPARISONS]
    if unknown:
        parser.exit(2, f"unknown comparison {', '.join(unknown)}; known: {', '.join(COMPARISONS)}\n")
    if os.environ.get(THREADS[0]) != str(options.threads):  # BLAS reads it once, when NumPy is imported: start anew
        os.environ.update(dict.fromkeys(THREADS, str(options.threads)))
        os.execv(sys.executable, [sys.executable, *sys.argv])
    rows = [measure(name, case) for name in options.names or COMPARISONS for case in COMPARISONS[name]()]
    print(json.dumps([row._asdict() for row in rows], indent=1) if options.json else table(rows))


def _fraction(ratio: float) -> str:
    return f"1/{1 / ratio:,.0f}" if ratio < 0.1 else f"{ratio:.2f}"


def _seconds(run: Callable[[], Any]) -> float:
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < 0.05:
        run()
        count += 1
    return (time.perf_counter() - started) / count


if __name__ == "__main__":
    main()
