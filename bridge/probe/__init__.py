"""Probe: measures a path to a relay."""
