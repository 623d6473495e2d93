"""Members: the numbers of each member's nodes in this host's scsynth, and the boot states of the members.

Pure. A boot state, in the code also called foundation, is what a Sonic Pi makes at its start. It is built
before the music that needs it, and stored in `boot_states`.
"""

from collections.abc import Mapping

from bridge.playout.accounts import Accounts
from bridge.playout.boot_states import Founded, erect, loads_of, nodes_of
from bridge.playout.holdback_queue import Held
from bridge.playout.leaving import Leaving
from bridge.playout.loads import Loads
from bridge.playout.stops import Resets
from bridge.playout.to_scsynth import Outgoing
from bridge.scsynth.id_space import Origin
from bridge.scsynth.member_slots import Places
from clock.model import Reading
from relay.wire import write
from relay.wire.foundation import Told
from relay.wire.guard import Guard, Guards
from relay.wire.sequence import Flag, Judged, Kind, frees_at, reset_over_at


class Members:
    """The members of the room, this one included, and their nodes in scsynth. `now` is session ticks."""

    def __init__(self, own: Origin, out: Outgoing, accounts: Accounts, loads: Loads, resets: Resets) -> None:
        self._own = own
        self._out = out
        self._accounts = accounts
        self._loads = loads
        self._resets = resets
        self.places = Places(own, out.add)
        self._leaving = Leaving(own.slot)
        self.founded = Founded()
        self._guards = Guards()

    def guard(self, slot: int) -> Guard:
        """Return the guard of a slot, which refuses dangerous values in that slot's events.

        The guard of the local player's slot checks two kinds of message: those that the player sends, at the
        tap, and those that the relay sends for this slot.
        """
        return self._guards[slot]

    def origin(self, slot: int) -> Origin:
        """Return the origin of a slot. It maps the member's node, bus and buffer numbers to those of
        scsynth."""
        return self.places.of(slot)

    def meet(self, origin: Origin) -> None:
        """Create the root group and mixer strip of a member that the roster names."""
        self.places.meet(origin)

    @property
    def have_synthdefs(self) -> bool:
        """Whether Sonic Pi's synthdefs are in scsynth, as far as known."""
        return self.places.have_synthdefs

    def synthdefs_loaded(self) -> None:
        """Note that the synthdefs are loaded, and create the mixer strips that need them."""
        self._loads.synthdefs_loaded()
        self.places.synthdefs_loaded()

    def found(self, slot: int, told: Told, number: int, now: int, reading: Reading) -> None:
        """Merge another member's boot state as the relay reports it, and build the parts that are new here.

        number: the last room event that the report includes.
        """
        news, refused = self.founded.learn(slot, told, number)
        self._accounts.refuse_for("not-a-foundation", refused)
        for meaning in loads_of(news):
            self._loads.load(meaning, self.origin(slot), number)
        if self.founded.stands(slot):
            self._build(slot, nodes_of(news), now, reading)

    def load(self, event: Judged) -> None:
        """Load a buffer of another member. Nothing is loaded if a reported boot state included the event
        already."""
        if not self._leaving.is_gone(event.slot, event.number) and self.founded.load(event):
            self._loads.load(event.meaning, self.origin(event.slot), event.number)

    def rise(self, now: int, reading: Reading) -> None:
        """Build the boot states that can be built now, and ask scsynth about nodes that should exist by
        now."""
        if self.have_synthdefs:
            for slot, told in self.founded.rise(self.places.certain()):
                self._build(slot, told, now, reading)
        nodes, silent = self.founded.questions(now)
        self._out.add([write.ask_node(node) for node in nodes])
        self._accounts.unfound(silent)

    def next_wakeup(self) -> int | None:
        """Return the next session instant at which `rise` or `free` has something to do; None if there is
        none."""
        instants = (self.founded.next_question(), self._leaving.next_rest())
        return min((instant for instant in instants if instant is not None), default=None)

    def answered(self, node: int, *, there: bool) -> None:
        """Process scsynth's answer about a node. there: whether the node exists."""
        self._accounts.unfound(self.founded.is_missing(node, there=there))

    def takes_now(self, held: Held) -> bool:
        """Add an event of another member to that member's boot state, if it belongs there.

        Return whether to hand the event over now, and not later with the boot state. A slot reset isn't
        handed over if its member is gone and the slot was reset for that already.
        """
        if held.kind is Kind.RESET:
            return not self._leaving.is_gone(held.slot, held.number)
        return self.founded.is_handed_over(held)

    def founds(self, held: Held, now: int) -> None:
        """Plan to ask scsynth whether the nodes exist that an event of a boot state creates."""
        self.founded.ask_for(held, self.origin(held.slot), now)

    def reset(self, held: Held, now: int, reading: Reading) -> None:
        """Build another member's boot state again, after a slot reset that was handed over."""
        freed_at, origin = frees_at(held.due, held.flags), self.origin(held.slot)
        self._guards[held.slot].reset(freed_at)
        self._build(held.slot, self.founded.reset(held), now, reading)
        if Flag.LEFT in held.flags:
            self._out.add_at(freed_at, [write.clear_control_buses(*origin.control_buses)], reading)
            self._leaving.left(held.slot, held.number, reset_over_at(held.due, held.flags))

    # -- who is gone ---------------------------------------------------------------------------------

    def saw(self, event: Judged) -> None:
        """Note that an event of the room has come, of whatever kind."""
        self._leaving.saw(event.slot, event.number)

    def follow_roster(self, owners: Mapping[int, int], *, entered: bool) -> list[int]:
        """Store the roster. Return the slots to reset here, because their former owners left while this host
        was away.

        The arguments are those of `Leaving.follow`.
        """
        return self._leaving.follow(owners, entered=entered)

    def absent(self, now: int) -> list[int]:
        """Return the slots to reset here, because the roster hasn't named them for a long time."""
        return self._leaving.absent(self.places.known(), now)

    def free(self, now: int) -> list[int]:
        """Free the last things of members who are gone: their buffers, and the nodes of slots without a new
        owner.

        Return the slots without a new owner.
        """
        rests = self._leaving.rests(now)
        for rest in rests:
            buffers = self._loads.free(rest.slot, rest.number, now)
            self._out.add([write.free_buffer(buffer) for buffer in buffers])
        left = [rest.slot for rest in rests if not rest.owned]
        for slot in left:
            self.places.leave(slot)
            self.founded.forget(slot)
            self._resets.forget(slot)
            self._guards.pop(slot, None)
        return left

    def enter_epoch(self) -> None:
        """Forget the room numbers and instants of the relay's former epoch."""
        self.founded.enter_epoch()
        self._leaving.enter_epoch()
        self._loads.enter_epoch()
        self._resets.clear()

    def clock_was_set(self) -> None:
        """Forget earlier dues, because session time was set in one step."""
        self._guards.clock_was_set()
        self._leaving.clock_was_set()

    def _build(self, slot: int, told: Told, now: int, reading: Reading) -> None:
        """Hand over a member's boot state: its nodes, each with the values that were set on it."""
        after = self._resets.over_at(slot)
        check = self._guards[slot].check
        built = erect(told, self.origin(slot), check, now=now, after=after if after > now else None)
        for due, bodies in built.steps:
            if due is None:
                self._out.add_as_one(bodies)
            else:
                self._out.add_at(due, bodies, reading)
        self.founded.ask(slot, built.nodes, max(now, after))
        for error in built.refused:
            self._accounts.refuse(error)
