r"""The proximal operator prox_R(v) = argmin_z { (1/2) ||z - v||^2 + R(z) } of the l1 norm: shrinkage."""

import numpy as np

from ebm_np.foundations.arrays import Array


def shrink(v: Array, threshold: float | Array, out: Array | None = None) -> Array:
    r"""Return the shrinkage sh_t(v) = sign(v) max(|v| - t, 0) = argmin_z { (1/2)||z - v||^2 + t ||z||_1 }, elementwise.

    Written as v minus its projection on [-t, t] (Moreau's identity: the projection is the prox of the conjugate), which
    needs no signs and no masks, keeps float32 and takes complex arguments.

    Parameters
    ----------
    v : array of any shape
    threshold : t >= 0, a number or an array that broadcasts
    out : where to put the result, an array other than v; a new one if None

    Examples
    --------
    >>> shrink(np.array([-3.0, 0.5, 2.0]), 1.0).tolist()
    [-2.0, 0.0, 1.0]
    """
    if np.ndim(threshold):  # where its bounds are arrays, np.clip takes twice as long as these two
        out = np.minimum(v, threshold, out=out)
        np.maximum(out, -threshold, out=out)
    else:
        out = np.clip(v, -threshold, threshold, out=out)
    return np.subtract(v, out, out=out if np.ndim(out) else None)  # a scalar cannot be written into
