"""From a script to a picture beside the numbers that it shows, written so that nothing is ever half there.

A figure is a module `scripts/<chapter>/<figure>.py` with

    a docstring                title in its first line, then what the figure teaches
    NOTE                       where the notes show it, e.g. "15-1, figure 4"
    EQUATION, FUNCTION, TEST   what it draws, which function computes it, which test proves that function
    compute(rng, quick=False)  -> dict of arrays; "source" names the data; `quick` allows smaller sizes
    draw(data)                 -> matplotlib figure

and gives `figures/<chapter>/<figure>.png` and `.json`: the numbers of the full figure, and those of a quick run,
against which `--check` compares. Long arrays are recorded by their statistics and a hundred of their entries.
"""

import contextlib
import importlib
import io
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
import numpy as np

from ebm_np.foundations.arrays import Array
from scripts import style

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "figures"
LONGEST = 600
"""Arrays of more numbers than this are recorded by a summary."""
TOLERANCE = 1e-6
"""Relative difference that `--check` allows; a script whose numbers depend on BLAS's rounding sets its own."""


def names() -> list[str]:
    """Return the names of all figures, "<chapter>/<figure>", in the order of the book."""
    scripts = ROOT / "scripts"
    found = [path.relative_to(scripts).with_suffix("").as_posix() for path in scripts.glob("*/*.py")]
    return sorted(found, key=lambda name: (load(name).ORDER, name))


def load(name: str) -> ModuleType:
    """Return the script of a figure."""
    return importlib.import_module("scripts." + name.replace("/", "."))


def compute(name: str, quick: bool) -> dict[str, Any]:
    """Return the data of a figure; the generator starts from the same seed in every run."""
    data: dict[str, Any] = load(name).compute(np.random.default_rng(0), quick=quick)
    for key, value in data.items():
        if not isinstance(value, str) and not np.isfinite(value).all():
            raise FloatingPointError(f"{key}: NaN or infinity")
    return data


def build(name: str, folder: Path = FIGURES, quick: bool = False) -> str:
    """Compute, draw and write one figure; return what data it was made from."""
    data = compute(name, quick)
    record = {"figure": name, "data": data["source"], "quick": quick, "numbers": numbers(data)}
    if not quick:
        record["quick numbers"] = numbers(compute(name, quick=True))
    write(folder / f"{name}.png", picture(load(name), data))
    write(folder / f"{name}.json", (json.dumps(record, indent=1) + "\n").encode())
    return str(data["source"])


def check(name: str, folder: Path = FIGURES, quick: bool = False) -> str:
    """Compare the recorded numbers of a figure with those computed now; return a word on the outcome.

    Raises
    ------
    AssertionError
        naming the first number that differs.
    """
    recorded = json.loads((folder / f"{name}.json").read_text())
    data = compute(name, quick)
    if recorded["data"] != data["source"]:
        return f"not compared: recorded from {recorded['data']}, here {data['source']}"
    tolerance = getattr(load(name), "TOLERANCE", TOLERANCE)
    _compare(recorded["quick numbers" if quick else "numbers"], numbers(data), tolerance, name)
    return "agrees"


def picture(script: ModuleType, data: dict[str, Any]) -> bytes:
    """Return the figure as the bytes of a PNG, the same in every run on one machine."""
    with mpl.rc_context(style.RC):
        buffer = io.BytesIO()
        script.draw(data).savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def numbers(data: dict[str, Any]) -> dict[str, Any]:
    """Return what a record keeps of the data of a figure."""
    return {key: value if isinstance(value, str) else _summary(np.asarray(value, float)) for key, value in data.items()}


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: into a neighbour first, which then takes the name in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _neighbour(path) as part:
        part.write_bytes(content)
        part.chmod(0o644)
        os.replace(part, path)


@contextlib.contextmanager
def _neighbour(path: Path) -> Iterator[Path]:
    handle, part = tempfile.mkstemp(prefix=".partial-", dir=path.parent)
    os.close(handle)
    try:
        yield Path(part)
    finally:
        Path(part).unlink(missing_ok=True)


def _summary(array: Array) -> Any:
    if array.size <= LONGEST:
        return _rounded(array)
    entries = array.ravel()[np.linspace(0, array.size - 1, 100).astype(int)]
    statistics = [array.mean(), array.std(), array.min(), array.max()]
    return {
        "shape": list(array.shape),
        "mean, std, min, max": _rounded(np.array(statistics)),
        "entries": _rounded(entries),
    }


def _rounded(array: Array) -> Any:
    if array.ndim == 0:
        return float(f"{array:.9g}")
    return [_rounded(row) for row in array]


def _compare(recorded: Any, computed: Any, tolerance: float, where: str) -> None:
    if isinstance(recorded, dict):
        if recorded.keys() != computed.keys():
            raise AssertionError(f"{where}: recorded {sorted(recorded)}, computed {sorted(computed)}")
        for key, value in recorded.items():
            _compare(value, computed[key], tolerance, f"{where}, {key}")
    elif isinstance(recorded, str):
        if recorded != computed:
            raise AssertionError(f"{where}: recorded {recorded!r}, computed {computed!r}")
    else:
        a, b = np.asarray(recorded, float), np.asarray(computed, float)
        if a.shape != b.shape:
            raise AssertionError(f"{where}: recorded shape {a.shape}, computed {b.shape}")
        difference, scale = np.abs(a - b).max(initial=0), np.abs(a).max(initial=0)
        if not difference <= tolerance * max(scale, 1e-6):
            raise AssertionError(f"{where}: differs by {difference:.2g} (largest number {scale:.2g})")


def run_alone(file: str) -> None:
    """Build the one figure whose script `file` is; every script ends with it."""
    from scripts import make_figures

    make_figures.main([f"{Path(file).resolve().parent.name}/{Path(file).stem}"])
