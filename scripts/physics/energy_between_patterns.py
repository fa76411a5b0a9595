"""The energy between stored patterns, and the cheapest way out of one of them.

Random patterns, Hebb's rule. Above: from a stored pattern to another state, the units that differ turned in a random
order (six thin lines, and their mean). To another pattern the way leads over a ridge of -N/4 and down into a well as
deep, -N/2; to the pattern's own negative over one of 0; to a random state it only rises.
These lines are the same at every load: E = -(N/2) (m_1^2 + m_2^2). What a memory dies of is another direction. Below,
from the same pattern, always the unit is turned that costs least, each once. The ridge of this way shrinks with the
load, from 0.10 N to 0.004 N not far below the capacity (its highest point with up to 40 % of the units turned); beyond
it, it is downhill from the pattern on. At 0.12 the ground behind it is lower than the memory (shaded): the spin glass.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.foundations.arrays import Array
from ebm_np.physics import hopfield, mean_field
from scripts import make_figures, style

ORDER = 412
NOTE = "004, Hopfield networks: minima of the energy"
EQUATION = "E(s) = -(1/2) sum_ij W_ij s_i s_j"
FUNCTION = "ebm_np.physics.hopfield.energy"
TEST = "tests/physics/test_hopfield.py::test_a_flip_changes_energy_by_twice_s_h_where_h_is_the_others_field"
LOADS = (0.02, 0.06, 0.12, 0.2)
STEPS = 50
N_ORDERS = 6
OUT = 0.4
"""Part of the units that are turned on the cheapest way out."""
WAYS = {
    "another": (style.BLUE, "to another\nstored pattern"),
    "negative": (style.ORANGE, "to its negative"),
    "random": (style.GREY, "to a\nrandom\nstate"),
}


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return energies per unit along random ways to three states, and along the lowest way, for each load."""
    n_units, n_networks = (300, 2) if quick else (2_000, 5)
    found: dict[str, Any] = {"source": f"random patterns, networks of {n_units:,} units", "units": n_units}
    ways: dict[str, list[Array]] = {name: [] for name in WAYS}
    lowest = []
    for load in LOADS:
        networks = [2.0 * rng.integers(0, 2, (round(load * n_units), n_units)) - 1 for _ in range(n_networks)]
        lowest.append([_lowest(xi, round(OUT * n_units)) for xi in networks])
        xi = networks[0]
        W = hopfield.store(xi)
        ends = {"another": xi[1], "negative": -xi[0], "random": 2.0 * rng.integers(0, 2, n_units) - 1}
        for name, end in ends.items():
            ways[name].append(np.array([_line(W, xi[0], end, rng) for _ in range(N_ORDERS)]))
    found |= {name: np.array(energies) / n_units for name, energies in ways.items()}
    return found | {"lowest": np.array(lowest) / n_units}


def _line(W: Array, start: Array, end: Array, rng: np.random.Generator) -> Array:
    """Return the energies of STEPS + 1 states from start to end, the units that differ turned in a random order."""
    differ = rng.permutation(np.flatnonzero(start != end))
    states = np.tile(start, (STEPS + 1, 1))
    for state, n in zip(states, np.linspace(0, len(differ), STEPS + 1), strict=True):
        state[differ[: round(n)]] *= -1
    return hopfield.energy(W, states)


def _lowest(patterns: Array, n: int) -> Array:
    """Return E less that of the first pattern on the way out of it: n units turned once each, always the cheapest.

    A turn of unit i costs 2 s_i h_i and changes the fields by -2 W_i s_i. Times N all are whole numbers, without which
    rounding would choose between units that cost the same.
    """
    n_units, s = patterns.shape[1], patterns[0].copy()
    W = np.rint(n_units * hopfield.store(patterns))
    h = hopfield.fields(W, s[None])[0]
    costs, turned = np.zeros(n + 1), np.zeros(n_units)
    for t in range(1, n + 1):
        cost = 2 * s * h + turned
        i = cost.argmin()
        costs[t], turned[i] = cost[i], np.inf
        h -= 2 * s[i] * W[i]
        s[i] = -s[i]
    return np.cumsum(costs) / n_units


def draw(data: dict[str, Any]) -> Figure:
    """Draw the lines above, and the lowest ways below, a column for each load."""
    figure, panels = style.new(11.5, 5.8, data["source"], nrows=2, ncols=len(LOADS), sharey="row")
    for k, load in enumerate(LOADS):
        side = "beyond" if load > mean_field.critical().alpha else "below"
        panels[0, k].set_title(f"P / N = {load:g}: {side} the capacity", loc="left")
        _lines(panels[0, k], data, k)
        _way_out(panels[1, k], data["lowest"][k], data["units"])
    panels[0, 0].set_ylabel("along a line: $E / N$")
    panels[1, 0].set_ylabel("along the cheapest way out:\n$(E - E_\\mathrm{pattern}) / N$")
    places = {"negative": (0.5, 0.02, "bottom"), "another": (0.5, -0.28, "top"), "random": (0.87, -0.06, "top")}
    for name, (x, y, va) in places.items():
        colour, label = WAYS[name]
        panels[0, 0].text(x, y, label, color=colour, fontsize=8, ha="center", va=va)
    return figure


def _lines(axes: Any, data: dict[str, Any], k: int) -> None:
    part = np.linspace(0, 1, STEPS + 1)
    for name, (colour, _) in WAYS.items():
        axes.plot(part, data[name][k].T, color=colour, linewidth=0.5, alpha=0.6)
        axes.plot(part, data[name][k].mean(axis=0), color=colour, linewidth=2)
    axes.plot([0, 1], [data["another"][k, :, j].mean() for j in (0, -1)], "o", color=style.BLACK, zorder=4)
    axes.set(xlabel="part of the differing units turned", ylim=(-0.56, 0.12))


def _way_out(axes: Any, ways: Array, n_units: int) -> None:
    part, mean = np.arange(ways.shape[1]) / n_units, ways.mean(axis=0)
    axes.axhline(0, color=style.GREY, linewidth=0.8)
    axes.fill_between(part, mean, 0, where=mean < 0, color=style.RED, alpha=0.15, linewidth=0)
    axes.plot(part, ways.T, color=style.RED, linewidth=0.5, alpha=0.6)
    axes.plot(part, mean, color=style.RED, linewidth=2)
    axes.plot(0, 0, "o", color=style.BLACK, zorder=4)
    ridge = ways.max(axis=1).mean()
    height = f"ridge: {ridge:.3f} N" if ridge > 5e-4 else "no ridge: downhill at once"
    axes.text(0.97, 0.95, height, transform=axes.transAxes, ha="right", va="top")
    axes.set(xlabel="part of all units turned", ylim=(-0.125, 0.15))


if __name__ == "__main__":
    make_figures.run_alone(__file__)
