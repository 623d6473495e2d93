"""Shells: sockets, files and the clock of a relay."""
