"""Host tree: the bridge's own nodes in scsynth, which are a root group and a mixer strip for each member.

Pure. The strips have numbers of slot 0, which no member uses. Sonic Pi's master mixer overwrites its output
buses. Therefore each member's output goes to a private pair of buses, and a strip adds that pair to the
hardware outputs. Groups and strips are in slot order, not in order of arrival. The rounding of the mixed sum,
and the random numbers that each synth draws, depend on the order of the nodes.

    0 root -- JAM: root group of each member, in slot order
           `- STRIPS: a basic mixer for each member, in slot order
"""

from bridge.scsynth.id_space import Origin
from relay.wire import write
from relay.wire.sequence import FADE
from relay.wire.timetag import seconds

JAM = 1
STRIPS = 2
FIRST_STRIP = 64
"""The strip of slot k is node FIRST_STRIP + k."""

_HEAD, _AFTER = 0, 3
STRIP_SYNTHDEF = "sonic-pi-basic_mixer"


class HostTree:
    """Knows which members have their root group and mixer strip, and builds missing ones."""

    def __init__(self) -> None:
        self._slots: list[int] = []
        self._frame_built = False
        self.synthdefs_loaded = False

    def has(self, slot: int) -> bool:
        """Return whether the root group of a slot's member exists."""
        return slot in self._slots

    def build(self, origin: Origin) -> list[bytes]:
        """Return the messages that create a member's root group and mixer strip; none if the member has them.

        The strip needs the synthdefs. Until they are loaded, only the group is created, and `load_synthdefs`
        adds the strip.
        """
        slot = origin.slot
        if slot in self._slots:
            return []
        messages: list[bytes] = []
        if not self._frame_built:
            messages += [write.new_group(JAM, _HEAD, 0), write.new_group(STRIPS, _AFTER, JAM)]
            self._frame_built = True
        lower = max((other for other in self._slots if other < slot), default=None)
        if lower is None:
            messages.append(write.new_group(origin.root, _HEAD, JAM))
        else:
            messages.append(write.new_group(origin.root, _AFTER, Origin(lower).root))
        self._slots = sorted([*self._slots, slot])
        if self.synthdefs_loaded:
            messages.append(self._strip(slot))
        return messages

    def remove(self, slot: int) -> list[bytes]:
        """Return the messages that free a member's root group and mixer strip; none if the member has
        neither."""
        if slot not in self._slots:
            return []
        self._slots.remove(slot)
        nodes = [Origin(slot).root, *([FIRST_STRIP + slot] if self.synthdefs_loaded else [])]
        return [write.free_node(node) for node in nodes]

    def load_synthdefs(self) -> list[bytes]:
        """Note that the synthdefs are loaded. Return the messages that create the mixer strips that waited
        for them."""
        if self.synthdefs_loaded:
            return []
        self.synthdefs_loaded = True
        built, self._slots = self._slots, []
        messages: list[bytes] = []
        for slot in built:
            self._slots.append(slot)
            messages.append(self._strip(slot))
        return messages

    def fade(self, slot: int) -> list[bytes]:
        """Return the message that lets a slot's sound fade out over FADE; nothing if the slot has no mixer
        strip."""
        return self._level(slot, 0.0, seconds(FADE))

    def end_fade(self, slot: int) -> list[bytes]:
        """Return the message that sets a slot's sound to full level at once; nothing if the slot has no mixer
        strip."""
        return self._level(slot, 1.0, 0.0)

    def _level(self, slot: int, amp: float, slide_s: float) -> list[bytes]:
        if slot not in self._slots or not self.synthdefs_loaded:
            return []
        return [write.set_controls(FIRST_STRIP + slot, "amp", amp, "amp_slide", slide_s)]

    def _strip(self, slot: int) -> bytes:
        lower = max((other for other in self._slots if other < slot), default=None)
        place = (_HEAD, STRIPS) if lower is None else (_AFTER, FIRST_STRIP + lower)
        return write.new_synth(
            STRIP_SYNTHDEF,
            FIRST_STRIP + slot,
            *place,
            "in_bus",
            float(Origin(slot).first_bus),
            "out_bus",
            0.0,
            "amp",
            1.0,
        )
