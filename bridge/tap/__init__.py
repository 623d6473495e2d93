"""Tap: processes the messages of the local Sonic Pi, and the replies to it."""
