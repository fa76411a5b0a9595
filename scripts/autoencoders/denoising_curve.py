"""A denoiser points back to the data.

It was shown corrupted points and asked for the clean ones; from anywhere near, it moves a point to the curve. The move
is sigma^2 times the score, the gradient of the log of the smoothed density, which can be computed: on the right each
coordinate of the learned field against the ideal one. At corrupted points they agree (correlation 0.998, relative
error 0.06), on the grid within 3 sigma of the curve too (0.999, 0.05). Further off, where training has hardly ever
been, the network guesses (0.97, 0.25): most of all between two branches, where the ideal field turns within a short
distance.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.autoencoders import denoising, network
from ebm_np.autoencoders.autoencoder import Model
from ebm_np.foundations.arrays import Array
from scripts import make_figures, style

ORDER = 302
NOTE = "08-3, figure 3"
EQUATION = "r(y^) - y^ = sigma^2 grad log p_sigma(y^)"
FUNCTION = "ebm_np.autoencoders.denoising.vector_field"
TEST = "tests/autoencoders/test_denoising.py::test_the_vector_field_is_the_slope_of_the_smoothed_log_density"
TOLERANCE = 1e-3
SIGMA = 0.3
CORRUPTION = denoising.Corruption("gaussian", SIGMA)
WIDTHS = (2, 64, 64)


def curve(t: Array) -> Array:
    """Return points of a wave, t from 0 to 1: (N,) -> (N, 2)."""
    return np.stack([5 * t - 2.5, 1.1 * np.sin(9 * t - 4.5)], axis=-1)


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the learned and the ideal field, over a grid and at corrupted samples."""
    n, n_epochs = (1000, 100) if quick else (5000, 300)
    y = curve(rng.random(n))
    params, model = network.init(rng, WIDTHS, "tanh"), Model("tanh")
    for share, rate in ((0.6, 3e-3), (0.25, 1e-3), (0.15, 2e-4)):
        options = {"n_epochs": int(share * n_epochs), "batch_size": 100, "rate": rate}
        params = denoising.fit(params, y, rng, model, CORRUPTION, **options).params
    grid = np.stack(np.meshgrid(np.linspace(-3, 3, 22), np.linspace(-2, 2, 15)), axis=-1).reshape(-1, 2)
    y_hat = denoising.corrupt(y[:1000], rng, CORRUPTION)
    fields = {}
    for name, at in (("grid", grid), ("y_hat", y_hat)):
        fields[f"learned at {name}"] = denoising.vector_field(params, at, model)
        fields[f"ideal at {name}"] = denoising.posterior_mean(at, y, SIGMA) - at
    return {
        "y": y[:1000],
        "y_hat": y_hat,
        "grid": grid,
        **fields,
        "distance": np.linalg.norm(grid[:, None] - curve(np.linspace(0, 1, 400)), axis=-1).min(axis=1),
        "source": f"{n:,} points of a wave in the plane",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw data, noise and the field over the plane; and the field against what it should be."""
    figure, panels = style.new(10.6, 4.3, data["source"], ncols=2, width_ratios=(6, 3.6))
    axes = panels[0]
    axes.scatter(*data["y_hat"][:300].T, s=9, color=style.RED, linewidths=0, zorder=3, label=r"corrupted $\hat y$")
    axes.scatter(*data["y"][:300].T, s=5, color=style.BLUE, zorder=3, label="clean $y$")
    axes.quiver(
        *data["grid"].T,
        *data["learned at grid"].T,
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.002,
        headwidth=5,
        color="#555555",
    )
    style.plane(axes, 3.2, 2.2)
    axes.set_title(r"the arrow from $\hat y$ ends at $r(\hat y)$", loc="left")
    axes.legend(loc="lower left", ncols=2, bbox_to_anchor=(0.55, 1))

    axes = panels[1]
    near = data["distance"] < 3 * SIGMA
    for key, chosen, color, size, name in (
        ("grid", ~near, style.GREY, 6, "grid, further than $3\\sigma$ off"),
        ("grid", near, style.ORANGE, 6, "grid, nearer"),
        ("y_hat", slice(None), style.RED, 3, r"corrupted $\hat y$"),
    ):
        ideal, learned = (data[f"{kind} at {key}"][chosen].ravel() for kind in ("ideal", "learned"))
        correlation = np.corrcoef(ideal, learned)[0, 1]
        axes.scatter(ideal, learned, s=size, color=color, linewidths=0, label=f"{name}: {correlation:.3f}")
    axes.axline((0, 0), slope=1, color="black", linewidth=0.8)
    axes.set(aspect="equal", xlabel=r"$\sigma^2\,\nabla \log p_\sigma(\hat y)$", ylabel=r"$r(\hat y) - \hat y$")
    axes.legend(loc="upper left", title="both coordinates; correlation", alignment="left", markerscale=2)
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
