"""Kinetic, potential and total energy on the way.

On the true path of the apple T + V stays what it was when it left the hand, to the last digit and at any step: it is
conserved, not least. On the path with the least integral of it, the mirror image, T + V sinks by two fifths and comes
back. Where the force is not constant, as for the pendulum, the discrete path conserves T + V only up to the square of
the step: half the step, a quarter of the variation.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.physics import mechanics
from scripts import make_figures, style

ORDER = 401
NOTE = "004, the energy of the apple"
EQUATION = "T + V = (m/2) |(q_{i+1} - q_{i-1}) / 2h|^2 + V(q_i)"
FUNCTION = "ebm_np.physics.mechanics.energies"
TEST = "tests/physics/test_mechanics.py::test_halving_the_step_quarters_by_how_much_the_energy_varies_along_the_path"
TOLERANCE = 1e-4
START, END, DURATION, N = np.array([[0.0, 1.5]]), np.array([[7.0, 1.0]]), 0.9, 60
SWING = np.array([[-1.0]]), np.array([[1.2]]), 0.8
"""Angles (rad) at both ends, and the time between them (s), for a pendulum of 1 m and 1 kg."""


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return T and V along the parabola and its mirror image, and the variation of T + V for each step."""
    system = mechanics.apple()
    line, true = mechanics.straight(START, END, N), mechanics.parabola(START, END, DURATION, N)
    paths = np.concatenate([true, 2 * line - true])
    T, V = mechanics.energies(system, paths, DURATION)
    start, end, duration = SWING
    steps, spread = [2**k for k in range(4, 9 if quick else 11)], []
    for n in steps:
        path = mechanics.relax(mechanics.pendulum(), mechanics.straight(start, end, n), duration, "newton").z
        spread.append(np.ptp(sum(mechanics.energies(mechanics.pendulum(), path, duration))))
    return {
        "t": np.linspace(0, DURATION, N + 1)[1:-1],
        "T": T,
        "V": V,
        "height": paths[:, 1:-1, 1],
        "h": duration / np.array(steps),
        "spread": np.array(spread),
        "source": "an apple of 0.1 kg, thrown over 7 m in 0.9 s; a pendulum of 1 kg and 1 m",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw the energies along both paths, and how far the pendulum's is from constant."""
    figure, (left, middle, right) = style.new(12.0, 3.7, data["source"], ncols=3)
    titles = ("The true path: $T + V$ is conserved", "The mirror image: less $T + V$, not conserved")
    for i, axes in enumerate((left, middle)):
        T, V = data["T"][i], data["V"][i]
        axes.plot(data["t"], T, color=style.BLUE, label="$T$, kinetic")
        axes.plot(data["t"], V, color=style.ORANGE, label="$V$, potential")
        axes.plot(data["t"], T + V, color=style.BLACK, linewidth=2.2, label="$T + V$")
        axes.set(xlabel="time (s)", ylabel="energy (J)", xlim=(0, DURATION), ylim=(0, None))
        axes.set_title(titles[i], loc="left")
    top = 1.3 * (data["T"] + data["V"]).max()
    for axes in (left, middle):
        axes.set_ylim(0, top)
    left.legend(loc="upper center", ncols=3)
    h, spread = data["h"], data["spread"]
    right.loglog(h, spread[-1] * (h / h[-1]) ** 2, "--", color=style.GREY, label="$\\propto h^2$")
    right.loglog(h, spread, "o", color=style.RED, label="$T + V$ along the path of a pendulum")
    right.set(xlabel="step $h$ (s)", ylabel="largest $-$ smallest $T + V$ (J)")
    right.set_title("Half the step, a quarter of the variation", loc="left")
    right.legend(loc="upper left")
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
