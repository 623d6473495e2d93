"""Errors, sorted by who is at fault.

A peer at fault: `RemoteError`; the datagram is counted and dropped, and the jam goes on. A caller at fault:
`LocalError`, shown to the caller. A bug of ours: `assert`.
"""


class RemoteError(Exception):
    """Input from outside breaks the protocol. Count it, drop it, go on."""


class MalformedOsc(RemoteError):
    """OSC bytes that scsynth can't be handed safely."""


class MalformedDatagram(RemoteError):
    """A datagram or frame that does not parse, does not open, or was opened before."""


class MalformedControl(RemoteError):
    """A control message that does not decode or is not allowed here."""


class Refused(RemoteError):
    """A well-formed message that may not be played. `reason` is a short word for counters."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class LocalError(Exception):
    """The caller asked for something impossible. The text says what to do instead."""
