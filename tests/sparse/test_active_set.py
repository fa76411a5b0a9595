from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sparse.problems import by_all_signs, dictionary, problems, total
from strategies import generators

from ebm_np.sparse import active_set
from ebm_np.sparse.active_set import follow_path, newton, signs_of, solve
from ebm_np.sparse.gram_form import certify, correlation, pose
from ebm_np.sparse.sweeps import sweeps

MANY = 10_000


def draw_problem(rng, d=8, k=14, n=9, lam=0.3):
    W = dictionary(rng, d, k)
    return W / np.linalg.norm(W, axis=0), rng.normal(size=(n, d)), lam


def zeros(problem):
    return np.zeros(problem.b.shape)


def relative_gaps(problem, z):
    energy, gap = certify(problem, z, correlation(problem, z))
    return np.divide(gap, energy, out=np.zeros_like(gap), where=energy > 0)


def clear_cut(W, y, lam, z, margin=1e-6):
    """Say whether the signs leave no doubt: no code is nearly zero, no correlation outside nearly lam."""
    c = np.abs(2 * (y - z @ W.T) @ W)
    return (np.where(z == 0, lam - c > margin * lam, np.abs(z) * np.linalg.norm(W, axis=0) > margin * lam)).all()


@given(problems(largest_k=5, largest_n=6))
def test_it_finds_the_minimum_that_trying_all_signs_finds(drawn):
    problem, (least, _) = pose(*drawn), by_all_signs(*drawn)
    z, n_iter, converged = solve(problem, zeros(problem), 1e-9, MANY)
    assert converged.all()
    assert n_iter < 1000
    np.testing.assert_allclose(total(drawn.W, drawn.y, z.T, drawn.lam), least, rtol=1e-10, atol=1e-13)


@given(problems(largest_d=20, largest_k=40, largest_n=12))
def test_larger_problems_are_certified_to_many_digits_too(drawn):
    problem = pose(*drawn)
    z, _, converged = solve(problem, zeros(problem), 1e-8, MANY)
    assert converged.all()
    assert relative_gaps(problem, z).max() <= 1e-8


@pytest.mark.parametrize("rounds", [0, 1])
@given(drawn=problems(largest_d=12, largest_k=20, largest_n=6))
def test_the_path_alone_is_enough(rounds, drawn):
    problem = pose(*drawn)
    with patch.object(active_set, "ROUNDS", rounds):
        z, _, converged = solve(problem, zeros(problem), 1e-8, MANY)
    assert converged.all()
    assert relative_gaps(problem, z).max() <= 1e-8


@given(problems(largest_k=5, least=-6, kinds=("random", "common", "scaled", "orthogonal")))
def test_the_path_ends_at_the_signs_that_trying_all_of_them_finds(drawn):
    W, y, lam = drawn
    _, best = by_all_signs(W, y, lam)
    signs, n_steps = follow_path(pose(W, y, lam), MANY)
    assert n_steps < 100
    for n in range(len(y)):
        if clear_cut(W, y[n], lam, best[n]):
            np.testing.assert_array_equal(signs[:, n], np.sign(best[n]))


def test_a_code_may_leave_at_one_border_and_come_back_at_the_other():
    # the second atom joins at c = +t, leaves, and on the next stretch of the path c falls to -t
    W = np.array(
        [
            [-0.112, -0.842, -1.112, 0.486],
            [0.468, -0.175, 0.848, -0.605],
            [1.110, 0.040, -0.036, 0],
            [-0.099, 2.488, -1.612, 0.177],
        ]
    )
    y = np.array([[1.244, 0.718, -0.302, 1.740]])
    problem = pose(W, y, 0.09)
    _, best = by_all_signs(W, y, 0.09)
    np.testing.assert_array_equal(np.sign(best), [[-1, -1, -1, -1]])
    np.testing.assert_array_equal(follow_path(problem, MANY)[0].T, np.sign(best))
    assert follow_path(problem._replace(t=np.array([0.6])), MANY)[0][1] == 1


