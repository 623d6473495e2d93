"""Tryout: programs of other people, alone and in a jam."""
