"""Downlink: which of the room's events have arrived, which are missing, and which wait for session time.

Pure. Gaps are timed by the local clock (s), because session time may be set in one step. A host that enters a
room also asks for the last PAST_NUMBERS events before its entry, because some of them are still to be played.
Earlier ones that are due far ahead come with the live states of the slots. Bound: EARLY_MAX events and
COPIES_MAX live states wait for session time.
"""

from dataclasses import asdict

from bridge.playout.live_slot import Copy
from bridge.restart_state import HandedOver, Memory
from relay.wire import frames
from relay.wire.errors import MalformedDatagram
from relay.wire.outbox import Outbox
from relay.wire.recovery import GapCounts, GapTracker
from relay.wire.sequence import Judged

GAP_KEEP_S = 5.0
"""How long a missing event is asked for, s. A Wi-Fi may be away for seconds, and a missing /n_free would
leave a note sounding."""

PAST_NUMBERS = 256
PAST_KEEP_S = 1.0
"""How long events from before this host's entry are asked for, s. The relay doesn't keep them for ever."""

EARLY_MAX = 4096
COPIES_MAX = 64
"""The most live states that wait for session time. It is enough for two of each slot."""


class Downlink:
    """Tracks which room numbers have arrived. Every event is accepted at most once."""

    def __init__(self, complete_number: int) -> None:
        self._gaps = GapTracker(complete_number + 1, keep_s=GAP_KEEP_S)
        self._past = GapTracker(1, keep_s=PAST_KEEP_S)
        self._joined_number = 0
        self._asks = True
        self._early: list[Judged] = []
        self._copies: list[Copy] = []
        self._past_first = 1
        self._far: set[int] = set()
        """Room numbers of accepted events that are older than the last PAST_NUMBERS events before this host's
        entry."""
        self._leapt: list[tuple[int, int]] = []

    def enter(self, number: int, now_s: float) -> None:
        """Enter a room, or another epoch of the relay. number: the highest room number so far. now_s: local
        clock."""
        self._gaps.expect(number + 1)
        self._past_first = max(1, number + 1 - PAST_NUMBERS)
        self._far.clear()
        self._past = GapTracker(self._past_first, keep_s=PAST_KEEP_S)
        self._past.asks = self._asks
        self._past.announce(number, now_s)
        self._joined_number = number
        self._early.clear()
        self._copies.clear()

    def repair(self, asks: bool) -> None:
        """Set whether missing events are asked for. The room's settings decide this."""
        self._gaps.asks = self._past.asks = self._asks = asks

    @property
    def complete_number(self) -> int:
        """The room number up to which every event has arrived or was given up."""
        return self._gaps.contiguous

    @property
    def ready_number(self) -> int:
        """The room number up to which no event is missing. Events up to this number can be released by
        number.

        0 while events from before this host's entry are being asked for.
        """
        return 0 if self._past.missing() else self.complete_number

    @property
    def counts(self) -> GapCounts:
        """How many of the room's numbers were expected, lost, recovered and so on."""
        return self._gaps.counts

    def named(self) -> dict[str, int]:
        """Return `counts` by name, for the statistics."""
        return {f"down_{name}": count for name, count in asdict(self.counts).items()}

    def is_past(self, event: Judged) -> bool:
        """Return whether an event was judged before this host entered."""
        return event.number <= self._joined_number

    def saw(self, event: Judged, now_s: float) -> bool:
        """Note that an event came. Return whether to accept it."""
        if event.number < self._past_first and self.is_past(event):
            is_new = event.number not in self._far and len(self._far) < EARLY_MAX
            if is_new:
                self._far.add(event.number)
            return is_new
        if self.is_past(event):
            return self._past.saw(event.number, now_s)
        try:
            return self._gaps.saw(event.number, now_s)
        except MalformedDatagram:
            self._leap(event.number)
            return self._gaps.saw(event.number, now_s)

    def announce(self, number: int, now_s: float) -> None:
        """Note that the room has reached `number`. Lower numbers that haven't arrived are missing. now_s:
        local clock."""
        try:
            self._gaps.announce(number, now_s)
        except MalformedDatagram:
            self._leap(number + 1)

    def keep_early(self, event: Judged) -> None:
        """Keep an event until session time is known."""
        if len(self._early) < EARLY_MAX:
            self._early.append(event)

    def keep_copy(self, copy: Copy) -> None:
        """Keep a slot's live state until session time is known, because its dues are session instants."""
        if len(self._copies) < COPIES_MAX:
            self._copies.append(copy)

    def take_early(self, now: int) -> tuple[list[Copy], list[Judged]]:
        """Return the kept live states and events, in order of arrival, and remove them.

        Notes that are due at or before `now` (session ticks) are left out, because they would all sound at
        once.
        """
        early = [event for event in self._early if event.due > now or not event.meaning.is_note]
        copies, self._copies, self._early = self._copies, [], []
        return copies, early

    def ask(self, outbox: Outbox, now_s: float) -> None:
        """Send a request for missing events, if one is due and the uplink can carry it. now_s: local
        clock."""
        if outbox.asks_from_s() > now_s:
            return
        rtt_s = outbox.rtt_s
        ranges = self._past.due_requests(now_s, rtt_s) + self._gaps.due_requests(now_s, rtt_s)
        self._past.gave_up()  # the relay no longer has them, so they were due before this host entered
        if ranges:
            outbox.say(frames.encode(frames.Nack(tuple(ranges[: frames.MAX_NACK_RANGES]))))

    def asks_at_s(self, outbox: Outbox) -> float | None:
        """Return the local instant (s) of the next request for missing events; None if nothing is missing."""
        instants = [gaps.next_wakeup_s(outbox.rtt_s) for gaps in (self._past, self._gaps)]
        asks_at_s = min((instant for instant in instants if instant is not None), default=None)
        return None if asks_at_s is None else max(asks_at_s, outbox.asks_from_s())

    def gave_up(self) -> list[tuple[int, int]]:
        """Return the ranges (first, last) of room numbers that were given up since the last call."""
        ranges, self._leapt = self._leapt, []
        return [*ranges, *((number, number) for number in self._gaps.gave_up())]

    def remember(self, memory: Memory, held: list[int], before: HandedOver | None = None) -> None:
        """Store in `memory` which events have arrived, for the bridge process that takes over if this one is
        killed.

        held: room numbers of events that have arrived and were not handed over yet. before: the events that a
        previous bridge process handed over.
        """
        unplayed = [*held, *(event.number for event in self._early if not self.is_past(event))]
        memory.complete_number = min([self._gaps.contiguous, *(number - 1 for number in unplayed)])
        memory.remember_missing(self._gaps.highest, [*self._gaps.missing(), *unplayed], before)

    def _leap(self, number: int) -> None:
        """Give up all missing numbers below `number`, because they are too many to ask for."""
        self._leapt += [(missing, missing) for missing in self._gaps.missing()]
        self._leapt.append((self._gaps.highest + 1, number - 1))
        self._gaps.expect(number)
