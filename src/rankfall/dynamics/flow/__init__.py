"""Gradient flow: the factors' own, and that of balanced factors in the singular values of their product."""

from .flows import EndToEndFlow, GradientFlow, SpectralFlow

__all__ = ["EndToEndFlow", "GradientFlow", "SpectralFlow"]
