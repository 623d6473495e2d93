"""Copies: receives the live states of the other members from the relay, part by part.

Pure. Waiting is timed by the local clock (s), because session time may be set in one step. Bound: for each
slot one copy at a time, with at most PARTS_MAX parts.
"""

from dataclasses import dataclass, field

from bridge.playout.live_slot import Copy
from relay.wire import frames
from relay.wire.control import LivePart
from relay.wire.errors import MalformedControl, MalformedDatagram
from relay.wire.live.state import Piece
from relay.wire.sequence import Judged

SILENT_S = 3.0
"""If no part of a copy has come for this long (s), the copy is late. Its slot is then played without it, and
the relay is asked for the copy again."""
ASKED_TIMES = 5
"""How often the relay is asked again for one late copy."""


@dataclass(slots=True)
class _Awaited:
    """A copy that is waited for. since_s: the local instant (s) at which the wait began or the last part
    came. times: how often the copy was late."""

    since_s: float
    times: int = 0


@dataclass(slots=True)
class _Parts:
    pieces: list[Piece] = field(default_factory=list)
    events: list[Judged] = field(default_factory=list)
    count: int = 0


class Copies:
    """The copies that are waited for, and those that have come in part."""

    def __init__(self) -> None:
        self._awaited: dict[int, _Awaited] = {}
        self._parts: dict[int, _Parts] = {}

    def expect(self, slots: list[int], now_s: float) -> None:
        """Wait for a copy of each of these slots."""
        for slot in slots:
            self._awaited[slot] = _Awaited(now_s)

    def forget(self, slots: list[int]) -> None:
        """Wait no more for the copies of these slots."""
        for slot in slots:
            self._awaited.pop(slot, None)
            self._parts.pop(slot, None)

    def clear(self) -> None:
        """Forget all copies, because the connection that brought them has ended."""
        self._awaited.clear()
        self._parts.clear()

    def part(self, part: LivePart, now_s: float) -> Copy | None:
        """Process a part. Return the copy if it is complete now.

        Raises MalformedControl if the part doesn't follow the one before it, or if its events can't be read.
        """
        parts = self._parts.pop(part.slot, None) if part.index else _Parts()
        if parts is None or parts.count != part.index:
            raise MalformedControl(f"part {part.index} of slot {part.slot}: it doesn't follow the last one")
        parts.pieces += [Piece(*piece) for piece in part.pieces]
        parts.events += _events(part)
        parts.count += 1
        if not part.last:
            self._parts[part.slot] = parts
        for one in self._awaited.values():  # copies come one after the other
            one.since_s = now_s
        if not part.last:
            return None
        self._awaited.pop(part.slot, None)
        return Copy(part.slot, part.number, part.at, tuple(parts.pieces), tuple(parts.events))

    def late(self, now_s: float) -> list[tuple[int, bool]]:
        """Return (slot, whether it is late for the first time) for each copy to be asked for again."""
        late = []
        for slot, one in list(self._awaited.items()):
            if now_s - one.since_s > SILENT_S:
                late.append((slot, one.times == 0))
                one.since_s, one.times = now_s, one.times + 1
                if one.times == ASKED_TIMES:
                    del self._awaited[slot]
        return late


def _events(part: LivePart) -> list[Judged]:
    try:
        found = [frame for data in part.events for frame in frames.decode(data)]
    except MalformedDatagram as error:
        raise MalformedControl(f"an event of slot {part.slot}: {error}") from None
    events = [frame for frame in found if isinstance(frame, Judged) and frame.slot == part.slot]
    if len(events) < len(found):
        raise MalformedControl(f"a live state of slot {part.slot} that holds something else than its events")
    return events
