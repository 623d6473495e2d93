"""The bridge's shell: sockets, tasks and clocks around player, session and playout.

Started by the shim, which hands it the tap's socket and the one to scsynth. The relay is looked for before
the first word of Sonic Pi is read, since the slot decides all numbers; without an answer the player plays
alone and joins as soon as the relay is there. A bridge after one that was killed knows its slot from the
journal, and reads on at once.
"""

import asyncio
import contextlib
import logging
import os
import random
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Any, assert_never, cast

import asyncio_dgram
import msgspec

from bridge import messages
from bridge.core import Bridge, Setup
from bridge.effects import (
    Abandon,
    Effect,
    NextWake,
    Remember,
    RunCode,
    SendControl,
    SendDatagram,
    Tell,
    ToSonicPi,
    ToSynth,
)
from bridge.playout.fault_injection import FaultKind
from bridge.restart_state import Identity
from bridge.scsynth.id_space import Origin
from bridge.scsynth.samples import ResourceFolders
from bridge.session import greeting
from bridge.session.standing import Standing
from bridge.session.states import CONNECTED, JOINED, Event, State
from bridge.shells import config
from bridge.shells.config import ChildConfig, JoinConfig
from bridge.shells.connection import Connection
from bridge.shells.die_with_parent import die_with_parent
from bridge.shells.journal import Journal
from bridge.shells.realtime_priority import raise_priority
from bridge.shells.retries import Retries
from bridge.shells.run_code import CodePort
from bridge.shells.scsynth_process import RELEASE_SLACK_MS
from bridge.shells.socket_backlog import unread_bytes
from clock import sources
from relay.transports import logs
from relay.transports.pins import KnownRelays
from relay.transports.staying import stay_in_memory
from relay.transports.udp import DatagramSocket, Received
from relay.wire import control
from relay.wire.carrier import CARRIERS
from relay.wire.endpoint import Endpoint
from relay.wire.errors import LocalError, MalformedControl
from relay.wire.observers import Observers
from relay.wire.timetag import ticks

log = logging.getLogger(__name__)

TAP_BYTES_MAX = 65_507
"""The longest UDP datagram: scsynth takes what it gets, and so must the tap."""

FAULT_ENV = "JAMBRIDGE_FAULT"

FIRST_JOIN_S = 10.0
"""Sonic Pi waits 30 s for scsynth; this much of it is given to the relay."""
FIRST_WAKE_S = 0.1
HOME_SLOTS = range(17, 32)
"""Where a player who has not met any relay yet plays: a slot that the relay is not likely to have given to
somebody else when it is there at last, as it gives out the lowest first."""
EXIT_AGAIN = 3
"""The exit status that makes the shim start the bridge again."""


