"""Logs of our processes, so that neither a flood of lines nor a full disk gets in the way of what runs.

A shell, for relay and bridge. Of what anybody can cause any number of times (FLOODABLE) one line a minute and
kind is written, with the number of the others; a line that can't be written is lost.
"""

import asyncio
import atexit
import contextlib
import errno
import logging
import math
import sys
import time
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

from relay.wire.throttle import Throttle

log = logging.getLogger(__name__)

FLOODABLE = frozenset({"asyncio", "relay.shells.service", "relay.transports.tls"})
"""Loggers whose lines follow from what strangers do or the system lacks; others tell a session's story."""

_SHORT_OF = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
"""What accept() says when there is no room for another connection."""


class OneAMinute(logging.Filter):
    """Holds back what FLOODABLE loggers say of one kind within a minute; its number is told after that.

    A kind is a line of the program: its words before anything is filled in, and the place of its error.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now_s = now_s
        self._throttle = Throttle()
        self._timer: asyncio.TimerHandle | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line may pass; one that does says how many didn't."""
        if record.name not in FLOODABLE or record.levelno < logging.INFO:
            return True
        text = record.getMessage()
        held = self._throttle.take(_kind(record), text.partition("\n")[0], self._now_s())
        if held is None:
            self._tell_later()
            return False
        if held:
            record.msg, record.args = f"{text} (and {held} more like it before)", None
        return True

    def tell_rest(self, *, at_end: bool = False) -> None:
        """Say how many lines were held back, of each kind whose minute is over; at the end, of all."""
        self._timer = None
        for text, held in self._throttle.overdue(math.inf if at_end else self._now_s()):
            log.warning("and %d more like this: %s", held, text)
        if not at_end:
            self._tell_later()

    def _tell_later(self) -> None:
        """See to it that the number is told even if no other line comes."""
        next_s = self._throttle.next_overdue_s()
        if next_s is None or self._timer is not None:
            return
        with contextlib.suppress(RuntimeError):  # no loop runs here: it is told at the end
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, next_s - self._now_s()), self.tell_rest)


def begin(level: str, *, who: str = "", path: Path | None = None) -> None:
    """Write this process's log to a file, which is added to, or to stderr; to stderr if the file can't be.

    who: what a line begins with, after its time and level.
    """
    handler: logging.Handler = _ToStream()
    trouble: OSError | None = None
    if path is not None:
        try:
            handler = _ToFile(path)
        except OSError as error:
            trouble = error
    throttled = OneAMinute()
    handler.addFilter(throttled)
    form = f"%(asctime)s %(levelname)s {who}%(message)s"
    logging.basicConfig(level=level, format=form, handlers=[handler])
    atexit.register(throttled.tell_rest, at_end=True)
    if trouble is not None:
        log.warning("the log is here, since %s can't be written: %s", path, trouble.strerror)


def on_fault(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an exception that nobody caught; fit for asyncio's exception handler.

    asyncio's own takes a dozen lines for it, and a system without room for another connection has it call a
    hundred times in a row.
    """
    error: BaseException | None = context.get("exception")
    floodable = logging.getLogger("asyncio")
    if isinstance(error, OSError) and error.errno in _SHORT_OF:
        floodable.warning(
            "no connection can be taken in for now: %s; those that are open go on. Allow more open files "
            "(ulimit -n 4096; systemd: LimitNOFILE=4096) and start this again, or find who holds them",
            error.strerror,
        )
        return
    floodable.error("our fault: %s", context.get("message"), exc_info=error)


class _Losing(logging.Handler):
    """A handler that loses what it can't write, where logging's own prints a traceback for every line."""

    _told = False

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._told:
            self._told = True
            with contextlib.suppress(OSError, AttributeError):  # no stderr
                sys.stderr.write(f"the log can't be written: {error.strerror}; lines of it are lost\n")


class _ToStream(_Losing, logging.StreamHandler[Any]):
    pass


class _ToFile(_Losing, logging.FileHandler):
    pass


def _kind(record: logging.LogRecord) -> Hashable:
    error = record.exc_info[1] if record.exc_info else None
    place = None
    if error is not None and error.__traceback__ is not None:
        innermost = error.__traceback__
        while innermost.tb_next is not None:
            innermost = innermost.tb_next
        place = (innermost.tb_frame.f_code.co_filename, innermost.tb_lineno)
    words = str(record.msg).partition("\n")[0]
    return record.name, record.levelno, words, type(error), place
