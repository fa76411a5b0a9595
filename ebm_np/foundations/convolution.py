r"""Convolution in two dimensions, its adjoint and its kernel gradient, derived by hand.

    (1) y_c = sum_m K_mc * z_m                                              "Y = sum_i K_i * Z_i", note 08-2
    (2) u_c[i, j] = sum_m sum_ab K_mc[a, b] z_m[i - a, j - b]               z = 0 outside; u is (h + p - 1, w + q - 1)
    (3) full: y = u      valid: y[i, j] = u[i + p - 1, j + q - 1]      circular: y[i, j] = sum_rs u[i + r h, j + s w]

    z (N, M, h, w)   maps                      K (M, C, p, q)   kernels; a = 0..p-1, b = 0..q-1
    y (N, C, H, W)   images                    g (N, C, H, W)   dL/dy of some scalar L

    H = h + p - 1 (full), h - p + 1 (valid, h >= p), h (circular, any p: kernels larger than the map wrap around);
    W alike. Valid keeps those pixels of u that no zero from outside enters; circular takes indices modulo (h, w).

`convolve` is y, `correlate` its adjoint in z, `kernel_grad` its adjoint in K. As y is linear in each, the two adjoints
are the vector-Jacobian products of a convolution layer: the partial derivatives of the trilinear form <g, B (K * z)>.

Derivation
----------
Write (2, 3) as y = B u: B is the identity, a crop or a fold. <.,.> sums over all indices.

4. <g, B u> = <v, u>, v = B^T g: g (full), g framed by p - 1 and q - 1 zeros (valid), g repeated to u's size (circular)
5. <v, u> = sum v_nc[i, j] K_mc[a, b] z_nm[i - a, j - b] = sum v_nc[k + a, l + b] K_mc[a, b] z_nm[k, l]    (k = i - a)
6. dL/dz_nm[k, l]  = sum_cab K_mc[a, b] v_nc[k + a, l + b]         (read off: the valid correlation of v with K)
7. dL/dK_mc[a, b]  = sum_nkl z_nm[k, l] v_nc[k + a, l + b]         (likewise: of v with z, summed over the batch)
8. Hence the adjoint of full convolution is valid correlation, of valid it is full, of circular circular correlation.

With x^(f) = sum_i x[i] exp(-2 pi i <f, i / S>), the DFT at size S, a circular convolution of size S is, at each f,

9.  y^_c = sum_m K^_mc z^_m              (shift theorem)
10. g~_m = sum_c conj(K^_mc) g^_c,   K~_mc = sum_n conj(z^_nm) g^_nc     (the DFTs of dL/dz, dL/dK: by Parseval)
11. u is the circular convolution of any size S >= (h + p - 1, w + q - 1): padded so far, nothing wraps around.
12. Let A be the map z -> y. The DFT is unitary up to scale, so A^T A of circular has exactly the eigenvalues
    sigma(K^(f))^2, the squared singular values of the M x C matrices K^(f), f on the grid of size (h, w) (and 0, if
    M > C). As K is real, f and -f have the same ones: half of the grid is enough.
13. full = circular of size (h + p - 1, w + q - 1) after padding z by zeros, an isometry; valid = circular of size
    (h, w), then a crop, of norm 1. So max_f sigma_max(K^(f))^2 on those grids is not below l = lambda_max(A^T A),
14. and not above l / (1 - eps), eps = pi^4/8 [(p - 1)^2 / (n_1 + 1)^2 + (q - 1)^2 / (n_2 + 1)^2], n = (h, w) for full,
    (h - p + 1, w - q + 1) for valid. Let S = sup_t sigma_max(K^(t))^2 over all frequencies t, attained at t = 0, say,
    with the singular vector x. Bound l from below by a Rayleigh quotient: for z = x sin(pi k / (n + 1)), one sine an
    axis, ||A z||^2 / ||z||^2 is the mean of r(t) = ||K^(t)^T x||^2 with the weights |z^(t)|^2. Bernstein's inequality:
    r, a trigonometric polynomial of degree p - 1 (q - 1) with 0 <= r <= S, has r >= S (1 - sum (p - 1)^2 t_1^2 / 2),
    the sum over both axes. As t^2 <= pi^2/4 (2 - 2 cos t), the mean of t^2 is at most pi^2/4 (2 - 2 cos(pi / (n + 1)))
    <= pi^4/4 / (n + 1)^2. (For valid, take A^T.)

Two forms, equal in all tests. Direct: (5) as products with a matrix whose columns are unrolled patches (im2col,
Chellapilla et al. 2006), all p q offsets of a strip of rows at a time, on the side that has fewer channels; takes
complex arguments. FFT: (9)-(11).

Source: notes 08-2, "Convolutional sparse coding"; Kavukcuoglu et al. 2010; Bristow, Eriksson & Lucey 2013 (9).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft

from ebm_np.foundations.arrays import Array
from ebm_np.foundations.validation import choice, count, squarable

BOUNDARIES = ("full", "valid", "circular")
METHODS = ("auto", "direct", "fft")
GATHER, SCATTER, TRANSFORM = 12, 64, 180
"""For `method="auto"`: what it costs to gather a number of the columns or to add one to an image, and a pixel of a
Fourier transform, in multiplications of a matrix product. Fitted to 1,080 cases: 1.3 % above the best, at most 80 %."""
STRIP = 2**19
"""How many numbers the columns of the direct form hold at a time: 4 MB, about a cache."""


def convolve(z: Array, K: Array, boundary: str, *, method: str = "auto") -> Array:
    """Return y_c = sum_m K_mc * z_m for each sample: equations 1 to 3.

    Parameters
    ----------
    z : maps (N, M, h, w)
    K : kernels (M, C, p, q)
    boundary : "full", "valid" or "circular"
    method : "direct", "fft" (real arguments only), or "auto": the cheaper one by a rough count, direct
        N (M C + SCATTER C) p q h w, or N (M C + GATHER M) p q (h + p - 1) (w + q - 1) where M < C, against fft
        TRANSFORM (N M + N C + M C) (h + p - 1) (w + q - 1)

    Returns
    -------
    images (N, C, H, W), float32 if both arguments are

    Raises
    ------
    TypeError, ValueError
        for an argument of the wrong kind, shape or name, for NaN, and for a map smaller than the kernels if "valid".
    """
    z = squarable("z", z, ("N", "M", "h", "w"), analytic=True)
    K = squarable("K", K, (z.shape[1], "C", "p", "q"), analytic=True)
    choice("boundary", boundary, BOUNDARIES)
    pixels, size = z.shape[2:], K.shape[2:]
    _hold("z", pixels, size, boundary == "valid")
    fast, z, K = _plan(method, z, K, (len(z), *K.shape[:2]), pixels, size, (SCATTER, GATHER))
    return _restrict(_full_fft(z, K) if fast else _full(z, K), boundary, pixels, size)


def correlate(y: Array, K: Array, boundary: str, *, method: str = "auto") -> Array:
    """Return the adjoint of z -> `convolve(z, K, boundary)` at y, dL/dz if y is dL/d(K * z): equations 4 and 6.

    Takes images (N, C, H, W) and kernels (M, C, p, q), returns maps (N, M, h, w). For "full" it is the valid
    correlation, so y must be at least as large as the kernels; all else as in `convolve` (but "auto" counts GATHER
    where it counts SCATTER there, and the reverse).
    """
    y = squarable("y", y, ("N", "C", "H", "W"), analytic=True)
    K = squarable("K", K, ("M", y.shape[1], "p", "q"), analytic=True)
    choice("boundary", boundary, BOUNDARIES)
    size = K.shape[2:]
    _hold("y", y.shape[2:], size, boundary == "full")
    v = _extend(y, boundary, size)
    pixels = (v.shape[2] - size[0] + 1, v.shape[3] - size[1] + 1)
    fast, v, K = _plan(method, v, K, (len(y), *K.shape[:2]), pixels, size, (GATHER, SCATTER))
    return _adjoint_fft(v, K) if fast else _adjoint(v, K)


def kernel_grad(z: Array, g: Array, size: Sequence[int], boundary: str, *, method: str = "auto") -> Array:
    """Return the adjoint of K -> `convolve(z, K, boundary)` at g, dL/dK if g is dL/d(K * z): equations 4 and 7.

    Takes maps (N, M, h, w), images (N, C, H, W) and the kernels' size (p, q); returns (M, C, p, q), summed over the
    batch; all else as in `convolve` (but "auto" counts GATHER only).
    """
    z = squarable("z", z, ("N", "M", "h", "w"), analytic=True)
    choice("boundary", boundary, BOUNDARIES)
    pixels, size = z.shape[2:], _pair("size", size)
    _hold("z", pixels, size, boundary == "valid")
    grow = {"full": 1, "valid": -1, "circular": 0}[boundary]
    height, width = (n + grow * (k - 1) for n, k in zip(pixels, size, strict=True))
    g = squarable("g", g, (len(z), "C", height, width), analytic=True)
    fast, z, g = _plan(method, z, g, (*z.shape[:2], g.shape[1]), pixels, size, (GATHER, GATHER))
    v = _extend(g, boundary, size)
    return _kernel_grad_fft(z, v) if fast else _kernel_grad(z, v)


def spectrum(K: Array, shape: Sequence[int]) -> Array:
    """Return K^, the transfer functions of circular convolution with maps of `shape` (h, w): equation 9.

    It is `rfft2` of the kernels (M, C, p, q), padded by zeros or wrapped around: (M, C, h, w // 2 + 1), complex.
    """
    K = squarable("K", K, ("M", "C", "p", "q"))
    return fft.rfft2(_fold(K, *_pair("shape", shape)))


def largest_eigenvalue(K: Array, shape: Sequence[int], boundary: str) -> float:
    """Return the largest eigenvalue of z -> `correlate(convolve(z, K), K)` for maps of `shape` (h, w): equation 12.

    Exact for "circular"; for "full" and "valid" an upper bound (13), tight where maps are large beside kernels (14):
    for random kernels p x p it was 2 to 5 % too large at h = 6 p, 5 to 10 % at 4 p; at h = p 30 to 100 % for full, and
    several times too large for valid. Twice this eigenvalue is the Lipschitz constant of dE/dz for E = ||y - K * z||^2.
    """
    K = squarable("K", K, ("M", "C", "p", "q")).astype(np.float64)
    h, w = _pair("shape", shape)
    p, q = K.shape[2:]
    choice("boundary", boundary, BOUNDARIES)
    _hold("shape", (h, w), (p, q), boundary == "valid")
    transfer = spectrum(K, (h + p - 1, w + q - 1) if boundary == "full" else (h, w)).transpose(2, 3, 1, 0)
    if transfer.shape[2] > transfer.shape[3]:
        transfer = transfer.swapaxes(2, 3)  # the smaller of the two Gram matrices: the same eigenvalues but for zeros
    gram = transfer @ transfer.conj().swapaxes(2, 3)
    return float(np.linalg.eigvalsh(gram)[..., -1].max())


# The boundary: y = B u and v = B^T g, equations 3 and 4.


def _restrict(u: Array, boundary: str, pixels: Sequence[int], size: Sequence[int]) -> Array:
    """Return B u: (..., h + p - 1, w + q - 1) -> (..., H, W)."""
    if boundary == "full":
        return u
    if boundary == "valid":
        return np.ascontiguousarray(u[..., size[0] - 1 : pixels[0], size[1] - 1 : pixels[1]])
    return _fold(u, *pixels)


def _extend(g: Array, boundary: str, size: Sequence[int]) -> Array:
    """Return B^T g: (..., H, W) -> (..., h + p - 1, w + q - 1)."""
    p, q = size
    if boundary == "full":
        return g
    if boundary == "valid":
        return np.pad(g, ((0, 0), (0, 0), (p - 1, p - 1), (q - 1, q - 1)))
    rows, columns = np.arange(g.shape[2] + p - 1), np.arange(g.shape[3] + q - 1)
    return g.take(rows, axis=2, mode="wrap").take(columns, axis=3, mode="wrap")


def _fold(u: Array, h: int, w: int) -> Array:
    """Return the sum of all tiles of size (h, w) of u, the last ones padded by zeros."""
    folded = np.zeros((*u.shape[:2], h, w), u.dtype)
    for i in range(0, u.shape[2], h):
        for j in range(0, u.shape[3], w):
            tile = u[:, :, i : i + h, j : j + w]
            folded[:, :, : tile.shape[2], : tile.shape[3]] += tile
    return folded


# The direct form of 2, 6, 7: columns[n, (c, a, b), (k, l)] is v_nc[k + a, l + b] of 5; in `_full` what is added to u.


def _full(z: Array, K: Array) -> Array:
    (N, M, h, w), (C, p, q) = z.shape, K.shape[1:]
    if M < C:
        return _adjoint(_extend(z, "valid", (p, q)), _turn(K))
    u = np.zeros((N, C, h + p - 1, w + q - 1), z.dtype)
    maps, kernels = z.reshape(N, M, h * w), K.reshape(M, C * p * q).T
    for top, end in _strips(N * C * p * q * w, h):
        columns = (kernels @ maps[:, :, top * w : end * w]).reshape(N, C, p, q, end - top, w)
        for a, b in np.ndindex(p, q):
            u[:, :, top + a : end + a, b : b + w] += columns[:, :, a, b]
    return u


def _adjoint(v: Array, K: Array) -> Array:
    (N, _, H, W), (M, C, p, q) = v.shape, K.shape
    h, w = H - p + 1, W - q + 1
    if M < C:
        return np.ascontiguousarray(_full(v, _turn(K))[:, :, p - 1 : H, q - 1 : W])
    z, kernels = np.empty((N, M, h * w), v.dtype), K.reshape(M, C * p * q)
    for top, end in _strips(N * C * p * q * w, h):
        np.matmul(kernels, _columns(v, p, q, top, end), out=z[:, :, top * w : end * w])
    return z.reshape(N, M, h, w)


def _kernel_grad(z: Array, v: Array) -> Array:
    (N, M, h, w), (_, C, H, W) = z.shape, v.shape
    p, q = H - h + 1, W - w + 1
    if M < C:
        return np.ascontiguousarray(_turn(_kernel_grad(v, _extend(z, "valid", (p, q)))))
    grad, maps = np.zeros((M, C * p * q), z.dtype), z.reshape(N, M, h * w)
    for top, end in _strips(N * C * p * q * w, h):
        strip, columns = maps[:, :, top * w : end * w], _columns(v, p, q, top, end)
        if strip.shape[2] > columns.shape[1]:  # one product a sample, (M, C p q), is smaller than its maps
            grad += (strip @ columns.transpose(0, 2, 1)).sum(axis=0)
        else:
            grad += np.tensordot(strip, columns, axes=((0, 2), (0, 2)))
    return grad.reshape(M, C, p, q)


def _columns(v: Array, p: int, q: int, top: int, end: int) -> Array:
    """Return the rows k = top..end-1 of the columns: (N, C p q, (end - top) w)."""
    windows = sliding_window_view(v[:, :, top : end + p - 1], (p, q), axis=(2, 3))
    return windows.transpose(0, 1, 4, 5, 2, 3).reshape(len(v), v.shape[1] * p * q, -1)


def _strips(row: int, h: int) -> Iterator[tuple[int, int]]:
    """Yield strips [top, end) of the h rows, so that their columns, `row` numbers a row, are about STRIP numbers."""
    step = max(1, STRIP // row)
    return ((top, min(top + step, h)) for top in range(0, h, step))


def _turn(K: Array) -> Array:
    """Return K rotated by 180 degrees, M and C exchanged: correlation with it is convolution, and vice versa."""
    return K[:, :, ::-1, ::-1].swapaxes(0, 1)


# The Fourier form of equations 2, 6 and 7: equations 9 to 11.


def _full_fft(z: Array, K: Array) -> Array:
    pixels = (z.shape[2] + K.shape[2] - 1, z.shape[3] + K.shape[3] - 1)
    return _fourier("nm...,mc...->nc...", z, K, pixels, pixels, adjoint=False)


def _adjoint_fft(v: Array, K: Array) -> Array:
    pixels = (v.shape[2] - K.shape[2] + 1, v.shape[3] - K.shape[3] + 1)
    return _fourier("mc...,nc...->nm...", K, v, v.shape[2:], pixels, adjoint=True)


def _kernel_grad_fft(z: Array, v: Array) -> Array:
    size = (v.shape[2] - z.shape[2] + 1, v.shape[3] - z.shape[3] + 1)
    return _fourier("nm...,nc...->mc...", z, v, v.shape[2:], size, adjoint=True)


def _fourier(product: str, a: Array, b: Array, least: Sequence[int], kept: Sequence[int], *, adjoint: bool) -> Array:
    """Return the first `kept` pixels whose DFT, of a size >= least, is the `product` of a^ (or conj a^) and b^."""
    S = tuple(fft.next_fast_len(n, real=True) for n in least)
    transform = fft.rfft2(a, S)
    found = np.einsum(product, transform.conj() if adjoint else transform, fft.rfft2(b, S))
    return np.ascontiguousarray(fft.irfft2(found, S)[:, :, : kept[0], : kept[1]])


def _plan(
    method: str,
    a: Array,
    b: Array,
    lengths: tuple[int, int, int],
    pixels: Sequence[int],
    size: Sequence[int],
    columns: tuple[int, int],
) -> tuple[bool, Array, Array]:
    """Return whether to take the Fourier form, and both arguments in their common type; lengths are (N, M, C).

    `columns` is the cost of a number of the direct form's columns: if they are those of images (M >= C), and of maps.
    """
    choice("method", method, METHODS)
    dtype: np.dtype[Any] = np.result_type(a, b)
    if dtype.kind == "c" and method == "fft":
        raise ValueError("method: expected 'auto' or 'direct' for complex arguments, got 'fft'")
    (N, M, C), (h, w), (p, q) = lengths, pixels, size
    whole = (h + p - 1) * (w + q - 1)
    direct = N * p * q * (C * (M + columns[0]) * h * w if M >= C else M * (C + columns[1]) * whole)
    fourier = TRANSFORM * (N * M + N * C + M * C) * whole
    fast = method == "fft" or (method == "auto" and dtype.kind != "c" and fourier < direct)
    return fast, a.astype(dtype, copy=False), b.astype(dtype, copy=False)


def _pair(name: str, value: Any) -> tuple[int, int]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise TypeError(f"{name}: expected two whole numbers, got {value!r}")
    return count(name, value[0]), count(name, value[1])


def _hold(name: str, pixels: Sequence[int], size: Sequence[int], needed: bool) -> None:
    if needed and (pixels[0] < size[0] or pixels[1] < size[1]):
        expected, got = (" x ".join(map(str, pair)) for pair in (size, pixels))
        raise ValueError(f"{name}: expected at least {expected} pixels, those of the kernels, got {got}")
