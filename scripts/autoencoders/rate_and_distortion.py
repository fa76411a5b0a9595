"""What a nat of code buys.

A VAE for each beta, 784 - 200 - 20 - 200 - 784. KL is what the code tells, in nats (the rate), C what is still unknown
of the digit (the distortion): beta is the price of a nat of code, and the slope of the curve. At 30 nothing is worth
its price, all balls are the prior, and every digit decodes to the mean one; at 0.1 the code tells 55 nats, C is no
better than 92, and random codes decode to no digit. C + KL is least at beta = 1, where it bounds -log p(y): there the
dotted line, on which it is the same, touches the curve.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.autoencoders import generation, variational
from scripts import digit_networks, make_figures, materials, style

ORDER = 317
NOTE = "08-3, VAE: beta weighs the two terms"
EQUATION = "F~ = C + beta KL: distortion C, rate KL; -dC/dKL = beta on the best curve"
FUNCTION = "ebm_np.autoencoders.variational.parts"
TEST = (
    "tests/autoencoders/test_variational.py::test_the_stronger_the_springs_the_nearer_the_codes_to_the_standard_normal"
)
TOLERANCE = 0.05
BETAS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
WIDTHS = (784, 200, 20)


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return rate and distortion of test digits for each beta, the axes in use, and one digit as each decodes it."""
    y, _, source = digit_networks.gray("train", 1_000 if quick else 15_000)
    test, labels, _ = digit_networks.gray("test", 500 if quick else 2_000)
    chosen = test[materials.one_of_each(labels)]
    eps = rng.standard_normal((len(test), WIDTHS[-1]), np.float32)
    start = variational.init(rng, WIDTHS, power=1 / 3, last=0, dtype=np.float32)
    points, used, pictures, samples = [], [], [], []
    noise = rng.integers(2**32)
    for beta in BETAS:
        model = variational.Model(beta=beta)
        params = variational.fit(start, y, rng, model, n_epochs=1 if quick else 10).params
        points.append([float(part.mean(dtype=np.float64)) for part in variational.parts(params, test, eps, model)])
        _, v = variational.encode(params, test, model)
        used.append(int(np.sum(v.mean(axis=0) < 0.5)))
        pictures.append(generation.reconstruct(params, chosen, model))
        samples.append(generation.generate(params, np.random.default_rng(noise), 10, model))
    return {
        "distortion and rate": np.array(points),
        "used": np.array(used),
        "pictures": np.array(pictures).reshape(-1, 10, 28, 28),
        "samples": np.array(samples).reshape(-1, 10, 28, 28),
        "source": source,
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw the curve at the left, digits and samples at the right."""
    figure, (left, middle, right) = style.new(12, 3.7, data["source"], ncols=3, width_ratios=(1, 1.15, 1.15))
    distortion, rate = data["distortion and rate"].T
    left.plot(rate, distortion, "o-", color=style.BLUE)
    for beta, n, x, z in zip(BETAS, data["used"], rate, distortion, strict=True):
        place = {0.1: (-14, 8), 0.3: (-42, -14)}.get(beta, (5, 4))
        left.annotate(rf"$\beta = {beta:g}$, {n} axes", (x, z), place, textcoords="offset points", fontsize=8)
    best = int(np.argmin(distortion + rate))
    total = distortion[best] + rate[best]
    left.plot([0, total], [total, 0], color=style.GREY, linestyle=":", label=f"$C$ + KL = {total:.0f} nats")
    left.set(xlabel="rate KL (nats)", ylabel="distortion $C$ (nats)", ylim=(50, 215), xlim=(-3, 90))
    left.legend(loc="upper right")
    for axes, name, title in (
        (middle, "pictures", "new digits decoded from their centres"),
        (right, "samples", "decoded from $z \\sim N(0, I)$"),
    ):
        axes.imshow(style.mosaic(np.concatenate(data[name]), 10, pad=2), cmap="gray_r", vmin=0, vmax=1)
        style.name_rows(axes, 14 + 30 * np.arange(len(BETAS)), [rf"$\beta = {beta:g}$" for beta in BETAS])
        axes.set_title(title, loc="left")
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
