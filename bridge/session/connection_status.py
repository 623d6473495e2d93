"""Connection status: a bridge's state towards its relay, and what the player is told about it.

Pure. Each reason why the player is alone is told once. Instants are of the local clock, ns.
"""

from bridge import notices
from bridge.effects import Tell
from bridge.session.states import JOINED, Event, State, after
from relay.wire.control import Refused

AGAIN_AFTER_NS = 60_000_000_000
"""A reason that comes again is told again only after this time (ns). So two alternating reasons (no answer,
no route) don't fill the screen."""

REASONS_MAX = 16
"""Most reasons remembered. They are limited because the relay writes some of their text."""


class Standing:
    """A bridge's state, whether the player was told to be in the room, and the reasons that were told if
    not."""

    def __init__(self) -> None:
        self.state = State.ALONE
        self._told_at_ns: dict[str, int] = {}
        """Reason -> when the player was told it. Forgotten when the player is in the room again."""
        self._newest: str | None = None
        self._was_in = False

    def see(self, event: Event) -> None:
        """Change the state by an event. If it is illegal in this state, raises MalformedControl for the
        relay's events and LocalError for ours.
        """
        self.state = after(self.state, event)

    @property
    def is_out(self) -> bool:
        """Whether the player was given a reason, and has not been in the room since."""
        return self._newest is not None

    def out(self, reason: str | None, local_ns: int) -> list[Tell]:
        """Return the message that the player isn't in the room, with the reason; none if the player knows it
        already.

        reason: None if there is none; then there is no message.
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
        """Note that the relay refuses the bridge. Return the messages to the player. Raises like `see`."""
        self.see(Event.REFUSED_FOR_GOOD if answer.final else Event.REFUSED)
        return self.out(notices.refused(answer), local_ns)

    def ended(self, local_ns: int) -> list[Tell]:
        """Note that the connection ended. Return the message to the player. Raises like `see`.

        There is no message if the player knows the reason already, or if the bridge wasn't in the room.
        """
        was_joined = self.state in JOINED
        self.see(Event.ENDED)
        return self.away(local_ns) if was_joined else []

    def away(self, local_ns: int) -> list[Tell]:
        """Return the message that there is no relay; none if the player knows the reason already."""
        return [] if self.is_out else self.out(notices.AWAY, local_ns)

    def inside(self, where: str) -> list[Tell]:
        """Return the message that the player is in the room. where: text that names the room and the
        others."""
        back, self._was_in = self._was_in, True
        self._newest = None
        self._told_at_ns.clear()
        return [Tell(f"back {where}" if back else where)]
