"""The experiment depth-law."""
