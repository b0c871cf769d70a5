"""How parameters move: the one compiled loop, gradient descent in it, and what is recorded on the way."""

from .descent import GradientDescent, group_rmsprop
from .flow import EndToEndFlow, GradientFlow, SpectralFlow
from .recording import Record
from .run import Run
from .stopping import Stop
from .train import train

__all__ = [
    "EndToEndFlow",
    "GradientDescent",
    "GradientFlow",
    "Record",
    "Run",
    "SpectralFlow",
    "Stop",
    "group_rmsprop",
    "train",
]
