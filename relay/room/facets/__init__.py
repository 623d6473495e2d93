"""The facets that rooms have today, one module each."""
