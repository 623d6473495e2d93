"""Three genuine Sonic Pis that play the same snippets at the same time, and all that was recorded of them.

One plays without a bridge. Each of the others is alone in a room of its own relay: one room has lead 150 ms
and shift 0, the other has lead and shift 200 ms. How late the recorders read their datagrams shows how busy
the machine was. Bounds on time are derived from that.
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
"""Room name -> (lead, shift), in ms."""
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
"""For each snippet: seconds to play it, and seconds to play it again after its stop (0: not again).

"brief" plays each kind of snippet once. It plays two of them again: the one stopped in the middle of its FX,
and the one whose samples are in memory by then. "whole" plays every snippet twice.
"""
SOLO = ("l_tight",)
"""Snippets that the three play one after the other. Each takes half a processor core in Ruby alone."""
SETTLE_S = 2.0
LAST_S = 1.5
"""Time (s) after the last turn, in which all that was sent is handed over."""

MS = 1_000_000
CLOCK_NS = 200_000
"""Greatest error (ns) of converting a timetag from Sonic Pi's clock to the room's and back."""
STALL_NS_MIN = 20 * MS
"""Least value (ns) of `Take.stall_ns`. A process may wait that long for a processor though no recorder
did."""
STALLS = 5
"""Factor from a recorder's longest wait to `Take.stall_ns`. A bridge is larger and may wait longer."""
BETWEEN_LOADS_NS = 100 * MS
"""Time (ns) that a Sonic Pi thread may need between two samples that it uses for the first time."""
BUSY_NS = 10 * MS
"""Wait (ns) of a recorder from which on the machine counts as busy. Then punctuality isn't judged
strictly."""


@dataclass(frozen=True, repr=False)
class Take:
    """All that was recorded of one performer. pairing: empty for the performer without a bridge."""

    name: str
    front: list[Said]
    out: Recording
    late: list[str]
    answers_ns: list[int]
    """Time (ns) that a thread of Sonic Pi waited for scsynth's answer, for each group that it made."""
    loads_ns: list[tuple[int, int]]
    """For each sample (from, until), in ns: a thread of Sonic Pi waited for the sample meanwhile."""
    pairing: Pairing = field(default_factory=lambda: Pairing((), (), ()))
    lead_ns: int = 0
    shift_ns: int = 0
    slot: int = 0
    stats: dict[str, Any] = field(default_factory=dict)
    stall_ns: int = 0
    """Longest time (ns) that a process waited for a processor, estimated from the recorders."""

    @cached_property
    def music(self) -> list[Pair]:
        """The pairs of sent and played messages, without loads of buffers, which happen at once."""
        return [pair for pair in self.pairing.pairs if not pair.is_load]

    def is_moved(self, pair: Pair) -> bool:
        """Return whether a message with a timetag plays later than its timetag plus the shift."""
        return pair.is_timed and pair.moved_ns - self.shift_ns > CLOCK_NS

    @cached_property
    def moved(self) -> list[Pair]:
        """All pairs whose message plays later than its timetag plus the shift."""
        return [pair for pair in self.music if self.is_moved(pair)]

    def waited_for_a_load(self, said: Said) -> bool:
        """Return whether a message had too short a lead because its thread was waiting for a sample to load.

        A thread was still waiting for a sample at the last instant at which the message would have been in
        time. In plain Sonic Pi, too, the first use of a sample shortens the lead.
        """
        if said.lead_ns >= self.lead_ns - self.shift_ns:
            return False
        last_ns = said.stated_ns - (self.lead_ns - self.shift_ns)
        return any(from_ns <= last_ns <= to_ns + BETWEEN_LOADS_NS for from_ns, to_ns in self.loads_ns)

    @cached_property
    def sounding(self) -> set[int]:
        """The nodes (in Sonic Pi's own ids) that scsynth reported as started."""
        nodes = (each.args[0] for each in self.out.from_scsynth if each.address == "/n_go")
        if not self.slot:
            return {node for node in nodes if isinstance(node, int)}
        own = (stream.own_node(node, self.slot) for node in nodes)
        return {node for node in own if node is not None}


@dataclass(frozen=True, repr=False)
class Concert:
    """What the three performers played, turn by turn, and the recordings of each."""

    turns: dict[str, list[Turn]]
    """The turns by performer. The n-th turns of all three have the same code."""
    plain: Take
    jams: dict[str, Take]
    waits: list[tuple[int, int]]
    """For each recorded datagram (when it came, how late a recorder passed it on), in ns."""

    def snippet_of(self, take: Take, said: Said) -> str:
        at_ns = said.message.t_ns
        return next(
            (turn.snippet for turn in self.turns[take.name] if turn.from_ns <= at_ns < turn.to_ns), ""
        )

    def is_busy(self, turn: Turn) -> bool:
        """Return whether a recorder had to wait for more than BUSY_NS during this turn."""
        return any(turn.from_ns <= at_ns < turn.to_ns and late_ns > BUSY_NS for at_ns, late_ns in self.waits)


def perform(folder: Path, programme: str) -> Concert:
    """Play a programme and return its recordings. It takes 100 s ("brief") or 195 s ("whole").

    Each performer gets a folder in `folder`.
    """
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
