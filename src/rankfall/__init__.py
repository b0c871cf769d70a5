"""rankfall: which of the many solutions does gradient-based training pick."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import claims, datasets, factorizations, measures, networks, problems, references, theory
from ._version import __version__
from .datasets import (
    commuting_sensing,
    low_cp_rank_completion,
    low_hierarchical_rank_completion,
    low_rank_completion,
    low_rank_sensing,
    read_movielens,
)
from .dynamics import (
    AdaptiveDescent,
    AlignedFlow,
    Checkpoint,
    EndToEndFlow,
    ExponentialDescent,
    GradientDescent,
    GradientFlow,
    IdentityFlow,
    LinearFlow,
    MirrorDescent,
    NormalizedDescent,
    Record,
    Run,
    SpectralFlow,
    StochasticDescent,
    Stop,
    SymmetricFlow,
    best_of,
    group_rmsprop,
    load_run,
    potentials,
    train,
)
from .factorizations import (
    CPFactorization,
    HierarchicalFactorization,
    MatrixFactorization,
    SpectralFactorization,
    TuckerFactorization,
)
from .problems import (
    LinearClassification,
    LinearRegression,
    MatrixCompletion,
    MatrixSensing,
    Supervised,
    TensorCompletion,
    TensorSensing,
    two_by_two,
)
from .statements import Challenge, Comparison, Verdict, challenge, compare

if TYPE_CHECKING:
    from . import experiments, talk
    from .experiments import Sweep, open_results

__all__ = [
    "AdaptiveDescent",
    "AlignedFlow",
    "CPFactorization",
    "Challenge",
    "Checkpoint",
    "Comparison",
    "EndToEndFlow",
    "ExponentialDescent",
    "GradientDescent",
    "GradientFlow",
    "HierarchicalFactorization",
    "IdentityFlow",
    "LinearClassification",
    "LinearFlow",
    "LinearRegression",
    "MatrixCompletion",
    "MatrixFactorization",
    "MatrixSensing",
    "MirrorDescent",
    "NormalizedDescent",
    "Record",
    "Run",
    "SpectralFactorization",
    "SpectralFlow",
    "StochasticDescent",
    "Stop",
    "Supervised",
    "Sweep",
    "SymmetricFlow",
    "TensorCompletion",
    "TensorSensing",
    "TuckerFactorization",
    "Verdict",
    "__version__",
    "best_of",
    "challenge",
    "claims",
    "commuting_sensing",
    "compare",
    "datasets",
    "experiments",
    "factorizations",
    "group_rmsprop",
    "load_run",
    "low_cp_rank_completion",
    "low_hierarchical_rank_completion",
    "low_rank_completion",
    "low_rank_sensing",
    "measures",
    "networks",
    "open_results",
    "potentials",
    "problems",
    "read_movielens",
    "references",
    "talk",
    "theory",
    "train",
    "two_by_two",
]


def __getattr__(name: str) -> Any:
    # Sweeps and the talk bring pydantic and HDF5 along, which whoever trains in Python does not wait for.
    if name in ("Sweep", "open_results"):
        return getattr(import_module(".experiments", __name__), name)
    if name in ("experiments", "talk"):
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
