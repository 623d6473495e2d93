"""The bridge's shell: sockets, tasks and clocks around the core (`bridge/core.py`).

The shim starts it and hands it the sockets to Sonic Pi and to scsynth. It asks the relay for its slot before
it reads Sonic Pi's first message, because the slot decides all numbers. Without an answer the player plays
alone until the relay is there. If a previous bridge was killed, the slot is in the journal.
"""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any, assert_never, cast

import msgspec

from bridge import effects
from bridge.core import Bridge
from bridge.session.connection_status import Standing
from bridge.session.states import JOINED
from bridge.shells import config
from bridge.shells.asides import Asides
from bridge.shells.beginning import begin
from bridge.shells.config import ChildConfig, JoinConfig
from bridge.shells.connection import Connection
from bridge.shells.die_with_parent import die_with_parent
from bridge.shells.joining import Joiner
from bridge.shells.local_sockets import LocalSockets
from bridge.shells.realtime_priority import raise_priority
from bridge.shells.socket_backlog import unread_bytes
from clock import sources
from relay.transports import logs
from relay.transports.locked_memory import stay_in_memory
from relay.transports.pins import KnownRelays
from relay.transports.udp import Received
from relay.wire.carrier import CARRIERS
from relay.wire.endpoint import Endpoint

log = logging.getLogger(__name__)

FIRST_WAKE_S = 0.1
"""Delay (s) of the first wake-up if the relay didn't answer. Sonic Pi's waiting threads get answers before
it."""
EXIT_AGAIN = 3
"""The exit status that makes the shim start the bridge again."""


class BridgeService:
    """The running shell of one bridge."""

    def __init__(self, join: JoinConfig, child: ChildConfig) -> None:
        self._join = join
        self._child = child
        self._asides = Asides(Path(child.journal), Path(join.cache), tunes=join.tune_sonic_pi)
        self._connection = Connection(
            Endpoint(join.host, join.port), KnownRelays(Path(join.pins)), self._on_datagrams,
            carrier=CARRIERS[join.transport], impair=join.impair,
        )  # fmt: skip
        self._sockets = LocalSockets(child, self._on_tap)
        self._core: Bridge
        self._timer: asyncio.TimerHandle | None = None
        """The timer of the next wake-up; None until there is a core."""
        self._stop = asyncio.Event()
        self._failed = False
        """Whether a fault of ours occurred. The shim then starts another bridge, which gets the same slot."""

    async def run(self) -> int:
        """Run until the player leaves (returns 0) or a fault of ours occurs (returns EXIT_AGAIN)."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.set_exception_handler(self._on_fault)
        await self._sockets.open()
        self._connection.bind()
        standing = Standing()
        joiner = Joiner(self._connection, standing)
        self._core = await begin(self._join, self._child, self._asides, joiner, standing)
        self._core.count(self._connection.named, self._sockets.named)
        self._asides.answer_to(self._core, self._settle)
        self._timer = loop.call_later(0 if standing.state in JOINED else FIRST_WAKE_S, self._settle)
        self._sockets.listen()
        await self._run_until_the_end(joiner)
        if self._failed:
            # No Leave, which would give away the slot that the next bridge returns to.
            self._connection.abort()
        else:
            await self._leave()
        self._sockets.close()
        self._asides.close()
        return EXIT_AGAIN if self._failed else 0

    async def _run_until_the_end(self, joiner: Joiner) -> None:
        keeping, reading = joiner.keep(self._core, self._settle), self._sockets.read_synth(self._on_synth)
        tasks = [asyncio.create_task(one) for one in (keeping, reading, self._stop.wait())]
        ended, running = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            if task.exception() is not None:
                self._failed = True
                log.error("our fault", exc_info=task.exception())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _leave(self) -> None:
        for effect in self._core.leave():
            self._do(effect)
        await self._connection.close()
        self._settle()
        log.info("left")

    def _on_fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Stop this bridge after an exception in a callback, because the exception may have cost its
        timer."""
        logs.on_fault(loop, context)
        if "handle" in context:  # one of our callbacks, not a connection that broke unobserved
            self._failed = True
            self._stop.set()

    # -- what comes in -------------------------------------------------------------------------------

    def _on_datagrams(self, datagrams: list[Received]) -> None:
        if self._timer is None:
            return
        for one in datagrams:
            self._core.datagram(one.payload, received_local_ns=one.received_local_ns, reading=sources.read())
        self._settle()

    def _on_tap(self, datagrams: list[Received]) -> None:
        for one in datagrams:
            source = cast(tuple[str, int], one.source)
            self._core.tap(
                one.payload, source, received_local_ns=one.received_local_ns, reading=sources.read()
            )
        self._settle()
        if self._core.left:
            self._stop.set()

    def _on_synth(self, datagram: bytes) -> None:
        if self._core.synth_says(datagram):
            self._settle()

    # -- what is done --------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Carry out the effects of the latest input."""
        bridge, reading = self._core, sources.read()
        bridge.wake(reading)
        if (port := bridge.asks_unread) is not None:
            bridge.unread(unread_bytes(port), reading)
        # A new reading, because clock requests are stamped with it and the work before took time.
        for effect in bridge.flush(sources.read()):
            self._do(effect)

    def _do(self, effect: effects.Effect) -> None:
        match effect:
            case effects.ToSynth(payload):
                self._sockets.to_synth(payload)
            case effects.ToSonicPi(to, payload):
                self._sockets.to_sonic_pi(to, payload)
            case effects.SendDatagram(payload):
                self._connection.send(payload)
            case effects.SendControl(message):
                self._connection.say(message)
            case effects.Abandon():
                self._connection.abort()
            case effects.RunCode() | effects.Tell() | effects.Remember() | effects.AskFiles():
                self._asides.do(effect)
            case effects.NextWake(local_ns):
                if self._timer is not None:
                    self._timer.cancel()
                delay_s = max(0, local_ns - sources.read().local_ns) / 1e9
                self._timer = asyncio.get_running_loop().call_later(delay_s, self._settle)
            case _:
                assert_never(effect)


def main() -> None:
    """Run a bridge process, started by the shim as a spare: it waits for a line on stdin before it becomes
    active."""
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
