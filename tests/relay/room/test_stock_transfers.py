"""Stock transfers: whom the relay asks for a chunk, how often, and what it does with bad answers."""

from relay.room.stock_transfers import (
    AT_ONCE,
    OVERDUE,
    RATE_BITS,
    SILENT,
    SPARED_FOR,
    WINDOW,
    Ask,
    Deny,
    Transfers,
    length_at,
)
from relay.wire.control.stock import CHUNK_BYTES
from relay.wire.stock import STOCK
from relay.wire.timetag import TICKS_PER_S, ticks

CHOIR = STOCK["samples/ambi_choir.flac"][0]
BEAT = STOCK["samples/arovane_beat_a.flac"][0]
KALIMBA = STOCK["synthdefs/sonic-pi-kalimba"][0]
ASKER, OTHER, DONOR, SECOND = 1, 2, 5, 6
AT = 1 << 60


def full(offset: int = 0) -> bytes:
    return bytes(length_at(CHOIR, offset))


def asked(said: list[Ask | Deny]) -> list[tuple[int, int]]:
    return [(one.slot, one.offset) for one in said if isinstance(one, Ask)]


def transfers(*donors: int) -> Transfers:
    return Transfers(lambda file: donors)


def test_a_chunk_is_asked_of_a_donor_and_its_answer_goes_to_who_wants_it() -> None:
    jam = transfers(DONOR)
    assert jam.want(ASKER, CHOIR, 0)
    assert jam.wake(AT) == [Ask(DONOR, CHOIR, 0)]
    assert jam.wake(AT) == [], "once"
    assert jam.came(DONOR, CHOIR, 0, full(), AT) == [ASKER]
    assert jam.came(DONOR, CHOIR, 0, full(), AT) is None, "nobody asked for it twice"
    assert jam.next_wakeup() is None


def test_nobody_is_asked_for_what_they_want_themselves() -> None:
    jam = transfers(ASKER)
    jam.want(ASKER, CHOIR, 0)
    assert jam.wake(AT) == [Deny(ASKER, CHOIR)]


def test_requests_outside_of_the_file_or_beyond_the_window_are_refused() -> None:
    jam = transfers(DONOR)
    assert not jam.want(ASKER, CHOIR, 1)
    assert not jam.want(ASKER, CHOIR, CHOIR.size + CHUNK_BYTES - CHOIR.size % CHUNK_BYTES)
    assert not jam.want(ASKER, KALIMBA, 2 * CHUNK_BYTES)
    for number in range(WINDOW):
        assert jam.want(ASKER, CHOIR, number * CHUNK_BYTES)
    assert jam.want(ASKER, CHOIR, 0), "the same again is no further one"
    assert not jam.want(ASKER, CHOIR, WINDOW * CHUNK_BYTES)
    assert len(jam._pieces) == WINDOW


def test_a_flood_of_requests_for_all_files_leaves_no_more_than_one_window() -> None:
    jam = transfers(DONOR)
    for contents in STOCK.values():
        for file in contents:
            for offset in range(0, file.size, CHUNK_BYTES):
                jam.want(ASKER, file, offset)
    assert len(jam._pieces) <= WINDOW
    assert len(jam._askers) == 1


def test_all_chunks_of_a_room_together_keep_the_rate_and_each_copy_counts() -> None:
    for askers, copies in (((ASKER,), 1), ((ASKER, OTHER), 2)):
        jam = transfers(DONOR, SECOND)
        sent, now, offset = 0, AT, dict.fromkeys(askers, 0)
        for _ in range(2_000):  # 10 s
            for slot in askers:
                while offset[slot] < CHOIR.size and jam.want(slot, CHOIR, offset[slot]):
                    offset[slot] += CHUNK_BYTES
                if offset[slot] >= CHOIR.size:
                    offset[slot] = 0
            for one in jam.wake(now):
                assert isinstance(one, Ask)
                for _ in jam.came(one.slot, CHOIR, one.offset, full(one.offset), now) or ():
                    sent += length_at(CHOIR, one.offset)
            now += ticks(0.005)
        bits_s = 8 * sent / ((now - AT) / TICKS_PER_S)
        assert bits_s <= RATE_BITS * 1.02
        assert bits_s > RATE_BITS * 0.8, f"{copies} copies"


def test_a_silent_donor_is_left_for_another_and_not_asked_for_that_file_for_a_while() -> None:
    jam = transfers(DONOR, SECOND)
    jam.want(ASKER, CHOIR, 0)
    assert asked(jam.wake(AT)) == [(DONOR, 0)]
    assert jam.next_wakeup() == AT + SILENT
    assert jam.wake(AT + SILENT - 1) == []
    assert asked(jam.wake(AT + SILENT)) == [(SECOND, 0)]
    assert jam.came(DONOR, CHOIR, 0, full(), AT + SILENT) == [], "too late, but no offence"
    assert jam.came(DONOR, CHOIR, 0, full(), AT + SILENT) is None, "once"
    assert jam.wake(AT + 2 * SILENT) == [Deny(ASKER, CHOIR)]
    jam.want(ASKER, CHOIR, 0)
    assert asked(jam.wake(AT + 2 * SILENT + SPARED_FOR)) == [(DONOR, 0)]


def test_what_is_answered_after_its_asker_wants_another_file_goes_nowhere_and_is_no_offence() -> None:
    jam = transfers(DONOR)
    jam.want(ASKER, CHOIR, 0)
    jam.wake(AT)
    jam.want(ASKER, KALIMBA, 0)
    assert jam.came(DONOR, CHOIR, 0, full(), AT) == []
    jam.want(ASKER, CHOIR, 0)
    jam.wake(AT + TICKS_PER_S)
    jam.want(ASKER, KALIMBA, 0)
    jam.wake(AT + TICKS_PER_S + OVERDUE)
    assert jam.came(DONOR, CHOIR, 0, full(), AT + TICKS_PER_S + OVERDUE) is None
    assert not jam._overdue


def test_a_donor_without_the_file_is_left_at_once() -> None:
    jam = transfers(DONOR, SECOND)
    jam.want(ASKER, CHOIR, 0)
    jam.wake(AT)
    assert jam.came(DONOR, CHOIR, 0, b"", AT) == []
    assert asked(jam.wake(AT + TICKS_PER_S)) == [(SECOND, 0)]


def test_a_chunk_of_another_length_is_refused_and_another_donor_asked() -> None:
    jam = transfers(DONOR, SECOND)
    jam.want(ASKER, CHOIR, 0)
    jam.wake(AT)
    assert jam.came(DONOR, CHOIR, 0, full() + b"x", AT) is None
    assert asked(jam.wake(AT + TICKS_PER_S)) == [(SECOND, 0)]


def test_nothing_is_taken_of_who_was_not_asked() -> None:
    jam = transfers(DONOR)
    jam.want(ASKER, CHOIR, 0)
    jam.wake(AT)
    assert jam.came(SECOND, CHOIR, 0, full(), AT) is None
    assert jam.came(DONOR, CHOIR, CHUNK_BYTES, full(CHUNK_BYTES), AT) is None


def test_who_gave_another_content_is_not_asked_again_by_who_got_it() -> None:
    jam = transfers(DONOR, SECOND)
    jam.want(ASKER, KALIMBA, 0)
    jam.wake(AT)
    jam.came(DONOR, KALIMBA, 0, bytes(length_at(KALIMBA, 0)), AT)
    jam.want(ASKER, KALIMBA, 0, spoiled=True)
    assert asked(jam.wake(AT + TICKS_PER_S)) == [(SECOND, 0)]
    jam.want(OTHER, KALIMBA, 0)
    assert asked(jam.wake(AT + 2 * TICKS_PER_S)) == [(DONOR, 0)], "one member's word counts for it alone"


def test_two_who_want_the_same_chunk_get_it_from_one_answer() -> None:
    jam = transfers(DONOR)
    jam.want(ASKER, CHOIR, 0)
    jam.want(OTHER, CHOIR, 0)
    assert asked(jam.wake(AT)) == [(DONOR, 0)]
    assert jam.came(DONOR, CHOIR, 0, full(), AT) == [ASKER, OTHER]


def test_not_more_chunks_are_under_way_than_needed_and_they_are_spread_over_the_donors() -> None:
    jam = transfers(DONOR, SECOND)
    for slot in (ASKER, OTHER):
        for number in range(WINDOW):
            assert jam.want(slot, CHOIR if slot == ASKER else BEAT, number * CHUNK_BYTES)
    said = [pair for step in range(100) for pair in asked(jam.wake(AT + step * ticks(0.02)))]
    assert len(said) == AT_ONCE
    assert {slot for slot, _ in said} == {DONOR, SECOND}


def test_who_leaves_is_neither_waited_for_nor_served() -> None:
    jam = transfers(DONOR, SECOND)
    jam.want(ASKER, CHOIR, 0)
    jam.wake(AT)
    jam.left(DONOR)
    assert asked(jam.wake(AT + TICKS_PER_S)) == [(DONOR, 0)], "the room's list of donors decides who is there"
    jam.left(ASKER)
    assert jam.came(DONOR, CHOIR, 0, full(), AT) == []
    jam.left(DONOR)
    assert not jam._overdue
    assert not jam._pieces
    assert not jam._askers
