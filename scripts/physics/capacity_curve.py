"""How much a memory holds: everything up to a load, and then nothing.

Left: what a stored pattern settles to, its overlap with itself, against the load P/N, for more and more units. Dashed:
mean-field theory of infinitely many, 0.967 at a load of 0.1379, no memory beyond. Middle: the load at which half of the
networks keep theirs is higher in small networks, 0.161 N for 1,000 units and 0.154 N for 2,000 (the blog: "between 0.14
N and 0.15 N"). It comes down as one over the root of N, to what theory says. Right: how far simulation is from theory.
Well below the jump it is within its error (bars: three of them); nearer to it more units are needed.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import curve_fit

from ebm_np.foundations.arrays import Array
from ebm_np.physics import capacity, mean_field
from scripts import make_figures, style

ORDER = 411
NOTE = "004, Hopfield networks; erratum 24"
EQUATION = "m = erf(y),  P/N = (1/2) [erf(y) / y - (2 / sqrt(pi)) exp(-y^2)]^2"
FUNCTION = "ebm_np.physics.capacity.kept"
TEST = "tests/physics/test_capacity.py::test_a_thousand_units_keep_120_patterns_and_not_160"
SIZES = {250: 800, 500: 400, 1_000: 200, 2_000: 100, 4_000: 50}
"""Units, and networks for each load near the jump or beyond; eight times as many below."""
QUICK_SIZES = {100: 40, 200: 20, 400: 10}
SAFE = np.array([0.05, 0.1, 0.12])
LOADS = np.array([*SAFE, 0.13, 0.135, 0.14, 0.145, 0.15, 0.155, 0.16, 0.17, 0.18, 0.2])
KEPT = 0.95
COLORS = (style.SKY, style.BLUE, style.GREEN, style.ORANGE, style.RED)


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return final overlaps with their errors, and the load at which half of the patterns are kept, for each size."""
    sizes = QUICK_SIZES if quick else SIZES
    rows = [_experiment(rng, n, n_trials) for n, n_trials in sizes.items()]
    overlap, error, half = (np.array(part) for part in zip(*rows, strict=True))
    n = np.array(list(sizes))
    line, covariance = np.polyfit(n**-0.5, half[:, 0], 1, w=1 / half[:, 1], cov="unscaled")
    # bounded: three quick sizes with all their noise may ask for no power at all
    power = curve_fit(
        _power, n, half[:, 0], (0.14, 0.5, 0.5), half[:, 1], absolute_sigma=True, bounds=(0, (0.3, 50, 3))
    )
    top = mean_field.critical().alpha
    curve = top * (1 - np.linspace(0.7, 0, 100) ** 2)
    networks = ", ".join(f"{sizes[m]} of {m:,}" for m in sizes)
    return {
        "sizes": n,
        "loads": LOADS,
        "overlap": overlap,
        "error": error,
        "half": half,
        "line": line,
        "limit": np.array([line[1], np.sqrt(covariance[1, 1])]),
        "any power": np.array([power[0], np.sqrt(np.diag(power[1]))]),
        "curve": np.array([curve, mean_field.overlap(curve)]),
        "deviation": overlap[:, : len(SAFE)] - mean_field.overlap(SAFE),
        "source": f"random patterns; networks: {networks} units, 8 x below 0.125",
    }


def _power(n: Array, limit: float, factor: float, exponent: float) -> Array:
    return limit + factor * n**-exponent


def draw(data: dict[str, Any]) -> Figure:
    """Draw the jump, the finite-size line, and the deviations."""
    figure, axes = style.new(11, 3.8, data["source"], ncols=3, width_ratios=(1.5, 1, 1.1))
    _jump(axes[0], data)
    _extrapolation(axes[1], data)
    _deviations(axes[2], data)
    return figure


