"""Probe: a path to a relay, measured."""