def test_or_at_the_same_border_where_another_code_has_come_in_between():
    W = np.array([[1.0, -1, 0, -2], [2, 0, -2, -2], [0, 1, 0, 0], [0, -2, 0, -2], [1, 2, -1, -2]])
    y = np.array([[2.0, -3, 0, -2, -1]])
    signs, n_steps = follow_path(pose(W, y, 1.0), MANY)
    np.testing.assert_array_equal(signs.T, np.sign(by_all_signs(W, y, 1.0)[1]))
    assert n_steps == 6  # after the first three come in, one leaves and comes back, and t is reached


def test_of_atoms_that_are_nearly_twins_none_leaves_and_comes_back_for_ever():
    W = np.array([[1.0, 3e-7 - 1, 1, -1, 1], [2.0, 3e-7 - 2, -2, -2, 1]])
    y = np.array([[-3.0, -3.0]])
    signs, n_steps = follow_path(pose(W, y, 0.01), MANY)
    assert n_steps < 10
    z, passed = newton(pose(W, y, 0.01), signs, 1e-9)
    assert passed.all()
    assert total(W, y, z.T, 0.01) == pytest.approx(by_all_signs(W, y, 0.01)[0], rel=1e-10)


def test_where_several_atoms_reach_the_border_at_once_one_may_have_to_leave_again_before_it_has_a_code():
    # at t = 1.35 the second and the fifth join together; then the second's code would take the wrong sign
    W = np.array([[-1.0, -1, 0, 2, -1], [-1, 2, 0, 2, 0], [-2, 2, -1, 1, 1], [-2, 2, -2, 0, 1]])
    y = np.array([[0.0, 0, 3, -3]])
    least, best = by_all_signs(W, y, 1.0)
    assert least == pytest.approx(12.05)
    np.testing.assert_array_equal(follow_path(pose(W, y, 1.0), MANY)[0].T, np.sign(best))


@pytest.mark.parametrize(("of_W", "of_y"), [(1, 1), (2.0**-3, 1), (1, 2.0**-60), (1, 2.0**60)])
def test_without_a_perturbation_these_ties_would_be_gone_round_for_ever_in_any_unit(of_W, of_y):
    W = np.array(
        [[1, 1, 0, -1, 2, 1, -2, 2, -2, -2], [0, -1, -2, -2, -1, 2, 0, 2, 0, 2], [2, -2, 1, 1, 0, 1, -2, 0, -1, 0]]
    )
    problem = pose(of_W * W.astype(float), of_y * np.array([[-1.0, 0, 0]]), of_W * of_y)
    signs, n_steps = follow_path(problem, MANY)
    assert n_steps < 10
    assert newton(problem, signs, 1e-9)[1].all()
    with patch.object(active_set, "TIE", 0):
        assert follow_path(problem, 100)[1] == 100


def test_an_atom_of_zeros_never_joins_however_far_the_path_goes():
    problem = pose(np.array([[1.0, 0, 2], [1, 0, 0]]), np.array([[3.0, 1]]), 1e-12)
    signs, _ = follow_path(problem, MANY)
    np.testing.assert_array_equal(signs[:, 0] != 0, [True, False, True])


def test_a_code_whose_gap_is_small_enough_is_preferred_to_one_of_the_same_energy_whose_gap_is_not():
    # the energy is flat to the last digit where the gap still falls: here sweeping nearly arrives before the path does
    W = np.array(
        [
            [-0.7613658736808602, -2.050316332250863, -2.050316332250863],
            [1.901538103922337, 1.555635906940279, 1.555635906940279],
        ]
    )
    problem = pose(W, np.array([[-0.9176281934474397, -0.33453281079789293]]), 0.006021998598764562)
    assert solve(problem, zeros(problem), 1e-11, MANY)[2].all()


