"""Quiet watch: tells people when no datagram comes from the relay although its TLS connection stands, and
gives the connection up when nothing comes on either way.

Pure. Does each once for each connection; instants are of the local clock, in ns.
"""

from bridge import messages
from relay.wire.carrier import Carrier

QUIET_AFTER_NS = 3_000_000_000
"""The relay beats every 250 ms: after twelve beats in a row it isn't chance."""
GIVE_UP_AFTER_NS = 12_000_000_000
"""A network that is away for less is back on the connection that there was."""


class QuietWatch:
    """When the relay was last heard. carrier: of the events; the advice depends on it."""

    def __init__(self, carrier: Carrier, *, local_ns: int) -> None:
        self._carrier = carrier
        self.restart(local_ns)

    def restart(self, local_ns: int) -> None:
        """Note that a connection begins, or that we are let in on it."""
        self._heard_at_ns = self._alive_at_ns = local_ns
        self._told = self._gave_up = False

    def heard(self, local_ns: int) -> None:
        """Note that a datagram came."""
        self._heard_at_ns = self._alive_at_ns = local_ns

    def said(self, local_ns: int) -> None:
        """Note that a control message came."""
        self._alive_at_ns = local_ns

    def news(self, local_ns: int) -> str | None:
        """Return, once, why the player is heard by nobody, None if that isn't so."""
        if self._told or local_ns - self._heard_at_ns <= QUIET_AFTER_NS:
            return None
        self._told = True
        return messages.no_datagrams(self._carrier)

    def gives_up(self, local_ns: int) -> bool:
        """Tell, once, that nothing has come for so long that another connection is to be tried."""
        if self._gave_up or local_ns - self._alive_at_ns <= GIVE_UP_AFTER_NS:
            return False
        self._gave_up = True
        return True
