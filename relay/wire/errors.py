"""Errors, sorted by who is at fault.

A peer at fault (`RemoteError`) is counted and its datagram dropped: the jam goes on. A caller at fault
(`LocalError`) is told. When we are at fault, an `assert` says so.
"""


class RemoteError(Exception):
    """What came from outside is not what the protocol allows; count it, drop it, go on."""


class MalformedOsc(RemoteError):
    """Bytes that are not the OSC that scsynth can be handed safely."""


class MalformedDatagram(RemoteError):
    """A datagram or frame that does not parse, does not open, or was seen before."""


class MalformedControl(RemoteError):
    """A control message that does not decode or is not allowed here."""


class Refused(RemoteError):
    """A well-formed message that may not be played: `reason` is a short word for counters."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class LocalError(Exception):
    """The caller asked for something that cannot be; the text says what to do instead."""
