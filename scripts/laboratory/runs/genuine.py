"""Genuine run: one point of the laboratory with genuine Sonic Pis, jackd and scsynth in a star of namespaces.

A shell. Each member is a Sonic Pi that plays one of its own examples through `jambridge join`. A recorder in
front of the bridge records everything that Sonic Pi sends. A recorder behind it records everything that
scsynth is handed. The notes are judged as in a real run (`realrun.judge`): with the same oracle, and without
notes disturbed by a standstill of this machine.

The row has two further findings. One is the comparison of the recordings made behind the bridges, over all
messages of the room (`rehearsal.proof.compare`). The other is the number of lines in which scsynths report
late bundles.

The seed fixes the network, and the piece that each member plays. Sonic Pi's own random numbers are the same
in each run.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from rehearsal.proof.compare import compare
from rehearsal.proof.doubled import front_path, write_scripts
from rehearsal.rigs import recording
from rehearsal.rigs.jam import late_lines
from rehearsal.rigs.machine import StageError, examples, find_ruby_server
from rehearsal.rigs.performer import Performer
from rehearsal.rigs.recording import Recording
from rehearsal.rigs.stage import Stage

from laboratory.runs import health, realrun
from laboratory.runs.measure import Member
from laboratory.runs.players import BIN, CLOCK_SET, RELAY_PORT, SLOT, RunFailed
from laboratory.runs.points import Point
from laboratory.runs.realrun import LEAD_IN_S, SETTLE_S, TAIL_S
from laboratory.runs.rows import GenuineRow
from laboratory.star.namespaces import why_not
from laboratory.star.star import Host

PIECES = ("tilburg_2", "shufflit", "acid", "rerezzed", "driving_pulse", "blimp_zones", "monday_blues")
"""Examples that come with Sonic Pi and send much from their first second on: samples, FX, slides."""
OWN_AHEAD_MS = 500.0


@dataclass
class Musician:
    """One member: a genuine Sonic Pi, its bridge and its two recorders."""

    _stage: Stage
    name: str
    _index: int
    _host: Host
    _folder: Path
    _transport: str
    piece: str
    starts: int = 0
    _performer: Performer | None = None

    def start(self, relay: str, options: Sequence[str | float] = ()) -> None:
        """Start Sonic Pi with its bridge, in a new folder each time. Don't wait until it is ready. relay: its
        address."""
        self.starts += 1
        home = self._folder / str(self.starts)
        home.mkdir(parents=True)
        back, front = write_scripts(home.resolve())
        join: list[str | Path] = [
            BIN / "jambridge", "join", f"{relay}:{RELAY_PORT}", "--name", self.name,
            "--transport", self._transport, "--scsynth", back, "--", front,
        ]  # fmt: skip
        self._performer = self._stage.add(
            Performer(self.name, self._index, home, launcher=join, place=self._host)
        )
        self._performer.start()

    @property
    def performer(self) -> Performer:
        assert self._performer is not None, "not started"
        return self._performer

    @property
    def log(self) -> Path:
        return self.performer.server_log_path

    @property
    def is_ready(self) -> bool:
        """True if Sonic Pi has booted and the bridge's clock is set to the room's."""
        return self.performer.poll() and CLOCK_SET in self.performer.log_text()

    @property
    def has_ended(self) -> bool:
        return not self.performer.is_alive

    @property
    def slot(self) -> int:
        """The member's slot in the room, read from its bridge's log. Raises RunFailed if the log has none."""
        found = SLOT.findall(self.performer.log_text())
        if not found:
            raise RunFailed(f"{self.name} has no slot")
        return int(found[-1])

    def leave(self) -> None:
        """End Sonic Pi. The recorders get time to write all messages."""
        self.performer.end()

    @property
    def sent(self) -> Recording:
        """All messages that Sonic Pi sent. t_ns: when the recorder passed a message on to the bridge."""
        read = recording.read(front_path(self.performer))
        passed = (
            replace(each, t_ns=each.passed_ns[0]) if each.passed_ns is not None else each
            for each in read.to_scsynth
        )
        return replace(read, to_scsynth=tuple(passed))

    @property
    def handed(self) -> Recording:
        """All messages that the member's scsynth was handed."""
        return recording.read(self.performer.recording_path)


def missing() -> str | None:
    """Return the reason, in words, why genuine runs can't be made here; None if they can."""
    try:
        find_ruby_server()
    except StageError as error:
        return str(error)
    return why_not()


def piece_of(index: int, seed: int) -> str:
    """Return the name of the piece that member number `index` (from 0) plays."""
    return PIECES[(index + seed - 1) % len(PIECES)]


def run(point: Point, seed: int, folder: Path) -> GenuineRow:
    """Run a point once with genuine Sonic Pis and return its row.

    Use it as realrun.run. It needs a machine on which missing() returns None.
    """
    if point.where != "genuine":
        raise RunFailed(f"point {point.name} is for {point.where!r}; a genuine run is for 'genuine'")
    began_s = time.monotonic()
    try:
        with realrun.opened(point, seed, folder) as (star, relay), Stage() as stage:
            transport = realrun.transport_of(point)
            band = [
                Musician(stage, name, index, host, relay.folder / name, transport, piece_of(index, seed))
                for index, (name, host) in enumerate(star.members.items())
            ]
            realrun.wait_ready(star, relay, band)
            watch = health.Watch()

            def look() -> None:
                realrun.check_alive(star, relay, band)
                for musician in band:
                    musician.performer.poll()

            if point.ahead_ms != OWN_AHEAD_MS:
                for musician in band:
                    musician.performer.run_code(f"set_sched_ahead_time! {point.ahead_ms / 1e3}")
            watch.sleep_until(time.time_ns() + round(SETTLE_S * 1e9), look)
            start_ns = time.time_ns()
            for musician in band:
                musician.performer.run_file(examples()[musician.piece])
            from_ns = start_ns + round(LEAD_IN_S * 1e9)
            to_ns = from_ns + round(point.seconds * 1e9)
            watch.sleep_until(to_ns + round((point.due_ms / 1e3 + TAIL_S) * 1e9), look)
            cpu_s = health.cpu_by_kind(star)
            slots = {musician.name: musician.slot for musician in band}
            warnings = {musician.name: len(musician.performer.timing_warnings()) for musician in band}
            realrun.end(relay, band)
    except StageError as error:
        raise RunFailed(str(error)) from error
    members = [
        Member(musician.name, slots[musician.name], musician.sent, musician.handed) for musician in band
    ]
    played = realrun.Performance(
        point, seed, relay.folder, star, relay, band, members, (from_ns, to_ns), watch.stalls, cpu_s, began_s
    )
    row, state, _ = realrun.judge(played)
    comparison = compare({member.name: member.handed for member in members}, from_ns, to_ns)
    late = {musician.name: len(late_lines(musician.performer, start_ns / 1e9)) for musician in band}
    more = {
        "pieces": {musician.name: musician.piece for musician in band},
        "feeder_lag_ms_p99": None,
        "late_lines": late,
        "timing_warnings": warnings,
        "comparison": comparison.report().splitlines(),
    }
    realrun.finish(played, state, more)
    return GenuineRow(
        **msgspec.structs.asdict(row),
        late_lines=sum(late.values()),
        messages=comparison.events,
        messages_diverging=comparison.diverging,
    )
