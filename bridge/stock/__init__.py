"""Sonic Pi's own files on this host, and what the room plays that this host lacks."""
