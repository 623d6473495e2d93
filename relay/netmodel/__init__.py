"""Model of bad networks."""
