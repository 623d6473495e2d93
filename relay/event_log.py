"""Event log: every judged event of every room, a JSON object a line, for proofs and for replays.

A shell. Fields: room, number, slot, seq, due (64-bit NTP session timetag), kind, flags, payload (hex of the
sender's OSC message, "" for a slot reset). The room's order is (due, number).
"""

import json
from pathlib import Path

from relay.wire.errors import LocalError
from relay.wire.sequence import Flag, Judged


class EventLog:
    """An open log; what is there already is kept, and added to."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises LocalError if it can't be written."""
        try:
            # Line by line, so that a relay that is killed leaves whole lines.
            self._file = path.open("a", buffering=1, encoding="ascii")
        except OSError as error:
            raise LocalError(f"can't write the event log {path}: {error.strerror}") from None

    def write(self, room: str, event: Judged) -> None:
        """Add an event."""
        entry = {
            "room": room,
            "number": event.number,
            "slot": event.slot,
            "seq": event.seq,
            "due": event.due,
            "kind": event.kind.name,
            "flags": [flag.name for flag in Flag if flag and flag in event.flags],
            "payload": event.payload.hex(),
        }
        self._file.write(json.dumps(entry) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
