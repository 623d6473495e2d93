"""Four-timestamp NTP exchanges in NTP's own format.

Pure. Timestamps are 64-bit NTP integers and survive bit by bit. Source: RFC 5905, sections 7.3 and 8.
"""

import struct
from dataclasses import dataclass

import ntplib

from clock.errors import BadSample

NTP_BYTES = 48
CLIENT, SERVER = 3, 4
VERSION = 4
ACCEPTED_VERSIONS = (3, 4)

LOCAL_CLOCK_STRATUM = 10
"""The customary stratum of a server without an upstream, so that clients prefer better servers."""
LOCAL_CLOCK_ID = 0x7F7F0101
"""127.127.1.1: the customary reference id of an undisciplined local clock, never a client's address."""

PRECISION = -20
"""log2 of the clock's precision in s: about 1 µs, the cost of reading the clock from Python."""

ROOT_DISPERSION_S = 0.01
"""Default root dispersion: a host whose clock is kept by NTP is seldom worse than 10 ms."""

UNSYNCHRONIZED = 3
"""Leap indicator by which a server declares that it has no valid time."""

TOLERANCE_TICKS = 43_000
"""10 µs. A kernel's wall-clock stamp, converted to local time, is off by a few µs, so on a very short path
a delay can come out slightly below 0."""

# ntplib keeps timestamps as floats, which moves them by up to 238 ns. Clients refuse an origin that isn't
# echoed bit by bit. So ntplib handles the header, and these structs the timestamps.
_ORIGIN_RECEIVE_TRANSMIT = struct.Struct("!3Q")
_ORIGIN_AT, _TRANSMIT_AT = 24, 40
_REFERENCE_AT = 16
_TIMESTAMP = struct.Struct("!Q")


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer: t1 as sent by us, t2 and t3 (all 64-bit NTP), and the quality the server claims."""

    origin: int
    receive: int
    transmit: int
    stratum: int
    reference_id: int
    root_delay_s: float
    root_dispersion_s: float


def offset_and_delay(
    t1: int, t2: int, t3: int, t4: int, *, tolerance: int = TOLERANCE_TICKS
) -> tuple[int, int]:
    """Return (offset, delay) of one exchange; offset > 0 means the remote clock is ahead.

    t1, t4: local send, receive instants. t2, t3: remote receive, send instants. All arguments and results
    have one unit: ticks (2**-32 s), or the unit of the given `tolerance`. A delay between -tolerance and 0
    counts as 0.
    Raises BadSample if the delay is below -tolerance, or if either side received and sent in the wrong
    order. Source: RFC 5905, section 8.
    """
    delay = (t4 - t1) - (t3 - t2)
    if delay < -tolerance:
        raise BadSample(f"a delay of {delay} is impossible: t1={t1} t2={t2} t3={t3} t4={t4}")
    if t4 < t1 or t3 < t2:
        raise BadSample(f"received before sent: t1={t1} t2={t2} t3={t3} t4={t4}")
    return ((t2 - t1) + (t3 - t4)) // 2, max(delay, 0)


def is_client_request(data: bytes) -> bool:
    """Return whether this is a plain NTP request: exactly 48 bytes, mode 3, version 3 or 4."""
    return len(data) == NTP_BYTES and data[0] & 7 == CLIENT and data[0] >> 3 & 7 in ACCEPTED_VERSIONS


def client_request(transmit: int) -> bytes:
    """Return a request of 48 bytes. The answer's origin repeats `transmit` (64 bits) bit by bit."""
    header = bytearray(ntplib.NTPPacket(version=VERSION, mode=CLIENT).to_data())
    _TIMESTAMP.pack_into(header, _TRANSMIT_AT, transmit)
    return bytes(header)


def server_answer(
    request: bytes,
    *,
    receive: int,
    transmit: int,
    stratum: int = LOCAL_CLOCK_STRATUM,
    reference_id: int = LOCAL_CLOCK_ID,
    root_delay_s: float = 0.0,
    root_dispersion_s: float = ROOT_DISPERSION_S,
    reference: int | None = None,
) -> bytes:
    """Return the answer (48 bytes, mode 4, the request's version) to a client's request.

    receive, transmit: t2 and t3 by our clock, 64-bit NTP. reference: when our clock was last set or
    checked, by default `receive`. The stratum (1..15), reference_id, root_delay_s and root_dispersion_s
    describe the quality of our clock; clients choose their server by them.
    Raises BadSample unless `is_client_request` accepts the request.
    """
    if not is_client_request(request):
        raise BadSample(f"not an NTP request: {len(request)} bytes")
    answer = ntplib.NTPPacket(version=request[0] >> 3 & 7, mode=SERVER)
    answer.stratum = stratum
    answer.poll = request[2]
    answer.precision = PRECISION
    answer.root_delay = root_delay_s
    answer.root_dispersion = root_dispersion_s
    answer.ref_id = reference_id
    data = bytearray(answer.to_data())
    _TIMESTAMP.pack_into(data, _REFERENCE_AT, receive if reference is None else reference)
    (origin,) = _TIMESTAMP.unpack_from(request, _TRANSMIT_AT)
    _ORIGIN_RECEIVE_TRANSMIT.pack_into(data, _ORIGIN_AT, origin, receive, transmit)
    return bytes(data)


def parse_answer(data: bytes) -> Answer:
    """Return a server's answer, decoded. Bytes after the first 48 are ignored.

    Raises BadSample if it isn't an answer, or if the server has no valid time (kiss of death included).
    The caller must check that `origin` is one of its own: see `Poller.answered`.
    """
    if len(data) < NTP_BYTES or data[0] & 7 != SERVER or data[0] >> 3 & 7 not in ACCEPTED_VERSIONS:
        raise BadSample(f"not an NTP answer: {len(data)} bytes")
    header = ntplib.NTPPacket()
    header.from_data(data)
    if header.leap == UNSYNCHRONIZED or not 1 <= header.stratum <= 15:
        raise BadSample(f"a server without time: leap {header.leap}, stratum {header.stratum}")
    origin, receive, transmit = _ORIGIN_RECEIVE_TRANSMIT.unpack_from(data, _ORIGIN_AT)
    if not receive or not transmit:
        raise BadSample("an answer without timestamps")
    return Answer(
        origin=origin,
        receive=receive,
        transmit=transmit,
        stratum=header.stratum,
        reference_id=header.ref_id,
        root_delay_s=header.root_delay,
        root_dispersion_s=header.root_dispersion,
    )
