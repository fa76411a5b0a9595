from unittest.mock import patch

import numpy as np
import pytest
from guards import read_only
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, sparse
from strategies import generators

from ebm_np.foundations.convolution import BOUNDARIES
from ebm_np.foundations.results import Inference
from ebm_np.sparse import convolutional, convolutional_working_set, sparse_coding
from ebm_np.sparse.convolutional import Params, decode
from ebm_np.sparse.convolutional_working_set import (
    _descend,
    _violators,
    candidates,
    largest_eigenvalue,
    solve,
)

EVERY_BOUNDARY = pytest.mark.parametrize("boundary", BOUNDARIES)
GROW = {"full": -1, "valid": 1, "circular": 0}
few = settings(max_examples=settings.default.max_examples // 3)
patched = patch.multiple
HERE = "ebm_np.sparse.convolutional_working_set"


def draw_problem(rng, boundary="full", M=3, C=1, size=(3, 2), pixels=(9, 8), N=1):
    """Kernels (M, C, p, q), images (N, C, H, W), and the shape of the maps (M, h, w)."""
    h, w = (n + GROW[boundary] * (k - 1) for n, k in zip(pixels, size, strict=True))
    K, y = rng.normal(size=(M, C, *size)), rng.normal(size=(N, C, *pixels))
    return *read_only((K, y)), (M, h, w)


@st.composite
def problems(draw):
    """Gray and coloured, of all sizes, kernels larger than the torus among them."""
    boundary, size = draw(st.sampled_from(BOUNDARIES)), draw(st.tuples(*[st.integers(1, 5)] * 2))
    pixels = draw(st.tuples(*[st.integers(1, 4)] * 2))
    if boundary == "full":
        pixels = tuple(n + k - 1 for n, k in zip(pixels, size, strict=True))
    M, C = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    return boundary, *draw_problem(draw(generators()), boundary, M, C, size, pixels)


def matrix(K, shape, boundary):
    """A, column by column: what becomes of a code of one at each place."""
    k = int(np.prod(shape))
    return decode(Params(K), np.eye(k).reshape(k, *shape), boundary).reshape(k, -1).T


def some(rng, shape):
    """Some of the places, in order."""
    k = int(np.prod(shape))
    return np.sort(rng.choice(k, rng.integers(1, k + 1), replace=False))


def largest_correlation(K, y, shape, boundary):
    return 2 * np.abs(y.reshape(len(y), -1) @ matrix(K, shape, boundary)).max()


class Watch:
    """Stands in for a function and notes what goes in and out; after so many calls it loses patience."""

    def __init__(self, name, patience=1000):
        self.name, self.function = name, getattr(convolutional_working_set, name)
        self.calls, self.patience = [], patience

    def __call__(self, *arguments):
        assert len(self.calls) < self.patience, f"{self.name} is called for ever"
        found = self.function(*arguments)
        self.calls.append((arguments, found))
        return found

    def __enter__(self):
        self.patch = patched(HERE, **{self.name: self})
        self.patch.start()
        return self

    def __exit__(self, *_):
        self.patch.stop()


# candidates


@given(problems(), generators())
def test_the_columns_of_the_candidates_are_those_of_the_whole_matrix(problem, rng):
    boundary, K, y, shape = problem
    places = some(rng, shape)
    here, expected = candidates(K, y[0], places, shape, boundary), matrix(K, shape, boundary)[:, places]
    np.testing.assert_array_equal(here.places, places)
    assert here.A.shape == expected.shape
    np.testing.assert_allclose(here.A.toarray(), expected, atol=1e-14)
    np.testing.assert_allclose(here.gram.toarray(), expected.T @ expected, atol=1e-12)
    np.testing.assert_allclose(here.b, expected.T @ y.ravel(), atol=1e-12)


@EVERY_BOUNDARY
def test_a_product_with_few_candidates_costs_only_the_kernels_that_overlap(boundary, rng):
    K, y, shape = draw_problem(rng, boundary, pixels=(40, 40))
    here = candidates(K, y[0], np.sort(rng.choice(np.prod(shape), 60, replace=False)), shape, boundary)
    assert here.A.nnz <= 60 * 6
    assert here.gram.nnz < 60 * 10


@EVERY_BOUNDARY
def test_there_may_be_no_candidates(boundary, rng):
    K, y, shape = draw_problem(rng, boundary)
    here = candidates(K, y[0], np.zeros(0, int), shape, boundary)
    np.testing.assert_array_equal(here.A @ np.zeros(0), np.zeros(y.size))
    assert here.gram.shape == (0, 0)


def test_candidates_keep_single_precision(rng):
    K, y, shape = draw_problem(rng)
    here = candidates(K.astype("f4"), y[0].astype("f4"), some(rng, shape), shape, "full")
    assert {a.dtype for a in (here.A, here.gram, here.b)} == {np.dtype("f4")}


# the largest eigenvalue


def eigenvalue(gram):
    return np.linalg.eigvalsh(gram.toarray())[-1]


@given(problems(), generators())
def test_the_bound_of_the_largest_eigenvalue_is_one_and_not_far_above_what_magnitudes_allow(problem, rng):
    boundary, K, y, shape = problem
    gram = candidates(K, y[0], some(rng, shape), shape, boundary).gram
    found = largest_eigenvalue(gram)
    assert type(found) is float
    assert found >= eigenvalue(gram) * (1 - 1e-12)
    assert found <= 1.2 * eigenvalue(abs(gram))
    assert found <= abs(gram).sum(axis=1).max() * (1 + 1e-12)


@given(generators(), st.integers(1, 30), st.integers(1, 30), st.floats(0.02, 0.6), st.floats(0, 8))
def test_it_is_one_for_any_sparse_gram_matrix_whatever_the_sizes_of_its_columns(rng, n, k, density, orders):
    A = rng.normal(size=(n, k)) * (rng.random((n, k)) < density) * 10.0 ** rng.uniform(-orders, 0, size=k)
    for dtype, rtol in ((np.float64, 1e-12), (np.float32, 1e-5)):
        B = sparse.csc_matrix(A.astype(dtype))
        gram = (B.T @ B).tocsr()
        found = largest_eigenvalue(gram)
        assert eigenvalue(gram.astype(float)) * (1 - rtol) <= found
        assert found <= 1.2 * eigenvalue(abs(gram).astype(float)) * (1 + rtol)


def test_the_largest_eigenvalue_of_known_matrices():
    assert largest_eigenvalue(sparse.csr_matrix(np.diag([1.0, 3, 2]))) == pytest.approx(3)
    assert largest_eigenvalue(sparse.csr_matrix(np.ones((4, 4)))) == pytest.approx(4)
    assert largest_eigenvalue(sparse.csr_matrix(np.zeros((3, 3)))) == 0
    signs = np.array([[1.0], [-1], [1]])
    assert largest_eigenvalue(sparse.csr_matrix(signs @ signs.T)) == pytest.approx(3)
    star = np.eye(101)  # power iterations swing to and fro between its centre and its hundred rays
    star[0, 1:] = star[1:, 0] = 1
    assert largest_eigenvalue(sparse.csr_matrix(star)) >= 11


@given(problems(), generators(), st.integers(-40, 40))
def test_in_another_unit_the_bound_is_the_same(problem, rng, e):
    boundary, K, y, shape = problem
    gram = candidates(K, y[0], some(rng, shape), shape, boundary).gram
    assert largest_eigenvalue(2.0**e * gram) == 2.0**e * largest_eigenvalue(gram)


# whom to let in


def peaks(c, lam):
    """By definition: the best kernel of each place, if it beats lam and the best ones of all neighbours."""
    found, (_, h, w) = set(), c.shape
    for i, j in np.ndindex(h, w):
        best = max(range(len(c)), key=lambda m: c[m, i, j])
        around = [c[m, (i + a) % h, (j + b) % w] for m in range(len(c)) for a in (-1, 0, 1) for b in (-1, 0, 1)]
        if c[best, i, j] > lam and c[best, i, j] == max(around):
            found.add(int(np.ravel_multi_index((best, i, j), c.shape)))
    return found


@given(generators(), st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)), st.booleans())
def test_while_violators_are_many_only_the_peaks_are_let_in(rng, shape, ties):
    c = rng.integers(4, size=shape).astype(float) if ties else rng.exponential(size=shape)
    lam = 0.5 if ties else 0.3
    n, places = np.count_nonzero(c > lam), shape[1] * shape[2]
    with patched(HERE, PEAKS=4):
        found = _violators(c, lam)
    assert len(set(found)) == len(found)
    assert set(found) == (peaks(c, lam) if 4 * n > places else set(np.flatnonzero(c > lam)))
    if n:
        assert c.argmax() in found or ties
        assert c.ravel()[found].max() == c.max()


