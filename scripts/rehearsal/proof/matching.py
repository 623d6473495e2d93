"""Matching: finds the messages in the members' recordings that are one and the same event.

Pure. Recordings carry no event numbers: those would come from the bridge, and the proof doesn't trust the
bridge. So messages are matched by their bytes without timetag. Messages with equal bytes are told apart by
their time: the nearest are matched.

A doubtful match is never made. Messages more than `match_ns` apart are matched only if they create a node,
because node ids are never used twice.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

from rehearsal.proof.slots import describe, identity_of, slot_of
from rehearsal.rigs.recording import RecordedMessage

CREATIONS = ("/s_new", "/g_new")
FAR_NS = 2_000_000_000
"""Greatest distance (ns) between two members' timetags of one message that creates a node."""


@dataclass(frozen=True, slots=True)
class MatchedEvent:
    """One event of the room. held: member -> the message with which its scsynth got the event."""

    held: Mapping[str, RecordedMessage]

    @property
    def reference(self) -> RecordedMessage:
        """The message whose bytes most members got; if there are several such, the first member's."""
        messages = list(self.held.values())
        raws = [message.raw for message in messages]
        return max(messages, key=lambda message: raws.count(message.raw))

    @property
    def due_ns(self) -> int:
        return min(message.due_ns for message in self.held.values())

    @property
    def spread_ns(self) -> int:
        """Greatest difference (ns) between two members' timetags of the event."""
        dues = [message.due_ns for message in self.held.values()]
        return max(dues) - min(dues)

    @property
    def slot(self) -> int:
        return slot_of(self.reference)

    @property
    def name(self) -> str:
        return describe(self.reference)


def match_timed(
    recordings: Mapping[str, Sequence[RecordedMessage]], match_ns: int, bound_ns: int
) -> list[MatchedEvent]:
    """Match the members' messages with timetags and return the events, in the order of their dues.

    recordings: member -> its messages. Messages of different members are joined to one event in three passes.
    The first joins equal bytes due within match_ns of each other, the nearest first. The second joins equal
    creations of nodes due within FAR_NS. The third joins messages with the same address and node but
    different bytes, due within bound_ns. Messages about different nodes are never joined: that could hide two
    missing events in one different event.
    """
    flat = [(message, member) for member, messages in recordings.items() for message in messages]
    flat.sort(key=lambda entry: entry[0].due_ns)
    groups = [{member: message} for message, member in flat]
    groups = join(groups, lambda message: message.raw, match_ns)
    whole = [group for group in groups if len(group) == len(recordings)]
    rest = [group for group in groups if len(group) < len(recordings)]
    rest = join(rest, creation_key, FAR_NS)
    rest = join(rest, identity_of, bound_ns)
    order = {member: at for at, member in enumerate(recordings)}
    events = [
        MatchedEvent(dict(sorted(group.items(), key=lambda held: order[held[0]])))
        for group in (*whole, *rest)
    ]
    return sorted(events, key=lambda event: event.due_ns)


def creation_key(message: RecordedMessage) -> Hashable:
    # A message that isn't a creation is given a key of its own: it is joined to nothing.
    return message.raw if message.address in CREATIONS else (message.t_ns, message.index, id(message))


def join(
    groups: Iterable[dict[str, RecordedMessage]], key: Callable[[RecordedMessage], Hashable], within_ns: int
) -> list[dict[str, RecordedMessage]]:
    """Join groups (member -> message) with equal keys, no common member, and dues at most within_ns apart.

    Groups are taken in the order of their dues. Each is joined to the nearest possible group before it.
    """
    joined: dict[Hashable, list[dict[str, RecordedMessage]]] = defaultdict(list)
    for group in sorted(groups, key=group_due_ns):
        due_ns = group_due_ns(group)
        candidates = joined[key(next(iter(group.values())))]
        best: dict[str, RecordedMessage] | None = None
        for candidate in reversed(candidates):
            distance_ns = due_ns - group_due_ns(candidate)
            if distance_ns > within_ns:
                break  # candidates stand in the order of their dues
            if candidate.keys().isdisjoint(group) and (
                best is None or distance_ns <= due_ns - group_due_ns(best)
            ):
                best = candidate  # `<=`: the first of several at one instant, so order is kept
        if best is None:
            candidates.append(dict(group))
        else:
            best.update(group)
    return [group for groups_of_key in joined.values() for group in groups_of_key]


def group_due_ns(group: Mapping[str, RecordedMessage]) -> int:
    # The due of the first message joined. It never changes, so the lists of candidates stay sorted.
    return next(iter(group.values())).due_ns


def match_bare(
    recordings: Mapping[str, Sequence[RecordedMessage]], within_ns: int | None = None
) -> list[MatchedEvent]:
    """Match the members' messages without timetags and return the events, in the order of their first
    arrival.

    Such messages are matched by count: the n-th message with some content at one member is the n-th with the
    same content at another. Members who came and went have other counts. For these the arrivals of one event
    lie within_ns of each other. Of a path only the file name is compared.
    """
    if within_ns is not None:
        flat = [{member: message} for member, messages in recordings.items() for message in messages]
        return sorted(map(MatchedEvent, join(flat, bare_key, within_ns)), key=lambda event: event.due_ns)
    groups: dict[Hashable, dict[str, RecordedMessage]] = {}
    for member, messages in recordings.items():
        seen: dict[Hashable, int] = defaultdict(int)
        for message in messages:
            key = bare_key(message)
            groups.setdefault((key, seen[key]), {})[member] = message
            seen[key] += 1
    return sorted(map(MatchedEvent, groups.values()), key=lambda event: event.due_ns)


def bare_key(message: RecordedMessage) -> Hashable:
    """Return the part of a message that must be equal at all members: everything but the folders of paths."""
    if message.address.startswith("/b_"):
        reduced = (
            PurePosixPath(arg).name if isinstance(arg, str) and "/" in arg else arg for arg in message.args
        )
        return message.address, tuple(reduced)
    return message.raw


def not_in_order(sequence: Sequence[int]) -> list[int]:
    """Return a smallest set of elements whose removal leaves an increasing sequence, in the order given.

    All elements must be different. Source: longest increasing subsequence by patience sorting.
    """
    if all(a < b for a, b in pairwise(sequence)):
        return []
    tops: list[int] = []
    top_at: list[int] = []
    before: list[int] = []
    for at, value in enumerate(sequence):
        pile = bisect_left(tops, value)
        before.append(top_at[pile - 1] if pile else -1)
        if pile == len(tops):
            tops.append(value)
            top_at.append(at)
        else:
            tops[pile], top_at[pile] = value, at
    kept = set()
    at = top_at[-1]
    while at >= 0:
        kept.add(at)
        at = before[at]
    return [value for at, value in enumerate(sequence) if at not in kept]
