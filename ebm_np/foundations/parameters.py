"""Arithmetic on parameters: NamedTuples (or plain tuples) of arrays, nested as deep as a model likes.

A gradient has the same type as the parameters that it belongs to, so every optimizer and every gradient check is a few
lines once functions can be mapped over all arrays at once.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from ebm_np.foundations.arrays import Array

P = TypeVar("P")


def tree_map(function: Callable[..., Array], tree: P, *others: P) -> P:
    """Apply `function` to each array of `tree` (and to those at the same place in `others`); keep the structure.

    >>> tree_map(lambda a, b: a + b, (np.ones(2), (np.zeros(1),)), (np.ones(2), (np.ones(1),)))
    (array([2., 2.]), (array([1.]),))
    """
    if not isinstance(tree, tuple):
        return function(tree, *others)  # type: ignore[return-value]
    branches = [tree_map(function, *parts) for parts in zip(tree, *others, strict=True)]
    return _like(tree, branches)


def leaves(tree: Any) -> Iterator[Array]:
    """Yield the arrays of `tree`, in order.

    >>> [leaf.tolist() for leaf in leaves((np.ones(2), (np.zeros(1),)))]
    [[1.0, 1.0], [0.0]]
    """
    if isinstance(tree, tuple):
        for branch in tree:
            yield from leaves(branch)
    else:
        yield np.asarray(tree)


def in_one_precision(params: P, y: Array) -> tuple[P, Array]:
    """Return copies of the parameters, and the data, in the wider of their precisions: float32 if both are.

    >>> [a.dtype.name for a in in_one_precision(np.ones(2, np.float32), np.ones(2))]
    ['float64', 'float64']
    """
    dtype = np.result_type(y, *leaves(params))
    return tree_map(lambda leaf: leaf.astype(dtype), params), y.astype(dtype, copy=False)


def zeros_like(tree: P) -> P:
    """Return `tree` with every number replaced by zero.

    >>> zeros_like((np.ones(2), (np.ones(1),)))
    (array([0., 0.]), (array([0.]),))
    """
    return tree_map(np.zeros_like, tree)


def inner(a: P, b: P) -> Any:
    """Return the inner product <a, b>: the sum over all arrays of the products of their entries.

    >>> float(inner((np.array([1.0, 2.0]), np.array([3.0])), (np.array([4.0, 5.0]), np.array([6.0]))))
    32.0
    """
    return sum(np.sum(x * y) for x, y in zip(leaves(a), leaves(b), strict=True))


def flatten(tree: Any) -> Array:
    """Return all numbers of `tree` as one vector.

    >>> flatten((np.ones(2), (np.zeros(1),))).tolist()
    [1.0, 1.0, 0.0]
    """
    return np.concatenate([leaf.ravel() for leaf in leaves(tree)])


def unflatten(vector: Array, like: P) -> P:
    """Return the numbers of `vector` in the structure and shapes of `like`; the inverse of `flatten`.

    >>> unflatten(np.array([1.0, 2.0, 3.0]), (np.zeros(2), (np.zeros(1),)))
    (array([1., 2.]), (array([3.]),))
    """
    sizes = [leaf.size for leaf in leaves(like)]
    parts = iter(np.split(vector, np.cumsum(sizes)[:-1]))
    return tree_map(lambda leaf: next(parts).reshape(np.shape(leaf)), like)


def _like(tree: Any, branches: list[Any]) -> Any:
    # NamedTuples take their fields one by one, plain tuples take an iterable
    return type(tree)(*branches) if hasattr(tree, "_fields") else tuple(branches)
