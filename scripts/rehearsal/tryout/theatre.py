"""Theatre: a plain Sonic Pi and a jam of two, booted once, that play one program after the other.

There are three genuine Sonic Pis: a plain one, anna's in a jam, and bob's, who only listens in the jam. The
plain one and anna's run every program at the same time. Four recorders record all messages: of plain Sonic
Pi, before and behind anna's bridge, and behind bob's. All three scsynths record their sound.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehearsal.proof import stream
from rehearsal.proof.doubled import DoubledJam, front_path
from rehearsal.proof.same import root_of
from rehearsal.rigs import cues, recording, sound
from rehearsal.rigs.cues import Cue
from rehearsal.rigs.jam import late_lines
from rehearsal.rigs.machine import make_shim
from rehearsal.rigs.performer import TIMING_WARNING, Performer
from rehearsal.rigs.stage import Stage
from rehearsal.rigs.tree import Node, query
from rehearsal.tryout.run_messages import runs, seconds_behind
from rehearsal.tryout.trial import (
    EDGE_NS,
    SAME_CUED_NS,
    SAME_NS,
    WHERE,
    Levels,
    Trial,
    compare_notes,
    error_lines,
    handed_of,
    notes_of,
    risen,
)

PLAYER, LISTENER = "anna", "bob"
WINDOW_S = 4.0
WINDOW_EARLY_S = 0.05
"""Time (s) from the start of the first window, in which a level is measured, to the first note. So no beat
falls on an edge of a window."""
SETTLE_S = 2.0
FADE_S = 3.0
"""Wait (s) after a stop. Sonic Pi fades out for 1.1 s and frees its nodes."""
FREED_S_MAX = 9.0
"""Longest wait (s) for scsynth to free the last FX: Sonic Pi frees it up to 8 s after the fade."""
REPORT_S = 4.5
"""Time (s) from the stop until the relay has compared the last second. A bridge reports each second half a
second after it ended, and the relay compares soon after."""
AFRESH_S = 3.0
RUN_CODE_BYTES = 16_000
"""Length (bytes) from which on code is run as a file. Sonic Pi 3.2 cuts the code of a run at 16,384 bytes."""
AFRESH = "set_sched_ahead_time! 0.5\nset_volume! 1\nreset_mixer!\nset_cent_tuning! 0\n"
"""Sonic Pi code that resets the settings that a program may have changed. AFRESH_S is the time (s) that it
needs."""

COUNTED = (
    *("refused", "local_only", "silent_here", "moved", "retimed", "overtaken", "unconfirmed"),
    *("missing", "late", "out_of_order", "different", "not_heard", "stood_in"),
)
"""Names of the figures of `jamrelay stats` that count differences between the events sent and the events
played."""
BRIDGE_SAYS = " bridge: "

OWN_GROUPS = (4, 3, 2, 5)
"""Ids of Sonic Pi's own groups for synths, FX, mixers and monitors, in this order."""
KEPT = frozenset({"sonic-pi-mixer", "sonic-pi-scope"})
"""Synthdefs of the nodes in these groups that Sonic Pi creates at its start and never frees."""


@dataclass(frozen=True, slots=True)
class Program:
    """A file of Sonic Pi code. cues: messages sent to Sonic Pi from outside while the code runs
    (FILE.cues)."""

    path: Path
    cues: tuple[Cue, ...] = ()

    @classmethod
    def at(cls, path: Path) -> "Program":
        """Read the program in `path`, and its cues from the .cues file beside it, if there is one.

        Raises ValueError if the cues can't be read.
        """
        beside = path.with_suffix(".cues")
        found = cues.parse(beside.read_text("utf-8").splitlines()) if beside.exists() else []
        return cls(path.resolve(), tuple(found))

    @property
    def lines(self) -> int:
        return len(self.path.read_text(encoding="utf-8").splitlines())

    @property
    def code(self) -> str:
        """The code to run: the file's text. If that is too long for one run, a line that runs the file."""
        text = self.path.read_text(encoding="utf-8")
        return text if len(text.encode()) < RUN_CODE_BYTES else f"run_file {json.dumps(str(self.path))}"


@dataclass(frozen=True, slots=True)
class Run:
    """The observations and recordings of one run. Instants are Unix ns.

    wavs, left_over and said have a key for each of WHERE; before and after have the members' names. told:
    lines that the player's bridge logged during the run.
    """

    from_ns: int
    stop_ns: int
    to_ns: int
    wavs: Mapping[str, Sequence[tuple[Path, int]]]
    """WHERE -> sound files, each with the instant (Unix ns) of its start."""
    left_over: Mapping[str, tuple[str, ...]]
    said: Mapping[str, Sequence[str]]
    """WHERE -> Sonic Pi's messages to its GUI during the run."""
    told: tuple[str, ...]
    before: Mapping[str, Mapping[str, Any]]
    after: Mapping[str, Mapping[str, Any]]
    """The members' statistics after the run, by name; `before` has the statistics before the run."""


