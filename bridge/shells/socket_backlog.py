"""Socket backlog: the unread bytes in a UDP socket of another process on this host.

A shell. Linux lists them for every UDP socket in /proc/net/udp. On other systems the answer is always 0.
"""

from pathlib import Path

TABLE = Path("/proc/net/udp")


def unread_bytes(port: int) -> int:
    """Return how many bytes wait in the UDP socket on `port` of this host, by the kernel's count; 0 if
    unknown."""
    try:
        return parse(TABLE.read_bytes(), port)
    except OSError:
        return 0


def parse(table: bytes, port: int) -> int:
    """Return the bytes that wait for `port`, by the table of UDP sockets; 0 if the port isn't in it.

    A line has, after its number, the local address, the remote one, a state, and tx:rx in hex (proc(5)).
    """
    ending = b":%04X" % port
    waiting = 0
    for line in table.splitlines()[1:]:
        fields = line.split(maxsplit=5)
        if len(fields) > 4 and fields[1].endswith(ending):
            waiting += int(fields[4].partition(b":")[2] or b"0", 16)
    return waiting
