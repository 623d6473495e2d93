"""Coherence: compares, second by second, whether all members of a room were handed the same events.

Pure. The relay knows which events were due in a second. Every member that was present for the whole second
reports how many events it handed over, and a digest of them in scsynth's order. If all digests are equal and
all counts are as expected, the members agree. Otherwise the relay asks for the digests of single events, and
names the events that differ. Each second is compared once, in turn, after its end.

Some events get no due: a note that missed its time, a refused event, an event that never arrived. At most
its own player heard such an event, so it counts as different whatever the digests are.

Bound: the seconds from SECONDS_KEPT ago up to the latest due that the judge allows are kept.
"""

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field

from relay.wire.control import DigestDetail, Report
from relay.wire.counted_nouns import counted
from relay.wire.sequence import Flag, Judged
from relay.wire.timetag import TICKS_PER_S

SECONDS_KEPT = 30
REPORT_WAIT_S = 6
"""How long after the end of a second the relay waits for the reports on it, s. Reports usually take one
second. Even a bridge that stood still for five seconds has reported by then."""
DETAIL_WAIT_S = 3
MISSED = "missed its time, so nobody else was given it"
INCIDENTS_KEPT = 50
NAMED_MAX = 8
"""How many events of one second are named for one reason. Further events are only counted."""


@dataclass(slots=True)
class MemberSums:
    """Events that one member missed or got differently, summed over the seconds compared."""

    seconds: int = 0
    events: int = 0
    missing: int = 0
    late: int = 0
    out_of_order: int = 0
    different: int = 0
    unconfirmed: int = 0
    silent_here: int = 0
    alone: int = 0
    """Events of this member that at most its own player heard."""


@dataclass(slots=True)
class _Second:
    expected: dict[int, Judged] = field(default_factory=dict)
    present: set[int] = field(default_factory=set)
    reports: dict[int, Report] = field(default_factory=dict)
    details: dict[int, DigestDetail] = field(default_factory=dict)
    asked_at: int | None = None
    missed: list[Judged] = field(default_factory=list)
    """Notes that came too late and are handed to nobody."""
    unheard: dict[tuple[int, str], int] = field(default_factory=dict)
    """Number of events without a verdict, by slot and reason."""


