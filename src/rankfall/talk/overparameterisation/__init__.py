"""The experiment overparameterisation."""
