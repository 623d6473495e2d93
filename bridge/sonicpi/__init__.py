"""Sonic Pi: setting its schedule-ahead, and checking that it starts our scsynth."""