@given(problems(largest_d=8, largest_k=12, largest_n=12, kinds=("duplicate", "opposite")), st.sampled_from([1, 10]))
def test_twins_are_certified_to_many_digits_after_however_much_sweeping(drawn, sweeping):
    problem = pose(*drawn)
    with patch.object(active_set, "SWEEPS", sweeping):
        z, _, converged = solve(problem, zeros(problem), 1e-10, MANY)
    assert converged.all()
    assert relative_gaps(problem, z).max() <= 1e-10


@pytest.mark.parametrize(
    ("W", "y"),
    [
        ([[-1, 0, 0, 1], [0, 0, 1, -1], [1, 0, -1, 1], [-1, -1, 1, 0]], [2, -2, -1, -2]),
        ([[0, 1, 0, -1, 1], [-1, -1, 0, -1, -1], [-1, -1, 1, 0, 1], [1, -1, 1, 1, 0]], [0, 0, -1, 0]),
        ([[1, -1, 0, -1, -1, -1], [-1, 1, 0, 0, 0, 1], [0, 1, -1, -1, 1, -1], [0, 0, 1, 1, -1, 1]], [-1, 0, -2, -2]),
    ],
)
def test_the_path_alone_gets_through_ties_of_many_atoms(W, y):
    W, y = np.array(W, float), np.array([y], float)
    with patch.object(active_set, "ROUNDS", 0):
        z, _, converged = solve(pose(W, y, 1.0), np.zeros((W.shape[1], 1)), 1e-9, MANY)
    assert converged.all()
    assert total(W, y, z.T, 1.0) == pytest.approx(by_all_signs(W, y, 1.0)[0], rel=1e-10)


@given(problems(largest_d=8, largest_k=12, largest_n=12, kinds=("integer",)))
def test_the_path_alone_gets_through_ties(drawn):
    problem = pose(*drawn)
    with patch.object(active_set, "ROUNDS", 0):
        z, _, converged = solve(problem, zeros(problem), 1e-8, MANY)
    assert converged.all()
    assert relative_gaps(problem, z).max() <= 1e-8


@given(generators(), st.integers(1, 9))
def test_the_path_stops_after_so_many_steps_as_are_allowed(rng, n):
    signs, n_steps = follow_path(pose(*draw_problem(rng, lam=1e-3)), n)
    assert n_steps <= n
    assert (np.count_nonzero(signs, axis=0) <= n + 1).all()


@given(generators())
def test_the_path_of_a_sample_does_not_depend_on_its_neighbours(rng):
    W, y, lam = draw_problem(rng, lam=0.05)
    together = follow_path(pose(W, y, lam), MANY)
    alone = [follow_path(pose(W, y[[n]], lam), MANY) for n in range(9)]
    np.testing.assert_array_equal(together[0], np.hstack([signs for signs, _ in alone]))
    assert together[1] == max(n for _, n in alone)


def test_where_t_is_beyond_every_correlation_the_path_is_not_begun(rng):
    W, y, _ = draw_problem(rng)
    _, n_steps = follow_path(pose(W, y, 2.01 * np.abs(y @ W).max()), MANY)
    assert n_steps == 0


@given(problems(largest_k=4, kinds=("random", "common", "scaled")))
def test_from_the_right_signs_newton_is_exact_at_once(drawn):
    W, y, lam = drawn
    least, best = by_all_signs(W, y, lam)
    assume(all(clear_cut(W, y[n], lam, best[n]) for n in range(len(y))))
    with patch.object(active_set, "TRIES", 1):
        z, passed = newton(pose(W, y, lam), np.sign(best).T, 1e-8)
    assert passed.all()
    np.testing.assert_allclose(total(W, y, z.T, lam), least, rtol=1e-11, atol=1e-13)
    assert (np.sign(z.T) == np.sign(best)).all()


@given(generators())
def test_from_nearly_right_signs_newton_corrects_them(rng):
    W, y = 3 * dictionary(rng, 30, 10), rng.normal(size=(9, 30))
    problem = pose(W, y, 10.0)
    best, _, _ = solve(problem, zeros(problem), 1e-12, MANY)
    signs = np.sign(best)
    smallest = np.where(signs != 0, np.abs(best), np.inf).argmin(axis=0)
    assume((signs != 0).any(axis=0).all())
    signs[smallest, np.arange(9)] = 0
    z, passed = newton(problem, signs, 1e-10)
    assert passed.all()
    np.testing.assert_allclose(z, best, atol=1e-9)


