"""Announcement: the lines that `jamrelay serve` prints when it is ready, such as the command to join.

Pure.
"""

from relay.wire.endpoint import Endpoint

LOOPBACK = ("127.", "::1", "localhost")
EVERYWHERE = ("", "0.0.0.0", "::")
"""Hosts that mean "listen on every address of this machine"."""


def announcement(host: str, reached: str, port: int, fingerprint: str) -> list[str]:
    """Return the lines to print. host: the address that the relay listens on. reached: an address at which
    others can reach this machine. fingerprint: that of the relay's certificate."""
    everywhere = host in EVERYWHERE
    place = Endpoint(reached if everywhere else host, port).typed()
    lines = [
        f"relay ready on port {port}, TCP and UDP (open both in your firewall)",
        f"join:         jambridge join {place} -- sonic-pi",
    ]
    if everywhere:
        lines.append("              (from other networks: the public name or address of this machine)")
    elif host.startswith(LOOPBACK):
        lines.append(f"              (on this machine alone, since it listens on {host})")
    return [*lines, f"fingerprint:  {fingerprint}"]
