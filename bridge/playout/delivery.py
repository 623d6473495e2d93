"""Delivery: hands scsynth the events that leave the hold-back queue, one by one.

Pure. Four kinds of event are not handed over: events that a slot reset has dropped, refused messages, notes
that are far too late, and events whose effect is built with their slot's live state. The accounts record the
fate of each event.
"""

from bridge.playout.accounts import REFUSED, RESET, Accounts
from bridge.playout.bodies import Bodies
from bridge.playout.fault_injection import FaultInjector, FaultKind
from bridge.playout.held_by_scsynth import AtSynth
from bridge.playout.holdback_queue import Held
from bridge.playout.live_music import LiveMusic
from bridge.playout.loads import Loads
from bridge.playout.members import Members
from bridge.playout.missed_time import Behind
from bridge.playout.redo import Redo
from bridge.playout.stops import Resets
from bridge.playout.to_scsynth import Outgoing
from clock.model import Reading
from relay.wire.sequence import Kind, frees_at


class Delivery:
    """Hands events from the hold-back queue to scsynth. `now` is session ticks."""

    def __init__(
        self,
        own_slot: int,
        out: Outgoing,
        accounts: Accounts,
        loads: Loads,
        resets: Resets,
        members: Members,
        live: LiveMusic,
        behind: Behind,
        *,
        need: int,
    ) -> None:
        """own_slot: this member's slot. need: scsynth must get a bundle this many ticks before the bundle's
        timetag."""
        self._own_slot = own_slot
        self._need = need
        self._out = out
        self._accounts = accounts
        self._loads = loads
        self._resets = resets
        self._members = members
        self._live = live
        self._behind = behind
        self._bodies = Bodies(own_slot, members, accounts)
        self._redo = Redo()
        self._at_synth = AtSynth()
        self._fault: FaultInjector | None = None

    def plant(self, kind: FaultKind) -> None:
        """Inject a fault into the next suitable note. Tests use this to check that faults are noticed."""
        if self._fault is None:
            self._fault = FaultInjector()
        self._fault.arm(kind)

    def run(self, now: int) -> int:
        """Note that session time is `now`. Return how many of the events handed over scsynth hasn't run
        yet."""
        self._at_synth.run(now + self._need)
        return len(self._at_synth)

    def ahead_count(self) -> int:
        """Return how many events scsynth was handed and hasn't run yet, as far as known."""
        return len(self._at_synth)

    def hand_over(self, batch: list[Held], now: int, reading: Reading) -> None:
        """Hand over the events of `batch` in their order."""
        if self._fault is not None:
            batch = self._fault.pass_on(batch, now)
        for held in batch:
            self._hand_over(held, now, reading)
        self._loads.run(now + self._need)

    def leave(self, slot: int) -> None:
        """Forget the events of a slot, because its owner is gone."""
        self._redo.leave(slot)

    def clock_was_set(self) -> None:
        """Forget which events scsynth holds, because session time was set in one step and their dues changed
        meaning."""
        self._at_synth.forget()
        self._redo.forget()

    def _hand_over(self, held: Held, now: int, reading: Reading) -> None:
        if self._resets.drop(held):
            self._accounts.drop(held)
            return
        margin = held.due - now - self._need
        if self._behind.misses(held, -margin, now):
            self._accounts.miss()
            return
        own, is_reset = held.slot == self._own_slot, held.kind is Kind.RESET
        body = self._bodies.of(held, handed_over=own or self._live.hands_over(held))
        if body is None:
            self._accounts.hand_over(held, REFUSED, held.due)
            return
        gone = is_reset and self._members.is_gone(held)
        ends = is_reset and not own and not gone and not self._live.covers(held)
        goes = (not gone and self._live.takes(held, now)) or own
        if self._fault is not None:
            body = self._fault.alter(held, body)
        if goes:
            self._send(held, body, now, reading)
        if is_reset:
            self._reset(held, reading, ends=ends)
        self._accounts.hand_over(
            held,
            RESET if is_reset else body,
            max(held.due, now + self._need),
            margin=margin,
            out_of_order=margin < 0 and self._at_synth.has_passed(held.key),
        )

    def _send(self, held: Held, body: bytes, now: int, reading: Reading) -> None:
        at, places = frees_at(held.due, held.flags), self._members.places
        if at > max(held.due, now):
            self._out.add_each_at(held.due, places.fade(held.slot), reading)
        handed = body if held.home is None else held.home
        for messages in self._redo.hand_over(held, handed, now, late=at < now + self._need):
            self._out.add_at(at, messages, reading)
        if at > held.due:
            self._out.add_each_at(at, places.end_fade(held.slot), reading)
        self._at_synth.take(held.key)
        self._loads.handed_over(held, self._members.origin(held.slot))

    def _reset(self, held: Held, reading: Reading, *, ends: bool) -> None:
        for dropped in self._resets.take(held):
            self._accounts.drop(dropped)
        if ends:
            self._members.reset(held, reading)
