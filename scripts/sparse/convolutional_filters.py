"""From one filter to sixty-four: what a convolutional sparse auto-encoder finds in photographs.

One model for each number of kernels, encoder and decoder trained together on contrast-normalised crops. A single kernel
is a spot in a surround of the other sign; two are short edges at right angles, half spots still; four are edges of four
directions; with more come more directions, then bars and a few gratings, and spots again (with a smaller lam more
gratings). Left: kernels of the decoder; middle: those of the encoder at the same places, alike but finer. Right: in
which direction the wave of each decoder kernel runs, if it has one, and how many kernels are spots, edges, and bars or
gratings. Across an edge there are two alternating lobes of at least 30 % of the greatest, across a bar three, across a
grating more.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.data import images
from ebm_np.foundations.arrays import Array
from ebm_np.sparse import convolutional_autoencoder
from scripts import make_figures, materials, style

ORDER = 221
NOTE = "08-2, figure 6; Kavukcuoglu et al. 2010"
EQUATION = "E(y, z) = ||y - K * z||^2 + alpha ||z - g . sh_theta(A star y)||^2 + lam ||z||_1, ||K_m|| = 1"
FUNCTION = "ebm_np.sparse.convolutional_autoencoder.fit"
TEST = (
    "tests/sparse/test_convolutional_autoencoder.py::"
    "test_the_trained_encoder_predicts_new_codes_better_than_the_untrained"
)
TOLERANCE = 0.02
COUNTS = (1, 2, 4, 8, 16, 32, 64)
STARTS = {1: 3, 2: 3, 4: 3}
"""Few kernels have bad local minima: the best of so many starts counts."""
SIZE, LAM, ALPHA = 9, 3.0, 1.0
COLUMNS = 16
ORIENTED, LOBE, APART = 0.3, 0.3, 11.25
"""From which anisotropy on a kernel has a direction; what share of the greatest makes a lobe; degrees."""
COLOURS = ("#555555", style.BLUE, style.RED)
WORDS = ("spots", "edges", "bars, gratings")


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the kernels of all models, their energies, and the direction and the lobes of each decoder kernel."""
    photographs, source = materials.contrast_images(gray=True)
    y = images.random_crops(photographs, rng, 24 if quick else 400, 24 if quick else 40)
    data: dict[str, Any] = {"source": source}
    for M in COUNTS:
        fits = []
        for _ in range(STARTS.get(M, 1)):
            start = convolutional_autoencoder.from_kernels(materials.smooth_kernels(rng, M, 1, SIZE), "shrink", LAM)
            fits.append(
                convolutional_autoencoder.fit(
                    start, y, rng, alpha=ALPHA, lam=LAM, n_epochs=2 if quick else 6, batch_size=8, rate=3e-3, n_steps=10
                )
            )
        best = min(fits, key=lambda fit: fit.history[-1])
        K = best.params.K[:, 0]
        theta, anisotropy = direction(K)
        order = np.argsort(theta)
        data |= {
            f"decoder {M}": K[order],
            f"encoder {M}": best.params.encoder.A[order, 0],
            f"history {M}": best.history / y[0].size,
            f"theta {M}": np.degrees(theta[order]),
            f"anisotropy {M}": anisotropy[order],
            f"lobes {M}": lobes(K, theta)[order],
        }
    return data


def direction(K: Array) -> tuple[Array, Array]:
    """Return where the waves of kernels (M, p, q) run, from right to down in [0, pi), and how clearly, from 0 to 1.

    Both are of T = sum_f |K^(f)|^2 f f^T, the second moments of the power spectrum with eigenvalues t_1 >= t_2: the
    direction of the first axis, and (t_1 - t_2) / (t_1 + t_2).
    """
    power = np.abs(np.fft.fft2(K, (32, 32))) ** 2
    f = np.fft.fftfreq(32)
    uu, vv, uv = (power * f**2).sum((1, 2)), (power * f[:, None] ** 2).sum((1, 2)), (power * np.outer(f, f)).sum((1, 2))
    difference = np.hypot(uu - vv, 2 * uv)
    return np.mod(np.arctan2(2 * uv, uu - vv) / 2, np.pi), difference / (uu + vv)


