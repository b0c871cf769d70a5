"""The experiment solution-set."""
