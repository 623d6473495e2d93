"""Shells: sockets, processes, files and the clock of a bridge."""
