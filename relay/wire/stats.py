"""Statistics of a relay as they travel: the answer to a StatsRequest.

Pure.
"""

from msgspec import Struct

from relay.wire.sequence import Scheme


class MemberStats(Struct, frozen=True, kw_only=True):
    """Sums since the member joined; rtt and clock as last reported, the p99 margin of the last 4,096.

    need_up_ms: what its events need to reach the relay, need_down_ms: what all events need from there until
    they are in its scsynth's hand, repair included; the worst but the room's rank of the last ten minutes.
    unfounded: what of the other members' groups and mixers its scsynth lacked when it was asked.
    beyond: events in them that needed more than the longest lead, and aren't waited for.
    missed: own notes that reached the relay when their time was over. alone: own events that nobody else can
    have heard, those among them, in the seconds compared. unplayed: own notes that nobody heard.
    counts: what else its bridge counts, by the bridge's names (bridge/playout/seconds_ledger.py), and the
    relay of what it sends (relay/stats/gather.py); what is 0 isn't there.
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
    """A room as a whole. divergence, retimed_share: shares of events, 0 to 1. incidents: the newest
    events that were not the same everywhere, in words, newest last. events, divergent: those included that
    their player alone can have heard; missed: of them, those that missed their time. lead_why: whose events
    need most, in words; timing_changes: of lead or shift, by themselves."""

    name: str
    epoch: str
    lead_ms: float
    shift_ms: float
    horizon_ms: float
    lead_auto: bool = False
    shift_auto: bool = False
    lead_why: str = ""
    timing_changes: int = 0
    seconds_compared: int
    events: int
    divergent: int
    divergence: float
    retimed: int
    retimed_share: float
    overtaken: int
    moved: int
    missed: int = 0
    members: list[MemberStats]
    incidents: list[str]
    scheme: Scheme = Scheme.JUDGED


class ProbeStats(Struct, frozen=True, kw_only=True):
    """Measurements of paths since the relay's start. now: under way; begun: all that were let in; refused:
    probers for whom there was no place; datagrams_refused: those of probers that weren't answered."""

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
    """What the relay's UDP socket sent, received, and failed to: see SocketCounts."""
    probes: ProbeStats = ProbeStats()
    off: list[str] = []
    """What has failed beside the music and is done without: the event log, the check of the clock."""
