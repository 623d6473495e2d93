"""Tryout: plays other people's programs in a plain Sonic Pi and in a jam, and compares the two."""
