"""A concert of snippets: three genuine Sonic Pis in step, and all that was recorded of them.

One plays without a bridge, one in a room with lead 150 ms and shift 0, one in a room with shift = lead =
200 ms, each room with a relay of its own. Where a claim depends on how busy this machine is, what the
recorders had to wait for a processor tells it.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from rehearsal.proof import stream
from rehearsal.proof.doubled import DoubledJam, front_path
from rehearsal.proof.stream import Pair, Pairing, Said
from rehearsal.rigs import recording
from rehearsal.rigs.jam import late_lines
from rehearsal.rigs.machine import make_shim
from rehearsal.rigs.performer import Performer
from rehearsal.rigs.recording import Recording
from rehearsal.rigs.stage import Stage

from tests.worlds import snippets, streams
from tests.worlds.snippets import Turn

ROOMS = {"lead": (150, 0), "shift": (200, 200)}
"""Name -> lead and shift, in ms."""
SNIPPETS = Path(__file__).parent / "snippets"
PROGRAMMES: dict[str, dict[str, tuple[float, float]]] = {
    "brief": {
        "a_nestfx": (4.0, 3.0),
        "b_control": (5.0, 0.0),
        "c_chord": (4.0, 0.0),
        "d_redef": (4.0, 0.0),
        "e_realtime": (4.0, 0.0),
        "f_timewarp": (4.0, 0.0),
        "g_stopmid": (4.0, 0.0),
        "h_sampleload": (4.5, 3.0),
        "i_liveaudio": (5.0, 0.0),
        "j_natural": (3.0, 0.0),
        "k_sat01": (4.0, 0.0),
    },
    "whole": {
        "a_nestfx": (6.0, 3.0),
        "b_control": (5.0, 3.0),
        "c_chord": (6.0, 3.0),
        "d_redef": (6.0, 3.0),
        "e_realtime": (6.0, 3.0),
        "f_timewarp": (6.0, 3.0),
        "g_stopmid": (6.0, 3.0),
        "h_sampleload": (4.5, 3.0),
        "i_liveaudio": (5.0, 3.0),
        "j_natural": (3.0, 2.0),
        "k_sat01": (6.0, 3.0),
        "l_tight": (4.0, 2.0),
    },
}
"""How long each snippet is played, in seconds, and how long once more after its stop (0: not at all).

The brief one plays each kind once, and once more the one that is stopped in the midst of its FX and the one
whose samples are in memory by then. The whole one has nested FX a second time, four times as often.
"""
SOLO = ("l_tight",)
"""Takes half a core in Ruby alone: three at once would only measure how few cores there are."""
SETTLE_S = 2.0
LAST_S = 1.5
"""After the last turn, so that all that was sent has been handed over."""

MS = 1_000_000
CLOCK_NS = 200_000
"""How far two conversions of a timetag may differ: from Sonic Pi's clock to the room's and back."""
STALL_NS_MIN = 20 * MS
"""So late may a process be that waits for a processor, even if no recorder had to wait."""
STALLS = 5
"""And so many times as long as a recorder had to wait: it is a smaller process than a bridge."""
BETWEEN_LOADS_NS = 100 * MS
"""So long may a thread that uses several samples for the first time need from one load to the next."""
BUSY_NS = 10 * MS
"""If a recorder had to wait for so long, the machine was too busy to judge anybody's punctuality strictly."""


@dataclass(frozen=True, repr=False)
class Take:
    """What was recorded of one of the three. The plain one has no bridge, so nothing is paired."""

    name: str
    front: list[Said]
    out: Recording
    late: list[str]
    answers_ns: list[int]
    """How long Sonic Pi's threads waited for each of their groups."""
    loads_ns: list[tuple[int, int]]
    """From when to when they waited for each of their samples."""
    pairing: Pairing = field(default_factory=lambda: Pairing((), (), ()))
    lead_ns: int = 0
    shift_ns: int = 0
    slot: int = 0
    stats: dict[str, Any] = field(default_factory=dict)
    stall_ns: int = 0
    """How long a process may have been kept waiting for a processor, going by the recorders."""

    @cached_property
    def music(self) -> list[Pair]:
        """All but the loads of buffers, which happen at once."""
        return [pair for pair in self.pairing.pairs if not pair.is_load]

    def is_moved(self, pair: Pair) -> bool:
        """Tell whether a timed message plays later than at its timetag plus shift."""
        return pair.is_timed and pair.moved_ns - self.shift_ns > CLOCK_NS

    @cached_property
    def moved(self) -> list[Pair]:
        """All timed messages that moved."""
        return [pair for pair in self.music if self.is_moved(pair)]

    def waited_for_a_load(self, said: Said) -> bool:
        """Tell whether Sonic Pi sent a message too late not to be moved, and a thread waited for a sample
        when it would have been early enough: what is played after the first use of one leads by less then,
        in plain Sonic Pi too."""
        if said.lead_ns >= self.lead_ns - self.shift_ns:
            return False
        last_ns = said.stated_ns - (self.lead_ns - self.shift_ns)
        return any(from_ns <= last_ns <= to_ns + BETWEEN_LOADS_NS for from_ns, to_ns in self.loads_ns)

    @cached_property
    def sounding(self) -> set[int]:
        """The nodes (in Sonic Pi's numbers) that scsynth says have started."""
        nodes = (each.args[0] for each in self.out.from_scsynth if each.address == "/n_go")
        if not self.slot:
            return {node for node in nodes if isinstance(node, int)}
        own = (stream.own_node(node, self.slot) for node in nodes)
        return {node for node in own if node is not None}


