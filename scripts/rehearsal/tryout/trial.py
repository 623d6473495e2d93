"""Trial: one program played at the same time by a plain Sonic Pi and in a jam, and the differences.

Pure. Plain and jam are compared by sounds (synth, sample, controls without numbers) and times, because two
Sonic Pis number their nodes as they like. Within the jam the messages themselves are paired
(`stream.pair_up`): those that Sonic Pi sent, those that its own scsynth was handed for them, and those that
another member's scsynth was handed.
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
"""Notes of two Sonic Pis match only if their times differ by at most this (ns). (With 3.2.2 the times are the
same to the ms, measured.)"""
SAME_CUED_NS = 30 * MS
"""The same limit (ns) if cues set the time, because each Sonic Pi takes in a cue only when it comes to it."""
EDGE_NS = 300 * MS
"""Notes that are due in this last part of a run (ns) aren't compared, because two Sonic Pis don't stop at the
same instant."""
MOVED_NS = 1 * MS
"""A note counts as moved only if it plays more than this (ns) after its time. Two clocks differ by as
much."""
LEVEL_DB = 1.0
QUIET_DBFS = -60.0
"""Windows are equally quiet if both are below this level (dBFS)."""
TIMES = ("moved", "retimed", "overtaken", "unconfirmed")
"""Figures of `jamrelay stats` that count notes played at another time. They don't explain why a note doesn't
sound."""
TRAFFIC = ("received", "sent", "expected", "duplicates", "reordered", "lost", "recovered", "would_block")
"""The names of traffic counters end in one of these. They also count losses that repair made good, so they
show no deviation."""
MIXERS = frozenset({"sonic-pi-mixer", "sonic-pi-basic_mixer"})
PATH_WORDS = re.compile(r"\S*/(\S+)")
JOB_WORDS = re.compile(r"^(/\S+) \d+|\b(?:Run|run|line) \d+|\[buffer [^]]*\]")

ERROR_LINES = 3
NAMED = 4
NODES_EACH = 2
"""Number of nodes that a run leaves behind if Sonic Pi never completes it (see Trial.uncompleted): its own
group, with all its FX, and its mixer."""

WHERE = ("plain", "home", "elsewhere")
"""The three scsynths: plain Sonic Pi's, the player's own in the jam, and the listener's in the jam."""
Sound = tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """A synth or FX that was asked for. at_ns: its time after that of the first note."""

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
    """The notes of plain Sonic Pi compared with those of the jam's Sonic Pi. plain, jam: numbers of their
    notes."""

    plain: int
    jam: int
    lacking: Mapping[str, int]
    """Name of a note -> how many plain has and the jam doesn't."""
    extra: Mapping[str, int]
    """Name of a note -> how many the jam has and plain doesn't."""

    @property
    def same(self) -> bool:
        return not (self.lacking or self.extra)


@dataclass(frozen=True, slots=True)
class HandedSummary:
    """The messages that one scsynth of the jam was handed, compared with those that the player's Sonic Pi
    sent."""

    messages: int
    notes: int
    lacking: Mapping[str, int]
    """Kind of message (see `short`) -> how many Sonic Pi sent that this scsynth wasn't handed."""
    extra: Mapping[str, int]
    stands_in: Mapping[str, int]
    """"this for that" -> how often this scsynth was handed a note with synthdef "this" where Sonic Pi sent
    "that"."""
    moved: int
    moved_ms_max: float
    out_of_order: int
    """Number of pairs of messages that this scsynth runs the other way round than plain scsynth would."""


