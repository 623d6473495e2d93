"""Models of bad networks."""
