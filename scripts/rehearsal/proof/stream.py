"""Streams: pairs the messages that one Sonic Pi sent with the messages that its scsynth was handed for them.

Pure. Both streams are translated to Sonic Pi's own numbers (`read_plain`, `read_slot`) and put into the order
in which scsynth executes them. Messages with equal content are paired. If a content occurs several times, its
k-th message in one stream belongs to its k-th in the other. Written from docs/way-of-an-event.md, without the
bridge's code.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rehearsal.proof.offline import is_musical
from rehearsal.proof.same import (
    BUFFER_CONTROLS,
    BUS_CONTROLS,
    BUSES_EACH,
    HARDWARE_BUSES,
    roles_of,
    root_of,
)
from rehearsal.proof.slots import BUFFERS_EACH, SLOT_BITS
from rehearsal.rigs.recording import Argument, RecordedMessage, Recording

NODE_BITS = SLOT_BITS
HOME_BASE = 1 << 25
"""First id of the local player's nodes that only its own host has. The ids are in slot 0's range."""
OUTPUT_BUSES = 64
PRIVATE_OUTPUTS = 2
PLAIN_OUTPUTS = 16
PLAIN_CHANNELS = 32
"""Number of the sound card's channels. Sonic Pi 3 sees 16 inputs and 16 outputs, and numbers its own buses
after them."""

AUDIO_BUSES, BUFFERS = frozenset(BUS_CONTROLS), frozenset(BUFFER_CONTROLS)
OUTPUT = "output"
"""Name of the control that selects a channel of the sound card, counted from 1. Channels above 2 exist only
at their player's own host."""
UNHEARD = 0.0
"""Value of the control OUTPUT for a channel that no sound card has."""
PIECE_BYTES = 1000
"""Size (bytes) above which a message may be the first piece of a call. A call too long for one event travels
in pieces, one right after the other."""
LOADS = frozenset({"/b_alloc", "/b_allocRead"})
"""Commands that load a buffer. The player's own scsynth is handed them at once, because a thread of Sonic Pi
waits for the answer."""

Content = tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """A message with its ids translated to Sonic Pi's own numbers. content: the address, followed by the
    arguments."""

    message: RecordedMessage
    content: Content

    @property
    def address(self) -> str:
        return str(self.content[0])

    @property
    def is_note(self) -> bool:
        return self.address == "/s_new"

    @property
    def came_ns(self) -> int:
        """Instant (Unix ns) at which the recorder passed the message on; if that is unknown, received it.

        So the recorder's own delay doesn't count.
        """
        return self.message.passed_ns[0] if self.message.passed_ns else self.message.t_ns

    @property
    def stated_ns(self) -> int:
        """The instant of the message's timetag (Unix ns); `came_ns` for a message without one."""
        return self.came_ns if self.message.timetag is None else self.message.due_ns

    @property
    def plays_at_ns(self) -> int:
        """Instant (Unix ns) at which plain scsynth would play the message: its timetag, or `came_ns` if that
        is later."""
        return max(self.stated_ns, self.came_ns)

    @property
    def lead_ns(self) -> int:
        """The message's timetag minus `came_ns`, in ns (> 0: sent ahead of time); 0 without a timetag."""
        return self.stated_ns - self.came_ns

    @property
    def controls(self) -> dict[Argument, Argument]:
        """The controls of an /s_new, name -> value; of several with one name the last counts."""
        return dict(zip(self.content[5::2], self.content[6::2], strict=False))

    def __str__(self) -> str:
        return " ".join(str(part).removeprefix("sonic-pi-") for part in self.content[:5])


@dataclass(frozen=True, slots=True)
class Pair:
    """One message in two versions. front: as Sonic Pi sent it. out: as scsynth was handed it."""

    front: Said
    out: Said

    @property
    def moved_ns(self) -> int:
        """Time (ns) by which scsynth plays the message later than Sonic Pi's timetag says.

        For a message without a timetag, `came_ns` takes the timetag's place.
        """
        return self.out.message.due_ns - self.front.stated_ns

    @property
    def is_timed(self) -> bool:
        return self.front.message.timetag is not None

    @property
    def is_load(self) -> bool:
        return self.front.address in LOADS


@dataclass(frozen=True, slots=True)
class Pairing:
    """Two matched streams. front_only: messages of Sonic Pi without a partner. out_only: messages handed to
    scsynth without a partner."""

    pairs: tuple[Pair, ...]
    front_only: tuple[Said, ...]
    out_only: tuple[Said, ...]


def read_plain(recording: Recording) -> list[Said]:
    """Return the musical messages of a Sonic Pi recorded without a bridge, in the order of arrival."""
    return [
        Said(each, plain_content(each))
        for each in recording.to_scsynth
        if is_musical(each.raw) or each.address == "/clearSched"
    ]


def plain_content(message: RecordedMessage) -> Content:
    if message.address == "/clearSched":
        return ("/g_freeAll", 0)  # with a bridge both are one event, a slot reset
    return (message.address, *message.args)


def read_slot(recording: Recording, slot: int) -> list[Said]:
    """Return the musical messages of the member in `slot`, in its own numbers and in the order of arrival.

    Messages about the host's own nodes (root groups, strips) are left out.
    """
    said = []
    for each in recording.to_scsynth:
        if is_musical(each.raw):
            content = own_content(each, slot)
            if content is not None:
                said.append(Said(each, content))
    return joined(said)


def joined(stream: Iterable[Said]) -> list[Said]:
    """Return a stream in which each long call is one message again. A call's pieces have the same timetag."""
    found: list[Said] = []
    for said in stream:
        first = found[-1] if found else said
        if (
            said.address == "/n_set"
            and first.is_note
            and len(first.message.raw) > PIECE_BYTES
            and (first.content[2], first.message.timetag) == (said.content[1], said.message.timetag)
        ):
            found[-1] = Said(first.message, (*first.content, *said.content[2:]))
        else:
            found.append(said)
    return found


