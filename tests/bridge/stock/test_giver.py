"""Giver: only listed files that this host has are sent, at a limited rate, however many requests come."""

from pathlib import Path

from bridge.file_jobs import ReadPart
from bridge.stock.giver import RATE_BITS, REQUESTS_MAX, Giver
from relay.wire.control.stock import CHUNK_BYTES, Chunk, Give
from relay.wire.stock import STOCK, StockFile

BEAT = STOCK["samples/arovane_beat_a.flac"][0]
ROOT = Path("/sonic-pi")


def give(offset: int = 0, file: StockFile = BEAT) -> Give:
    return Give(name=file.name, sha256=file.sha256, offset=offset)


def test_a_chunk_is_read_with_its_length() -> None:
    giver = Giver()
    assert giver.asked(give(), {BEAT}) == []
    assert giver.reads(ROOT, 1.0) == [ReadPart(BEAT, ROOT, 0, CHUNK_BYTES)]
    last = BEAT.size - BEAT.size % CHUNK_BYTES
    giver.asked(give(last), {BEAT})
    assert giver.reads(ROOT, 2.0) == [ReadPart(BEAT, ROOT, last, BEAT.size - last)]
    assert giver.next_at_s() is None


def test_what_is_not_here_or_on_no_list_is_not_read() -> None:
    giver = Giver()
    other = give()
    unlisted = Give(name="samples/mine.flac", sha256=bytes(32), offset=0)
    for asked, has in ((other, set()), (unlisted, {BEAT}), (give(BEAT.size), {BEAT})):
        (answer,) = giver.asked(asked, has)
        assert answer == Chunk(name=asked.name, sha256=asked.sha256, offset=asked.offset, data=b"")
    assert giver.reads(ROOT, 1.0) == []
    assert giver.refused == 3


def test_however_much_is_asked_for_the_uplink_carries_no_more_than_the_rate() -> None:
    giver, sent, now_s = Giver(), 0, 10.0
    for step in range(1_000):  # 10 s
        for number in range(50):
            giver.asked(give((step * 50 + number) % 200 * CHUNK_BYTES), {BEAT})
        sent += sum(job.length for job in giver.reads(ROOT, now_s))
        assert len(giver._requests) <= REQUESTS_MAX
        now_s += 0.01
    assert 0.9 * RATE_BITS < 8 * sent / 10.0 <= RATE_BITS + 8 * CHUNK_BYTES / 10.0


def test_a_new_connection_has_no_old_requests() -> None:
    giver = Giver()
    giver.asked(give(), {BEAT})
    giver.forget()
    assert giver.reads(ROOT, 1.0) == []
