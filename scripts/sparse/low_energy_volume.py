"""What the latent may tell bounds the space of y that has low energy.

Three numbers z decode every point of the plane, through three atoms (arrows): without a regulariser F = 0 everywhere,
and the model cannot tell data (dots) from the rest. Each regulariser draws the contour F = 1/2 (white; bold that of the
map) closer as lambda grows, or as rho, the largest radius of a noisy code, shrinks; in each map the contours hold areas
of 10, 5 and 2.5. L1 spends its area along the atoms. Below, the area for all settings, counted on a grid (markers); the
line is exact.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.foundations.arrays import Array
from ebm_np.foundations.layers import Affine
from ebm_np.sparse import regularized
from ebm_np.sparse.regularized import L1, L2, Noise, Params, Regularizer
from scripts import make_figures, style

ORDER = 200
NOTE = '08-2, "Regularized latent variable EBMs"'
EQUATION = "E(x, y, z) = C(y, Dec(Pred(x), z)) + lam R(z)"
FUNCTION = "ebm_np.sparse.regularized.low_energy_volume"
TEST = "tests/sparse/test_regularized.py::test_volume_is_the_one_of_the_exact_shape"
TOLERANCE = 1e-3
LEVEL, HALF, SIGMA = 0.5, 2.5, 0.1
ANGLES = np.deg2rad([10.0, 45.0, 110.0])
MODEL = Params(Affine(np.zeros((2, 1)), np.zeros(2)), np.stack([np.cos(ANGLES), np.sin(ANGLES)]))
KINDS: dict[str, tuple[Callable[[float], Regularizer], tuple[float, ...], Array]] = {
    "L2": (L2, (0.27, 0.67, 2.5), np.logspace(-1.5, 1.5, 25)),
    "L1": (L1, (0.26, 0.39, 0.64), np.logspace(-1.5, 1.5, 25)),
    "noise": (lambda rho: Noise(SIGMA, rho), (0.9, 0.47, 0.17), np.logspace(-2, 1, 25)),
}
"""Regulariser, its settings of the contours, and those of the curve below."""


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return maps of F, areas of low energy against lambda or the bits that z can tell, and a cloud along the atoms."""
    y, coarse = _square(60 if quick else 180), _square(30 if quick else 90)
    atom = np.repeat(np.arange(3), 20)
    cloud = (MODEL.W[:, atom] * rng.uniform(-1.6, 1.6, 60)).T + rng.normal(0, 0.05, (60, 2))
    data: dict[str, Any] = {"none, map": _map(y, L2(0.0))}
    for kind, (regularizer, settings, sweep) in KINDS.items():
        data[f"{kind}, map"] = np.array([_map(y, regularizer(s)) for s in settings])
        strengths = sweep[::4] if quick else sweep
        data[f"{kind}, strength"] = strengths
        data[f"{kind}, area"] = np.array([_area(coarse, regularizer(s)) for s in strengths])
        data[f"{kind}, area within contours"] = np.array([_area(y, regularizer(s)) for s in settings])
    data["L2, line"] = np.logspace(-1.5, 1.5, 100)
    data["L2, exact area"] = np.array(
        [regularized.ellipsoid_volume(MODEL, L2(float(lam)), LEVEL) for lam in data["L2, line"]]
    )
    return data | {"cloud": cloud, "source": "synthetic, 60 points along three atoms, seed 0"}


def draw(data: dict[str, Any]) -> Figure:
    """Draw four maps, and the areas below them."""
    figure, panels = style.new(10.4, 6.4, data["source"], nrows=2, ncols=4)
    _show(panels[0, 0], data["none, map"], data["cloud"], "no regulariser\n$F = 0$ everywhere")
    for axes, (kind, (_, settings, _)) in zip(panels[0, 1:], KINDS.items(), strict=True):
        three = ", ".join(map(str, settings))
        image = _show(axes, data[f"{kind}, map"][1], data["cloud"], TITLES[kind].replace("SETTINGS", three))
        for f, width in zip(data[f"{kind}, map"], (0.8, 2, 0.8), strict=True):
            axes.contour(f, (LEVEL,), extent=(-HALF, HALF, -HALF, HALF), colors="white", linewidths=width)
        axes.set_ylabel("")
    figure.colorbar(image, ax=panels[0], shrink=0.75, extend="max", pad=0.01).ax.set_title("$F(y)$", fontsize=9)
    grid = panels[1, 0].get_gridspec()
    for axes in panels[1]:
        axes.remove()
    _against_lambda(figure.add_subplot(grid[1, :2]), data)
    _against_bits(figure.add_subplot(grid[1, 2:]), data)
    return figure


