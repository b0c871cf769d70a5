"""The experiment rank-of-data."""