@given(generators(), st.integers(1, 3), st.floats(0.01, 3))
def test_later_the_greatest_are_up_to_a_portion_of_the_places(rng, portion, lam):
    c = rng.exponential(size=(3, 20, 21))
    most = 420 // portion
    with patched(HERE, PEAKS=0, PORTION=portion):
        found = _violators(c, lam)
    violators = np.flatnonzero(c > lam)
    assert len(set(found)) == len(found) == min(most, len(violators))
    assert set(found) <= set(violators)
    others = np.delete(c.ravel(), found)
    assert len(found) == len(violators) or c.ravel()[found].min() >= others.max()


def test_a_hundred_may_always_come():
    c = np.arange(300.0).reshape(3, 10, 10)
    with patched(HERE, PEAKS=0):
        assert set(_violators(c, 5.0)) == set(range(200, 300))


def test_who_is_at_the_border_does_not_violate():
    c = np.zeros((2, 30, 30))
    c[1, 3, 4], c[0, 20, 7] = 0.5, 0.5000001
    np.testing.assert_array_equal(_violators(c, 0.5), [20 * 30 + 7])
    c[1, 10:25, 10:25] = 1 + np.arange(225.0).reshape(15, 15)  # now they are many, and only peaks are let in
    np.testing.assert_array_equal(np.sort(_violators(c, 0.5)), [20 * 30 + 7, 900 + 24 * 30 + 24])


