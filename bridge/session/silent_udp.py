"""Silent UDP: notices that nothing comes from the relay, as behind a firewall that blocks UDP.

Pure. If no datagram comes although the TLS connection stands, the player gets a message. If no control
message comes either, the connection is given up. Each happens at most once for each connection. Instants are
of the local clock, ns.
"""

from bridge import notices
from relay.wire.carrier import Carrier

QUIET_AFTER_NS = 3_000_000_000
"""Time (ns) without a datagram after which the player gets a message. The relay sends a heartbeat every 250
ms, and twelve in a row aren't lost by chance."""
GIVE_UP_AFTER_NS = 12_000_000_000
"""Time (ns) without datagrams and control messages after which the connection is given up. After a shorter
outage of the network the same connection works again."""


class QuietWatch:
    """Stores when a datagram and when a control message last came from the relay.

    carrier: the transport of the events; the advice to the player depends on it.
    """

    def __init__(self, carrier: Carrier, *, local_ns: int) -> None:
        self._carrier = carrier
        self.restart(local_ns)

    def restart(self, local_ns: int) -> None:
        """Begin to measure anew, because a connection begins or the relay has admitted the bridge on it."""
        self._heard_at_ns = self._alive_at_ns = local_ns
        self._told = self._gave_up = False

    def heard(self, local_ns: int) -> None:
        """Note that a datagram came from the relay."""
        self._heard_at_ns = self._alive_at_ns = local_ns

    def said(self, local_ns: int) -> None:
        """Note that a control message came from the relay."""
        self._alive_at_ns = local_ns

    def news(self, local_ns: int) -> str | None:
        """If no datagram has come for QUIET_AFTER_NS, return the reason; else None.

        The reason is returned only once for each connection.
        """
        if self._told or local_ns - self._heard_at_ns <= QUIET_AFTER_NS:
            return None
        self._told = True
        return notices.no_datagrams(self._carrier)

    def gives_up(self, local_ns: int) -> bool:
        """Return True if nothing has come for so long that another connection should be tried. True is
        returned only once."""
        if self._gave_up or local_ns - self._alive_at_ns <= GIVE_UP_AFTER_NS:
            return False
        self._gave_up = True
        return True
