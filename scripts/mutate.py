"""Change the code of a module in every small way and see whether its tests notice: a thin front end of mutmut.

    python scripts/mutate.py foundations.costs            every mutant of the module
    python scripts/mutate.py foundations.costs --again    those that lived, after a test was added
    python scripts/mutate.py autoencoders.generation tests/autoencoders/test_variational.py

The tests are `tests/<chapter>/test_<module>.py`, if there is one, and those given. At the end stand what lived, as the
line taken out and the line put in, and the score, as a row of `tests/mutants.md`. Settings are in pyproject.toml.
"""

import argparse
import os
import re
import shutil
import signal
import sys
from pathlib import Path

os.environ.update(HYPOTHESIS_PROFILE="mutation", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

from mutmut.__main__ import run
from mutmut.configuration import config
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.state import state
from mutmut.stats import status_by_exit_code

from scripts.mutation_scores import Score, mark

MUTANTS = Path("mutants")
DEAD = ("killed", "timeout", "segfault", "check was interrupted by user")
"""The last is what mutmut calls it if pytest cannot even import its tests."""


# This file is also a plugin of pytest within mutmut, which imports everything once and forks: without it, the constants
# of the library and of the tests would be those of the code without the mutant.

PATIENCE, LATE = 2.0, 20
"""Seconds: tests that take longer, trainings mostly, are not asked (what only they would notice counts as alive); and
how long a test of a mutant, which may run for ever, is waited for."""
TIMEOUT, SUSPICIOUS = 152, 35
"""What mutmut wants to hear of that; and of a test that pytest does not find."""
NO_SUCH_TEST = 4
"""What pytest says where the name of a test is another in each process, as one with an address in it is."""

called_at_import: set[str] = set()


def pytest_configure() -> None:
    """Forget all modules that mutants may have a part in."""
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(f"{Path.cwd()}{os.sep}"):
            del sys.modules[name]


def pytest_collection_finish() -> None:
    """Remember which functions are called on import."""
    called_at_import.update(state()._stats)


def pytest_runtest_setup() -> None:
    """Let every test count as one of these functions; and wind the clock."""
    state()._stats.update(called_at_import)
    if "__mutmut_" in os.environ["MUTANT_UNDER_TEST"]:
        signal.signal(signal.SIGALRM, lambda *_: os._exit(TIMEOUT))
        signal.alarm(LATE)


def pytest_sessionfinish(exitstatus: int) -> None:
    """Leave out the tests that take too long; and do not count as killed what no test was found for."""
    if exitstatus == NO_SUCH_TEST and "__mutmut_" in os.environ["MUTANT_UNDER_TEST"]:
        os._exit(SUSPICIOUS)
    slow = {test for test, duration in state().duration_by_test.items() if duration > PATIENCE}
    for tests in state().tests_by_mangled_function_name.values():
        tests -= slow


def statuses(path: Path) -> dict[str, str]:
    """Return what became of each mutant of a source file."""
    data = SourceFileMutationData(path=path)
    data.load()
    return {name: status_by_exit_code[code] for name, code in data.exit_code_by_key.items()}


def changed(diff: str) -> str:
    """Return the lines of a diff that were taken out and put in."""
    return "\n".join(line for line in diff.splitlines() if re.match(r"[-+](?![-+]{2} )", line))


def report(path: Path) -> str:
    """Return the diffs of the mutants that live, then the score."""
    found = statuses(path)
    alive = {name: status for name, status in found.items() if status not in DEAD}
    diffs = [f"{name}: {status}\n{changed(get_diff_for_mutant(name, path=path))}" for name, status in alive.items()]
    killed, late = len(found) - len(alive), sum(status == "timeout" for status in found.values())
    source = path.read_text(encoding="utf-8")
    score = Score(f"{path.parent.name}.{path.stem}", len(found), killed, mark(source))
    return "\n".join([*diffs, f"{late} of these killed by the clock; the row of tests/mutants.md:", score.row()])


def main(arguments: list[str] | None = None) -> None:
    """Run mutmut on one module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("module", help="as in foundations.costs")
    parser.add_argument("tests", nargs="*", help="more files of tests")
    parser.add_argument("--again", action="store_true", help="only those that lived the last time")
    options = parser.parse_args(arguments)
    chapter, _, module = options.module.partition(".")
    path = Path("ebm_np", chapter, f"{module}.py")
    own = f"tests/{chapter}/test_{module}.py"
    tests = [own] * Path(own).exists() + options.tests
    if not path.exists() or not tests:
        parser.error(f"expected {path} and {own} or other tests")

    settings = config()
    settings.only_mutate = [str(path)]
    settings.pytest_add_cli_args_test_selection = tests
    again = [name for name, status in statuses(path).items() if options.again and status not in DEAD]
    if not again:
        shutil.rmtree(MUTANTS, ignore_errors=True)
    run.main([*again, "--max-children", "1"], standalone_mode=False)
    print(report(path))


if __name__ == "__main__":
    main()
