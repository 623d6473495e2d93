"""Channel: the sealed datagram path between the relay and one connected member, in both directions.

Pure. A channel has keys, an address, the outgoing frames, and a record of the events missing from the member.
`now` is a session timetag.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from relay.effects import SendDatagram
from relay.limits import (
    CONTROLS_BURST,
    CONTROLS_PER_S,
    DATAGRAMS_BURST,
    DATAGRAMS_PER_S,
    EVENTS_BURST,
    EVENTS_PER_S,
    OUTBOX_FRAMES,
    STRUCTURE_BURST,
    STRUCTURE_PER_S,
    TokenBucket,
)
from relay.wire import frames
from relay.wire.carrier import UDP, Carrier
from relay.wire.catchup import UsualWay
from relay.wire.datagram import Opener, Sealer
from relay.wire.endpoint import Source, carrier_of
from relay.wire.outbox import Outbox
from relay.wire.recovery import GapTracker
from relay.wire.sequence import Stamped
from relay.wire.timetag import TICKS_PER_S, ticks

MOMENTS_MIN = 16
"""From this number of moments on, the delays of events define a member's usual delay (see `UsualWay`). With
fewer moments only heartbeats do."""
UP_KEEP_S = 8.0
"""How long the relay asks a member for a missing event, s. A Wi-Fi is away for seconds at times. A lost free
would leave a group standing at every member. This is longer than a member may be silent (SILENCE)."""


@dataclass(slots=True)
class Channel:
    """A member's channel.

    fetch: returns the room's frames with given event numbers, as `Outbox` wants it. heard_at: session instant
    of the last valid datagram from the member. up: the record of events missing from the member. outbox: the
    frames to the member.
    """

    number: int
    connection: int
    sealer: Sealer
    opener: Opener
    fetch: Callable[[Iterable[int], float], list[bytes]]
    repair: bool
    heard_at: int = 0
    up: GapTracker = field(default_factory=lambda: GapTracker(keep_s=UP_KEEP_S))
    outbox: Outbox = field(init=False)
    first_event_at: int | None = None
    """Session instant at which the first event arrived on this channel; None before."""
    events: TokenBucket = field(default_factory=lambda: TokenBucket(EVENTS_PER_S, EVENTS_BURST))
    structure: TokenBucket = field(default_factory=lambda: TokenBucket(STRUCTURE_PER_S, STRUCTURE_BURST))
    """Limit of the groups, FX, frees and settings that are accepted although `events` is used up."""
    datagrams: TokenBucket = field(default_factory=lambda: TokenBucket(DATAGRAMS_PER_S, DATAGRAMS_BURST))
    controls: TokenBucket = field(default_factory=lambda: TokenBucket(CONTROLS_PER_S, CONTROLS_BURST))
    came_back: bool = False
    """Whether its bridge was in the room before, on another channel."""
    _before: int | None = None
    """The bridge's latest sequence number at its first heartbeat on this channel; None before that
    heartbeat."""
    _address: Source | None = None
    _events_way: UsualWay = field(default_factory=UsualWay)
    _beats_way: UsualWay = field(default_factory=UsualWay)

    def __post_init__(self) -> None:
        self.outbox = Outbox(self.fetch)
        self.outbox.copies = self.up.asks = self.repair

    @property
    def address(self) -> Source | None:
        """The source of the last datagram that could be decrypted; None before the first."""
        return self._address

    @address.setter
    def address(self, address: Source) -> None:
        self._address = address
        # A reliable carrier repairs by itself, so a copy would only queue behind the original.
        self.outbox.copies = self.repair and not self.carrier.reliable

    @property
    def carrier(self) -> Carrier:
        """The carrier of this channel's datagrams; UDP before the first has come."""
        return UDP if self._address is None else carrier_of(self._address)

    def tells_its_way(self, event: Stamped, now: int) -> bool:
        """Return whether an event that arrives now shows the delay of the path.

        It doesn't if it was emitted before the channel's first event arrived, since then it also waited for
        the bridge to have its clock and its channel.
        """
        if self.first_event_at is None:
            self.first_event_at = now
        return event.emitted >= self.first_event_at

    def event_came(self, event: Stamped, now: int) -> None:
        """Note the delay of an event, from its emission to `now`."""
        self._events_way.took(now - event.emitted, now)

    def beat_came(self, beat: frames.BeatUp, now: int) -> None:
        """Note a heartbeat: its delay, from sending to `now`, and the bridge's latest sequence number."""
        self._beats_way.took(now - beat.sent, now)
        if self._before is None:
            self._before = beat.last_seq

    def was_in_the_room(self, seq: int) -> bool:
        """Return whether the event with this sequence number was sent while its bridge was in the room, and
        not before it joined."""
        return self.came_back or (self._before is not None and seq > self._before)

    def usual_way(self) -> int | None:
        """Return the usual delay of this member's events, ticks; None before the first event or heartbeat.

        The usual delay of heartbeats counts if it is longer, since a path that has become longer shows in
        them first.
        """
        beats, events = self._beats_way.usual(), self._events_way.usual()
        if beats is None or events is None:
            return beats if events is None else events
        return max(beats, events) if self._events_way.moments >= MOMENTS_MIN else beats

    def datagrams_out(self, now: int) -> list[SendDatagram]:
        """Return the effects that send the waiting frames, sealed. As long as the member's address is
        unknown, nothing is sent, and the newest OUTBOX_FRAMES frames wait."""
        if self._address is None:
            if len(self.outbox) > OUTBOX_FRAMES:
                self.outbox.clear(keep=OUTBOX_FRAMES)
            return []
        plain = self.outbox.flush(now / TICKS_PER_S)
        return [SendDatagram(self._address, self.sealer.seal(plaintext)) for plaintext in plain]

    def ask_again(self, now: int) -> list[int]:
        """Ask the bridge for missing events, if that is due. Return the sequence numbers that were given
        up."""
        now_s = now / TICKS_PER_S
        if self.outbox.asks_from_s() > now_s:
            return []
        ranges = self.up.due_requests(now_s, self.outbox.rtt_s)
        if ranges:
            self.outbox.say(frames.encode(frames.Nack(tuple(ranges[: frames.MAX_NACK_RANGES]))))
        return self.up.gave_up()

    def next_wakeup(self) -> int | None:
        """Return the session instant at which the next request for a missing event, or the next copy of an
        event, is due. None if neither is pending."""
        at_s = self.outbox.next_wakeup_s() if self._address is not None else None
        asks_at_s = self.up.next_wakeup_s(self.outbox.rtt_s)
        if asks_at_s is not None:
            asks_at_s = max(asks_at_s, self.outbox.asks_from_s())
            at_s = asks_at_s if at_s is None else min(at_s, asks_at_s)
        return None if at_s is None else ticks(at_s)
