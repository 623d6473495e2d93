"""Membership: this bridge's place in its room, and the other members, as the relay reports them.

Pure.
"""

from bridge import notices
from bridge.effects import Tell
from bridge.restart_state import Identity, Memory
from bridge.scsynth.id_space import Origin
from bridge.session import greeting
from relay.wire import control


class Membership:
    """This bridge's place in a room, and the other members."""

    def __init__(self, identity: Identity, memory: Memory, own: Origin) -> None:
        """own: the slot and channels that this bridge plays with. They stay even if the relay assigns another
        slot."""
        self._identity = identity
        self._memory = memory
        self._own = own
        self._name = identity.name
        self._members: list[control.Member] = []

    def hello(self, next_seq: int) -> control.Hello:
        """Return Hello, the first message of a connection.

        next_seq: the lowest seq (sender's number) of an event of the local player that may still be sent.
        """
        own = self._own
        return greeting.hello(self._identity, self._memory, outs=own.outs, ins=own.ins, next_seq=next_seq)

    def is_ours(self, welcome: control.Welcome) -> bool:
        """Return whether the relay's Welcome gives this bridge the slot that it plays with."""
        return welcome.slot == self._own.slot

    def place_lost(self) -> Tell:
        """Return the message to the player that the relay has given this bridge another slot."""
        return notices.place_lost(self._own.slot, self._identity.room)

    def enter(self, welcome: control.Welcome) -> bool:
        """Store the slot, name and ticket that the relay's Welcome gives. Return whether room and epoch are
        still the same."""
        is_same = welcome.resumed and welcome.epoch == self._memory.epoch
        self._name = welcome.name
        self._memory.slot, self._memory.ticket = welcome.slot, welcome.ticket
        self._memory.epoch = welcome.epoch
        return is_same

    def follow(self, members: list[control.Member]) -> list[Tell]:
        """Store the new roster. Return messages to the player about its changes."""
        news = notices.roster_news(self._members, members, self._own.slot)
        self._members = members
        return news

    def others(self) -> list[Origin]:
        """Return the origins (slot, channels) of the other members."""
        return [
            Origin(member.slot, member.outs, member.ins)
            for member in self._members
            if member.slot != self._own.slot
        ]

    def owners(self) -> dict[int, int]:
        """Return slot -> the room number at which its member took the slot, for all members."""
        return {member.slot: member.since for member in self._members}

    def name_of(self, slot: int) -> str:
        """Return the name of the member in a slot, for people."""
        return next((one.name for one in self._members if one.slot == slot), f"slot {slot}")

    def where(self) -> str:
        """Return a text that names the room and its members."""
        return notices.inside(self._identity.room, self._name, self._own.slot, self._members)
