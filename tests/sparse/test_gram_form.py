import numpy as np
import pytest
from guards import peak
from hypothesis import given
from hypothesis import strategies as st
from sparse.problems import problems
from strategies import generators

from ebm_np.sparse.gram_form import blocks, certified, certify, correlation, pose
from ebm_np.sparse.sparse_coding import Params, cost_grad_z, energy, gap


def posed(rng, d=5, k=4, n=6, lam=0.4):
    return pose(rng.normal(size=(d, k)), rng.normal(size=(n, d)), lam)


@given(problems(), generators())
def test_energy_correlation_and_gap_are_those_of_rows(drawn, rng):
    W, y, lam = drawn
    z = rng.normal(size=(len(y), W.shape[1])) * rng.choice([0, 1e-3, 1, 10])
    problem = pose(W, y, lam)
    c = correlation(problem, z.T)
    found_energy, found_gap = certify(problem, z.T, c)
    scale = ((np.abs(z) @ np.abs(W.T) + np.abs(y)) ** 2).sum() + lam * np.abs(z).sum()
    np.testing.assert_allclose(found_energy, energy(Params(W), y, z, lam), rtol=1e-9, atol=1e-13 * scale)
    np.testing.assert_allclose(found_gap, gap(Params(W), y, z, lam), rtol=1e-9, atol=1e-13 * scale)
    reach = np.abs(W).max() * np.sqrt(scale)
    np.testing.assert_allclose(c, -cost_grad_z(Params(W), y, z).T / 2, rtol=1e-9, atol=1e-12 * reach)


@given(problems())
def test_a_problem_is_what_its_letters_say(drawn):
    W, y, lam = drawn
    problem = pose(W, y, lam)
    np.testing.assert_allclose(problem.gram, [[u @ v for v in W.T] for u in W.T], atol=1e-12 * (W**2).sum())
    np.testing.assert_allclose(problem.b, [[u @ v for v in y] for u in W.T], atol=1e-12 * np.abs(W).max() * 20)
    np.testing.assert_allclose(problem.energy_at_zero, energy(Params(W), y, np.zeros((len(y), W.shape[1])), lam))
    np.testing.assert_array_equal(problem.t, np.full(len(y), lam / 2))
    assert problem.most_atoms == min(W.shape)


@pytest.mark.parametrize("which", [np.array([1, 0, 1, 1, 0, 0], bool), slice(2, 5), np.ones(6, bool)])
def test_taking_samples_is_posing_their_problem(which, rng):
    W, y, t = rng.normal(size=(5, 4)), rng.normal(size=(6, 5)), rng.random(6)
    taken = pose(W, y, 0.4)._replace(t=t).take(which)
    for found, expected in zip(taken, pose(W, y[which], 0.4)._replace(t=t[which]), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_a_problem_is_cast_as_a_whole(rng):
    single = posed(rng).astype(np.float32)
    assert {a.dtype for a in single[:4]} == {np.dtype(np.float32)}
    assert single.most_atoms == 4
    z = np.ones((4, 6), np.float32)
    c = correlation(single, z)
    assert {a.dtype for a in (c, *certify(single, z, c))} == {np.dtype(np.float32)}
    assert all(a is b for a, b in zip(single, single.astype(np.float32), strict=True))


def test_correlation_makes_one_array(rng):
    problem, z = posed(rng, n=10_000), rng.normal(size=(4, 10_000))
    assert peak(lambda: correlation(problem, z)) < 1.5 * z.nbytes


@given(problems(), st.floats(-6, 0))
def test_certified_is_whose_gap_is_at_most_its_share_of_the_energy(drawn, exponent):
    W, y, lam = drawn
    problem, tol = pose(W, y, lam), 10.0**exponent
    z = np.linalg.pinv(W) @ y.T * [[0.999]]
    energies, gaps = energy(Params(W), y, z.T, lam), gap(Params(W), y, z.T, lam)
    clear = np.abs(gaps - tol * energies) > 1e-9 * energies
    np.testing.assert_array_equal(certified(problem, z, tol)[clear], (gaps <= tol * energies)[clear])


def test_an_observation_and_dictionary_in_single_precision_pose_a_single_problem(rng):
    problem = pose(rng.normal(size=(5, 4)).astype(np.float32), rng.normal(size=(6, 5)).astype(np.float32), 0.4)
    assert {a.dtype for a in problem[:4]} == {np.dtype(np.float32)}


def test_correlation_does_not_write_to_what_it_is_given(rng):
    problem, z = posed(rng), rng.normal(size=(4, 6))
    for a in (*problem[:4], z):
        a.setflags(write=False)
    certify(problem, z, correlation(problem, z))


@given(st.integers(0, 50_000), st.integers(1, 5000))
def test_blocks_cover_every_sample_once_in_order(n, k):
    seen = [np.arange(n)[block] for block in blocks(n, k)]
    np.testing.assert_array_equal(np.concatenate([np.zeros(0, int), *seen]), np.arange(n))
    assert all(part.size for part in seen)
    assert all(part.size * k <= 640_000 or part.size <= 256 for part in seen)
    assert all(part.size >= 256 for part in seen[:-1])


def test_a_block_has_256_samples_where_atoms_are_many():
    assert list(blocks(600, 10**6)) == [slice(0, 256), slice(256, 512), slice(512, 768)]
