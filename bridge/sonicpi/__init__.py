"""Sonic Pi: its schedule-ahead, and whether it starts our scsynth."""
