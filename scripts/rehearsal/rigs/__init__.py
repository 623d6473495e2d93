"""Rigs: genuine Sonic Pis, their screens and sound cards, and recorders of their messages and sound."""
