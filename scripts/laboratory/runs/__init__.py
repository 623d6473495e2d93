"""Runs: tries one point of the laboratory's matrix, in virtual time or with real processes."""
