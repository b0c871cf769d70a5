"""Training beside norms: the conjecture that a norm is minimised, put to the test on any problem."""

from .compare import compare
from .verdict import Comparison, Verdict

__all__ = ["Comparison", "Verdict", "compare"]
