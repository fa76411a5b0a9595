"""A book of fake figures in a folder of its own, run by a copy of the real machinery."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import ebm_np
from scripts import pipeline

SCRIPT = '''"""{title}

What it teaches.
"""

import json
import time

import numpy as np

from scripts import make_figures, style

ORDER = {order}
NOTE, EQUATION, FUNCTION, TEST = "15-1", "y = x", "numpy.sin", "tests/test_x.py::test_x"
{constants}

def compute(rng, quick=False):
    {compute}
    return {{"y": np.arange(3.0 if quick else 5.0), "source": "five numbers"}}


def draw(data):
    figure, axes = style.new(2, 2, data["source"])
    axes.plot(data["y"])
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
'''


class Book:
    """Fake figures, and the command line that makes them."""

    def __init__(self, root):
        self.root, self.figures, self.order = root, root / "figures", 0
        (root / "scripts").mkdir(parents=True)
        for machinery in Path(pipeline.__file__).parent.glob("*.py"):
            shutil.copy(machinery, root / "scripts")

    def add(self, name, compute="pass", constants=""):
        self.order += 1
        path = self.root / "scripts" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        title = f"The figure {name}."
        path.write_text(SCRIPT.format(title=title, order=self.order, constants=constants, compute=compute))

    def start(self, *arguments, script="make_figures"):
        places = (self.root, Path(ebm_np.__file__).parents[1])
        settings = {"PYTHONPATH": os.pathsep.join(map(str, places)), "PYTHONWARNINGS": "error"}
        settings |= {"PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, f"scripts/{script}.py", *map(str, arguments)]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
        return subprocess.Popen(command, cwd=self.root, env=os.environ | settings, **options)

    def run(self, *arguments, **options):
        """Return the exit status, and what stood on standard output and standard error."""
        return self.end(self.start(*arguments, **options))

    def end(self, process):
        """Wait until it ends, and let none of its workers outlive it."""
        try:
            out, err = process.communicate(timeout=60)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        return process.returncode, out, err

    def files(self):
        return sorted(path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file())


@pytest.fixture
def book(tmp_path):
    return Book(tmp_path / "book")


@pytest.fixture(autouse=True)
def sigterm_is_handled_as_before():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)
