"""Hub: all rooms of a relay, who comes in, what has something to do."""
