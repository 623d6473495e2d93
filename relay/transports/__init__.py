"""Shells that own sockets: sealed UDP and TLS over TCP."""
