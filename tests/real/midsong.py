"""Mid-song: a jam whose members join while others play, and live takes of what each of them hears.

Every member's part is heard by itself at every synthesizer (rehearsal.rigs.parts). Each kind of music has its
own octaves, so one that is missing or at a wrong level shows. Tones are not near the edges of third octaves.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehearsal.rigs import levels, parts, recording, tree
from rehearsal.rigs.jam import Jam
from rehearsal.rigs.performer import Performer
from rehearsal.rigs.sound import SoundError
from rehearsal.rigs.stage import Stage

from tests.real.inquiry import scsynth_port

SECOND_NS = 1_000_000_000
RATE = 48_000
DRONE_HZ = 1864.66
DRONE = "synth :beep, note: 94, sustain: {seconds}, release: 0.02, amp: 0.15"
"""A long note whose end is sharp. No other music has its octave."""
NESTED = """
live_loop :nested do
  with_fx :level, amp: 0.8 do
    with_fx :lpf, cutoff: 100 do
      4.times do
        synth :beep, note: (ring 60, 62, 64, 67).tick, release: 0.2, amp: 0.25
        sleep 0.25
      end
    end
  end
end
"""
REVERB = """
with_fx :reverb, room: 0.7, mix: 0.5 do
  live_loop :far do
    synth :beep, note: 83, release: 0.1, amp: 0.25
    sleep 0.5
  end
end
"""
CONTROLLED = """
with_fx :level, amp: 1 do |fx|
  at 1 do
    control fx, amp: 0.25, amp_slide: 0.5
  end
  live_loop :controlled do
    synth :beep, note: 43, release: 0.3, amp: 0.4
    sleep 0.5
  end
end
"""
OPENING = """
with_fx :slicer, phase: 1, wave: 1, amp_min: 0, amp_max: 1 do
  live_loop :opening do
    synth :beep, note: 76, release: 0.2, amp: 0.4
    sleep 1
  end
end
"""
"""An FX that opens and closes. Where its cycle isn't that of the others, the notes are louder or softer than
theirs."""
SAMPLES = """
live_loop :samples do
  sample :loop_amen, hpf: 118, amp: 0.5
  sleep 1.753
end
"""
OCTAVES = {
    "controlled": (80.0, 160.0),
    "nested": (200.0, 450.0),
    "opening": (570.0, 700.0),
    "reverb": (800.0, 1250.0),
    "drone": (1500.0, 2200.0),
    "samples": (4000.0, 16_000.0),
}
"""The octaves (Hz) of each kind of music."""

LEVEL_DB = 1.0
"""Greatest difference between a part's level at a listener and at home, for any second of music."""
THIRD_DB = 2.0
"""Greatest difference for a third octave."""
QUIETER_DB = 30.0
"""A third octave that is so much quieter than the part's loudest one isn't judged, nor a kind of music that
is so much quieter than all together."""
FAINTEST_DBFS = -60.0
"""Least level of any second of a player's music at home. At a lower level the test would compare silence."""
ENDS_APART_S_MAX = 0.05
"""Greatest time (s) between the ends of one note at two synthesizers."""
LOOKS, LOOK_EVERY_S = 6, 0.15
"""How often two trees are compared, and how far apart. Loops change both trees at instants that differ by
some milliseconds; a lasting difference shows in every look."""
ADMITTED = "in room main as"
"""Part of the line that a bridge logs when the relay has admitted it."""
TROUBLES = (
    "missing", "late", "out_of_order", "different", "retimed", "overtaken", "unconfirmed", "silent_here",
    "unfounded", "missed", "unplayed", "not_heard", "refused",
)  # fmt: skip
"""The figures of a member that must be 0."""


def octave_levels(samples: Any, kinds: tuple[str, ...] = tuple(OCTAVES)) -> dict[str, float]:
    """Return the level of each kind of music."""
    return dict(zip(kinds, levels.band_levels(samples, [OCTAVES[kind] for kind in kinds], RATE), strict=True))


