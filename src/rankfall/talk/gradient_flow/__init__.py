"""The experiment gradient-flow."""
