"""Path probes: the relay answers a prober's datagrams and reports when each arrived. This measures the path
between the two.

Pure. A prober joins no room and has no slot, so it disturbs nobody. Bound: PROBES_MAX probers at once. A
probe ends END_GRACE after the time that its prober asked for, or when the prober has been silent for
SILENCE. A prober may send a tenth more datagrams a second than it asked for. An answer is as long as its
request, so no more bytes leave than came. Only a request that the prober has sealed is answered.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass, field

from relay.effects import CloseControl, Effect, SendControl, SendDatagram, refuse
from relay.hub.channel_keys import draw_keys
from relay.limits import PROBE_DATAGRAMS_BURST, PROBES_MAX, TokenBucket
from relay.wire import control, frames
from relay.wire.datagram import Opener, Sealer
from relay.wire.endpoint import Source
from relay.wire.errors import MalformedDatagram, Refused, RemoteError
from relay.wire.stats import ProbeStats
from relay.wire.timetag import ticks
from relay.wire.version import PROTOCOL_VERSION, other_version

REPORT_EVERY = ticks(1.0)

SILENCE = ticks(10.0)
"""A probe ends if no valid datagram of its prober came for this long: the prober is gone or can't get
through. A prober gives up by itself after 5 s."""

END_GRACE = ticks(10.0)
"""Time added to the duration that a prober asked for. Its last datagrams and the reports on them need it. A
prober normally closes its connection before this is over."""


@dataclass(slots=True)
class _Probe:
    number: int
    connection: int
    sealer: Sealer
    opener: Opener
    ends_at: int
    report_at: int
    heard_at: int
    datagrams: TokenBucket
    arrivals: list[tuple[int, int]] = field(default_factory=list)


class Probing:
    """The probes of one relay. Instants are session timetags."""

    def __init__(self, *, entropy: Callable[[int], bytes], taken: Container[int]) -> None:
        """taken: the channel numbers of members, which no probe may use."""
        self._entropy = entropy
        self._taken = taken
        self._by_channel: dict[int, _Probe] = {}
        self._by_connection: dict[int, _Probe] = {}
        self._begun = 0
        self._refused = 0
        self._datagrams_refused = 0

    def stats(self) -> ProbeStats:
        """Return the counts: probes in progress, probes begun, probers refused, datagrams refused."""
        return ProbeStats(
            now=len(self._by_channel),
            begun=self._begun,
            refused=self._refused,
            datagrams_refused=self._datagrams_refused,
        )

    def serves(self, connection: int) -> bool:
        """Return whether a connection is a prober's."""
        return connection in self._by_connection

    def hello(self, connection: int, hello: control.ProbeHello, now: int) -> list[Effect]:
        """Admit a prober, or refuse it with the reason."""
        if hello.protocol != PROTOCOL_VERSION:
            text = other_version(hello.protocol)
            return refuse(connection, control.Refused(reason="protocol", text=text, final=True))
        if len(self._by_channel) >= PROBES_MAX:
            self._refused += 1
            text = f"{PROBES_MAX} paths to this relay are being measured already: try again in a few minutes"
            return refuse(connection, control.Refused(reason="probes", text=text))
        keys = draw_keys(self._entropy, self._taken, self._by_channel)
        probe = _Probe(
            keys.number,
            connection,
            keys.sealer(),
            keys.opener(),
            ends_at=now + ticks(hello.seconds) + END_GRACE,
            report_at=now + REPORT_EVERY,
            heard_at=now,
            # A prober's spacing is only as even as its host, so a little more than it asked for is allowed.
            datagrams=TokenBucket(hello.rate * 1.1, PROBE_DATAGRAMS_BURST),
        )
        self._by_channel[keys.number] = self._by_connection[connection] = probe
        self._begun += 1
        welcome = control.ProbeWelcome(channel=keys.number, key_up=keys.key_up, key_down=keys.key_down)
        return [SendControl(connection, welcome)]

    def receive(
        self, channel: int, payload: bytes, source: Source, *, received: int, now: int
    ) -> list[Effect]:
        """Record one datagram on a probe's channel. Return the answer, which must leave at once.

        received: session instant at which the datagram arrived in the kernel. Raises RemoteError if the
        channel is unknown, the datagram can't be decrypted, it isn't a single probe, or it exceeds the rate.
        Such a datagram isn't recorded.
        """
        probe = self._by_channel.get(channel)
        if probe is None:
            raise MalformedDatagram(f"datagram for channel {channel}: there is no such channel")
        try:
            plaintext = probe.opener.open(payload)
            if not probe.datagrams.take(now):
                raise Refused("rate", f"more than {probe.datagrams.rate:.0f} probes a second")
            match frames.decode(plaintext):
                case [frames.ProbeUp(number, size)]:
                    pass
                case _:
                    raise MalformedDatagram("a prober sends one probe in each datagram and nothing else")
        except RemoteError:
            self._datagrams_refused += 1
            raise
        probe.heard_at = now
        probe.arrivals.append((number, received))
        answer = frames.ProbeDown(number, received, max(now, received), size)
        return [SendDatagram(source, probe.sealer.seal(frames.encode(answer)))]

    def closed(self, connection: int) -> None:
        """Forget the probe of a connection that ended. Any other connection is ignored."""
        probe = self._by_connection.pop(connection, None)
        if probe is not None:
            del self._by_channel[probe.number]

    def wake(self, now: int) -> list[Effect]:
        """Send the reports that are due, and end probes that have lasted too long."""
        effects: list[Effect] = []
        for probe in list(self._by_channel.values()):
            if now >= probe.report_at:
                probe.report_at = now + REPORT_EVERY
                # An empty report is sent too, so that the prober knows that nothing came.
                report = control.ProbeReport(arrivals=probe.arrivals[: control.probe.ARRIVALS_MAX])
                del probe.arrivals[: control.probe.ARRIVALS_MAX]
                effects.append(SendControl(probe.connection, report))
            if now >= probe.ends_at or now - probe.heard_at > SILENCE:
                self.closed(probe.connection)
                effects.append(CloseControl(probe.connection))
        return effects

    def next_wakeup(self) -> int | None:
        """Return the session instant at which `wake` must be called next; None while there is no probe."""
        if not self._by_channel:  # as nearly always: it is asked for after every datagram
            return None
        return min(min(probe.report_at, probe.ends_at) for probe in self._by_channel.values())
