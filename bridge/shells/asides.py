"""Asides: the journal, the port on which Sonic Pi takes code, and its files. If they fail, the music goes on.

A shell. All are called through observers (relay/wire/observers.py), so one that fails is off from then on.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import assert_never

from bridge import notices
from bridge.core import Bridge
from bridge.effects import AskFiles, Remember, RunCode, Tell
from bridge.file_jobs import Answer
from bridge.shells.joining import tell
from bridge.shells.journal import Journal
from bridge.shells.run_code import CodePort
from bridge.shells.stock_files import StockFiles
from relay.wire.observers import Observers


class Asides:
    """The helpers of one bridge beside its sockets."""

    def __init__(self, journal: Path, *, tunes: bool) -> None:
        """tunes: whether Sonic Pi's schedule-ahead is to be set."""
        self._observers = Observers()
        self.journal = Journal(journal)
        self._code_port = self._observers.tell(notices.TUNING, CodePort) if tunes else None
        self._files: StockFiles | None = None

    @property
    def tunes(self) -> bool:
        """Whether there is a code port, so that the schedule-ahead can be set."""
        return self._code_port is not None

    def answer_to(self, bridge: Bridge, settle: Callable[[], None]) -> None:
        """Do jobs with files from now on. bridge: gets their answers. settle: carries out what follows."""

        def answer(done: Answer) -> None:
            bridge.files_say(done)
            settle()

        self._files = StockFiles(answer)

    def close(self) -> None:
        """Do no further jobs."""
        if self._files is not None:
            self._files.close()

    def do(self, effect: RunCode | Remember | AskFiles | Tell) -> None:
        """Carry out an effect that no music waits for."""
        match effect:
            case Tell():
                tell([effect])
            case RunCode(code):
                if self._code_port is not None:
                    self._observers.tell(notices.TUNING, partial(self._code_port.run, code))
            case Remember():
                self.remember(effect)
            case AskFiles(job):
                if self._files is not None:
                    self._observers.tell(notices.FILES, partial(self._files.do, job))
            case _:
                assert_never(effect)

    def remember(self, what: Remember | None = None) -> None:
        """Save the restart state, and the further facts in `what`."""
        if what is not None:
            self.journal.client, self.journal.synthdefs_loaded = what.client, what.synthdefs_loaded
            self.journal.foundation_complete = what.foundation_complete
        self._observers.tell(notices.JOURNAL, self.journal.write)
