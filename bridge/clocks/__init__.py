"""Clocks: session time on this host."""
