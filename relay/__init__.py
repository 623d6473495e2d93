"""The relay of jamrelay, and the protocol that relay and bridge speak with each other (`relay.wire`)."""
