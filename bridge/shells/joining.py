"""Joining: connects a bridge to the relay, and connects again after each connection ends.

A shell. The cores decide which messages are sent, and whether to try another connection.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable

from bridge import notices
from bridge.core import Bridge
from bridge.effects import Tell
from bridge.session.connection_status import Standing
from bridge.session.states import CONNECTED, JOINED, Event, State
from bridge.shells.connection import Connection
from bridge.shells.retries import Retries
from clock import sources
from relay.wire import control
from relay.wire.errors import LocalError, MalformedControl, RemoteError

log = logging.getLogger(__name__)

FIRST_JOIN_S = 10.0
"""How long the bridge waits for the relay's first answer, s. Meanwhile Sonic Pi waits for scsynth, 30 s at
most."""


class Joiner:
    """Keeps a bridge connected to the relay, by one connection after another."""

    def __init__(self, connection: Connection, standing: Standing) -> None:
        self._connection = connection
        self._standing = standing

    async def first_words(self, hello: control.Hello) -> control.Welcome | None:
        """Connect and send Hello. Return the relay's Welcome; None if the relay refuses for good.

        None is also returned if no Welcome comes within FIRST_JOIN_S.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_JOIN_S):
                while self._standing.state is not State.GONE:
                    self._standing.see(Event.HELLO)
                    answer = await self._answer(hello)
                    if isinstance(answer, control.Welcome):
                        return answer
                    self._end()
                    await asyncio.sleep(Retries(random.random).pause_s())
        self._end()
        tell(self._standing.away(sources.read().local_ns))
        return None

    async def keep(self, bridge: Bridge, settle: Callable[[], None]) -> None:
        """Keep the bridge connected. This never returns, because the player's own music goes on without a
        relay.

        settle: carries out the effects of the bridge's latest input.
        """
        retries = Retries(random.random)
        while self._standing.state is not State.GONE:
            if not self._connection.is_open and not await self._greet(bridge):
                await asyncio.sleep(retries.pause_s())
                continue
            await self._listen(bridge, settle)
            # Admitted, but no datagram ever came, so an immediate retry would be no use.
            was_heard = self._standing.state in JOINED and self._connection.carried
            self._connection.abort()
            bridge.disconnected()
            settle()
            await asyncio.sleep(retries.again_s() if was_heard else retries.pause_s())
        await asyncio.Event().wait()

    async def _greet(self, bridge: Bridge) -> bool:
        """Connect and send Hello. Return whether that has worked."""
        try:
            await self._connection.open()
        except LocalError as error:
            self._out(str(error))
            return False
        self._connection.say(bridge.hello(sources.read()))
        return True

    async def _listen(self, bridge: Bridge, settle: Callable[[], None]) -> None:
        """Process control messages until the connection ends."""
        try:
            while (message := await self._hear()) is not None:
                bridge.relay_says(message, sources.read())
                settle()
        except RemoteError as error:
            self._out(notices.not_understood(error))

    async def _hear(self) -> control.Down | None:
        """Return the relay's next message. If the connection has ended, tell the player why, if the reason is
        known, and return None."""
        try:
            return await self._connection.hear()
        except LocalError as error:
            self._out(str(error))
            return None

    async def _answer(self, hello: control.Hello) -> control.Welcome | None:
        """Connect, send `hello` and return the relay's Welcome. Without a Welcome, tell the player why and
        return None."""
        try:
            answer = await self._connection.welcome(hello)
        except LocalError as error:
            self._out(str(error))
        except MalformedControl as error:
            self._out(notices.not_understood(error))
        else:
            if isinstance(answer, control.Welcome):
                return answer
            tell(self._standing.refused(answer, sources.read().local_ns))
        return None

    def _end(self) -> None:
        self._connection.abort()
        if self._standing.state in CONNECTED:
            self._standing.see(Event.ENDED)

    def _out(self, reason: str) -> None:
        tell(self._standing.out(reason, sources.read().local_ns))


def tell(news: list[Tell]) -> None:
    """Show messages to the player by writing them to the log."""
    for one in news:
        log.log(logging.WARNING if one.warning else logging.INFO, "%s", one.text)
