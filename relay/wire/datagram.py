"""Sealed datagrams: a clear header that names the channel, and a ciphertext that only the channel's two ends
can make.

Pure. Layout, big-endian: magic u8, version u8, channel u32, counter u64, ciphertext, tag (16 bytes). The
whole header is associated data, so any change to it on the path is detected. The nonce is four zero bytes and
the counter. It never repeats under a key, because a key belongs to one member, one direction and one TLS
handshake. Idea and bounds: netcode.io, IPsec's replay window (RFC 4303, section 3.4.3).
"""

import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from relay.wire.errors import LocalError, MalformedDatagram
from relay.wire.version import PROTOCOL_VERSION

MAGIC = 0x4A
"""First byte, "J". Its low three bits are 2, so it is never taken for an NTP request (mode 3)."""

TAG_BYTES = 16

MAX_DATAGRAM_BYTES = 1200
"""Greatest size of a datagram. It passes unfragmented wherever IPv6 does (1,280 bytes), with room for a
tunnel."""

_HEADER = struct.Struct(">BBIQ")
_COUNTER_AT = 6
HEADER_BYTES = _HEADER.size
MAX_PLAINTEXT_BYTES = MAX_DATAGRAM_BYTES - HEADER_BYTES - TAG_BYTES

REPLAY_WINDOW = 1024
"""A datagram is rejected as a possible replay if this many later ones have arrived before it. It is one
second's datagrams at 1,000 a second, far more than a busy jam sends."""

_WINDOW_MASK = (1 << REPLAY_WINDOW) - 1
_NONCE_PREFIX = bytes(4)

# ChaCha20-Poly1305 rather than AES-GCM. Measured with `cryptography` in µs, sealing 250 | 1,170 bytes:
# with AES instructions GCM 1.1 | 1.2, ChaCha 1.0-1.9 | 1.8-2.4; without them GCM 1.9 | 5.9, ChaCha
# unchanged. A Raspberry Pi up to the 4 has none, and there table-driven AES also leaks through the cache.
# So it costs a server at most a microsecond and is even and safe everywhere.
_Aead = ChaCha20Poly1305


class Sealer:
    """Seals the datagrams of one direction of a channel. They get the counters 0, 1, 2 and so on."""

    __slots__ = ("_aead", "_channel", "_counter")

    def __init__(self, key: bytes, channel: int, *, counter: int = 0) -> None:
        """key: 32 bytes, for this direction only. channel: the channel's number (u32). counter: the counter
        of the first datagram. Only tests pass another value than 0, because a counter used twice under one
        key breaks the seal."""
        self._aead = _Aead(key)  # kept: a new one per datagram doubles the cost
        self._channel = channel
        self._counter = counter

    def seal(self, plaintext: bytes) -> bytes:
        """Return the sealed datagram that carries `plaintext`, which has at most MAX_PLAINTEXT_BYTES.

        Raises LocalError if all counters are used up. The connection then needs a new handshake, with new
        keys.
        """
        assert len(plaintext) <= MAX_PLAINTEXT_BYTES, f"{len(plaintext)} bytes do not fit in a datagram"
        counter = self._counter
        if counter >> 64:
            raise LocalError(f"channel {self._channel} has used up its counters: join again for new keys")
        self._counter = counter + 1
        header = _HEADER.pack(MAGIC, PROTOCOL_VERSION, self._channel, counter)
        return header + self._aead.encrypt(_NONCE_PREFIX + header[_COUNTER_AT:], plaintext, header)


class Opener:
    """Opens the sealed datagrams of one direction of a channel, each only once."""

    __slots__ = ("_aead", "_channel", "_highest", "_seen")

    def __init__(self, key: bytes, channel: int) -> None:
        """key: 32 bytes, for this direction only. channel: the channel's number (u32)."""
        self._aead = _Aead(key)
        self._channel = channel
        self._highest = -1
        self._seen = 0  # bit i: counter _highest - i was opened

    def open(self, datagram: bytes) -> bytes:
        """Return the plaintext of a datagram.

        Raises MalformedDatagram if the datagram isn't jamrelay's, belongs to another channel, is forged, is
        older than the last REPLAY_WINDOW datagrams, or was opened before. The window moves only after the
        seal has been checked. So a forged datagram can't make genuine ones fail.
        """
        channel = peek_channel(datagram)
        if channel != self._channel:
            raise MalformedDatagram(f"datagram for channel {channel} given to channel {self._channel}")
        header = datagram[:HEADER_BYTES]
        counter = int.from_bytes(header[_COUNTER_AT:], "big")
        age = self._highest - counter
        if age >= REPLAY_WINDOW:
            raise MalformedDatagram(f"counter {counter} is {age} behind: the window is {REPLAY_WINDOW}")
        if age >= 0 and self._seen >> age & 1:
            raise MalformedDatagram(f"counter {counter} on channel {channel} was seen before")
        try:
            plaintext = self._aead.decrypt(
                _NONCE_PREFIX + header[_COUNTER_AT:], datagram[HEADER_BYTES:], header
            )
        except InvalidTag:
            raise MalformedDatagram(
                f"counter {counter} on channel {channel} does not open: forged, damaged or of an older key"
            ) from None
        if age >= 0:
            self._seen |= 1 << age
        else:
            # A leap past the window forgets all of it, without building a number of that many bits first.
            self._seen = (self._seen << min(-age, REPLAY_WINDOW) | 1) & _WINDOW_MASK
            self._highest = counter
        return plaintext


def peek_channel(datagram: bytes) -> int:
    """Return the channel number that a datagram claims, before anything is authenticated.

    Raises MalformedDatagram if the datagram is too short, too long, not jamrelay's, or of another protocol
    version.
    """
    length = len(datagram)
    if not HEADER_BYTES + TAG_BYTES <= length <= MAX_DATAGRAM_BYTES:
        raise MalformedDatagram(
            f"datagram of {length} bytes: expected {HEADER_BYTES + TAG_BYTES} to {MAX_DATAGRAM_BYTES}"
        )
    magic, version, channel, _ = _HEADER.unpack_from(datagram)
    if magic != MAGIC:
        raise MalformedDatagram(f"datagram starts with 0x{magic:02x}: expected 0x{MAGIC:02x}, not jamrelay's")
    if version != PROTOCOL_VERSION:
        older = "the sender" if version < PROTOCOL_VERSION else "this side"
        raise MalformedDatagram(
            f"datagram of protocol version {version}, this side speaks {PROTOCOL_VERSION}: update {older}"
        )
    return int(channel)
