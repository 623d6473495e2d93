"""Shared time: finds out by NTP exchanges what time it is at the relay, and converts between clocks.

Pure, except `sources`, which reads the clocks. This package imports nothing else of this repository.
"""
