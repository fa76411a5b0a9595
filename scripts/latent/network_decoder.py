"""A decoder that is a network: z is not tied to an ellipse.

The data lie on a clover. An ellipse can only cut through it; with two layers of eight units in place of (cos z, sin z)
the manifold takes the shape of the data, and F becomes low there and nowhere else.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.foundations.arrays import Array
from ebm_np.foundations.optimizers import adam
from ebm_np.latent import horn
from scripts import grids, make_figures, style

ORDER = 120
NOTE = "15-1, question 2"
EQUATION = "g(z) = MLP(cos z, sin z),  F_inf(y) = min_z ||y - f g(z)||^2"
FUNCTION = "ebm_np.latent.horn.infer"
TEST = "tests/latent/test_horn.py::test_network_decoder_fits_what_an_ellipse_cannot"
TOLERANCE = 1e-2


def clover(rng: np.random.Generator, n: int) -> Array:
    """Return n noisy samples of the curve r(theta) = 1.3 + 0.5 cos(3 theta), (n, 2)."""
    theta = rng.uniform(0, 2 * np.pi, n)
    r = 1.3 + 0.5 * np.cos(3 * theta)
    return np.stack([r * np.cos(theta), r * np.sin(theta)], axis=-1) + rng.normal(0, 0.05, (n, 2))


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the data, and F and manifold of an ellipse and of a network trained on them."""
    y = clover(rng, 100 if quick else 400)
    x, maps, curves, losses = np.zeros((len(y), 1)), [], [], []
    n1, n2 = (31, 21) if quick else (121, 81)
    plane = grids.plane(n1, n2)
    for g_hidden in (None, (8, 8)):
        params = horn.init(rng, g_hidden=g_hidden)
        for rate, n_epochs in ((1e-2, 20 if quick else 100), (1e-3, 5 if quick else 50)):
            trained = horn.fit(params, (x, y), rng, optimizer=adam(rate), n_epochs=n_epochs, batch_size=40)
            params = trained.params
        losses.append(trained.history[-1])
        maps.append(horn.free_energy(params, np.zeros((len(plane), 1)), plane).reshape(n2, n1))
        curves.append(horn.decode(params, np.zeros((1, 1)), np.linspace(0, 2 * np.pi, 300))[0])
    return {
        "y": y,
        "free_energy": np.array(maps),
        "curve": np.array(curves),
        "loss": np.array(losses),
        "source": f"{len(y)} samples of a clover, drawn by seed 0",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw data and manifold over F, a panel a decoder."""
    figure, panels = style.new(9, 3.6, data["source"], ncols=2, sharey=True)
    for axes, f, curve, loss, name in zip(
        panels, data["free_energy"], data["curve"], data["loss"], ("ellipse", "network 2-8-8-2"), strict=True
    ):
        image = axes.imshow(f, extent=(-3, 3, -2, 2), origin="lower", vmin=0, vmax=1, interpolation="bilinear")
        axes.scatter(*data["y"].T, s=5, color=style.ORANGE, label="samples")
        axes.plot(*curve.T, color="white", linewidth=2, label="manifold")
        style.plane(axes, 2.6, 2)
        axes.set_title(rf"{name}: mean $F_\infty = {loss:.4f}$", loc="left")
    panels[1].set_ylabel("")
    figure.colorbar(image, ax=panels, label=r"$F_\infty(y)$", extend="max", shrink=0.85)
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