@given(generators())
def test_what_newton_passes_is_certified_and_what_it_does_not_is_not(rng):
    W, y, lam = draw_problem(rng)
    problem = pose(W, y, lam)
    z, passed = newton(problem, np.sign(rng.normal(size=(14, 9))) * (rng.random((14, 9)) < 0.4), 1e-6)
    assert (relative_gaps(problem, z) <= 1e-6)[passed].all()
    assert not (relative_gaps(problem, z) <= 1e-6)[~passed].any()


def test_signs_of_more_atoms_than_any_solution_needs_are_passed_by(rng):
    W, y, lam = draw_problem(rng)
    signs = np.zeros((14, 9))
    signs[:, 3] = 1  # fourteen atoms in eight dimensions
    with patch.object(active_set, "TRIES", 1):
        z, passed = newton(pose(W, y, lam), signs, 1e-6)
    assert not z[:, 3].any()
    assert not passed[3]


@given(generators(), st.floats(0.1, 2))
def test_the_signs_of_u_are_those_of_the_prox_step_on_one_atom_alone(rng, t):
    u = np.append(3 * rng.normal(size=6), [t, -t])[:, None]
    expected = [[np.sign(v) if abs(v) > t else 0] for v in u[:, 0]]
    np.testing.assert_array_equal(signs_of(u, np.array([t])), expected)


@given(problems(largest_k=4, kinds=("random", "common")))
def test_at_the_minimiser_the_proposed_signs_are_its_own(drawn):
    W, y, lam = drawn
    _, best = by_all_signs(W, y, lam)
    if all(clear_cut(W, y[n], lam, best[n]) for n in range(len(y))):
        c = W.T @ (y.T - W @ best.T)
        u = (W**2).sum(axis=0)[:, None] * best.T + c
        np.testing.assert_array_equal(signs_of(u, np.full(len(y), lam / 2)), np.sign(best).T)


@given(generators(), st.integers(1, 5))
def test_blocks_of_samples_do_not_change_the_answer(rng, size):
    problem = pose(*draw_problem(rng))
    expected, _, _ = solve(problem, zeros(problem), 1e-10, MANY)
    with patch.object(active_set, "blocks", lambda n, k: (slice(i, i + size) for i in range(0, n, size))):
        found, _, converged = solve(problem, zeros(problem), 1e-10, MANY)
    assert converged.all()
    np.testing.assert_allclose(found, expected, atol=1e-9)


@given(generators(), st.integers(1, 60))
def test_it_never_iterates_more_often_than_allowed_and_tells_who_has_converged(rng, most):
    W, y, _ = draw_problem(rng)
    for lam in (1e-4, 0.3):
        problem = pose(W, y, lam)
        z, n_iter, converged = solve(problem, zeros(problem), 1e-9, most)
        assert n_iter <= most
        np.testing.assert_array_equal(converged, relative_gaps(problem, z) <= 1e-9)
        assert (total(W, y, z.T, lam) <= (y**2).sum(axis=1) * (1 + 1e-6)).all()


@given(generators())
def test_after_enough_sweeps_the_signs_are_right_and_the_equations_need_solving_only_once(rng):
    W, y, _ = draw_problem(rng, d=30, k=10)
    problem = pose(W, y, 1.0)
    once = {"SWEEPS": 40, "TRIES": 1, "_insist": None}  # nobody insists
    with patch.multiple(active_set, **once):
        z, n_iter, converged = solve(problem, zeros(problem), 1e-7, MANY)
    assert converged.all()
    assert 40 <= n_iter < 60
    np.testing.assert_allclose(total(W, y, z.T, 1.0), solve_energy(W, y, 1.0), rtol=1e-9)


