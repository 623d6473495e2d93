"""Unread: how much lies in the socket of somebody else on this host.

A shell. Linux tells it of every UDP socket in /proc/net/udp; where there is no such file nobody knows, and
nothing is ever said to lie there.
"""

from pathlib import Path

TABLE = Path("/proc/net/udp")


def unread_bytes(port: int) -> int:
    """Return how many bytes wait in the UDP socket on `port` of this host, as the kernel counts them."""
    try:
        return parse(TABLE.read_bytes(), port)
    except OSError:
        return 0


def parse(table: bytes, port: int) -> int:
    """Return the bytes that wait for `port`, by the table of UDP sockets; 0 if it isn't there.

    A line holds, after its number, the local address, the remote one, a state, and tx:rx in hex (proc(5)).
    """
    ending = b":%04X" % port
    waiting = 0
    for line in table.splitlines()[1:]:
        fields = line.split(maxsplit=5)
        if len(fields) > 4 and fields[1].endswith(ending):
            waiting += int(fields[4].partition(b":")[2] or b"0", 16)
    return waiting
