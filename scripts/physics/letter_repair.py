"""Letters repaired by a memory that rolls down its energy.

One node a pixel, Hebb's rule, five letters that are not much alike. Above: an A with every fifth pixel turned, and one
whose lower half is blank. One unit after the other looks at its field, in a drawn order (written out here to show the
states between; `hopfield.settle` does the same by whole sweeps). No turn raises E, and the way ends in the whole A.
Below, each letter of two sets damaged and repaired, and beside it the part of 50 such damages of each letter that end
in the very letter. Hebb's rule is made for patterns that have nothing to do with each other: A to H share most of their
pixels, and eight of them are too many for 315 units, of which random patterns take 43. It ends in a blend of all. The
projection rule takes out what they share, and repairs nearly all; Storkey's is between the two.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.data import letters
from ebm_np.foundations.arrays import Array
from ebm_np.physics import hopfield
from scripts import make_figures, style

ORDER = 410
NOTE = "004, Hopfield networks: the damaged A"
EQUATION = "s_i <- sign(h_i),  h_i = sum_j W_ij s_j,  E = -(1/2) sum_ij W_ij s_i s_j"
FUNCTION = "ebm_np.physics.hopfield.settle"
TEST = "tests/physics/test_hopfield.py::test_half_a_letter_is_completed_and_a_damaged_one_repaired"
SETS = {"few": "AIUXY", "alike": "ABCDEFGH"}
SCALE = 3
SHAPE = (letters.HEIGHT * SCALE, letters.WIDTH * SCALE)
N = SHAPE[0] * SHAPE[1]
DAMAGE = 0.2
LOOKS = 450
SHOWN = np.array([0, 50, 100, 150, 200, 250, 300, LOOKS])


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the states and energies of two repairs, unit by unit; and two sets of letters repaired by three rules."""
    few = letters.letters(SETS["few"], scale=SCALE)
    W = hopfield.store(few)
    starts = {"turned": _damaged(few[:1], rng)[0], "half": _half(few[0])}
    found: dict[str, Any] = {"source": f"letters of {letters.HEIGHT} x {letters.WIDTH} pixels, enlarged {SCALE} times"}
    for way, s in starts.items():
        states = _one_by_one(W, s, rng)
        found[f"{way}, states"] = states[SHOWN].reshape(-1, *SHAPE)
        found[f"{way}, energy"] = hopfield.energy(W, states)
    for name, text in SETS.items():
        stored = letters.letters(text, scale=SCALE)
        many = np.tile(stored, (5 if quick else 50, 1))
        damaged = _damaged(many, rng)
        found[f"{name}, damaged"] = damaged[: len(stored)].reshape(-1, *SHAPE)
        for rule in hopfield.RULES:
            state = hopfield.settle(hopfield.store(stored, rule), damaged, rng).state
            found[f"{name}, {rule}"] = state[: len(stored)].reshape(-1, *SHAPE)
            found[f"{name}, {rule}, repaired"] = (state == many).all(axis=1).mean()
    return found


def _damaged(patterns: Array, rng: np.random.Generator) -> Array:
    """Return patterns with the same number of units turned in each."""
    turned = rng.permuted(np.tile(np.arange(N) < round(DAMAGE * N), (len(patterns), 1)), axis=1)
    return np.where(turned, -patterns, patterns)


def _half(pattern: Array) -> Array:
    """Return a letter with its lower half blank."""
    image = pattern.reshape(SHAPE).copy()
    image[SHAPE[0] // 2 :] = -1
    return image.ravel()


def _one_by_one(W: Array, s: Array, rng: np.random.Generator) -> Array:
    """Return the states before and after each of LOOKS looks of a unit at its field, a new order in each sweep."""
    order = np.concatenate([rng.permutation(N) for _ in range(-(-LOOKS // N))])[:LOOKS]
    states = np.tile(s, (LOOKS + 1, 1))
    for t, i in enumerate(order):
        states[t + 1] = states[t]
        states[t + 1, i] = hopfield.turned(states[t, i], W[i] @ states[t], 1e-12)
    return states


def draw(data: dict[str, Any]) -> Figure:
    """Draw two repairs with their energies above, and the two sets of letters below."""
    figure, panels = style.new(11.5, 7.6, data["source"], nrows=3, ncols=2, height_ratios=(1.05, 1.4, 2.9))
    titles = {
        "turned": f"an A of {N} units, {DAMAGE:.0%} of them turned: repaired",
        "half": f"an A of {N} units, its lower half blank: completed",
    }
    for column, (way, title) in zip(panels.T, titles.items(), strict=True):
        _strip(column[0], data[f"{way}, states"], title)
        _fall(column[1], data[f"{way}, energy"])
    bound = [data[f"{way}, energy"] for way in titles]
    for axes in panels[1]:
        axes.set_ylim(np.min(bound) - 12, np.max(bound) + 12)
    for axes in panels[2]:
        axes.remove()
    below = panels[2, 0].get_gridspec()[2, :].subgridspec(1, 2, width_ratios=[len(text) for text in SETS.values()])
    for place, (name, text) in zip(below, SETS.items(), strict=True):
        _grid(figure.add_subplot(place), data, name, text)
    return figure


def _strip(axes: Any, states: Array, title: str) -> None:
    axes.imshow(style.mosaic(states, len(states), pad=5, fill=-1.3), cmap="gray_r", vmin=-1.3, vmax=1)
    axes.set_xticks((SHAPE[1] + 5) * np.arange(len(states)) + SHAPE[1] / 2 - 0.5, [str(t) for t in SHOWN])
    axes.tick_params(length=0)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_title(title, loc="left")


def _fall(axes: Any, energy: Array) -> None:
    axes.plot(energy, color=style.BLUE, label="energy $E$")
    axes.plot(SHOWN, energy[SHOWN], "o", color=style.RED, markersize=5, label="the states above")
    axes.axhline(energy[-1], color=style.GREY, linestyle=":", linewidth=1, label="the stored A")
    axes.axvline(N, color=style.GREY, linewidth=0.8)
    axes.text(N + 5, energy.min() + 30, "each unit\nhas looked once", color="#555555", fontsize=8)
    axes.set(xlabel="units that have looked at their field, one after the other", ylabel="$E(s)$")
    axes.legend(loc="upper right")


def _grid(axes: Any, data: dict[str, Any], name: str, text: str) -> None:
    rows = {"damaged": "damaged"} | {
        rule: f"{label}\n{data[f'{name}, {rule}, repaired']:.0%} repaired"
        for rule, label in {"hebb": "Hebb", "storkey": "Storkey", "projection": "projection"}.items()
    }
    images = np.concatenate([data[f"{name}, {row}"] for row in rows])
    axes.imshow(style.mosaic(images, len(text), pad=5, fill=-1.3), cmap="gray_r", vmin=-1.3, vmax=1)
    style.name_rows(axes, (SHAPE[0] + 5) * np.arange(len(rows)) + SHAPE[0] / 2 - 0.5, list(rows.values()))
    alike = {"few": "not much alike", "alike": "much alike"}[name]
    axes.set_title(f"{len(text)} letters, {alike}: each with {DAMAGE:.0%} of {N} units turned", loc="left")


if __name__ == "__main__":
    make_figures.run_alone(__file__)
