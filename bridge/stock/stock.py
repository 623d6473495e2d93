"""Stock: Sonic Pi's own files on this host, as far as the room's music needs them.

Pure. The rest of the bridge uses only this module of the package. Playout asks it which synthdefs are missing
here, and reports the notes that were not heard.
"""

from pathlib import Path

from bridge.effects import AskFiles, Effect, SendControl
from bridge.file_jobs import Answer, Scan, Scanned
from bridge.stock.lacking import Lacking
from bridge.stock.shelf import Shelf
from relay.wire.control import Roster
from relay.wire.stock import synthdef_file


class Stock:
    """The files of Sonic Pi on this host, and the notes not heard because files are missing."""

    def __init__(self, own_slot: int) -> None:
        self._shelf = Shelf()
        self._lacking = Lacking(own_slot)
        self._names: dict[int, str] = {}
        self._scanned_root: Path | None = None
        self._effects: list[Effect] = []

    def named(self) -> dict[str, int]:
        """Return the counts of notes not heard and of unknown files, by name, for the statistics."""
        return self._lacking.named() | self._shelf.named()

    # -- what playout asks and tells ------------------------------------------------------------------

    def synthdefs_loaded(self, root: Path | None) -> None:
        """Note that scsynth has loaded Sonic Pi's synthdefs. root: the folder of Sonic Pi's files; None if
        unknown."""
        if root is not None and root != self._scanned_root:
            self._scanned_root = root
            self._effects.append(AskFiles(Scan(root)))

    def lacks(self, synthdef: str) -> bool:
        """Return whether scsynth lacks a synthdef, as far as is known."""
        return self._shelf.lacks(synthdef)

    def not_heard(self, slot: int, name: str) -> None:
        """Count a note of the member in `slot` that was not heard, because the file `name` is missing
        here."""
        self._lacking.note(slot, name)

    def refused(self, slot: int, synthdef: str) -> None:
        """Count a note of the member in `slot` that scsynth refused to play, because it lacks the
        synthdef."""
        self._shelf.refused(synthdef)
        self._lacking.note(slot, synthdef_file(synthdef))

    # -- what comes in ---------------------------------------------------------------------------------

    def take_in(self, message: object) -> None:
        """Process a message of the relay. Only the roster matters here: it has the members' names."""
        if isinstance(message, Roster):
            self._names = {member.slot: member.name for member in message.members}

    def files_say(self, answer: Answer) -> None:
        """Process the shell's answer to a job with files."""
        match answer:
            case Scanned(found):
                self._shelf.scanned(found)

    # -- what goes out -----------------------------------------------------------------------------------

    def flush(self, now_s: float, *, in_room: bool) -> list[Effect]:
        """Return the effects that are due: jobs with files, sentences for the player, and counts for the
        relay.

        now_s: local clock. in_room: whether the relay counts the bridge among the room's members.
        """
        effects, self._effects = self._effects, []
        effects += self._lacking.for_player(self._shelf.release, self._names, now_s)
        if in_room:
            effects += map(SendControl, self._lacking.for_relay(self._shelf.release, now_s))
        return effects
