"""The facets of rooms, one module each."""
