"""Past the conjugate point: why "minimises" is only half of the story.

A pendulum that hangs at rest, and again a time tau later, may have rested all the while: S is stationary there, and
Newton's law kept. While tau is below half a period of small swings, rest is also the minimum of S. Past it, rest is a
saddle: along the first sine the action falls, on both sides, into two wells. These are the swings, out and back, to one
side or the other: true paths as well, and those that gradient descent finds from anywhere near rest. With each further
half period one more sine leads down. Nature makes S stationary; it makes it least on short ways only.
"""

import itertools
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.foundations.arrays import Array
from ebm_np.physics import mechanics
from scripts import make_figures, style

ORDER = 402
NOTE = "004 (beyond it)"
EQUATION = "dS/dq_i = 0;  S rises along the k-th sine while tau < k pi sqrt(m / c), c = V''"
FUNCTION = "ebm_np.physics.mechanics.morse_index"
TEST = (
    "tests/physics/test_mechanics.py::"
    "test_past_half_a_period_the_pendulum_leaves_rest_for_a_swing_of_less_action_or_its_mirror_image"
)
TOLERANCE = 1e-4
HALF_PERIOD = np.pi / np.sqrt(9.81)
"""Of small swings, in s, for a pendulum of 1 m."""
DURATIONS = (0.7, 1.0, 1.2)
"""Half periods."""
SHOWN = (0, 2, 3, 4, 5)
"""Iterates, in units of n^2: the slowest wave needs as many."""


def sine(n: int) -> Array:
    """Return the first sine between two ends at 0."""
    wave = np.sin(np.pi * np.arange(n + 1) / n)
    wave[-1] = 0
    return wave[None, :, None]


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return S along the first sine, the lowest eigenvalues and the index at rest, and where rest relaxes to."""
    system, n = mechanics.pendulum(), 20 if quick else 40
    amplitude = np.linspace(-2.4, 2.4, 97)
    paths = amplitude[:, None, None] * sine(n)
    actions = [mechanics.action(system, paths, part * HALF_PERIOD) for part in DURATIONS]
    rest = 0 * sine(n)
    taus = np.linspace(0.3, 3.6, 34 if quick else 166)
    values = [
        np.linalg.eigvalsh(mechanics.hessian(system, rest, part * HALF_PERIOD)[0])[:4] * n / (part * HALF_PERIOD)
        for part in taus
    ]
    index = [mechanics.morse_index(system, rest, part * HALF_PERIOD).item() for part in taus]
    long = DURATIONS[-1] * HALF_PERIOD
    start = 0.02 * sine(n)
    swings = mechanics.relax(system, np.concatenate([start, -start]), long, n_trace=SHOWN[-1] * n**2 + 1)
    return {
        "amplitude": amplitude,
        "action": np.array(actions),
        "tau": taus,
        "eigenvalues": np.array(values),
        "index": np.array(index),
        "t": np.linspace(0, long, n + 1),
        "shown": swings.trace[[k * n**2 for k in SHOWN], :, :, 0],
        "swings": swings.z[..., 0],
        "swing action": swings.energy,
        "source": "a pendulum of 1 kg and 1 m; half a period of small swings is 1.003 s",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw bowl and double well, the eigenvalues through 0, and the paths."""
    figure, (left, middle, right) = style.new(13.0, 4.2, data["source"], ncols=3)
    for action, part, color in zip(data["action"], DURATIONS, (style.BLUE, style.GREY, style.RED), strict=True):
        left.plot(data["amplitude"], action, color=color, label=rf"$\tau = {part}$")
    left.plot(0, 0, "o", color=style.BLACK, zorder=4)
    left.text(0, -0.3, "rest", ha="center", va="top")
    for swing, action in zip(data["swings"], data["swing action"], strict=True):
        amplitude = swing[np.abs(swing).argmax()]
        left.plot(amplitude, action, "o", color=style.GREEN, markersize=7, zorder=4)
        left.text(amplitude, action - 0.15, "swing", ha="center", va="top", color=style.GREEN)
    left.set(
        xlabel=r"amplitude $A$ of $q(t) = A\ \sin\,(\pi t / \tau)$ (rad)", ylabel="action $S$ (J s)", ylim=(-1.7, 4)
    )
    left.legend(loc="upper center", title="half periods")
    left.set_title("Along the first sine: a bowl, then two wells", loc="left")
    tau = data["tau"]
    edges = np.append(np.flatnonzero(np.diff(data["index"], prepend=-1)), len(tau) - 1)
    for index, (a, b) in enumerate(itertools.pairwise(edges)):
        middle.axvspan(tau[a], tau[b], color=style.RED, alpha=0.09 * index, linewidth=0)
        middle.text((tau[a] + tau[b]) / 2, -13.2, f"index {index}", ha="center")
    for k, color in enumerate((style.BLUE, style.ORANGE, style.GREEN)):
        middle.plot(tau, data["eigenvalues"][:, k], color=color, label=f"along sine {k + 1}")
    middle.axhline(0, color=style.BLACK, linewidth=0.8)
    middle.set(xlabel=r"duration $\tau$ (half periods)", ylabel="curvature of $S$ at rest, eigenvalue / $h$ (J)")
    middle.set(xlim=(tau[0], tau[-1]), ylim=(-14, 30))
    middle.legend(loc="upper right")
    middle.set_title("Each half period one more way down", loc="left")
    for path, grey in zip(data["shown"], np.linspace(0.8, 0.4, len(SHOWN)), strict=True):
        right.plot(data["t"], path.T, color=str(grey), linewidth=0.9)
    right.plot(data["t"], data["swings"].T, color=style.GREEN, linewidth=2.2)
    right.plot(data["t"], 0 * data["t"], color=style.BLACK, linewidth=2.2)
    middle_of, S = data["t"][-1] / 2, data["swing action"].max()
    for q, words in ((1.75, f"swing: index 0, $S = {S:.2f}$ J s"), (-1.95, "its mirror image: the same $S$")):
        right.text(middle_of, q, words, ha="center", color=style.GREEN)
    right.text(middle_of, 0.22, "rest: index 1, $S = 0$", ha="center")
    right.text(middle_of, -0.76, "gradient descent\nfrom near rest", ha="center", va="center", color="#555555")
    right.set_ylim(-2.1, 2.1)
    right.set(xlabel="time (s)", ylabel="angle $q$ (rad)")
    right.set_title(f"{DURATIONS[-1]} half periods: three true paths", loc="left")
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