@dataclass(frozen=True, slots=True)
class Levels:
    """RMS levels in dBFS of the program's sound: over all, and window by window."""

    whole: float
    windows: tuple[float, ...]

    def apart_db(self, other: "Levels") -> float:
        """Return the greatest difference in dB, over all or in any window that isn't quiet in both."""
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
    """The notes of the jam's Sonic Pi, against those of the plain one."""
    home: HandedSummary = HandedSummary(0, 0, {}, {}, {}, 0, 0.0, 0)
    elsewhere: HandedSummary = HandedSummary(0, 0, {}, {}, {}, 0, 0.0, 0)
    levels: Mapping[str, Levels] = field(
        default_factory=lambda: dict.fromkeys(WHERE, Levels(SILENCE_DBFS, ()))
    )
    """WHERE -> levels of the program's sound there."""
    left_over: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """WHERE -> nodes of the program that are still there after the stop."""
    uncompleted: Mapping[str, int] = field(default_factory=dict)
    """"plain" or "jam" -> number of runs that Sonic Pi stopped and never called completed. The cause is a
    race in Sonic Pi itself. It then never frees the run's group and mixer, in plain too."""
    errors: Mapping[str, Counter[str]] = field(default_factory=lambda: {"plain": Counter(), "jam": Counter()})
    """"plain" or "jam" -> text of each message that Sonic Pi called an error -> how often it came."""
    seconds_behind: Mapping[str, int] = field(default_factory=dict)
    late: Mapping[str, int] = field(default_factory=dict)
    """WHERE -> number of bundles that came late, by scsynth's own complaints."""
    counted: Mapping[str, float] = field(default_factory=dict)
    """"member figure" -> how much that member's figure of `jamrelay stats` rose during the run."""
    told: tuple[str, ...] = ()
    """Lines that the player's bridge logged during the run."""
    ended: str = ""
    """Reason why the program couldn't be played to its end; "" if it was."""

    @property
    def faults(self) -> list[str]:
        """The deviations from plain Sonic Pi, in words; [] if there are none."""
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
        """The figures and messages that may explain the faults."""
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

        The first that applies counts.
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
        """Whether plain Sonic Pi, too, reports an error in the program."""
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
    """Return the NAMED most frequent names with their counts, and how many more names there are, as text."""
    ordered = sorted(counts.items(), key=lambda each: -each[1])
    more = f" and {len(ordered) - NAMED} more" if len(ordered) > NAMED else ""
    return (", ".join(f"{name} {count}" for name, count in ordered[:NAMED]) or "none") + more


def notes_of(stream: Sequence[Said], from_ns: int, to_ns: int) -> list[Note]:
    """Return the timed synths and FX that were sent in [from_ns, to_ns), Unix ns, in the order of their dues.

    stream: all that was sent. It must include what was sent before from_ns, because that may have loaded the
    samples.
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
    """Tell whether a message makes a synth or FX at a given time. Only those are compared as notes."""
    return said.is_note and said.message.timetag is not None and said.content[1] not in MIXERS


def sound_of(said: Said, buffers: Mapping[Argument, str]) -> Sound:
    """Return the sound of a synth: its name, its sample, and its controls except those that hold numbers of
    buses or buffers."""
    ids = AUDIO_BUSES | BUFFERS
    controls = sorted((str(name), value) for name, value in said.controls.items() if name not in ids)
    sample = buffers.get(said.controls.get("buf"), "")
    parts = (part for control in controls for part in control)
    return (str(said.content[1]).removeprefix("sonic-pi-"), sample, *parts)


def compare_notes(
    plain: Sequence[Note], jam: Sequence[Note], until_ns: int, same_ns: int = SAME_NS
) -> NoteDifference:
    """Match the notes of two Sonic Pis that have the same sound, at most same_ns apart. Return those without
    a partner.

    Only notes less than until_ns after the first note count. Their order needs no check of its own. It
    follows from the times, and among equal times Ruby is free to choose it.
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
    """Sum up the messages that a scsynth was handed for those of Sonic Pi.

    shift_ns: the room's shift S. Every note plays later by it on purpose, so it isn't counted as moved. Loads
    of buffers have no time of their own, and their order isn't compared.
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
    """Return the text of each error that Sonic Pi sent to its GUI, and how often it came. Numbers of runs,
    lines and buffers are taken out of the texts."""
    found: Counter[str] = Counter()
    for line in said:
        if line.startswith(("/error", "/syntax_error")):
            # The first lines say which error killed the thread, and why. The places in the code follow.
            text = unescape(JOB_WORDS.sub("", " ".join(line.splitlines()[:ERROR_LINES])))
            found[PATH_WORDS.sub(r"\1", " ".join(text.split()))[:200]] += 1
    return found


def risen(before: Mapping[str, Any], after: Mapping[str, Any], what: Iterable[str]) -> dict[str, float]:
    """Return name -> rise of each figure of a member's statistics that rose.

    what: the names to look at. A figure may be a table of figures; each of those is then named "table
    (figure)".
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
