"""The experiment circuit-equivalence."""