@dataclass(frozen=True, repr=False)
class Concert:
    """What the three played, turn by turn, and what was recorded of each."""

    turns: dict[str, list[Turn]]
    """By performer; the n-th turns of all three are the same code."""
    plain: Take
    jams: dict[str, Take]
    waits: list[tuple[int, int]]
    """When a recorder came to a datagram late, and how late, in ns."""

    def snippet_of(self, take: Take, said: Said) -> str:
        at_ns = said.message.t_ns
        return next(
            (turn.snippet for turn in self.turns[take.name] if turn.from_ns <= at_ns < turn.to_ns), ""
        )

    def is_busy(self, turn: Turn) -> bool:
        """Tell whether the machine kept processes waiting during this turn."""
        return any(turn.from_ns <= at_ns < turn.to_ns and late_ns > BUSY_NS for at_ns, late_ns in self.waits)


def perform(folder: Path, programme: str) -> Concert:
    """Play a programme; every performer gets a folder in `folder`. Takes 100 s (brief) or 195 s (whole)."""
    with Stage() as stage:
        home = folder / "plain"
        home.mkdir()
        plain = stage.add(Performer("plain", 0, home, make_shim(home / "shim")))
        jams = {}
        for name, (lead_ms, shift_ms) in ROOMS.items():
            (folder / name).mkdir()
            jams[name] = DoubledJam(stage, folder / name, [name], lead_ms=lead_ms, shift_ms=shift_ms)
            jams[name].start_relay()
            jams[name].add_performers(first_index=1 + len(jams))
        stage.boot()
        for jam in jams.values():
            jam.wait_here(1)
        performers = {"plain": plain} | {name: jam.performers[name] for name, jam in jams.items()}
        ports = {name: recording.read(each.recording_path).scsynth_port for name, each in performers.items()}
        stage.play_for(SETTLE_S)
        pieces = snippets.load(SNIPPETS, PROGRAMMES[programme])
        turns = snippets.play(stage, performers, ports, pieces, SOLO)
        stage.play_for(LAST_S)
        takes = {name: take_of(name, jam) for name, jam in jams.items()}
        out = recording.read(plain.recording_path)
        plain_take = Take(
            "plain",
            stream.read_plain(out),
            out,
            late_lines(plain),
            streams.answers_ns(out),
            streams.loads_ns(out),
        )
    waits = [
        (message.t_ns, message.passed_ns[0] - message.t_ns)
        for take in (plain_take, *takes.values())
        for message in (*take.out.to_scsynth, *(said.message for said in take.front))
        if message.passed_ns is not None
    ]
    stall_ns = max(STALL_NS_MIN, STALLS * max(late_ns for _, late_ns in waits))
    jams_taken = {name: replace(take, stall_ns=stall_ns) for name, take in takes.items()}
    return Concert(turns, plain_take, jams_taken, waits)


def take_of(name: str, jam: DoubledJam) -> Take:
    performer = jam.performers[name]
    member = jam.members()[name]
    slot = int(member["slot"])
    out = recording.read(performer.recording_path)
    read = recording.read(front_path(performer))
    assert read.dropped == out.dropped == 0, "a recorder lost datagrams: the recordings prove nothing"
    front = stream.read_plain(read)
    pairing = stream.pair_up(front, stream.read_slot(out, slot))
    lead_ns, shift_ns = round(jam.lead_ms * MS), round(jam.shift_ms * MS)
    return Take(
        name, front, out, late_lines(performer), streams.answers_ns(read), streams.loads_ns(read), pairing,
        lead_ns, shift_ns, slot, member,
    )  # fmt: skip
