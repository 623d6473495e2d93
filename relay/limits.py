"""Limits: how much a member, a room, a relay may be asked for, each with a clear refusal.

Pure. A token bucket is fed with session ticks.
"""

from dataclasses import dataclass, field

from relay.wire.endpoint import network_of
from relay.wire.timetag import TICKS_PER_S

EVENTS_PER_S = 500
"""Per member. A busy Sonic Pi sends about 20 a second (measured: at most 9 in 100 ms). Beyond it notes are
refused; groups, FX, frees and settings are passed on, since all that follows needs them."""
EVENTS_BURST = 1000
STRUCTURE_PER_S = 1000
"""Of those, beyond EVENTS_PER_S: more than any Sonic Pi can (measured: 733 messages, in one second). Who
sends it is put out of the room."""
STRUCTURE_BURST = 4000

DATAGRAMS_PER_S = 1000
DATAGRAMS_BURST = 3000

CONTROLS_PER_S = 20
CONTROLS_BURST = 200

OUTBOX_FRAMES = 4096
"""What waits for a member whose address is not known yet; the rest it asks for."""

STATS_PER_S = 10
"""For each address: anybody may ask for statistics, and gathering them takes milliseconds. `--watch` asks
once a second."""
STATS_BURST = 50
STATS_MEMBERS_MAX = 1000
"""Members in one answer: it must fit one control payload."""
STATS_COUNTS_MAX = 128
"""Members in an answer that gives the `counts` of each as well, which may take 3 kB."""

NTP_ANSWERS_PER_S = 10
"""For each address: plain NTP is the one thing answered to strangers, and never more than asked. A client
asks every second at most, and with a few at its start."""
NTP_BURST = 50

ADDRESSES_KEPT = 4096
"""Whose questions are counted at once: less than 1 MB. There is none for all together on top, as one stranger
could use that up and so lock everybody out."""

CONNECTIONS_MAX = 512
"""TLS connections at once, members and askers of statistics together."""
CONNECTIONS_PER_ADDRESS = 384
"""Of those: a whole school behind one address has room, and can't keep all others out."""

PROBES_MAX = 4
"""Paths measured at once, for the whole relay: together they cost it less than one busy room."""
PROBE_DATAGRAMS_BURST = 200
"""At once, beside the rate: what a network that stood still for two seconds lets go."""


@dataclass(frozen=True, slots=True)
class HubLimits:
    """How many rooms a relay opens and how many members a room seats."""

    rooms_max: int = 64
    members_max: int = 16


@dataclass(slots=True)
class TokenBucket:
    """`rate` takings a second on average, `burst` at once."""

    rate: float
    burst: float
    _level: float = -1.0
    _filled_at: int = 0

    def take(self, now: int) -> bool:
        """Take one if there is one; `now` in session ticks."""
        if self._level < 0:
            self._level = self.burst
        else:
            elapsed_s = max(0, now - self._filled_at) / TICKS_PER_S
            self._level = min(self.burst, self._level + elapsed_s * self.rate)
        self._filled_at = now
        if self._level < 1:
            return False
        self._level -= 1
        return True


@dataclass(slots=True)
class AddressBuckets:
    """A token bucket for each address, so that one stranger's questions use up nobody else's.

    Bound: ADDRESSES_KEPT; the address that has not asked for longest is forgotten, and has a full bucket
    should it ask again.
    """

    rate: float
    burst: float
    _buckets: dict[str, TokenBucket] = field(default_factory=dict)
    """The one that asked last is the last."""

    def take(self, host: str, now: int) -> bool:
        """Take one of an address's own if there is one; `now` in session ticks."""
        network = network_of(host)
        bucket = self._buckets.pop(network, None) or TokenBucket(self.rate, self.burst)
        if len(self._buckets) >= ADDRESSES_KEPT:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[network] = bucket
        return bucket.take(now)
