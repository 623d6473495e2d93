"""Errors, sorted by whose fault they are.

`RemoteError`: a peer is at fault. Its datagram is counted and dropped, and the jam goes on. `LocalError`: the
caller is at fault and is shown the text. A failed `assert`: a bug of ours.
"""


class RemoteError(Exception):
    """A peer's message or datagram breaks the protocol. The code that catches this error counts it and goes
    on."""


class MalformedOsc(RemoteError):
    """OSC bytes are malformed. They could harm scsynth, so they are never handed to it."""


class MalformedDatagram(RemoteError):
    """A datagram or frame doesn't parse, can't be decrypted, or was received before."""


class MalformedControl(RemoteError):
    """A control message can't be decoded, or its sender may not send it now."""


class Refused(RemoteError):
    """A well-formed message isn't allowed. `reason`: a short word by which refusals are counted."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class LocalError(Exception):
    """The caller asked for something impossible. The text says what to do instead."""
