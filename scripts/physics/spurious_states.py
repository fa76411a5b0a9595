"""Minima that nobody has stored.

Networks of 500 units with Hebb's rule come to rest, one unit at a time, from random states and from patterns with every
fifth unit turned. What they end in is a stored pattern (overlap of 0.9 or more), its negative, a mixture of three of
them, or anything else: mixtures of more at small loads, spin glass at larger ones. From random states patterns and
their negatives are found equally often, and hardly ever from a load of 0.08 on, where nearly every damaged pattern is
still repaired: the minima are there, but others are far more. The energies (dots, bars of one standard deviation)
compare them: mixtures of three, -0.38 at small load, lie above the memories at -0.5. The spin glass of the theory is
below the memories from a load of 0.052 on; they remain minima up to 0.138, but not the least. A descent does not
find the lowest of the glass: what it ends in is below the memories from about 0.1 on. At the right a mixture to look
at: three letters are stored, and where the majority of the three stays is a minimum like theirs.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.data import letters
from ebm_np.foundations.arrays import Array
from ebm_np.physics import hopfield, mean_field
from scripts import make_figures, style

ORDER = 413
NOTE = "004, Hopfield networks: stable states that are no pattern"
EQUATION = "s = sign(+- xi^1 +- xi^2 +- xi^3)"
FUNCTION = "ebm_np.physics.hopfield.census"
TEST = "tests/physics/test_hopfield.py::test_the_census_names_each_state_by_its_overlaps"
LOADS = np.array([0.008, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.14, 0.16, 0.2])
KINDS = {
    "pattern": ("a stored pattern", style.BLUE),
    "reversed": ("its negative", style.SKY),
    "mixture": ("a mixture of three", style.ORANGE),
    "other": ("anything else", style.GREY),
}
STARTS = {"random": "from random states", "damaged": "from patterns with 20% of the units turned"}
TEXT = "ATX"
SCALE = 3


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the parts and the energies (mean, spread) of each kind of rest, for each start and load; and a mixture."""
    n_units, n_networks, n_starts = (100, 2, 20) if quick else (500, 10, 60)
    parts = np.zeros((len(STARTS), len(LOADS), len(KINDS)))
    energies = np.full((len(LOADS), len(KINDS), 2), -1.0)  # where there are too few
    for k, load in enumerate(LOADS):
        ends = [_ends(rng, n_units, max(3, round(load * n_units)), n_starts) for _ in range(n_networks)]
        kinds, energy = np.concatenate([e[0] for e in ends], axis=1), np.concatenate([e[1] for e in ends], axis=1)
        for j, kind in enumerate(KINDS):
            parts[:, k, j] = (kinds == kind).mean(axis=1)
            found = energy[kinds == kind]
            if len(found) >= 10:
                energies[k, j] = found.mean(), found.std()
    return {
        "parts": parts,
        "energies": energies,
        "letters": _mixed_letters(),
        "source": f"{n_networks} networks of {n_units} units at each load, {n_starts} states from each start",
    }


def _ends(rng: np.random.Generator, n_units: int, n_patterns: int, n_starts: int) -> tuple[Array, Array]:
    """Return the kind of rest that each start of one network comes to, and its energy per unit: (2, n_starts) both."""
    patterns = 2.0 * rng.integers(0, 2, (n_patterns, n_units)) - 1
    W = hopfield.store(patterns)
    turned = np.where(rng.random((n_starts, n_units)) < 0.2, -1, 1)
    starts = 2.0 * rng.integers(0, 2, (n_starts, n_units)) - 1, patterns[np.arange(n_starts) % n_patterns] * turned
    settled = hopfield.settle(W, np.concatenate(starts), rng)
    kinds = hopfield.census(patterns, settled.state)
    return kinds.reshape(2, -1), settled.energy.reshape(2, -1) / n_units


def _mixed_letters() -> Array:
    """Return three letters, and what the network that stores them comes to rest in from their mixture: (4, H, W)."""
    stored = letters.letters(TEXT, scale=SCALE)
    settled = hopfield.settle(hopfield.store(stored), np.concatenate([stored, np.sign(stored.sum(axis=0))[None]]))
    return settled.state.reshape(-1, letters.HEIGHT * SCALE, letters.WIDTH * SCALE)


def draw(data: dict[str, Any]) -> Figure:
    """Draw the census as two stacks of bars, the energies against the load, and the letters."""
    figure, panels = style.new(11.5, 6.4, data["source"], nrows=2, ncols=2, width_ratios=(1.25, 1))
    for axes, parts, title in zip(panels[:, 0], data["parts"], STARTS.values(), strict=True):
        _bars(axes, parts, title)
    panels[0, 0].legend(loc="lower right", bbox_to_anchor=(1.01, 0.98), ncols=4, columnspacing=1.2, handlelength=1)
    grid = panels[0, 1].get_gridspec()
    for axes in panels[:, 1]:
        axes.remove()
    right = grid[:, 1].subgridspec(2, 1, height_ratios=(3, 1))
    _energies(figure.add_subplot(right[0]), data["energies"])
    _letters(figure.add_subplot(right[1]), data["letters"])
    return figure


def _bars(axes: Any, parts: Array, title: str) -> None:
    below = np.zeros(len(LOADS))
    for (kind, colour), part in zip(KINDS.values(), parts.T, strict=True):
        axes.bar(range(len(LOADS)), part, bottom=below, color=colour, label=kind, width=0.85)
        below += part
    axes.set_xticks(range(len(LOADS)), [f"{load:g}" for load in LOADS])
    axes.set(xlabel="load P / N", ylabel="part of the states", ylim=(0, 1), xlim=(-0.6, len(LOADS) - 0.4))
    axes.set_title(title, loc="left")


def _energies(axes: Any, energies: Array) -> None:
    alpha = np.linspace(0.001, 0.2, 400)
    axes.plot(alpha, mean_field.memory_energy(alpha), color=style.BLUE, label="theory: memory")
    axes.plot(alpha, mean_field.spin_glass_energy(alpha), color=style.BLACK, linestyle="--", label="theory: spin glass")
    for k, (kind, colour) in enumerate(KINDS.values()):
        there = energies[:, k, 0] > -1
        mean, spread = energies[there, k].T
        place = LOADS[there] + 0.001 * (k - 1.5)
        axes.errorbar(place, mean, spread, fmt="o", color=colour, markersize=4, elinewidth=1, label=kind)
    for load, text in {0.0519: "0.052", mean_field.critical().alpha: "0.138"}.items():
        axes.vlines(load, -0.56, -0.35, color=style.GREY, linestyle=":", linewidth=1)
        axes.text(load + 0.002, -0.36, text, color="#555555", va="top")
    axes.set(xlabel="load P / N", ylabel="energy per unit, $E / N$ (mean and spread)")
    axes.legend(loc="lower left")


def _letters(axes: Any, images: Array) -> None:
    axes.imshow(style.mosaic(images, 4, pad=9, fill=-1.3), cmap="gray_r", vmin=-1.3, vmax=1)
    width = SCALE * letters.WIDTH
    names = [*(f"stored: {letter}" for letter in TEXT), "their majority:\na minimum, too"]
    axes.set_xticks((width + 9) * np.arange(4) + width / 2 - 0.5, names)
    axes.set_yticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


if __name__ == "__main__":
    make_figures.run_alone(__file__)
