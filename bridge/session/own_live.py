"""Own live: messages that tell the relay the own live state, and which own notes have ended.

Pure. Usually the relay learns the own live state from the own events. It has missed events if it was
restarted, if this bridge was away from the room, or if Sonic Pi was started before the relay was reached.
"""

from collections.abc import Iterator

from relay.wire.control import Ended, LivePart
from relay.wire.control.live import ENDED_MAX, PART_BYTES
from relay.wire.live.state import Piece

MESSAGE_BYTES = 32
"""Bytes counted for each message in addition to its own, as the relay counts them."""


def parts_of(slot: int, pieces: list[Piece], *, number: int = 0, at: int = 0) -> Iterator[LivePart]:
    """Yield a live state in parts. An empty live state has no parts. number, at: as in `LivePart`."""
    index, size, taken = 0, 0, list[Piece]()
    for piece in pieces:
        weight = sum(len(message) + MESSAGE_BYTES for message in (piece.payload, *piece.settings))
        if taken and size + weight > PART_BYTES:
            yield LivePart(slot=slot, number=number, at=at, index=index, last=False, pieces=[*taken])
            index, size, taken = index + 1, 0, []
        taken.append(piece)
        size += weight
    if taken:
        yield LivePart(slot=slot, number=number, at=at, index=index, last=True, pieces=[*taken])


def endings(seqs: list[int]) -> list[Ended]:
    """Return the messages that tell the relay which own notes have ended."""
    return [Ended(seqs=seqs[at : at + ENDED_MAX]) for at in range(0, len(seqs), ENDED_MAX)]
