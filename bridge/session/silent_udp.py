"""Silent UDP: reacts to a relay from which nothing comes, as behind a firewall that blocks UDP.

Pure. If no datagram comes although the TLS connection stands, the player gets a message. If nothing comes on
either path, the connection is given up. Each happens at most once for each connection. Instants are of the
local clock, ns.
"""

from bridge import notices
from relay.wire.carrier import Carrier

QUIET_AFTER_NS = 3_000_000_000
"""The relay sends a heartbeat every 250 ms, so twelve missing in a row are no chance."""
GIVE_UP_AFTER_NS = 12_000_000_000
"""After this time (ns) without anything on either path the connection is given up. If a network is away for
less, the same connection works again afterwards."""


class QuietWatch:
    """Knows when something last came from the relay. carrier: that of the events; the advice depends on
    it."""

    def __init__(self, carrier: Carrier, *, local_ns: int) -> None:
        self._carrier = carrier
        self.restart(local_ns)

    def restart(self, local_ns: int) -> None:
        """Note that a connection begins, or that the relay has admitted the bridge on it."""
        self._heard_at_ns = self._alive_at_ns = local_ns
        self._told = self._gave_up = False

    def heard(self, local_ns: int) -> None:
        """Note that a datagram came."""
        self._heard_at_ns = self._alive_at_ns = local_ns

    def said(self, local_ns: int) -> None:
        """Note that a control message came."""
        self._alive_at_ns = local_ns

    def news(self, local_ns: int) -> str | None:
        """Return, once, the reason why nobody hears the player; None if there is none."""
        if self._told or local_ns - self._heard_at_ns <= QUIET_AFTER_NS:
            return None
        self._told = True
        return notices.no_datagrams(self._carrier)

    def gives_up(self, local_ns: int) -> bool:
        """Return True, once, if nothing has come for so long that another connection should be tried."""
        if self._gave_up or local_ns - self._alive_at_ns <= GIVE_UP_AFTER_NS:
            return False
        self._gave_up = True
        return True
