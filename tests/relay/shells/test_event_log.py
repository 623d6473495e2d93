"""The event log: it writes whole lines, never delays the relay, and explains a full or hanging disk."""

import json
import os
import re
import resource
import time
from pathlib import Path

import pytest

from relay.shells import event_log
from relay.shells.event_log import EventLog
from relay.wire.errors import LocalError
from relay.wire.sequence import Flag, Judged, Kind
from tests.worlds.commands import ENDS_S

PAYLOAD = b"/n_set\0\0,i\0\0\0\0\0\7"


def verdicts(*numbers: int) -> list[tuple[str, Judged]]:
    return [("main", Judged(one, 1, one, 2**40, 10, Kind.TIMED, Flag.RETIMED, PAYLOAD)) for one in numbers]


def numbers_in(path: Path) -> list[int]:
    return [json.loads(line)["number"] for line in path.read_text("ascii").splitlines()]


def failure_of(log: EventLog, batch: int = 1) -> str:
    """Write batches of verdicts until the log refuses one; return the error's text."""
    deadline_s = time.monotonic() + ENDS_S
    while time.monotonic() < deadline_s:
        try:
            log.write(verdicts(*[1] * batch))
        except LocalError as error:
            return str(error)
        time.sleep(0.001)
    raise AssertionError("never refused")


def test_every_event_is_a_line_behind_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for batch in ((1, 2), (3,)):
        log = EventLog(path)
        log.write(verdicts(*batch))
        log.close()
    assert numbers_in(path) == [1, 2, 3]
    assert json.loads(path.read_text().splitlines()[0]) == {
        "room": "main", "number": 1, "slot": 1, "seq": 1, "due": 2**40, "kind": "TIMED", "flags": ["RETIMED"],
        "payload": PAYLOAD.hex(),
    }  # fmt: skip


def test_what_is_written_is_there_soon_without_a_close(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.write(verdicts(7))
    deadline_s = time.monotonic() + ENDS_S
    while numbers_in(path) != [7]:
        assert time.monotonic() < deadline_s
        time.sleep(0.005)
    log.close()


def test_a_place_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"can't write the event log .*: Is a directory"):
        EventLog(tmp_path)


def test_a_full_disk_is_told_with_what_to_do() -> None:
    text = failure_of(EventLog(Path("/dev/full")))
    assert text == (
        "can't write /dev/full: No space left on device; make room, and start the relay again to have a log"
    )


def test_a_full_disk_that_only_the_last_events_met_is_told_at_the_end() -> None:
    log = EventLog(Path("/dev/full"))
    log.write(verdicts(1))
    with pytest.raises(LocalError, match="No space left on device"):
        log.close()


def test_a_disk_that_fills_up_within_a_line_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        text = failure_of(log)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "File too large" in text
    assert 800 < path.stat().st_size <= 1000
    assert set(numbers_in(path)) == {1}
    again = EventLog(path)
    again.write(verdicts(2))
    again.close()
    assert numbers_in(path)[-2:] == [1, 2]


def test_a_disk_that_hangs_holds_nobody_up_and_takes_no_more_memory_than_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "WAITING_BYTES_MAX", 300_000)
    monkeypatch.setattr(event_log, "CLOSE_S", 0.05)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # and never reads
    try:
        log = EventLog(path)
        assert re.search(r"takes no more: [0-9,]{7} bytes wait; look what is wrong", failure_of(log, 100))
        with pytest.raises(LocalError, match=r"took nothing for 0\.05 s"):
            log.close()
    finally:
        os.close(reader)  # which ends the thread
