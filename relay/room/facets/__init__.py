"""The facets that a room has today, one module each."""
