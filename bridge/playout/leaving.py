"""Leaving: which owners of slots are gone, and when what this host still has of them is freed.

Pure; instants are session ticks. The last reset that the relay makes for a member is flagged LEFT: the owner
of its slot is gone. The reset fades the member out and frees its nodes. The rest is freed FREED_AFTER that,
when scsynth has run everything that it was handed for the owner. The rest is buffers and, if the slot has no
new owner, its place.

The roster shows the same to a bridge that was away and never gets that reset: a slot has another owner than
before, or none for ABSENT_FOR. Bound: one entry of each kind a slot.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from relay.wire.sequence import HANDED_AHEAD_MAX
from relay.wire.timetag import ticks

FREED_AFTER = HANDED_AHEAD_MAX
"""Time (ticks) from the end of a last reset until the rest of its slot's owner is freed. No earlier event of
the owner is due later than this."""
ABSENT_FOR = ticks(10.0)
"""A slot that sounds here, but isn't in the roster for so long (ticks), is taken for left. A relay that was
restarted has its members back within 5 s."""
WATCHED_EVERY = ticks(1.0)


@dataclass(frozen=True, slots=True)
class Rest:
    """A slot of which something is to be freed now. owned: whether it has a new owner by now.

    number: the highest room number of an event of the former owner.
    """

    slot: int
    number: int
    owned: bool


@dataclass(slots=True)
class _Slot:
    gone: int = -1
    """The highest room number of an event of an owner who is gone."""
    latest: int = -1
    """The highest room number of any event of the slot."""
    rest_at: int | None = None
    """The instant at which the rest of the owner who is gone is freed; None if nothing is left."""
    absent_since: int | None = None
    """The instant since which the slot isn't in the roster; None if it is, or isn't known to have been."""


@dataclass(slots=True)
class Leaving:
    """The owners of slots who are gone, and the present roster."""

    own_slot: int
    _slots: dict[int, _Slot] = field(default_factory=dict)
    _owners: Mapping[int, int] | None = None
    """Slot -> room number at which its owner took it, by the roster; None before the first roster."""
    _watched_at: int = 0

    def saw(self, slot: int, number: int) -> None:
        """Note an event of the room."""
        one = self._slot(slot)
        one.latest = max(one.latest, number)

    def is_gone(self, slot: int, number: int | None) -> bool:
        """Return whether an event is of an owner of its slot who is gone."""
        return number is not None and slot in self._slots and number <= self._slots[slot].gone

    def left(self, slot: int, number: int | None, over_at: int) -> None:
        """Note that the last reset of a slot's owner was handed over.

        number: its room number; None if this host made it itself. over_at: the instant at which it is over.
        """
        one = self._slot(slot)
        one.gone = max(one.gone, one.gone if number is None else number)
        one.rest_at, one.absent_since = over_at + FREED_AFTER, None

    def follow(self, owners: Mapping[int, int], *, entered: bool) -> list[int]:
        """Adopt the roster. Return the slots to reset here, because their owners left unheard.

        owners: slot -> the room number at which its owner took it. entered: whether this host has just come
        into the room, so that it may never get the reset of an owner who left while it was away.
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

        present: the slots that have a place here.
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
        """Return the slots of which something is to be freed now. It counts as freed from then on."""
        found = []
        for slot, one in self._slots.items():
            if one.rest_at is not None and now >= one.rest_at:
                one.rest_at = None
                owned = slot in (self._owners or ()) or one.latest > one.gone
                found.append(Rest(slot, one.gone, owned))
        return found

    def next_rest(self) -> int | None:
        """Return the instant of the next `rests` that returns any; None if there is none."""
        return min((one.rest_at for one in self._slots.values() if one.rest_at is not None), default=None)

    def enter_epoch(self) -> None:
        """Forget the numbers of the former epoch, and the roster of the room that is gone."""
        self._owners = None
        for one in self._slots.values():
            one.gone, one.latest, one.absent_since = (0 if one.rest_at is not None else -1), -1, None

    def clock_was_set(self) -> None:
        """Note that session time was set in one step. Instants of the old time count as over."""
        self._watched_at = 0
        for one in self._slots.values():
            one.absent_since = None
            if one.rest_at is not None:
                one.rest_at = 0

    def _slot(self, slot: int) -> _Slot:
        return self._slots.setdefault(slot, _Slot())
