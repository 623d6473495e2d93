"""Sonic Pi: how far ahead it schedules, and whether it starts our scsynth."""
