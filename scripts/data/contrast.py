"""High-pass and local contrast normalization: every place made equal.

What is done to a photograph before convolutional sparse coding. Gray levels (left) change slowly over most of a
picture; their local mean, under a Gaussian window, has most of the variance, and is subtracted. What is left, v, is
edges, some of them a hundred times as strong as others. So it is divided by its local standard deviation s, or by the
mean c of s where s is less. Below left, one row of the picture (orange) through the steps. Below right, how values are
distributed, of all photographs: v has many near 0 and a few that are enormous. The normalised y is nearer to a Gaussian
(dashed), but still has more of both: it is sparse.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.data import contrast, photographs
from ebm_np.foundations.arrays import Array
from scripts import make_figures, style

ORDER = 4
NOTE = "08-2, convolutional sparse coding; Jarrett et al. 2009"
EQUATION = "y = v / max(s, c),  v = x - G x,  s = (G v^2)^{1/2}"
FUNCTION = "ebm_np.data.contrast.local_contrast_normalize"
TEST = "tests/data/test_contrast.py::test_contrasts_that_differ_a_thousandfold_become_one"
SIGMA = 4.0
CHOSEN = "camera"
"""The name of the photograph; where there is none of it, the first."""
BINS = np.linspace(-8, 8, 129)


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the photograph after each step, the row that shows most, and histograms of all photographs."""
    found = photographs.load()
    names = list(found.names)
    chosen = names.index(CHOSEN) if CHOSEN in names else 0
    image = found.images[chosen]
    v = contrast.high_pass(image, SIGMA)
    s = contrast.local_deviation(v, SIGMA)
    everything = found.images[:2] if quick else found.images
    return {
        "image": image,
        "local mean": image - v,
        "high-passed": v,
        "deviation": s,
        "normalised": contrast.local_contrast_normalize(image, SIGMA),
        "row": s.std(axis=1).argmax(),
        "share": v.var() / image.var(),
        "raw density": _density([contrast.high_pass(x, SIGMA) for x in everything]),
        "density": _density([contrast.local_contrast_normalize(x, SIGMA) for x in everything]),
        "source": f"{names[chosen]}; histograms: {found.source}{', the first two' if quick else ''}",
    }


def _density(images: list[Array]) -> Array:
    """Return the density of values, each image in units of its standard deviation, in BINS."""
    return np.mean([np.histogram(x / x.std(), BINS)[0] / x.size for x in images], axis=0) / np.diff(BINS)


def draw(data: dict[str, Any]) -> Figure:
    """Show the five pictures above; below, one row of them, and the histograms."""
    figure, axes = style.new(12.5, 5.8, data["source"], nrows=2, ncols=5, gridspec_kw={"height_ratios": (1.15, 1)})
    _pictures(figure, axes[0], data)
    grid = axes[1, 0].get_gridspec()
    for unused in axes[1]:
        unused.remove()
    # grids of their own: so the labels of these axes do not push the pictures above apart
    _profiles(grid[1, :3].subgridspec(3, 1).subplots(sharex=True), data)
    _histograms(grid[1, 3:].subgridspec(1, 1).subplots(), data)
    return figure


def _pictures(figure: Figure, axes: Any, data: dict[str, Any]) -> None:
    v, y = data["high-passed"], data["normalised"]
    shown = (
        ("image", "photograph $x$", "gray", 0, 1),
        ("local mean", "local mean $Gx$", "gray", 0, 1),
        (
            "high-passed",
            f"$v = x - Gx$, {100 * data['share']:.0f} % of the variance",
            "gray",
            -3 * v.std(),
            3 * v.std(),
        ),
        ("deviation", "local standard deviation $s$", "viridis", 0, data["deviation"].max()),
        ("normalised", r"normalised $y = v\,/\,\max(s, c)$", "gray", -3 * y.std(), 3 * y.std()),
    )
    for plot, (key, title, colours, low, high) in zip(axes, shown, strict=True):
        image = plot.imshow(data[key], cmap=colours, vmin=low, vmax=high)
        plot.axhline(data["row"], color=style.ORANGE, lw=1)
        plot.set_title(title)
        plot.axis("off")
        figure.colorbar(image, ax=plot, orientation="horizontal", shrink=0.85, pad=0.02, aspect=25)


def _profiles(axes: Any, data: dict[str, Any]) -> None:
    """Show one row of x, v and y, with what v is divided by about v, and so +-1 about y."""
    row = int(data["row"])
    divisor = np.maximum(data["deviation"][row], data["deviation"].mean())
    lines = (
        ("$x$", data["image"][row], style.BLACK, 0 * divisor),
        ("$v$", data["high-passed"][row], style.BLUE, divisor),
        ("$y$", data["normalised"][row], style.RED, 0 * divisor + 1),
    )
    for plot, (name, values, colour, band) in zip(axes, lines, strict=True):
        if band.any():
            label = r"$\pm\max(s, c)$" if name == "$v$" else r"$\pm 1$"
            plot.fill_between(np.arange(len(band)), -band, band, color=style.GREY, alpha=0.4, lw=0, label=label)
            plot.legend(loc="upper right", borderpad=0)
        plot.plot(values, color=colour, lw=0.9)
        plot.set_ylabel(name, rotation=0, ha="right", va="center")
    axes[0].set_ylim(0, 1)
    axes[2].set(ylim=(-4, 4), yticks=(-3, 0, 3))
    axes[2].set(xlim=(0, len(divisor) - 1), xlabel=f"column, in row {row} (the line above)")


def _histograms(axes: Any, data: dict[str, Any]) -> None:
    middle = (BINS[1:] + BINS[:-1]) / 2
    for key, name, colour in (("raw density", "high-passed $v$", style.BLUE), ("density", "normalised $y$", style.RED)):
        axes.semilogy(middle, np.where(data[key] > 0, data[key], np.nan), color=colour, label=name)
    axes.semilogy(middle, np.exp(-(middle**2) / 2) / np.sqrt(2 * np.pi), "--", color=style.GREY, label="Gaussian")
    axes.set(xlabel="value / its standard deviation", ylabel="density", ylim=(1e-5, 3), xlim=(-8, 8))
    axes.legend(loc="upper right")


if __name__ == "__main__":
    make_figures.run_alone(__file__)
