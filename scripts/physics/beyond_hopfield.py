"""Where Hopfield's idea went: steeper energies that hold far more, and a memory of real pictures.

Left: which part of random patterns is still there (overlap above 0.95) after four sweeps. E = -(N/n) sum_mu m_mu^n
counts agreement all the more the better it is. n = 2 is Hopfield's; of 48 units it keeps half of about 12 patterns,
n = 3 of about 200, n = 4 of nearly 2,000. Middle: each step of n gives another factor N (lines of slope 1, 2 and 3
through the last points; small networks are more forgiving). With a softmax, none of 50 among 100,000 patterns is lost.
Right: the softmax memory holds 1,000 digits of 784 pixels; the lower halves of ten are unknown (gray). One step s <-
sum_mu p_mu xi^mu goes to the mean of all digits where beta is small, to a mean of those like it, and to the very digit
where beta is large. Below: the part of 200 half digits (100 of 100) whose step ends nearest to the digit they are from;
the more are stored, the larger beta has to be. It is the attention of transformers: queries s, keys and values xi.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.foundations.arrays import Array
from ebm_np.physics import dense_memory, hopfield, modern_hopfield
from scripts import digit_networks, make_figures, materials, style

ORDER = 415
NOTE = "004, Hopfield networks: where the idea went"
EQUATION = "s <- sum_mu p_mu xi^mu,  p_mu = exp(beta <xi^mu, s>) / Z"
FUNCTION = "ebm_np.physics.modern_hopfield.step"
TEST = "tests/physics/test_modern_hopfield.py::test_a_step_is_the_softmax_of_attention"
TOLERANCE = 0.01
POWERS = {2: style.BLUE, 3: style.ORANGE, 4: style.GREEN}
UNITS = {2: (12, 24, 48, 96, 192), 3: (12, 24, 48, 72), 4: (12, 24, 48)}
LOADS = {2: (0.08, 0.6), 3: (0.05, 0.17), 4: (0.008, 0.026)}
"""P / N^(n-1), from and to."""
BETAS = np.geomspace(0.003, 3, 13)
SHOWN = (0.003, 0.1, 1.0)
SAME = 48
"""Units of the networks at the left; a quick run has fewer."""
MANY = (10, 100, 1_000, 10_000, 100_000)


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the part kept for each n, N and P; and digits completed from their upper halves at several beta."""
    found: dict[str, Any] = {}
    for n, sizes in UNITS.items():
        units = np.array(sizes[:2] if quick else sizes)
        loads = np.geomspace(*LOADS[n], 4 if quick else 7)
        P = np.round(loads * units[:, None] ** (n - 1)).astype(int) + 1
        kept = [[_kept(rng, N, p, n, quick) for p in row] for N, row in zip(units, P, strict=True)]
        found |= {f"{n}, units": units, f"{n}, P": P, f"{n}, kept": np.array(kept)}
    many = np.array(MANY[: 3 if quick else None])
    return found | {"many": many, "softmax": [_softmax_kept(rng, SAME, p) for p in many]} | _completed(quick)


