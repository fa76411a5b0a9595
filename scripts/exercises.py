"""Three gradients are left for you to derive: `python scripts/exercises.py` compares them with the complex step.

Each exercise has a function that is given and a gradient that is not. Derive it on paper, put it in place of the
`raise`, and run this file: a forgotten factor 2, a sign or a transpose has nowhere to hide.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ebm_np.foundations.arrays import Array
from ebm_np.foundations.gradient_check import gradient_check
from ebm_np.latent import ellipse

BETA, ENERGIES = 2.0, np.array([0.3, 1.2, 0.1, 2.5])
Y = ellipse.LECTURE_SAMPLE[22]
X = np.array([0.5, -1.0, 2.0])


def free_energy(w: Array) -> Array:
    """Return F_beta(y) of the ellipse for one sample y: `ellipse.free_energy`, with K = 96 latents z_k."""
    return ellipse.free_energy(ellipse.Params(w), Y[None], BETA)[0]


def free_energy_grad(w: Array) -> Array:
    """Exercise 1: dF_beta/dw, (2,).

    F is a softmin of E(y, z_k) = [y1 - w1 cos z_k]^2 + [y2 - w2 sin z_k]^2. What is dF/dE_k, and what dE_k/dw? The
    chain rule is a sum over k. Import `gibbs` from `ebm_np.latent.free_energy` and the latents, `grid(96)`, from
    `ebm_np.latent.inference`.
    """
    raise NotImplementedError


def softmin(beta: Array) -> Array:
    """Return F_beta = -(1/beta) log (1/K) sum_k exp(-beta E_k)."""
    return -np.log(np.exp(-beta * ENERGIES).mean()) / beta


def softmin_grad(beta: Array) -> Array:
    """Exercise 2: dF_beta/dbeta, a number.

    beta stands in two places. What is left holds the mean of the energies under the Gibbs weights, and F itself; it is
    never positive: the colder, the lower.
    """
    raise NotImplementedError


def tied(W: Array) -> Array:
    """Return ||x - W^T W x||^2: a linear auto-encoder whose decoder is its encoder, transposed."""
    return ((X - W.T @ (W @ X)) ** 2).sum()


def tied_grad(W: Array) -> Array:
    """Exercise 3: its gradient in W, (2, 3).

    W stands in two places. With h = W x and r = x - W^T h, write dr for a change dW, then move everything but dW to the
    other side of the inner product (`layers`, derivation 2).
    """
    raise NotImplementedError


class Exercise(NamedTuple):
    """What is given, the gradient to be derived, and where they are compared."""

    f: Callable[[Any], Any]
    gradient: Callable[[Any], Any]
    x: Array


EXERCISES = {  # lambdas look a gradient up when it is called: the tests put answers in its place
    "free_energy_grad": Exercise(free_energy, lambda w: free_energy_grad(w), np.array([1.5, 0.7])),
    "softmin_grad": Exercise(softmin, lambda beta: softmin_grad(beta), np.array(1.5)),
    "tied_grad": Exercise(tied, lambda W: tied_grad(W), np.array([[0.6, -0.2, 0.1], [0.3, 0.8, -0.5]])),
}


def verdict(exercise: Exercise) -> str:
    """Say what the complex step thinks of a gradient, or that there is none yet."""
    try:
        claimed = np.asarray(exercise.gradient(exercise.x), float)
    except NotImplementedError:
        return "to be derived"
    if claimed.shape != exercise.x.shape:
        return f"expected the shape of x, {exercise.x.shape}, got {claimed.shape}"
    return str(gradient_check(exercise.f, claimed, exercise.x))


if __name__ == "__main__":
    for name, exercise in EXERCISES.items():
        print(f"{name:<18}{verdict(exercise)}")
