"""Quiet watch: tells people when nothing comes from the relay although its TLS connection stands.

Pure. Says so once for each connection; instants are of the local clock, in ns.
"""

from bridge import words
from bridge.effects import Tell

QUIET_AFTER_NS = 3_000_000_000
"""The relay beats every 250 ms: after twelve beats in a row it isn't chance."""


class QuietWatch:
    """When the relay was last heard. over_tls: events travel over TLS, so no UDP port is to blame."""

    def __init__(self, *, over_tls: bool, local_ns: int) -> None:
        self._over_tls = over_tls
        self.restart(local_ns)

    def restart(self, local_ns: int) -> None:
        """Note that a connection begins."""
        self._heard_at_ns = local_ns
        self._told = False

    def heard(self, local_ns: int) -> None:
        """Note that something came."""
        self._heard_at_ns = local_ns

    def news(self, local_ns: int) -> list[Tell]:
        """Return what is to be told now."""
        if self._told or local_ns - self._heard_at_ns <= QUIET_AFTER_NS:
            return []
        self._told = True
        return [words.no_datagrams(over_tls=self._over_tls)]
