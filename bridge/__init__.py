"""The bridge of jamrelay: the program beside each player's Sonic Pi."""
