"""Playout: decides which events the local scsynth is handed, and when."""
