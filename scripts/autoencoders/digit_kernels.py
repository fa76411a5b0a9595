"""Kernels of an auto-encoder and of denoising ones: look at the border.

67 pixels at the border are paper in every training digit. A plain auto-encoder has the same gradient at each of them:
their weights move together, and the differences between neighbours, the noise of the start, stay for ever. Roughness
(root mean squared difference of neighbours there): 0.0496 before and after 20 epochs. With dropout on the input such a
pixel carries noise of its own and says nothing about the digit, so its weight wears off: 0.0163, what is left is due to
a few units that saturate and do nothing. In the lecture's 500 units the same begins (0.0505 to 0.0374 in 10 epochs,
half as many as there), but many of them have not found anything to do yet.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.foundations.arrays import Array
from scripts import digit_networks, make_figures, style

ORDER = 307
NOTE = "08-3, figures 2 and 3; the lecture's notebook"
EQUATION = "W_h of h = tanh(W_h y^ + b_h), y^ = y or y^ = y * {0, 2}"
FUNCTION = "ebm_np.autoencoders.denoising.fit"
TEST = "tests/autoencoders/test_still_pixels.py::test_noise_on_the_input_wears_off_what_the_start_left_on_still_pixels"
TOLERANCE = 0.02
SHARES = "digit_networks.denoiser"
N_SHOWN = 20
TRAININGS = {"AE, 30 units": None, "DAE, 30 units": digit_networks.DROPOUT}


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return kernels of three encoders and of a start, and how rough all were and are at the border."""
    y, _, source = digit_networks.digits("train", 2_000 if quick else None)
    still = (y == digit_networks.PAPER).all(axis=0).reshape(28, 28)
    small, (large, denoiser) = digit_networks.untrained(rng, 30), digit_networks.denoiser(quick)
    nets = {"untrained, 30 units": small}
    for name, corruption in TRAININGS.items():
        nets[name] = digit_networks.train(small, y, rng, corruption, 2 if quick else 20).params
    nets["DAE, 500 units"] = denoiser
    kernels = {name: net.encoder[0].W for name, net in nets.items()}
    return {
        **{f"kernels of {name}": W[:N_SHOWN].reshape(-1, 28, 28) for name, W in kernels.items()},
        **{f"roughness of {name}": _roughness(W.reshape(-1, 28, 28), still) for name, W in kernels.items()},
        "roughness of untrained, 500 units": _roughness(large.encoder[0].W.reshape(-1, 28, 28), still),
        "still": still,
        "source": source,
    }


def _roughness(kernels: Array, still: Array) -> float:
    """Return the root mean squared difference between neighbours, both of them pixels that are paper in every digit."""
    right, down = kernels[:, :, 1:] - kernels[:, :, :-1], kernels[:, 1:] - kernels[:, :-1]
    found = right[:, still[:, 1:] & still[:, :-1]], down[:, still[1:] & still[:-1]]
    return float(np.sqrt(np.mean(np.square(np.hstack(found)))))


def draw(data: dict[str, Any]) -> Figure:
    """Lay 20 kernels of each out, all in one scale of gray."""
    names = [key.removeprefix("kernels of ") for key in data if key.startswith("kernels of ")]
    figure, panels = style.new(11, 4.4, data["source"], ncols=len(names))
    for axes, name in zip(panels, names, strict=True):
        kernels = data[f"kernels of {name}"]
        largest = 4 * kernels.std()
        sheet = style.mosaic(kernels, 4, pad=2, fill=largest)
        shown = axes.imshow(sheet, cmap="gray", vmin=-largest, vmax=largest)
        axes.axis("off")
        axes.set_title(f"{name}\nroughness at the border {data[f'roughness of {name}']:.4f}", loc="left", fontsize=9)
        figure.colorbar(shown, ax=axes, orientation="horizontal", shrink=0.7, aspect=30, pad=0.02)
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
