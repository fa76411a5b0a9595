r"""Convolutional sparse coding where codes are sparse: solve for the few that matter, then ask all others.

    S = {s}, places (m, i, j) that may carry a code; A_S (pixels x S) the sparse matrix of their kernels           (1)
    z_S = argmin ||y - A_S z||^2 + lam ||z||_1 = argmin z^T G z - 2 b^T z + lam ||z||_1,   G = A_S^T A_S, b = A_S^T y
    c = 2 A^T (y - A_S z_S),   everywhere; done if gap(c) <= tol E                                                 (2)
    S <- {s: z_s != 0} + {s: |c_s| > lam}, not all of them at once                                                 (3)

Why it is fast: FISTA on all maps moves M h w numbers at every step, of which one in a hundred is not zero, and its
steps 2 / L are short, because L counts all kernels that answer to one frequency at one place. G knows only kernels that
lie where they are needed, fewer and farther apart: its L is a fifth, and a product with it costs a thirtieth.

Derivation
----------
1. If no s outside S has |c_s| > lam, z_S with zeros elsewhere obeys the conditions for the minimum over all maps, (3)
   of `convolutional`. Else E falls further when such an s is let in: its derivative there is lam - |c_s| < 0.
2. G_st is the product of two kernels where they overlap: 0 at a distance of p rows or q columns. So G has at most M
   (2p - 1) (2q - 1) numbers a row, in practice 20 to 120, and is made as the product of sparse matrices.
3. Neighbours and similar kernels violate together, and most are no longer needed once the best has its code. So while
   violators are many, only the peaks of |c|, over all kernels and 3 x 3 places, are let in; later the greatest.
4. A step of FISTA needs L >= 2 lambda_max(G). For nonnegative B, here |G_st|, and any x > 0, lambda_max <= max_s (B
   x)_s / x_s (Collatz, Wielandt), and lambda_max(G) <= lambda_max(|G|): a bound for sure, near after a few x <- B x.
5. Each round solves to a tenth of the gap that the last one left: what is still missing outside S matters more.

Source: working sets as in Friedman et al. 2010, section 2.6 (active-set convergence), and Massias et al. 2018.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage, sparse

from ebm_np.foundations.arrays import Array
from ebm_np.foundations.convolution import correlate
from ebm_np.foundations.results import Inference
from ebm_np.sparse.operator_fista import Look, duality_gap, fista, settle

PEAKS, PORTION = 6, 12
"""Peaks only while there are more violators than a sixth of the h w pixels; else the greatest, at most a twelfth of h w
(or 100)."""
FINER = 0.1
STEPS = 300
"""Of FISTA in a round at most."""
POWERS = 12


class Candidates(NamedTuple):
    """Codes that need not be zero, and what is needed to solve for them."""

    places: Array  # (n,): indices into the flattened maps (M, h, w)
    A: sparse.csc_matrix  # (C H W, n)
    gram: sparse.csr_matrix  # (n, n)
    b: Array  # (n,)


def solve(K: Array, y: Array, z: Array, lam: float, boundary: str, tol: float, max_iter: int) -> Inference:
    """Return z-check of each image, from z: K (M, C, p, q), y (N, C, H, W), z (N, M, h, w); there is no trace."""
    each = [_solve(K, y_n, z_n, lam, boundary, tol, max_iter) for y_n, z_n in zip(y, z, strict=True)]
    found, energy, n_iter, converged = zip(*each, strict=True)
    return Inference(
        np.stack(found), np.array(energy, z.dtype), max(n_iter), np.array(converged), np.zeros((0, *z.shape), z.dtype)
    )


def _solve(
    K: Array, y: Array, z: Array, lam: float, boundary: str, tol: float, max_iter: int
) -> tuple[Array, float, int, bool]:
    """Return z-check (M, h, w) of one image, its energy, the steps taken, and whether the gap is at most tol E."""
    shape, codes, n_iter, steps = z.shape, z[z != 0], 0, 1
    here, n_pixels = candidates(K, y, np.flatnonzero(z), shape, boundary), shape[1] * shape[2]
    while True:
        residual = y.ravel() - here.A @ codes
        c = np.abs(2 * correlate(residual.reshape(1, *y.shape), K, boundary)[0])
        square, l1 = residual @ residual, np.abs(codes).sum()
        energy = square + lam * l1
        missing = float(duality_gap(square, residual @ y.ravel(), c.max(), l1, lam) / (energy or 1))
        if missing <= tol or n_iter >= max_iter or not steps:  # no step: rounding is all that is still missing
            found = np.zeros(shape, z.dtype)
            found.ravel()[here.places] = codes
            return found, float(energy), n_iter, missing <= tol
        kept = codes != 0
        new = np.setdiff1d(_violators(c, lam, n_pixels), here.places[kept], assume_unique=True)
        here = candidates(K, y, np.concatenate([here.places[kept], new]), shape, boundary)
        start = np.concatenate([codes[kept], np.zeros(len(new), z.dtype)])
        codes, steps = _descend(here, y, start, lam, FINER * missing, min(STEPS, max_iter - n_iter))
        n_iter += steps


def candidates(K: Array, y: Array, places: Array, shape: tuple[int, ...], boundary: str) -> Candidates:
    """Return A_S, G and b for the codes at `places` of the flattened maps of `shape` (M, h, w): equation (1)."""
    (M, C, p, q), (_, H, W) = K.shape, y.shape
    m, top, left = np.unravel_index(places, shape)
    channel, a, b = np.indices((C, p, q)).reshape(3, -1)
    row, column = top[:, None] + a, left[:, None] + b
    if boundary == "valid":
        row, column = row - (p - 1), column - (q - 1)
    elif boundary == "circular":
        row, column = row % H, column % W
    inside = (row >= 0) & (row < H) & (column >= 0) & (column < W)
    pixel = np.where(inside, (channel * H + row) * W + column, 0)
    values = np.where(inside, K.reshape(M, -1)[m], 0)
    ends = np.arange(len(places) + 1) * values.shape[1]
    A = sparse.csc_matrix((values.ravel(), pixel.ravel(), ends), shape=(C * H * W, len(places)))
    A.sum_duplicates()  # a kernel larger than the torus comes back to the same pixel
    return Candidates(places, A, (A.T @ A).tocsr(), A.T @ y.ravel())


def _violators(c: Array, lam: float, n_pixels: int) -> Array:
    """Return places to let in, by |c| (M, h, w): derivation 3."""
    violators = np.flatnonzero(c > lam)
    if PEAKS * len(violators) > n_pixels:
        best = c.max(axis=0)
        i, j = np.nonzero((best == ndimage.maximum_filter(best, 3, mode="wrap")) & (best > lam))
        return np.ravel_multi_index((c[:, i, j].argmax(axis=0), i, j), c.shape)
    most = max(100, n_pixels // PORTION)
    if len(violators) > most:
        violators = violators[np.argpartition(c.ravel()[violators], -most)[-most:]]
    return violators


def _descend(here: Candidates, y: Array, z: Array, lam: float, tol: float, max_iter: int) -> tuple[Array, int]:
    """Return the candidates' codes after FISTA from z, until the gap among them is at most tol E."""
    L = 2 * largest_eigenvalue(here.gram) or 1.0  # kernels of zeros: any length will do
    residual = y.ravel() - here.A @ z
    square, inner, at_start = residual @ residual, residual @ y.ravel(), here.A.T @ residual

    def look(codes: Array) -> Look:
        d = codes[0] - z  # from z on, as ||y||^2 - 2 b^T z + z^T G z would lose the digits of what is left
        product = here.gram @ d
        c, l1 = 2 * (at_start - product), np.abs(codes).sum()
        left = square + d @ (product - 2 * at_start)
        missing = duality_gap(left, inner - d @ here.b, np.abs(c).max(), l1, lam)
        return Look(codes + c / z.dtype.type(L), np.array([left + lam * l1]), np.array([missing]))

    found = settle(fista(look, z[None], lam / L), tol, max_iter)
    return found.z[0], found.n_iter


def largest_eigenvalue(gram: sparse.csr_matrix) -> float:
    """Return an upper bound of it, seldom more than a third too much: derivation 4."""
    magnitudes, x, bound = abs(gram), np.ones(gram.shape[0], gram.dtype), 0.0
    for _ in range(POWERS):
        product = magnitudes @ x
        bound = float((product / x).max())
        if bound > 0:
            x = np.maximum(product / product.max(), np.finfo(x.dtype).eps)  # a weak kernel's would underflow
    return bound
