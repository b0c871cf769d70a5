"""The experiment mapping-rank."""
