"""Connections to a relay that ask a single question: for statistics, or whether a bridge would be admitted.

A shell.
"""

import asyncio

from relay.transports import tls
from relay.transports.pins import KnownRelays
from relay.wire import control
from relay.wire.endpoint import Endpoint
from relay.wire.errors import LocalError, MalformedControl
from relay.wire.stats import Stats
from relay.wire.version import PROTOCOL_VERSION

ANSWER_S = 3.0


async def ask_stats(endpoint: Endpoint, pins: KnownRelays, *, room: str | None = None) -> Stats:
    """Return the statistics of one room of the relay at `endpoint`; of all rooms if `room` is None.

    Raises LocalError, with a text for people, if there is no proper answer.
    """
    answer = await _ask(endpoint, pins, control.StatsRequest(room=room))
    if isinstance(answer, Stats):
        return answer
    raise LocalError(f"{endpoint} says {type(answer).__name__} where statistics were expected")


async def ask_admission(
    endpoint: Endpoint, pins: KnownRelays, *, room: str, name: str, software: str
) -> control.Admission:
    """Ask the relay at `endpoint` whether it would admit this bridge to a room now. Return the room's
    members.

    The question takes no slot. Raises LocalError, with a text for people, if the bridge would be refused or
    no answer comes.
    """
    hello = control.Hello(protocol=PROTOCOL_VERSION, software=software, room=room, name=name, ask_only=True)
    answer = await _ask(endpoint, pins, hello)
    if isinstance(answer, control.Admission):
        return answer
    raise LocalError(f"{endpoint} says {type(answer).__name__} where an Admission was expected")


async def _ask(endpoint: Endpoint, pins: KnownRelays, question: control.Up) -> control.Down:
    """Connect to a relay, ask one question, and return the answer. Raises LocalError if no answer comes or it
    is a refusal."""
    stream = await tls.connect(endpoint, pins=pins)
    try:
        stream.send(control.encode(question))
        try:
            async with asyncio.timeout(ANSWER_S):
                payload = await stream.receive()
            answer = control.decode_down(payload) if payload is not None else None
        except TimeoutError:
            raise LocalError(f"{endpoint} did not answer within {ANSWER_S:g} s; is it overloaded?") from None
        except MalformedControl as error:
            raise LocalError(
                f"{endpoint} can't be understood ({error}); is its version of jamrelay the same as yours?"
            ) from None
        if answer is None:
            raise LocalError(f"{endpoint} closed the connection instead of answering")
        if isinstance(answer, control.Refused):
            raise LocalError(f"{endpoint} says: {answer.text}")
        return answer
    finally:
        stream.close()
        await stream.closed()
