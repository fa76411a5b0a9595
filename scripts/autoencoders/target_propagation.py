"""Targets instead of gradients.

Above, alpha = 1: inference finds codes that decode better than the guess; the encoder learns to guess them, and D falls
to 1e-5: in the end the guess alone will do. It keeps up with backpropagation through both networks, though no gradient
of C enters the encoder. A linear decoder ends at what the two leading principal components leave (0.2491), one of two
layers bends to the curve: C is 0.00012 after 160 epochs, backpropagation's the same. Below, left: alpha hardly matters;
in five runs from other starts 0.1 ended at 0.0003 on average, the others at 0.0002. Right, before training: the
encoder's update tends to backpropagation's gradient as 1/alpha; at alpha = 1 it still differs from that by 0.7 (two
layers) and 0.9 (linear) of its length.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.autoencoders import network, target_propagation
from ebm_np.autoencoders.network import Params
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.costs import squared_error
from ebm_np.foundations.optimizers import adam
from ebm_np.foundations.parameters import leaves
from ebm_np.foundations.training import minimize
from scripts import make_figures, style

ORDER = 306
NOTE = "08-3, target propagation"
EQUATION = "alpha dD(z-check, Enc(y))/dtheta -> dC(y, Dec(Enc(y)))/dtheta,  alpha -> infinity"
FUNCTION = "ebm_np.autoencoders.target_propagation.energy_grad_params"
TEST = (
    "tests/autoencoders/test_target_propagation.py::"
    "test_on_a_tight_leash_the_encoder_learns_as_backpropagation_would_have_it"
)
TOLERANCE = 1e-2
F, RATE, BATCH, EVERY = "tanh", 2e-3, 100, 4
"""Activation; of Adam; samples of a batch; epochs between two looks."""
DECODERS = {"linear": (2, 10), "two layers": (2, 32, 10)}
ALPHAS = (0.1, 1.0, 10.0)
WEIGHTS = np.logspace(-1, 4, 11)


def samples(rng: np.random.Generator, n: int) -> Array:
    """Return n points of a closed curve in ten dimensions, which winds once in a plane and twice in another."""
    t = 2 * np.pi * rng.random((n, 1))
    basis = np.linalg.qr(rng.normal(size=(10, 4)))[0]
    return np.hstack([np.cos(t), np.sin(t), np.cos(2 * t) / 2, np.sin(2 * t) / 2]) @ basis.T


def backpropagation(params: Params, y: Array) -> Params:
    """Return the gradient of the mean of C(y, Dec(Enc(y))): that of D if each target is z~ - (1/2) dC/dz~."""
    z_tilde, mean = target_propagation.encode(params, y, F), np.full(len(y), 1 / len(y))
    target = z_tilde - target_propagation.energy_grad_z(params, y, z_tilde, F) / 2
    encoder = target_propagation.energy_grad_params(params, y, target, F, 1.0, mean).encoder
    return Params(encoder, target_propagation.energy_grad_params(params, y, z_tilde, F, 1.0, mean).decoder)


def train(params: Params, y: Array, rng: np.random.Generator, alpha: float, n_epochs: int) -> Params:
    """Return the network after some epochs of target propagation, or of backpropagation where alpha is infinite."""
    if np.isfinite(alpha):
        options: dict[str, Any] = {"n_epochs": n_epochs, "batch_size": BATCH, "rate": RATE}
        return target_propagation.fit(params, y, rng, f=F, alpha=alpha, **options).params

    def loss_and_grad(params: Params, batch: Array) -> tuple[float, Params]:
        return 0.0, backpropagation(params, y[batch])

    return minimize(
        loss_and_grad, params, len(y), optimizer=adam(RATE), n_epochs=n_epochs, batch_size=BATCH, rng=rng
    ).params


def look(params: Params, y: Array, alpha: float) -> tuple[float, float, float]:
    """Return the means of C at z~, C at z-check, and D."""
    z_tilde = z = target_propagation.encode(params, y, F)
    if np.isfinite(alpha):
        z = target_propagation.infer(params, y, F, alpha, tol=1e-4).z
    at_guess, at_code = (squared_error(y, target_propagation.decode(params, code, F)).mean() for code in (z_tilde, z))
    return at_guess, at_code, squared_error(z, z_tilde).mean()


def error(params: Params, y: Array, alpha: float) -> float:
    """Return how far the encoder's update is from backpropagation's gradient, relative to that."""
    z = target_propagation.infer(params, y, F, alpha, tol=1e-9).z
    update = target_propagation.energy_grad_params(params, y, z, F, alpha, np.full(len(y), 1 / len(y))).encoder
    a, b = (np.concatenate([leaf.ravel() for leaf in leaves(g)]) for g in (update, backpropagation(params, y).encoder))
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return C at z~, C at z-check and D while networks are trained; and how near the update is to the gradient."""
    n, n_looks = (300, 3) if quick else (1000, 40)
    y, found = samples(rng, n), {}
    encoder = network.init(rng, (10, 32, 2)).encoder
    for name, widths in DECODERS.items():
        start = Params(encoder, network.untied(network.init(rng, widths[::-1])).decoder)
        paths = []
        for alpha in (*ALPHAS, np.inf):
            shuffled, params = np.random.default_rng(1), start
            paths.append([look(params, y, alpha)])
            for _ in range(n_looks):
                params = train(params, y, shuffled, alpha, EVERY)
                paths[-1].append(look(params, y, alpha))
        found[name] = np.array(paths)
        found[f"{name}, error"] = np.array([error(start, y, float(alpha)) for alpha in WEIGHTS])
    return {
        **found,
        "floor": np.linalg.eigvalsh(np.cov(y.T, bias=True))[:-2].sum(),
        "source": f"{n:,} points of a closed curve in ten dimensions",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw training at alpha = 1, a panel a decoder; training at other alphas; and the encoder's update."""
    figure, panels = style.new(9.6, 7, data["source"], nrows=2, ncols=2)
    for axes, name in zip(panels[0], DECODERS, strict=True):
        path, plain = data[name][ALPHAS.index(1.0)], data[name][-1]
        epochs = EVERY * np.arange(len(path))
        axes.semilogy(epochs, path[:, 0], color=style.RED, label=r"$C$ at the guess $\tilde z$")
        axes.semilogy(epochs, path[:, 1], color=style.BLUE, label="$C$ at the target $ž$")
        axes.semilogy(epochs, path[:, 2], color=style.GREEN, label=r"$D$ between them")
        axes.semilogy(epochs, plain[:, 0], "--", color=style.BLACK, label=r"$C$, backpropagation")
        axes.set(xlabel="epochs", ylabel="mean over the samples")
        axes.set_title(rf"decoder: {name}, $\alpha = 1$", loc="left")
    panels[0, 0].axhline(data["floor"], color=style.GREY, linestyle=":", label="least, with a linear decoder")
    panels[0, 0].legend(loc="center right", bbox_to_anchor=(1, 0.6))
    panels[0, 1].legend()
    axes = panels[1, 0]
    colors = (style.PURPLE, style.RED, style.ORANGE, style.BLACK)
    for alpha, path, color in zip((*ALPHAS, np.inf), data["two layers"], colors, strict=True):
        line, label = ("-", rf"$\alpha = {alpha:g}$") if np.isfinite(alpha) else ("--", "backpropagation")
        axes.semilogy(epochs, path[:, 0], line, color=color, label=label)
    axes.set(xlabel="epochs", ylabel=r"mean $C$ at $\tilde z$")
    axes.set_title("decoder: two layers, the encoder alone", loc="left")
    axes.legend()
    axes = panels[1, 1]
    for name, color, marker in zip(DECODERS, (style.SKY, style.BLUE), "os", strict=True):
        axes.loglog(WEIGHTS, data[f"{name}, error"], marker, color=color, label=f"decoder: {name}")
    last = data["two layers, error"][-1]
    axes.loglog(WEIGHTS, last * WEIGHTS[-1] / WEIGHTS, ":", color=style.GREY, label=r"$\propto 1/\alpha$")
    axes.set(xlabel=r"$\alpha$", ylabel="relative distance to backpropagation", ylim=(None, 2))
    axes.set_title("the encoder's update becomes the gradient", loc="left")
    axes.legend(loc="lower left")
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
