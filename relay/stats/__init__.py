"""Statistics of a relay: gathered, and shown to people."""
