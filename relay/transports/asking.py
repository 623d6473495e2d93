"""Asking a relay for its statistics: the client side of `jamrelay stats`.

A shell.
"""

import asyncio

from relay.transports import tls
from relay.transports.pins import KnownRelays
from relay.wire import control
from relay.wire.control import Stats
from relay.wire.endpoint import Endpoint
from relay.wire.errors import LocalError

ANSWER_S = 3.0


async def ask_stats(endpoint: Endpoint, pins: KnownRelays, *, room: str | None = None) -> Stats:
    """Return the statistics of the relay at `endpoint`. Raises LocalError, in words for people."""
    stream = await tls.connect(endpoint, pins=pins)
    try:
        stream.send(control.encode(control.StatsRequest(room=room)))
        try:
            async with asyncio.timeout(ANSWER_S):
                payload = await stream.receive()
        except TimeoutError:
            raise LocalError(f"{endpoint} did not answer within {ANSWER_S:g} s; is it overloaded?") from None
        answer = control.decode_down(payload) if payload else None
        if isinstance(answer, Stats):
            return answer
        if isinstance(answer, control.Refused):
            raise LocalError(f"{endpoint} refused: {answer.text}")
        raise LocalError(f"{endpoint} closed the connection instead of answering")
    finally:
        stream.close()
        await stream.closed()
