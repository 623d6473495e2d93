"""Generator: computes the notes of a member's Sonic Pi in an experiment, for virtual time and real bridges
alike.

Pure: a schedule depends only on its arguments. The module imports only the standard library and relay.wire,
so a feeder starts quickly. Every note has a node id of its own, by which it is found in recordings and
verdicts.
"""

from dataclasses import dataclass
from random import Random

from relay.wire.osc import bundle, encode
from relay.wire.timetag import ticks

FIRST_NODE = 100
"""Node id of the first note. The boot uses lower ids."""
BOOT_SPACING_S = 0.020
"""Time (s) between two messages of a boot, about as in Sonic Pi 3.2.2."""
RUN_GROUP = 7
DITHER = 0.5
"""Share of the interval between events (1 / events_per_s) within which an event's instant is random.

At even intervals events would keep one phase for a whole run, against the heartbeats (50 ms) and against a
network's held jitter.
"""
SYNTHDEFS = "/usr/share/sonic-pi/synthdefs/compiled"
"""The folder of Sonic Pi's own synthdefs on Debian."""


@dataclass(frozen=True, slots=True)
class Emission:
    """One note of a schedule.

    at_s: its emission, in s after the start of the performance. ahead_s: time (s) from emission to timetag.
    node: its node id, in Sonic Pi's own numbers.
    """

    at_s: float
    ahead_s: float
    node: int
    message: bytes

    def datagram(self, start: int) -> bytes:
        """Return the bundle to send if the performance starts at the wall timetag `start`."""
        return bundle(start + ticks(self.at_s + self.ahead_s), self.message)


def node_of(message: bytes) -> int | None:
    """Return the node id of a note of this generator; None for any other message.

    If a bridge has remapped the id, the remapped id is returned.
    """
    return int.from_bytes(message[_NODE_AT : _NODE_AT + 4]) if message.startswith(_NOTE_HEAD) else None


def boot(synthdefs: str = SYNTHDEFS) -> list[tuple[float, bytes]]:
    """Return the messages of a boot, each as (seconds after the start, message without a timetag).

    They load the synthdefs, and create the groups and the mixer of a Sonic Pi and of one run of code. They
    are part of a recorded start of Sonic Pi 3.2.2 (tests/vectors/traffic/boot.jsonl).
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

    member: its number, from 0. Each member has its own phase and random numbers. There are round(seconds *
    events_per_s) notes, all emitted in [0, seconds). ahead_ms: time (ms) from a note's emission to its
    timetag.
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
"""Offset (bytes) of the node id in a note.

The part before it (address, type tags, name of the synth) is the same in all notes. So no note has to be
parsed.
"""


def _note(node: int, dice: Random) -> bytes:
    """Return an /s_new with a random pitch.

    As a bundle it has 116 bytes. Notes of recorded sessions have 108 to 192 bytes.
    """
    how = ("note", float(dice.randint(40, 90)), "release", 0.3, "amp", 0.5, "out_bus", 36.0)
    return encode("/s_new", "sonic-pi-beep", node, 0, RUN_GROUP, *how)
