"""How parameters move: gradient descent and the flows in one compiled loop, and what is recorded on the way."""

from . import potentials
from .adaptive import AdaptiveDescent
from .best import best_of
from .checkpoint import Checkpoint
from .closed import LinearFlow
from .descent import GradientDescent, group_rmsprop
from .exponential import ExponentialDescent
from .flow import AlignedFlow, EndToEndFlow, GradientFlow, IdentityFlow, SpectralFlow, SymmetricFlow
from .mirror import MirrorDescent
from .normalized import NormalizedDescent
from .recording import Record
from .run import Run
from .stochastic import StochasticDescent
from .stopping import Stop
from .stored import load_run
from .train import train

__all__ = [
    "AdaptiveDescent",
    "AlignedFlow",
    "Checkpoint",
    "EndToEndFlow",
    "ExponentialDescent",
    "GradientDescent",
    "GradientFlow",
    "IdentityFlow",
    "LinearFlow",
    "MirrorDescent",
    "NormalizedDescent",
    "Record",
    "Run",
    "SpectralFlow",
    "StochasticDescent",
    "Stop",
    "SymmetricFlow",
    "best_of",
    "group_rmsprop",
    "load_run",
    "potentials",
    "train",
]
