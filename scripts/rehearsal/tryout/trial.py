"""Trial: one program played by a plain Sonic Pi and in a jam at the same time, and the differences.

Pure. Two Sonic Pis number their nodes as they like. So notes of plain and jam are compared by time and sound:
synth, sample, and controls other than ids. Within the jam, messages are paired by `stream.pair_up`: each
message that Sonic Pi sent, with the one handed to its own scsynth, and with the one handed to the other
member's.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import msgspec

from rehearsal.proof.stream import AUDIO_BUSES, BUFFERS, Pairing, Said, inversions
from rehearsal.rigs.livetake import SILENCE_DBFS
from rehearsal.rigs.recording import Argument

MS = 1_000_000
SAME_NS = 3 * MS
"""Greatest difference (ns) between the times of matching notes of two Sonic Pis. (With 3.2.2 the times are
equal to the ms, measured.)"""
SAME_CUED_NS = 30 * MS
"""The limit in place of SAME_NS (ns) for programs with cues: each Sonic Pi reads a cue at a moment of its
own."""
EDGE_NS = 300 * MS
"""Length (ns) of the end of a run whose notes aren't compared. Two Sonic Pis don't stop at the same
instant."""
MOVED_NS = 1 * MS
"""Least delay (ns) of a note that counts as moved. Two clocks may differ by as much."""
LEVEL_DB = 1.0
QUIET_DBFS = -60.0
"""Level (dBFS) below which a window is quiet. Two quiet windows count as equal."""
TIMES = ("moved", "retimed", "overtaken", "unconfirmed")
"""Names of the figures of `jamrelay stats` that count notes played at another time. They can't explain a
missing sound."""
TRAFFIC = ("received", "sent", "expected", "duplicates", "reordered", "lost", "recovered", "would_block")
"""Endings of the names of traffic counters. Such counters also count losses that were repaired, so they show
no difference in sound."""
MIXERS = frozenset({"sonic-pi-mixer", "sonic-pi-basic_mixer"})
PATH_WORDS = re.compile(r"\S*/(\S+)")
JOB_WORDS = re.compile(r"^(/\S+) \d+|\b(?:Run|run|line) \d+|\[buffer [^]]*\]")

ERROR_LINES = 3
NAMED = 4
NODES_EACH = 2
"""Number of nodes that a run leaves behind if Sonic Pi never completes it: its group and its mixer (see
Trial.uncompleted)."""

WHERE = ("plain", "home", "elsewhere")
"""Names of the three scsynths: plain Sonic Pi's, the player's own in the jam, and the listener's in the
jam."""
Sound = tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """A synth or FX that Sonic Pi started. at_ns: its time in ns after the first note's time."""

    sound: Sound
    at_ns: int

    @property
    def name(self) -> str:
        return (
            " ".join(map(str, self.sound[:2]))
            if len(self.sound) > 1 and self.sound[1]
            else str(self.sound[0])
        )


@dataclass(frozen=True, slots=True)
class NoteDifference:
    """The differences between the notes of plain Sonic Pi and of the jam's. plain, jam: how many notes each
    sent."""

    plain: int
    jam: int
    lacking: Mapping[str, int]
    """Name of a note -> how many of it only plain Sonic Pi sent."""
    extra: Mapping[str, int]
    """Name of a note -> how many of it only the jam's Sonic Pi sent."""

    @property
    def same(self) -> bool:
        return not (self.lacking or self.extra)


@dataclass(frozen=True, slots=True)
class HandedSummary:
    """The messages handed to one scsynth of the jam, compared with those that the player's Sonic Pi sent.

    messages: number of pairs. notes: pairs that are notes. extra: kind -> number handed over but not sent.
    """

    messages: int
    notes: int
    lacking: Mapping[str, int]
    """Kind of message (see `short`) -> how many were sent but not handed over."""
    extra: Mapping[str, int]
    stands_in: Mapping[str, int]
    """"this for that" -> how often a note with synthdef "this" was handed over in place of one with
    "that"."""
    moved: int
    moved_ms_max: float
    out_of_order: int
    """Number of pairs of messages that this scsynth plays in the opposite order of plain scsynth."""


