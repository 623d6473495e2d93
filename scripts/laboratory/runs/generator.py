"""Generator: the notes of a member's Sonic Pi in an experiment, in virtual time and with real bridges alike.

Pure: a schedule is a function of its arguments alone. The module needs nothing but the standard library and
relay.wire, so a feeder's process starts quickly. Every note has an id of its own, by which recordings and
verdicts are matched with it.
"""

from dataclasses import dataclass
from random import Random

from relay.wire.osc import bundle, encode
from relay.wire.timetag import ticks

FIRST_NODE = 100
"""First node id of the notes. The boot uses lower ids."""
BOOT_SPACING_S = 0.020
"""Seconds between the groups of a boot, about as Sonic Pi 3.2.2 leaves them."""
RUN_GROUP = 7
DITHER = 0.5
"""Share of an event's own interval within which its instant is drawn. An exact grid would keep one phase
against the heartbeats (50 ms) and the held jitter of a network for a whole run."""
SYNTHDEFS = "/usr/share/sonic-pi/synthdefs/compiled"
"""The folder of Sonic Pi's own synthdefs on Debian."""


@dataclass(frozen=True, slots=True)
class Emission:
    """One note: emitted `at_s` after the start, its timetag `ahead_s` later. node: Sonic Pi's own id."""

    at_s: float
    ahead_s: float
    node: int
    message: bytes

    def datagram(self, start: int) -> bytes:
        """Return the bundle for a performance that starts at the wall timetag `start`."""
        return bundle(start + ticks(self.at_s + self.ahead_s), self.message)


def node_of(message: bytes) -> int | None:
    """Return the node id of one of this generator's notes, remapped or not; None for any other message."""
    return int.from_bytes(message[_NODE_AT : _NODE_AT + 4]) if message.startswith(_NOTE_HEAD) else None


def boot(synthdefs: str = SYNTHDEFS) -> list[tuple[float, bytes]]:
    """Return (seconds after the start, bare message): synthdefs, the groups and mixer of a Sonic Pi, a run.

    Shortened from a recorded start of Sonic Pi 3.2.2 (tests/vectors/traffic/boot.jsonl).
    """
    mixer = ("sonic-pi-mixer", 6, 0, 2, "in_bus", 34.0)
    run_mixer = ("sonic-pi-basic_mixer", 8, 0, 2, "amp", 1.0, "in_bus", 36.0, "out_bus", 34.0)
    messages = [
        encode("/d_loadDir", synthdefs),
        encode("/g_new", 2, 0, 0),
        encode("/g_new", 3, 2, 2),
        encode("/g_new", 4, 2, 3),
        encode("/g_new", 5, 3, 2),
        encode("/s_new", *mixer),
        encode("/g_new", RUN_GROUP, 1, 4),
        encode("/s_new", *run_mixer),
    ]
    return [(index * BOOT_SPACING_S, message) for index, message in enumerate(messages)]


def schedule(
    *, seed: int, member: int, events_per_s: float, seconds: float, ahead_ms: float
) -> list[Emission]:
    """Return a member's notes in the order of emission: one in every interval of 1 / events_per_s.

    member: 0, 1, ...; each has a phase and a drawing of its own. round(seconds * events_per_s) notes, all
    emitted in [0, seconds).
    """
    dice = Random(f"generator {seed} {member}")
    interval_s = 1.0 / events_per_s
    phase = dice.random() * (1.0 - DITHER)
    return [
        Emission(
            (index + phase + dice.random() * DITHER) * interval_s,
            ahead_ms / 1e3,
            FIRST_NODE + index,
            _note(FIRST_NODE + index, dice),
        )
        for index in range(round(seconds * events_per_s))
    ]


_NOTE_HEAD = encode("/s_new", "sonic-pi-beep", 0, 0, 0, *("note", 0.0) * 4)[:40]
_NODE_AT = len(_NOTE_HEAD)
"""Offset of a note's node id. Address, tags and name before it are always the same, so no note has to be
parsed."""


def _note(node: int, dice: Random) -> bytes:
    """116 bytes as a bundle; recorded sessions have notes of 108 to 192 bytes."""
    how = ("note", float(dice.randint(40, 90)), "release", 0.3, "amp", 0.5, "out_bus", 36.0)
    return encode("/s_new", "sonic-pi-beep", node, 0, RUN_GROUP, *how)
