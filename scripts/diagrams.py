"""Block diagrams in the signs of the lectures.

Circles are variables (grey if observed), Ds are modules, red squares are costs.
"""

from typing import Any

import numpy as np
from matplotlib.patches import Circle, FancyArrowPatch, PathPatch, Rectangle
from matplotlib.path import Path

from scripts.style import GREY, RED

Point = tuple[float, float]
SIZE = 0.36
"""Half the height of every sign, in the units of the diagram."""


def canvas(axes: Any, width: float, height: float) -> None:
    """Make an axes an empty sheet of the given size, the origin at its lower left."""
    axes.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    axes.axis("off")


def variable(axes: Any, at: Point, label: str, *, observed: bool = False) -> None:
    """Draw a circle; grey where the variable is observed."""
    axes.add_patch(Circle(at, SIZE, facecolor="#cccccc" if observed else "white", edgecolor="black", zorder=2))
    _label(axes, at, label)


def module(axes: Any, at: Point, label: str) -> None:
    """Draw a D lying on its side of entry: flat where the input comes in from the left, round where it leaves."""
    x, y = at
    turn = np.linspace(-np.pi / 2, np.pi / 2, 30)
    flat, round_end = x - 1.4 * SIZE, (x + 0.6 * SIZE + SIZE * np.cos(turn), y + SIZE * np.sin(turn))
    outline = [(flat, y - SIZE), *zip(*round_end, strict=True), (flat, y + SIZE), (flat, y - SIZE)]
    axes.add_patch(PathPatch(Path(outline), facecolor="#dbe9f6", edgecolor="black", zorder=2))
    _label(axes, at, label)


def cost(axes: Any, at: Point, label: str) -> None:
    """Draw a red square."""
    x, y = at
    axes.add_patch(Rectangle((x - SIZE, y - SIZE), 2 * SIZE, 2 * SIZE, facecolor=RED, edgecolor="black", zorder=2))
    _label(axes, at, label, color="white")


def arrow(axes: Any, start: Point, end: Point, *, gap: float = 1.25) -> None:
    """Draw an arrow between the centres of two signs, with room left for them: `gap` times their half size."""
    a, b = np.array(start), np.array(end)
    unit = (b - a) / np.hypot(*(b - a))
    style: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 12, "color": "black", "zorder": 1}
    axes.add_patch(FancyArrowPatch(a + gap * SIZE * unit, b - gap * SIZE * unit, shrinkA=0, shrinkB=0, **style))


def note(axes: Any, at: Point, text: str) -> None:
    """Write a remark in grey."""
    axes.text(*at, text, ha="center", va="center", fontsize=8, color=GREY)


def _label(axes: Any, at: Point, label: str, color: str = "black") -> None:
    axes.text(*at, label, ha="center", va="center", fontsize=11, color=color, zorder=3)
