import itertools

import numpy as np
import pytest

import rankfall as rf

POSITIONS = list(itertools.product((0, 1), repeat=2))


def solution(problem, x):
    w = np.full(problem.shape, float(x))
    w[tuple(problem.indices.T)] = problem.values
    return w


def test_the_problem_of_the_talk():
    problem = rf.two_by_two()
    assert problem.unobserved_indices.tolist() == [[0, 0]]
    assert solution(problem, 7).tolist() == [[7, 1], [1, 0]]
    assert (problem.infimal_rank, problem.infimal_erank, problem.required_det_sign) == (1, 1.0, 1)
    assert problem.loss_kind == "half_sse" and problem.dtype == "float64" and problem.truth is None


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("z, z_prime", [(1.0, 1.0), (-2.0, 0.5), (-1.0, -3.0), (1e-200, 1e-200), (1e-200, -1e-200)])
def test_positions_and_required_sign(position, z, z_prime):
    problem = rf.two_by_two(z, z_prime, 0.25, position=position)
    i, j = position
    assert problem.unobserved_indices.tolist() == [[i, j]]
    w = solution(problem, 0)
    assert (w[i, 1 - j], w[1 - i, j], w[1 - i, 1 - j]) == (z, z_prime, 0.25)
    # swapping rows or columns to bring the entry to the corner flips the determinant
    swap = np.eye(2)[::-1]
    to_corner = (swap if i else np.eye(2)) @ w @ (swap if j else np.eye(2))
    assert to_corner[0, 1] == z and to_corner[1, 0] == z_prime
    flips = -1 if i != j else 1
    assert problem.required_det_sign == flips * np.sign(z) * np.sign(z_prime)


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_every_solution_has_the_determinant_that_is_not_wanted(size, position):
    problem = rf.two_by_two(position=position, size=size)
    assert problem.shape == (size, size) and problem.observed == size**2 - 1
    assert (problem.infimal_rank, problem.infimal_erank) == (size - 1, 1.0)
    for x in (-3.0, 0.0, 0.5, 20.0):
        w = solution(problem, x)
        assert problem.loss(w) == 0
        np.testing.assert_allclose(np.linalg.det(w), -problem.required_det_sign, rtol=1e-12)
        if position == (0, 0):
            np.testing.assert_allclose(np.linalg.det(w), -1.0, rtol=1e-12)
    far = solution(problem, 1e6)
    assert rf.measures.distance_to_rank(far, size - 1) < 2e-6
    np.testing.assert_allclose(rf.measures.effective_rank(far), 1.0, atol=1e-4)


@pytest.mark.parametrize("eps", [0.01, 0.05, 0.1, 0.5])
def test_perturbed_problem_has_a_rank_one_solution(eps):
    problem = rf.two_by_two(-2.0, 0.5, eps, loss="mse", dtype="float32")
    assert problem.required_det_sign == -1 and problem.loss_kind == "mse" and problem.dtype == "float32"
    np.testing.assert_allclose(rf.measures.effective_rank(solution(problem, -1 / eps)), 1.0, atol=1e-6)


BAD = {
    "size huge": (lambda: rf.two_by_two(size=2**40), "^size is .* no memory"),
    "z zero": (lambda: rf.two_by_two(0.0), "^z is 0"),
    "z_prime zero": (lambda: rf.two_by_two(1.0, 0.0), "^z_prime is 0"),
    "z nan": (lambda: rf.two_by_two(np.nan), "z is nan, but must be finite"),
    "eps infinite": (lambda: rf.two_by_two(1.0, 1.0, np.inf), "eps is inf"),
    "position": (lambda: rf.two_by_two(position=(0, 2)), "position is"),
    "size one": (lambda: rf.two_by_two(size=1), "size is 1"),
    "loss": (lambda: rf.two_by_two(loss="sse"), "loss is 'sse'"),
    "dtype": (lambda: rf.two_by_two(dtype="int8"), "dtype is 'int8'"),
}


@pytest.mark.parametrize("case", BAD)
def test_refusals_name_the_argument(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()
