"""Digits from a variational auto-encoder.

784 - 400 - 20 - 400 - 784, gray levels as probabilities of ink, ten epochs. New digits come back a little smoother than
they went in; on the way from one digit to another most pictures are digits, too; and what is decoded from N(0, I) is
often one: springs and balls have left few gaps between the codes. The right panel shows two of 20 axes, those along
which the centres of 1,000 test digits vary most. Of the 20 numbers 19 are in use (mean v below 1/2); in the other the
ball is the prior, and says nothing.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.autoencoders import generation, variational
from ebm_np.foundations.arrays import Array
from scripts import digit_networks, make_figures, materials, style

ORDER = 315
NOTE = "08-3, VAE; the lecture's notebook"
EQUATION = "F~(y) = C(y, Dec(z)) + KL,  z = mu + eps sqrt(v)"
FUNCTION = "ebm_np.autoencoders.generation.generate"
TEST = "tests/autoencoders/test_variational.py::test_a_walk_between_two_ends_at_the_reconstructions_of_both"
TOLERANCE = 0.05
SHARES = "digit_networks.variational_by_epoch"
MODEL = digit_networks.VARIATIONAL
STEPS = 16
INKS = (
    style.BLACK,
    style.BLUE,
    style.ORANGE,
    style.GREEN,
    style.RED,
    style.PURPLE,
    style.SKY,
    "#8C6D1F",
    "#555555",
    "#882255",
)


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return reconstructions, samples, an interpolation, and the means of 1,000 test digits on their two main axes."""
    (*_, params), source = digit_networks.variational_by_epoch(quick)
    test, labels, _ = digit_networks.gray("test", 1_000)
    chosen = test[materials.one_of_each(labels)]
    mu, v = variational.encode(params, test, MODEL)
    centred = mu - mu.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    axes = axes * np.sign(axes.sum(axis=1, keepdims=True))
    eps = rng.standard_normal(mu.shape, np.float32)
    return {
        "digits": _images(chosen),
        "reconstructions": _images(generation.reconstruct(params, chosen, MODEL)),
        "samples": _images(generation.generate(params, rng, 40, MODEL)),
        "interpolation": _images(generation.interpolate(params, chosen[3], chosen[8], STEPS, MODEL)),
        "means": centred @ axes.T,
        "labels": labels,
        "used": int(np.sum(np.mean(v, axis=0) < 0.5)),
        "negative ELBO": -float(variational.elbo(params, test, eps, MODEL).mean()),
        "source": source,
    }


def _images(y: Array) -> Array:
    return y.reshape(-1, 28, 28)


def draw(data: dict[str, Any]) -> Figure:
    """Draw the pictures at the left, the plane of the means at the right."""
    figure, panels = style.new(
        11, 5.6, data["source"], nrows=3, ncols=2, width_ratios=(1.35, 1), height_ratios=(2, 1, 4)
    )
    grid = panels[0, 0].get_gridspec()
    for axes in panels[:, 1]:
        axes.remove()
    plane = figure.add_subplot(grid[:, 1])
    rows = (
        (
            "above: new digits; below: what is decoded from their centres",
            np.concatenate([data["digits"], data["reconstructions"]]),
            10,
        ),
        (f"from a 3 to an 8 in {STEPS} steps, along the line between their centres", data["interpolation"], STEPS),
        ("decoded from $z \\sim N(0, I)$", data["samples"], 10),
    )
    for axes, (title, images, columns) in zip(panels[:, 0], rows, strict=True):
        axes.imshow(style.mosaic(images, columns, pad=2), cmap="gray_r", vmin=0, vmax=1)
        axes.axis("off")
        axes.set_title(title, loc="left", fontsize=9)
    for digit in range(10):
        chosen = data["labels"] == digit
        plane.plot(*data["means"][chosen].T, ".", alpha=0)
        for x, z in data["means"][chosen]:
            plane.text(x, z, str(digit), color=INKS[digit], fontsize=7, ha="center", va="center")
    plane.set(aspect="equal", xlabel="first main axis of the centres", ylabel="second")
    score = f"negative ELBO {data['negative ELBO']:.1f} nats, {data['used']} of 20 numbers in use"
    plane.set_title(f"centres $\\mu$ of 1,000 test digits\n{score}", loc="left")
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
