"""A library that is timed against another, in a process of its own.

Libraries bring their own threads and their own BLAS, which get into each other's way inside one process. So each is
started in a fresh interpreter, prepares its problem, runs once, says how good its answer is, and then runs on demand.
"""

import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


class Worker:
    """A process that prepares one library when it is first asked for its time, and takes it whenever asked."""

    def __init__(self, prepare: Callable[[str, str], tuple[Callable[[], Any], str]], problem: str, peer: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, prepare, problem, peer), daemon=True)
        self.quality = ""

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.is_alive():
            self._connection.send(False)
            self._process.join()

    def seconds(self) -> float:
        """Return how long a run takes, as the process itself sees it (see `seconds`).

        Raises
        ------
        ImportError
            if the library is not installed.
        """
        if self._process.pid is None:
            self._process.start()
            missing, self.quality = self._connection.recv()
            if missing:
                raise ImportError(missing)
        self._connection.send(True)
        return float(self._connection.recv())


def seconds(run: Callable[[], Any]) -> float:
    """Return how long a run takes: the mean of as many as take 50 ms together."""
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < 0.05:
        run()
        count += 1
    return (time.perf_counter() - started) / count


def _serve(connection: Connection, prepare: Any, problem: str, peer: str) -> None:
    try:
        run, quality = prepare(problem, peer)
    except ImportError as error:
        connection.send((str(error), ""))
        return
    connection.send(("", quality))
    while connection.recv():
        connection.send(seconds(run))


def threads() -> int:
    """Return how many threads the benchmark allows."""
    return int(os.environ["OMP_NUM_THREADS"])
