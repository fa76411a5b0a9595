"""What contraction contracts, and why its weights are tied.

Above, three networks of two tied layers of tanh, on an arc: how far code and reconstruction move when y moves along the
curve, and across. Along it the reconstruction of all three follows y. Across, denoising nearly stops it (0.03; plain
0.74), while its code goes on moving, as in the plain network: it is the decoder that forgets. Contraction acts on the
code, which moves 2.6 times as far along as across, and the reconstruction 7.8 times. All of the code has shrunk too, to
a sixth: tied weights of two layers do not hold its scale.
Below, one linear layer each way, data of variance 1 along and 0.05 across. Tied, training ends where theory says: 0.9
and 0. Free, from the same start, it contracts at first, to 0.31 across, then finds the way out: the encoder shrinks,
the decoder grows, R = ||W_h||^2 falls to 0.11 (tied: 0.90), and 0.72 passes after 10,000 steps, more with each. (Deeper
networks are slower at this: free ones of two layers still contracted after 680 epochs.)
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.autoencoders import autoencoder, contractive, denoising, network
from ebm_np.autoencoders.autoencoder import Model
from ebm_np.autoencoders.network import Network
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.parameters import tree_map
from scripts import make_figures, style

ORDER = 304
NOTE = "08-3, figure 4"
EQUATION = "R(y) = ||dh/dy||_F^2 = ||dh/dy t||^2 + ||dh/dy n||^2,  t along the curve, n across"
FUNCTION = "ebm_np.autoencoders.contractive.jacobian"
TEST = "tests/autoencoders/test_contractive.py::test_the_jacobian_is_the_complex_step_of_the_code_column_by_column"
TOLERANCE = 1e-2
WIDTHS, SIGMA, LAM = (2, 64, 64), 0.2, 0.05
CASES = ("plain", "denoising", "contractive")
VARIANCES, LAM_LINEAR, RATE_LINEAR = np.array([1.0, 0.05]), 0.2, 0.02


def curve(t: Array) -> Array:
    """Return points of three quarters of the unit circle, t from 0 to 1: (N,) -> (N, 2)."""
    angle = np.pi * (0.25 + 1.5 * t)
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def train(y: Array, rng: np.random.Generator, case: str, n_epochs: int) -> Network:
    """Return a trained network, tied; Adam in three stages."""
    model = Model(regularizer="contractive", lam=LAM) if case == "contractive" else Model()
    params = contractive.init(rng, WIDTHS, model.f)
    for share, rate in ((0.6, 3e-3), (0.25, 1e-3), (0.15, 2e-4)):
        options: dict[str, Any] = {"n_epochs": int(share * n_epochs), "batch_size": 100, "rate": rate}
        if case == "denoising":
            params = denoising.fit(params, y, rng, model, denoising.Corruption("gaussian", SIGMA), **options).params
        else:
            params = autoencoder.fit(params, y, rng, model, **options).params
    return params


def sensitivities(params: Network, t: Array) -> Array:
    """Return how far h, then r, moves when y moves by one along the curve, then across: (2, 2, N)."""
    y, f = curve(t), Model().f
    along = np.gradient(y, t, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.stack([-along[:, 1], along[:, 0]], axis=-1)
    encoder, decoder = network.untied(params)
    of_h = contractive.jacobian(encoder, y, f)
    of_r = decoder[-1].W @ contractive.jacobian(encoder + decoder[:-1], y, f)
    return np.array([[np.linalg.norm(J @ v[:, :, None], axis=(1, 2)) for v in (along, across)] for J in (of_h, of_r)])


def linear(params: Network, y: Array, n_steps: int) -> Array:
    """Return P_11, P_22 (r(y) = P y), ||W_h|| and ||W_y|| of one linear layer each way, as it descends F."""
    model, found = Model("identity", regularizer="contractive", lam=LAM_LINEAR), []
    for _ in range(n_steps):
        (encoder,), (decoder,) = network.untied(params)
        found.append([*np.diag(decoder.W @ encoder.W), np.linalg.norm(encoder.W), np.linalg.norm(decoder.W)])
        grad = autoencoder.free_energy_grad_params(params, y, model)
        params = tree_map(lambda p, g: p - RATE_LINEAR * g, params, grad)
    return np.array(found)


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the sensitivities of three networks over the curve; and two linear ones while they are trained."""
    n, n_epochs = (500, 80) if quick else (1000, 400)
    y = curve(rng.random(n)) + rng.normal(0, 0.01, (n, 2))
    t = np.linspace(0.02, 0.98, 97)
    cross = np.concatenate([np.diag(np.sqrt(2 * VARIANCES)), -np.diag(np.sqrt(2 * VARIANCES))])
    start = tree_map(lambda a: a / 2, network.init(rng, (2, 8), "identity", tied=True))
    starts = {"tied": start, "free": network.untied(start)}
    return {
        "t": t,
        "sensitivities": np.array([sensitivities(train(y, rng, case, n_epochs), t) for case in CASES]),
        **{name: linear(at, cross, 1000 if quick else 10_000) for name, at in starts.items()},
        "source": f"above {n:,} points of an arc, noise 0.01; below four of variance 1 along, 0.05 across",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw sensitivities over the curve, above; tied and free training of the linear model, below."""
    figure, panels = style.new(9.6, 7, data["source"], nrows=2, ncols=2)
    of_h, of_r = np.moveaxis(data["sensitivities"], 1, 0)
    _draw_sensitivities(panels[0, 0], data["t"], of_h, "h", "How far the code $h$ moves", lowest=0.045)
    _draw_sensitivities(panels[0, 1], data["t"], of_r, "r", "How far the reconstruction $r$ moves", lowest=8e-4)

    _draw_training(panels[1, 0], data, (0, 1), ("along", "across"))
    for p in np.maximum(0, 1 - LAM_LINEAR / (2 * VARIANCES)):
        panels[1, 0].axhline(p, color=style.BLACK, linestyle=":", linewidth=1)
    panels[1, 0].set(ylabel="share of $y$ in $r(y)$", ylim=(-0.1, 1.6))
    panels[1, 0].set_title("One linear layer: what passes (dotted: theory, tied)", loc="left")
    _draw_training(panels[1, 1], data, (2, 3), (r"$\Vert W_h \Vert$", r"$\Vert W_y \Vert$"))
    panels[1, 1].set(ylabel="norm", ylim=(0, 6.5))
    panels[1, 1].set_title("and how long its weights are", loc="left")
    return figure


def _draw_sensitivities(axes: Any, t: Array, cases: Array, what: str, title: str, lowest: float) -> None:
    for color, case, (along, across) in zip((style.BLACK, style.BLUE, style.RED), CASES, cases, strict=True):
        axes.semilogy(t, along, color=color, label=f"{case}: {np.median(along / across):.1f}")
        axes.semilogy(t, across, "--", color=color)
    axes.set(xlabel="place on the curve, from end to end", ylabel=f"length of change in ${what}$ per change in $y$")
    axes.set_ylim(lowest, 3)
    axes.set_title(f"{title}\nalong the curve (solid), across (dashed)", loc="left")
    axes.legend(title="median of along / across", ncols=3, alignment="left", loc="lower left", columnspacing=1)


def _draw_training(axes: Any, data: dict[str, Any], columns: tuple[int, int], labels: tuple[str, str]) -> None:
    for i, label, color in zip(columns, labels, (style.GREEN, style.PURPLE), strict=True):
        axes.semilogx(data["free"][:, i], "--", color=color, label=f"{label}, free")
        axes.semilogx(data["tied"][:, i], color=color, label=f"{label}, tied")
    axes.set(xlabel="steps of gradient descent", xlim=(10, len(data["tied"])))
    axes.legend(ncols=2)


if __name__ == "__main__":
    make_figures.run_alone(__file__)
