"""Members: the place of each member in this host's scsynth, the guard of its slot, and who is gone.

Pure. `now` is session ticks.
"""

from collections.abc import Mapping

from bridge.playout.holdback_queue import Held
from bridge.playout.leaving import Leaving
from bridge.playout.loads import Loads
from bridge.playout.to_scsynth import Outgoing
from bridge.scsynth.id_space import Origin
from bridge.scsynth.member_slots import Places
from clock.model import Reading
from relay.wire import write
from relay.wire.guard import Guard, Guards
from relay.wire.sequence import Flag, Judged, frees_at, reset_over_at


class Members:
    """The members of the room, this one included."""

    def __init__(self, own: Origin, out: Outgoing, loads: Loads) -> None:
        self._loads = loads
        self._out = out
        self._leaving = Leaving(own.slot)
        self.places = Places(own, out.add)
        self._guards = Guards()

    def guard(self, slot: int) -> Guard:
        """Return the guard of a slot. It checks the events that the relay sends for this slot.

        The tap checks the local player's messages with the guard of the own slot.
        """
        return self._guards[slot]

    def origin(self, slot: int) -> Origin:
        """Return the origin of a slot, which maps its member's numbers to the jam's."""
        return self.places.of(slot)

    def certain(self) -> set[int]:
        """Return the slots whose members' channels are known, because the roster has named these slots."""
        return self.places.certain()

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

    def reset(self, held: Held, reading: Reading) -> None:
        """Record a slot reset of another member. If the member is gone, plan to free its last things too."""
        freed_at, origin = frees_at(held.due, held.flags), self.origin(held.slot)
        self._guards[held.slot].reset(freed_at)
        if Flag.LEFT in held.flags:
            self._out.add_at(freed_at, [write.clear_control_buses(*origin.control_buses)], reading)
            self._leaving.left(held.slot, held.number, reset_over_at(held.due, held.flags))

    # -- who is gone ---------------------------------------------------------------------------------

    def is_gone(self, event: Held | Judged) -> bool:
        """Return whether an event comes from a former owner of its slot, who is gone."""
        return self._leaving.is_gone(event.slot, event.number)

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
            self._guards.pop(slot, None)
        return left

    def next_wakeup(self) -> int | None:
        """Return the session instant of the next `free`; None if there is none."""
        return self._leaving.next_rest()

    def enter_epoch(self) -> None:
        """Forget the room numbers of the relay's former epoch."""
        self._leaving.enter_epoch()
        self._loads.enter_epoch()

    def clock_was_set(self) -> None:
        """Note that session time was set in one step, so earlier dues mean nothing any more."""
        self._guards.clock_was_set()
        self._leaving.clock_was_set()
