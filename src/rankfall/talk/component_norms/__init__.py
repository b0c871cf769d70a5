"""The experiment component-norms."""
