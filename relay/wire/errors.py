"""Errors, sorted by whose fault they are.

`RemoteError`: a peer is at fault. Its datagram is counted and dropped, and the jam goes on. `LocalError`: the
caller is at fault and is shown the text. A failed `assert`: a bug of ours.
"""


class RemoteError(Exception):
    """Input from outside breaks the protocol. The code that catches this counts it, drops it and goes on."""


class MalformedOsc(RemoteError):
    """OSC bytes that could harm scsynth, so they are never handed to it."""


class MalformedDatagram(RemoteError):
    """A datagram or frame that does not parse, does not open, or was opened before."""


class MalformedControl(RemoteError):
    """A control message that does not decode, or that its sender may not send now."""


class Refused(RemoteError):
    """A well-formed message that is not allowed. `reason`: a short word by which refusals are counted."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class LocalError(Exception):
    """The caller asked for something impossible. The text says what to do instead."""