def solve_energy(W, y, lam):
    problem = pose(W, y, lam)
    return total(W, y, solve(problem, zeros(problem), 1e-12, MANY)[0].T, lam)


@pytest.mark.parametrize("warm", [False, True])
def test_iterations_are_sweeps_and_steps_on_the_path_and_only_a_start_from_zero_descends(warm, rng):
    W, y, _ = draw_problem(rng)
    problem = pose(W, y, 1e-3)
    counts, descends = [], []

    def count_sweeps(problem, z, n, *, descend=False):
        counts.append(n)
        descends.append(descend)
        return sweeps(problem, z, n, descend=descend)

    def count_steps(problem, most):
        signs, n = follow_path(problem, most)
        counts.append(n)
        return signs, n

    start = rng.normal(size=(14, 9)) if warm else zeros(problem)
    with patch.multiple(active_set, sweeps=count_sweeps, follow_path=count_steps):
        _, n_iter, converged = solve(problem, start, 1e-9, MANY)
    assert converged.all()
    assert len(counts) > len(descends) > 0  # the path was needed
    assert n_iter == sum(counts)
    assert descends == [not warm] + [False] * (len(descends) - 1)


def test_where_the_first_guess_was_too_poor_more_sweeps_do_before_the_path_is_asked(rng):
    W, y, _ = draw_problem(rng, d=30, k=20)
    problem = pose(W, y, 1.0)
    with patch.multiple(active_set, SWEEPS=0, TRIES=1, ROUNDS=8, follow_path=None):  # nobody follows it
        z, _, converged = solve(problem, zeros(problem), 1e-7, MANY)
    assert converged.all()
    np.testing.assert_allclose(total(W, y, z.T, 1.0), solve_energy(W, y, 1.0), rtol=1e-9)


@given(generators(), st.sampled_from([0.02, 0.3, 2.0]))
def test_a_start_elsewhere_ends_at_the_same_codes_and_one_at_the_minimiser_stays_there(rng, lam):
    W, y, _ = draw_problem(rng)
    problem = pose(W, y, lam)
    best, _, _ = solve(problem, zeros(problem), 1e-10, MANY)
    found, _, converged = solve(problem, 10 * rng.normal(size=(14, 9)), 1e-10, MANY)
    assert converged.all()
    np.testing.assert_allclose(found, best, atol=1e-8)
    if best.any():
        again, n_iter, converged = solve(problem, best, 1e-10, MANY)
        assert n_iter == 0
        assert converged.all()
        np.testing.assert_array_equal(again, best)
        assert not np.shares_memory(again, best)


@given(generators())
def test_codes_are_exact_to_rounding_even_where_much_less_was_asked_for(rng):
    # once the signs are right, equation (1) gives all digits
    W, y, _ = draw_problem(rng, d=30, k=10)
    problem = pose(W, y, 1.0)
    z, _, converged = solve(problem, zeros(problem), 1e-6, MANY)
    assert converged.all()
    c = correlation(problem, z)
    np.testing.assert_allclose(c[z != 0], 0.5 * np.sign(z[z != 0]), atol=1e-11)


def test_nothing_handed_in_is_written_to_and_single_precision_is_kept(rng):
    for dtype in (np.float32, np.float64):
        problem = pose(*draw_problem(rng)).astype(dtype)
        z = rng.normal(size=(14, 9)).astype(dtype)
        for a in (*problem[:4], z):
            a.setflags(write=False)
        for start in (z, np.zeros_like(z)):
            found, _, converged = solve(problem, start, 1e-3, MANY)
            assert found.dtype == dtype
            assert converged.dtype == bool
            assert converged.all()


@pytest.mark.parametrize("W", [np.zeros((3, 2)), np.eye(3, 2)])
def test_a_problem_without_any_correlation_is_solved_by_zero(W):
    y = np.zeros((4, 3)) if W.any() else np.ones((4, 3))
    z, _, converged = solve(pose(W, y, 0.1), np.zeros((2, 4)), 1e-6, MANY)
    assert not z.any()
    assert converged.all()
