"""Jams in virtual time: the real cores of bridge and relay over the model of a bad network."""
