"""Redo: what must follow a member's structure again that comes when it should have run already.

Pure. The sender's order is what makes sense of groups, FX, settings and frees: a group that comes after its
free would stay for ever, one that comes after its FX would leave that out, and a late slot reset ends what
was begun since. So what of a slot's structure scsynth has run and was sent after what comes so late is handed
over once more behind it. scsynth refuses to make what is there and to free what is gone, and computes nothing
in between: only what was in the wrong order changes.
Bound: KEPT events a slot, for KEPT_FOR after their due.
"""

from bisect import insort
from dataclasses import dataclass

from bridge.holdback import Held
from bridge.pieces import apart
from relay.wire.meaning import is_note
from relay.wire.sequence import Flag, Kind
from relay.wire.timetag import ticks

KEPT = 4096
KEPT_FOR = ticks(10.0)


@dataclass(frozen=True, slots=True, order=True)
class _Done:
    seq: int
    due: int
    message: bytes


class Redo:
    """The structure that scsynth was handed lately, by slot and in the sender's order."""

    def __init__(self) -> None:
        self._done: dict[int, list[_Done]] = {}

    def forget(self) -> None:
        """Forget it all: the clock was set, or the relay is another one."""
        self._done.clear()

    def hand_over(self, held: Held, message: bytes, now: int, *, late: bool) -> list[list[bytes]]:
        """Return the messages to hand over for an event, by bundle: its own, and what must follow it again.

        late: scsynth can't run it at its due any more.
        """
        bundles = apart(message)
        if held.sub or is_note(held.payload):
            return bundles
        done = self._done.setdefault(held.slot, [])
        # What is overtaken and timed may still run at its own time, and then it has its place.
        overtaken = Flag.OVERTAKEN in held.flags
        if late or (overtaken and (held.kind is not Kind.TIMED or Flag.RETIMED in held.flags)):
            runs = max(held.due, now)
            for one in done:
                if one.seq > held.seq and one.due <= runs:
                    bundles += apart(one.message)
        if held.kind is Kind.RESET:
            done[:] = [one for one in done if one.seq > held.seq]
            return bundles
        if done and (len(done) >= KEPT or done[0].due < now - KEPT_FOR):
            done[:] = [one for one in done if one.due >= now - KEPT_FOR][1 - KEPT :]
        insort(done, _Done(held.seq, held.due, message))
        return bundles
