"""Endpoints (host and port): every form that people type is parsed, and a wrong one is explained."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.wire.endpoint import DEFAULT_PORT, Endpoint, parse_endpoint
from relay.wire.errors import LocalError


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("relay.example.org", "relay.example.org", DEFAULT_PORT),
        ("relay.example.org:9000", "relay.example.org", 9000),
        ("  Relay.Example.ORG. ", "relay.example.org", DEFAULT_PORT),
        ("localhost", "localhost", DEFAULT_PORT),
        ("192.0.2.1:65535", "192.0.2.1", 65535),
        ("[2001:db8::1]", "2001:db8::1", DEFAULT_PORT),
        ("[2001:db8::1]:9000", "2001:db8::1", 9000),
        ("2001:DB8:0:0::1", "2001:db8::1", DEFAULT_PORT),
        ("::1", "::1", DEFAULT_PORT),
        ("[fe80::1%eth0]:9000", "fe80::1%eth0", 9000),
        ("möbel.example:7707", "xn--mbel-5qa.example", 7707),
        ("raspberry_pi", "raspberry_pi", DEFAULT_PORT),
    ],
)
def test_every_written_form_is_understood(text: str, host: str, port: int) -> None:
    assert parse_endpoint(text) == Endpoint(host, port)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no host"),
        (":7707", "names no host"),
        ("relay:", "'' in 'relay:' is no port"),
        ("relay:0", "expected a number from 1 to 65535"),
        ("relay:65536", "expected a number from 1 to 65535"),
        ("relay:٧٧٠٧", "is no port"),
        ("relay:-1", "is no port"),
        ("relay:" + "9" * 5000, "is no port"),
        ("[::1", "never closes"),
        ("[::1]7707", "expected :PORT"),
        ("[::1]:", "is no port"),
        ("[relay]:7707", "is no IPv6 address"),
        ("1:2:3", "is no IPv6 address"),
        ("https://relay:7707", "is a web address: leave https:// out, relay:7707 is enough"),
        ("http://[::1]:7707/a://b", r"leave http:// out, [::1]:7707 is enough"),
        ("jam://", "leave jam:// out, HOST is enough"),
        ("two words", "is no host name"),
        ("relay..example", "is no host name"),
        ("-relay", "is no host name"),
        ("a" * 64, "is no host name"),
        (".".join(["a" * 60] * 5), "is no host name"),
        ("300.0.0.1", "is no IPv4 address"),
        ("10.1", "is no IPv4 address"),
    ],
)
def test_what_is_no_endpoint_is_told_with_what_was_found(text: str, words: str) -> None:
    with pytest.raises(LocalError, match=words.replace("[", r"\[")):
        parse_endpoint(text)


names = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z]([a-z0-9]{0,10}))?", fullmatch=True)
hosts = names | st.ip_addresses().map(str)


@given(hosts, st.integers(1, 65535))
def test_endpoint_is_read_back_from_its_own_text(host: str, port: int) -> None:
    endpoint = parse_endpoint(str(Endpoint(host, port)))
    assert endpoint == parse_endpoint(str(endpoint))
    assert endpoint.port == port
    assert str(endpoint) == str(Endpoint(endpoint.host, port))


@pytest.mark.parametrize(
    ("endpoint", "typed"),
    [
        (Endpoint("jam.example"), "jam.example"),
        (Endpoint("jam.example", 8000), "jam.example:8000"),
        (Endpoint("::1"), "::1"),
        (Endpoint("::1", 17852), "[::1]:17852"),
        (Endpoint("fd00::5", 8000), "[fd00::5]:8000"),
    ],
)
def test_what_people_type_is_the_same_endpoint(endpoint: Endpoint, typed: str) -> None:
    assert endpoint.typed() == typed
    assert parse_endpoint(typed) == endpoint


@given(st.text())
def test_any_text_is_an_endpoint_or_a_local_error(text: str) -> None:
    try:
        endpoint = parse_endpoint(text)
    except LocalError:
        return
    assert parse_endpoint(str(endpoint)) == endpoint
