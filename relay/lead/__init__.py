"""Lead: computes a room's lead and shift from measured delays."""
