"""The experiment norms-and-rank."""
