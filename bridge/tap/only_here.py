"""Only here: counts, by name, the sounds that only the local player hears.

Pure. The player is told each name once. Bound: NAMES_MAX names.
"""

from bridge import notices
from bridge.effects import Tell
from relay.wire.commands import OWN_FX, OWN_SYNTH, HomeKind, HomeOnly

NAMES_MAX = 256
_PREFIX = "sonic-pi-"


class Missed:
    """The sounds of the local player that other members don't hear."""

    def __init__(self) -> None:
        self.by_name: dict[str, int] = {}

    def synth(self, name: str, known: HomeOnly | None) -> Tell | None:
        """Count a synth or FX that only the local player hears. Return a message to the player the first
        time.

        known: the entry of its synthdef in the table of synthdefs that need their own host. It is None if the
        call was too long to be sent.
        """
        name = name.removeprefix(_PREFIX)
        if known is OWN_SYNTH:
            return self._note(name, notices.own_synth(name))
        if known is OWN_FX:
            return self._note(name, notices.own_fx(name))
        if known is not None and known.kind is HomeKind.SOURCE:
            name = name.removesuffix("_mono").removesuffix("_stereo")
            return self._note(name, notices.own_input(name))
        return self._note(name, notices.too_long(name))

    def file(self, name: str) -> Tell | None:
        """Count a sample file that no other member has. Return a message to the player the first time."""
        return self._note(name, notices.own_file(name))

    def other(self, address: str) -> Tell | None:
        """Count a message that is too long to be sent to the others. It isn't about a new synth.

        Return a message to the player the first time.
        """
        return self._note(address, notices.too_long(address))

    def _note(self, name: str, tell: Tell) -> Tell | None:
        is_first = name not in self.by_name
        if is_first and len(self.by_name) >= NAMES_MAX:
            return None
        self.by_name[name] = self.by_name.get(name, 0) + 1
        return tell if is_first else None