def own_content(message: RecordedMessage, slot: int) -> Content | None:
    """Return a message's content in the own numbers of the member in `slot`; None if its node or buffer isn't
    that member's."""
    address, args = message.address, list(message.args)
    if address == "/g_new" and args[0] == root_of(slot):
        return None
    for at, role in roles_of(address, args).items():
        if role == "bus":
            args[at] = own_bus(args[at], slot)
        elif role in ("node", "buffer"):
            args[at] = own_node(args[at], slot) if role == "node" else own_buffer(args[at], slot)
            if args[at] is None and (role == "node" or at == 0):
                return None
    first = {"/s_new": 4, "/n_set": 1}.get(address, len(args))
    for at in range(first, len(args) - 1, 2):
        if args[at] == OUTPUT:
            args[at + 1] = own_output(args[at + 1], slot)
    return (address, *args)


def own_node(node: Argument, slot: int) -> int | None:
    if not isinstance(node, int) or node < 0:
        return None
    if node >> SLOT_BITS == slot:
        return node & ((1 << SLOT_BITS) - 1)
    return node - HOME_BASE if HOME_BASE <= node < 1 << SLOT_BITS else None


def own_bus(bus: Argument, slot: int) -> float | None:
    if not isinstance(bus, int | float):
        return None
    offset = float(bus) - HARDWARE_BUSES - slot * BUSES_EACH
    return offset if offset < OUTPUT_BUSES else offset - OUTPUT_BUSES + PLAIN_CHANNELS


def own_output(channel: Argument, slot: int) -> Argument:
    bus = channel - HARDWARE_BUSES - slot * BUSES_EACH if isinstance(channel, int | float) else 0
    if bus == PRIVATE_OUTPUTS + 1:
        return UNHEARD
    return float(bus) if 1 <= bus <= PRIVATE_OUTPUTS else channel


def own_buffer(buffer: Argument, slot: int) -> float | None:
    if not isinstance(buffer, int | float) or not slot * BUFFERS_EACH <= buffer < (slot + 1) * BUFFERS_EACH:
        return None
    return buffer - slot * BUFFERS_EACH


def pair_up(front: Iterable[Said], out: Iterable[Said]) -> Pairing:
    """Match the messages of Sonic Pi (front) with those that scsynth was handed (out).

    Contents must be equal. Only a note may have more controls at scsynth: buses and buffers that Sonic Pi
    left to their defaults.
    """
    waiting: dict[Content, list[Said]] = defaultdict(list)
    for said in sorted(out, key=lambda each: (each.message.due_ns, each.message.index)):
        waiting[key_of(said)].append(said)
    pairs: list[Pair] = []
    front_only: list[Said] = []
    for said in sorted(front, key=lambda each: (each.plays_at_ns, each.message.index)):
        candidates = waiting[key_of(said)]
        if candidates and same(said, candidates[0]):
            pairs.append(Pair(said, candidates.pop(0)))
        else:
            front_only.append(said)
    rest = [said for candidates in waiting.values() for said in candidates]
    pairs.sort(key=lambda pair: pair.front.message.index)
    return Pairing(tuple(pairs), tuple(front_only), tuple(sorted(rest, key=lambda each: each.message.index)))


def key_of(said: Said) -> Content:
    return said.content[:5] if said.is_note else said.content


def same(front: Said, out: Said) -> bool:
    """Tell whether `out`, handed to scsynth, is the message that Sonic Pi sent as `front`.

    A note's controls must be in the same order. A long note that travelled in pieces may have them in any
    order.
    """
    if not front.is_note:
        return front.content == out.content
    sent, handed = front.controls, out.controls
    kept = len(front.content)
    in_order = out.content[5:kept:2] == front.content[5:kept:2] or len(out.message.raw) > PIECE_BYTES
    known = AUDIO_BUSES | BUFFERS | {OUTPUT}
    return (
        in_order
        and handed.keys() >= sent.keys()
        and handed.keys() - sent.keys() <= known
        and all(handed[name] == value or is_folded(name, value, handed[name]) for name, value in sent.items())
    )


def is_folded(control: Argument, sent: Argument, handed: Argument) -> bool:
    """Tell whether other hosts correctly got the value `handed` of `control` where Sonic Pi sent `sent`.

    OUTPUT is the only such control. Channels above 2 exist only at the sender's own host. Elsewhere such a
    channel becomes 1 or 2. A channel that plain Sonic Pi doesn't have becomes UNHEARD.
    """
    if control != OUTPUT or not isinstance(sent, float):
        return False
    if sent > PLAIN_OUTPUTS:
        return handed == UNHEARD
    return sent > 1 and handed in range(1, PRIVATE_OUTPUTS + 1)


def inversions(pairs: Sequence[Pair]) -> list[tuple[Pair, Pair, int]]:
    """Return each place where scsynth plays two messages in another order than plain scsynth would.

    A place is (the pair played first, the pair played second, ns by which plain scsynth plays the first
    later). Pairs are walked in scsynth's order. Each is compared with the pair before it that plain scsynth
    would play last.
    """
    found = []
    latest: Pair | None = None
    for pair in sorted(pairs, key=lambda each: (each.out.message.due_ns, each.out.message.index)):
        key = (pair.front.plays_at_ns, pair.front.message.index)
        if latest is not None and key < (latest.front.plays_at_ns, latest.front.message.index):
            found.append((latest, pair, latest.front.plays_at_ns - pair.front.plays_at_ns))
        else:
            latest = pair
    return found
