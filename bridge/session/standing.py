"""Standing: where a bridge stands with its relay, and what the player was told of it, each reason once.

Pure. Instants are of the local clock, in ns.
"""

from bridge import messages
from bridge.effects import Tell
from bridge.session.states import JOINED, Event, State, after
from relay.wire.control import Refused

AGAIN_AFTER_NS = 60_000_000_000
"""A reason that comes back is told again, but two that take turns (no answer, no route) fill no screen."""

REASONS_MAX = 16
"""Remembered: some of the text is the relay's own."""


class Standing:
    """Where a bridge stands, whether the player believes to be in the room, and why not."""

    def __init__(self) -> None:
        self.state = State.ALONE
        self._told_at_ns: dict[str, int] = {}
        """Reasons told since the player was in the room."""
        self._newest: str | None = None
        self._was_in = False

    def see(self, event: Event) -> None:
        """Go over to the state after an event. Raises MalformedControl, or LocalError if the event is ours,
        if it is illegal in this state."""
        self.state = after(self.state, event)

    @property
    def is_out(self) -> bool:
        """Whether the player was told a reason, and nothing better since."""
        return self._newest is not None

    def out(self, reason: str | None, local_ns: int) -> list[Tell]:
        """Return what to tell, as the player isn't in the room for this reason; None is no reason at all."""
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
        return [messages.alone(reason)]

    def refused(self, answer: Refused, local_ns: int) -> list[Tell]:
        """Note that the relay refuses the bridge; return what to tell. Raises as `see` does."""
        self.see(Event.REFUSED_FOR_GOOD if answer.final else Event.REFUSED)
        return self.out(messages.refused(answer), local_ns)

    def ended(self, local_ns: int) -> list[Tell]:
        """Note that the connection ended; return what to tell: nothing where the player knows why already,
        or isn't to be in the room. Raises as `see` does."""
        was_joined = self.state in JOINED
        self.see(Event.ENDED)
        return self.away(local_ns) if was_joined else []

    def away(self, local_ns: int) -> list[Tell]:
        """Return what to tell, as there is no relay: nothing where the player knows why already."""
        return [] if self.is_out else self.out(messages.AWAY, local_ns)

    def inside(self, where: str) -> list[Tell]:
        """Return what to tell, as the relay lets the player in, or is heard again: where that is."""
        back, self._was_in = self._was_in, True
        self._newest = None
        self._told_at_ns.clear()
        return [Tell(f"back {where}" if back else where)]
