"""Carrier: the guarantees that a transport of sealed datagrams gives.

Pure. Decisions depend on the guarantees, not on the name.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Carrier:
    """The guarantees of one transport.

    reliable: everything sent arrives, so nothing has to be sent twice. ordered: datagrams arrive in the order
    of sending, so a loss delays all later ones.
    """

    name: str
    reliable: bool
    ordered: bool


UDP = Carrier("udp", reliable=False, ordered=False)
TLS = Carrier("tls", reliable=True, ordered=True)
CARRIERS = {carrier.name: carrier for carrier in (UDP, TLS)}
