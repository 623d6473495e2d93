"""Accounts: the fate of each event at this host, for the reports to the room and for the statistics.

Pure. An own event that is handed over before its verdict has come is recorded once the verdict is here.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from bridge.playout.holdback_queue import Held
from bridge.playout.second_reports import SecondsLedger, event_digest
from bridge.playout.unconfirmed import Played, Unconfirmed
from relay.wire.errors import RemoteError
from relay.wire.sequence import Judged
from relay.wire.timetag import seconds

DROPPED, REFUSED, RESET = b"dropped", b"refused", b"reset"
"""Digests hold these in place of an event's message. DROPPED: a slot reset dropped the event. REFUSED: the
message was refused. RESET: the event is itself a slot reset."""


@dataclass(slots=True)
class PlayoutCounts:
    """Counts since the bridge's start, for the log and for people. Reports to the relay count every second
    separately."""

    missed: int = 0
    """Notes that weren't played because this host processed them far too late."""
    refused: Counter[str] = field(default_factory=Counter)

    def named(self) -> dict[str, int]:
        """Return all counts by name, for the statistics."""
        refused = {f"playout_refused_{reason}": count for reason, count in self.refused.items()}
        return {"missed_here": self.missed} | refused


class Accounts:
    """Records the fate of each event, in counts and in the ledger of seconds."""

    def __init__(self, ledger: SecondsLedger) -> None:
        self.counts = PlayoutCounts()
        self._ledger = ledger
        self._unconfirmed = Unconfirmed()

    def named(self) -> dict[str, int]:
        """Return the counts by name, for the statistics."""
        return self.counts.named()

    def refuse(self, error: RemoteError) -> None:
        """Record a message that was refused because it is forbidden or malformed."""
        self.refuse_for(getattr(error, "reason", type(error).__name__), 1)

    def refuse_for(self, reason: str, count: int) -> None:
        """Record `count` messages that were refused for one reason."""
        if count:
            self.counts.refused[reason] += count
            self._ledger.refused += count

    def miss(self) -> None:
        """Record a note that was dropped here because its time was over."""
        self.counts.missed += 1

    def silent(self, number: int, due: int) -> None:
        """Record a note whose buffers or synthdef were missing at its due (session ticks)."""
        self._ledger.silent(number, due)

    def unfound(self, nodes: int) -> None:
        """Record how many more nodes of other members' foundations scsynth lacks."""
        self._ledger.unfounded += nodes

    def drop(self, held: Held) -> None:
        """Record an event that a slot reset dropped."""
        self.hand_over(held, DROPPED, held.due)

    def hand_over(
        self,
        held: Held,
        body: bytes,
        timetag: int,
        *,
        margin: int | None = None,
        out_of_order: bool = False,
    ) -> None:
        """Record an event that leaves the hold-back queue. body: the message as all members play it.

        timetag: the session instant that scsynth was given for it. margin: how many ticks before scsynth
        needed it the event was handed over. It is less than 0 if the event is late, and None if it had no
        time to keep. out_of_order: scsynth had already run an event that belongs behind it.
        """
        if held.sub or not held.counted:
            return
        late = margin is not None and margin < 0
        margin_s = None if margin is None else seconds(margin)
        if held.number is None:
            arrival = self._ledger.next_arrival()
            self._unconfirmed.play(held.seq, Played(held.due, timetag, body, margin_s, arrival, late))
            self._ledger.play_unconfirmed()
            return
        self._ledger.hand_over(
            number=held.number,
            due=held.due,
            timetag=timetag,
            digest=event_digest(held.number, body),
            margin_s=margin_s,
            late=late,
            out_of_order=out_of_order,
        )

    def tally(self, event: Judged, body: bytes) -> None:
        """Record an event that counts in the room's sequence, although nothing is handed over for it at its
        due.

        body: the bytes that stand for it in the digest.
        """
        self._ledger.hand_over(
            number=event.number,
            due=event.due,
            timetag=event.due,
            digest=event_digest(event.number, body),
            margin_s=None,
        )

    # -- own events without a verdict ----------------------------------------------------------------

    def confirm(self, event: Judged) -> bool:
        """Record an own event that was handed over before its verdict, now that the verdict is here.

        Return False if no such event is known.
        """
        played = self._unconfirmed.confirm(event.seq)
        if played is None:
            return False
        self._ledger.hand_over(
            number=event.number,
            due=event.due,
            timetag=played.timetag,
            digest=event_digest(event.number, played.body),
            margin_s=played.margin_s,
            arrival=played.arrival,
            late=played.late,
            unconfirmed=True,
            out_of_order=played.due != event.due,
        )
        return True

    def confirm_alone(self, event: Judged) -> None:
        """Record an own event that no other member is given. If this host hasn't played it either, nothing is
        recorded."""
        if self._unconfirmed.confirm(event.seq):
            self._ledger.alone(event.due)

    def unconfirmed(self) -> tuple[int, ...]:
        """Return the seqs of the newest own events that were handed over and lack a verdict."""
        return self._unconfirmed.numbers

    def convert(self, instant_of: Callable[[int], int]) -> None:
        """Convert the instants of events that lack a verdict, because session time was set in one step."""
        self._unconfirmed.convert(instant_of)

    def unconfirmed_due(self, seq: int) -> int | None:
        """Return the due (session ticks), as stamped, of an own event that was handed over and lacks a
        verdict.

        None if no such event is known.
        """
        return self._unconfirmed.due(seq)
