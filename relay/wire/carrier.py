"""Carrier: the guarantees that a transport of sealed datagrams gives.

Pure. Code that behaves differently over UDP and TLS asks for a guarantee, not for the transport's name.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Carrier:
    """The guarantees of one transport.

    reliable: every datagram sent arrives, so none has to be sent twice. ordered: datagrams arrive in the
    order of sending, so a loss on the path delays all later datagrams.
    """

    name: str
    reliable: bool
    ordered: bool


UDP = Carrier("udp", reliable=False, ordered=False)
TLS = Carrier("tls", reliable=True, ordered=True)
CARRIERS = {carrier.name: carrier for carrier in (UDP, TLS)}