def lobes(K: Array, theta: Array) -> Array:
    """Return how many alternating lobes kernels have across their waves: (M,)."""
    v, u = (np.indices(K.shape[1:]).T - (np.array(K.shape[1:]) - 1) / 2).T
    found = []
    for kernel, angle in zip(K, theta, strict=True):
        across = np.rint(u * np.cos(angle) + v * np.sin(angle)).astype(int)
        profile = np.bincount((across - across.min()).ravel(), kernel.ravel())
        signs = np.sign(profile[np.abs(profile) > LOBE * np.abs(profile).max()])
        found.append(1 + np.count_nonzero(np.diff(signs)))
    return np.array(found)


def kinds(data: dict[str, Any], M: int) -> Array:
    """Return the kind of each decoder kernel: 0, 1 or 2, as in WORDS."""
    return np.where(data[f"anisotropy {M}"] < ORIENTED, 0, np.where(data[f"lobes {M}"] > 2, 2, 1))


def directions(theta: Array) -> int:
    """Return how many directions (degrees) can be chosen that are at least APART from each other, round the circle."""
    most = 0
    for first in range(len(theta)):
        turned = np.sort(np.mod(theta - theta[first], 180))
        chosen = [0.0]
        for angle in turned:
            if angle - chosen[-1] >= APART and 180 - angle >= APART:
                chosen.append(float(angle))
        most = max(most, len(chosen))
    return most


def draw(data: dict[str, Any]) -> Figure:
    """Show decoders, encoders, and the directions of the decoders' waves."""
    figure, axes = style.new(15.0, 5.4, data["source"], ncols=3, width_ratios=[1.5, 1.5, 1.05])
    rows = np.cumsum([0, *(-(-M // COLUMNS) for M in COUNTS)])
    for plot, part, title in zip(
        axes, ("decoder", "encoder"), ("decoder kernels $K_m$", "encoder kernels $A_m$"), strict=False
    ):
        blank = np.full((rows[-1] * COLUMNS, SIZE, SIZE), np.nan, np.float32)
        for M, row in zip(COUNTS, rows, strict=False):
            kernels = data[f"{part} {M}"]
            blank[row * COLUMNS : row * COLUMNS + M] = kernels / np.abs(kernels).max(axis=(1, 2), keepdims=True)
        plot.imshow(style.mosaic(blank, COLUMNS, pad=2, fill=np.nan), cmap="gray", vmin=-1, vmax=1)
        plot.set_title(title)
        style.name_rows(plot, (rows[:-1] + 0.5) * (SIZE + 2) - 1, [str(M) for M in COUNTS])
    axes[0].set_ylabel("number of kernels")
    _directions(axes[2], data)
    return figure


def _directions(axes: Any, data: dict[str, Any]) -> None:
    """Plot a mark for each kernel that has a direction; say how many there are of each kind."""
    for row, M in enumerate(COUNTS):
        kind, theta = kinds(data, M), data[f"theta {M}"]
        for k, colour in enumerate(COLOURS):
            if k:
                axes.plot(theta[kind == k], np.full((kind == k).sum(), row), "|", color=colour, ms=15, mew=1.6)
            axes.text(204 + 24 * k, row, f"{(kind == k).sum()}", color=colour, va="center", ha="center")
        axes.text(282, row, f"{directions(theta[kind > 0])}", va="center", ha="center")
    for k, (word, colour) in enumerate(zip(WORDS, COLOURS, strict=True)):
        axes.text(204 + 24 * k, -0.55, word, color=colour, rotation=60, ha="left", va="bottom", fontsize=8)
    axes.text(282, -0.55, f"directions\n{APART:g}° apart", rotation=60, ha="left", va="bottom", fontsize=8)
    axes.set(xlim=(-4, 290), ylim=(len(COUNTS) - 0.5, -0.5), xlabel="direction of the wave (degrees)")
    axes.xaxis.set_label_coords(0.31, -0.07)
    axes.set_xticks([0, 45, 90, 135, 180])
    axes.spines["bottom"].set_bounds(0, 180)
    axes.set_yticks(range(len(COUNTS)), [str(M) for M in COUNTS])
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


if __name__ == "__main__":
    make_figures.run_alone(__file__)
