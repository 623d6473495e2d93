"""Proof: whether all scsynths of a room were handed the same."""
