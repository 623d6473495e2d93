"""The text that `jamrelay serve` prints at its start: it contains a line with which others can join."""

import socket

import pytest

from relay.shells.announcement import announcement
from relay.transports import addresses
from relay.transports.addresses import own_address
from relay.wire.endpoint import DEFAULT_PORT, Endpoint, parse_endpoint


@pytest.mark.parametrize(
    ("host", "port", "joined"),
    [
        ("", DEFAULT_PORT, Endpoint("10.1.2.3")),
        ("0.0.0.0", 8000, Endpoint("10.1.2.3", 8000)),
        ("::", 8000, Endpoint("10.1.2.3", 8000)),
        ("::1", 17852, Endpoint("::1", 17852)),
        ("::1", DEFAULT_PORT, Endpoint("::1")),
        ("fd00::5", 8000, Endpoint("fd00::5", 8000)),
        ("127.0.0.1", 8000, Endpoint("127.0.0.1", 8000)),
        ("jam.example", DEFAULT_PORT, Endpoint("jam.example")),
    ],
)
def test_the_join_line_names_the_relay(host: str, port: int, joined: Endpoint) -> None:
    lines = announcement(host, "10.1.2.3", port, "SHA256:x")
    words = lines[1].split()
    assert [*words[:3], *words[4:]] == ["join:", "jambridge", "join", "--", "sonic-pi"]
    assert parse_endpoint(words[3]) == joined


def test_it_says_who_can_reach_that_address() -> None:
    assert "the public name or address of this machine" in announcement("", "10.1.2.3", 7707, "")[2]
    assert "this machine alone" in announcement("127.0.0.1", "10.1.2.3", 7707, "")[2]
    assert len(announcement("10.1.2.3", "10.1.2.3", 7707, "")) == 3
    assert max(map(len, announcement("", "255.255.255.255", 65535, ""))) <= 80


def test_the_own_address_is_that_of_the_way_there_and_none_without_a_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(addresses, "TOWARDS_IPV4", "127.0.0.9")
    assert own_address() == "127.0.0.1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((own_address() or "", 0))
    for name in ("TOWARDS_IPV4", "TOWARDS_IPV6"):
        monkeypatch.setattr(addresses, name, "no address")
    assert own_address() is None
