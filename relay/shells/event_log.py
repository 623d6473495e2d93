"""Event log: writes every judged event of every room to a file, for proofs and replays.

A shell. Each line is a JSON object with the fields room, number, slot, seq, due (64-bit NTP session timetag),
kind, flags, payload (hex of the sender's OSC message, "" for a slot reset). The room's order is (due,
number).

A thread writes the file, so that a slow disk delays nothing else. Bound: WAITING_BYTES_MAX bytes may wait for
the disk. If the relay is killed, the file has only whole lines, but lacks the events of the last instant.
"""

import contextlib
import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from queue import SimpleQueue

from relay.wire.errors import LocalError
from relay.wire.sequence import Flag, Judged

WAITING_BYTES_MAX = 16 << 20
"""How many bytes may wait for the disk: half a minute of 500 events a second, each of the greatest length."""

CLOSE_S = 2.0
"""How long `EventLog.close` waits for the disk, s."""


class EventLog:
    """An open event log. If the file exists already, lines are appended to it."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises LocalError if it can't be written."""
        self._path = path
        try:
            # Unbuffered: bytes in a buffer of a hanging thread would make the process hang at exit.
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise LocalError(f"can't write the event log {path}: {error.strerror}") from None
        self._waiting: SimpleQueue[bytes | None] = SimpleQueue()
        self._given = 0
        self._done = 0
        """Count of bytes that the thread has written; `_given` counts the bytes given to the thread. Each of
        the two is changed by one thread only."""
        self._failed: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="event log", daemon=True)
        self._thread.start()

    def write(self, verdicts: Iterable[tuple[str, Judged]]) -> None:
        """Add events, each with the name of its room. The thread writes them soon.

        Raises LocalError if earlier events couldn't be written, or if too many bytes wait for the disk. Its
        text is for the relay's operator.
        """
        self._check()
        lines = "".join(_line(room, event) for room, event in verdicts).encode("ascii")
        if self._given + len(lines) - self._done > WAITING_BYTES_MAX:
            raise LocalError(
                f"{self._path} takes no more: {self._given - self._done:,} bytes wait; look what is wrong "
                "with the disk, and start the relay again to have a log"
            )
        self._given += len(lines)
        self._waiting.put(lines)

    def close(self) -> None:
        """Write the waiting lines and close the file. Raises LocalError if the disk fails, or doesn't finish
        within CLOSE_S."""
        self._waiting.put(None)
        self._thread.join(CLOSE_S)
        self._check()
        if self._thread.is_alive():
            raise LocalError(f"{self._path} took nothing for {CLOSE_S:g} s; its last lines are lost")

    def _check(self) -> None:
        if self._failed is not None:
            raise LocalError(
                f"can't write {self._path}: {self._failed.strerror}; make room, and start the relay again to "
                "have a log"
            )

    def _run(self) -> None:
        with self._file:
            while (lines := self._waiting.get()) is not None:
                try:
                    self._put(lines)
                except OSError as error:
                    self._failed = error
                    return
                self._done += len(lines)

    def _put(self, lines: bytes) -> None:
        left = memoryview(lines)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            self._cut(lines[: len(lines) - len(left)])
            raise

    def _cut(self, written: bytes) -> None:
        """Remove the half line that a full disk has left at the end of the file. written: the bytes that the
        disk took."""
        half = len(written) - written.rfind(b"\n") - 1
        with contextlib.suppress(OSError):  # devices and pipes can't be truncated
            if half:
                os.ftruncate(self._file.fileno(), os.fstat(self._file.fileno()).st_size - half)


def _line(room: str, event: Judged) -> str:
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
    return json.dumps(entry) + "\n"
