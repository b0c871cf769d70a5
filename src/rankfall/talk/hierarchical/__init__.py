"""The experiment hierarchical."""
