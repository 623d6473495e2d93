"""Cost: the CPU, memory and delay of a jam, and its endurance."""
