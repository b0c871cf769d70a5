"""Which problems the theorems are about: ``[[*, z], [z', eps]]``, its positions, and its d x d extension."""

from typing import Any, NamedTuple

import numpy as np

from rankfall.problems import AbstractProblem
from rankfall.theory.sign_rule import required_det_sign


class Family(NamedTuple):
    """Parameters of ``rankfall.two_by_two`` that give a problem."""

    z: float
    z_prime: float
    eps: float
    position: tuple[int, int]
    size: int

    @property
    def required_det_sign(self) -> int:
        """Sign of the determinant that the theorems ask for."""
        return required_det_sign(self.position, self.z, self.z_prime)

    @property
    def base(self) -> bool:
        """Whether it is ``[[*, 1], [1, 0]]`` up to signs of rows and columns, which change nothing but that sign."""
        return self.size == 2 and abs(self.z) == abs(self.z_prime) == 1.0 and self.eps == 0.0


def family(problem: Any) -> Family | None:
    """Return the parameters of a problem, however it was built; None for one that is not in the family."""
    if not isinstance(problem, AbstractProblem) or len(problem.shape) != 2:
        return None
    if problem.shape[0] != problem.shape[1] or problem.unobserved_indices is None:
        return None
    free = np.asarray(problem.unobserved_indices)
    if len(free) != 1 or free.max() > 1 or problem.shape[0] < 2:
        return None
    row, column = (int(i) for i in free[0])
    dense = problem.adjoint(np.asarray(problem.values, dtype=np.float64))
    z, z_prime, eps = (float(dense[i]) for i in ((row, 1 - column), (1 - row, column), (1 - row, 1 - column)))
    rest = dense - np.eye(len(dense))
    rest[:2, :2] = 0.0
    if z == 0.0 or z_prime == 0.0 or rest.any():
        return None
    return Family(z, z_prime, eps, (row, column), len(dense))
