"""The experiment convergence."""
