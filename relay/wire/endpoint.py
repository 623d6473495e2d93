"""Endpoints: hosts with ports as people type them, and addresses as sockets give them.

Pure; it looks up no name.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address

from relay.wire.carrier import TLS, UDP, Carrier
from relay.wire.errors import LocalError

DEFAULT_PORT = 7707
"""The port of a relay, for TCP and UDP, if none is given."""

Address = tuple[str, int] | tuple[str, int, int, int]
"""A socket address exactly as the socket gave it. Code compares it, keeps it and sends to it. Only
`network_of` interprets its first part, the host."""

_FORMS = "HOST, HOST:PORT, an IPv6 address, or [IPv6]:PORT"
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_MAX_NAME_CHARS = 253  # RFC 1035, section 2.3.4, as text


@dataclass(frozen=True, slots=True)
class StreamAddress:
    """The address of a peer that sends its sealed datagrams over TLS. connection: the number of its TLS
    connection."""

    connection: int


Source = Address | StreamAddress
"""The address that a sealed datagram came from. Answers are sent to it."""


def stream_of(source: Source) -> int | None:
    """Return the number of the TLS connection over which a source sends; None if it sends over UDP."""
    return source.connection if isinstance(source, StreamAddress) else None


def datagram_host(source: Source) -> str | None:
    """Return the host of a source that sends over UDP; None if it sends over TLS."""
    return None if isinstance(source, StreamAddress) else source[0]


def carrier_of(source: Source) -> Carrier:
    """Return the carrier (UDP or TLS) over which a source sends its datagrams."""
    return UDP if stream_of(source) is None else TLS


def network_of(host: str) -> str:
    """Return the network of a socket's `host`. Limits on requests count by network.

    The network of an IPv4 address is the address itself, also if it came over IPv6. The network of an IPv6
    address is its /64, because one customer has at least that many addresses. Text that is no address is
    returned as it is.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> 64 << 64))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host and a port. host: a name, an IPv4 address, or an IPv6 address without brackets."""

    host: str
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        """Return HOST:PORT or [IPv6]:PORT, which `parse_endpoint` accepts."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def typed(self) -> str:
        """Return the form that people type: HOST:PORT, without the port if it is DEFAULT_PORT."""
        return self.host if self.port == DEFAULT_PORT else str(self)


def parse_endpoint(text: str) -> Endpoint:
    """Return the endpoint that `text` names: HOST, HOST:PORT, [v6], [v6]:PORT or a bare v6 address.

    Names become lower case and ASCII (IDNA), addresses take their shortest form, so that equal endpoints
    compare equal. The port defaults to DEFAULT_PORT. Raises LocalError, whose text shows the forms expected.
    """
    found = text.strip()
    scheme, slashes, rest = found.partition("://")
    if slashes:
        # A user name before the host or a path behind it has no meaning here either.
        place = rest.partition("/")[0].rpartition("@")[2]
        raise LocalError(f"{text!r} is a web address: leave {scheme}:// out, {place or 'HOST'} is enough")
    if found.startswith("["):
        host, bracket, rest = found[1:].partition("]")
        if not bracket:
            raise LocalError(f"{text!r} opens a bracket and never closes it: expected {_FORMS}")
        if rest and not rest.startswith(":"):
            raise LocalError(f"{rest!r} follows the bracket in {text!r}: expected :PORT")
        return Endpoint(_ipv6(host, text), _port(rest[1:], text) if rest else DEFAULT_PORT)
    if found.count(":") > 1:
        return Endpoint(_ipv6(found, text))
    host, colon, port = found.partition(":")
    return Endpoint(_name(host, text), _port(port, text) if colon else DEFAULT_PORT)


def _port(digits: str, text: str) -> int:
    # isascii, because isdecimal alone also takes digits of other scripts.
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 5 and 1 <= int(digits) <= 65535):
        raise LocalError(f"{digits!r} in {text!r} is no port: expected a number from 1 to 65535")
    return int(digits)


def _ipv6(host: str, text: str) -> str:
    try:
        return str(IPv6Address(host))
    except AddressValueError as error:
        raise LocalError(f"{host!r} in {text!r} is no IPv6 address ({error}): expected {_FORMS}") from None


def _name(host: str, text: str) -> str:
    if not host:
        raise LocalError(f"{text!r} names no host: expected {_FORMS}")
    try:
        name = host.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        raise LocalError(f"{host!r} in {text!r} is no host name: expected {_FORMS}") from None
    labels = name.split(".")
    if len(name) > _MAX_NAME_CHARS or not all(_LABEL.fullmatch(label) for label in labels):
        raise LocalError(f"{host!r} in {text!r} is no host name: expected letters, digits, dots and hyphens")
    # No top-level domain is a number, so this was meant as an address; the C library would take "10.1".
    if labels[-1].isdecimal():
        try:
            return str(IPv4Address(name))
        except AddressValueError as error:
            raise LocalError(f"{host!r} in {text!r} is no IPv4 address ({error})") from None
    return name
