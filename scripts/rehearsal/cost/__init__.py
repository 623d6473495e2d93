"""Cost: what a jam takes of a machine, and for how long it holds."""
