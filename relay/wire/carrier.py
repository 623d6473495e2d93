"""Carrier: what a way for sealed datagrams promises of them.

Pure. A decision asks for the promise, not for the name.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Carrier:
    """The promises of one way.

    reliable: all that is sent arrives, so nothing has to be sent twice. ordered: what is sent first arrives
    first, so a loss holds up all that follows it.
    """

    name: str
    reliable: bool
    ordered: bool


UDP = Carrier("udp", reliable=False, ordered=False)
TLS = Carrier("tls", reliable=True, ordered=True)
CARRIERS = {carrier.name: carrier for carrier in (UDP, TLS)}
