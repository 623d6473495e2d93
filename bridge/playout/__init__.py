"""Playout: what the local scsynth is handed, and when."""
