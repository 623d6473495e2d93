"""Session: a bridge in its room: up to the relay, down from it, what people are told."""
