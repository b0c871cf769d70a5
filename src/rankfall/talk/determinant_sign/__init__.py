"""The experiment determinant-sign."""
