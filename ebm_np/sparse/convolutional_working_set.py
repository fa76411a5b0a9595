r"""Convolutional sparse coding by working sets: solve for the few codes that matter, then check all others.

    S = {s}, the working set: places (m, i, j) whose codes may be non-zero; A_S (pixels x S) these columns of A    (1)
    z_S = argmin ||y - A_S z||^2 + lam ||z||_1 = argmin z^T G z - 2 b^T z + lam ||z||_1,   G = A_S^T A_S, b = A_S^T y
    c = 2 A^T (y - A_S z_S),   everywhere; done if gap(c) <= tol E                                                 (2)
    S <- {s: z_s != 0} + {s: |c_s| > lam}, not all of them at once                                                 (3)

Why it is fast: FISTA on all maps updates M h w numbers at every step, of which one in a hundred is not zero. And its
steps 2 / L are short: L is large, because all kernels that respond to one frequency at one place add up in it. G holds
only the kernels in S, fewer and farther apart: its L is a fifth of that, and a product with it costs a thirtieth.

Derivation
----------
1. If no s outside S has |c_s| > lam, z_S with zeros elsewhere satisfies the optimality (KKT) conditions over all maps,
   (3) of `convolutional`. Else E falls further when such an s joins S: as z_s leaves 0 with the sign of c_s, dE/d|z_s|
   = lam - |c_s| < 0.
2. G_st is the inner product of two kernels over their overlap: 0 from a distance of p rows or q columns on. So G has at
   most M (2p - 1) (2q - 1) non-zeros a row, in practice 20 to 120, and is computed as a product of sparse matrices.
3. Violators of |c_s| <= lam come in clusters, of neighbouring places and similar kernels, and most of a cluster comply
   once that with the largest |c| is in S. So while violators are many, only the local maxima of |c|, over all kernels
   and 3 x 3 places, join S; later those with the largest |c|.
4. A step of FISTA needs L >= 2 lambda_max(G). For a nonnegative matrix B, here B_st = |G_st|, and any x > 0,
   lambda_max(B) <= max_s (B x)_s / x_s (Collatz, Wielandt); and lambda_max(G) <= lambda_max(|G|). So this bound holds
   for any x, and a few power iterations x <- B x bring it close.
5. Each round solves on S only to a tenth of the gap over all maps that the last one left: as long as codes outside S
   are missing, more precision would be wasted.

Source: working sets as in Friedman et al. 2010, section 2.6 (active-set convergence), and Massias et al. 2018.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage, sparse

from ebm_np.foundations.arrays import Array
from ebm_np.foundations.convolution import correlate
from ebm_np.foundations.results import Inference
from ebm_np.sparse.operator_fista import Cost, Look, duality_gap, fista, settle

PEAKS, PORTION = 6, 12
"""With more violators than a sixth of the h w pixels only local maxima of |c| join S; else those with the largest |c|,
at most a twelfth of h w, or 100 if that is more."""
FINER = 0.1
STEPS = 300
"""Iterations of FISTA in a round, at most."""
POWERS = 12


class Candidates(NamedTuple):
    """The working set S, and what is needed to solve for its codes: equation (1)."""

    places: Array  # (n,): indices into the flattened maps (M, h, w)
    A: sparse.csc_matrix  # (C H W, n)
    gram: sparse.csr_matrix  # (n, n)
    b: Array  # (n,)


def solve(K: Array, y: Array, z: Array, lam: float, boundary: str, tol: float, max_iter: int) -> Inference:
    """Return z-check of each image, from z: K (M, C, p, q), y (N, C, H, W), z (N, M, h, w); there is no trace."""
    each = [_solve(K, y[n], z[n], lam, boundary, tol, max_iter) for n in range(len(y))]
    found, energy, n_iter, converged = zip(*each, strict=True)
    return Inference(
        np.stack(found), np.array(energy, z.dtype), max(n_iter), np.array(converged), np.zeros((0, *z.shape), z.dtype)
    )


def _solve(
    K: Array, y: Array, z: Array, lam: float, boundary: str, tol: float, max_iter: int
) -> tuple[Array, float, int, bool]:
    """Return z-check (M, h, w) of one image, its energy, the steps taken, and whether the gap is at most tol E."""
    shape, codes, n_iter, steps = z.shape, z[z != 0], 0, 1
    here = candidates(K, y, np.flatnonzero(z), shape, boundary)
    while True:
        residual = y.ravel() - here.A @ codes
        c = np.abs(2 * correlate(residual.reshape(1, *y.shape), K, boundary)[0])
        square, l1 = residual @ residual, np.abs(codes).sum()
        energy = square + lam * l1
        missing = float(duality_gap(square, residual @ y.ravel(), c.max(), l1, lam) / (energy or 1))
        if missing <= tol or n_iter >= max_iter or not steps:  # no step taken: what is still missing is rounding
            found = np.zeros(shape, z.dtype)
            found.ravel()[here.places] = codes
            return found, float(energy), n_iter, missing <= tol
        kept = codes != 0
        new = np.setdiff1d(_violators(c, lam), here.places[kept])
        here = candidates(K, y, np.concatenate([here.places[kept], new]), shape, boundary)
        start = np.pad(codes[kept], (0, len(new)))
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


def _violators(c: Array, lam: float) -> Array:
    """Return the places that are to join S, from |c| (M, h, w): derivation 3."""
    violators, n_pixels = np.flatnonzero(c > lam), c[0].size
    if PEAKS * len(violators) > n_pixels:
        best = c.max(axis=0)
        i, j = np.nonzero((best == ndimage.maximum_filter(best, 3, mode="wrap")) & (best > lam))
        return np.ravel_multi_index((c[:, i, j].argmax(axis=0), i, j), c.shape)
    most = max(100, n_pixels // PORTION)
    if len(violators) > most:
        violators = violators[np.argpartition(c.ravel()[violators], -most)[-most:]]
    return violators


def _descend(here: Candidates, y: Array, z: Array, lam: float, tol: float, max_iter: int) -> tuple[Array, int]:
    """Return the codes on S after FISTA from z, until the gap of the problem on S is at most tol E, and its steps."""
    L = 2 * largest_eigenvalue(here.gram) or 1.0  # kernels of zeros: any length will do
    residual = y.ravel() - here.A @ z
    square, inner, at_start = residual @ residual, residual @ y.ravel(), here.A.T @ residual

    def look(codes: Array) -> Look:
        d = codes[0] - z  # relative to z: where the residual is small, ||y||^2 - 2 b^T z + z^T G z cancels
        product = here.gram @ d
        c, l1 = 2 * (at_start - product), np.abs(codes).sum()
        left = square + d @ (product - 2 * at_start)
        missing = duality_gap(left, inner - d @ here.b, np.abs(c).max(), l1, lam)
        cost = Cost(np.array([left + lam * l1]), np.array([missing]))
        return Look(codes + c / z.dtype.type(L), lambda: cost)

    found = settle(fista(look, z[None], lam / L), tol, max_iter)
    return found.z[0], found.n_iter


def largest_eigenvalue(gram: sparse.csr_matrix) -> float:
    """Return an upper bound of the largest eigenvalue, seldom more than a third too large: derivation 4."""
    magnitudes, x = abs(gram), np.ones(gram.shape[0], gram.dtype)
    for _ in range(POWERS - 1):
        x = magnitudes @ x
        x = np.maximum(x / (x.max() or 1), np.finfo(x.dtype).eps)  # a weak kernel's entry would underflow
    return float((magnitudes @ x / x).max())
