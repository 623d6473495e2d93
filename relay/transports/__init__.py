"""Transports: the code that owns sockets, with UDP for sealed datagrams and TLS over TCP for control
messages."""
