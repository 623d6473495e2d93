"""Hub: the core of a relay. It holds all rooms, admits or refuses bridges, and does the work that is due."""
