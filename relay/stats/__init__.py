"""Statistics of a relay: gathering and display."""
