"""Stock: Sonic Pi's own files at this bridge, as far as the room's music needs them.

Pure. It is the face of the package: playout asks it what is missing here, and tells it what was not heard.
"""

from pathlib import Path

from bridge.effects import AskFiles, Effect, SendControl
from bridge.file_jobs import Answer, Scan, Scanned
from bridge.stock.lacking import Lacking
from bridge.stock.shelf import Shelf
from relay.wire.control import Roster
from relay.wire.stock import synthdef_file


class Stock:
    """The files of Sonic Pi on this host."""

    def __init__(self, own_slot: int) -> None:
        self._shelf = Shelf()
        self._lacking = Lacking(own_slot)
        self._names: dict[int, str] = {}
        self._scanned_root: Path | None = None
        self._effects: list[Effect] = []

    def named(self) -> dict[str, int]:
        """Return counts by name, for the statistics."""
        return self._lacking.named() | self._shelf.named()

    # -- what playout asks and tells ------------------------------------------------------------------

    def synthdefs_loaded(self, root: Path | None) -> None:
        """Note that scsynth has loaded the synthdefs of Sonic Pi, whose files lie under `root`."""
        if root is not None and root != self._scanned_root:
            self._scanned_root = root
            self._effects.append(AskFiles(Scan(root)))

    def lacks(self, synthdef: str) -> bool:
        """Return whether scsynth lacks a synthdef, as far as is known."""
        return self._shelf.lacks(synthdef)

    def not_heard(self, slot: int, name: str) -> None:
        """Note that a note of the member in `slot` was not heard, because the file `name` is missing here."""
        self._lacking.note(slot, name)

    def refused(self, slot: int, synthdef: str) -> None:
        """Note that scsynth refused to play a note of the member in `slot`: it lacks the synthdef."""
        self._shelf.refused(synthdef)
        self._lacking.note(slot, synthdef_file(synthdef))

    # -- what comes in ---------------------------------------------------------------------------------

    def take_in(self, message: object) -> None:
        """Process a message of the relay, if it is about the members."""
        if isinstance(message, Roster):
            self._names = {member.slot: member.name for member in message.members}

    def files_say(self, answer: Answer) -> None:
        """Process the shell's answer to a job."""
        match answer:
            case Scanned(found):
                self._shelf.scanned(found)

    # -- what goes out -----------------------------------------------------------------------------------

    def flush(self, now_s: float, *, in_room: bool) -> list[Effect]:
        """Return the effects that are due. now_s: local s. in_room: whether messages reach a room."""
        effects, self._effects = self._effects, []
        effects += self._lacking.for_player(self._shelf.release, self._names, now_s)
        if in_room:
            effects += map(SendControl, self._lacking.for_relay(self._shelf.release, now_s))
        return effects
