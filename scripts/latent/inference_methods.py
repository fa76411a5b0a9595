"""Where inference lands: five methods on the two wells of y(10).

Left: the energy of y(10). Middle: the latent found, against the start z~; what descends from one start finds the well
below it, sometimes jumps, and often ends in the wrong one. Right: on the lecture's grid, from the lecture's z~ = 0.5,
L-BFGS is wrong at the red points. Exhaustive search, the grid with Newton and the secular equation are right
everywhere.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.latent import ellipse
from scripts import grids, make_figures, style

ORDER = 118
NOTE = "15-1, the optimisers named for figure 5"
EQUATION = "z-check = argmin_z E(y, z)"
FUNCTION = "ebm_np.latent.inference.METHODS"
TEST = "tests/latent/test_inference.py::test_local_methods_land_in_some_well_and_say_so"
TOLERANCE = 1e-4
LOCAL = ("cg", "line-search", "l-bfgs")
GLOBAL = ("exhaustive", "newton", "secular")


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return where each method lands from each start, and how often it is wrong on the grid."""
    starts = np.linspace(0, 2 * np.pi, 25 if quick else 97)
    y = np.repeat(ellipse.LECTURE_SAMPLE[9:10], len(starts), axis=0)
    landed = [ellipse.infer(ellipse.UNTRAINED, y, method=method, z0=starts).z for method in LOCAL + GLOBAL]
    grid = grids.plane(13, 9) if quick else grids.lecture()
    least = ellipse.infer(ellipse.UNTRAINED, grid).energy
    excess = [ellipse.infer(ellipse.UNTRAINED, grid, method=m).energy - least for m in LOCAL + GLOBAL]
    z = np.linspace(0, 2 * np.pi, 200)
    return {
        "z": z,
        "energy": ellipse.energy(ellipse.UNTRAINED, y[:1], z)[0],
        "starts": starts,
        "landed": np.array(landed),
        "wrong": np.mean(np.array(excess) > 1e-6, axis=1),
        "grid": grid,
        "excess": excess[LOCAL.index("l-bfgs")],
        "source": "sample 10 of lecture 15-1 and its grid of 425 points, untrained w",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw the landscape, the landings and the map of mistakes."""
    figure, (left, middle, right) = style.new(
        11, 3.6, data["source"], ncols=3, gridspec_kw={"width_ratios": (1, 1.3, 1.6)}
    )
    left.plot(data["z"], data["energy"], color=style.BLUE)
    left.set(ylabel="$E(y^{(10)}, z)$", ylim=(0, None))
    for axes in (left, middle):
        style.angle_axis(axes, 0, 2)
    signs = (("o", style.ORANGE), ("s", style.SKY), ("x", style.INFERRED))
    for landed, method, (marker, color) in zip(data["landed"], LOCAL, signs, strict=False):
        middle.plot(data["starts"], landed, marker, color=color, markersize=4, fillstyle="none", label=method)
    middle.plot(data["starts"], data["landed"][-1], color=style.BLACK, linewidth=1, label="secular, newton, exhaustive")
    middle.set(xlabel=r"start $\tilde z$ (rad)", ylabel=r"$ž$ found (rad)", ylim=(0, 2 * np.pi))
    middle.legend(loc="upper left", bbox_to_anchor=(-0.1, 1.22), ncols=2)
    wrong = data["excess"] > 1e-6
    right.scatter(*data["grid"][~wrong].T, s=4, color=style.GREY)
    right.scatter(*data["grid"][wrong].T, s=12, color=style.INFERRED)
    style.plane(right, 3.1, 2.1)
    shares = ", ".join(f"{m} {100 * w:.0f} %" for m, w in zip(LOCAL, data["wrong"], strict=False))
    right.set_title(f"wrong well from 0.5: {shares}", loc="left", fontsize=8)
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
