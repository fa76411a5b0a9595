"""Three losses, warm and cold.

The energy loss only pulls the data down; where the temperature is high it collapses. The contrastive losses also push
y-hat up, here the sample plus noise of deviation 1: they do not collapse, but warm they push the ellipse outward, to
more than twice its size, and cold a smaller inward bias remains (dotted: the radii of the data).
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.foundations.arrays import Array
from ebm_np.foundations.optimizers import gradient_descent
from ebm_np.latent import ellipse
from ebm_np.latent.losses import energy_loss, hinge_loss, log_loss
from scripts import make_figures, style

ORDER = 117
NOTE = "15-2; 08-3, loss functional"
EQUATION = "F(y);  [m - (F(y^) - F(y))]+;  log(1 + exp(F(y) - F(y^)))"
FUNCTION = "ebm_np.latent.losses.functional_and_grad"
TEST = "tests/latent/test_losses.py::test_slopes_are_the_derivatives_of_the_loss"
TOLERANCE = 1e-3


def contrast(rng: np.random.Generator, y: Array) -> Array:
    """Return y-hat: the sample, displaced by unit noise."""
    return y + rng.normal(size=y.shape)


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return |w| after training with each loss at each temperature."""
    betas = np.logspace(-1.3, 1, 4 if quick else 10)
    radii = [
        [
            np.abs(
                ellipse.fit(
                    ellipse.UNTRAINED,
                    ellipse.LECTURE_SAMPLE,
                    np.random.default_rng(1),
                    beta=float(beta),
                    loss=loss,
                    contrast=contrast,
                    optimizer=gradient_descent(0.1),
                    n_epochs=100 if quick else 2000,
                    batch_size=None,
                ).params.w
            )
            for beta in betas
        ]
        for loss in (energy_loss(), hinge_loss(1.0), log_loss())
    ]
    return {"beta": betas, "radii": np.array(radii), "source": "the 24 samples of lecture 15-1"}


def draw(data: dict[str, Any]) -> Figure:
    """Draw both radii, a panel a loss."""
    figure, panels = style.new(9, 3.2, data["source"], ncols=3, sharey=True)
    for axes, radii, name in zip(panels, data["radii"], ("energy", "hinge, $m = 1$", "log"), strict=True):
        for i, (color, truth) in enumerate(((style.BLUE, 2.0), (style.ORANGE, 1.5))):
            axes.semilogx(data["beta"], radii[:, i], "o-", color=color, markersize=3, label=f"$|w_{i + 1}|$")
            axes.axhline(truth, color=color, linestyle=":", linewidth=1)
        axes.set(xlabel=r"$\beta$  (cold $\rightarrow$)", ylim=(-0.1, 5))
        axes.set_title(name, loc="left")
    panels[0].set_ylabel("radius learned")
    panels[0].legend(loc="upper left")
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
