"""Asides: a bridge's helpers that the music doesn't depend on: journal, code port, and jobs with files.

A shell. All are called through observers (relay/wire/observers.py). If one fails, it is switched off, and the
music goes on.
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
    """The journal, the port for code to Sonic Pi, and the file jobs of one bridge."""

    def __init__(self, journal: Path, cache: Path, *, tunes: bool) -> None:
        """journal: the journal's file. cache: the folder for files from other members.

        tunes: whether the bridge is to set Sonic Pi's schedule-ahead.
        """
        self._cache = cache
        self._observers = Observers()
        self.journal = Journal(journal)
        self._code_port = self._observers.tell(notices.TUNING, CodePort) if tunes else None
        self._files: StockFiles | None = None

    @property
    def tunes(self) -> bool:
        """Whether there is a port for code to Sonic Pi, so that its schedule-ahead can be set."""
        return self._code_port is not None

    def answer_to(self, bridge: Bridge, settle: Callable[[], None]) -> None:
        """Begin to do jobs with files. bridge: gets their answers. settle: carries out the bridge's effects
        afterwards."""

        def answer(done: Answer) -> None:
            bridge.files_say(done)
            settle()

        self._files = StockFiles(self._cache, answer)

    def close(self) -> None:
        """Stop doing jobs with files."""
        if self._files is not None:
            self._files.close()

    def do(self, effect: RunCode | Remember | AskFiles | Tell) -> None:
        """Carry out an effect that the music doesn't depend on."""
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
        """Save the restart state and the facts in `what` in the journal."""
        if what is not None:
            self.journal.client, self.journal.synthdefs_loaded = what.client, what.synthdefs_loaded
        self._observers.tell(notices.JOURNAL, self.journal.write)
