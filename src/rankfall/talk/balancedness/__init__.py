"""The experiment balancedness."""
