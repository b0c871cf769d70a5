"""What the theorems need of a run: its recorded measures as arrays of shape (lanes, records), in one convention."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankfall.dynamics import EndToEndFlow
from rankfall.measures.named_norms import is_norm, named_norm
from rankfall.theory._inputs import FloatArray
from rankfall.theory.family import Family

# Names of the Schatten norms that have one.
_SCHATTEN = {1.0: "nuclear", 2.0: "frobenius", np.inf: "spectral"}


@dataclass(frozen=True)
class Records:
    """Recorded measures of a run on a problem of the family."""

    run: Any
    family: Family

    def __getitem__(self, name: str) -> FloatArray:
        """Return a variable of the trajectory in double precision."""
        return np.asarray(self.run.trajectory[name].values, dtype=np.float64)

    def __contains__(self, name: str) -> bool:
        return name in self.run.trajectory

    @property
    def depth(self) -> float:
        """Number of layers."""
        return float(self.run.trajectory.attrs["depth"])

    @property
    def flow(self) -> bool:
        """Whether it is the flow that the theorems speak about, and not descent."""
        return bool(self.run.dynamics.follows_flow)

    @property
    def double(self) -> bool:
        """Whether it was trained in double precision."""
        return bool(self.run.problem.dtype == "float64")

    @property
    def tolerance(self) -> float:
        """Rounding of a bound that is attained in the limit, relative to it."""
        return 1e-9 if self.double else 1e-4

    @cached_property
    def exists(self) -> NDArray[np.bool_]:
        """Which records there are: lanes end at different ones, and a diverged one has no loss."""
        return (self.run.trajectory["step"].values >= 0) & np.isfinite(self["loss"])

    @cached_property
    def loss(self) -> FloatArray:
        """Half the sum of squared residuals; 1 where there is no record."""
        return np.where(self.exists, np.asarray(self.run.problem.half_sse(self["loss"])), 1.0)

    @cached_property
    def time(self) -> FloatArray:
        """Flow time of the loss in that convention."""
        return self["time"] * self.run.problem.require_least_squares("theory.check").rate

    @cached_property
    def sign(self) -> FloatArray:
        """Sign of the determinant, times the required one; 0 where rounding has taken it."""
        sign = self["det_sign"] * self.family.required_det_sign
        if isinstance(self.run.dynamics, EndToEndFlow):
            # It knows nothing but the matrix, whose determinant is noise once a singular value is.
            s = self["singular_values"]
            known = s[..., -1] > 100.0 * self.family.size * np.finfo(np.float64).eps * s[..., 0]
            sign = np.where(known, sign, 0.0)
        return np.where(np.isfinite(sign), sign, 0.0)

    @cached_property
    def counted(self) -> NDArray[np.bool_]:
        """Records of the required sign; all of a run that has none, which is refused anyway."""
        right = self.exists & (self.sign > 0)
        return right if right.any() else self.exists

    @cached_property
    def entry(self) -> FloatArray:
        """Absolute value of the unobserved entry."""
        return np.abs(self["unobserved"][..., 0])

    @cached_property
    def determinant(self) -> FloatArray:
        """Absolute value of the determinant."""
        return np.exp(self["log_abs_det"])

    @cached_property
    def start_scale(self) -> FloatArray:
        """Root mean square entry of each start, shape (lanes, 1)."""
        first = self["singular_values"][:, :1]
        return np.sqrt((first**2).sum(axis=-1)) / self.family.size

    @cached_property
    def norms(self) -> dict[str, tuple[float, FloatArray]]:
        """Recorded norms by name, each 1 at a matrix with a single 1: triangle constants, and values."""
        exponents, values = self["p"], self["schatten_norm"]
        found = {
            schatten_name(p): (2.0 ** max(1.0 / p - 1.0, 0.0), values[..., i]) for i, p in enumerate(exponents.tolist())
        }
        # Those that were recorded by name, unless they are one of these by another name.
        for name, variable in self.run.trajectory.data_vars.items():
            if is_norm(name) and variable.dims == ("lane", "record") and same_norm(str(name), found) is None:
                constant = named_norm("norms", name).triangle_constant
                assert constant is not None
                found[str(name)] = (constant, self[str(name)])
        return found

    @property
    def places(self) -> dict[str, NDArray[Any]]:
        """What is said of a place beyond its lane and record."""
        return {name: self.run.trajectory[name].values for name in ("step", "time", "loss")}


def schatten_name(p: float) -> str:
    """Name of the Schatten norm of an exponent."""
    return _SCHATTEN.get(p, f"schatten-{p:g}")


def same_norm(name: str, names: Iterable[str]) -> str | None:
    """Return that of several names of norms that names the same norm, ``None`` where there is none."""
    wanted = named_norm("norms", name)
    for other in names:
        found = named_norm("norms", other)
        if (found.family, found.order) == (wanted.family, wanted.order):
            return other
    return None