class BridgeService:
    """A running bridge."""

    def __init__(self, join: JoinConfig, child: ChildConfig) -> None:
        self._join = join
        self._child = child
        self._observers = Observers()
        self._journal = Journal(Path(child.journal))
        self._connection = Connection(
            Endpoint(join.host, join.port),
            KnownRelays(Path(join.pins)),
            self._on_datagrams,
            carrier=CARRIERS[join.transport],
            impair=join.impair,
        )
        self._folders = ResourceFolders()
        advance = ticks((child.need_ms + RELEASE_SLACK_MS) / 1e3)
        self._identity = Identity(join.room, join.name, join.software, advance)
        self._stop = asyncio.Event()
        self._failed = False
        """Something of ours went wrong: the shim shall start another bridge, in the same slot."""
        self._timer: asyncio.TimerHandle | None = None
        self._bridge: Bridge | None = None
        self._code_port: CodePort | None = None
        self._standing = Standing()
        # Drained by ourselves: the kernel's receive instant is the instant of emission.
        self._tap = DatagramSocket(self._on_tap, longest=TAP_BYTES_MAX)
        self._synth: asyncio_dgram.DatagramServer | asyncio_dgram.DatagramClient
        self._answers: socket.socket

    async def run(self) -> int:
        """Run until the player leaves (0) or something is wrong (the shim starts another)."""
        self._answers = socket.socket(fileno=os.dup(self._child.tap_fd))
        self._synth = await asyncio_dgram.from_socket(socket.socket(fileno=self._child.synth_fd))
        self._connection.bind()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.set_exception_handler(self._on_fault)
        if FAULT_ENV in os.environ:
            loop.add_signal_handler(signal.SIGUSR1, self._plant)
        # A bridge that was started again knows its slot, and Sonic Pi's threads are waiting for answers.
        slot = self._journal.memory.slot
        first = await self._first_words() if slot is None else None
        self._begin(first.slot if first is not None else slot or random.choice(HOME_SLOTS))
        if first is not None:
            self._running().relay_says(first, sources.read())
            # Before anything can fail: a bridge without its ticket would be given yet another place.
            self._observers.tell(messages.JOURNAL, self._journal.write)
            self._settle()
        else:
            # Sonic Pi's threads wait for answers first of all.
            self._timer = loop.call_later(FIRST_WAKE_S, self._settle)
        self._tap.adopt(socket.socket(fileno=self._child.tap_fd))
        tasks = [
            asyncio.create_task(self._read_synth()),
            asyncio.create_task(self._keep_joined()),
            asyncio.create_task(self._stop.wait()),
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks[:2]:
            if task.done() and task.exception() is not None:
                self._failed = True
                log.error("our fault", exc_info=task.exception())
        tasks[1].cancel()
        if self._failed:
            # No good-bye: it would give the slot away that the next bridge comes back to.
            self._connection.abort()
        else:
            await self._leave()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tap.close()
        self._synth.close()
        return EXIT_AGAIN if self._failed else 0

    def _on_fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An exception in a callback: the timer may be lost with it, so this bridge is of no more use."""
        logs.on_fault(loop, context)
        if "handle" in context:  # a callback of ours, and not a connection that broke unobserved
            self._failed = True
            self._stop.set()

    def _plant(self) -> None:
        """For tests: do to the next note what the file says that JAMBRIDGE_FAULT names."""
        self._running().playout.plant(FaultKind(Path(os.environ[FAULT_ENV]).read_text().strip()))

    # -- beginnings and ends -------------------------------------------------------------------------

    def _begin(self, slot: int) -> None:
        journal, tunes = self._journal, self._join.tune_sonic_pi
        if tunes:
            self._code_port = self._observers.tell(messages.TUNING, CodePort)
        setup = Setup(
            identity=self._identity,
            own=Origin(slot, self._child.outs, self._child.ins),
            need=ticks(self._child.need_ms / 1e3),
            memory=journal.memory,
            folders=self._folders,
            standing=self._standing,
            carrier=CARRIERS[self._join.transport],
            tunes=tunes and self._code_port is not None,
            restarted=journal.found,
            client=journal.client,
            synthdefs_loaded=journal.synthdefs_loaded,
            foundation_complete=journal.foundation_complete,
        )
        self._bridge = Bridge(setup, sources.read())
        self._bridge.ledger.counters += [self._connection.named, partial(self._tap.counts.named, "tap")]
        log.info(
            "bridge up slot=%d need_ms=%.1f release_advance_ms=%.1f restarted=%s",
            slot, self._child.need_ms, self._child.need_ms + RELEASE_SLACK_MS, journal.found,
        )  # fmt: skip

    async def _first_words(self) -> control.Welcome | None:
        """Return the relay's Welcome, None if it doesn't come while Sonic Pi waits, or never will."""
        memory, outs, ins = self._journal.memory, self._child.outs, self._child.ins
        hello = greeting.hello(self._identity, memory, outs=outs, ins=ins, next_seq=memory.next_seq)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_JOIN_S):
                while self._standing.state is not State.GONE:
                    try:
                        self._standing.see(Event.HELLO)
                        answer = await self._connection.welcome(hello)
                        if isinstance(answer, control.Welcome):
                            return answer
                        self._tell(self._standing.refused(answer, sources.read().local_ns))
                    except LocalError as error:
                        self._out(str(error))
                    except MalformedControl as error:
                        self._out(messages.not_understood(error))
                    self._end()
                    await asyncio.sleep(Retries(random.random).pause_s())
        self._end()
        self._tell(self._standing.away(sources.read().local_ns))
        return None

    def _end(self) -> None:
        self._connection.abort()
        if self._standing.state in CONNECTED:
            self._standing.see(Event.ENDED)

    def _out(self, reason: str) -> None:
        self._tell(self._standing.out(reason, sources.read().local_ns))

    def _tell(self, news: list[Tell]) -> None:
        for one in news:
            log.log(logging.WARNING if one.warning else logging.INFO, "%s", one.text)

    async def _leave(self) -> None:
        for effect in self._running().leave():
            self._do(effect)
        await self._connection.close()
        self._settle()
        log.info("left")

    # -- the relay -----------------------------------------------------------------------------------

    async def _keep_joined(self) -> None:
        bridge = self._running()
        retries = Retries(random.random)
        while self._standing.state is not State.GONE:
            if not self._connection.is_open:
                try:
                    await self._connection.open()
                except LocalError as error:
                    self._out(str(error))
                    await asyncio.sleep(retries.pause_s())
                    continue
                self._connection.say(bridge.hello(sources.read()))
            was_joined = await self._listen()
            self._connection.abort()
            bridge.disconnected()
            self._settle()
            await asyncio.sleep(retries.again_s() if was_joined else retries.pause_s())
        await asyncio.Event().wait()  # the player's own music goes on

    async def _listen(self) -> bool:
        """Take in what the relay says until the connection ends; return whether it let us in."""
        bridge = self._running()
        try:
            while (message := await self._hear()) is not None:
                bridge.relay_says(message, sources.read())
                self._settle()
        except MalformedControl as error:
            self._out(messages.not_understood(error))
        # Let in, but without a datagram ever: to come back at once would be no use.
        return self._standing.state in JOINED and self._connection.carried

    async def _hear(self) -> control.Down | None:
        """Return what the relay says next, None once the connection has ended and it is told why."""
        try:
            return await self._connection.hear()
        except LocalError as error:
            self._out(str(error))
            return None

    def _on_datagrams(self, datagrams: list[Received]) -> None:
        if self._bridge is None:
            return
        for datagram in datagrams:
            self._bridge.datagram(
                datagram.payload, received_local_ns=datagram.received_local_ns, reading=sources.read()
            )
        self._settle()

    # -- Sonic Pi and scsynth ------------------------------------------------------------------------

    def _on_tap(self, datagrams: list[Received]) -> None:
        bridge = self._running()
        for datagram in datagrams:
            bridge.tap(
                datagram.payload,
                cast(tuple[str, int], datagram.source),
                received_local_ns=datagram.received_local_ns,
                reading=sources.read(),
            )
        self._settle()
        if bridge.player.left:
            self._stop.set()

    async def _read_synth(self) -> None:
        bridge = self._running()
        while True:
            try:
                datagram, _ = await self._synth.recv()
            except OSError as error:  # nobody listens there any more: the shim will end us
                log.debug("= scsynth unreachable: %s", error)
                await asyncio.sleep(0.05)
                continue
            if bridge.synth_says(datagram):
                self._settle()

    def _to_synth(self, payload: bytes) -> None:
        with contextlib.suppress(OSError):
            os.write(self._child.synth_fd, payload)

    # -- time ----------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Do the effects of what just happened."""
        bridge, reading = self._running(), sources.read()
        bridge.wake(reading)
        port = bridge.asks_unread
        if port is not None:
            bridge.unread(unread_bytes(port), reading)
        # Read anew: a clock request is stamped with it, and what went before took its time.
        for effect in bridge.flush(sources.read()):
            self._do(effect)

    def _do(self, effect: Effect) -> None:
        match effect:
            case ToSynth(payload):
                self._to_synth(payload)
            case ToSonicPi(to, payload):
                with contextlib.suppress(OSError):
                    self._answers.sendto(payload, to)
            case SendDatagram(payload):
                self._connection.send(payload)
            case SendControl(message):
                self._connection.say(message)
            case Abandon():
                self._connection.abort()
            case RunCode(code):
                if self._code_port is not None:
                    self._observers.tell(messages.TUNING, partial(self._code_port.run, code))
            case Tell():
                self._tell([effect])
            case Remember(client, synthdefs_loaded, foundation_complete):
                journal = self._journal
                journal.client, journal.synthdefs_loaded = client, synthdefs_loaded
                journal.foundation_complete = foundation_complete
                self._observers.tell(messages.JOURNAL, journal.write)
            case NextWake(local_ns):
                if self._timer is not None:
                    self._timer.cancel()
                delay_s = max(0, local_ns - sources.read().local_ns) / 1e9
                self._timer = asyncio.get_running_loop().call_later(delay_s, self._settle)
            case _:
                assert_never(effect)

    def _running(self) -> Bridge:
        assert self._bridge is not None, "not begun"
        return self._bridge


def main() -> None:
    """Run the bridge as the shim's child, once it says so: until then this is the spare one."""
    die_with_parent()
    locked = stay_in_memory()
    if not sys.stdin.buffer.readline():
        return
    join = config.load(Path(os.environ[config.CONFIG_ENV]))
    child = msgspec.json.decode(os.environ[config.CHILD_ENV], type=ChildConfig)
    level = "DEBUG" if os.environ.get("JAMBRIDGE_DEBUG") else "INFO"
    logs.begin(level, who="bridge: ", path=Path(join.folder) / "bridge.log")
    log.info("priority %s memory_locked=%s", raise_priority(), locked)
    try:
        status = asyncio.run(BridgeService(join, child).run())
    except Exception:
        log.exception("our fault")
        status = EXIT_AGAIN
    raise SystemExit(status)


if __name__ == "__main__":
    main()
