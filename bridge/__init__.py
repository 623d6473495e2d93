"""The bridge of jamrelay: what stands beside each player's Sonic Pi."""
