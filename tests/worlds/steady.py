"""A made-up player of steady notes, with groups, FX, settings and frees between. Pure.

The notes lie on an exact grid: unless something stalls, every member hears them at equal intervals.
"""

from dataclasses import dataclass, field

from laboratory.virtual.traffic import Sent

from bridge.scsynth.id_space import NODES_PER_SLOT
from relay.wire.osc import bundle, encode, single_message
from relay.wire.timetag import ticks

CHORD_SPREAD_S = 0.0002
"""Time (s) between the sending of two notes of a chord. Their timetags are equal, as with Sonic Pi."""
STRUCTURE_EVERY_S = 0.5
FX_LIVES_S = 0.35
SETTING_AHEAD_S = 0.5
NOTE = b"sonic-pi-beep"

Key = tuple[str, int, float]
"""What identifies a message: (address, Sonic Pi's own node id, value of a setting or else 0.0)."""


@dataclass
class Steady:
    """A performance: the datagrams to send, and lists of the chords, structure and settings in them."""

    sent: list[Sent] = field(default_factory=list)
    chords: list[tuple[int, ...]] = field(default_factory=list)
    """For each chord Sonic Pi's own ids of its notes. A single note is a chord of one."""
    emitted_s: dict[int, float] = field(default_factory=dict)
    """Note id -> when the note is sent (s after the start)."""
    structure: list[Key] = field(default_factory=list)
    """Groups, FX, mixers and frees, in the order of sending."""
    settings: list[Key] = field(default_factory=list)
    """Settings that have a timetag, in the order of their timetags."""


def steady(
    seconds: float,
    *,
    per_s: float = 20.0,
    chord: int = 1,
    ahead_s: float = 0.5,
    offset_s: float = 0.0,
    first_id: int = 1000,
) -> Steady:
    """Return a performance with `per_s` notes (or chords of `chord` notes) a second.

    It needs the groups that Sonic Pi makes at its start. ahead_s: from sending to timetag. offset_s: delays
    all notes, so that two players' notes don't coincide.
    """
    ids = iter(range(first_id, first_id + 1_000_000))
    run, mixer = next(ids), next(ids)
    all_of_it = Steady()

    def bare(at_s: float, address: str, *args: str | int | float) -> None:
        all_of_it.sent.append(Sent(at_s, encode(address, *args), None))

    def timed(at_s: float, tag_s: float, address: str, *args: str | int | float) -> None:
        all_of_it.sent.append(Sent(at_s, bundle(2, encode(address, *args)), ticks(tag_s)))

    bare(0.0, "/g_new", run, 1, 4)
    bare(0.001, "/s_new", "sonic-pi-basic_mixer", mixer, 0, 2, "amp", 1.0, "in_bus", 36.0, "out_bus", 34.0)
    for index in range(round((seconds - 0.1) * per_s)):
        at_s = 0.1 + offset_s + index / per_s
        notes = tuple(next(ids) for _ in range(chord))
        all_of_it.chords.append(notes)
        for place, note in enumerate(notes):
            sent_s = at_s + place * CHORD_SPREAD_S
            all_of_it.emitted_s[note] = sent_s
            how = ("note", float(50 + 3 * place + index % 12), "release", 0.1, "out_bus", 36.0)
            timed(sent_s, at_s + ahead_s, "/s_new", NOTE.decode(), note, 0, run, *how)
    for index in range(int((seconds - 1.0) / STRUCTURE_EVERY_S)):
        at_s = 0.113 + offset_s + index * STRUCTURE_EVERY_S
        outer, inner, fx = next(ids), next(ids), next(ids)
        bare(at_s, "/g_new", outer, 1, run)
        bare(at_s + 0.001, "/g_new", inner, 0, outer)
        how = ("in_bus", 38.0, "out_bus", 36.0)
        bare(at_s + 0.002, "/s_new", "sonic-pi-fx_reverb", fx, 1, outer, *how)
        bare(at_s + FX_LIVES_S, "/n_free", outer)
        amp = 0.5 + index / 256
        timed(at_s + 0.004, at_s + SETTING_AHEAD_S, "/n_set", mixer, "amp", amp)
        all_of_it.settings.append(("/n_set", mixer, amp))
    all_of_it.sent.sort(key=lambda one: one.at_s)
    all_of_it.structure = [key_of(one.datagram) for one in all_of_it.sent if one.ahead is None]
    return all_of_it


def key_of(message: bytes) -> Key:
    """Return the key of a bare message about a node. Node ids may be Sonic Pi's own or scsynth's."""
    one = single_message(message)
    node = one.arg(1 if one.address == "/s_new" else 0)
    value = one.arg(2) if one.address == "/n_set" else 0.0
    assert isinstance(node, int)
    assert isinstance(value, float)
    return one.address, node & NODES_PER_SLOT - 1, value