def test_a_sixth_of_the_places_is_not_yet_many():
    c = np.zeros((1, 6, 6))
    c[0, 1, :] = np.arange(1.0, 7)
    np.testing.assert_array_equal(np.sort(_violators(c, 0.5)), np.arange(6, 12))
    c[0, 2, 0] = 1
    np.testing.assert_array_equal(_violators(c, 0.5), [11])


# the codes of the candidates


@few
@given(problems(), generators(), st.floats(-2, -0.1), st.floats(-9, -2))
def test_the_candidates_are_solved_as_plain_sparse_coding_has_it(problem, rng, e, digits):
    boundary, K, y, shape = problem
    here, tol = candidates(K, y[0], some(rng, shape), shape, boundary), 10.0**digits
    W, lam = here.A.toarray(), 2 * np.abs(here.b).max() * 10.0**e
    z, n_iter = _descend(here, y[0], rng.normal(size=len(here.places)), lam, tol, 100_000)
    found = ((y.ravel() - W @ z) ** 2).sum() + lam * np.abs(z).sum()
    (least,) = sparse_coding.free_energy(sparse_coding.Params(W), y.reshape(1, -1), lam, method="active_set", tol=1e-11)
    assert n_iter < 100_000
    assert -1e-12 * found <= found - least <= tol * found + 1e-12 * (y**2).sum()


def test_at_the_solution_they_take_no_step_and_never_more_than_allowed(rng):
    K, y, shape = draw_problem(rng)
    here = candidates(K, y[0], np.arange(0, np.prod(shape), 2), shape, "full")
    best, n_iter = _descend(here, y[0], np.zeros(len(here.places)), 0.5, 1e-9, 100_000)
    assert n_iter > 10
    again, none = _descend(here, y[0], best, 0.5, 1.01e-9, 100_000)
    assert none == 0
    np.testing.assert_array_equal(again, best)
    _, seven = _descend(here, y[0], np.zeros(len(here.places)), 0.5, 1e-9, 7)
    assert seven == 7


def test_what_little_is_left_of_a_large_image_keeps_its_digits(rng):
    # ||y||^2 - 2 b^T z + z^T G z would be 4e-10 ||y||^2, of which only six digits are not rounding
    params, z = Params(np.array([[[[3.0, 1], [0.5, -0.3]]]])), rng.normal(size=(1, 1, 8, 7))
    y = decode(params, z)
    lam = 1e-10 * largest_correlation(params.K, y, (1, 8, 7), "full")
    found = solve(params.K, y, 0 * z, lam, "full", 1e-6, 10_000)
    assert found.converged.all()
    np.testing.assert_allclose(found.energy, lam * np.abs(z).sum(), rtol=1e-4)


