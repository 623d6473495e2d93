"""Carrier: the guarantees that a transport of sealed datagrams gives.

Pure. Code that must behave differently over UDP and TLS asks for a guarantee instead of the transport's name.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Carrier:
    """The guarantees of one transport.

    reliable: whether every datagram sent arrives, so that no copies are needed. ordered: whether datagrams
    arrive in the order of sending, so that a loss on the path delays all later ones.
    """

    name: str
    reliable: bool
    ordered: bool


UDP = Carrier("udp", reliable=False, ordered=False)
TLS = Carrier("tls", reliable=True, ordered=True)
CARRIERS = {carrier.name: carrier for carrier in (UDP, TLS)}
