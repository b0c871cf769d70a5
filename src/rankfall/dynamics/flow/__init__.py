"""Gradient flow: the factors' own, that of balanced factors in singular values, and flows that few numbers describe."""

from .flows import EndToEndFlow, GradientFlow, SpectralFlow
from .reduced_flows import AlignedFlow, IdentityFlow, SymmetricFlow

__all__ = ["AlignedFlow", "EndToEndFlow", "GradientFlow", "IdentityFlow", "SpectralFlow", "SymmetricFlow"]
