"""The experiment singular-values."""