@dataclass(frozen=True, slots=True)
class Difference:
    """A level at a listener that isn't that at home. at_s: seconds after the first that was judged."""

    listener: str
    at_s: int
    what: str
    home_dbfs: float
    there_dbfs: float

    def __str__(self) -> str:
        return (
            f"{self.listener}, second {self.at_s}, {self.what}: {self.there_dbfs:.1f} dBFS, "
            f"at home {self.home_dbfs:.1f}"
        )


def shown(differences: list[Difference]) -> str:
    return "\n".join(map(str, differences))


@dataclass
class MidSong:
    """A jam with live takes of each part. Members come in by `join`."""

    stage: Stage
    folder: Path
    slots: int = 3
    jam: Jam = field(init=False)
    router: parts.Router = field(default_factory=parts.Router, init=False)
    booted_ns: dict[str, int] = field(default_factory=dict, init=False)
    """Member -> Unix ns at which its Sonic Pi had booted: from then on it counts as having joined."""

    def __post_init__(self) -> None:
        self.jam = Jam(self.stage, self.folder, [], listened=True, parts=self.slots)
        self.jam.start_relay()

    def play_for(self, seconds: float) -> None:
        """Let the jam play, and give each new strip its outputs."""
        self.stage.play_for(seconds, lambda _: self.route())

    def play_until(self, unix_ns: int) -> None:
        self.play_for(max(0.0, (unix_ns - time.time_ns()) / SECOND_NS))

    def route(self) -> None:
        began = [one for one in self.jam.performers.values() if one.recording_path.exists()]
        self.router.route(scsynth_port(one) for one in began if one.recording_path.stat().st_size)

    def start(self, name: str) -> Performer:
        """Start a member and return at once."""
        return self.jam.join(name)

    def settle(self, *names: str) -> None:
        """Wait until members have booted and the relay counts everybody as present."""
        waiting = list(names)
        while waiting:
            for name in list(waiting):
                if self.jam.performers[name].poll():
                    self.booted_ns[name] = time.time_ns()
                    waiting.remove(name)
            self.play_for(0.1)

    def join(self, name: str) -> Performer:
        """Start a member and wait until it has joined."""
        performer = self.start(name)
        self.settle(name)
        return performer

    def wait_welcomed(self, name: str) -> None:
        """Wait until the relay has admitted a member, which is long before its Sonic Pi has booted."""
        performer = self.jam.performers[name]
        performer.wait_until(lambda: ADMITTED in performer.log_text(), "admitted", 30.0)

    def slot(self, name: str) -> int:
        return int(self.jam.members()[name]["slot"])

    def built_ns(self, listener: str, slot: int) -> int | None:
        """Return T, the instant (Unix ns) at which a listener built a slot; None if it never did.

        A bundle that builds begins with a message that makes scsynth silent about failures.
        """
        building: int | None = None
        for message in recording.read(self.jam.performers[listener].recording_path).to_scsynth:
            if message.address == "/error" and message.timetag is not None:
                building = message.timetag
            elif message.timetag != building or building is None:
                building = None
            elif slot in {arg >> 26 for arg in message.args[:2] if isinstance(arg, int)}:
                return message.due_ns
        return None

    def lasting_differences(self, slot: int, *names: str) -> list[str]:
        """Compare a slot's trees at these members LOOKS times; return them if they always differ, else [].

        Notes are left out.
        """
        found: list[str] = []
        for _ in range(LOOKS):
            found = [str(without_notes(self.tree(name, slot))) for name in names]
            if len(set(found)) == 1:
                return []
            self.play_for(LOOK_EVERY_S)
        return found

    def tree(self, name: str, slot: int) -> tree.Node:
        try:
            return tree.query(scsynth_port(self.jam.performers[name]), slot << 26)
        except SoundError:
            return tree.Node(slot << 26, "missing")

    def troubles(self) -> list[str]:
        """Return the figures of all members that should be 0 and aren't, and the incidents of the room."""
        room = self.jam.room()
        found = [
            f"{member['name']}: {key} {member[key]}"
            for member in room["members"]
            for key in TROUBLES
            if member[key]
        ]
        return found and [*found, *room["incidents"]]

    def hear(self) -> "Heard":
        """Return what was heard until now."""
        slots = {name: int(member["slot"]) for name, member in self.jam.members().items()}
        takes = {name: performer.take for name, performer in self.jam.performers.items()}
        return Heard(takes, slots)


