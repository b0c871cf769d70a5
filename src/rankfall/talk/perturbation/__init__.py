"""The experiment perturbation."""
