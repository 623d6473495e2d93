"""Statistics of a relay: gathers and displays them."""
