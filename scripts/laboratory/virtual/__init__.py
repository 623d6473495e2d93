"""Virtual: jams in virtual time, with the real cores of bridge and relay over a model of bad networks."""
