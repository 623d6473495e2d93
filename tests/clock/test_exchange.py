import socket
import threading

import ntplib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clock.errors import BadSample
from clock.exchange import (
    TOLERANCE_TICKS,
    client_request,
    is_client_request,
    offset_and_delay,
    parse_answer,
    server_answer,
)

NOW = 3_990_000_000 << 32
bits64 = st.integers(0, 2**64 - 1)


@given(st.integers(-(2**40), 2**40), st.integers(0, 2**34), st.integers(0, 2**30))
def test_offset_is_exact_on_a_symmetric_path_and_positive_when_the_remote_clock_is_ahead(
    ahead: int, one_way: int, served: int
) -> None:
    t2 = NOW + one_way + ahead
    assert offset_and_delay(NOW, t2, t2 + served, NOW + 2 * one_way + served) == (ahead, 2 * one_way)


def test_asymmetry_shows_as_half_of_itself_and_is_within_half_the_delay() -> None:
    assert offset_and_delay(0, 30, 30, 40) == (10, 40)


def test_a_delay_below_zero_is_impossible_but_for_the_grain_of_the_stamps() -> None:
    assert offset_and_delay(0, 0, TOLERANCE_TICKS, 0)[1] == 0
    with pytest.raises(BadSample):
        offset_and_delay(0, 0, TOLERANCE_TICKS + 1, 0)


def test_receiving_before_sending_is_impossible() -> None:
    with pytest.raises(BadSample):
        offset_and_delay(10, 0, 0, 9)
    with pytest.raises(BadSample):
        offset_and_delay(0, 10, 9, 20)


@given(bits64, bits64.filter(bool), bits64.filter(bool))
def test_timestamps_survive_an_exchange_bit_by_bit(origin: int, receive: int, transmit: int) -> None:
    request = client_request(origin)
    assert is_client_request(request)
    answer = parse_answer(server_answer(request, receive=receive, transmit=transmit))
    assert (answer.origin, answer.receive, answer.transmit) == (origin, receive, transmit)


def test_ntplib_alone_would_lose_bits_which_is_why_we_patch() -> None:
    # 2.0 is exact in a float, 2.0 + 2**-32 of today's seconds is not.
    packet = ntplib.NTPPacket()
    packet.from_data(client_request(NOW + 1))
    assert packet.to_data() != client_request(NOW + 1)


def test_a_genuine_ntplib_packet_reads_our_answer() -> None:
    request = ntplib.NTPPacket(version=3, mode=3, tx_timestamp=3_990_000_000.5).to_data()
    data = server_answer(
        request,
        receive=NOW + (1 << 31),
        transmit=NOW + (3 << 30),
        stratum=3,
        reference_id=0x0A000001,
        root_delay_s=0.25,
        root_dispersion_s=0.125,
    )
    packet = ntplib.NTPPacket()
    packet.from_data(data)
    assert (packet.leap, packet.version, packet.mode, packet.stratum) == (0, 3, 4, 3)
    assert (packet.root_delay, packet.root_dispersion) == (0.25, 0.125)
    assert ntplib.ref_id_to_text(packet.ref_id, packet.stratum) == "10.0.0.1"
    assert packet.orig_timestamp == packet.recv_timestamp == 3_990_000_000.5
    assert packet.tx_timestamp == 3_990_000_000.75
    assert packet.ref_timestamp <= packet.recv_timestamp
    assert packet.precision == -20


def test_the_genuine_ntplib_client_accepts_our_answer() -> None:
    ahead_s = 1000.0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)

        def serve() -> None:
            request, client = server.recvfrom(512)
            # Time stands still here, at the instant at which the client says it sent, plus a known offset.
            at = int.from_bytes(request[40:48]) + int(ahead_s * 2**32)
            server.sendto(server_answer(request, receive=at, transmit=at), client)

        thread = threading.Thread(target=serve)
        thread.start()
        stats = ntplib.NTPClient().request("127.0.0.1", version=3, port=server.getsockname()[1], timeout=10)
        thread.join()
    assert stats.mode == 4
    assert stats.stratum == 10
    assert stats.orig_timestamp + ahead_s == stats.recv_timestamp
    # The client took t4 by the real clock: the offset is right to half of what that took.
    assert abs(stats.offset - ahead_s) <= stats.delay / 2 + 1e-6


@pytest.mark.parametrize(
    "data",
    [
        b"",
        client_request(NOW)[:-1],
        client_request(NOW) + b"\0",
        bytes([4 << 3 | 4]) + bytes(47),
        bytes([5 << 3 | 3]) + bytes(47),
        bytes([1 << 3 | 3]) + bytes(47),
    ],
    ids=["empty", "short", "long", "an answer", "version 5", "version 1"],
)
def test_what_is_not_a_client_request_is_neither_known_nor_answered(data: bytes) -> None:
    assert not is_client_request(data)
    with pytest.raises(BadSample):
        server_answer(data, receive=NOW, transmit=NOW)


def changed(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes([value]) + data[at + 1 :]


ANSWER = server_answer(client_request(NOW), receive=NOW, transmit=NOW)


@pytest.mark.parametrize(
    "data",
    [
        ANSWER[:47],
        client_request(NOW),
        changed(ANSWER, 0, 3 << 6 | 4 << 3 | 4),
        changed(ANSWER, 1, 0),
        changed(ANSWER, 1, 16),
        ANSWER[:40] + bytes(8),
    ],
    ids=["short", "a request", "unsynchronized", "kiss of death", "stratum 16", "no transmit"],
)
def test_an_answer_without_time_is_a_bad_sample(data: bytes) -> None:
    with pytest.raises(BadSample):
        parse_answer(data)


@given(st.binary(max_size=80))
def test_arbitrary_bytes_parse_or_are_bad_samples_and_nothing_else(data: bytes) -> None:
    is_client_request(data)
    try:
        parse_answer(data)
    except BadSample:
        return
    assert len(data) >= 48