class CoherenceLedger:
    """Compares the reports of one room's members. describe: returns an event in words, for incidents.
    name_of: returns the name of the member in a slot."""

    def __init__(self, describe: Callable[[Judged], str], name_of: Callable[[int], str]) -> None:
        self._describe = describe
        self._name_of = name_of
        self._seconds: dict[int, _Second] = {}
        self._settled_up_to = 0
        self.sums: dict[int, MemberSums] = {}
        self.seconds_compared = 0
        self.events = 0
        self.divergent = 0
        self.retimed = 0
        self.incidents: deque[str] = deque(maxlen=INCIDENTS_KEPT)

    def expect(self, event: Judged) -> None:
        """Add a judged event to the second in which it is due."""
        second = event.due // TICKS_PER_S
        if Flag.MISSED in event.flags:
            self._seconds.setdefault(max(second, self._settled_up_to + 1), _Second()).missed.append(event)
        elif second > self._settled_up_to:
            self._seconds.setdefault(second, _Second()).expected[event.number] = event
        elif len(self.sums) > 1:  # possible only where nothing is moved: late at all but its sender
            self.events += 1
            self.divergent += 1
            self.incidents.append(f"late by seconds everywhere else: {self._describe(event)}")

    def unheard(self, slot: int, why: str, events: int, now: int) -> None:
        """Count events of `slot` that got no verdict, so that at most their own player heard them.

        why: the reason, in words. events: how many. now: session ticks.
        """
        number = max(now // TICKS_PER_S, self._settled_up_to + 1)
        unheard = self._seconds.setdefault(number, _Second()).unheard
        unheard[slot, why] = unheard.get((slot, why), 0) + events

    def report(self, slot: int, report: Report, now: int) -> None:
        """Store a member's report, unless its second is long past or still to come. now: session ticks."""
        age = now // TICKS_PER_S - report.second
        if self._settled_up_to < report.second and 0 <= age < SECONDS_KEPT:
            self._seconds.setdefault(report.second, _Second()).reports[slot] = report.without_samples()

    def detail(self, slot: int, detail: DigestDetail) -> None:
        """Store a member's digests of single events. Digests that weren't asked for are ignored."""
        second = self._seconds.get(detail.second)
        if second is not None and second.asked_at is not None:
            second.details[slot] = detail

    def forget(self, slot: int) -> None:
        """Forget the member that had `slot`: its sums, its pending reports, and its events without a
        verdict."""
        self.sums.pop(slot, None)
        for second in self._seconds.values():
            second.reports.pop(slot, None)
            second.details.pop(slot, None)
            second.unheard = {key: events for key, events in second.unheard.items() if key[0] != slot}

    def settle(self, present: Iterable[int], now: int) -> list[tuple[int, tuple[int, ...]]]:
        """Compare the seconds whose reports are complete. Return which details to ask for.

        Each pair is a second and the slots whose digests of single events are needed for it. present: slots
        whose bridges are connected now. now: session ticks.
        """
        here = set(present)
        wanted: list[tuple[int, tuple[int, ...]]] = []
        now_second = now // TICKS_PER_S
        for number in sorted(self._seconds):
            second = self._seconds[number]
            age = now_second - number - 1
            if age < 0:
                break
            if second.asked_at is None:
                if not here <= second.reports.keys() and age < REPORT_WAIT_S:
                    break
                whole = {slot: report for slot, report in second.reports.items() if report.whole}
                if self._agree(second, whole):
                    self._settle_equal(number, second, whole)
                    continue
                second.asked_at = now
                wanted.append((number, tuple(whole)))
                break
            whole = {slot: report for slot, report in second.reports.items() if report.whole}
            if whole.keys() <= second.details.keys() or now - second.asked_at > DETAIL_WAIT_S * TICKS_PER_S:
                self._settle_detailed(number, second, whole)
                continue
            break
        return wanted

    def _agree(self, second: _Second, whole: dict[int, Report]) -> bool:
        digests = {report.digest for report in whole.values()}
        counts = {report.events for report in whole.values()}
        return len(digests) <= 1 and counts <= {len(second.expected)}

    def _settle_equal(self, number: int, second: _Second, whole: dict[int, Report]) -> None:
        divergent: set[int] = set()
        for slot, report in whole.items():
            # Events that a bridge gave up lately belong to seconds that are still to be compared.
            self._add(slot, report, missing=0, late=0, out_of_order=report.out_of_order, different=0)
            divergent |= self._named(slot, "late", report.late_numbers, second)
            divergent |= self._named(slot, "out of order", report.out_of_order_numbers, second)
        self._close(number, second, whole, len(divergent))

    def _settle_detailed(self, number: int, second: _Second, whole: dict[int, Report]) -> None:
        order = [event.number for event in sorted(second.expected.values(), key=lambda event: event.key)]
        rank = {event_number: index for index, event_number in enumerate(order)}
        held = {slot: dict(detail.events) for slot, detail in second.details.items() if slot in whole}
        common = {event.number: _accepted(event, held) for event in second.expected.values()}
        divergent: set[int] = set()
        for slot, report in whole.items():
            have = held.get(slot)
            late = set(report.late_numbers)
            if have is None:
                self.incidents.append(
                    f"{self._name_of(slot)} did not say what it played in a second that differed"
                )
                missing, moved, different = max(0, len(order) - report.events), 0, 0
            else:
                late |= set(second.details[slot].late)  # events that came since then are in the details too
                lacking = [event_number for event_number in order if event_number not in have]
                altered = [
                    event_number
                    for event_number in order
                    if event_number in have and have[event_number] != common[event_number]
                ]
                ranked = [(n, rank[n]) for n, _ in second.details[slot].events if n in rank]
                # Includes own events that it had played at another instant, which nobody else can know.
                apart = set(report.out_of_order_numbers) & have.keys()
                swapped = sorted({*_out_of_order(ranked, late | apart), *apart})
                extra = [event_number for event_number in have if event_number not in rank]
                divergent |= self._named(slot, "missing", lacking, second)
                divergent |= self._named(slot, "different", altered, second)
                divergent |= self._named(slot, "out of order", swapped, second)
                if extra:
                    self.incidents.append(
                        f"{counted(len(extra), 'event')} at {self._name_of(slot)}, not due then"
                    )
                missing, moved, different = len(lacking), len(swapped), len(altered) + len(extra)
            self._add(slot, report, missing=missing, late=len(late), out_of_order=moved, different=different)
            divergent |= self._named(slot, "late", sorted(late), second)
        self._close(number, second, whole, len(divergent))

    def _add(
        self, slot: int, report: Report, *, missing: int, late: int, out_of_order: int, different: int
    ) -> None:
        sums = self.sums.setdefault(slot, MemberSums())
        sums.seconds += 1
        sums.events += report.events
        sums.missing += missing
        sums.late += max(report.late, late)
        sums.out_of_order += out_of_order
        sums.different += different
        sums.unconfirmed += report.unconfirmed
        sums.silent_here += report.silent_here

    def _named(self, slot: int, what: str, numbers: Iterable[int], second: _Second) -> set[int]:
        """Add an incident for each of these events at the member in `slot`. Return the numbers of the events
        that were due in this second.

        what: the kind of incident, in words. numbers: room numbers of the events.
        """
        named: set[int] = set()
        for number in numbers:
            event = second.expected.get(number)
            words = self._describe(event) if event else f"event {number}"
            self.incidents.append(f"{what} at {self._name_of(slot)}: {words}")
            if event is not None:
                named.add(number)
        return named

    def _add_unheard(self, second: _Second, whole: dict[int, Report]) -> int:
        """Count the events of a second that at most their own player heard. Return the count.

        whole: by slot, the reports of members that were present for the whole second.
        """
        found = [(slot, why, events) for (slot, why), events in second.unheard.items()]
        found += [(event.slot, MISSED, 1) for event in second.missed]
        total = 0
        for slot, why, events in found:
            others = whole.keys() - {slot}
            for other in others:
                self.sums[other].missing += events
            if not others:
                continue
            total += events
            if why != MISSED:
                self.sums.setdefault(slot, MemberSums()).alone += events
                self.incidents.append(
                    f"{counted(events, 'event')} of {self._name_of(slot)} at nobody else: {why}"
                )
        if len(whole) > 1:  # a report may have it a second later than the verdict
            for slot, report in whole.items():
                self.sums[slot].alone += report.alone
        if total:
            self._name(MISSED, [self._describe(event) for event in second.missed])
        return total

    def _name(self, what: str, events: list[str]) -> None:
        self.incidents += [f"{what}: {words}" for words in events[:NAMED_MAX]]
        if len(events) > NAMED_MAX:
            self.incidents.append(f"{what}: {counted(len(events) - NAMED_MAX, 'event')} more in that second")

    def _close(self, number: int, second: _Second, whole: dict[int, Report], divergent: int) -> None:
        if whole:
            unheard = self._add_unheard(second, whole)
            self.seconds_compared += 1
            self.events += len(second.expected) + unheard
            self.divergent += divergent + unheard
            self.retimed += sum(Flag.RETIMED in event.flags for event in second.expected.values())
        self._settled_up_to = max(self._settled_up_to, number)
        del self._seconds[number]


def _accepted(event: Judged, held: dict[int, dict[int, bytes]]) -> bytes | None:
    """Return the digest that most members have of an event; None if no member has the event.

    held: the members' digests, by slot and event number. If several digests are equally frequent, the
    sender's digest is preferred, then that of the lowest slot.
    """
    digests = [held[slot][event.number] for slot in sorted(held) if event.number in held[slot]]
    counts = Counter(digests)
    most = max(counts.values(), default=0)
    of_sender = held.get(event.slot, {}).get(event.number)
    if of_sender is not None and counts[of_sender] == most:
        return of_sender
    return next((digest for digest in digests if counts[digest] == most), None)


def _out_of_order(ranked: list[tuple[int, int]], late: Set[int]) -> list[int]:
    """Return the smallest set of event numbers that would have to move so that the ranks increase.

    ranked: (number, rank) of each event, in the order of execution; the rank is the event's place in the
    room's order. late: numbers of events that came late. If two events are merely swapped, either could count
    as moved; this function counts the late one.
    """
    kept = _longest_growing([(at, rank) for at, (number, rank) in enumerate(ranked) if number not in late])
    for at, (number, rank) in enumerate(ranked):
        if number in late:
            place = bisect_left(kept, (at, rank))
            follows = place == 0 or kept[place - 1][1] < rank
            if follows and (place == len(kept) or rank < kept[place][1]):
                kept.insert(place, (at, rank))
    places = {at for at, _ in kept}
    return [number for at, (number, _) in enumerate(ranked) if at not in places]


def _longest_growing(placed: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return a longest selection of these (place, rank) pairs in which the ranks increase. Source: patience
    sorting."""
    tails: list[int] = []
    tail_at: list[int] = []
    before: list[int] = []
    for index, (_, rank) in enumerate(placed):
        length = bisect_left(tails, rank)
        before.append(tail_at[length - 1] if length else -1)
        tails[length : length + 1] = [rank]
        tail_at[length : length + 1] = [index]
    run: list[tuple[int, int]] = []
    at = tail_at[-1] if tail_at else -1
    while at >= 0:
        run.append(placed[at])
        at = before[at]
    return run[::-1]