class Theatre:
    """Boots a plain Sonic Pi and a jam of two, and plays one program after the other on both."""

    def __init__(self, stage: Stage, folder: Path, *, lead_ms: float = 200, pairs: int = 1) -> None:
        self.stage = stage
        self.folder = folder
        self.pairs = pairs
        """Number of stereo pairs of output channels to record."""
        (folder / "plain").mkdir(parents=True)
        home = folder / "plain"
        self.plain = stage.add(Performer("plain", 0, home, make_shim(home / "shim")))
        (folder / "jam").mkdir()
        self.jam = DoubledJam(stage, folder / "jam", [PLAYER, LISTENER], lead_ms=lead_ms)
        self.jam.start_relay()
        self.jam.add_performers(first_index=1)
        stage.boot()
        self.jam.wait_here(2)
        self.player = self.jam.performers[PLAYER]
        performers = dict(zip(WHERE, (self.plain, *self.jam.performers.values()), strict=True))
        self.performers = performers
        self.ports = {
            name: recording.read(each.recording_path).scsynth_port for name, each in performers.items()
        }
        self.slot = int(self.jam.members()[PLAYER]["slot"])
        stage.play_for(SETTLE_S)

    def try_out(self, program: Program, seconds: float) -> Trial:
        """Play one program for `seconds` and return its trial.

        Raises StageError or SoundError if a Sonic Pi or a scsynth ends meanwhile.
        """
        heard = {name: len(self.performers[name].gui_messages) for name in WHERE}
        told_at = len(self.bridge_lines())
        before = self.jam.members()
        old = self.left_over()
        takes = {name: self.start_takes(name, program.path.stem) for name in WHERE}
        from_ns = time.time_ns()
        for performer in (self.plain, self.player):
            performer.run_code(program.code)
        self.play(program.cues, seconds)
        stop_ns = time.time_ns()
        for performer in (self.plain, self.player):
            performer.stop_jobs()
        self.stage.play_for(FADE_S)
        wavs = {
            name: [(sound.stop(take), since_ns) for take, since_ns in started]
            for name, started in takes.items()
        }
        left_over = self.wait_freed(old)
        self.stage.play_for(REPORT_S - (time.time_ns() - stop_ns) / 1e9)
        return self.judge(
            program,
            seconds,
            Run(
                from_ns=from_ns,
                stop_ns=stop_ns,
                to_ns=time.time_ns(),
                wavs=wavs,
                left_over=left_over,
                said={name: list(self.performers[name].gui_lines())[heard[name] :] for name in WHERE},
                told=tuple(self.bridge_lines()[told_at:]),
                before=before,
                after=self.jam.members(),
            ),
        )

    def judge(self, program: Program, seconds: float, run: Run) -> Trial:
        """Compare the three scsynths' recordings of one run and return the trial."""
        read = {name: recording.read(self.performers[name].recording_path) for name in WHERE}
        plain = stream.read_plain(read["plain"])
        front = stream.read_plain(recording.read(front_path(self.player)))
        handed = {
            where: handed_of(
                during(stream.pair_up(front, stream.read_slot(read[where], self.slot)), run),
                round(self.jam.shift_ms * 1e6),
            )
            for where in ("home", "elsewhere")
        }
        span = run.from_ns, run.to_ns
        first_ns = {"plain": first_due_ns(plain, span), "home": first_due_ns(front, span)}
        first_ns["elsewhere"] = first_ns["home"]
        return Trial(
            program=program.path.name,
            lines=program.lines,
            seconds=seconds,
            sent=compare_notes(
                notes_of(plain, *span),
                notes_of(front, *span),
                run.stop_ns - run.from_ns - EDGE_NS,
                SAME_CUED_NS if program.cues else SAME_NS,
            ),
            home=handed["home"],
            elsewhere=handed["elsewhere"],
            levels={
                name: levels_of(run.wavs[name], first_ns[name] or run.from_ns, run.stop_ns) for name in WHERE
            },
            left_over=run.left_over,
            uncompleted={
                name: len(runs(run.said[where], "Stopping") - runs(run.said[where], "Completed"))
                for name, where in (("plain", "plain"), ("jam", "home"))
            },
            errors={"plain": error_lines(run.said["plain"]), "jam": error_lines(run.said["home"])},
            seconds_behind={
                name: seconds_behind([line for line in run.said[name] if TIMING_WARNING.search(line)])
                for name in ("plain", "home")
            },
            late={name: len(late_lines(self.performers[name], run.from_ns / 1e9)) for name in WHERE},
            counted={
                f"{member} {what}": by
                for member, figures in run.after.items()
                for what, by in risen(run.before[member], figures, counted_in(figures)).items()
            },
            told=run.told,
        )

    def play(self, from_outside: Sequence[Cue], seconds: float) -> None:
        """Wait for `seconds`. Send each cue to both players at its time."""
        began_s = time.monotonic()
        for cue in (each for each in from_outside if each.at_s < seconds):
            self.stage.play_for(began_s + cue.at_s - time.monotonic())
            for performer in (self.plain, self.player):
                cues.send(performer, cue)
        self.stage.play_for(began_s + seconds - time.monotonic())

    def start_takes(self, name: str, program: str) -> list[tuple[sound.Take, int]]:
        """Start recording a scsynth's outputs. Return each take with the instant (Unix ns) of its start.

        name: one of WHERE. program: the first part of the sound files' names.
        """
        started = []
        if name == "plain":
            # Sonic Pi paused the root group when its last run ended. A take would be paused with it.
            with sound.Connection(self.ports[name]) as ask:
                ask("/n_run", 0, 1)
        for pair in range(self.pairs):
            wav = self.folder / f"{program}-{name}-{2 * pair + 1}.wav"
            number = sound.BUFFER + pair, sound.NODE + pair
            take = sound.start(self.ports[name], wav, 2 * pair, *number)
            started.append((take, time.time_ns()))
        return started

    def wait_freed(self, old: Mapping[str, Sequence[Node]]) -> dict[str, tuple[str, ...]]:
        """Wait until every scsynth has freed the program's nodes, FREED_S_MAX at most. Return the nodes left,
        by WHERE.

        old: nodes left over from earlier programs. They don't count.
        """
        known = {name: {node.id for node in nodes} for name, nodes in old.items()}
        deadline_s = time.monotonic() + FREED_S_MAX
        while True:
            left = {
                name: tuple(str(node) for node in nodes if node.id not in known[name])
                for name, nodes in self.left_over().items()
            }
            if not any(left.values()) or time.monotonic() > deadline_s:
                return left
            self.stage.play_for(0.5)

    def left_over(self) -> dict[str, tuple[Node, ...]]:
        """Return WHERE -> the scsynth's nodes that Sonic Pi didn't create at its start."""
        return {
            name: left_over(query(self.ports[name]), 0 if name == "plain" else self.slot) for name in WHERE
        }

    def afresh(self) -> None:
        """Run code in both players that resets the settings a program may have changed."""
        for performer in (self.plain, self.player):
            performer.run_code(AFRESH)
        self.stage.play_for(AFRESH_S)

    def bridge_lines(self) -> list[str]:
        """Return the lines that the player's bridge has logged so far."""
        lines = self.player.server_log_path.read_text(errors="replace").splitlines()
        return [line.partition(BRIDGE_SAYS)[2] for line in lines if BRIDGE_SAYS in line]


