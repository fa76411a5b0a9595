"""The thrown apple: a random path relaxes to the parabola.

Held at both ends, it goes down the action S, the integral of T - V. Kinks go first, the longest wave last: each
iteration leaves cos^2(pi / 2n) of it, down to rounding. No law of motion was used. The blog lets nature minimise total
mechanical energy instead. But of all paths between these ends it is the mirror image of the parabola, an apple that
falls up, that has the least integral of T + V; the true one has more of it than even the straight line.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.physics import mechanics
from scripts import make_figures, style

ORDER = 400
NOTE = "004, the thrown apple"
EQUATION = "S(q) = sum_i h [(m/2) |(q_{i+1} - q_i) / h|^2 - (V(q_i) + V(q_{i+1})) / 2]"
FUNCTION = "ebm_np.physics.mechanics.relax"
TEST = "tests/physics/test_mechanics.py::test_the_apple_relaxes_to_the_parabola_with_steps_of_any_length"
TOLERANCE = 1e-4
START, END, DURATION = np.array([[0.0, 1.5]]), np.array([[7.0, 1.0]]), 0.9
"""Metres, height last; seconds."""
SHOWN = (0, 10, 40, 120, 300)
"""Iterates."""


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return iterates of the relaxation, how far their action is above the least, and the other two paths."""
    n, system = 16 if quick else 30, mechanics.apple()
    line = mechanics.straight(START, END, n)
    q = line.copy()
    q[:, 1:-1] += rng.normal(size=q[:, 1:-1].shape) * [0.25, 0.6]
    path = mechanics.relax(system, q, DURATION, n_trace=20_000).trace[:, 0]
    true = mechanics.parabola(START, END, DURATION, n)
    turned = mechanics.upside_down(system)
    paths = np.stack([mechanics.relax(turned, q, DURATION).z[0], line[0], true[0]])
    kept = np.unique(np.geomspace(1, len(path), 300).astype(int)) - 1
    # S - S* is the action of the difference of the paths without gravity; so said, it keeps its digits down to 0
    free = mechanics.apple(g=0.0)
    return {
        "shown": path[list(SHOWN)],
        "found": path[-1],
        "iteration": kept,
        "excess": mechanics.action(free, path[kept] - true, DURATION),
        "moved": np.abs(path[-1] - true).max(),
        "paths": paths,
        "T + V": mechanics.action(turned, paths, DURATION),
        "source": f"an apple of 0.1 kg, thrown over 7 m in 0.9 s; {n} steps",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw the relaxation, how it converges, and what T + V would have."""
    figure, (left, middle, right) = style.new(13.0, 4.2, data["source"], ncols=3, width_ratios=(1.2, 0.8, 1.2))
    line, true = data["paths"][1], data["paths"][2]
    left.plot(*true.T, color=style.SKY, linewidth=7, alpha=0.55, label="exact parabola")
    for path, grey, t in zip(data["shown"], np.linspace(0.8, 0.15, len(SHOWN)), SHOWN, strict=True):
        left.plot(*path.T, "o-", color=str(grey), markersize=2, linewidth=0.9, label=f"iteration {t}")
    left.plot(*data["found"].T, "--", color=style.INFERRED, label="where it ends")
    left.set_title("Down the action, from a random path", loc="left")
    left.legend(loc="upper center", ncols=3)
    t, excess = data["iteration"], data["excess"]
    middle.semilogy(t, excess, color=style.INFERRED, linewidth=3, alpha=0.7, label="gradient descent")
    digits = 4 * np.log10(np.cos(np.pi / (2 * (len(line) - 1))))  # of S, which is quadratic, in each iteration
    middle.semilogy(
        t, excess[-1] * 10 ** (digits * (t - t[-1])), ":", color=style.BLACK, label="the longest wave alone"
    )
    middle.set(xlabel="iteration", ylabel="action above the parabola's, $S - S^*$ (J s)", xlim=(0, None))
    middle.legend(loc="upper right")
    middle.set_title("The longest wave is the last to go", loc="left")
    looks: tuple[Any, ...] = (
        ("mirror image: an apple\nthat falls up", style.ORANGE, "-", (3.8, 0.5)),
        ("straight line", style.GREY, "--", (3.5, 1.35)),
        ("true path", style.SKY, "-", (3.1, 2.33)),
    )
    for path, whole, (name, color, dashes, place) in zip(data["paths"], data["T + V"], looks, strict=True):
        right.plot(*path.T, dashes, color=color, linewidth=2.5)
        right.text(*place, f"{name}, {whole:.2f} J s", ha="center", va="bottom")
    for axes in (left, right):
        axes.plot(*true[[0, -1]].T, "o", color=style.BLACK, markersize=6, zorder=4)
        axes.set(xlabel="distance (m)", ylabel="height (m)", ylim=(0, 3))
    right.set_title("The blog's claim: the least integral of $T + V$", loc="left")
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
