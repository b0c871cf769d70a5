"""The experiment any-norm."""
