"""The reply pacer: at most one reply a millisecond once many are waiting."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bridge.tap.reply_pacer
from bridge.shells.socket_backlog import TABLE, parse, unread_bytes
from bridge.tap.reply_pacer import ASK_EVERY, SPACING_NS, UNREAD_BYTES_MAX, Pacer


def drain(pacer: Pacer, now_ns: int) -> list[tuple[int, bytes]]:
    """Send all waiting replies by the pacer's own wake-ups; return (instant in ns, reply)."""
    sent = [(now_ns, reply) for reply in pacer.due(now_ns)]
    while (wakeup_ns := pacer.next_wakeup_ns()) is not None:
        assert wakeup_ns > now_ns, "would be woken for ever"
        now_ns = wakeup_ns
        sent += [(now_ns, reply) for reply in pacer.due(now_ns)]
    return sent


def test_a_single_reply_goes_at_once() -> None:
    pacer = Pacer()
    pacer.push(b"x")
    assert pacer.due(5 * SPACING_NS) == [b"x"]
    assert pacer.next_wakeup_ns() is None


def test_500_replies_of_a_stop_take_half_a_second_in_order() -> None:
    pacer = Pacer()
    replies = [b"%d" % number for number in range(500)]
    for reply in replies:
        pacer.push(reply)
    sent = drain(pacer, 10**9)
    assert [reply for _, reply in sent] == replies
    assert 0.49e9 < sent[-1][0] - 10**9 < 0.5e9


@given(st.lists(st.tuples(st.integers(0, 5 * SPACING_NS), st.integers(1, 8)), max_size=30))
def test_no_window_of_n_ms_holds_more_than_n_plus_3_replies(bursts: list[tuple[int, int]]) -> None:
    pacer, now_ns, sent = Pacer(), 10**9, []
    for wait_ns, count in bursts:
        now_ns += wait_ns
        for _ in range(count):
            pacer.push(b"x")
        sent += [now_ns] * len(pacer.due(now_ns))
    sent += [at_ns for at_ns, _ in drain(pacer, now_ns)]
    for index, at_ns in enumerate(sent):
        for later in range(index, len(sent)):
            assert later - index + 1 <= (sent[later] - at_ns) / SPACING_NS + 3


def test_an_overflow_goes_at_once_and_does_not_delay_the_rest(monkeypatch) -> None:
    monkeypatch.setattr(bridge.tap.reply_pacer, "QUEUED_MAX", 10)
    pacer = Pacer()
    for number in range(100):
        pacer.push(b"%d" % number)
    assert len(pacer.due(10**9)) >= 90
    assert drain(pacer, 10**9)[-1][0] - 10**9 <= 10 * SPACING_NS


def test_while_sonic_pi_reads_nothing_it_is_sent_nothing_more_and_all_of_it_afterwards() -> None:
    pacer, now_ns, sent, unread_bytes = Pacer(), 10**9, 0, 0
    for _ in range(400):
        pacer.push(b"x")
    for ms in range(2000):
        now_ns = 10**9 + ms * SPACING_NS
        if pacer.asks:
            pacer.unread(unread_bytes, now_ns)
        came = len(pacer.due(now_ns))
        sent += came
        unread_bytes += came * 832 if ms < 500 else -min(832, unread_bytes)
        assert unread_bytes < UNREAD_BYTES_MAX + (ASK_EVERY + 3) * 832
    assert sent == 400


def test_the_kernels_table_is_read_by_port() -> None:
    table = (
        b"   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid \n"
        b"   67: 0100007F:C79D 00000000:0000 07 00000000:0002D180 00:00000000 00000000  0  0 7 2 0 38\n"
        b"   68: 0100007F:C79E 00000000:0000 07 00000000:00000000 00:00000000 00000000  0  0 8 2 0 0\n"
        b"   69: broken\n"
    )
    assert parse(table, 0xC79D) == 0x2D180
    assert parse(table, 0xC79E) == 0
    assert parse(table, 1) == 0


@pytest.mark.skipif(not TABLE.exists(), reason="only Linux has such a table")
def test_what_lies_in_a_socket_of_this_host_is_seen() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
        assert unread_bytes(port) == 0
        for _ in range(3):
            one.sendto(b"x" * 100, ("127.0.0.1", port))
        assert unread_bytes(port) >= 300
