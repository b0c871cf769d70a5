"""The experiment exact-recovery."""
