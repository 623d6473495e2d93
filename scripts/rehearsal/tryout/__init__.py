"""Tryout: programs of other people, played by a plain Sonic Pi and in a jam."""
