"""Limits on what a member, a room, an address and a stranger may use of a relay, and the token buckets for
them.

Pure. Token buckets take session ticks.
"""

from dataclasses import dataclass, field

from relay.wire.endpoint import network_of
from relay.wire.timetag import TICKS_PER_S

EVENTS_PER_S = 500
"""How many events a second one member may send. A busy Sonic Pi sends about 20 a second (measured: at most 9
in 100 ms). Notes beyond this rate are refused. Groups, FX, frees and settings are passed on, since all later
events depend on them."""
EVENTS_BURST = 1000
STRUCTURE_PER_S = 1000
"""How many groups, FX, frees and settings a second one member may send beyond EVENTS_PER_S. It is more than
any Sonic Pi can send (measured: 733 messages in one second). A member that exceeds it is removed from the
room."""
STRUCTURE_BURST = 4000

DATAGRAMS_PER_S = 1000
DATAGRAMS_BURST = 3000

CONTROLS_PER_S = 20
CONTROLS_BURST = 200

OUTBOX_FRAMES = 4096
"""How many frames wait for a member whose address isn't known yet. Older ones are dropped; the member asks
for them later."""

STATS_PER_S = 10
"""How many requests for statistics a second one address may send. Anybody may ask for statistics, and
gathering them takes milliseconds. `--watch` asks once a second."""
STATS_BURST = 50
STATS_MEMBERS_MAX = 1000
"""How many members one answer with statistics may have. It must fit one control payload."""
STATS_COUNTS_MAX = 128
"""An answer with statistics includes each member's `counts` only if it has at most this many members. The
counts of one member may take 3 kB."""

NTP_ANSWERS_PER_S = 10
"""How many plain NTP requests a second from one address are answered. They are the only datagrams of
strangers that are answered. An answer has no more bytes than its request. A client asks at most once a
second, after a few requests at its start."""
NTP_BURST = 50

ADDRESSES_KEPT = 4096
"""How many addresses have a token bucket at once. They take less than 1 MB. There is no limit on all
addresses together, since one stranger could use it up and so lock everybody out."""

CONNECTIONS_MAX = 512
"""How many TLS connections the relay serves at once: those of members, probers and askers of statistics
together."""
CONNECTIONS_PER_ADDRESS = 384
"""How many of the CONNECTIONS_MAX connections one address may have. It is enough for a school behind one
address. The rest stays free for others."""

PROBES_MAX = 4
"""How many paths the relay measures at once. Together they cost less than one busy room."""
PROBE_DATAGRAMS_BURST = 200
"""How many datagrams of a prober are accepted at once beyond its rate. After a standstill of two seconds a
network delivers so many together."""


@dataclass(frozen=True, slots=True)
class HubLimits:
    """Limits of one relay. rooms_max: greatest number of rooms. members_max: greatest number of members in a
    room."""

    rooms_max: int = 64
    members_max: int = 16


@dataclass(slots=True)
class TokenBucket:
    """A rate limit: `rate` tokens may be taken a second on average, and `burst` at once."""

    rate: float
    burst: float
    _level: float = -1.0
    _filled_at: int = 0

    def take(self, now: int) -> bool:
        """Take one token; return False if there is none. now: session ticks."""
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
    """A token bucket for each address, so that one stranger's requests don't use up another's.

    Bound: ADDRESSES_KEPT buckets. Beyond that, the bucket of the address that hasn't asked for longest is
    dropped; that address then starts with a full bucket again.
    """

    rate: float
    burst: float
    _buckets: dict[str, TokenBucket] = field(default_factory=dict)
    """The bucket of each network (see `network_of`), in the order of their last requests, oldest first."""

    def take(self, host: str, now: int) -> bool:
        """Take one token of this address; return False if it has none. now: session ticks."""
        network = network_of(host)
        bucket = self._buckets.pop(network, None) or TokenBucket(self.rate, self.burst)
        if len(self._buckets) >= ADDRESSES_KEPT:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[network] = bucket
        return bucket.take(now)