@dataclass(frozen=True)
class Heard:
    """The takes of all members, and the members' slots."""

    takes: dict[str, Any]
    slots: dict[str, int]

    def part(self, listener: str, player: str) -> Any:
        return parts.part(self.takes[listener], self.slots[player])

    def home(self, player: str, from_ns: int, to_ns: int) -> list[float]:
        """Return the level of a player's part at home, second by second."""
        return [
            levels.level_of(samples)
            for _, samples in levels.seconds(self.part(player, player), from_ns, to_ns)
        ]

    def differences(self, player: str, listener: str, from_ns: int, to_ns: int) -> list[Difference]:
        """Return the seconds of a stretch in which a listener hears a player's part at another level than the
        player does, in total or of one kind of music."""
        found = []
        for at_s, (home, there) in enumerate(self._pairs(player, listener, from_ns, to_ns)):
            ours = {"in total": levels.level_of(home), **octave_levels(home)}
            theirs = {"in total": levels.level_of(there), **octave_levels(there)}
            found += [
                Difference(listener, at_s, what, ours[what], theirs[what])
                for what in ours
                if max(ours[what], theirs[what]) > ours["in total"] - QUIETER_DB
                and abs(ours[what] - theirs[what]) > LEVEL_DB
            ]
        return found

    def third_differences(self, player: str, listener: str, from_ns: int, to_ns: int) -> list[Difference]:
        """Return the third octaves of each second that a listener hears at another level than the player."""
        found = []
        thirds = levels.third_octaves()
        for at_s, (home, there) in enumerate(self._pairs(player, listener, from_ns, to_ns)):
            ours, theirs = (levels.band_levels(each, thirds, RATE) for each in (home, there))
            found += [
                Difference(listener, at_s, f"{low:.0f} to {high:.0f} Hz", here, other)
                for (low, high), here, other in zip(thirds, ours, theirs, strict=True)
                if max(here, other) > max(ours) - QUIETER_DB and abs(here - other) > THIRD_DB
            ]
        return found

    def worst(self, player: str, listener: str, from_ns: int, to_ns: int) -> tuple[float, float]:
        """Return the greatest differences in dB: of a second's level, and of a third octave that counts."""
        thirds = levels.third_octaves()
        total = third = 0.0
        for home, there in self._pairs(player, listener, from_ns, to_ns):
            total = max(total, abs(levels.level_of(home) - levels.level_of(there)))
            ours, theirs = (levels.band_levels(each, thirds, RATE) for each in (home, there))
            judged = [
                abs(a - b) for a, b in zip(ours, theirs, strict=True) if max(a, b) > max(ours) - QUIETER_DB
            ]
            third = max(third, *judged)
        return total, third

    def tone_end_ns(self, player: str, listener: str, from_ns: int, to_ns: int) -> int | None:
        """Return the Unix ns at which a listener hears the drone of a player end; None if it doesn't."""
        samples = self.part(listener, player).between(from_ns, to_ns).astype("float64")
        end_s = levels.tone_end_s(samples, DRONE_HZ, RATE)
        return None if end_s is None else from_ns + round(end_s * SECOND_NS)

    def past_strips_dbfs(self, listener: str, from_ns: int, to_ns: int) -> float:
        """Return the level of what reaches a listener's sound card past the strips."""
        return float(self.takes[listener].level_dbfs(from_ns, to_ns))

    def _pairs(self, player: str, listener: str, from_ns: int, to_ns: int) -> Any:
        home = levels.seconds(self.part(player, player), from_ns, to_ns)
        there = levels.seconds(self.part(listener, player), from_ns, to_ns)
        return [(ours, theirs) for (_, ours), (_, theirs) in zip(home, there, strict=True)]


def without_notes(node: tree.Node) -> tree.Node:
    """Return a tree without notes, and without what exists at home only."""
    kept = tuple(
        without_notes(child)
        for child in node.children
        if child.id >> 26 and (child.name == tree.GROUP or "fx_" in child.name or "mixer" in child.name)
    )
    return tree.Node(node.id, node.name, kept)
