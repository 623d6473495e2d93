"""Member slots: the members' slots, and their root groups and mixer strips in this host's scsynth.

Pure. The roster travels over TLS, so a member's events may arrive before it. Until the roster names the
member, its sound card is assumed to have the number of channels that `Origin` has by default.
"""

from collections.abc import Callable

from bridge.scsynth.host_tree import HostTree
from bridge.scsynth.id_space import Origin


class Places:
    """The known members of the room, this one included."""

    def __init__(self, own: Origin, to_synth: Callable[[list[bytes]], None]) -> None:
        """to_synth: takes the messages that create a member's root group and mixer strip."""
        self._host = HostTree()
        self._to_synth = to_synth
        self._origins: dict[int, Origin] = {}
        self._guessed: set[int] = set()
        self.meet(own)

    def meet(self, origin: Origin) -> None:
        """Create the root group and mixer strip of a member that the roster names."""
        self._origins[origin.slot] = origin
        self._guessed.discard(origin.slot)
        self._to_synth(self._host.build(origin))

    def of(self, slot: int) -> Origin:
        """Return the origin (slot and channels) of the member in a slot. The channels are a guess until the
        roster names the member."""
        origin = self._origins.get(slot)
        if origin is None:
            origin = Origin(slot)
            self.meet(origin)
            self._guessed.add(slot)
        return origin

    def certain(self) -> set[int]:
        """Return the slots whose members the roster has named."""
        return self._origins.keys() - self._guessed

    def known(self) -> list[int]:
        """Return the slots that have a root group here, this host's own included."""
        return list(self._origins)

    def leave(self, slot: int) -> None:
        """Free the root group and mixer strip of a slot, because its owner is gone."""
        self._to_synth(self._host.remove(slot))
        self._origins.pop(slot, None)
        self._guessed.discard(slot)

    def fade(self, slot: int) -> list[bytes]:
        """Return the messages that let a slot's sound fade out."""
        return self._host.fade(slot)

    def end_fade(self, slot: int) -> list[bytes]:
        """Return the messages that set a slot's sound to full level at once."""
        return self._host.end_fade(slot)

    @property
    def have_synthdefs(self) -> bool:
        """Whether Sonic Pi's synthdefs are in scsynth, as far as is known."""
        return self._host.synthdefs_loaded

    def synthdefs_loaded(self) -> None:
        """Note that the synthdefs are loaded, and create the members' mixer strips, which need them."""
        self._to_synth(self._host.load_synthdefs())
