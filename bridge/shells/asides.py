"""Asides: the journal, and the port on which Sonic Pi takes code. If they fail, the music goes on.

A shell. Both are called through observers (relay/wire/observers.py), so one that fails is off from then on.
"""

from functools import partial
from pathlib import Path

from bridge import notices
from bridge.effects import Remember
from bridge.shells.journal import Journal
from bridge.shells.run_code import CodePort
from relay.wire.observers import Observers


class Asides:
    """The helpers of one bridge beside its sockets."""

    def __init__(self, journal: Path, *, tunes: bool) -> None:
        """tunes: whether Sonic Pi's schedule-ahead is to be set."""
        self._observers = Observers()
        self.journal = Journal(journal)
        self._code_port = self._observers.tell(notices.TUNING, CodePort) if tunes else None

    @property
    def tunes(self) -> bool:
        """Whether there is a code port, so that the schedule-ahead can be set."""
        return self._code_port is not None

    def run_code(self, code: str) -> None:
        """Let Sonic Pi run code."""
        if self._code_port is not None:
            self._observers.tell(notices.TUNING, partial(self._code_port.run, code))

    def remember(self, what: Remember | None = None) -> None:
        """Save the restart state, and the further facts in `what`."""
        if what is not None:
            self.journal.client, self.journal.synthdefs_loaded = what.client, what.synthdefs_loaded
            self.journal.foundation_complete = what.foundation_complete
        self._observers.tell(notices.JOURNAL, self.journal.write)
