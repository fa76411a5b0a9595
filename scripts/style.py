"""How all figures look: one style, one palette (Okabe & Ito 2008, safe for colour-blind readers), a few helpers."""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ebm_np.foundations.arrays import Array

BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW, BLACK = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000",
)  # fmt: skip
GREY = "#999999"
DATA, MANIFOLD, INFERRED = BLUE, PURPLE, RED
"""What is observed, what is decoded, what inference found: the same colours in every figure."""

RC = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "image.cmap": "viridis",
    "figure.dpi": 130,
    "savefig.dpi": 130,
    "mathtext.fontset": "stix",
}


def new(width: float, height: float, source: str, **subplots: Any) -> tuple[Figure, Any]:
    """Return a figure (sizes in inches) that says at its foot what data it was made from, and its axes."""
    with mpl.rc_context(RC):
        figure: Any = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(**subplots)
    figure.get_layout_engine().set(rect=(0, 0.03, 1, 0.97))
    figure.text(0.995, 0.006, f"data: {source}", ha="right", va="bottom", fontsize=7, color="#555555")
    return figure, axes


def plane(axes: Any, x: float = 3.0, y: float = 2.0) -> None:
    """Make an axes the plane of y, with equal units."""
    axes.set(xlim=(-x, x), ylim=(-y, y), aspect="equal", xlabel="$y_1$", ylabel="$y_2$")


def angle_axis(axes: Any, turns_from: int, turns_to: int) -> None:
    """Label an axis of angles in multiples of pi."""
    steps = np.arange(turns_from, turns_to + 1)
    names = {0: "0", 1: r"$\pi$", -1: r"$-\pi$"}
    axes.set_xticks(steps * np.pi, [names.get(int(k), rf"${k}\pi$") for k in steps])
    axes.set(xlim=(turns_from * np.pi, turns_to * np.pi), xlabel="$z$ (rad)")


def name_rows(axes: Any, places: Any, names: list[str]) -> None:
    """Name the rows of a mosaic at their left, and show nothing else of the axes."""
    axes.set_yticks(places, names)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def mosaic(images: Array, columns: int, pad: int = 1, fill: float = 0.0) -> Array:
    """Return images (n, h, w) laid out in rows of `columns`, with `pad` pixels of `fill` between them."""
    n, h, w = images.shape
    rows = -(-n // columns)
    sheet = np.full((rows * columns, h + pad, w + pad), fill, images.dtype)
    sheet[:n, :h, :w] = images
    tiles = sheet.reshape(rows, columns, h + pad, w + pad).swapaxes(1, 2)
    return tiles.reshape(rows * (h + pad), columns * (w + pad))[: rows * (h + pad) - pad, : columns * (w + pad) - pad]
