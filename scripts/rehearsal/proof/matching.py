"""Matching: pairs each message of one member's recording with the same message of another's.

Pure. Recordings carry no event numbers, because those could come only from the bridge, which the proof
doesn't believe. So equality is judged from the bytes without their timetag. If equal bytes come repeatedly,
nearness in time tells the messages apart.

Doubt is never settled in the bridge's favour. Messages more than `match_ns` apart are joined only if their
bytes can exist only once. Such a message creates a node, and node ids are never used twice.
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
"""Greatest distance (ns) between two members' timetags of one and the same creation."""


@dataclass(frozen=True, slots=True)
class MatchedEvent:
    """One event of the room. held: member -> the message that its scsynth got for the event."""

    held: Mapping[str, RecordedMessage]

    @property
    def reference(self) -> RecordedMessage:
        """The message with the bytes that most members got; among equals, the first member's."""
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
    """Return the events of the members' bundles, in the order of their dues.

    Messages of different members are joined to one event in three passes. The first joins equal bytes due
    within match_ns of each other, the nearest first. The second joins equal creations due within FAR_NS. The
    third joins other bytes with the same address and node, due within bound_ns. Messages about different
    nodes are never joined: that could hide two misses in one difference.
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
    """Join groups (member -> message) that have the same key, share no member and are due at most within_ns
    apart.

    A group is joined to the nearest of those before it.
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
                best = candidate  # `<=`: of several at one instant the first, so order is kept
        if best is None:
            candidates.append(dict(group))
        else:
            best.update(group)
    return [group for groups_of_key in joined.values() for group in groups_of_key]


def group_due_ns(group: Mapping[str, RecordedMessage]) -> int:
    # The due of the first message joined. It never changes, so the lists of candidates stay sorted.
    return next(iter(group.values())).due_ns


def match_bare(recordings: Mapping[str, Sequence[RecordedMessage]]) -> list[MatchedEvent]:
    """Return the events of messages without a timetag, in the order of their first arrival.

    Such messages have no time in common. So they are matched by count: the n-th message of some content at
    one member is the n-th of the same content at another. Of a path only the file name is compared.
    """
    groups: dict[Hashable, dict[str, RecordedMessage]] = {}
    for member, messages in recordings.items():
        seen: dict[Hashable, int] = defaultdict(int)
        for message in messages:
            key = bare_key(message)
            groups.setdefault((key, seen[key]), {})[member] = message
            seen[key] += 1
    return sorted(map(MatchedEvent, groups.values()), key=lambda event: event.due_ns)


def bare_key(message: RecordedMessage) -> Hashable:
    """Return the part of a bare message that must be equal at all members: all of it, but of paths only the
    file name."""
    if message.address.startswith("/b_"):
        reduced = (
            PurePosixPath(arg).name if isinstance(arg, str) and "/" in arg else arg for arg in message.args
        )
        return message.address, tuple(reduced)
    return message.raw


def not_in_order(sequence: Sequence[int]) -> list[int]:
    """Return the fewest elements whose removal leaves the sequence increasing, in the order of the sequence.

    No two elements may be equal. Source: longest increasing subsequence by patience sorting.
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
