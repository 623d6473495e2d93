"""The relay's log of judged events, read back, and the order in which every scsynth must execute these
events.

Pure but for `read`. `jamrelay serve --event-log FILE` writes the log, one JSON object per line. Its fields:
room, number, slot, seq (the sender's own number), due (NTP integer, session time), kind, flags, payload. The
payload is the hex of the sender's own message; "" for a reset.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rehearsal.rigs.recording import parse_message

TIMED, UNTIMED, RESOURCE, RESET = "TIMED", "UNTIMED", "RESOURCE", "RESET"
KINDS = (TIMED, UNTIMED, RESOURCE, RESET)
SILENCED, MISSED, LEFT = "SILENCED", "MISSED", "LEFT"
LOADS = ("/b_alloc", "/b_allocRead")
FADE = round(0.1 * 2**32)
"""A silenced reset frees its member's nodes this long (ticks) after its due. Until then they fade out."""
RESET_SPARES = 1 << 32
"""One second, in ticks. A reset keeps its sender's events that are due within this time after it, because a
scsynth may have them already."""


class RelayLogError(ValueError):
    """The log can't be read, or is incomplete. The text names the line or the missing number."""


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One event as judged by the relay. seq: the sender's own number. due: ticks of session time."""

    number: int
    slot: int
    seq: int
    due: int
    kind: str
    flags: frozenset[str]
    payload: bytes

    @property
    def runs_at(self) -> int:
        """The session instant at which scsynth executes the event's message: its due. A silenced reset is
        executed when the fade is over."""
        return self.due + FADE if self.kind == RESET and SILENCED in self.flags else self.due

    @property
    def key(self) -> tuple[int, int]:
        """The place of the event's message in scsynth's order: (instant, number)."""
        return (self.runs_at, self.number)

    @property
    def name(self) -> str:
        """The event in a few words, for people: number, address, slot:id, synthdef."""
        if self.kind == RESET:
            return f"#{self.number} slot reset of {self.slot}"
        address, args = parse_message(self.payload)
        at = 1 if address == "/s_new" else 0
        number = str(args[at]) if at < len(args) else "?"
        what = f"#{self.number} {address} {self.slot}:{number}"
        return f"{what} {args[0]!s}" if at and args else what


def read(path: Path, room: str = "main") -> list[LoggedEvent]:
    """Read a log file and return a room's events in the order of their numbers. Raises OSError,
    RelayLogError."""
    with path.open(encoding="utf-8") as lines:
        return parse(lines, room)


def parse(lines: Iterable[str], room: str = "main") -> list[LoggedEvent]:
    """Return the events of `room` in the order of their numbers.

    Raises RelayLogError for an unreadable line or a missing number. A last line without an end is ignored.
    """
    events: list[LoggedEvent] = []
    for at, line in enumerate(lines, start=1):
        if not line.endswith("\n"):
            break  # the relay is still writing this line
        try:
            entry = json.loads(line)
            if entry["room"] != room:
                continue
            event = LoggedEvent(
                number=int(entry["number"]),
                slot=int(entry["slot"]),
                seq=int(entry["seq"]),
                due=int(entry["due"]),
                kind=str(entry["kind"]),
                flags=frozenset(map(str, entry["flags"])),
                payload=bytes.fromhex(entry["payload"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise RelayLogError(f"line {at} of the relay's log can't be read: {error}") from error
        if event.kind not in KINDS:
            raise RelayLogError(f"line {at} of the relay's log: kind {event.kind!r}, expected one of {KINDS}")
        events.append(event)
    events.sort(key=lambda event: event.number)
    for expected, event in enumerate(events, start=1):
        if event.number != expected:
            raise RelayLogError(
                f"the relay's log has no event {expected} of room {room!r}, only {event.number}"
            )
    return events


def executed(events: Iterable[LoggedEvent]) -> list[LoggedEvent]:
    """Return the events that scsynth is handed with a timetag, in the room's order.

    Loads are left out: scsynth is handed them without a timetag. Events that missed their time are left out:
    nobody is handed them. So are events that a reset drops: those sent before it by the same sender, and due
    more than RESET_SPARES after it.
    """
    handed = (event for event in events if event.kind != RESOURCE and MISSED not in event.flags)
    played = sorted(handed, key=lambda event: event.key)
    resets: dict[int, list[LoggedEvent]] = defaultdict(list)
    kept = []
    for event in played:
        if any(
            event.seq < reset.seq and event.due > reset.due + RESET_SPARES for reset in resets[event.slot]
        ):
            continue
        kept.append(event)
        if event.kind == RESET:
            resets[event.slot].append(event)
    return kept
