"""The experiment spectrum-dynamics."""
