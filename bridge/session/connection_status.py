"""Connection status: a bridge's state towards its relay, and the messages about it to the player.

Pure. The player is told each reason for playing alone once. Instants are of the local clock, ns.
"""

from bridge import notices
from bridge.effects import Tell
from bridge.session.states import JOINED, Event, State, after
from relay.wire.control import Refused

AGAIN_AFTER_NS = 60_000_000_000
"""A reason that occurs again is told again only after this time (ns). Otherwise two alternating reasons (no
answer, no route) would fill the screen."""

REASONS_MAX = 16
"""The most reasons remembered. They are limited because the relay writes some of their text."""


class Standing:
    """A bridge's state towards its relay, and the reasons for playing alone that the player was told."""

    def __init__(self) -> None:
        self.state = State.ALONE
        self._told_at_ns: dict[str, int] = {}
        """Reason -> local instant (ns) at which the player was told it. Cleared when the player is in the
        room again."""
        self._newest: str | None = None
        self._was_in = False

    def see(self, event: Event) -> None:
        """Change the state by an event.

        An event that is illegal in the present state raises MalformedControl if it is the relay's, and
        LocalError if it is ours.
        """
        self.state = after(self.state, event)

    @property
    def is_out(self) -> bool:
        """Whether the player was told a reason for playing alone, and hasn't been in the room since."""
        return self._newest is not None

    def out(self, reason: str | None, local_ns: int) -> list[Tell]:
        """Return the message to the player that gives the reason for playing alone.

        Return no message if `reason` is None, or if the player knows the reason already.
        """
        if reason is None or reason == self._newest:
            return []
        self._newest = reason
        told_at_ns = self._told_at_ns.pop(reason, None)
        if told_at_ns is not None and local_ns - told_at_ns < AGAIN_AFTER_NS:
            self._told_at_ns[reason] = told_at_ns
            return []
        if len(self._told_at_ns) >= REASONS_MAX:
            del self._told_at_ns[next(iter(self._told_at_ns))]
        self._told_at_ns[reason] = local_ns
        return [notices.alone(reason)]

    def refused(self, answer: Refused, local_ns: int) -> list[Tell]:
        """Note that the relay refused the bridge. Return the message to the player. Raises the errors of
        `see`."""
        self.see(Event.REFUSED_FOR_GOOD if answer.final else Event.REFUSED)
        return self.out(notices.refused(answer), local_ns)

    def ended(self, local_ns: int) -> list[Tell]:
        """Note that the connection ended. Return the message to the player. Raises the errors of `see`.

        There is no message if the player knows a reason for playing alone already, or if the bridge wasn't in
        the room.
        """
        was_joined = self.state in JOINED
        self.see(Event.ENDED)
        return self.away(local_ns) if was_joined else []

    def away(self, local_ns: int) -> list[Tell]:
        """Return the message to the player that the relay is away.

        There is no message if the player knows a reason for playing alone already.
        """
        return [] if self.is_out else self.out(notices.AWAY, local_ns)

    def inside(self, where: str) -> list[Tell]:
        """Return the message to the player that the bridge is in the room.

        where: text that names the room and the other members.
        """
        back, self._was_in = self._was_in, True
        self._newest = None
        self._told_at_ns.clear()
        return [Tell(f"back {where}" if back else where)]
