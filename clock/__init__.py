"""Shared time: measures the relay's time by NTP exchanges, and converts between clocks.

Pure, except `sources`, which reads the clocks. This package imports nothing else of this repository.
"""
