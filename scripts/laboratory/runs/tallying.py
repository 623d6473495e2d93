"""Tallying: computes the fate of every note of a run, and the figures of a row, for both labs. Pure.

Each lab collects the notes, the messages handed to every scsynth, and the verdicts in its own way: `measure`
from recordings and the relay's log, `virtual.tally` from a simulated jam. The rules here are the same for
both. Instants are in ns: of CLOCK_REALTIME with real processes, of true time in virtual time.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rehearsal.proof.matching import not_in_order

from laboratory.runs.oracle import NEEDED_S, Emission
from relay.wire import frames
from relay.wire.budget import IP_UDP_BYTES
from relay.wire.datagram import HEADER_BYTES, TAG_BYTES
from relay.wire.quantile import quantile
from relay.wire.sequence import Kind, Stamped

NEEDED_NS = round(NEEDED_S * 1e9)

Key = tuple[int, int]
"""(slot, node id in Sonic Pi's own numbers): identifies a note in a room. The generator uses no id twice."""


class Verdict(Protocol):
    """The common part of both labs' verdicts. number: the event's, in the room. key: the sort key of the
    room's order."""

    @property
    def number(self) -> int: ...
    @property
    def key(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Handed:
    """A message as it reached a member's scsynth.

    at_ns: its arrival. timetag_ns: its timetag as an instant; None without a timetag. timetag: the timetag
    itself, by which scsynth sorts; 0 without a timetag. follows: True if it isn't the first message of its
    bundle.
    """

    at_ns: int
    timetag_ns: int | None
    message: bytes
    timetag: int = 0
    follows: bool = False


Notes = Mapping[Key, Sequence[tuple[int, Handed]]]
"""The notes that one scsynth was handed. Each has a list of its copies, as (place in the order of arrival,
copy)."""


@dataclass(frozen=True, slots=True)
class TalliedNote:
    """One note and its fate. missing, late, out_of_order, different: the members at which it was so."""

    origin: str
    at_ns: int
    """Instant (ns) of the note's emission."""
    stamped_ns: int
    """Instant (ns) of the note's own timetag."""
    base_ns: int
    """Base due (ns): the note's due if it isn't late on its way to the relay. It is never before
    stamped_ns."""
    verdict: Verdict | None
    """The relay's verdict. None: the note never reached the relay."""
    held: Mapping[str, Handed]
    """Member -> the first message with which its scsynth was handed the note."""
    missing: tuple[str, ...]
    late: tuple[str, ...]
    out_of_order: tuple[str, ...]
    different: tuple[str, ...]
    missed: bool = False
    """True if the relay judged that the note missed its time. Then it has no place in the room's order, and
    at most its player heard it."""
    retimed: bool = False
    """True if the relay moved the note because the room's sequence was closed already."""
    moved: bool = False
    """True if the note's due is later for another reason than re-timing and the lead."""
    unconfirmed: bool = False
    """True if the origin played the note without a verdict, as far as the lab can tell (see
    laboratory.runs.rows.Row)."""

    @property
    def divergent(self) -> bool:
        """True if the note was not the same, or not in time, at all members.

        Some member missed it, or got it late, out of order or with other bytes. Or its origin played it at
        another instant than the others.
        """
        if self.unconfirmed and (self.verdict is None or self.missed or self.retimed or self.moved):
            return True
        return bool(self.missing or self.late or self.out_of_order or self.different)

    @property
    def bad(self) -> bool:
        """True if the note is divergent, re-timed or moved."""
        return self.divergent or self.retimed or self.moved

    @property
    def spread_ns(self) -> int | None:
        """Greatest difference (ns) between the instants of the note's timetag at the members.

        None if fewer than two members have the note with a timetag.
        """
        dues = [one.timetag_ns for one in self.held.values() if one.timetag_ns is not None]
        return max(dues) - min(dues) if len(dues) > 1 else None

    def emission(self, zero_ns: int = 0) -> Emission:
        """Return the note in the form that the oracle needs. zero_ns: the instant (ns) that the oracle counts
        as 0 s."""
        return Emission(self.origin, (self.at_ns - zero_ns) / 1e9, (self.base_ns - zero_ns) / 1e9)


def event_of(
    origin: str, key: Key, *, at_ns: int, stamped_ns: int, base_ns: int, verdict: Verdict | None,
    handed: Mapping[str, Notes], misplaced: Mapping[str, Collection[Key]], expected: bytes | None = None,
    missed: bool, retimed: bool, moved: bool,
) -> TalliedNote:  # fmt: skip
    """Return the fate of the note `key`. handed, misplaced: by member; misplaced is the result of
    `out_of_order`.

    expected: the message that a scsynth should be handed; None: the one that most were handed. A second copy
    also makes the note `different`, because scsynth refuses the node or plays it twice.
    """
    copies = {name: notes[key] for name, notes in handed.items() if key in notes}
    held = {name: each[0][1] for name, each in copies.items()}
    if expected is None and held:
        expected = Counter(one.message for one in held.values()).most_common(1)[0][0]
    return TalliedNote(
        origin, at_ns, stamped_ns, base_ns, verdict, held,
        missing=tuple(name for name in handed if name not in held),
        late=tuple(
            name
            for name, one in held.items()
            if one.timetag_ns is None or one.timetag_ns - one.at_ns < NEEDED_NS
        ),
        out_of_order=tuple(name for name in held if key in misplaced[name]),
        different=tuple(name for name in held if held[name].message != expected or len(copies[name]) > 1),
        missed=missed, retimed=retimed, moved=moved,
    )  # fmt: skip


def out_of_order(notes: Notes, verdicts: Mapping[Key, Verdict]) -> set[Key]:
    """Return the fewest notes that have to be moved to turn scsynth's order into the room's order.

    verdicts: the verdicts on the notes that have a place in the room's order. scsynth's order is by timetag,
    then by arrival. Of several copies of a note, the first in scsynth's order counts.
    """
    keys = sorted(notes.keys() & verdicts.keys(), key=lambda key: verdicts[key].key)
    firsts = [
        (min((copy.timetag, index) for index, copy in notes[key]), place) for place, key in enumerate(keys)
    ]
    return {keys[place] for place in not_in_order([place for _, place in sorted(firsts)])}


def figures(events: Collection[TalliedNote]) -> dict[str, Any]:
    """Compute the fields of a Row (laboratory.runs.rows) that depend only on the events; return name ->
    value."""
    heard = [
        (event, name, one.at_ns, one.timetag_ns)
        for event in events
        for name, one in event.held.items()
        if one.timetag_ns is not None
    ]
    margins_ms = sorted((due - at) / 1e6 for event, name, at, due in heard if name != event.origin)
    spreads_us = sorted(event.spread_ns / 1e3 for event in events if event.spread_ns is not None)
    waits_ms = sorted((due - event.at_ns) / 1e6 for event, _, _, due in heard)
    hands_ms = sorted((at - event.at_ns) / 1e6 for event, _, at, _ in heard)
    kinds = (
        "divergent", "missing", "late", "out_of_order", "different", "missed", "retimed", "moved",
        "unconfirmed", "bad",
    )  # fmt: skip
    return {
        "events": len(events),
        **{kind: sum(bool(getattr(event, kind)) for event in events) for kind in kinds},
        "margin_ms_p01": quantile(margins_ms, 0.01),
        "margin_ms_p50": quantile(margins_ms, 0.50),
        "in_hand_ms_max": hands_ms[-1] if hands_ms else None,
        "spread_us_p50": quantile(spreads_us, 0.50),
        "spread_us_p99": quantile(spreads_us, 0.99),
        "action_to_sound_ms_p50": quantile(waits_ms, 0.50),
        "action_to_sound_ms_max": waits_ms[-1] if waits_ms else None,
    }


def plain_bytes(messages: Iterable[bytes]) -> int:
    """Return the IP bytes of notes on the way to the relay, as if each went once in a datagram of its own."""
    return sum(
        IP_UDP_BYTES + HEADER_BYTES + TAG_BYTES + len(frames.encode(Stamped(1, 1, 1, Kind.TIMED, message)))
        for message in messages
    )
