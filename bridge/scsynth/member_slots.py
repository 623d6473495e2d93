"""Member slots: the members' slots, and their groups and strips in this host's scsynth.

Pure. The roster travels over TLS and may arrive after events. Until then, `Origin`'s defaults are taken as a
guess of the channels of an unknown member's sound card.
"""

from collections.abc import Callable

from bridge.scsynth.host_tree import HostTree
from bridge.scsynth.id_space import Origin


class Places:
    """The known members of the room, this one included."""

    def __init__(self, own: Origin, to_synth: Callable[[list[bytes]], None]) -> None:
        """to_synth: takes the messages that create a member's group and strip."""
        self._host = HostTree()
        self._to_synth = to_synth
        self._origins: dict[int, Origin] = {}
        self._guessed: set[int] = set()
        self.meet(own)

    def meet(self, origin: Origin) -> None:
        """Give a member of the roster its root group and strip."""
        self._origins[origin.slot] = origin
        self._guessed.discard(origin.slot)
        self._to_synth(self._host.build(origin))

    def of(self, slot: int) -> Origin:
        """Return the origin of the member in a slot; a guess before the roster names it."""
        origin = self._origins.get(slot)
        if origin is None:
            origin = Origin(slot)
            self.meet(origin)
            self._guessed.add(slot)
        return origin

    def certain(self) -> set[int]:
        """Return the slots that the roster has named."""
        return self._origins.keys() - self._guessed

    def fade(self, slot: int) -> list[bytes]:
        """Return the messages that let a slot's sound fade out."""
        return self._host.fade(slot)

    def end_fade(self, slot: int) -> list[bytes]:
        """Return the messages that bring a slot back to full level."""
        return self._host.end_fade(slot)

    @property
    def have_synthdefs(self) -> bool:
        """Whether Sonic Pi's synthdefs are in scsynth, as far as is known."""
        return self._host.synthdefs_loaded

    def synthdefs_loaded(self) -> None:
        """Give each member its strip, which needs the synthdefs."""
        self._to_synth(self._host.load_synthdefs())
