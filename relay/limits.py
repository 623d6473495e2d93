"""Limits: how much a member, a room, a relay may be asked for, each with a clear refusal.

Pure. A token bucket is fed with session ticks.
"""

from dataclasses import dataclass

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

STATS_PER_S = 50
"""For the whole relay: anybody may ask for statistics, and gathering them takes milliseconds."""
STATS_BURST = 100
STATS_MEMBERS_MAX = 1000
"""Members in one answer: it must fit one control payload."""

NTP_ANSWERS_PER_S = 50
"""For the whole relay: plain NTP is the one thing answered to strangers, and never more than asked."""
NTP_BURST = 100

CONNECTIONS_MAX = 512
"""TLS connections at once, members and askers of statistics together."""

PROBES_MAX = 4
"""Paths measured at once, for the whole relay: together they cost it less than one busy room."""
PROBE_DATAGRAMS_BURST = 200
"""At once, beside the rate: what a network that stood still for two seconds lets go."""


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
