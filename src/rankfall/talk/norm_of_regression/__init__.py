"""The experiment norm-of-regression."""
