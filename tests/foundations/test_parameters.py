from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import arrays

from ebm_np.foundations.gradient_check import complex_step
from ebm_np.foundations.parameters import (
    flatten,
    in_one_precision,
    inner,
    leaves,
    tree_map,
    unflatten,
    zeros_like,
)


class One(NamedTuple):
    a: object


class Two(NamedTuple):
    a: object
    b: object


shapes = st.sampled_from([(), (1,), (3,), (2, 3), (1, 2, 2)])
trees = st.recursive(
    shapes.flatmap(arrays),
    lambda branch: st.one_of(
        st.builds(One, branch),
        st.builds(Two, branch, branch),
        st.lists(branch, min_size=1, max_size=3).map(tuple),
    ),
    max_leaves=6,
)


def skeleton(tree):
    """The types and shapes of a tree, without its numbers."""
    return (type(tree), *map(skeleton, tree)) if isinstance(tree, tuple) else np.shape(tree)


@given(trees)
def test_tree_map_keeps_types_nesting_and_shapes(tree):
    assert skeleton(tree_map(lambda leaf: leaf + 1, tree)) == skeleton(tree)


@given(trees)
def test_tree_map_acts_on_each_array_with_those_at_the_same_place(tree):
    double, triple = tree_map(lambda leaf: 2 * leaf, tree), tree_map(lambda leaf: 3 * leaf, tree)
    mixed = tree_map(lambda a, b, c: a - 10 * b + 100 * c, tree, double, triple)
    np.testing.assert_allclose(flatten(mixed), (1 - 20 + 300) * flatten(tree), rtol=1e-14)


def test_leaves_come_in_order_depth_first():
    tree = Two(a=(np.array([0.0, 1.0]), One(a=np.array([[2.0], [3.0]]))), b=np.array(4.0))
    assert [leaf.tolist() for leaf in leaves(tree)] == [[0, 1], [[2], [3]], 4]
    assert flatten(tree).tolist() == [0, 1, 2, 3, 4]


@given(trees)
def test_unflatten_is_the_inverse_of_flatten(tree):
    again = unflatten(flatten(tree), tree)
    assert skeleton(again) == skeleton(tree)
    for leaf, other in zip(leaves(tree), leaves(again), strict=True):
        np.testing.assert_array_equal(leaf, other)


@given(trees, st.data())
def test_flatten_is_the_inverse_of_unflatten(tree, data):
    vector = data.draw(arrays(sum(leaf.size for leaf in leaves(tree))))
    np.testing.assert_array_equal(flatten(unflatten(vector, tree)), vector)


@given(trees, st.sampled_from([-1, 1]))
def test_a_vector_of_another_length_is_refused(tree, extra):
    with pytest.raises(ValueError, match="reshape"):
        unflatten(np.zeros(flatten(tree).size + extra), tree)


@given(trees)
def test_the_inner_product_is_that_of_the_flat_vectors(tree):
    other = tree_map(lambda leaf: np.sin(leaf) + 1, tree)
    size = np.abs(flatten(tree)) @ np.abs(flatten(other))
    assert abs(inner(tree, other) - flatten(tree) @ flatten(other)) <= 1e-14 * size


@given(trees)
def test_the_inner_product_does_not_conjugate_so_complex_steps_go_through_it(tree):
    other = tree_map(lambda leaf: np.cos(leaf) + 2, tree)
    found = complex_step(lambda t: inner(t, other), tree, tree)
    assert abs(found - inner(tree, other)) <= 1e-13 * (np.abs(flatten(tree)) @ flatten(other))


@given(trees)
def test_zeros_like_is_zero_in_the_same_structure(tree):
    zeros = zeros_like(tree)
    assert skeleton(zeros) == skeleton(tree)
    assert not flatten(zeros).any()


def test_single_precision_is_kept():
    tree = Two(np.ones(2, np.float32), One(np.ones(1, np.float32)))
    mapped = tree_map(lambda leaf: 2 * leaf, tree)
    assert all(leaf.dtype == np.float32 for t in (mapped, zeros_like(tree)) for leaf in leaves(t))
    assert flatten(tree).dtype == np.float32
    assert inner(tree, tree).dtype == np.float32


def test_numbers_are_arrays_too():
    assert flatten((1.0, (2, np.ones(1)))).tolist() == [1, 2, 1]
    assert unflatten(np.arange(2.0), (5.0, 7.0)) == (0, 1)


@pytest.mark.parametrize("other", [(np.ones(2),), (np.ones(2), np.ones(2), np.ones(2))])
def test_trees_of_different_width_are_not_silently_cut(other):
    pair = (np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match="zip"):
        tree_map(np.add, pair, other)
    with pytest.raises(ValueError, match="zip"):
        inner(pair, other)


@given(trees)
def test_the_tree_is_not_written_to(tree):
    for leaf in leaves(tree):
        leaf.setflags(write=False)
    before = flatten(tree)
    unflatten(before + 1, zeros_like(tree))
    tree_map(lambda leaf: leaf + 1, tree)
    np.testing.assert_array_equal(flatten(tree), before)


@pytest.mark.parametrize("of_params", [np.float32, np.float64])
@pytest.mark.parametrize("of_y", [np.float32, np.float64])
def test_params_and_data_meet_in_the_wider_precision_and_params_are_copied(of_params, of_y, rng):
    tree, y = Two(rng.normal(size=3).astype(of_params), One(np.ones((), of_params))), rng.normal(size=4).astype(of_y)
    found, data = in_one_precision(tree, y)
    wider = np.result_type(of_params, of_y)
    assert {data.dtype, *(leaf.dtype for leaf in leaves(found))} == {np.dtype(wider)}
    np.testing.assert_array_equal(flatten(found), flatten(tree))
    np.testing.assert_array_equal(data, y)
    assert not any(np.shares_memory(a, b) for a, b in zip(leaves(found), leaves(tree), strict=True))
    assert (data is y) == (of_y == wider)  # samples are many, and nobody writes to them