def _experiment(rng: np.random.Generator, n_units: int, n_trials: int) -> tuple[Array, Array, tuple[float, float]]:
    """Return mean overlaps and their standard errors for all loads, and the load where half are kept, with its own."""
    counts = np.where(np.isin(LOADS, SAFE), 8 * n_trials, n_trials)
    found = [capacity.kept(rng, n_units, round(a * n_units), t) for a, t in zip(LOADS, counts, strict=True)]
    success = np.array([overlaps[:n_trials] > KEPT for overlaps in found]).astype(float)
    error = [overlaps.std(ddof=1) / np.sqrt(len(overlaps)) for overlaps in found]
    return np.array([o.mean() for o in found]), np.array(error), capacity.half_load(LOADS, success)


def _jump(axes: Any, data: dict[str, Any]) -> None:
    for i, n in enumerate(data["sizes"]):
        bars = {"color": COLORS[i], "marker": "o", "markersize": 3, "capsize": 2, "linewidth": 1}
        axes.errorbar(data["loads"], data["overlap"][i], 3 * data["error"][i], label=f"N = {n:,}", **bars)
    load, overlap = data["curve"]
    axes.plot(load, overlap, "--", color=style.BLACK, linewidth=1.8, zorder=5, label="theory, N = infinity")
    axes.plot([load[-1], load[-1]], [0, overlap[-1]], ":", color=style.BLACK, linewidth=1)
    axes.text(load[-1] - 0.002, 0.12, f"{load[-1]:.4f}", ha="right")
    axes.set(xlabel="load P/N", ylabel="overlap with the stored pattern", ylim=(0, 1.04))
    axes.set_title("kept, and lost at once")
    axes.legend(loc="lower left")


def _extrapolation(axes: Any, data: dict[str, Any]) -> None:
    x, (half, error) = data["sizes"] ** -0.5, data["half"].T
    end = 1.05 * x.max()
    (limit, spread), (free, unsure) = data["limit"], data["any power"]
    axes.plot([0, end], np.polyval(data["line"], [0, end]), color=style.GREY, linewidth=1)
    for i in range(len(x)):
        axes.errorbar(x[i], half[i], 3 * error[i], color=COLORS[i], marker="o", capsize=3)
    axes.errorbar(0, limit, 3 * spread, color=style.BLACK, marker="s", capsize=3, clip_on=False)
    axes.axhline(mean_field.critical().alpha, color=style.BLACK, linestyle="--", linewidth=1)
    said = rf"$N^{{-1/2}}$: {limit:.4f} ± {spread:.4f}", rf"$N^{{-{free[2]:.2f}}}$: {free[0]:.4f} ± {unsure[0]:.4f}"
    axes.text(0.05, 0.95, "at N = infinity\n" + "\n".join(said), transform=axes.transAxes, va="top")
    axes.text(end, mean_field.critical().alpha, "theory ", ha="right", va="bottom")
    axes.set(ylabel=f"P/N at which half are kept (overlap > {KEPT})", xlabel="N", xlim=(0, end))
    crowded = np.append(np.diff(x) > -0.1 * end, False)
    axes.set_xticks(x, ["" if close else f"{n:,}" for n, close in zip(data["sizes"], crowded, strict=True)])
    axes.set_title("towards infinitely many units")


def _deviations(axes: Any, data: dict[str, Any]) -> None:
    for j, (load, color) in enumerate(zip(SAFE, (style.BLUE, style.GREEN, style.RED), strict=True)):
        x = data["sizes"] * (1 + 0.06 * (j - 1))
        axes.errorbar(x, 1e3 * data["deviation"][:, j], 3e3 * data["error"][:, j], color=color, marker="o",
                      markersize=4, capsize=3, linewidth=1, label=f"P/N = {load}")  # fmt: skip
    axes.axhline(0, color=style.BLACK, linestyle="--", linewidth=1)
    axes.set(xscale="log", xlabel="N", ylabel=r"overlap $-$ theory ($10^{-3}$)")
    axes.set_xticks(data["sizes"], [f"{n:,}" for n in data["sizes"]])
    axes.minorticks_off()
    axes.set_title("the nearer to the jump, the more units")
    axes.legend(loc="lower right")


if __name__ == "__main__":
    make_figures.run_alone(__file__)