TITLES = {
    "L2": "L2: $\\lambda\\,\\Vert z\\Vert^2$\n$\\lambda = $ SETTINGS",
    "L1": "L1: $\\lambda\\,\\Vert z\\Vert_1$\n$\\lambda = $ SETTINGS",
    "noise": f"noise $\\sigma = {SIGMA}$ on $z$, $\\Vert z\\Vert\\leq\\rho$\n$\\rho = $ SETTINGS",
}


def _against_lambda(axes: Any, data: dict[str, Any]) -> None:
    axes.loglog(data["L2, line"], data["L2, exact area"], color=style.BLUE, label="L2, exact: an ellipse")
    for kind, color, marker in (("L2", style.BLUE, "o"), ("L1", style.ORANGE, "s")):
        axes.loglog(data[f"{kind}, strength"], data[f"{kind}, area"], marker, color=color, markersize=4, label=kind)
        axes.plot(
            KINDS[kind][1], data[f"{kind}, area within contours"], "o", color="black", markersize=9, fillstyle="none"
        )
    axes.set(xlabel=r"$\lambda$")
    _bounds(axes, 30)


def _against_bits(axes: Any, data: dict[str, Any]) -> None:
    axes.semilogy(
        _bits(data["noise, strength"]), data["noise, area"], "^", color=style.GREEN, markersize=4, label="noise"
    )
    contours = _bits(KINDS["noise"][1]), data["noise, area within contours"]
    axes.plot(*contours, "o", color="black", markersize=9, fillstyle="none", label="the contours above")
    axes.set(
        xlabel=r"what $z$ can tell at most, $\frac{3}{2}\,\log_2(1 + \rho^2 /\, 3\sigma^2)$ (bits)", xlim=(-0.3, 16)
    )
    _bounds(axes, 15.8)


def _bounds(axes: Any, x: float) -> None:
    """Mark the largest and the least area that there can be."""
    for area, words, shift, align in (
        ((2 * HALF) ** 2, "the whole square", 1.06, "bottom"),
        (np.pi * LEVEL, r"$z = 0$: the disc $\Vert y\Vert^2\leq 1/2$", 0.94, "top"),
    ):
        axes.axhline(area, color=style.GREY, linewidth=1, linestyle="--", zorder=0)
        axes.text(x, shift * area, words, ha="right", va=align, fontsize=8, color="#555555")
    axes.set(ylabel=r"area where $F(y)\leq 1/2$", ylim=(1.1, 45))
    axes.set_yticks([2, 5, 10, 20, 40], ["2", "5", "10", "20", "40"])
    axes.minorticks_off()
    axes.legend(loc="center right")


def _bits(radii: Any) -> list[float]:
    return [regularized.capacity(Noise(SIGMA, float(rho)), len(ANGLES)) for rho in radii]


def _show(axes: Any, f: Array, cloud: Array, title: str) -> Any:
    image = axes.imshow(f, extent=(-HALF, HALF, -HALF, HALF), origin="lower", vmin=0, vmax=2, interpolation="bilinear")
    axes.scatter(*cloud.T, s=9, color=style.ORANGE, edgecolor="black", linewidth=0.4)
    for w in MODEL.W.T:
        axes.annotate("", w, (0, 0), arrowprops={"arrowstyle": "-|>", "color": "white", "linewidth": 1, "shrinkA": 0})
    style.plane(axes, HALF, HALF)
    axes.set_title(title, loc="left", fontsize=9)
    return image


def _square(n: int) -> Array:
    """Return the n x n midpoints of [-2.5, 2.5]^2, as (n n, 2); y1 runs fastest."""
    line = HALF * ((2 * np.arange(n) + 1) / n - 1)
    y1, y2 = np.meshgrid(line, line)
    return np.stack([y1.ravel(), y2.ravel()], axis=-1)


def _map(y: Array, regularizer: Regularizer) -> Array:
    f = regularized.free_energy(MODEL, np.zeros((len(y), 1)), y, regularizer)
    return f.reshape(int(np.sqrt(len(y))), -1)


def _area(y: Array, regularizer: Regularizer) -> float:
    return regularized.low_energy_volume(MODEL, np.zeros((len(y), 1)), y, regularizer, LEVEL, (2 * HALF) ** 2)


if __name__ == "__main__":
    make_figures.run_alone(__file__)
