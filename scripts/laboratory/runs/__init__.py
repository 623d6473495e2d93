"""Runs: one point of the laboratory, tried in virtual time or for real."""
