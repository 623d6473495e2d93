"""Lead: how far ahead a room plays, and the measurements that decide it."""
