"""Statistics of a relay, as it sends them in answer to a StatsRequest.

Pure.
"""

from msgspec import UNSET, Struct, UnsetType

from relay.wire.sequence import Scheme


class MemberStats(Struct, frozen=True, kw_only=True):
    """The statistics of one member. Counts are sums since the member joined; the exceptions are stated below.

    need_up_ms: time that the member's events need to reach the relay.
    need_down_ms: time that events need from the relay until the member's scsynth can have them, repair
    included. Both needs are from the last ten minutes. They leave out as many of the worst moments as the
    room's safety profile allows. 0: nothing was measured.
    beyond: count of events in the last ten minutes that needed more than the longest lead. The room doesn't
    wait for such events.
    local_only: count of own sounds that only its own host could play, such as samples of the player's own.
    unfounded: count of other members' groups and mixers that its scsynth lacks, by scsynth's own answers.
    missed: count of own notes that reached the relay when their time was over.
    alone: count of own events that nobody else heard, in the seconds that were compared.
    unplayed: count of own notes that nobody heard, because its bridge read them when their time was over.
    not_heard: count of notes that its scsynth could not play because a synthdef or sample was missing. Each
    is also counted in silent_here. silent_here includes notes whose sample was still being loaded, too.
    not_heard_why: for each player of such notes a sentence for people, with the names of the missing files.
    margin_ms_p99: margin that 99 % of its last 4,096 events exceeded; None if no event was played.
    rtt_ms, jitter_ms, down_p99_ms, clock_offset_ms, clock_bound_ms, clock_rate_ppm, clock_steps: from the
    last report of its bridge.
    counts: further counts, by name, without those that are 0. Some are made and named by its bridge
    (bridge/playout/second_reports.py), the others by the relay (relay/stats/gather.py).
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
    not_heard: int = 0
    not_heard_why: list[str] = []
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
    """The statistics of one room as a whole.

    events: count of events compared. divergent: count of events that were not the same at all members. Both
    include events that at most their own player heard.
    divergence, retimed_share: divergent and re-timed events as a share (0 to 1) of the events compared.
    missed: count of notes that reached the relay when their time was over.
    incidents: texts about the latest events that were not the same at all members, the latest last.
    lead_auto, shift_auto: whether the relay tunes lead and shift by itself.
    lead_why: text for people that names the sender and the receiver whose events need the lead.
    timing_changes: count of automatic changes of lead or shift.
    facets: figures, by name, of facets that have no field of their own here; left out if there are none.
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
    """Counts of path measurements since the relay's start.

    now: measurements in progress. begun: measurements admitted so far. refused: probers refused because all
    places were taken. datagrams_refused: datagrams of probers that the relay didn't answer.
    """

    now: int = 0
    begun: int = 0
    refused: int = 0
    datagrams_refused: int = 0


class Stats(Struct, tag="stats", frozen=True, kw_only=True):
    """The relay's answer to a StatsRequest."""

    software: str
    uptime_s: float
    members: int
    rooms: list[RoomStats]
    datagrams_in: int
    datagrams_refused: int
    ntp_offset_ms: float | None = None
    udp: dict[str, int] = {}
    """Counts of datagrams that the relay's UDP socket sent, received or failed to send, by name. See
    SocketCounts in relay/transports/udp.py."""
    probes: ProbeStats = ProbeStats()
    off: list[str] = []
    """Names of the observers that failed and are switched off, for example the event log."""
