"""Star: a bad network of this machine's own, between real programs."""
