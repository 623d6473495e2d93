"""Rigs: genuine Sonic Pis, their screens and sound cards, and the recorders."""
