"""NTP exchanges: requests and answers in NTP's own format, and the offset that four timestamps give.

Pure. t1: we send a request. t2: the server receives it. t3: the server answers. t4: we receive the answer.
Timestamps are 64-bit NTP integers, and encoding and decoding keep every bit of them. Source: RFC 5905,
sections 7.3 and 8.
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
"""The stratum that an NTP server usually claims if it follows no other server. It makes clients prefer better
servers."""
LOCAL_CLOCK_ID = 0x7F7F0101
"""The reference id that an NTP server usually claims for its own local clock: 127.127.1.1. It is never a
client's address."""

PRECISION = -20
"""Base-2 logarithm of the clock's precision in s. It means about 1 µs, the time that Python needs to read the
clock."""

ROOT_DISPERSION_S = 0.01
"""Default for the greatest error that a server claims for its clock (NTP's root dispersion), s. The clock of
a host that runs NTP is seldom wrong by more than 10 ms."""

UNSYNCHRONIZED = 3
"""The value of NTP's leap indicator with which a server states that it has no valid time."""

TOLERANCE_TICKS = 43_000
"""How far below 0 a measured delay may be, ticks (10 µs). A kernel's wall-clock stamp is wrong by a few µs
after its conversion to local time. So on a very short path the measured delay can be slightly below 0."""

# ntplib keeps timestamps as floats, which moves them by up to 238 ns. Clients refuse an origin that isn't
# echoed bit by bit. So ntplib handles the header, and these structs the timestamps.
_ORIGIN_RECEIVE_TRANSMIT = struct.Struct("!3Q")
_ORIGIN_AT, _TRANSMIT_AT = 24, 40
_REFERENCE_AT = 16
_TIMESTAMP = struct.Struct("!Q")


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer to a time request, decoded.

    origin: t1, as the request had it. receive: t2. transmit: t3. All three are 64-bit NTP integers. The other
    fields are the quality that the server claims for its clock.
    """

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
    """Return (offset, delay) of one exchange. offset > 0: the remote clock is ahead.

    t1: instant of sending the request, t4: of receiving the answer, both by the local clock. t2: instant of
    receiving the request, t3: of sending the answer, both by the remote clock. All arguments and results have
    the same unit: ticks (2**-32 s), or another unit in which `tolerance` is given too. A delay between
    -tolerance and 0 counts as 0.

    Raises BadSample if the delay is below -tolerance, or if a side sent and received in the wrong order.
    Source: RFC 5905, section 8.
    """
    delay = (t4 - t1) - (t3 - t2)
    if delay < -tolerance:
        raise BadSample(f"a delay of {delay} is impossible: t1={t1} t2={t2} t3={t3} t4={t4}")
    if t4 < t1 or t3 < t2:
        raise BadSample(f"received before sent: t1={t1} t2={t2} t3={t3} t4={t4}")
    return ((t2 - t1) + (t3 - t4)) // 2, max(delay, 0)


def is_client_request(data: bytes) -> bool:
    """Return whether these bytes are a plain NTP request: exactly 48 bytes, mode 3, version 3 or 4."""
    return len(data) == NTP_BYTES and data[0] & 7 == CLIENT and data[0] >> 3 & 7 in ACCEPTED_VERSIONS


def client_request(transmit: int) -> bytes:
    """Return an NTP request of 48 bytes.

    transmit: any number of 64 bits. The answer repeats it as its origin, so that it can be matched.
    """
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
    """Return the answer to a client's request: 48 bytes, mode 4, the request's version.

    receive: t2, the instant by our clock at which we received the request. transmit: t3, the instant at which
    we send the answer. reference: the instant at which our clock was last set or checked, by default
    `receive`. All three are 64-bit NTP integers. stratum (1 to 15), reference_id, root_delay_s and
    root_dispersion_s describe the quality of our clock. Raises BadSample if `is_client_request` rejects the
    request.
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

    Raises BadSample if the bytes are no answer, or if the server has no valid time or refuses (NTP's kiss of
    death). The caller must check that `origin` belongs to a request of its own, as `Poller.answered` does.
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
