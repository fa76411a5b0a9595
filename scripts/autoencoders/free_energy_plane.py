"""What keeps the energy from collapsing.

Data on a curve of the plane; a layer of 64 units and a code of 64, ReLU: enough to copy every point, on the curve or
not. Plain, the network does: F < 0.01 on 99.8 % of the box. If its weights are tied, copying is harder, and F < 0.01 on
20 %. With denoising and contraction it is on 5 and 6 %, about as much as lies within 0.1 of the curve (5.9 %), and F
rises with the distance. Between branches each has a weakness: a denoiser, the ideal one too, leaves a point where it is
if the smoothed density is flat there (the islands); and nothing tells the contractive one that the curve has a gap.
It took two layers, of ReLU or tanh, to contract: with lam from 0.003 to 0.3, one tied layer of sigmoid or tanh let
through what moves across the curve as well as what moves along it, and so did two of sigmoid or softplus.
"""

from typing import Any

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from ebm_np.autoencoders import autoencoder, denoising, network
from ebm_np.autoencoders.autoencoder import Model
from ebm_np.autoencoders.network import Network
from ebm_np.foundations.arrays import Array
from scripts import make_figures, style

ORDER = 303
NOTE = "08-3, under-/over-complete hidden layer; figures 3 and 4"
EQUATION = "F(y) = ||y - Dec(Enc(y))||^2 + lam R"
FUNCTION = "ebm_np.autoencoders.autoencoder.free_energy"
TEST = (
    "tests/autoencoders/test_autoencoder.py::"
    "test_the_energy_of_an_overcomplete_network_collapses_unless_it_is_regularised"
)
TOLERANCE = 1e-2
WIDTHS, RELU = (2, 64, 64), "relu"
SIGMA, LAM = 0.2, 0.005
CASES = (("plain", False), ("denoising", False), ("plain", True), ("contractive", True))
"""How each is kept from collapsing, and whether its weights are tied."""
REACH, NEAR = 2.0, 0.1
"""Half of the box that is shown; F is low where it is below NEAR^2, a point is off the curve beyond 3 NEAR."""


def curve(t: Array) -> Array:
    """Return points of a spiral, once around, t from 0 to 1: (N,) -> (N, 2)."""
    angle, radius = np.pi * (0.25 + 2 * t), 0.35 + 0.75 * t
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def train(y: Array, rng: np.random.Generator, remedy: str, tied: bool, n_epochs: int) -> tuple[Network, Model]:
    """Return a trained network and its model; Adam in three stages."""
    model = Model(RELU, regularizer="contractive", lam=LAM) if remedy == "contractive" else Model(RELU)
    params = network.init(rng, WIDTHS, RELU, tied=tied)
    for share, rate in ((0.6, 3e-3), (0.25, 1e-3), (0.15, 2e-4)):
        options: dict[str, Any] = {"n_epochs": int(share * n_epochs) or 1, "batch_size": 100, "rate": rate}
        if remedy == "denoising":
            corruption = denoising.Corruption("gaussian", SIGMA)
            params = denoising.fit(params, y, rng, model, corruption, **options).params
        else:
            params = autoencoder.fit(params, y, rng, model, **options).params
    return params, model


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return F over the plane for each case; its median on the data and off the curve; how much of the box is low."""
    n, n_epochs, side = (500, 100, 41) if quick else (1000, 500, 161)
    y = curve(rng.random(n)) + rng.normal(0, 0.01, (n, 2))
    axis = np.linspace(-REACH, REACH, side)
    plane = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    distance = np.linalg.norm(plane[:, None] - curve(np.linspace(0, 1, 300)), axis=-1).min(axis=1)
    energies, numbers = [], []
    for remedy, tied in CASES:
        params, model = train(y, rng, remedy, tied, n_epochs)
        f = autoencoder.free_energy(params, plane, model)
        on = np.median(autoencoder.free_energy(params, y, model))
        energies.append(f.reshape(side, side))
        numbers.append((on, np.median(f[distance > 3 * NEAR]), np.mean(f < NEAR**2)))
    return {
        "free_energy": np.array(energies),
        "on, off, share low": np.array(numbers),
        "share near": np.mean(distance < NEAR),
        "y": y[:100],
        "source": f"{n:,} points of a spiral, noise 0.01",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw F over the plane, a panel a case: the same network in a row, with a remedy on the right."""
    figure, panels = style.new(8.6, 7.9, data["source"], nrows=2, ncols=2, sharex=True, sharey=True)
    names = {"denoising": rf"denoising, $\sigma = {SIGMA}$", "contractive": rf"contractive, $\lambda = {LAM}$"}
    look: dict[str, Any] = {"extent": (-REACH, REACH, -REACH, REACH), "origin": "lower"}
    for axes, (remedy, tied), f, (on, off, low) in zip(
        panels.flat, CASES, data["free_energy"], data["on, off, share low"], strict=True
    ):
        image = axes.imshow(f, norm=PowerNorm(0.5, 0, 4), interpolation="bilinear", **look)
        axes.contour(f, [NEAR**2], colors="white", linewidths=1, **look)
        axes.scatter(*data["y"].T, s=5, color=style.RED, label="data")
        style.plane(axes, REACH, REACH)
        axes.set_title(f"{names.get(remedy, remedy)}; {'tied' if tied else 'free'} weights", loc="left", pad=17)
        text = f"median $F$: {_plain(on)} on the data, {_plain(off)} off; $F < 0.01$ on {low:.0%}"
        axes.text(0, 1.02, text, transform=axes.transAxes, fontsize=8).set_in_layout(False)
        axes.label_outer()
    panels[0, 0].plot([], [], color="white", linewidth=1, label="$F = 0.01$")
    panels[0, 0].legend(loc="lower left", labelcolor="white")

    bar = figure.colorbar(image, ax=panels, label="$F(y)$", extend="max", pad=0.01, aspect=40)
    bar.set_ticks([0, 0.01, 0.25, 1, 2.25, 4], labels=["0", "0.01", "0.25", "1", "2.25", "4"])
    return figure


def _plain(number: float) -> str:
    """Return a number to one digit, without an exponent."""
    return np.format_float_positional(number, precision=1, fractional=False, trim="-")


if __name__ == "__main__":
    make_figures.run_alone(__file__)
