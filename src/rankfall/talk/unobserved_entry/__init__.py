"""The experiment unobserved-entry."""
