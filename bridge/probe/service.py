"""The probe's shell: a TLS connection and a UDP socket to the relay, and the clock.

A shell. It sends probes at even spacing from the event loop. A late wake-up only changes the recorded sending
instant.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable

from bridge.probe.measurement import Probe, Silence
from relay.transports import tls
from relay.transports.pins import KnownRelays
from relay.transports.tls import ControlStream
from relay.transports.udp import DatagramSocket, Received
from relay.wire import control
from relay.wire.endpoint import Address, Endpoint
from relay.wire.errors import LocalError, MalformedControl
from relay.wire.version import PROTOCOL_VERSION

ANSWER_S = 3.0
FAREWELL_S = 0.5
POLL_S = 0.05
"""How often (s) it is checked whether the measurement is over, while nothing is to be sent."""


class ProbeService:
    """One measurement of the path to one relay."""

    def __init__(
        self, endpoint: Endpoint, pins: KnownRelays, *, rate: float, seconds: float, software: str
    ) -> None:
        self._endpoint = endpoint
        self._pins = pins
        self._rate = rate
        self._seconds = seconds
        self._software = software
        self._datagrams = DatagramSocket(self._on_datagrams)
        self._probe: Probe | None = None
        self._stopped = False
        self.cut_short: str | None = None
        """Why the measurement ended early; None if it didn't, or `stop` ended it. The record until then is
        valid."""

    def stop(self) -> None:
        """Send no more probes. `run` returns when the answers on their way have come, after 3 s at most."""
        self._stopped = True
        if self._probe is not None:
            self._probe.stop()

    async def run(self, on_progress: Callable[[Probe], None]) -> Probe:
        """Measure, and return the measurement. Raises LocalError, in words for the player.

        on_progress: the function to call after each sent datagram.
        """
        stream = await tls.connect(self._endpoint, pins=self._pins)
        try:
            welcome = await self._welcome(stream)
            self._datagrams.bind()
            relay = await self._datagrams.resolve(Endpoint(stream.peer.host, self._endpoint.port))
            probe = Probe(welcome, rate=self._rate, seconds=self._seconds, now_local_ns=time.monotonic_ns())
            self._probe = probe
            if self._stopped:
                probe.stop()
            reports = asyncio.create_task(self._take_reports(stream, probe))
            try:
                await self._send(probe, relay, reports, on_progress)
            finally:
                reports.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await reports
            return probe
        finally:
            self._datagrams.close()
            stream.close()
            # A half-open connection would delay the end, and the trace with it, by half a minute.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stream.closed(), FAREWELL_S)
            stream.abort()

    async def _welcome(self, stream: ControlStream) -> control.ProbeWelcome:
        hello = control.ProbeHello(
            protocol=PROTOCOL_VERSION, software=self._software, rate=self._rate, seconds=self._seconds
        )
        stream.send(control.encode(hello))
        try:
            async with asyncio.timeout(ANSWER_S):
                payload = await stream.receive()
        except TimeoutError:
            raise LocalError(
                f"{self._endpoint} did not answer within {ANSWER_S:g} s; is it overloaded?"
            ) from None
        try:
            answer = control.decode_down(payload) if payload else None
        except MalformedControl as error:
            raise LocalError(
                f"{self._endpoint} can't be understood: {error}; same version of both?"
            ) from None
        if isinstance(answer, control.ProbeWelcome):
            return answer
        if isinstance(answer, control.Refused):
            raise LocalError(f"{self._endpoint} refused: {answer.text}{_older(answer.reason)}")
        raise LocalError(f"{self._endpoint} closed the connection instead of answering")

    async def _send(
        self,
        probe: Probe,
        relay: Address,
        reports: "asyncio.Task[None]",
        on_progress: Callable[[Probe], None],
    ) -> None:
        while not probe.finished(time.monotonic_ns()):
            datagram = probe.wake(time.monotonic_ns())
            if datagram is not None:
                self._datagrams.send(datagram, relay)
                on_progress(probe)
            silence = probe.silence(time.monotonic_ns())
            if silence is not None:
                raise LocalError(_silent(silence, self._endpoint))
            if reports.done():
                probe.stop()
                return
            next_ns = probe.next_wakeup_ns()
            delay_s = POLL_S if next_ns is None else (next_ns - time.monotonic_ns()) / 1e9
            await asyncio.sleep(max(0.0, min(delay_s, POLL_S)))

    async def _take_reports(self, stream: ControlStream, probe: Probe) -> None:
        """Process the relay's reports until the connection ends. If the connection ends before `run` does,
        store the reason."""
        try:
            while (payload := await stream.receive()) is not None:
                message = control.decode_down(payload)
                if isinstance(message, control.ProbeReport):
                    probe.receive_report(message, now_local_ns=time.monotonic_ns())
                elif isinstance(message, control.Refused):
                    self.cut_short = f"the relay says: {message.text}"
        except MalformedControl as error:
            self.cut_short = f"the relay can't be understood: {error}"
        self.cut_short = self.cut_short or "the connection to the relay broke"

    def _on_datagrams(self, datagrams: list[Received]) -> None:
        if self._probe is None:
            return
        for datagram in datagrams:
            self._probe.receive_datagram(datagram.payload, received_local_ns=datagram.received_local_ns)


def _older(reason: str) -> str:
    return "; an older jamrelay can't be probed: update it" if reason == "malformed" else ""


def _silent(silence: Silence, endpoint: Endpoint) -> str:
    """Return the text, with advice, for a direction in which no datagram gets through although TLS works."""
    if silence is Silence.UP:
        return (
            f"{endpoint} answers over TCP, but no datagram gets there; open UDP {endpoint.port} on the relay "
            "and in firewalls on the way, or play over TLS: jambridge join --transport tls"
        )
    return (
        f"datagrams get to {endpoint}, but none comes back; something on the way, or a firewall here, keeps "
        "out the answers over UDP. Play over TLS: jambridge join --transport tls"
    )
