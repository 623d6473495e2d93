"""Id spaces: the map from a member's numbers to those of the scsynth that plays the jam.

Pure. Numbers are those of nodes, buses and buffers. The map depends only on the slot and on the sender's
channel counts, so it is the same on every machine. It is one-to-one and has an exact inverse. Within a slot
it is linear, because some synthdefs write to the buses after the given one (hoover to 6 channels, tech_saws
to 4). So a bus has the same neighbours as on the member's own host. Channels written past a slot's last bus
land in guard channels, not in the next slot.

A number out of range is refused, never clamped, because scsynth takes an unknown buffer for buffer 0. Source:
sclang's client ids, with 26 bits of node id for each of 32 slots.
"""

from dataclasses import dataclass

from relay.wire.errors import LocalError, Refused

SLOT_COUNT = 32
"""Number of slots. Slot 0 is the host's own and never assigned. Members have 1 to 31."""

NODE_BITS = 26
"""Bits of a node's number within its slot. So 32 slots fill the 31 bits of a non-negative node id."""

NODES_PER_SLOT = 1 << NODE_BITS

LOCAL_BASE = 1 << 25
"""First id in slot 0 of nodes that exist only on the local player's host (scopes, recorders). Ids below it
are for nodes of the bridge."""

HARDWARE_BUSES = 128
"""Channels of the sound card, outputs and inputs together. No member's bus is mapped to them."""

OUTPUT_BUSES = 64
"""Buses per slot that stand for the hardware outputs of the member's own host."""

PRIVATE_OUTPUTS = 2
"""A member's strip adds only this many of the member's OUTPUT_BUSES, the first ones, to the hardware
outputs."""

INTERNAL_BUSES = 1024
"""Internal buses per slot. Sonic Pi uses at most 1024 less its hardware channels."""

GUARD_BUSES = 32
"""Guard buses per slot. Nobody hears them. They take the channels that a synth writes past the slot's last
bus."""

BUSES_PER_SLOT = OUTPUT_BUSES + INTERNAL_BUSES + GUARD_BUSES

AUDIO_BUS_COUNT = HARDWARE_BUSES + SLOT_COUNT * BUSES_PER_SLOT
"""Number of audio buses with which scsynth must be started (-a)."""

CONTROL_BUS_COUNT = 16_384
"""Number of control buses of scsynth: its default (-c)."""

CONTROL_BUSES_PER_SLOT = CONTROL_BUS_COUNT // SLOT_COUNT

BUFFERS_PER_SLOT = 4096
"""Sonic Pi's own number of buffers, fixed in its source."""

BUFFER_COUNT = SLOT_COUNT * BUFFERS_PER_SLOT
"""Number of buffers with which scsynth must be started (-b)."""

_OWN_MASK = NODES_PER_SLOT - 1
_MAX_CHANNELS = 1024


