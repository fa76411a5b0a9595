"""Block diagrams in the signs of the lectures.

Circles are variables (grey if observed), Ds are modules, blue squares are matrices and functions of a single number,
red squares are costs. Each sign returns its ports, the points on its outline at which arrows begin and end.
"""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, PathPatch, Rectangle
from matplotlib.path import Path

from scripts import style
from scripts.style import GREY, RED

Point = tuple[float, float]
SIZE = 0.36
"""Half the height of every sign, in the units of the diagram."""
BLOCK = "#dbe9f6"


class Ports(NamedTuple):
    """The four points of a sign's outline at which arrows begin and end."""

    left: Point
    right: Point
    bottom: Point
    top: Point


def sheet(width: float, height: float, source: str, unit: float = 0.8) -> tuple[Figure, Any]:
    """Return a figure of so many units, each of so many inches, and its one empty axes."""
    figure, axes = style.new(unit * width + 0.1, (unit * height + 0.1) / 0.97, source)
    canvas(axes, width, height)
    return figure, axes


def canvas(axes: Any, width: float, height: float) -> None:
    """Make an axes an empty sheet of the given size, the origin at its lower left."""
    axes.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    axes.axis("off")


def variable(axes: Any, at: Point, label: str, *, observed: bool = False) -> Ports:
    """Draw a circle; grey where the variable is observed."""
    axes.add_patch(Circle(at, SIZE, facecolor="#cccccc" if observed else "white", edgecolor="black", zorder=2))
    _label(axes, at, label)
    return _ports(at, SIZE)


def module(axes: Any, at: Point, label: str, *, leftward: bool = False) -> Ports:
    """Draw a D lying on its side of entry: flat where the input comes in (from the left), round where it leaves."""
    x, y = at
    turn = np.linspace(-np.pi / 2, np.pi / 2, 30)
    sign = -1 if leftward else 1
    flat, round_end = x - sign * 1.4 * SIZE, (x + sign * (0.6 * SIZE + SIZE * np.cos(turn)), y + SIZE * np.sin(turn))
    outline = [(flat, y - SIZE), *zip(*round_end, strict=True), (flat, y + SIZE), (flat, y - SIZE)]
    axes.add_patch(PathPatch(Path(outline), facecolor=BLOCK, edgecolor="black", zorder=2))
    _label(axes, at, label)
    left, right = sorted((flat, x + sign * 1.6 * SIZE))
    return Ports((left, y), (right, y), (x, y - SIZE), (x, y + SIZE))


def box(axes: Any, at: Point, label: str = "") -> Ports:
    """Draw a blue square: a matrix that what comes in is multiplied by."""
    return _square(axes, at, label, BLOCK, "black")


def shrinkage(axes: Any, at: Point) -> Ports:
    """Draw a blue square that holds the curve of sh(), flat around zero."""
    (x, y), r = at, 0.72 * SIZE
    for line in (((x - r, x + r), (y, y)), ((x, x), (y - r, y + r))):
        axes.plot(*line, color=GREY, linewidth=0.8, zorder=3)
    curve = r * np.array([(-1, -0.65), (-0.35, 0), (0.35, 0), (1, 0.65)]) + at
    axes.plot(*curve.T, color="black", linewidth=1.8, solid_capstyle="butt", solid_joinstyle="round", zorder=4)
    return box(axes, at)


def plus(axes: Any, at: Point) -> Ports:
    """Draw a small circle with a plus: the sum of all that comes in."""
    (x, y), r = at, 0.6 * SIZE
    axes.add_patch(Circle(at, r, facecolor="white", edgecolor="black", zorder=2))
    for line in (((x - r / 2, x + r / 2), (y, y)), ((x, x), (y - r / 2, y + r / 2))):
        axes.plot(*line, color="black", linewidth=1.2, zorder=3)
    return _ports(at, r)


def cost(axes: Any, at: Point, label: str) -> Ports:
    """Draw a red square."""
    return _square(axes, at, label, RED, "white")


def arrow(axes: Any, start: Point, end: Point, *, gap: float = 1.25) -> None:
    """Draw an arrow between the centres of two signs, with room left for them: `gap` times their half size."""
    a, b = np.array(start), np.array(end)
    unit = (b - a) / np.hypot(*(b - a))
    look: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 12, "color": "black", "zorder": 1}
    axes.add_patch(FancyArrowPatch(a + gap * SIZE * unit, b - gap * SIZE * unit, shrinkA=0, shrinkB=0, **look))


def route(axes: Any, *points: Point, color: str = "black", dashed: bool = False) -> None:
    """Draw an arrow along straight lines from the first point to the last, ending exactly there."""
    look: dict[str, Any] = {"mutation_scale": 12, "color": color, "joinstyle": "miter", "capstyle": "butt", "zorder": 1}
    if dashed:  # a head must not be dashed: it is drawn alone, at the end of a line too short to be seen
        a, b = np.array(points[-2:])
        behind = b - 0.1 * (b - a) / np.hypot(*(b - a))
        axes.add_patch(
            FancyArrowPatch(path=Path([*points[:-1], behind]), arrowstyle="-", linestyle=(0, (4, 2)), **look)
        )
        points = (tuple(behind), points[-1])
    axes.add_patch(FancyArrowPatch(path=Path(points), arrowstyle="-|>", **look))


def branch(axes: Any, at: Point) -> None:
    """Draw the dot where an arrow divides."""
    axes.add_patch(Circle(at, 0.05, color="black", zorder=2))


def note(axes: Any, at: Point, text: str) -> None:
    """Write a remark in grey."""
    axes.text(*at, text, ha="center", va="center", fontsize=8, color=GREY)


def caption(axes: Any, at: Point, text: str, *, color: str = "black", size: float = 9, align: str = "center") -> None:
    """Write what a sign or an arrow stands for."""
    axes.text(*at, text, ha=align, va="center", fontsize=size, color=color)


def _square(axes: Any, at: Point, label: str, fill: str, ink: str) -> Ports:
    x, y = at
    axes.add_patch(Rectangle((x - SIZE, y - SIZE), 2 * SIZE, 2 * SIZE, facecolor=fill, edgecolor="black", zorder=2))
    _label(axes, at, label, color=ink)
    return _ports(at, SIZE)


def _ports(at: Point, r: float) -> Ports:
    x, y = at
    return Ports((x - r, y), (x + r, y), (x, y - r), (x, y + r))


def _label(axes: Any, at: Point, label: str, color: str = "black") -> None:
    axes.text(*at, label, ha="center", va="center", fontsize=11, color=color, zorder=3)
