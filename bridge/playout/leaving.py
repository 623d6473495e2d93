"""Leaving: which owners of slots are gone, and when the last things that this host has of them are freed.

Pure; instants are session ticks. The last slot reset that the relay makes for a member has the flag LEFT: the
owner of the slot is gone. This reset fades the member out and frees its nodes. FREED_AFTER later the member's
buffers are freed too. scsynth has then run everything that it was handed for the member. If the slot has no
new owner, its root group and mixer strip are freed as well.

A bridge that was away may never get such a reset. It then finds by the roster that an owner is gone: the slot
has another owner than before, or none for ABSENT_FOR. Bound: one entry of each kind a slot.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from relay.wire.sequence import HANDED_AHEAD_MAX
from relay.wire.timetag import ticks

FREED_AFTER = HANDED_AHEAD_MAX
"""Time (ticks) from the end of a member's last reset until its buffers are freed. No event that the member
sent earlier is due after this time."""
ABSENT_FOR = ticks(10.0)
"""The owner of a slot counts as gone after the roster hasn't named the slot for this time (ticks). A relay
that was restarted has its members back within 5 s."""
WATCHED_EVERY = ticks(1.0)


@dataclass(frozen=True, slots=True)
class Rest:
    """A slot whose former owner's last things are to be freed now.

    number: the highest room number of an event of the former owner. owned: whether the slot has a new owner.
    """

    slot: int
    number: int
    owned: bool


@dataclass(slots=True)
class _Slot:
    gone: int = -1
    """The highest room number of an event of an owner who is gone; -1 if there is none."""
    latest: int = -1
    """The highest room number of any event of the slot."""
    rest_at: int | None = None
    """The instant at which the last things of a former owner are freed; None if there are none."""
    absent_since: int | None = None
    """The instant since which the roster hasn't named the slot; None if it names the slot."""


@dataclass(slots=True)
class Leaving:
    """The owners of slots who are gone, and the present roster."""

    own_slot: int
    _slots: dict[int, _Slot] = field(default_factory=dict)
    _owners: Mapping[int, int] | None = None
    """Slot -> room number at which its owner took the slot, from the roster; None before the first roster."""
    _watched_at: int = 0

    def saw(self, slot: int, number: int) -> None:
        """Note that an event of the room has come. slot: its sender's. number: its room number."""
        one = self._slot(slot)
        one.latest = max(one.latest, number)

    def is_gone(self, slot: int, number: int | None) -> bool:
        """Return whether the sender of an event is a former owner of the slot, who is gone.

        number: the event's room number; None if it has none.
        """
        return number is not None and slot in self._slots and number <= self._slots[slot].gone

    def left(self, slot: int, number: int | None, over_at: int) -> None:
        """Note that the last reset of a slot's owner was handed over.

        number: the reset's room number; None if this host made the reset itself. over_at: the instant at
        which the reset is over.
        """
        one = self._slot(slot)
        one.gone = max(one.gone, one.gone if number is None else number)
        one.rest_at, one.absent_since = over_at + FREED_AFTER, None

    def follow(self, owners: Mapping[int, int], *, entered: bool) -> list[int]:
        """Store the roster. Return the slots to reset here, because their former owners left while this host
        was away.

        owners: slot -> room number at which its owner took the slot. entered: whether this host has just come
        into the room. Only then may it have missed the reset of an owner who left.
        """
        before, self._owners = self._owners, dict(owners)
        if before is None or not entered:
            return []
        replaced = []
        for slot, since in owners.items():
            one = self._slot(slot)
            # An owner whose last reset came all the same is gone already: its number is beyond that `since`.
            if slot != self.own_slot and slot in before and since > before[slot] >= one.gone:
                one.gone = since
                replaced.append(slot)
        return replaced

    def absent(self, present: Iterable[int], now: int) -> list[int]:
        """Return the slots to reset here, because the roster hasn't named them for ABSENT_FOR.

        present: the slots that have a root group on this host. now: session ticks.
        """
        if self._owners is None or now < self._watched_at:
            return []
        self._watched_at = now + WATCHED_EVERY
        found = []
        for slot in present:
            one = self._slot(slot)
            if slot == self.own_slot or slot in self._owners or one.rest_at is not None:
                one.absent_since = None
            elif one.absent_since is None:
                one.absent_since = now
            elif now >= one.absent_since + ABSENT_FOR:
                one.gone, one.absent_since = max(one.gone, one.latest), None
                found.append(slot)
        return found

    def rests(self, now: int) -> list[Rest]:
        """Return the slots whose former owners' last things are to be freed now. Each is returned once."""
        found = []
        for slot, one in self._slots.items():
            if one.rest_at is not None and now >= one.rest_at:
                one.rest_at = None
                owned = slot in (self._owners or ()) or one.latest > one.gone
                found.append(Rest(slot, one.gone, owned))
        return found

    def next_rest(self) -> int | None:
        """Return the next instant at which `rests` has a slot to return; None if there is none."""
        return min((one.rest_at for one in self._slots.values() if one.rest_at is not None), default=None)

    def enter_epoch(self) -> None:
        """Forget the room numbers of the relay's former epoch, and its roster."""
        self._owners = None
        for one in self._slots.values():
            one.gone, one.latest, one.absent_since = (0 if one.rest_at is not None else -1), -1, None

    def clock_was_set(self) -> None:
        """Treat all earlier instants as past, because session time was set in one step."""
        self._watched_at = 0
        for one in self._slots.values():
            one.absent_since = None
            if one.rest_at is not None:
                one.rest_at = 0

    def _slot(self, slot: int) -> _Slot:
        return self._slots.setdefault(slot, _Slot())
