"""Rigs: genuine Sonic Pis, their screens and sound cards, and what records them."""
