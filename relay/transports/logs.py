"""Logs of our processes: neither a flood of lines nor a full disk disturbs the program.

A shell, for relay and bridge. Strangers can make some loggers (FLOODABLE) write any number of lines. These
loggers write only one line a minute of each kind, with the count of those held back. A line that can't be
written is lost.
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
"""Names of the loggers that strangers, or a lack of resources, can make write any number of lines. All other
loggers write every line."""

_SHORT_OF = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
"""Error numbers of accept() which mean that the system can't open another connection."""


class OneAMinute(logging.Filter):
    """A log filter. It passes one line a minute of each kind from the FLOODABLE loggers, and logs how many it
    held back.

    Lines are of one kind if they come from the same place in the program. The place is recognized by the text
    before values are filled in, and by where the logged error was raised.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now_s = now_s
        self._throttle = Throttle()
        self._timer: asyncio.TimerHandle | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a line may be written. The count of similar lines held back before is appended to
        it."""
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
        """Log how many lines were held back, for each kind whose minute is over. at_end: whether to do so for
        every kind."""
        self._timer = None
        for text, held in self._throttle.overdue(math.inf if at_end else self._now_s()):
            log.warning("and %d more like this: %s", held, text)
        if not at_end:
            self._tell_later()

    def _tell_later(self) -> None:
        """Set a timer, so that the count of lines held back is logged even if no further line comes."""
        next_s = self._throttle.next_overdue_s()
        if next_s is None or self._timer is not None:
            return
        with contextlib.suppress(RuntimeError):  # no running loop: the exit handler reports it
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, next_s - self._now_s()), self.tell_rest)


def begin(level: str, *, who: str = "", path: Path | None = None) -> None:
    """Start this process's log.

    level: the least level that is logged. who: text that each line has after its time and level. path: the
    file to append to. If path is None or the file can't be opened, the log goes to stderr.
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
    """Log an exception that no code caught. A handler for asyncio's set_exception_handler.

    It writes less than asyncio's own handler, which writes a dozen lines for each exception. When the system
    can't open another connection, asyncio calls the handler a hundred times in a row.
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
    """A log handler that drops lines it can't write, and reports that once on stderr.

    The handlers of Python's logging would print a traceback for each such line.
    """

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
