"""Session: a bridge's membership in a room: uplink, downlink, and messages to the player."""
