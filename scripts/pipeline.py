"""From a script to a picture beside the numbers that it shows, written so that nothing is ever half there.

A figure is a module `scripts/<chapter>/<figure>.py` with

    a docstring                title in its first line, then what the figure teaches
    ORDER                      its place in the book, a whole number
    NOTE                       where the notes show it, e.g. "15-1, figure 4"
    EQUATION, FUNCTION, TEST   what it draws, which function computes it, which test proves that function
    TOLERANCE, CHANCE          if it needs them: what `--check` allows, and arrays that hang on the rounding of each sum
    SHARES                     a training that other figures start from, too: one process makes all of them, one by one
    compute(rng, quick=False)  -> dict of arrays; "source" names the data; `quick` allows smaller sizes
    draw(data)                 -> matplotlib figure

and gives `figures/<chapter>/<figure>.png` and `.json`: the numbers of the full figure, and those of a quick run,
against which `--check` compares. Long arrays are recorded by their statistics and a hundred of their entries; those of
CHANCE, such as states of a chain that has tossed a billion coins in single precision, by mean and spread only.
"""

import ast
import contextlib
import importlib
import io
import json
import os
import re
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
import numpy as np

from ebm_np.foundations.arrays import Array
from scripts import style

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS, FIGURES = ROOT / "scripts", ROOT / "figures"
LONGEST = 600
"""Arrays of more numbers than this are recorded by a summary."""
TOLERANCE = 1e-6
"""Relative difference that `--check` allows; a script whose numbers depend on BLAS's rounding sets its own."""


def names() -> list[str]:
    """Return the names of all figures, "<chapter>/<figure>", in the order of the book; imports none of them."""
    found = [path.relative_to(SCRIPTS).with_suffix("").as_posix() for path in SCRIPTS.glob("*/*.py")]
    return sorted(found, key=lambda name: (_order(name), name))


def together(chosen: list[str]) -> list[list[str]]:
    """Return these figures in the same order, but those that share a training in one list."""
    lists: dict[str, list[str]] = {}
    for name in chosen:
        lists.setdefault(_shares(name), []).append(name)
    return list(lists.values())


def docstring(name: str) -> str:
    """Return the docstring of a script, without importing it; nothing if it is not even Python."""
    with contextlib.suppress(SyntaxError):
        return ast.get_docstring(ast.parse(_text(name))) or ""
    return ""


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
    data, chance = compute(name, quick), getattr(load(name), "CHANCE", ())
    record = {"figure": name, "quick": numbers(data if quick else compute(name, quick=True), chance)}
    if not quick:
        record["full"] = numbers(data, chance)
    drawn = picture(load(name), data)
    # the numbers first: where a run is killed between the two, `--check` finds out
    write(folder / f"{name}.json", (json.dumps(record, indent=1) + "\n").encode())
    write(folder / f"{name}.png", drawn)
    return str(data["source"])


def check(name: str, folder: Path = FIGURES, quick: bool = False) -> str:
    """Compare the recorded numbers of a figure with those computed now; return a word on the outcome.

    Raises
    ------
    ValueError
        if there is no such record in the file, naming it.
    AssertionError
        naming the first number that differs.
    """
    path = folder / f"{name}.json"
    try:
        recorded = json.loads(path.read_text())["quick" if quick else "full"]
        source = recorded["source"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: expected the record of a {'quick' if quick else 'full'} figure, found none"
        ) from error
    computed = numbers(compute(name, quick), getattr(load(name), "CHANCE", ()))
    if source != computed["source"]:
        return f"not compared: recorded from {source}, here {computed['source']}"
    _compare(recorded, computed, getattr(load(name), "TOLERANCE", TOLERANCE), name)
    return "agrees"


def picture(script: ModuleType, data: dict[str, Any]) -> bytes:
    """Return the figure as the bytes of a PNG, the same in every run on one machine."""
    with mpl.rc_context(style.RC):
        buffer = io.BytesIO()
        script.draw(data).savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def numbers(data: dict[str, Any], chance: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what a record keeps of the data of a figure: of arrays that chance decides, less."""
    kept = {}
    for key, value in data.items():
        array = None if isinstance(value, str) else np.asarray(value, float)
        kept[key] = value if array is None else _spread(array) if key in chance else _summary(array)
    return kept


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: into a neighbour first, which then takes the name in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".partial-{path.name}-{os.getpid()}-{threading.get_ident()}")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


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


def _spread(array: Array) -> dict[str, Any]:
    return {"shape": list(array.shape), "mean, std": _rounded(np.array([array.mean(), array.std()]))}


def _rounded(array: Array) -> Any:
    if array.ndim == 0:
        return float(f"{array:.9g}")
    return [_rounded(row) for row in array]


def _compare(recorded: Any, computed: Any, tolerance: float, where: str) -> None:
    if isinstance(recorded, dict) and isinstance(computed, dict):
        if recorded.keys() != computed.keys():
            raise AssertionError(f"{where}: recorded {sorted(recorded)}, computed {sorted(computed)}")
        for key, value in recorded.items():
            _compare(value, computed[key], 0.0 if key == "shape" else tolerance, f"{where}, {key}")
        return
    if any(isinstance(value, str | dict) for value in (recorded, computed)):
        if recorded != computed:
            raise AssertionError(f"{where}: recorded {recorded!r}, computed {computed!r}")
        return
    a, b = np.asarray(recorded, float), np.asarray(computed, float)
    if a.shape != b.shape:
        raise AssertionError(f"{where}: recorded shape {a.shape}, computed {b.shape}")
    difference, scale = np.abs(a - b).max(initial=0), np.abs(a).max(initial=0)
    if not difference <= tolerance * max(scale, 1e-6):
        raise AssertionError(f"{where}: differs by {difference:.2g} (largest number {scale:.2g})")


def _order(name: str) -> int:
    """Return the number that ORDER gives; scripts without one come last."""
    return int(_constant(name, r"ORDER = (\d+)") or sys.maxsize)


def _shares(name: str) -> str:
    """Return the training that SHARES names, or else the name of the script."""
    return _constant(name, r'SHARES = "(.+)"') or name


def _constant(name: str, line: str) -> str | None:
    """Return what a line in the text of a script says, which is not imported for that; None if it has no such line."""
    found = re.search(f"^{line}$", _text(name), re.MULTILINE)
    return found[1] if found else None


def _text(name: str) -> str:
    return (SCRIPTS / f"{name}.py").read_text(encoding="utf-8")