@dataclass(frozen=True, slots=True)
class Levels:
    """RMS levels (dBFS) of the program's sound: as a whole, and window by window."""

    whole: float
    windows: tuple[float, ...]

    def apart_db(self, other: "Levels") -> float:
        """Return the greatest difference (dB) to another program's levels, as a whole or in any window.
        Windows that are quiet in both are ignored."""
        pairs = [(self.whole, other.whole), *zip(self.windows, other.windows, strict=False)]
        return max(
            (abs(one - two) for one, two in pairs if max(one, two) > QUIET_DBFS),
            default=0.0,
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """All observations of one program."""

    program: str
    lines: int
    seconds: float
    sent: NoteDifference = NoteDifference(0, 0, {}, {})
    """The notes of the jam's Sonic Pi compared with those of the plain one."""
    home: HandedSummary = HandedSummary(0, 0, {}, {}, {}, 0, 0.0, 0)
    elsewhere: HandedSummary = HandedSummary(0, 0, {}, {}, {}, 0, 0.0, 0)
    levels: Mapping[str, Levels] = field(
        default_factory=lambda: dict.fromkeys(WHERE, Levels(SILENCE_DBFS, ()))
    )
    """WHERE -> levels of the program's sound."""
    left_over: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """WHERE -> nodes of the program that the scsynth still has after the stop."""
    uncompleted: Mapping[str, int] = field(default_factory=dict)
    """"plain" or "jam" -> number of runs that Sonic Pi stopped without ever reporting them as completed.

    The cause is a race in Sonic Pi itself. In plain Sonic Pi, too, such a run's group and mixer are never
    freed.
    """
    errors: Mapping[str, Counter[str]] = field(default_factory=lambda: {"plain": Counter(), "jam": Counter()})
    """"plain" or "jam" -> text of each error that Sonic Pi reported -> how often it came."""
    seconds_behind: Mapping[str, int] = field(default_factory=dict)
    late: Mapping[str, int] = field(default_factory=dict)
    """WHERE -> number of bundles that scsynth reported as late."""
    counted: Mapping[str, float] = field(default_factory=dict)
    """"member figure" -> how much that member's figure of `jamrelay stats` rose during the run."""
    told: tuple[str, ...] = ()
    """Lines that the player's bridge logged during the run."""
    ended: str = ""
    """The reason why the program couldn't be played to its end; "" if it could."""

    @property
    def faults(self) -> list[str]:
        """The differences from plain Sonic Pi, in words; [] if there are none."""
        if self.ended:
            return [self.ended]
        found = []
        if not self.sent.same:
            found.append(
                f"Sonic Pi sent other notes than plain: {names(self.sent.lacking)} lacking, "
                f"{names(self.sent.extra)} more"
            )
        for where, handed in (("home", self.home), ("elsewhere", self.elsewhere)):
            if handed.lacking:
                found.append(f"not played {at(where)}: {names(handed.lacking)}")
            if handed.extra:
                found.append(f"played {at(where)} though not sent: {names(handed.extra)}")
            if handed.out_of_order:
                found.append(f"{handed.out_of_order} messages in another order {at(where)}")
        plain, home, elsewhere = (self.levels[name] for name in ("plain", "home", "elsewhere"))
        for words, one, two in (
            ("at home than in plain", plain, home),
            ("elsewhere than at home", home, elsewhere),
            ("elsewhere than in plain", plain, elsewhere),
        ):
            if (apart := one.apart_db(two)) > LEVEL_DB:
                found.append(f"up to {apart:.1f} dB louder or softer {words}")
        found += [
            f"{len(nodes)} nodes left over {at(where)} (plain: {len(self.left_over['plain'])})"
            for where, nodes in self.left_over.items()
            if where != "plain"
            and len(nodes) > max(len(self.left_over["plain"]), NODES_EACH * self.uncompleted["jam"])
        ]
        new = self.errors["jam"] - self.errors["plain"]
        found += [f"Sonic Pi says {count} times more than in plain: {text}" for text, count in new.items()]
        return found

    @property
    def reasons(self) -> list[str]:
        """The risen figures and the bridge's messages that may explain the faults, as text."""
        counted = [f"{name} {amount:g}" for name, amount in self.counted.items()]
        return counted + [f"bridge: {line}" for line in self.told]

    @property
    def verdict(self) -> str:
        """The trial in one word:

            ended      the program couldn't be played to its end
            silent     it makes no sound in plain Sonic Pi either, so there is nothing to compare
            same       there are no faults
            told       the player's bridge logged something that may explain the faults
            counted    figures of `jamrelay stats` rose that may explain the faults
            DIFFERENT  nothing explains the faults

        If several apply, the first of them counts.
        """
        if self.ended:
            return "ended"
        if not self.sent.plain and self.levels["plain"].whole <= QUIET_DBFS:
            return "silent"
        if not self.faults:
            return "same"
        if self.told:
            return "told"
        explained = any(name.split()[1] not in TIMES for name in self.counted)
        return "counted" if explained else "DIFFERENT"

    @property
    def dies_in_plain(self) -> bool:
        """True if plain Sonic Pi reported an error in the program."""
        return bool(self.errors["plain"])

    def as_json(self) -> dict[str, Any]:
        """Return the trial as one JSON object."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        del plain["ended"]
        levels = plain.pop("levels")
        return plain | {
            "verdict": self.verdict,
            "dies_in_plain": self.dies_in_plain,
            "faults": self.faults,
            "levels_dbfs": {
                name: {
                    "whole": round(one["whole"], 2),
                    "windows": [round(each, 2) for each in one["windows"]],
                }
                for name, one in levels.items()
            },
        }


def at(where: str) -> str:
    return "at home" if where == "home" else where


def names(counts: Mapping[str, int]) -> str:
    """Return the NAMED most frequent names with their counts, and the number of the other names, as text."""
    ordered = sorted(counts.items(), key=lambda each: -each[1])
    more = f" and {len(ordered) - NAMED} more" if len(ordered) > NAMED else ""
    return (", ".join(f"{name} {count}" for name, count in ordered[:NAMED]) or "none") + more


def notes_of(stream: Sequence[Said], from_ns: int, to_ns: int) -> list[Note]:
    """Return the timed synths and FX that were sent in [from_ns, to_ns), Unix ns, in the order of their dues.

    stream: everything sent. Messages before from_ns are needed too: they may load the samples.
    """
    buffers: dict[Argument, str] = {}
    found: list[tuple[int, Sound]] = []
    for said in sorted(stream, key=lambda each: each.message.index):
        if said.address in ("/b_allocRead", "/b_alloc"):
            path = said.content[2] if said.address == "/b_allocRead" and len(said.content) > 2 else ""
            buffers[said.content[1]] = str(path).rpartition("/")[2]
        elif is_counted(said) and from_ns <= said.message.t_ns < to_ns:
            found.append((said.stated_ns, sound_of(said, buffers)))
    found.sort(key=lambda each: each[0])
    first_ns = found[0][0] if found else 0
    return [Note(sound, at_ns - first_ns) for at_ns, sound in found]


def is_counted(said: Said) -> bool:
    """Tell whether a message is compared as a note: it starts a synth or FX, not a mixer, at a given time."""
    return said.is_note and said.message.timetag is not None and said.content[1] not in MIXERS


def sound_of(said: Said, buffers: Mapping[Argument, str]) -> Sound:
    """Return the sound of a synth: its name, its sample, and its controls apart from bus and buffer ids.

    buffers: buffer number -> file name of its sample.
    """
    ids = AUDIO_BUSES | BUFFERS
    controls = sorted((str(name), value) for name, value in said.controls.items() if name not in ids)
    sample = buffers.get(said.controls.get("buf"), "")
    parts = (part for control in controls for part in control)
    return (str(said.content[1]).removeprefix("sonic-pi-"), sample, *parts)


def compare_notes(
    plain: Sequence[Note], jam: Sequence[Note], until_ns: int, same_ns: int = SAME_NS
) -> NoteDifference:
    """Match notes of two Sonic Pis with the same sound and at most same_ns apart. Return those without a
    partner.

    Only notes less than until_ns after the first note count. The order of notes isn't checked: times fix it,
    and Ruby may choose the order of notes at the same time.
    """
    plain, jam = ([note for note in notes if note.at_ns < until_ns] for notes in (plain, jam))
    waiting: dict[Sound, list[int]] = defaultdict(list)
    for at, note in enumerate(jam):
        waiting[note.sound].append(at)
    lacking: Counter[str] = Counter()
    matched: set[int] = set()
    for note in plain:
        places = waiting[note.sound]
        while places and jam[places[0]].at_ns < note.at_ns - same_ns:
            places.pop(0)
        if places and jam[places[0]].at_ns <= note.at_ns + same_ns:
            matched.add(places.pop(0))
        else:
            lacking[note.name] += 1
    extra = Counter(note.name for at, note in enumerate(jam) if at not in matched)
    return NoteDifference(len(plain), len(jam), lacking, extra)


def handed_of(pairing: Pairing, shift_ns: int = 0) -> HandedSummary:
    """Summarize the messages that a scsynth was handed for those of Sonic Pi.

    shift_ns: the room's shift S. A note that is later by S isn't counted as moved. Loads of buffers have no
    time of their own, so their order isn't compared.
    """
    others = {said.content[2]: said for said in pairing.out_only if said.is_note}
    lacking, stands_in = Counter[str](), Counter[str]()
    replaced = set()
    for said in pairing.front_only:
        other = others.get(said.content[2]) if said.is_note else None
        if other is not None and other.content[1] != said.content[1]:
            stands_in[f"{short(other)} for {short(said)}"] += 1
            replaced.add(other.message.index)
        else:
            lacking[short(said)] += 1
    timed = [pair for pair in pairing.pairs if pair.is_timed]
    moved_ns = [pair.moved_ns - shift_ns for pair in timed]
    kept = [pair for pair, by_ns in zip(timed, moved_ns, strict=True) if by_ns <= MOVED_NS]
    bare = [pair for pair in pairing.pairs if not pair.is_timed and not pair.is_load]
    late_ns = [by_ns for by_ns in moved_ns if by_ns > MOVED_NS]
    return HandedSummary(
        messages=len(pairing.pairs),
        notes=sum(is_counted(pair.front) for pair in pairing.pairs),
        lacking=lacking,
        extra=Counter(short(said) for said in pairing.out_only if said.message.index not in replaced),
        stands_in=stands_in,
        moved=len(late_ns),
        moved_ms_max=round(max(late_ns, default=0) / MS, 1),
        out_of_order=len(inversions(kept)) + len(inversions(bare)),
    )


def short(said: Said) -> str:
    """Return a name for a kind of message: the synth of a note, the file of a load, else the command."""
    if said.is_note:
        return str(said.content[1]).removeprefix("sonic-pi-")
    if said.address == "/b_allocRead":
        return f"load of {str(said.content[2]).rpartition('/')[2]}"
    return said.address


def error_lines(said: Iterable[str]) -> Counter[str]:
    """Return the text of each error that Sonic Pi sent to its GUI, and how often it came.

    Numbers of runs, lines and buffers are removed from the texts.
    """
    found: Counter[str] = Counter()
    for line in said:
        if line.startswith(("/error", "/syntax_error")):
            # The first lines say which error killed the thread, and why. The places in the code follow.
            text = unescape(JOB_WORDS.sub("", " ".join(line.splitlines()[:ERROR_LINES])))
            found[PATH_WORDS.sub(r"\1", " ".join(text.split()))[:200]] += 1
    return found


def risen(before: Mapping[str, Any], after: Mapping[str, Any], what: Iterable[str]) -> dict[str, float]:
    """Return name -> rise, for each figure of a member's statistics that rose.

    what: the names to compare. If a name belongs to a table of figures, each figure of the table is compared
    and named "table (figure)".
    """
    found: dict[str, float] = {}
    for name in what:
        old, new = before.get(name, 0), after.get(name, 0)
        if isinstance(new, Mapping):
            old = old if isinstance(old, Mapping) else {}
            parts = (part for part in new if not part.endswith(TRAFFIC))
            found |= {f"{name} ({part})": by for part, by in risen(old, new, parts).items()}
        elif isinstance(new, int | float) and new > (old or 0):
            found[name] = new - (old or 0)
    return found
