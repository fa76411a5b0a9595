"""Make the figures of the book, each from its script, or check that the committed numbers still hold.

python scripts/make_figures.py                      all figures, into figures/
python scripts/make_figures.py latent/samples       one of them; a chapter's name stands for all of its figures
python scripts/make_figures.py --quick              smaller sizes, into figures/quick/
python scripts/make_figures.py --check              no pictures: recompute, compare with the committed numbers
python scripts/make_figures.py --list               their names and titles
"""

import argparse
import itertools
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tqdm import tqdm

from scripts import gallery, pipeline

Work = Callable[[str, Path, bool], str]
"""`pipeline.build` or `pipeline.check`: (name, folder, quick) -> a word on the outcome."""

Outcome = tuple[bool, str]
"""Whether a figure was made, or agrees, and a word on it; else a word on what went wrong."""

ENDED = threading.Event()
"""Set when the process is terminated: an exit raised within a callback of a weak reference is ignored by Python."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exits with 1 if a figure failed, with 2 if the arguments make no sense."""
    options = _parser().parse_args(arguments)
    chosen = _choose(options.names)
    if options.list:
        for name in chosen:
            print(f"{name:32} {gallery.title(name)}")
        return
    _log_each_warning_once()
    signal.signal(signal.SIGTERM, _end)
    folder = options.out or (pipeline.FIGURES / "quick" if options.quick and not options.check else pipeline.FIGURES)
    work = pipeline.check if options.check else pipeline.build
    try:
        failed = _run(work, chosen, folder, options.quick, options.jobs)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")
    if not options.check and folder == pipeline.FIGURES:
        pipeline.write(folder / "README.md", gallery.page().encode())


def run_alone(file: str) -> None:
    """Build the one figure whose script `file` is, with the options of the command line; every script ends with it."""
    main([f"{Path(file).resolve().parent.name}/{Path(file).stem}", *sys.argv[1:]])


def _log_each_warning_once() -> None:
    seen = set()

    def is_new(record: logging.LogRecord) -> bool:
        known = record.getMessage() in seen
        seen.add(record.getMessage())
        return not known

    handler = logging.StreamHandler()
    handler.addFilter(is_new)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", handlers=[handler])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="figures or chapters; all if none is named")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, for a first look")
    parser.add_argument("--check", action="store_true", help="compare with the committed numbers, write nothing")
    parser.add_argument("--list", action="store_true", help="list the figures")
    parser.add_argument("--jobs", type=_positive, default=1, metavar="N", help="processes (default 1)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="default figures/, with --quick figures/quick/")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def _choose(wanted: list[str]) -> list[str]:
    """Return the figures that the names stand for, in the order of the book."""
    known = pipeline.names()
    chosen = {name for name in known for want in wanted if want.strip("/") in (name, name.split("/")[0])}
    unknown = [want for want in wanted if want.strip("/") not in {part for n in known for part in (n, n.split("/")[0])}]
    if unknown:
        print(f"unknown figure {', '.join(unknown)}; --list shows all names", file=sys.stderr)
        sys.exit(2)
    return [name for name in known if name in chosen] if wanted else known


def _end(*_: Any) -> None:
    """Leave as an interrupted run does, cleaning up, when the process is terminated."""
    ENDED.set()
    sys.exit(143)


def _run(work: Work, chosen: list[str], folder: Path, quick: bool, jobs: int) -> list[str]:
    """Do the work on each figure, going on past those that fail; return their names."""
    failed = []
    progress = tqdm(total=len(chosen), unit="figure", disable=None)
    for name, outcome in _outcomes(work, chosen, folder, quick, jobs):
        if ENDED.is_set():
            sys.exit(143)
        made, words = outcome()
        if not made:
            failed.append(name)
        progress.update()
        progress.write(f"{name}: {words}" if made else f"{name}: FAILED: {words}", file=sys.stderr)
    progress.close()
    return failed


def _outcomes(
    work: Work, chosen: list[str], folder: Path, quick: bool, jobs: int
) -> Iterator[tuple[str, Callable[[], Outcome]]]:
    """Yield each name with a function that returns its outcome."""
    lists = pipeline.together(chosen)
    if jobs == 1:
        for name in itertools.chain.from_iterable(lists):
            yield name, partial(_one, work, name, folder, quick)
        return
    # each process would else start as many BLAS threads as there are cores, and they would wait for one another
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // jobs)))
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))
    try:
        # lists, and the end of the book, take longest: they go first, so that no process is left alone with one
        lists.sort(key=len)
        futures = {pool.submit(_all, work, names, folder, quick): names for names in reversed(lists)}
        for future in as_completed(futures):
            for i, name in enumerate(futures[future]):
                yield name, partial(_ith, future, i)
    finally:
        pool.shutdown(cancel_futures=True)  # what an interrupted run has not begun it does not begin


def _all(work: Work, names: list[str], folder: Path, quick: bool) -> list[Outcome]:
    """Do the work on one figure after the other, in one process."""
    return [_one(work, name, folder, quick) for name in names]


def _one(work: Work, name: str, folder: Path, quick: bool) -> Outcome:
    try:
        return True, _timed(work, name, folder, quick)
    except Exception as error:
        return False, _words(error)


def _ith(future: Future[list[Outcome]], i: int) -> Outcome:
    try:
        return future.result()[i]
    except Exception as error:  # the process died
        return False, _words(error)


def _timed(work: Work, name: str, folder: Path, quick: bool) -> str:
    started = time.perf_counter()
    outcome = work(name, folder, quick)
    return f"{outcome} ({time.perf_counter() - started:.1f} s)"


def _words(error: Exception) -> str:
    """Say in one line what a user can mend; anything else is ours to mend and shows where it happened."""
    if isinstance(error, OSError | ValueError | AssertionError | FloatingPointError | ImportError):
        return str(error) or type(error).__name__
    return "".join(traceback.format_exception(error))


if __name__ == "__main__":
    main()
