"""Statistics of a relay as they travel: the answer to a StatsRequest.

Pure.
"""

from msgspec import UNSET, Struct, UnsetType

from relay.wire.sequence import Scheme


class MemberStats(Struct, frozen=True, kw_only=True):
    """Sums since the member joined. rtt and clock are as last reported; margins' p99 is of the last 4,096.

    need_up_ms: time its events need to reach the relay. need_down_ms: time all events need from the relay
    into its scsynth's hand, repair included. Both are the worst but the room's rank in the last ten minutes.
    unfounded: groups and mixers of other members that its scsynth lacked when it was asked. beyond: events
    that needed more than the longest lead, so that the room doesn't wait for them. missed: own notes that
    reached the relay when their time was over. alone: own events that nobody else can have heard, missed ones
    included, in the seconds compared. unplayed: own notes that nobody heard. counts: further counters of its
    bridge, by the bridge's names (bridge/playout/second_reports.py), and of the relay's sending
    (relay/stats/gather.py). Counters that are 0 are left out.
    """

    slot: int
    name: str
    present: bool
    transport: str = "udp"
    seconds: int = 0
    sent: int = 0
    refused: int = 0
    events: int = 0
    missing: int = 0
    late: int = 0
    out_of_order: int = 0
    different: int = 0
    retimed: int = 0
    overtaken: int = 0
    moved: int = 0
    beyond: int = 0
    need_up_ms: float = 0.0
    need_down_ms: float = 0.0
    unconfirmed: int = 0
    silent_here: int = 0
    local_only: int = 0
    unfounded: int = 0
    missed: int = 0
    alone: int = 0
    unplayed: int = 0
    margin_ms_worst: float | None = None
    margin_ms_p99: float | None = None
    rtt_ms: float = 0.0
    jitter_ms: float = 0.0
    up_p99_ms: float = 0.0
    down_p99_ms: float = 0.0
    loss_percent: float = 0.0
    clock_offset_ms: float = 0.0
    clock_bound_ms: float = 0.0
    clock_rate_ppm: float = 0.0
    clock_steps: int = 0
    counts: dict[str, int] = {}


class RoomStats(Struct, frozen=True, kw_only=True):
    """A room as a whole.

    divergence, retimed_share: shares of events, 0 to 1. incidents: texts on the newest events that were not
    the same everywhere, newest last. events, divergent: include events that only their player can have heard;
    missed: those of them that came when their time was over. lead_why: text that names the member with the
    greatest need. timing_changes: number of automatic changes of lead or shift. facets: figures, by name, of
    facets without a field here; left out if there are none.
    """

    name: str
    epoch: str
    lead_ms: float
    shift_ms: float
    horizon_ms: float
    lead_auto: bool = False
    shift_auto: bool = False
    lead_why: str = ""
    timing_changes: int = 0
    seconds_compared: int = 0
    events: int = 0
    divergent: int = 0
    divergence: float = 0.0
    retimed: int = 0
    retimed_share: float = 0.0
    overtaken: int
    moved: int
    missed: int = 0
    members: list[MemberStats]
    incidents: list[str] = []
    scheme: Scheme = Scheme.JUDGED
    facets: dict[str, str | int | float] | UnsetType = UNSET


class ProbeStats(Struct, frozen=True, kw_only=True):
    """Path measurements since the relay's start.

    now: running. begun: admitted so far. refused: probers rejected because all places were taken.
    datagrams_refused: probers' datagrams that got no answer.
    """

    now: int = 0
    begun: int = 0
    refused: int = 0
    datagrams_refused: int = 0


class Stats(Struct, tag="stats", frozen=True, kw_only=True):
    """The relay's answer to StatsRequest."""

    software: str
    uptime_s: float
    members: int
    rooms: list[RoomStats]
    datagrams_in: int
    datagrams_refused: int
    ntp_offset_ms: float | None = None
    udp: dict[str, int] = {}
    """Counts of the relay's UDP socket, sent, received and failed: see SocketCounts."""
    probes: ProbeStats = ProbeStats()
    off: list[str] = []
    """Observers that failed and are switched off: the event log, the check of the clock."""
