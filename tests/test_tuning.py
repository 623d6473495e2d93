"""Where Sonic Pi takes code: read from the command line of its server."""

import subprocess
import sys
from pathlib import Path

import pytest

from bridge.tuning import find_server, port_of

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


def test_a_process_that_no_sonic_pi_started_finds_none() -> None:
    assert find_server() is None


ASKING = """
import subprocess, sys
inner = "from bridge.tuning import find_server; print(find_server().port)"
sys.exit(subprocess.run(["sh", "-c", '"$0" -P -c "$1"; exit $?', sys.executable, inner]).returncode)
"""


def test_the_sonic_pi_is_found_among_all_that_started_a_process(tmp_path: Path) -> None:
    server = tmp_path / "sonic-pi-server.rb"
    server.write_text(ASKING)
    done = subprocess.run([sys.executable, server, "-u", "51235"], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("51235\n", "")
