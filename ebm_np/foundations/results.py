"""What `infer` and `fit` return, the same for all models."""

from typing import Generic, NamedTuple, TypeVar

import numpy as np

from ebm_np.foundations.arrays import Array

P = TypeVar("P")


class ConvergenceWarning(UserWarning):
    """Some samples did not meet the stopping rule in the iterations allowed; `Inference.converged` says which."""


class Inference(NamedTuple):
    """The latents that were found, z-check = argmin_z E(y, z), one for each of N samples."""

    z: Array  # (N,) or (N, k)
    energy: Array  # (N,): E(y, z-check), the free energy at zero temperature
    n_iter: int  # iterations; of the slowest sample where each has its own
    converged: Array  # (N,) bool: does z meet the stopping rule? (In `latent.inference`: stationary, not a maximum?)
    trace: Array  # (T, N, ...): z along the way, T = 0 unless it is kept; its function says whether the start is in it


class Fit(NamedTuple, Generic[P]):
    """The parameters reached, the mean loss seen during each epoch, and the loss of samples held out, if any were."""

    params: P
    history: Array  # (n_epochs,), or as many as were needed where training stops early
    held_out: Array = np.zeros(0)  # (1 + len(history),): before the first epoch and after each; empty if none were
