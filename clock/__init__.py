"""Shared time: exchanges, filter, discipline, conversions.

Pure, except `sources`, which reads the clocks. Imports nothing else of this repository.
"""
