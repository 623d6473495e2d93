"""Star: emulates bad networks inside this machine, between real programs."""
