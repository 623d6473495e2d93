"""Shared time: exchanges, filter, discipline, conversions. Pure but for `sources`.

Imports nothing of ours.
"""