def test_kernels_of_zeros_do_not_stop_anybody(rng):
    K, y, shape = draw_problem(rng)
    here = candidates(0 * K, y[0], np.arange(20), shape, "full")
    z, _ = _descend(here, y[0], np.ones(20), 0.5, 1e-9, 1000)
    assert not z.any()


# all of it


RULES = {
    "as it is": {"PEAKS": 6, "PORTION": 12},
    "peaks only": {"PEAKS": 10**9},
    "no peaks, few at a time": {"PEAKS": 0, "PORTION": 10**9},
    "no peaks": {"PEAKS": 0, "PORTION": 1},
    "short rounds": {"STEPS": 30},
    "careless rounds": {"FINER": 0.9},
    "a rough bound": {"POWERS": 1},
}


@EVERY_BOUNDARY
@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
@pytest.mark.parametrize("fraction", [0.05, 0.3])
def test_whoever_is_let_in_first_it_ends_at_the_minimum(boundary, rules, fraction, rng):
    K, y, shape = draw_problem(rng, boundary, C=2, pixels=(14, 11))
    lam = fraction * largest_correlation(K, y, shape, boundary)
    with patched(HERE, **rules), Watch("_violators") as let_in:
        found = solve(K, y, np.zeros((1, *shape)), lam, boundary, 1e-5, 10_000)
    assert type(found) is Inference
    assert found.converged.all()
    least = convolutional.free_energy(Params(K), y, lam, boundary=boundary, tol=1e-5)
    np.testing.assert_allclose(found.energy, least, rtol=1e-5)
    assert len(let_in.calls) > 1
    if rules == RULES["no peaks, few at a time"] and fraction < 0.1:
        assert max(len(new) for _, new in let_in.calls) == 100


@EVERY_BOUNDARY
def test_each_round_keeps_who_has_a_code_lets_violators_in_and_is_a_tenth_as_far_off(boundary, rng):
    K, y, shape = draw_problem(rng, boundary, pixels=(12, 12))
    lam = 0.05 * largest_correlation(K, y, shape, boundary)
    W = sparse_coding.Params(matrix(K, shape, boundary))
    with Watch("_descend") as rounds:
        found = solve(K, y, np.zeros((1, *shape)), lam, boundary, 1e-8, 10_000)
    before = np.zeros(np.prod(shape))
    for (here, _, start, _, tol, most), (codes, _) in rounds.calls:
        assert len(set(here.places)) == len(here.places)
        at_start = np.zeros_like(before)
        at_start[here.places] = start
        np.testing.assert_array_equal(at_start, before)
        c = 2 * np.abs((y.ravel() - W.W @ before) @ W.W)
        idle = before[here.places] == 0
        assert (c[here.places][idle] > lam).all()
        gap = sparse_coding.gap(W, y.reshape(1, -1), before[None], lam)[0]
        energy = sparse_coding.energy(W, y.reshape(1, -1), before[None], lam)[0]
        assert tol == pytest.approx(0.1 * gap / energy, rel=1e-4)
        assert most <= 300
        before = np.zeros_like(before)
        before[here.places] = codes
    np.testing.assert_array_equal(found.z.ravel(), before)
    assert found.n_iter == sum(n for _, (_, n) in rounds.calls)
    assert len(rounds.calls) > 2


@EVERY_BOUNDARY
def test_at_the_minimum_there_is_no_round(boundary, rng):
    K, y, shape = draw_problem(rng, boundary, C=2, pixels=(9, 7))
    lam = 0.1 * largest_correlation(K, y, shape, boundary)
    found = solve(K, y, np.zeros((1, *shape)), lam, boundary, 1e-9, 10_000)
    with Watch("_descend") as rounds:
        again = solve(K, y, found.z, lam, boundary, 1e-8, 10_000)
    assert not rounds.calls
    assert again.n_iter == 0
    assert again.converged.all()
    np.testing.assert_array_equal(again.z, found.z)
    np.testing.assert_allclose(again.energy, found.energy, rtol=1e-12)


