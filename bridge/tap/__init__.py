"""Tap: what the local Sonic Pi sends, and what it is told."""