def counted_in(member: Mapping[str, Any]) -> list[str]:
    """Return the names of a member's figures that count differences, and of all its tables of figures."""
    return [name for name in member if name in COUNTED or isinstance(member[name], Mapping)]


def during(pairing: stream.Pairing, run: Run) -> stream.Pairing:
    """Return the part of a pairing whose messages Sonic Pi sent during a run.

    `pairing` covers whole recordings. A message handed over at the beginning of a run may have been sent
    before the run. Pairs never mix messages of two runs, because Sonic Pi uses no node id twice.
    """

    def was(said: stream.Said) -> bool:
        return run.from_ns <= said.message.t_ns < run.to_ns

    return stream.Pairing(
        tuple(pair for pair in pairing.pairs if was(pair.front)),
        tuple(filter(was, pairing.front_only)),
        tuple(filter(was, pairing.out_only)),
    )


def first_due_ns(sent: Sequence[stream.Said], span: tuple[int, int]) -> int | None:
    """Return the due (Unix ns) of the first timed note that was sent in `span`; None if there is none.

    span: [from, to) in Unix ns.
    """
    dues = (
        said.stated_ns
        for said in sent
        if said.is_note and said.message.timetag is not None and span[0] <= said.message.t_ns < span[1]
    )
    return min(dues, default=None)


def levels_of(wavs: Sequence[tuple[Path, int]], first_ns: int, stop_ns: int) -> Levels:
    """Return the levels of a program as a whole and by window. Only whole windows from the first note to the
    stop count.

    wavs: sound files, each with the instant of its start. first_ns, stop_ns: first note and stop. All
    instants are Unix ns.
    """
    takes = [(wav, (first_ns - since_ns) / 1e9 - WINDOW_EARLY_S) for wav, since_ns in wavs]
    count = max(1, int(((stop_ns - first_ns) / 1e9 + WINDOW_EARLY_S) / WINDOW_S))
    whole = sound.window_levels_dbfs(takes, count * WINDOW_S, 1)[0]
    return Levels(whole, tuple(sound.window_levels_dbfs(takes, WINDOW_S, count)))


def left_over(tree: Node, slot: int) -> tuple[Node, ...]:
    """Return the nodes directly below Sonic Pi's own groups that Sonic Pi didn't create at its start.

    tree: scsynth's whole tree. slot: the slot of the groups.
    """
    groups = (tree.find(root_of(slot) | group) for group in OWN_GROUPS)
    return tuple(
        node for group in groups if group is not None for node in group.children if node.name not in KEPT
    )
