"""The experiment nuclear-norm-or-not."""
