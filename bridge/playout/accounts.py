"""Accounts: the fate of each event at this host, for the reports to the relay and for the statistics.

Pure. An event of the local player may be handed to scsynth before the relay's verdict on it has come. It is
then recorded when the verdict comes.
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
"""Placeholders for an event's message in a digest. DROPPED: a slot reset dropped the event. REFUSED: the
message was refused. RESET: the event is itself a slot reset."""


@dataclass(slots=True)
class PlayoutCounts:
    """Counts of missed notes and refused messages since the bridge's start."""

    missed: int = 0
    """Notes that weren't played, because this host processed them far too late."""
    refused: Counter[str] = field(default_factory=Counter)

    def named(self) -> dict[str, int]:
        """Return all counts by name, for the statistics."""
        refused = {f"playout_refused_{reason}": count for reason, count in self.refused.items()}
        return {"missed_here": self.missed} | refused


class Accounts:
    """Records the fate of each event, in counts since the start and in the ledger that the reports are made
    from."""

    def __init__(self, ledger: SecondsLedger) -> None:
        self.counts = PlayoutCounts()
        self._ledger = ledger
        self._unconfirmed = Unconfirmed()

    def named(self) -> dict[str, int]:
        """Return the counts by name, for the statistics."""
        return self.counts.named()

    def refuse(self, error: RemoteError) -> None:
        """Count a refused message under the reason that its error gives."""
        self.refuse_for(getattr(error, "reason", type(error).__name__), 1)

    def refuse_for(self, reason: str, count: int) -> None:
        """Count `count` messages that were refused for `reason`."""
        if count:
            self.counts.refused[reason] += count
            self._ledger.refused += count

    def miss(self) -> None:
        """Count a note that was dropped because this host processed it far too late."""
        self.counts.missed += 1

    def silent(self, number: int, due: int) -> None:
        """Record that a note was silent here, because scsynth lacked its synthdef or a buffer when it was
        due.

        number: its room number. due: session ticks.
        """
        self._ledger.silent(number, due)

    def unfound(self, nodes: int) -> None:
        """Count `nodes` more groups, FX and mixers of other members that scsynth lacks."""
        self._ledger.unfounded += nodes

    def drop(self, held: Held) -> None:
        """Record an event that was dropped by a slot reset, as after a Stop in Sonic Pi."""
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
        """Record an event that leaves the hold-back queue.

        body: the message as all members play it, for the digest. timetag: the session instant that scsynth
        was given for the event. margin: ticks from the hand-over until scsynth needed the event. It is
        negative for a late event, and None for an event that scsynth wasn't given. out_of_order: scsynth had
        already run an event that belongs behind this one.

        Two kinds are not recorded: messages that only this host plays, and events of a former epoch of the
        relay.
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
        """Record an event of the room's sequence that isn't handed to scsynth at its due.

        body: the bytes that stand for the event in the digest.
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
        """Record an event of the local player that scsynth was handed before it was judged. `event` is the
        verdict.

        Return False if scsynth was handed no such event.
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
        """Record an event of the local player that the relay gives to no other member. If this host hasn't
        played the event, nothing is recorded."""
        if self._unconfirmed.confirm(event.seq):
            self._ledger.alone(event.due)

    def unconfirmed(self) -> tuple[int, ...]:
        """Return the seqs (sender's numbers) of the local player's newest events that were handed over
        unjudged."""
        return self._unconfirmed.numbers

    def convert(self, instant_of: Callable[[int], int]) -> None:
        """Convert the instants of the local player's unjudged events, because session time was set in one
        step.

        instant_of: maps an old session instant to the new one.
        """
        self._unconfirmed.convert(instant_of)

    def unconfirmed_due(self, seq: int) -> int | None:
        """Return the due (session ticks) that this bridge computed for an event of the local player.

        None if the event is judged, or was not handed over. seq: the sender's number.
        """
        return self._unconfirmed.due(seq)
