"""Channel: the path of sealed datagrams between the relay and one connected member, in both directions.

Pure. A channel has keys, an address, the frames that wait to be sent, and a record of the events that didn't
arrive. `now` is a session timetag.
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
"""The least number of moments with events (see `UsualWay`) from which a member's usual delay is computed.
With fewer moments only the delays of heartbeats count."""
UP_KEEP_S = 8.0
"""How long the relay asks a member for a missing event, s. A Wi-Fi may be away for seconds, and a lost free
would leave a group standing at every member. The time is longer than a member may be silent (SILENCE)."""


@dataclass(slots=True)
class Channel:
    """The channel of one connected member.

    number: the channel number in each datagram. connection: number of the member's TLS connection. fetch:
    returns the room's frames with given event numbers, as `Outbox` needs it. repair: whether to ask for
    missing events and to send copies. heard_at: session instant of the last valid datagram from the member.
    up: the record of the member's events that didn't arrive. outbox: the frames to the member.
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
    """Session instant at which the first event arrived on this channel; None before it arrived."""
    events: TokenBucket = field(default_factory=lambda: TokenBucket(EVENTS_PER_S, EVENTS_BURST))
    structure: TokenBucket = field(default_factory=lambda: TokenBucket(STRUCTURE_PER_S, STRUCTURE_BURST))
    """Limits the groups, FX, frees and settings that the relay accepts while the bucket `events` is
    empty."""
    datagrams: TokenBucket = field(default_factory=lambda: TokenBucket(DATAGRAMS_PER_S, DATAGRAMS_BURST))
    controls: TokenBucket = field(default_factory=lambda: TokenBucket(CONTROLS_PER_S, CONTROLS_BURST))
    came_back: bool = False
    """Whether the member's bridge was in the room before, on another channel."""
    _before: int | None = None
    """The bridge's latest sequence number, as its first heartbeat on this channel gave it; None before that
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
        """The carrier (UDP or TLS) of this channel's datagrams; UDP before the first datagram has come."""
        return UDP if self._address is None else carrier_of(self._address)

    def tells_its_way(self, event: Stamped, now: int) -> bool:
        """Return whether the delay of an event that arrives now is the delay of the path. now: session ticks.

        False if the event was emitted before the channel's first event arrived. Such an event also waited
        until the bridge had its clock and its channel.
        """
        if self.first_event_at is None:
            self.first_event_at = now
        return event.emitted >= self.first_event_at

    def event_came(self, event: Stamped, now: int) -> None:
        """Record the delay of an event, from its emission to `now`."""
        self._events_way.took(now - event.emitted, now)

    def beat_came(self, beat: frames.BeatUp, now: int) -> None:
        """Record a heartbeat: its delay, from sending to `now`, and the bridge's latest sequence number."""
        self._beats_way.took(now - beat.sent, now)
        if self._before is None:
            self._before = beat.last_seq

    def was_in_the_room(self, seq: int) -> bool:
        """Return whether the bridge was already in the room when it sent the event with this sequence
        number."""
        return self.came_back or (self._before is not None and seq > self._before)

    def usual_way(self) -> int | None:
        """Return the usual delay of this member's events, ticks; None before the first event or heartbeat.

        It is the usual delay of heartbeats if that is longer. The reason: a path that has become longer shows
        in heartbeats first.
        """
        beats, events = self._beats_way.usual(), self._events_way.usual()
        if beats is None or events is None:
            return beats if events is None else events
        return max(beats, events) if self._events_way.moments >= MOMENTS_MIN else beats

    def datagrams_out(self, now: int) -> list[SendDatagram]:
        """Return the effects that send the waiting frames, sealed. While the member's address is unknown
        nothing is sent, and only the newest OUTBOX_FRAMES frames are kept."""
        if self._address is None:
            if len(self.outbox) > OUTBOX_FRAMES:
                self.outbox.clear(keep=OUTBOX_FRAMES)
            return []
        plain = self.outbox.flush(now / TICKS_PER_S)
        return [SendDatagram(self._address, self.sealer.seal(plaintext)) for plaintext in plain]

    def ask_again(self, now: int) -> list[int]:
        """Ask the bridge for missing events, if it is time to. Return the sequence numbers that the relay
        gives up."""
        now_s = now / TICKS_PER_S
        if self.outbox.asks_from_s() > now_s:
            return []
        ranges = self.up.due_requests(now_s, self.outbox.rtt_s)
        if ranges:
            self.outbox.say(frames.encode(frames.Nack(tuple(ranges[: frames.MAX_NACK_RANGES]))))
        return self.up.gave_up()

    def next_wakeup(self) -> int | None:
        """Return the session instant at which a missing event must be asked for or a copy be sent. None if
        nothing is missing and no copy is left."""
        at_s = self.outbox.next_wakeup_s() if self._address is not None else None
        asks_at_s = self.up.next_wakeup_s(self.outbox.rtt_s)
        if asks_at_s is not None:
            asks_at_s = max(asks_at_s, self.outbox.asks_from_s())
            at_s = asks_at_s if at_s is None else min(at_s, asks_at_s)
        return None if at_s is None else ticks(at_s)
