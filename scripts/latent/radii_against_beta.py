"""What training at a temperature learns.

Cold training finds the radii of the data (dotted lines). The warmer, the more every latent must explain every sample,
and the ellipse shrinks: first the short radius is gone, then, at beta = 1 / (2 mean y_1^2) (triangle), the long one.
As beta goes to 0 what is left is the mean squared error, whose best decoder is the mean of the data: collapse.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.foundations.optimizers import gradient_descent
from ebm_np.latent import ellipse
from scripts import make_figures, style

ORDER = 116
NOTE = "15-2 (beyond 15-1)"
EQUATION = "L(w) = (1/N) sum_n F_beta(y_n)"
FUNCTION = "ebm_np.latent.ellipse.fit"
TEST = "tests/latent/test_ellipse.py::test_optima_against_beta"


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return |w| and the mean F at the optimum for a range of beta, each started where the colder one ended."""
    betas = np.logspace(2, -1.3, 12 if quick else 60)
    params, radii, losses = ellipse.UNTRAINED, [], []
    for beta in betas:
        params = ellipse.fit(
            params,
            ellipse.LECTURE_SAMPLE,
            beta=float(beta),
            n_epochs=100 if quick else 700,
            batch_size=None,
            optimizer=gradient_descent(1.2),
        ).params
        radii.append(np.abs(params.w))
        losses.append(ellipse.free_energy(params, ellipse.LECTURE_SAMPLE, float(beta)).mean())
    return {
        "beta": betas,
        "radii": np.array(radii),
        "loss": np.array(losses),
        "collapse": 1 / (2 * (ellipse.LECTURE_SAMPLE**2).mean(axis=0).max()),
        "source": "the 24 samples of lecture 15-1",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw both radii, and the loss reached."""
    figure, (left, right) = style.new(8.4, 3.4, data["source"], ncols=2)
    for i, (color, truth) in enumerate(((style.BLUE, 2.0), (style.ORANGE, 1.5))):
        left.semilogx(data["beta"], data["radii"][:, i], color=color, label=f"$|w_{i + 1}|$")
        left.axhline(truth, color=color, linestyle=":", linewidth=1)
    left.plot(data["collapse"], 0, "^", color=style.BLUE, markersize=8, clip_on=False)
    left.set(xlabel=r"$\beta$  (cold $\rightarrow$)", ylabel="radius learned", ylim=(-0.05, 2.3))
    left.text(0.055, 0.12, "collapse", color=style.BLACK)
    left.legend(loc="lower right")
    right.semilogx(data["beta"], data["loss"], color=style.BLACK)
    right.set(xlabel=r"$\beta$  (cold $\rightarrow$)", ylabel=r"mean $F_\beta$ at the optimum", ylim=(0, None))
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
