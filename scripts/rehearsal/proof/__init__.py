"""Proof: checks that all scsynths of a room were handed the same messages, in the same order and in time."""
