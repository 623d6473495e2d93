"""Strangers who send a relay too many requests are refused, and keep nobody else out."""

import pytest

from clock.exchange import client_request
from relay.limits import ADDRESSES_KEPT, NTP_BURST, STATS_BURST, AddressBuckets
from relay.wire import control
from relay.wire.endpoint import network_of
from relay.wire.stats import Stats
from relay.wire.timetag import TICKS_PER_S
from tests.worlds.relay import EPOCH, FakeBridge, Jam

STRANGERS_PER_S = 250
OTHERS = 20
"""Number of others who join, one every 200 ms, while the stranger keeps asking."""


def asker(jam: Jam, host: str) -> FakeBridge:
    """Return a bridge with an open connection from `host`. Nothing has been sent on the connection yet."""
    bridge = FakeBridge(jam)
    jam.connections += 1
    bridge.address, bridge.connection, bridge.closed = (host, 40_000), jam.connections, False
    return bridge


def besieged(jam: Jam, stranger: FakeBridge, number: int) -> FakeBridge:
    """Let the stranger send requests for 200 ms; return a new connection from another address."""
    for _ in range(STRANGERS_PER_S // 5):
        stranger.say(control.StatsRequest())
        jam.now += TICKS_PER_S // STRANGERS_PER_S
    return asker(jam, f"198.51.100.{number}")


def test_twenty_join_while_a_stranger_asks_for_statistics_250_times_a_second() -> None:
    jam = Jam(members_max=OTHERS)
    stranger = asker(jam, "203.0.113.9")
    stats, admitted, joined = 0, 0, 0
    for number in range(OTHERS):
        other = besieged(jam, stranger, number)
        other.name = f"ann {number}"
        other.say(control.StatsRequest())
        jam.finish_gathering()
        stats += len(other.heard(Stats))
        admitted += isinstance(other.hello(ask_only=True), control.Admission)
        joined += isinstance(other.hello(), control.Welcome)
    assert (stats, admitted, joined) == (OTHERS, OTHERS, OTHERS)
    assert len(stranger.heard(control.Refused)) > len(stranger.heard(Stats)) > STATS_BURST


def test_a_stranger_that_asks_for_the_time_without_end_takes_it_from_nobody() -> None:
    jam = Jam()
    for _ in range(10 * NTP_BURST):
        jam.datagram(client_request(5), ("203.0.113.9", 9))
    assert len(jam.strangers) == NTP_BURST
    jam.datagram(client_request(5), ("198.51.100.1", 9))
    assert len(jam.strangers) == NTP_BURST + 1


def test_ports_and_addresses_of_one_customer_share_one_limit() -> None:
    jam = Jam()
    for number in range(3 * NTP_BURST):
        jam.datagram(client_request(5), (f"2001:db8:0:7::{number:x}", number + 1, 0, 0))
    assert len(jam.strangers) == NTP_BURST


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::", "2001:db8:1:2::"),
        ("2001:db8:1:3::", "2001:db8:1:3::"),
        ("fe80::1%eth0", "fe80::"),
        ("an inmate of the laboratory", "an inmate of the laboratory"),
    ],
)
def test_ipv4_is_counted_by_its_address_and_ipv6_by_its_64(host: str, network: str) -> None:
    assert network_of(host) == network


def test_the_addresses_that_are_counted_are_bounded_and_the_oldest_is_forgotten_first() -> None:
    buckets = AddressBuckets(rate=1.0, burst=1.0)
    hosts = [f"10.0.{number >> 8}.{number & 255}" for number in range(ADDRESSES_KEPT)]
    assert all(buckets.take(host, EPOCH) for host in hosts)
    assert not buckets.take(hosts[0], EPOCH)
    assert buckets.take("192.0.2.1", EPOCH)  # hosts[1] is forgotten for it
    assert not buckets.take(hosts[0], EPOCH)
    assert buckets.take(hosts[1], EPOCH)
