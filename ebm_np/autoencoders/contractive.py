r"""The contractive penalty: a code should not tremble when the observation does.

    R(y) = ||dh/dy||_F^2 = sum_ij (dh_i / dy_j)^2                                                                  (1)
    F(y) = C(y, y~) + lam R(y)                           `autoencoder`, with regularizer="contractive"             (2)

    symbol    name      shape               meaning
    W_l       encoder   (k_l, k_(l-1))      matrices of the encoder, h_l = f(a_l), a_l = W_l h_(l-1) + b_l, h_0 = y
    h_l       hs        L + 1 of (N, k_l)   outputs of the layers, kept by the forward pass
    s_l                 (N, k_l)            slopes f'(a_l)
    B_l                 (N, k, k_l)         da_L / dh_l

(1) is, to first order, the total variance in h of noise of unit variance in y: it makes Enc insensitive in *every*
direction. The cost C resists where that would blur what tells one sample from the next: along the data the code must
move. What is left is contraction across them. (The note has it that C penalises sensitivity along the data. It
penalises *in*sensitivity there; R penalises sensitivity to every direction.)

Weights should be tied. Where f is nearly linear, the codes s h and the decoder V / s decode to the same y~ for every s,
while R is s^2 of what it was: untied, the network evades the penalty by s -> 0 and contracts nothing. Tied, a small W
would decode to a y~ that is too small. (Of two tied layers one may still be small, if the other is large: that holds
the scale less well.) So `init` ties the weights; `autoencoder` computes (2) for tied and free ones.

Derivation
----------
1. dh/dy = D_L W_L D_(L-1) ... D_1 W_1 with D_l = diag(s_l) (chain rule). Without D_L it is B_0 = da_L/dy; from the top
   B_(L-1) = W_L, the same for all samples, and B_(l-1) = M_l W_l with M_l = B_l D_l.
2. R = sum_i s_Li^2 rho_i with rho_i = sum_j (B_0)_ij^2. If L = 1, rho_i = ||w_i||^2: one product of (N, k) and (k,).
3. Let q = dL/dR, a number for each sample. From 2:  dL/ds_L = 2 q s_L rho,   Q_0 = dL/dB_0 = 2 q s_L^2 B_0, row by row.
4. B_(l-1) = M_l W_l:  dL/dW_l = sum_n M_l^T Q_(l-1),  dL/dM_l = Q_(l-1) W_l^T. M_l = B_l D_l:  dL/ds_l = sum over rows
   of B_l * dL/dM_l,  Q_l = (dL/dM_l) D_l. At the top dL/dW_L = sum_n Q_(L-1).
5. The slopes, too, depend on y and on all layers below: they add dL/ds_l * f''(a_l) to the delta dL/da_l that comes
   down through h in ordinary backpropagation (`layers.mlp_backward`). For ReLU and identity f'' = 0: only 4 remains.

If both networks are one linear layer, tied, without offsets, and the data have mean 0 and covariance Sigma = U diag(v)
U^T, then

6. E[F] = tr((I - W^T W)^2 Sigma) + lam tr(W^T W). With W^T W = U diag(p) U^T, at most k of p not 0 and none negative,
   that is sum_i (1 - p_i)^2 v_i + lam p_i, least at p_i = max(0, 1 - lam / (2 v_i)) for the k largest v_i: directions
   of little variance are given up, the others shrunk.

Source: notes 08-3, "Contractive Autoencoder", figure 4; Rifai, Vincent, Muller, Glorot & Bengio 2011.
"""

from functools import partial
from typing import Any

import numpy as np

from ebm_np.autoencoders import network
from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.layers import ACTIVATIONS, Layers, checked_layers, mlp_forward

_product = partial(np.einsum, optimize=True)
"""A product of three in the order that costs least: D_l belongs to the smaller of its neighbours."""


def init(
    rng: np.random.Generator, widths: tuple[int, ...], f: str = "sigmoid", *, tied: bool = True, dtype: Any = np.float64
) -> network.Network:
    """Return a random network as `network.init` does, but tied, and f the sigmoid of the paper."""
    return network.init(rng, widths, f, tied=tied, dtype=dtype)


def jacobian(encoder: Layers, y: Array, f: str) -> Array:
    """Return dh/dy for each sample: (N, d) -> (N, k, d).

    >>> from ebm_np.foundations.layers import Affine
    >>> jacobian((Affine(np.array([[1.0, 2.0]]), np.zeros(1)),), np.zeros((1, 2)), "sigmoid").tolist()  # 1/4 at 0
    [[[0.25, 0.5]]]
    """
    encoder = checked_layers("encoder", encoder)
    y = validation.squarable("y", y, ("N", encoder[0].W.shape[1]))
    validation.choice("f", f, ACTIVATIONS)
    slopes = _slopes(mlp_forward(encoder, y, f, last=f), f)
    return slopes[-1][:, :, None] * _chain(encoder, slopes)[0]


def penalty(encoder: Layers, hs: list[Array], f: str) -> Array:
    """Return R, equation (1), of each sample from its forward pass, by derivation 2: (N,)."""
    slopes = _slopes(hs, f)
    return (slopes[-1] ** 2 * _row_energies(_chain(encoder, slopes)[0])).sum(axis=-1)


def penalty_grad(encoder: Layers, hs: list[Array], f: str, q: Array) -> tuple[list[Array], list[Array]]:
    """Return the direct derivatives of sum_n q_n R_n in each W_l, and in each a_l: derivations 3 to 5."""
    slopes = _slopes(hs, f)
    B = _chain(encoder, slopes)
    top = slopes[-1]
    in_slopes = [2 * q[:, None] * top * _row_energies(B[0])]
    weights = 2 * q[:, None] * top**2
    Q = (weights.sum(axis=0) if B[0].ndim == 2 else weights)[..., None] * B[0]
    in_matrices: list[Array] = []
    for i, above in enumerate(B[1:]):
        s, W, own = slopes[i], encoder[i].W, "ij" if above.ndim == 2 else "nij"
        in_matrices.append(_product(f"{own},nj,nid->jd", above, s, Q))
        in_slopes.insert(-1, _product(f"{own},nid,jd->nj", above, Q, W))
        Q = _product(f"nid,nj,jd->{own}", Q, s, W)
    in_matrices.append(Q)
    curvature = ACTIVATIONS[f].curvature
    return in_matrices, [g * curvature(h) for g, h in zip(in_slopes, hs[1:], strict=True)]


def _slopes(hs: list[Array], f: str) -> list[Array]:
    """Return s_1, ..., s_L."""
    return [ACTIVATIONS[f].slope(h) for h in hs[1:]]


def _chain(encoder: Layers, slopes: list[Array]) -> list[Array]:
    """Return B_0, ..., B_(L-1), derivation 1; the last is one for all samples, (k, k_(L-1))."""
    B = [encoder[-1].W]
    for i in reversed(range(len(encoder) - 1)):
        own = "ij" if B[0].ndim == 2 else "nij"
        B.insert(0, _product(f"{own},nj,jd->nid", B[0], slopes[i], encoder[i].W))
    return B


def _row_energies(B: Array) -> Array:
    return np.square(B).sum(axis=-1)
