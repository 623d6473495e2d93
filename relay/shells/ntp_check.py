"""Compares the relay's clock with a public NTP server now and then.

A shell. ntplib's client blocks and opens a socket for each call, so it runs in a thread. The result is shown
and logged but never applied. All members share the relay's clock, so its error does no harm.
"""

import asyncio
import logging
import time
from collections.abc import Callable

import ntplib

from relay.wire.timetag import NTP_UNIX_OFFSET_S, TICKS_PER_S

log = logging.getLogger(__name__)

EVERY_S = 600.0
RETRY_S = 60.0
TIMEOUT_S = 5.0
WARN_MS = 100.0
"""An offset greater than this is logged as a warning, ms. Players don't hear such an offset, but logs and
recordings of different hosts no longer match."""


async def check_forever(
    server: str, session_now: Callable[[], int], on_offset: Callable[[float], None]
) -> None:
    """Ask the NTP server `server` ("HOST" or "HOST:PORT") for the time every ten minutes. If it doesn't
    answer, ask again after one minute.

    session_now: returns the session time, ticks. on_offset: called with the offset in ms; > 0 means that the
    server is ahead.
    """
    while True:
        offset_ms = await asyncio.to_thread(ask, server, session_now)
        if offset_ms is not None:
            on_offset(offset_ms)
        await asyncio.sleep(RETRY_S if offset_ms is None else EVERY_S)


def ask(server: str, session_now: Callable[[], int]) -> float | None:
    """Return by how many ms the NTP server is ahead of session time. < 0: it is behind. None: it doesn't
    answer."""
    host, _, port = server.partition(":")
    try:
        answer = ntplib.NTPClient().request(host, version=4, port=int(port or 123), timeout=TIMEOUT_S)
    except (ntplib.NTPException, OSError, ValueError) as error:
        log.warning("no time from ntp server=%s error=%s; is UDP 123 allowed out?", server, error)
        return None
    session_s = session_now() / TICKS_PER_S - NTP_UNIX_OFFSET_S
    offset_ms = (answer.offset + time.time() - session_s) * 1e3
    level = logging.WARNING if abs(offset_ms) > WARN_MS else logging.INFO
    log.log(
        level, "clock checked server=%s offset_ms=%.1f delay_ms=%.1f", server, offset_ms, answer.delay * 1e3
    )
    return float(offset_ms)
