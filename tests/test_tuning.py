"""Where Sonic Pi takes code: read from the command line of its server."""

import pytest

from bridge.tuning import find_port, port_of

SERVER = "/usr/lib/sonic-pi/app/server/ruby/bin/sonic-pi-server.rb"


@pytest.mark.parametrize(
    ("words", "port"),
    [
        (["ruby", "-E", "utf-8", SERVER, "-u", "51235", "51236", "51237"], 51235),
        (["ruby", SERVER, "-u"], 4557),
        (["ruby", SERVER], 4557),
        (["ruby", SERVER, "-t", "51235"], None),
        (["ruby", SERVER, "-u", "next"], None),
        (["sh", "-c", "scsynth -u 4556"], None),
        ([], None),
    ],
)
def test_the_port_stands_behind_the_protocol_if_that_is_udp(words: list[str], port: int | None) -> None:
    assert port_of(words) == port


def test_a_process_that_no_sonic_pi_started_has_no_port() -> None:
    assert find_port() is None
