r"""What training minimises: losses of free energies, and the loss functional that is their mean.

    energy     l = F(y)                                pull the data down
    hinge      l = [m - (F(y^) - F(y))]+               ... until the contrastive y^ lies a margin m above y
    log        l = log(1 + exp(F(y) - F(y^)))          the same with a soft, infinite margin
    functional L = (1/N) sum_n l(F, y_n)

y is an observation (cold: of low energy), y^ ("y-hat") a contrastive point that should be hot. The energy loss needs no
y^: it does not collapse as long as the latent has not the capacity to make F low everywhere. The slopes of the two
contrastive losses in F(y) and F(y^) are equal and opposite: they push y^ up as hard as they pull y down.

By the chain rule dL/dtheta = (1/N) sum_n [ dl/dF dF(y_n)/dtheta + dl/dF^ dF(y^_n)/dtheta ]; so a loss is its value and
its two slopes, and a model only has to say what sum_n c_n dF(y_n)/dtheta is for given weights c.

Source: note 08-3 ("loss functional"), lecture 15-2 (energy, hinge, log); LeCun et al. 2006, table 1.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np

from ebm_np.foundations.arrays import Array
from ebm_np.foundations.numerics import sigmoid, softplus
from ebm_np.foundations.parameters import tree_map
from ebm_np.foundations.validation import function, generator, instance, positive

P = TypeVar("P")


class Loss(NamedTuple):
    """A per-sample loss l(F(y), F(y^)) with its slopes (dl/dF, dl/dF^), all (N,)."""

    value: Callable[[Array, Array], Array]
    slopes: Callable[[Array, Array], tuple[Array, Array]]
    contrastive: bool


def energy_loss() -> Loss:
    """Return l = F(y).

    >>> energy_loss().value(np.array([3.0]), np.array([5.0])).tolist()
    [3.0]
    """
    return Loss(lambda f, f_hat: f, lambda f, f_hat: (np.ones_like(f), np.zeros_like(f)), contrastive=False)


def hinge_loss(margin: float = 1.0) -> Loss:
    """Return l = [margin - (F(y^) - F(y))]+; the margin is an energy, > 0.

    >>> hinge_loss(margin=1.0).value(np.array([3.0, 3.0]), np.array([3.5, 5.0])).tolist()
    [0.5, 0.0]
    """
    margin = positive("margin", margin)

    def slopes(f: Array, f_hat: Array) -> tuple[Array, Array]:
        active = (margin - (f_hat - f) > 0).astype(f.dtype)
        return active, -active

    return Loss(lambda f, f_hat: np.maximum(margin - (f_hat - f), 0), slopes, contrastive=True)


def log_loss() -> Loss:
    """Return l = log(1 + exp(F(y) - F(y^))).

    >>> log_loss().value(np.array([3.0]), np.array([3.0])).round(6).tolist()  # log 2
    [0.693147]
    """

    def slopes(f: Array, f_hat: Array) -> tuple[Array, Array]:
        s = sigmoid(f - f_hat)
        return s, -s

    return Loss(lambda f, f_hat: softplus(f - f_hat), slopes, contrastive=True)


def functional(loss: Loss, free_energy: Callable[[Array], Array], y: Array, y_hat: Array | None = None) -> float:
    """Return L = (1/N) sum_n l(F(y_n), F(y^_n)).

    Raises
    ------
    ValueError
        if the loss is contrastive and y_hat is missing.

    Examples
    --------
    >>> functional(energy_loss(), lambda y: y[:, 0] ** 2, np.array([[1.0], [3.0]]))
    5.0
    """
    energies = _free_energies(loss, free_energy, y, y_hat)
    return float(loss.value(*energies).mean())


def functional_and_grad(
    loss: Loss,
    free_energy: Callable[[Array], Array],
    free_energy_grad_params: Callable[[Array, Array], P],
    y: Array,
    y_hat: Array | None = None,
) -> tuple[float, P]:
    """Return L and dL/dparams by the chain rule above.

    Parameters
    ----------
    free_energy : y (N, d) -> F (N,)
    free_energy_grad_params : y, weights c (N,) -> sum_n c_n dF(y_n)/dparams
    """
    f, f_hat = _free_energies(loss, free_energy, y, y_hat)
    slope, slope_hat = loss.slopes(f, f_hat)
    grads = function("free_energy_grad_params", free_energy_grad_params)(y, slope / len(y))
    if loss.contrastive:
        grads = tree_map(np.add, grads, free_energy_grad_params(y_hat, slope_hat / len(y)))  # type: ignore[arg-type]
    return float(loss.value(f, f_hat).mean()), grads


def _free_energies(
    loss: Loss, free_energy: Callable[[Array], Array], y: Array, y_hat: Array | None
) -> tuple[Array, Array]:
    instance("loss", loss, Loss, ("value", "slopes"))
    f = function("free_energy", free_energy)(y)
    if not loss.contrastive:
        return f, f
    if y_hat is None:
        raise ValueError("y_hat: expected contrastive points for this loss, got None")
    f_hat = free_energy(y_hat)
    if f_hat.shape != f.shape:
        raise ValueError(f"y_hat: expected as many points as y has, {len(f)}, got {len(f_hat)}")
    return f, f_hat


Contrast = Callable[[np.random.Generator, Array], Array]
"""(rng, y) -> y-hat: draws the contrastive points of a loss that needs them."""


def objective(
    loss: Loss | None,
    contrast: Contrast | None,
    rng: np.random.Generator | None,
    y: Array,
    free_energy: Callable[[P, Array, Array], Array],
    free_energy_grad_params: Callable[[P, Array, Array, Array], P],
) -> Callable[[P, Array], tuple[float, P]]:
    """Return (params, rows) -> L and dL/dparams over the samples y[rows], as `training.minimize` wants it.

    Parameters
    ----------
    loss : the energy loss if None
    contrast, rng : draw y-hat for a contrastive loss
    free_energy : params, rows, y (n, d) -> F (n,); the rows are those of the inputs that belong to y
    free_energy_grad_params : params, rows, y, weights c (n,) -> sum_n c_n dF(y_n)/dparams

    Raises
    ------
    ValueError, TypeError
        if the loss is contrastive and `contrast` or `rng` is missing.
    """
    chosen = energy_loss() if loss is None else loss
    draw = contrast_drawer(chosen, contrast, rng)
    function("free_energy", free_energy)
    function("free_energy_grad_params", free_energy_grad_params)

    def loss_and_grad(params: P, rows: Array) -> tuple[float, P]:
        return functional_and_grad(
            chosen,
            lambda y: free_energy(params, rows, y),
            lambda y, c: free_energy_grad_params(params, rows, y, c),
            y[rows],
            draw(y[rows]),
        )

    return loss_and_grad


def contrast_drawer(
    loss: Loss, contrast: Contrast | None, rng: np.random.Generator | None
) -> Callable[[Array], Array | None]:
    """Return y -> y-hat for a training loop: draws from `contrast` for a contrastive loss, None for any other.

    Raises
    ------
    ValueError, TypeError
        if the loss is contrastive and `contrast` or `rng` is missing.
    """
    if not instance("loss", loss, Loss, ("value", "slopes")).contrastive:
        return lambda y: None
    if contrast is None:
        raise ValueError("contrast: expected a function (rng, y) -> y_hat for a contrastive loss, got None")
    function("contrast", contrast)
    drawn_by = generator("rng", rng)
    return lambda y: contrast(drawn_by, y)
