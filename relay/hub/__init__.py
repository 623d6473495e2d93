"""Hub: the core of a relay. It holds all rooms, decides which bridges come in, and knows which work is
due."""
