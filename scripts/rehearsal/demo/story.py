"""Story: a jam whose members join one after the other, one of them in the middle of the music.

Anna and bob are there when the music begins. Anna has changed her volume, and plays loops inside FX and a
drone. Cleo joins while both play, plays along, leaves, and comes back. Each of her two times is a stay of its
own, with a synthesizer, a recording and a live take of its own.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rehearsal.embedded.jam import EmbeddedJam, traffic
from rehearsal.proof import builds
from rehearsal.rigs import parts, recording
from rehearsal.rigs.jam import Jam
from rehearsal.rigs.machine import StageError, examples
from rehearsal.rigs.performer import BOOT_S, POLL_S, Performer
from rehearsal.rigs.recording import unix_ns
from rehearsal.rigs.stage import Stage

ANNA, BOB, CLEO, AGAIN = "anna", "bob", "cleo", "cleo-again"
PARTS = {ANNA: "tilburg_2", BOB: "shufflit", CLEO: "acid"}
"""Member -> name of the example that it plays. The examples come with Sonic Pi; together they use samples, FX
and synths."""
DRONE = "set_volume! 0.6\nsynth :tri, note: 45, sustain: {seconds}, release: 1, amp: 0.5\n"
"""The code that anna runs in addition to her example: it sets a volume other than Sonic Pi's own, and plays a
note that sounds to the end."""

SETTLE_S = 2.0
"""Silence (s) between boot and first run, in which the clocks lock. At its end the comparison's window
begins."""
FIRST_SECOND_S = 1.0
"""Length (s) of the start of a member's first run. Its events may be re-timed in it, because Sonic Pi is slow
when it uses anything for the first time."""
JOINS_AT, LEAVES_AT = 0.15, 0.55
"""When cleo joins and leaves, as shares of the music."""
TOGETHER_S = 5.0
"""Least time (s) for which all three play, from the end of a boot on. The levels of two seconds at least are
compared then."""
AWAY_S = 1.5
"""Time (s) for which cleo is away, at least. A place is freed 1.1 s after its member has left."""
FADE_S = 4.0
"""Wait (s) after the stop. Sonic Pi fades out for 1.7 s and frees its nodes; after this wait every event has
arrived."""
ROUTE_EVERY_S = 0.3
LOOK_EVERY_S = 0.5
SECOND_NS = 1_000_000_000


@dataclass
class Stay:
    """One stay of one member. label: the member's name, or another one for a second stay.

    from_ns, to_ns: the stretch (Unix ns) in which its scsynth had everybody's music; 0 until it is over.
    plays_ns: when it began to play. figures: its figures in the room's statistics, as last seen. excused: how
    many of its events were re-timed in its first second.
    """

    label: str
    name: str
    performer: Performer
    slot: int
    from_ns: int = 0
    to_ns: int = 0
    plays_ns: int = 0
    figures: dict[str, Any] = field(default_factory=dict)
    excused: int = 0

    @property
    def retimed_later(self) -> int:
        """How many of its events were re-timed after its first second."""
        return int(self.figures.get("retimed", 0)) - self.excused


Tell = Callable[[str, float], None]
"""A function to report progress with: (what begins now, in words, or ""; seconds of music played so far)."""


class Story:
    """The jam, its stays, and what happened when.

    from_ns, stopped_ns, to_ns: the comparison's window and the stop in it (Unix ns). scenes: (seconds after
    from_ns, what began) in order. relay_trouble: a sentence that says how the relay ended; "" if it still
    runs.
    """

    def __init__(self, stage: Stage, jam: Jam, seconds: float, tell: Tell) -> None:
        self.stage = stage
        self.jam = jam
        self.seconds = seconds
        self.tell = tell
        self.embedded = isinstance(jam, EmbeddedJam)
        self.pieces = traffic() if self.embedded else examples()
        self.router = parts.Router()
        self.routed_s = 0.0
        self.stays: dict[str, Stay] = {}
        self.from_ns = self.stopped_ns = self.to_ns = 0
        self.scenes: list[tuple[float, str]] = []
        self.room: dict[str, Any] = {"members": []}
        self.relay_trouble = ""

    def play(self) -> None:
        """Play it all, and fade out. Raises StageError."""
        for name in (ANNA, BOB):
            self.tell(f"{name} joins", 0.0)
            self.join(name, name)
        self.jam.wait_here(len(self.stays))
        self.play_for(SETTLE_S)
        self.look()
        self.from_ns = time.time_ns()
        self.scene("anna and bob play")
        self.begin(ANNA, BOB)
        self.play_until(JOINS_AT * self.seconds)
        for label, scene, until in ((CLEO, "cleo joins", LEAVES_AT), (AGAIN, "cleo comes back", 1.0)):
            if not self.relay_runs():
                break
            if label == AGAIN:
                self.leave(CLEO)
            self.scene(scene)
            self.join(label, CLEO)
            self.begin(label)
            self.play_until(max(until * self.seconds, self.passed_s + TOGETHER_S))
        self.play_until(self.seconds)
        self.end()

    @property
    def passed_s(self) -> float:
        """Seconds of music played so far."""
        return (time.time_ns() - self.from_ns) / SECOND_NS if self.from_ns else 0.0

    @property
    def on_stage(self) -> list[Stay]:
        """The stays that haven't ended."""
        return [stay for stay in self.stays.values() if not stay.to_ns]

    def join(self, label: str, name: str) -> None:
        """Let a member join and wait until it has booted. The others play on. Raises StageError."""
        performer = self.jam.join(name, label)
        deadline_s = time.monotonic() + BOOT_S
        figures: dict[str, Any] = {}
        while not performer.poll() or not figures:
            if time.monotonic() > deadline_s:
                performer.wait_booted(0)
                raise StageError(f"{name} has booted, but isn't in the room; {self.relay_trouble}")
            self.play_for(LOOK_EVERY_S if not figures else POLL_S)
            if not figures:  # early, since the relay may end while the member boots
                self.look()
                figures = next((one for one in self.room["members"] if one["name"] == name), {})
        self.stays[label] = Stay(label, name, performer, int(figures["slot"]), figures=figures)

    def begin(self, *labels: str) -> None:
        """Let members play for their first second."""
        for label in labels:
            stay = self.stays[label]
            stay.plays_ns = time.time_ns()
            stay.performer.run_file(self.pieces[PARTS[stay.name]])
            if label == ANNA and not self.embedded:
                stay.performer.run_code(DRONE.format(seconds=self.seconds + BOOT_S))
        self.play_for(FIRST_SECOND_S)
        self.look()
        for label in labels:
            self.stays[label].excused = int(self.stays[label].figures.get("retimed", 0))

    def leave(self, label: str) -> None:
        """Let a member leave in the middle of the music."""
        self.look()
        stay = self.stays[label]
        self.scene(f"{stay.name} leaves")
        self.close(stay)
        self.jam.dismiss(label)
        self.play_for(AWAY_S)

    def end(self) -> None:
        """Stop all runs and wait until all is silent."""
        self.scene("all stop")
        self.stopped_ns = time.time_ns()
        for stay in self.on_stage:
            stay.performer.stop_jobs()
        self.play_for(FADE_S)
        self.look()
        self.to_ns = time.time_ns() - SECOND_NS
        for stay in self.on_stage:
            self.close(stay)

    def close(self, stay: Stay) -> None:
        """Note that a stay ends now. Its last second isn't compared: events may still be on their way."""
        stay.to_ns = time.time_ns() - SECOND_NS
        _, made = builds.split(recording.read(stay.performer.recording_path).to_scsynth)
        stay.from_ns = max([self.from_ns, *(unix_ns(each.timetag) for each in made if each.timetag)])

    def scene(self, what: str) -> None:
        """Note what begins now."""
        self.scenes.append((self.passed_s, what))
        self.tell(what, self.passed_s)

    def look(self) -> None:
        """Read the room's statistics, if the relay runs."""
        if not self.relay_runs():
            return
        try:
            self.room = self.jam.room() or self.room
        except StageError:
            if self.relay_runs():
                raise
        members = {member["name"]: member for member in self.room["members"]}
        for stay in self.on_stage:
            stay.figures = members.get(stay.name, stay.figures)

    def relay_runs(self) -> bool:
        """Return whether the relay runs. If not, note what became of it."""
        assert self.jam.relay is not None
        status = self.jam.relay.poll()
        if status is not None:
            self.relay_trouble = f"the relay ended in mid-play (status {status}): each played on alone"
        return status is None

    def play_until(self, seconds: float) -> None:
        """Let the jam play until so many seconds of music are over."""
        self.play_for(max(0.0, seconds - self.passed_s))

    def play_for(self, seconds: float) -> None:
        """Let the jam play, and give each new strip its outputs. Raises StageError if a performer ends."""

        def tick(_left_s: float) -> None:
            self.tell("", self.passed_s)
            if not self.embedded and time.monotonic() > self.routed_s + ROUTE_EVERY_S:
                self.routed_s = time.monotonic()
                self.router.route(self.ports())

        self.stage.play_for(seconds, tick)

    def ports(self) -> list[int]:
        """Return the UDP ports of the scsynths that run."""
        found = []
        for performer in self.stage.performers:
            with (
                contextlib.suppress(OSError, ValueError, StopIteration),
                performer.recording_path.open(encoding="ascii") as lines,
            ):
                found.append(recording.parse([next(lines)]).scsynth_port)
        return found
