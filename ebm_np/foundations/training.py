r"""The loop that every `fit` runs: mini-batches, a gradient, a step, and a record of the loss.

    theta <- step(theta, d/dtheta (1/|B|) sum_{n in B} loss_n(theta)),    B a mini-batch of the data

The last batch of an epoch may be smaller: a sample of it then counts for more in that step. The loss that is recorded
weights each batch by its size, and so is the mean over all samples.

Early stopping: samples that training never sees tell when to stop. With `held_out` the parameters returned are those of
lowest held-out loss among the start and the end of each epoch. So training can do no harm, as far as those samples can
tell.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from ebm_np.foundations.arrays import Array
from ebm_np.foundations.optimizers import Optimizer
from ebm_np.foundations.parameters import leaves
from ebm_np.foundations.results import Fit
from ebm_np.foundations.validation import count, function, generator, instance, largest_squarable

P = TypeVar("P")

LARGEST_KEPT = 31 << 20
"""Bytes; glibc raises its threshold (`_keep_freed_memory`) for arrays of up to 32 MB."""

Callback = Callable[[int, float], None]
"""Called after each epoch with its number, from 1, and its mean loss: for progress bars."""


def batches(n: int, batch_size: int | None, rng: np.random.Generator | None) -> Iterator[Array]:
    """Yield the indices of one epoch: shuffled by `rng`, or in the listed order if it is None; every sample once.

    >>> [batch.tolist() for batch in batches(5, 2, None)]
    [[0, 1], [2, 3], [4]]
    """
    n, size = count("n", n), n if batch_size is None else count("batch_size", batch_size)
    order = np.arange(n) if rng is None else generator("rng", rng).permutation(n)
    for start in range(0, n, size):
        yield order[start : start + size]


def minimize(
    loss_and_grad: Callable[[P, Array], tuple[float, P]],
    params: P,
    n: int,
    *,
    optimizer: Optimizer,
    n_epochs: int,
    batch_size: int | None = None,
    rng: np.random.Generator | None = None,
    callback: Callback | None = None,
    held_out: Callable[[P], float] | None = None,
    patience: int = 10,
    watch: Callable[[int, P], None] | None = None,
) -> Fit[P]:
    """Return the parameters after `n_epochs` passes over `n` samples, or the best of them by the held-out loss.

    Parameters
    ----------
    loss_and_grad : (params, indices of a batch) -> mean loss over that batch and its gradient
    batch_size : None means all samples at once
    rng : shuffles the samples of each epoch; None keeps the listed order
    held_out : params -> loss of samples that are not among the n
    patience : with `held_out`, stop after so many epochs in a row without a new lowest held-out loss
    watch : called with the number of epochs done and the parameters: before the first epoch, with 0, and after each

    Raises
    ------
    FloatingPointError
        if a loss or a parameter is no longer finite: the step was too long. Nothing is returned in that case.
    """
    function("loss_and_grad", loss_and_grad)
    count("n", n), count("patience", patience)
    check_options(n_epochs, batch_size, callback=callback, held_out=held_out, watch=watch)
    instance("optimizer", optimizer, Optimizer, Optimizer._fields)
    if rng is not None:
        generator("rng", rng)
    _keep_freed_memory()
    state, history = optimizer.init(params), []
    best, judged = params, [] if held_out is None else [_judged(held_out, params, 0)]
    watch = watch or (lambda epoch, params: None)
    watch(0, params)
    for epoch in range(1, n_epochs + 1):
        params, state, loss = _epoch(loss_and_grad, optimizer, params, state, list(batches(n, batch_size, rng)), epoch)
        history.append(loss)
        if callback is not None:
            callback(epoch, loss)
        watch(epoch, params)
        if held_out is None:
            best = params
            continue
        judged.append(_judged(held_out, params, epoch))
        if judged[-1] < min(judged[:-1]):
            best = params
        if epoch - int(np.argmin(judged)) >= patience:
            break
    return Fit(best, np.array(history), np.array(judged))


def check_options(n_epochs: int, batch_size: int | None, **callables: Callable[..., Any] | None) -> None:
    """Raise an error that names an option that training cannot use; each of `callables` is a function, or None."""
    count("n_epochs", n_epochs)
    if batch_size is not None:
        count("batch_size", batch_size)
    for name, value in callables.items():
        if value is not None:
            function(name, value)


def _epoch(
    loss_and_grad: Callable[[P, Array], tuple[float, P]],
    optimizer: Optimizer,
    params: P,
    state: Any,
    epoch_batches: list[Array],
    epoch: int,
) -> tuple[P, Any, float]:
    """Return parameters and state after a step for each batch, and the mean loss over all samples."""
    total = 0.0
    for batch in epoch_batches:
        with np.errstate(over="ignore", invalid="ignore"):  # no warning besides the error
            loss, grads = loss_and_grad(params, batch)
            params, state = optimizer.step(params, grads, state)
        if not (np.isfinite(loss) and all(map(_is_sound, leaves(params)))):
            raise _diverged(epoch)
        total += loss * len(batch)
    return params, state, float(total / sum(map(len, epoch_batches)))


def _keep_freed_memory() -> None:
    """Let the C library keep the memory of arrays that are freed: each step of training asks for as much again.

    glibc returns a freed array of more than 128 KB to the system at once, and the memory of the next one comes back
    page by page, which costs more than the arithmetic. When a larger one is freed, glibc raises that threshold to its
    size, and keeps all that are smaller.
    """
    np.empty(LARGEST_KEPT, np.uint8)


def _judged(held_out: Callable[[P], float], params: P, epoch: int) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        loss = held_out(params)
    if not np.isfinite(loss):
        if epoch == 0:
            raise FloatingPointError(f"held_out: expected a finite loss at the start, got {loss}")
        raise _diverged(epoch)
    return loss


def _diverged(epoch: int) -> FloatingPointError:
    return FloatingPointError(f"training diverged in epoch {epoch}: try a smaller rate")


def _is_sound(leaf: Array) -> bool:
    """Say whether their norm is below `largest_squarable`, so that `squarable` accepts the numbers; False for NaN."""
    return bool(np.vdot(leaf, leaf) < largest_squarable(leaf.dtype) ** 2)
