"""What pictures share: style, curves of lanes, bands."""
