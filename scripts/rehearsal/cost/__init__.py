"""Cost: the load of a jam on a machine, and its endurance."""
