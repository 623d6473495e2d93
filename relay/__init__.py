"""The relay of jamrelay, and `relay.wire`, what relay and bridge speak with each other."""
