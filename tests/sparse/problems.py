"""Sparse coding problems of every kind, and their solutions by trying all signs: no code shared with the library."""

import itertools
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st
from strategies import generators

KINDS = ("random", "common", "duplicate", "opposite", "zero", "integer", "scaled", "orthogonal")


class Problem(NamedTuple):
    W: np.ndarray  # (d, k)
    y: np.ndarray  # (N, d)
    lam: float


def dictionary(rng, d, k, kind="random"):
    """Atoms in general position, or with whatever makes life hard: a common part, twins, zeros, ties, orders apart."""
    W = rng.normal(size=(d, k))
    i, j = rng.integers(k, size=2)
    if kind == "common":
        W = 10.0 ** rng.uniform(-2, 0) * W + rng.normal(size=(d, 1))
    elif kind in ("duplicate", "opposite"):
        W[:, i] = W[:, j] * (1 if kind == "duplicate" or i == j else -1)
    elif kind == "zero":
        W[:, i] = 0
    elif kind == "integer":
        W = rng.integers(-2, 3, size=(d, k)).astype(float)
    elif kind == "scaled":
        W = W * 10.0 ** rng.uniform(-3, 3, size=k)
    elif kind == "orthogonal":
        W = np.linalg.qr(rng.normal(size=(max(d, k), max(d, k))))[0][:d, :k]
    return W


@st.composite
def problems(draw, largest_d=6, largest_k=4, largest_n=3, kinds=KINDS, least=-3.0, most=0.15):
    """Dictionary, observations, and a lam between 10^least and 10^most of that from which on all codes are zero."""
    rng, kind = draw(generators()), draw(st.sampled_from(kinds))
    d, k, n = (draw(st.integers(1, largest)) for largest in (largest_d, largest_k, largest_n))
    W, y = dictionary(rng, d, k, kind), rng.normal(size=(n, d))
    if kind == "integer":
        y = rng.integers(-3, 4, size=(n, d)).astype(float)
    lam = (2 * np.abs(y @ W).max() or 1.0) * 10.0 ** draw(st.floats(least, most))
    return Problem(W, y, max(1.0, round(lam)) if kind == "integer" else lam)


def total(W, y, z, lam):
    """The energy, once more and plainly."""
    return ((y - z @ W.T) ** 2).sum(axis=1) + lam * np.abs(z).sum(axis=1)


def by_all_signs(W, y, lam):
    """F and a minimiser for each sample: solve for every support and all of its signs, and keep what costs least.

    Whatever z comes out, E(z) >= F; and for the signs of a minimiser with independent atoms it is one.
    """
    k = W.shape[1]
    best, z_best = np.full(len(y), np.inf), np.zeros((len(y), k))
    for support in itertools.chain.from_iterable(itertools.combinations(range(k), size) for size in range(k + 1)):
        atoms = W[:, support]
        inverse = np.linalg.pinv(atoms) if support else np.zeros((0, len(W)))
        for signs in itertools.product((-1, 1), repeat=len(support)):
            z = np.zeros((len(y), k))
            z[:, support] = y @ inverse.T - lam / 2 * (inverse @ inverse.T @ np.array(signs, float))
            energy = total(W, y, z, lam)
            better = energy < best
            best[better], z_best[better] = energy[better], z[better]
    return best, z_best
