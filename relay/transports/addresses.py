"""Addresses for sockets: finds the address to listen on, resolves names, and connects to the first address
that answers.

A shell. TLS (control) and UDP (events) both use it, since they share one port number.
"""

import asyncio
import contextlib
import socket
from typing import cast

from relay.wire.endpoint import Address, Endpoint
from relay.wire.errors import LocalError

STAGGER_S = 0.25
"""How long `dial` waits for the answer of one address before it tries the next one as well, s. It is short
because broken IPv6 is common (RFC 8305, section 5)."""

TOWARDS_IPV4, TOWARDS_IPV6 = "192.0.2.1", "2001:db8::1"
"""Addresses that no host has (RFC 5737, RFC 3849). So the route towards each is the default route."""

_MAPPED = "::ffff:"


def listening_place(host: str) -> tuple[socket.AddressFamily, str, bool]:
    """Return (family, address, dual) for a socket that listens on `host`.

    dual: whether the socket is IPv6 and must accept IPv4 as well. The hosts "" and "::" mean every address of
    this machine, of both families where possible. 0.0.0.0 means every IPv4 address. Raises LocalError if the
    host can't be resolved.
    """
    if host in ("", "::"):
        # The kernel may have IPv6 compiled in and switched off, so only an attempt shows it.
        if socket.has_dualstack_ipv6():
            with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
                probe.bind(("::", 0))
                return socket.AF_INET6, "::", True
        return socket.AF_INET, "0.0.0.0", False
    try:
        family, _, _, _, address = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError):
        raise LocalError(f"no such host: {host}; expected an address of this machine to listen on") from None
    return family, str(address[0]), False


def own_address(host: str = "") -> str | None:
    """Return the address of this machine from which it reaches the internet; None if it has no default route.

    No datagram is sent. host: the address that the relay listens on. If it is 0.0.0.0, no IPv6 address is
    returned.
    """
    families = {socket.AF_INET: TOWARDS_IPV4, socket.AF_INET6: TOWARDS_IPV6}
    for family, towards in families.items():
        if family == socket.AF_INET6 and host == "0.0.0.0":
            continue
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((towards, 9))
            return str(sock.getsockname()[0])
    return None


async def resolve(
    endpoint: Endpoint, kind: socket.SocketKind, family: socket.AddressFamily = socket.AF_UNSPEC
) -> list[tuple[socket.AddressFamily, Address]]:
    """Return (family, address) for each address of an endpoint, the preferred address first.

    If `family` is AF_INET6, IPv4 addresses are returned in the form of IPv6 addresses (::ffff:...). Raises
    LocalError if the name has no address.
    """
    flags = socket.AI_V4MAPPED | socket.AI_ALL if family == socket.AF_INET6 else 0
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(endpoint.host, endpoint.port, family=family, type=kind, flags=flags)
    except (socket.gaierror, UnicodeError):
        raise LocalError(f"no such host: {endpoint.host}") from None
    # The type stubs also allow builds without IPv6, which get raw bytes that can't be sent to.
    return [(info[0], cast(Address, info[4])) for info in found]


async def dial(endpoint: Endpoint) -> socket.socket:
    """Return a non-blocking TCP socket, connected to the first address of an endpoint that answers.

    The attempts start STAGGER_S apart and run side by side. Raises LocalError if the name has no address.
    Raises OSError if no address answers: ConnectionRefusedError if any address refused, else the first error.
    """
    waiting = await resolve(endpoint, socket.SOCK_STREAM)
    attempts: list[asyncio.Task[socket.socket]] = []
    pending: set[asyncio.Task[socket.socket]] = set()
    errors: list[OSError] = []
    winner: socket.socket | None = None
    try:
        while winner is None and (waiting or pending):
            if waiting:
                attempts.append(asyncio.create_task(_dial_one(*waiting.pop(0))))
                pending.add(attempts[-1])
            done, pending = await asyncio.wait(
                pending, timeout=STAGGER_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for attempt in done:
                error = attempt.exception()
                if error is None:
                    winner = winner or attempt.result()
                elif isinstance(error, OSError):
                    errors.append(error)
                else:
                    raise error
    finally:
        for attempt in attempts:
            attempt.cancel()
        for outcome in await asyncio.gather(*attempts, return_exceptions=True):
            if isinstance(outcome, socket.socket) and outcome is not winner:
                outcome.close()
    if winner is None:
        raise next((error for error in errors if isinstance(error, ConnectionRefusedError)), errors[0])
    return winner


def endpoint_of(address: Address) -> Endpoint:
    """Return the endpoint of a socket's address. An IPv4 address in the form of an IPv6 address (::ffff:...)
    becomes plain IPv4.

    Endpoints are displayed and counted. A bridge also sends its datagrams to the endpoint of its control
    stream.
    """
    host = address[0].removeprefix(_MAPPED)
    if len(address) == 4 and address[3] and "%" not in host:
        host += f"%{address[3]}"  # a link-local address means nothing without its interface
    return Endpoint(host, address[1])


async def _dial_one(family: socket.AddressFamily, address: Address) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock
