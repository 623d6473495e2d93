"""Fetcher: whatever chunks come, only a whole file with the listed content is returned."""

import hashlib
from dataclasses import replace
from random import Random

import pytest

from bridge.stock.fetcher import AGAIN_S, AHEAD, PATIENCE_S, SPOILED_MAX, Fetched, Fetcher
from relay.wire.control.stock import CHUNK_BYTES, Want
from relay.wire.stock import STOCK, StockFile

CONTENT = Random(5).randbytes(5 * CHUNK_BYTES + 1234)
BEAT = replace(
    STOCK["samples/arovane_beat_a.flac"][0], sha256=hashlib.sha256(CONTENT).digest(), size=len(CONTENT)
)
SMALL = Random(6).randbytes(900)
KALIMBA = replace(
    STOCK["synthdefs/sonic-pi-kalimba"][0], sha256=hashlib.sha256(SMALL).digest(), size=len(SMALL)
)


def fetching(*files: StockFile) -> Fetcher:
    fetcher = Fetcher()
    for file in files:
        fetcher.want(file)
    return fetcher


def chunk(offset: int) -> bytes:
    return CONTENT[offset : offset + CHUNK_BYTES]


def offsets(wants: list[Want]) -> list[int]:
    return [want.offset for want in wants]


def run(fetcher: Fetcher, spoil: int | None = None) -> list[Fetched]:
    """Answer the fetcher's requests; return the files. spoil: the offset of a chunk that has wrong bytes."""
    found = []
    for _ in range(20):
        for want in fetcher.wants(1.0):
            data = chunk(want.offset) if want.offset != spoil else bytes(len(chunk(want.offset)))
            found += filter(None, [fetcher.came(BEAT, want.offset, data, 1.0)])
    return found


def test_a_file_comes_whole_with_no_more_than_a_window_of_chunks_asked_for() -> None:
    fetcher = fetching(BEAT)
    assert offsets(fetcher.wants(1.0)) == [number * CHUNK_BYTES for number in range(AHEAD)]
    assert fetcher.wants(1.0) == []
    assert fetcher.percent(BEAT.name) == 0
    assert fetcher.came(BEAT, 0, chunk(0), 1.1) is None
    assert offsets(fetcher.wants(1.1)) == [AHEAD * CHUNK_BYTES]
    assert fetcher.percent(BEAT.name) == 100 * CHUNK_BYTES // BEAT.size
    for number in range(1, 5):
        assert fetcher.came(BEAT, number * CHUNK_BYTES, chunk(number * CHUNK_BYTES), 1.2) is None
    (last,) = fetcher.wants(1.2)
    assert fetcher.came(BEAT, last.offset, chunk(last.offset), 1.2) == Fetched(BEAT, CONTENT)
    assert len(fetcher) == 0
    assert fetcher.wants(99.0) == []
    assert fetcher.named() == {"fetched": 1, "fetch_spoiled": 0, "fetch_refused": 0}


def test_chunks_that_come_in_another_order_are_put_in_theirs() -> None:
    fetcher = fetching(BEAT)
    for offset in reversed(offsets(fetcher.wants(1.0))):
        fetcher.came(BEAT, offset, chunk(offset), 1.0)
    assert run(fetcher) == [Fetched(BEAT, CONTENT)]


@pytest.mark.parametrize("data", [b"", chunk(0) + b"x", chunk(0)[1:]])
def test_a_chunk_of_another_length_is_refused(data: bytes) -> None:
    fetcher = fetching(BEAT)
    wants = fetcher.wants(1.0)
    assert fetcher.came(BEAT, 0, data, 1.0) is None
    assert fetcher.refused == 1
    for offset in offsets(wants):
        fetcher.came(BEAT, offset, chunk(offset), 1.0)
    assert run(fetcher) == [Fetched(BEAT, CONTENT)], "its place was still open"


def test_chunks_that_nobody_asked_for_are_refused() -> None:
    fetcher = fetching(BEAT)
    for file, offset in ((BEAT, 0), (KALIMBA, 0), (None, 0)):
        assert fetcher.came(file, offset, chunk(0), 1.0) is None
    fetcher.wants(1.0)
    for offset in (1, AHEAD * CHUNK_BYTES):
        assert fetcher.came(BEAT, offset, chunk(offset), 1.0) is None
    assert fetcher.came(BEAT, 0, chunk(0), 1.0) is None
    assert fetcher.came(BEAT, 0, chunk(0), 1.0) is None
    assert fetcher.refused == 6


def test_a_file_with_another_content_is_thrown_away_and_asked_for_as_spoiled() -> None:
    fetcher = fetching(BEAT)
    wants = fetcher.wants(1.0)
    while wants:
        want = wants.pop(0)
        assert not want.spoiled
        assert fetcher.came(BEAT, want.offset, bytes(len(chunk(want.offset))), 1.0) is None
        if fetcher.spoiled:
            break
        wants += fetcher.wants(1.0)
    assert fetcher.spoiled == 1
    again = fetcher.wants(1.0)
    assert [want.spoiled for want in again] == [True] + [False] * (AHEAD - 1)
    for want in again:
        fetcher.came(BEAT, want.offset, chunk(want.offset), 1.0)
    assert run(fetcher) == [Fetched(BEAT, CONTENT)]


def test_a_file_that_is_spoiled_again_and_again_is_left_for_a_while() -> None:
    fetcher = fetching(BEAT)
    assert run(fetcher, spoil=CHUNK_BYTES) == []
    assert fetcher.spoiled == SPOILED_MAX
    assert fetcher.wants(1.0 + AGAIN_S - 1) == []
    assert fetcher.wants(1.0 + AGAIN_S) != []


def test_what_nobody_gives_is_asked_for_again_later_and_does_not_hold_up_others() -> None:
    fetcher = fetching(BEAT, KALIMBA)
    fetcher.wants(1.0)
    assert fetcher.no_donor(KALIMBA, 1.0)
    assert not fetcher.no_donor(KALIMBA, 1.0)
    assert {want.name for want in fetcher.wants(1.0)} == {BEAT.name}
    assert not fetcher.want(KALIMBA), "it is asked for again by itself"
    assert {want.name for want in fetcher.wants(1.0 + AGAIN_S)} == {KALIMBA.name}


def test_synthdefs_come_before_samples_even_before_one_that_is_on_its_way() -> None:
    fetcher = fetching(BEAT)
    offset = fetcher.wants(1.0)[0].offset
    fetcher.came(BEAT, offset, chunk(offset), 1.0)
    fetcher.want(KALIMBA)
    assert {want.name for want in fetcher.wants(1.0)} == {KALIMBA.name}
    assert fetcher.came(KALIMBA, 0, SMALL, 1.0) == Fetched(KALIMBA, SMALL)
    again = fetcher.wants(1.0)
    assert offsets(again) == [number * CHUNK_BYTES for number in range(1, AHEAD + 1)], "at once"
    for offset in offsets(again):
        fetcher.came(BEAT, offset, chunk(offset), 1.0)
    assert run(fetcher) == [Fetched(BEAT, CONTENT)], "what had come of it is kept"


def test_what_does_not_come_is_asked_for_again() -> None:
    fetcher = fetching(BEAT)
    first = fetcher.wants(1.0)
    fetcher.came(BEAT, CHUNK_BYTES, chunk(CHUNK_BYTES), 2.0)
    assert fetcher.wants(2.0 + PATIENCE_S - 0.1) == []
    again = offsets(fetcher.wants(2.0 + PATIENCE_S))
    assert again == [offset for offset in offsets(first) if offset != CHUNK_BYTES]


def test_a_new_connection_is_asked_for_what_the_old_one_owed() -> None:
    fetcher = fetching(BEAT)
    first = fetcher.wants(1.0)
    fetcher.connected()
    assert fetcher.wants(1.0) == first
