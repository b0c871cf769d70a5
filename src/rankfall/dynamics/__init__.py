"""How parameters move: gradient descent and the flows in one compiled loop, and what is recorded on the way."""

from .adaptive import AdaptiveDescent
from .closed import LinearFlow
from .descent import GradientDescent, group_rmsprop
from .exponential import ExponentialDescent
from .flow import AlignedFlow, EndToEndFlow, GradientFlow, IdentityFlow, SpectralFlow, SymmetricFlow
from .recording import Record
from .run import Run
from .stopping import Stop
from .train import train

__all__ = [
    "AdaptiveDescent",
    "AlignedFlow",
    "EndToEndFlow",
    "ExponentialDescent",
    "GradientDescent",
    "GradientFlow",
    "IdentityFlow",
    "LinearFlow",
    "Record",
    "Run",
    "SpectralFlow",
    "Stop",
    "SymmetricFlow",
    "group_rmsprop",
    "train",
]
