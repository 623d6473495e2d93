"""Places: which member has which slot, and its group and strip in this host's scsynth.

Pure. The roster travels over TLS and may be behind the events: a slot that isn't known yet has its place by a
guess of its member's sound card, until the roster comes.
"""

from collections.abc import Callable

from bridge.scsynth.host_tree import HostTree
from bridge.scsynth.id_space import Origin


class Places:
    """The members of the room, this one included, as far as they are known."""

    def __init__(self, own: Origin, to_synth: Callable[[list[bytes]], None]) -> None:
        """to_synth: takes the messages that give a member its place."""
        self.host = HostTree()
        self._to_synth = to_synth
        self._origins: dict[int, Origin] = {}
        self._guessed: set[int] = set()
        self.meet(own)

    def meet(self, origin: Origin) -> None:
        """Give a member of the roster its root group and strip."""
        self._origins[origin.slot] = origin
        self._guessed.discard(origin.slot)
        self._to_synth(self.host.build(origin))

    def of(self, slot: int) -> Origin:
        """Return the origin of whoever has the slot."""
        origin = self._origins.get(slot)
        if origin is None:
            origin = Origin(slot)
            self.meet(origin)
            self._guessed.add(slot)
        return origin

    def certain(self) -> set[int]:
        """Return the slots of which the roster has told."""
        return self._origins.keys() - self._guessed
