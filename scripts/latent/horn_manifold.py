"""The conditional model: data, untrained and trained manifold.

A small network f turns the input x into the two radii. Trained at zero temperature it opens as the data do: the curves
on the right are its radii beside the true ones.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.data.ellipse import radii, sample_horn
from ebm_np.foundations.optimizers import adam
from ebm_np.latent import horn, inference
from scripts import make_figures, style

ORDER = 119
NOTE = "15-2 (beyond 15-1)"
EQUATION = "E(x, y, z) = sum_i [y_i - f_i(x) g_i(z)]^2"
FUNCTION = "ebm_np.latent.horn.fit"
TEST = "tests/latent/test_horn.py::test_trained_radii"
TOLERANCE = 1e-3


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return samples, both manifolds on x = 0:1/50:1 times 48 latents, and the radii."""
    x, y = sample_horn(rng, 1000)
    untrained = horn.init(rng)
    params = untrained
    for rate, n_epochs in ((1e-2, 30 if quick else 150), (1e-3, 10 if quick else 50)):
        params = horn.fit(params, (x, y), rng, optimizer=adam(rate), n_epochs=n_epochs, batch_size=50).params
    line, z = np.linspace(0, 1, 51)[:, None], inference.grid(48)
    return {
        "x": x[:, 0],
        "y": y,
        "line": line[:, 0],
        "untrained": horn.decode(untrained, line, z),
        "trained": horn.decode(params, line, z),
        "radii": np.abs(horn.radii(params, line)),
        "true_radii": radii(line[:, 0]),
        "source": "1,000 samples of the horn, drawn by seed 0",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw three views in space and the radii."""
    figure, panels = style.new(11, 3.4, data["source"], ncols=4, subplot_kw={"projection": "3d"})
    line = np.repeat(data["line"][:, None], 48, axis=1)
    clouds = (
        (data["x"], data["y"], "data"),
        (line.ravel(), data["untrained"].reshape(-1, 2), "untrained manifold"),
        (line.ravel(), data["trained"].reshape(-1, 2), "trained manifold"),
    )
    for axes, (x, y, title) in zip(panels, clouds, strict=False):
        axes.scatter(x, *y.T, c=x, s=2, depthshade=False)
        axes.set(xlabel="$x$", ylabel="$y_1$", zlabel="$y_2$", xlim=(0, 1), ylim=(-15, 15), zlim=(-16, 16))
        axes.set_title(title, fontsize=9)
        axes.set_yticks([-10, 0, 10])
        axes.view_init(elev=18, azim=-62)
    panels[3].remove()
    axes = figure.add_subplot(1, 4, 4)
    for i, color in enumerate((style.BLUE, style.ORANGE)):
        axes.plot(data["line"], data["true_radii"][:, i], "--", color=color, label=rf"$\rho_{i + 1}(x)$, true")
        axes.plot(data["line"], data["radii"][:, i], color=color, label=f"$|f_{i + 1}(x)|$, trained")
    axes.set(xlabel="$x$", xlim=(0, 1), ylim=(0, None))
    axes.set_title("radius against $x$", fontsize=9)
    axes.legend(loc="upper left")
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
