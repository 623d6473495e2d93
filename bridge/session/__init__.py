"""Session: a bridge's membership in a room, with uplink, downlink and messages to the player."""
