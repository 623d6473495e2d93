"""Socket backlog: finds how many bytes lie unread in a UDP socket of another process on this host.

A shell. Linux lists them for every UDP socket in /proc/net/udp. On other systems the answer is always 0.
"""

from pathlib import Path

TABLE = Path("/proc/net/udp")


def unread_bytes(port: int) -> int:
    """Return how many bytes lie unread in the UDP socket on `port` of this host; 0 if that is unknown.

    The count is the kernel's, which includes overhead.
    """
    try:
        return parse(TABLE.read_bytes(), port)
    except OSError:
        return 0


def parse(table: bytes, port: int) -> int:
    """Return how many bytes lie unread in the sockets on `port`; 0 if the table has no such port.

    table: the content of /proc/net/udp. A line has a number, the local address, the remote address, a state,
    and tx:rx in hex (proc(5)).
    """
    ending = b":%04X" % port
    waiting = 0
    for line in table.splitlines()[1:]:
        fields = line.split(maxsplit=5)
        if len(fields) > 4 and fields[1].endswith(ending):
            waiting += int(fields[4].partition(b":")[2] or b"0", 16)
    return waiting