@pytest.mark.parametrize("most", [1, 7, 20, 301])
def test_it_never_takes_more_steps_than_allowed(most, rng):
    K, y, shape = draw_problem(rng, pixels=(12, 12))
    found = solve(K, y, np.zeros((1, *shape)), 1e-3, "full", 1e-12, most)
    assert found.n_iter == most
    assert not found.converged.any()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@EVERY_BOUNDARY
@given(rng=generators(), e=st.floats(-4, -0.5))
@settings(max_examples=settings.default.max_examples // 6)
def test_where_only_rounding_is_left_it_does_not_go_round_for_ever(dtype, boundary, rng, e):
    K, y, shape = draw_problem(rng, boundary, M=2, pixels=(5, 4))
    lam = 10.0**e * largest_correlation(K, y, shape, boundary)
    with Watch("correlate", patience=102):
        found = solve(K.astype(dtype), y.astype(dtype), np.zeros((1, *shape), dtype), lam, boundary, 1e-300, 100)
    assert found.n_iter <= 100


def test_a_round_without_a_step_is_the_last(rng):
    K, y, shape = draw_problem(rng)
    with patched(HERE, _descend=lambda here, y, z, *_: (z, 0)), Watch("correlate", patience=3):
        found = solve(K, y, np.zeros((1, *shape)), 0.5, "full", 1e-3, 100)
    assert not found.converged.any()
    assert found.n_iter == 0
    assert found.energy == pytest.approx((y**2).sum())


def test_each_image_is_solved_by_itself(rng):
    K, y, shape = draw_problem(rng, N=3)
    y = y * np.array([0, 1, 3])[:, None, None, None]
    z = rng.normal(size=(3, *shape)) * (rng.random((3, *shape)) < 0.1)
    batch = solve(K, y, z, 0.5, "full", 1e-6, 10_000)
    alone = [solve(K, y[[n]], z[[n]], 0.5, "full", 1e-6, 10_000) for n in range(3)]
    for n, one in enumerate(alone):
        np.testing.assert_array_equal(batch.z[[n]], one.z)
        np.testing.assert_array_equal(batch.energy[[n]], one.energy)
    assert batch.n_iter == max(one.n_iter for one in alone)
    assert batch.converged.all()
    assert batch.trace.shape == (0, 3, *shape)


def test_single_precision_is_kept_and_nothing_handed_in_is_written_to(rng):
    K, y, shape = draw_problem(rng)
    z = rng.normal(size=(1, *shape)) * (rng.random((1, *shape)) < 0.1)
    K, y, z = read_only(tuple(a.astype("f4") for a in (K, y, z)))
    found = solve(K, y, z, 0.5, "full", 1e-3, 10_000)
    assert {a.dtype for a in (found.z, found.energy, found.trace)} == {np.dtype("f4")}
    assert found.converged.all()
    assert not np.shares_memory(found.z, z)


@pytest.mark.parametrize("smooth", [False, True])
def test_the_sparse_codes_of_an_image_are_found_with_few_candidates_and_steps_not_much_shorter_than_need_be(
    smooth, rng
):
    K = rng.normal(size=(8, 1, 7, 7))
    params = convolutional.unit_kernels(Params(ndimage.gaussian_filter(K, (0, 0, 1, 1)) if smooth else K))
    z = rng.normal(size=(1, 8, 58, 58)) * (rng.random((1, 8, 58, 58)) < 0.005)
    y = decode(params, z) + 0.03 * rng.normal(size=(1, 1, 64, 64))
    with Watch("_descend") as rounds, Watch("largest_eigenvalue") as bounds:
        found = convolutional.infer(params, y, 0.3, "working_set")
    assert found.converged.all()
    assert np.count_nonzero(found.z) < 0.02 * z.size
    assert max(len(here.places) for (here, *_), _ in rounds.calls) < 0.03 * z.size
    for (gram,), bound in bounds.calls:
        assert eigenvalue(gram) <= bound <= 4 / 3 * eigenvalue(gram)
    exact = convolutional.infer(params, y, 0.3, "fista", tol=1e-6)
    assert found.n_iter < exact.n_iter
    assert (exact.energy * (1 - 1e-6) <= found.energy).all()
    assert (found.energy <= exact.energy * (1 + 1e-3)).all()
