"""Probe: measures the path to a relay."""