@dataclass(frozen=True, slots=True)
class Origin:
    """A member's slot, and the hardware outputs and inputs that the member's Sonic Pi sees.

    It maps the member's numbers to scsynth's. Sonic Pi counts its own buses from `outs + ins`. Raises
    LocalError for an impossible slot or count.
    """

    slot: int
    outs: int = 16
    ins: int = 16

    def __post_init__(self) -> None:
        if not 1 <= self.slot < SLOT_COUNT:
            raise LocalError(f"slot {self.slot}: members have 1 to {SLOT_COUNT - 1}")
        if not (0 <= self.outs <= _MAX_CHANNELS and 0 <= self.ins <= _MAX_CHANNELS):
            raise LocalError(f"{self.outs} outputs, {self.ins} inputs: expected 0 to {_MAX_CHANNELS} of each")

    @property
    def root(self) -> int:
        """scsynth's number of the member's root group, to which the member's node 0 is mapped."""
        return self.slot << NODE_BITS

    @property
    def first_bus(self) -> int:
        """scsynth's number of the slot's first audio bus. The member's private outputs start here."""
        return HARDWARE_BUSES + self.slot * BUSES_PER_SLOT

    @staticmethod
    def split(node: int) -> tuple[int, int]:
        """Return (slot, the member's own number) of a node of the jam."""
        return node >> NODE_BITS, node & _OWN_MASK

    def node(self, own: int) -> int:
        """Return scsynth's number of the member's node `own`. Raises Refused: negative-id, node-range."""
        if not 0 <= own < NODES_PER_SLOT:
            _refuse_number("node", own, NODES_PER_SLOT)
        return self.slot << NODE_BITS | own

    def audio_bus(self, own: int) -> int:
        """Return scsynth's number of the member's audio bus `own`.

        Raises Refused: negative-id, hardware-input (no microphone travels), bus-range.
        """
        if 0 <= own < self.outs and own < OUTPUT_BUSES:
            return HARDWARE_BUSES + self.slot * BUSES_PER_SLOT + own
        internal = own - self.outs - self.ins
        if 0 <= internal < INTERNAL_BUSES:
            return HARDWARE_BUSES + self.slot * BUSES_PER_SLOT + OUTPUT_BUSES + internal
        if self.outs <= own < self.outs + self.ins:
            raise Refused("hardware-input", f"audio bus {own} is input {own - self.outs} of its sender")
        return _refuse_number("bus", own, self.outs + self.ins + INTERNAL_BUSES)

    def hardware_output(self, channel: int, channels: int, *, at_home: bool) -> int:
        """Return the bus, counted from 1, for sound that the member sends to channel `channel` of its sound
        card.

        channels: how many channels are written, from `channel` on. at_home: whether this is the member's own
        host.

        Channels 1 and 2 become the private outputs, whose sound passes the member's mixer. Higher channels
        are the sound card's own at home, and are folded onto the private outputs elsewhere. Nobody hears
        channels above the sound card's last one, as in plain Sonic Pi. Raises Refused: output-range.
        """
        if not 1 <= channel <= _MAX_CHANNELS:
            raise Refused("output-range", f"output {channel}: expected 1 to {_MAX_CHANNELS}")
        if channel + channels - 1 <= PRIVATE_OUTPUTS:
            return self.first_bus + channel
        if channel > max(self.outs, PRIVATE_OUTPUTS):
            return self.first_bus + PRIVATE_OUTPUTS + 1
        if at_home:
            return channel
        return self.first_bus + 1 + ((channel - 1) % PRIVATE_OUTPUTS if channels == 1 else 0)

    def control_bus(self, own: int) -> int:
        """Return scsynth's number of the member's control bus `own`. Raises Refused: negative-id,
        bus-range."""
        if not 0 <= own < CONTROL_BUSES_PER_SLOT:
            _refuse_number("bus", own, CONTROL_BUSES_PER_SLOT)
        return self.slot * CONTROL_BUSES_PER_SLOT + own

    @property
    def control_buses(self) -> tuple[int, int]:
        """scsynth's number of the member's first control bus, and how many control buses the member has."""
        return self.slot * CONTROL_BUSES_PER_SLOT, CONTROL_BUSES_PER_SLOT

    def buffer(self, own: int) -> int:
        """Return scsynth's number of the member's buffer `own`. Raises Refused: negative-id, buffer-range."""
        if not 0 <= own < BUFFERS_PER_SLOT:
            _refuse_number("buffer", own, BUFFERS_PER_SLOT)
        return self.slot * BUFFERS_PER_SLOT + own

    def own_node(self, node: int) -> int | None:
        """Return the member's number of scsynth's node `node`; None if the node is another member's.

        Call this for the local player only. A node that exists only on this host counts as the local
        player's.
        """
        slot = node >> NODE_BITS
        if slot == self.slot:
            return node & _OWN_MASK
        if slot == 0 and node >= LOCAL_BASE:
            return node - LOCAL_BASE
        return None

    def own_audio_bus(self, bus: int) -> int | None:
        """Return the member's number of scsynth's audio bus `bus`; None for others' buses and guard buses."""
        offset = bus - self.first_bus
        if 0 <= offset < min(self.outs, OUTPUT_BUSES):
            return offset
        if OUTPUT_BUSES <= offset < OUTPUT_BUSES + INTERNAL_BUSES:
            return offset - OUTPUT_BUSES + self.outs + self.ins
        return None

    def own_control_bus(self, bus: int) -> int | None:
        """Return the member's number of scsynth's control bus `bus`; None if the bus is another member's."""
        slot, own = divmod(bus, CONTROL_BUSES_PER_SLOT)
        return own if slot == self.slot else None

    def own_buffer(self, buffer: int) -> int | None:
        """Return the member's number of scsynth's buffer `buffer`; None if the buffer is another member's."""
        slot, own = divmod(buffer, BUFFERS_PER_SLOT)
        return own if slot == self.slot else None


def slot_of_buffer(buffer: int) -> int:
    """Return the slot whose member owns a buffer. buffer: scsynth's number."""
    return buffer // BUFFERS_PER_SLOT


def home_only_node(own: int) -> int:
    """Return scsynth's number of the local player's node `own`, which exists on this host only.

    Raises Refused: negative-id, node-range.
    """
    if not 0 <= own < LOCAL_BASE:
        _refuse_number("node", own, LOCAL_BASE)
    return LOCAL_BASE + own


def _refuse_number(what: str, number: int, limit: int) -> int:
    if number < 0:
        raise Refused("negative-id", f"{what} {number}")
    raise Refused(f"{what}-range", f"{what} {number}: its sender has 0 to {limit - 1}")
