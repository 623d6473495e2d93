"""The code that owns sockets: UDP for sealed datagrams, and TLS over TCP."""