def _kept(rng: np.random.Generator, n_units: int, n_patterns: int, n: int, quick: bool) -> float:
    """Return the part of ten patterns that are still there after four sweeps, over several networks."""
    kept = []
    for _ in range(2 if quick else min(max(8, 8_000 // n_patterns), 100)):
        patterns = (2 * rng.integers(0, 2, (n_patterns, n_units)) - 1).astype(np.float32)
        start = patterns[:10]
        state = dense_memory.settle(patterns, start, n, rng, max_iter=4).state
        kept.append((np.diag(hopfield.overlaps(start, state)) > 0.95).mean())
    return float(np.mean(kept))


def _softmax_kept(rng: np.random.Generator, n_units: int, n_patterns: int) -> float:
    """Return the part of 50 patterns that a step of the softmax memory with beta = 1 leaves where they are."""
    patterns = 2.0 * rng.integers(0, 2, (n_patterns, n_units)) - 1
    start = patterns[:50]
    return float(((modern_hopfield.step(patterns, start, 1.0) * start).mean(axis=1) > 0.95).mean())


def _completed(quick: bool) -> dict[str, Any]:
    """Return ten half digits and what one step makes of them; and the part of half digits that are completed."""
    y, labels, source = digit_networks.digits("train", 1_000 if quick else 10_000)
    half = np.where(np.arange(784) < 392, y, 0)
    chosen = materials.one_of_each(labels)
    rows = [half[chosen], *(modern_hopfield.step(y[:1_000], half[chosen], beta) for beta in SHOWN), y[chosen]]
    sizes = np.array([100, 1_000] if quick else [100, 1_000, 10_000])
    completed = [[_nearest_is_right(y[:size], half[:size][:200], beta) for beta in BETAS] for size in sizes]
    return {"digits": np.stack(rows), "sizes": sizes, "completed": completed, "source": f"random patterns; {source}"}


def _nearest_is_right(stored: Array, half: Array, beta: float) -> float:
    """Return the part of half digits whose step ends nearer to their own digit than to any other."""
    state = modern_hopfield.step(stored, half, beta)
    distance = np.square(stored).sum(axis=1) - 2 * state @ stored.T
    return float((distance.argmin(axis=1) == np.arange(len(half))).mean())


def draw(data: dict[str, Any]) -> Figure:
    """Draw what is kept, how it grows with N, and the digits."""
    figure, panels = style.new(12.5, 4.8, data["source"], ncols=3, nrows=2, width_ratios=(1, 0.9, 1.6))
    grid = panels[0, 0].get_gridspec()
    for axes in panels.ravel():
        axes.remove()
    _part_kept(figure.add_subplot(grid[:, 0]), data)
    _growth(figure.add_subplot(grid[:, 1]), data)
    right = grid[:, 2].subgridspec(2, 1, height_ratios=(1.9, 1))
    _digits(figure.add_subplot(right[0]), data["digits"])
    _completion(figure.add_subplot(right[1]), data)
    return figure


def _part_kept(axes: Any, data: dict[str, Any]) -> None:
    for n, colour in POWERS.items():
        at = min(2, len(data[f"{n}, units"]) - 1)
        P, kept = data[f"{n}, P"][at], data[f"{n}, kept"][at]
        axes.plot(P, kept, "o-", color=colour, markersize=4)
        axes.text(1.25 * _half(P, kept), 0.55, f"$n = {n}$", color=colour)
    axes.plot(data["many"], data["softmax"], "s-", color=style.PURPLE, markersize=4)
    axes.text(data["many"][-1], 0.97, "softmax,\n$\\beta = 1$", color=style.PURPLE, ha="right", va="top")
    axes.set(xscale="log", xlabel="stored patterns $P$", ylabel="part of the patterns kept", ylim=(-0.03, 1.05))
    axes.set_title(f"{data['3, units'][:3][-1]} units", loc="left")


def _growth(axes: Any, data: dict[str, Any]) -> None:
    for n, colour in POWERS.items():
        units = data[f"{n}, units"]
        half = [_half(P, kept) for P, kept in zip(data[f"{n}, P"], data[f"{n}, kept"], strict=True)]
        scale = half[-1] / units[-1] ** (n - 1.0)
        axes.plot(units, half, "o", color=colour, markersize=5)
        axes.plot(units, scale * units ** (n - 1.0), color=colour, linewidth=1)
        power = "N" if n == 2 else f"N^{n - 1}"
        axes.text(units[-1] * 1.1, half[-1], f"$n = {n}$:\n${scale:.2g}\\,{power}$", color=colour, va="center")
    units = data["2, units"]
    axes.set(xscale="log", yscale="log", xlabel="units $N$", xlim=(units[0] * 0.85, units[-1] * 2.6))
    axes.set_xticks(units, [str(N) for N in units])
    axes.set_xticks([], minor=True)
    axes.set_title("$P$ of which half are kept", loc="left")


def _half(P: Array, kept: Array) -> float:
    """Return where the part kept falls through 1/2, on a line between the two P around it (in log P)."""
    k = max(1, int(np.argmax(kept < 0.5)))
    return float(np.exp(np.interp(0.5, kept[[k, k - 1]], np.log(P[[k, k - 1]]))))


def _digits(axes: Any, rows: Array) -> None:
    images = rows.reshape(-1, 28, 28)
    axes.imshow(style.mosaic(images, 10, pad=3, fill=-1.0), cmap="gray_r", vmin=-1, vmax=1)
    names = ["query", *(rf"$\beta = {beta:g}$" for beta in SHOWN), "stored"]
    style.name_rows(axes, 14 + 31 * np.arange(len(names)), names)
    axes.set_title("1,000 digits stored in 784 units, one step of the softmax memory", loc="left")


def _completion(axes: Any, data: dict[str, Any]) -> None:
    colours = (style.SKY, style.PURPLE, style.BLACK)
    for size, part, colour in zip(data["sizes"], data["completed"], colours, strict=False):
        axes.plot(BETAS, part, "o-", color=colour, markersize=3, label=f"{int(size):,} stored")
    axes.set(xscale="log", xlabel=r"inverse temperature $\beta$", ylabel="part completed", ylim=(-0.03, 1.05))
    axes.legend(loc="upper left")


if __name__ == "__main__":
    make_figures.run_alone(__file__)
