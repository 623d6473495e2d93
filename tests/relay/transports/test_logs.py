"""Logs: of each kind of flood one line a minute, with a count. Lines about a session stay complete.

A log that can't be written costs one line.
"""

import asyncio
import contextlib
import errno
import logging
import re
import resource
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from relay.transports import logs
from relay.transports.logs import FLOODABLE, OneAMinute
from tests.house.test_layering import SOURCES
from tests.worlds.commands import ENDS_S, own_user, relay


class Written:
    """Captured log lines that have passed a OneAMinute filter. The filter's clock is the attribute now_s."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.now_s = 100.0
        self.filter = OneAMinute(lambda: self.now_s)
        self._caplog = caplog
        caplog.handler.addFilter(self.filter)
        caplog.set_level(logging.DEBUG)

    def lines(self) -> list[str]:
        found = [record.getMessage() for record in self._caplog.records]
        self._caplog.clear()
        return found


@pytest.fixture
def written(caplog: pytest.LogCaptureFixture):
    made = Written(caplog)
    yield made
    caplog.handler.removeFilter(made.filter)


def log_of(name: str) -> logging.Logger:
    assert name in FLOODABLE
    return logging.getLogger(name)


def test_what_can_be_flooded_are_loggers_that_there_are() -> None:
    assert FLOODABLE - {"asyncio"} <= SOURCES.keys()
    for name in FLOODABLE - {"asyncio"}:
        assert "log = logging.getLogger(__name__)" in SOURCES[name].read_text("utf-8")


def test_bad_lengths_are_one_line_a_minute_with_a_number(written: Written) -> None:
    tls = log_of("relay.transports.tls")
    for peer in range(710):
        tls.info("stream closed peer=%s reason=malformed detail=%s", peer, f"{peer} bytes")
    assert written.lines() == ["stream closed peer=0 reason=malformed detail=0 bytes"]
    written.now_s += 60.0
    tls.info("stream closed peer=%s reason=malformed detail=%s", "last", "9 bytes")
    assert written.lines() == [
        "stream closed peer=last reason=malformed detail=9 bytes (and 709 more like it before)"
    ]


def test_sends_to_a_peer_that_is_gone_are_one_line_a_minute(written: Written) -> None:
    for _ in range(1964):
        log_of("asyncio").warning("socket.send() raised exception.")
    assert written.lines() == ["socket.send() raised exception."]


def test_one_kind_hides_no_other(written: Written) -> None:
    def raised(by: int) -> Exception:
        try:
            if by:
                raise ValueError("one")
            raise ValueError("two")
        except ValueError as error:
            return error

    log = log_of("relay.shells.service")
    for _ in range(3):
        log.info("stream closed peer=%s reason=silent", "p")
        log.info("stream closed peer=%s reason=no-member", "p")
        for by in (0, 1):
            log.error("our fault", exc_info=raised(by))
    assert len(written.lines()) == 4, "an error of another place is another kind"


def test_the_story_of_a_session_and_what_is_asked_for_to_debug_are_whole(written: Written) -> None:
    for room in range(3):
        logging.getLogger("relay.room.room").info("lead changed room=%s", room)
        log_of("relay.shells.service").debug("< %s", room)
    assert len(written.lines()) == 6


async def test_the_number_is_told_though_no_other_line_comes(written: Written) -> None:
    for _ in range(4):
        log_of("asyncio").warning("socket.send() raised exception.")
    written.now_s += 59.999
    written.lines()
    written.filter.tell_rest()  # too early: it sets a timer for the rest of the minute
    assert written.lines() == []
    written.now_s += 0.001
    async with asyncio.timeout(ENDS_S):
        while not (lines := written.lines()):
            await asyncio.sleep(0.005)
    assert lines == ["and 3 more like this: socket.send() raised exception."]


def test_at_the_end_every_number_is_told(written: Written) -> None:
    for _ in range(2):
        log_of("asyncio").warning("socket.send() raised exception.")
    written.lines()
    written.filter.tell_rest(at_end=True)
    assert written.lines() == ["and 1 more like this: socket.send() raised exception."]


def test_too_many_open_files_are_told_in_a_line_with_what_to_do(written: Written) -> None:
    loop = asyncio.new_event_loop()
    written.lines()  # which selector it has
    for _ in range(128):
        error = OSError(errno.EMFILE, "Too many open files")
        logs.on_fault(loop, {"message": "socket.accept() out of system resource", "exception": error})
    loop.close()
    (line,) = written.lines()
    assert line.startswith("no connection can be taken in for now: Too many open files")
    assert "ulimit -n" in line


@pytest.mark.parametrize("place", ["/dev/full", "{folder}/gone/bridge.log"])
def test_a_log_that_cannot_be_written_costs_one_line_and_no_more(place: str, tmp_path: Path) -> None:
    program = (
        "import logging, sys; from pathlib import Path; from relay.transports import logs\n"
        "logs.begin('INFO', who='bridge: ', path=Path(sys.argv[1]))\n"
        "for count in range(100): logging.getLogger('bridge.shells.service').debug('%s', count)\n"
        "for count in range(2): logging.getLogger('bridge.shells.service').info('line %s', count)\n"
    )
    command = [logs.sys.executable, "-c", program, place.format(folder=tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=ENDS_S)
    assert done.returncode == 0
    if place == "/dev/full":
        assert done.stderr == "the log can't be written: No space left on device; lines of it are lost\n"
    else:
        first, *rest = done.stderr.splitlines()
        assert "the log is here, since" in first
        assert "gone/bridge.log can't be written: No such file or directory" in first
        assert [line.split(" ", 2)[2] for line in rest] == ["INFO bridge: line 0", "INFO bridge: line 1"]


def test_100_idle_connections_at_64_open_files_are_a_line_a_minute_and_no_traceback(tmp_path: Path) -> None:
    env = own_user(tmp_path)
    with relay(env, tmp_path / "data") as (process, port), contextlib.ExitStack() as idle:
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (64, 64))
        for _ in range(100):
            idle.enter_context(socket.create_connection(("127.0.0.1", port)))
        # asyncio tries accept() 100 times in a row, of which at most 64 succeed, and again a second later.
        assert process.stderr is not None
        said = []
        while not said or "Too many open files" not in said[-1]:
            said.append(process.stderr.readline())
            assert said[-1], said
        process.send_signal(signal.SIGTERM)
        said += process.communicate(timeout=ENDS_S)[1].splitlines()
    assert process.returncode == 0
    flood = [line for line in said if "Too many open files" in line]
    assert len(flood) == 2
    assert len(said) <= 6, said
    counted = re.search(r"and (\d+) more like this", flood[1])
    assert counted is not None
    assert int(counted[1]) >= 30
