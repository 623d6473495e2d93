"""Live music: builds the members' live states in this host's scsynth before their later events are played.

Pure; `now` and dues are session ticks. `live_slots` decides what is built and when. `tree_checks` compares it
with what scsynth really has. This module hands over the messages.
"""

from collections.abc import Mapping
from contextlib import suppress

from bridge.playout.accounts import Accounts
from bridge.playout.building import build
from bridge.playout.holdback_queue import Held, HoldbackQueue
from bridge.playout.live_slot import Copy
from bridge.playout.live_slots import LiveSlots
from bridge.playout.loads import Loads
from bridge.playout.members import Members
from bridge.playout.still_sounding import rest_of
from bridge.playout.stops import Resets
from bridge.playout.to_scsynth import Outgoing
from bridge.playout.tree_checks import TreeChecks
from bridge.scsynth.id_space import Origin
from clock.model import Reading
from relay.wire import write
from relay.wire.errors import RemoteError
from relay.wire.live.changes import Changes
from relay.wire.live.state import Piece
from relay.wire.meaning import Meaning
from relay.wire.osc import Message
from relay.wire.sequence import Judged


class LiveMusic:
    """The live states of all members, the own one included, in this host's scsynth."""

    def __init__(
        self, own: Origin, out: Outgoing, accounts: Accounts, loads: Loads, resets: Resets,
        queue: HoldbackQueue, members: Members, *, release_advance: int,
    ) -> None:  # fmt: skip
        """release_advance: an event leaves the queue at the latest this many ticks before its due."""
        self._own = own
        self._out = out
        self._accounts = accounts
        self._loads = loads
        self._resets = resets
        self._queue = queue
        self._members = members
        self._slots = LiveSlots(own.slot, rest_of, release_advance=release_advance, let_go=queue.let_go)
        self._checks = TreeChecks(own.slot, self._slots)

    # -- live states that come -----------------------------------------------------------------------

    def inherit(self) -> None:
        """Note that a previous bridge process has built live states in the running scsynth."""
        self._slots.inherit()

    def expect(self, slots: list[int]) -> list[int]:
        """Note the slots of members that were in the room before this host.

        Return those of them that can't be played before their live state has come.
        """
        awaited = self._slots.expect([slot for slot in slots if slot != self._own.slot])
        for slot in awaited:
            self._queue.keep_back(slot)
        return awaited

    def begin_without(self, slot: int) -> None:
        """Play a slot from now on, although no live state of it has come."""
        self._slots.begin(slot)

    def learn(self, copy: Copy, now: int) -> None:
        """Process the live state of a slot that the relay has sent. Only the parts that scsynth lacks are
        built."""
        was_unseen = self._slots.is_unseen(copy.slot)
        loads, refused = self._slots.learn(copy)
        self._accounts.refuse_for("live-state", refused)
        for piece in copy.pieces:
            meaning = Meaning(piece.payload)
            with suppress(RemoteError):  # counted when it is built
                if meaning.creates:  # so that the guard knows the node before anything is set on it
                    self._members.guard(copy.slot).check(meaning, now)
        for meaning in loads:
            if copy.slot == self._own.slot:
                self._loads.loaded_before(meaning, self._own)
            else:
                self._loads.load(meaning, self._members.origin(copy.slot), copy.number)
        if was_unseen:
            self._checks.check(copy.slot, now)

    # -- events --------------------------------------------------------------------------------------

    def follow(self, owners: Mapping[int, int]) -> list[int]:
        """Adopt the roster: slot -> the room number at which its owner took it. Return the slots whose live
        states are awaited no more, because their owner is gone."""
        return self._slots.follow(owners)

    def hands_over(self, held: Held) -> bool:
        """Return whether `takes` will say that an event is to be handed to scsynth."""
        return self._slots.hands_over(held)

    def takes(self, held: Held, now: int) -> bool:
        """Add an event to its slot when it leaves the hold-back queue. Return whether to hand it to
        scsynth."""
        return self._slots.takes(held, now)

    def load(self, event: Judged, now: int) -> None:
        """Load the buffer that another member's event loads. Do nothing if the member's live state has loaded
        it."""
        if not self._members.is_gone(event) and self._slots.loads(event, now):
            self._loads.load(event.meaning, self._members.origin(event.slot), event.number)

    # -- time, and what scsynth has ------------------------------------------------------------------

    def rise(self, now: int) -> None:
        """Choose when to build new live states. Apply due events, and check the slots' trees of nodes."""
        if self._members.have_synthdefs:
            self._slots.choose(self._members.certain(), self._resets.over_at, now)
        self._slots.tidy(now)
        self._checks.check_all(self._slots.standing(), now)
        for slot, made in self._checks.mend(now):
            self._build(slot, now, made, None)
        asked = self._checks.questions(now)
        self._out.add([write.ask_tree(self._members.origin(slot).root) for slot in asked])
        self._accounts.unfound(self._checks.lacking())

    def build(self, now: int, reading: Reading) -> None:
        """Build the live states whose chosen instant is near."""
        for slot, at, made in self._slots.build(now):
            self._build(slot, at, made, reading)
            self._checks.check(slot, at)

    def next_wakeup(self) -> int | None:
        """Return the session instant of the next `build`; None if there is none."""
        return self._slots.next_build()

    def answered(self, message: Message) -> None:
        """Process scsynth's answer to a question about a slot's tree."""
        self._checks.answered(message)

    def ended(self, node: int) -> None:
        """Note that a node has ended. node: scsynth's number."""
        self._slots.ended(*Origin.split(node))

    def covers(self, held: Held) -> bool:
        """Return whether the newest live state of a slot includes an event already."""
        return self._slots.covers(held)

    def forget(self, slot: int) -> None:
        """Forget a slot whose member is gone for good."""
        self._slots.forget(slot)
        self._checks.forget(slot)
        self._resets.forget(slot)
        self._queue.let_go(slot)

    def enter_epoch(self) -> None:
        """Forget the numbers and instants of the relay's former epoch."""
        self._slots.enter_epoch()
        self._checks.clear()
        self._resets.clear()

    def clock_was_set(self) -> None:
        """Note that session time was set in one step."""
        self._slots.clock_was_set()
        self._checks.clear()

    # -- the own one ---------------------------------------------------------------------------------

    def own_pieces(self, now: int, *, dated: bool) -> list[Piece]:
        """Return the live state of the local player, with or without dues, for a relay that doesn't know
        it."""
        return self._slots.own_pieces(now, dated=dated)

    def own_ended(self) -> list[int]:
        """Remove and return the seqs of own notes that have ended since the last call."""
        return self._slots.own_ended()

    # ------------------------------------------------------------------------------------------------

    def _build(self, slot: int, at: int, made: Changes, reading: Reading | None) -> None:
        """Hand over the changes to a slot. scsynth makes them at `at`, or on arrival if `reading` is None."""
        for step in made.steps:
            with suppress(RemoteError):  # counted below
                self._loads.need(Meaning(step.messages[0]))
        built = build(made, self._members.origin(slot), self._members.guard(slot).check, at)
        for bundle in built.bundles:
            if reading is None:
                self._out.add_as_one(bundle)
            else:
                self._out.add_at(at, bundle, reading)
        for error in built.refused:
            self._accounts.refuse(error)
