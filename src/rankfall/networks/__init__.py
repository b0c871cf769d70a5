"""Convolutional arithmetic circuits: the networks whose predictions are tensor factorizations of their weights."""

from .circuits import DeepCircuit, ShallowCircuit
from .grid import GridNetwork
from .inputs import AffineRepresentation, one_hot, patches
from .network import Network

__all__ = ["AffineRepresentation", "DeepCircuit", "GridNetwork", "Network", "ShallowCircuit", "one_hot", "patches"]
