"""`jamrelay` and `jambridge` as a user meets them: help, errors, exit statuses, Ctrl-C. No real servers."""

import json
import re
import signal
import socket
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bridge.cli import main as jambridge
from relay.cli import main as jamrelay
from relay.lead.keeper import LEAD_START
from relay.shells.service import RelaySettings
from relay.wire.sequence import Scheme
from tests.worlds.commands import (
    ENDS_S,
    READY,
    free_port,
    line_of,
    own_user,
    relay,
    run,
    running,
    take_a_place,
)

UNITS = re.compile(r"millisecond|second|port|minutes|this many")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return own_user(tmp_path)


# -- help ------------------------------------------------------------------------------------------------


def options() -> list[tuple[str, click.Command, click.Option]]:
    return [
        (f"{group.name or 'main'} {name} {option.opts[-1]}", command, option)
        for group in (jamrelay, jambridge)
        for name, command in group.commands.items()
        for option in command.params
        if isinstance(option, click.Option)
    ]


@pytest.mark.parametrize(
    ("command", "option"), [(c, o) for _, c, o in options()], ids=[n for n, *_ in options()]
)
def test_every_options_help_has_its_default_and_its_unit(
    command: click.Command, option: click.Option
) -> None:
    context = click.Context(command, show_default=True)
    record = option.get_help_record(context)
    assert record is not None
    text = record[1]
    assert text[0].isupper()
    if option.is_flag:
        return
    assert "default: " in text
    if isinstance(option.type, click.types.IntParamType | click.types.FloatParamType):
        assert UNITS.search(text), text


@pytest.mark.parametrize("group", [jamrelay, jambridge], ids=["jamrelay", "jambridge"])
def test_the_first_line_of_every_help_is_one_sentence(group: click.Group) -> None:
    for command in (group, *group.commands.values()):
        first = (command.help or "").splitlines()[0]
        assert first.endswith(".")
        assert first[0].isupper()
    assert CliRunner().invoke(group, ["--help"]).exit_code == 0
    assert "jamrelay" in CliRunner().invoke(jamrelay, ["--version"]).output


# -- jamrelay serve --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_serve_says_how_to_join_and_ends_cleanly(
    env: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    with relay(env, tmp_path / "data") as (process, port):
        assert f":{port} -- sonic-pi" in line_of(process, "jambridge join")
        assert "SHA256:" in line_of(process, "fingerprint")
        process.send_signal(number)
        printed, errors = process.communicate(timeout=ENDS_S)
    assert process.returncode == 0
    assert printed.splitlines()[-1] == "relay stopped"
    assert "Traceback" not in errors


def test_the_fingerprint_stays_the_same_over_a_restart(env: dict[str, str], tmp_path: Path) -> None:
    seen = []
    for _ in range(2):
        with relay(env, tmp_path / "data") as (process, _port):
            seen.append(line_of(process, "fingerprint"))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["TCP", "UDP"])
def test_serve_on_a_busy_port_says_so(env: dict[str, str], tmp_path: Path, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = str(taken.getsockname()[1])
        status, _, errors = run(
            env, "jamrelay", "serve", "--host", "127.0.0.1", "--port", port, "--data-dir", tmp_path / "data"
        )
    assert status == 1
    assert re.search(rf"^Error: .*{port}", errors, re.MULTILINE)
    assert "another" in errors
    assert "Traceback" not in errors


def test_serve_refuses_a_shift_above_the_lead_in_words(env: dict[str, str], tmp_path: Path) -> None:
    status, _, errors = run(
        env, "jamrelay", "serve", "--lead-ms", "100", "--shift-ms", "200", "--data-dir", tmp_path
    )
    assert status == 1
    assert "Error: shift 200 ms, lead 100 ms" in errors


@pytest.mark.parametrize("scheme", Scheme)
def test_serve_opens_its_rooms_with_the_scheme_that_it_was_given(
    scheme: Scheme, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RelaySettings] = []

    async def note(settings: RelaySettings, *_: object) -> None:
        asked.append(settings)

    monkeypatch.setattr("relay.cli._until_asked", note)
    for words in ([], ["--scheme", scheme.value]):
        result = CliRunner().invoke(jamrelay, ["serve", "--data-dir", str(tmp_path), *words])
        assert result.exit_code == 0, result.output
    assert [settings.scheme for settings in asked] == [Scheme.JUDGED, scheme]
    fixed = (LEAD_START, 0) if scheme is Scheme.TIMESTAMP else (None, None)
    assert [(settings.policy.lead, settings.policy.shift) for settings in asked] == [(None, None), fixed]


def test_serve_checks_its_clock_against_an_ntp_server_and_stats_show_it(
    env: dict[str, str], tmp_path: Path
) -> None:
    # A relay answers plain NTP, so one can check another; both read this machine's clock.
    with (
        relay(env, tmp_path / "server") as (_, server),
        running(
            env, "jamrelay", "serve", "--host", "127.0.0.1", "--port", "0",
            "--data-dir", tmp_path / "data", "--ntp", f"127.0.0.1:{server}",
        ) as process,
    ):  # fmt: skip
        found = READY.search(line_of(process, "relay ready"))
        assert found is not None
        assert process.stderr is not None
        assert any("clock checked" in line for line in process.stderr)
        _, printed, _ = run(env, "jamrelay", "stats", f"127.0.0.1:{found[1]}", "--json")
    assert abs(json.loads(printed)["ntp_offset_ms"]) < 50


# -- jamrelay stats --------------------------------------------------------------------------------------


def test_stats_of_an_empty_relay_in_words_and_as_json(env: dict[str, str], tmp_path: Path) -> None:
    with relay(env, tmp_path / "data") as (_, port):
        status, printed, _ = run(env, "jamrelay", "stats", f"localhost:{port}")
        assert status == 0
        assert "no room is open: nobody has joined yet" in printed
        status, printed, _ = run(env, "jamrelay", "stats", f"localhost:{port}", "--json")
    assert status == 0
    (line,) = printed.splitlines()
    answer = json.loads(line)
    assert answer["rooms"] == []
    assert answer["members"] == 0
    assert answer["uptime_s"] > 0


def test_stats_of_a_room_that_is_not_open_says_which_are(env: dict[str, str], tmp_path: Path) -> None:
    with relay(env, tmp_path / "data") as (_, port):
        status, printed, errors = run(env, "jamrelay", "stats", f"localhost:{port}", "--room", "nosuch")
        assert (status, printed) == (1, "")
        said = f"Error: room nosuch is not open on localhost:{port}"
        assert errors == f"{said}; no other is: nobody has joined yet\n"
        take_a_place(port, tmp_path / "pins")
        take_a_place(port, tmp_path / "pins", room="attic")
        for words in ((), ("--json",), ("--watch",)):
            asked = ("stats", f"localhost:{port}", "--room", "nosuch", *words)
            status, printed, errors = run(env, "jamrelay", *asked)
            assert (status, printed) == (1, "")
            assert errors == f"{said}; open: attic (0 here), main (0 here)\n"


def test_stats_take_a_rooms_name_as_join_does(env: dict[str, str], tmp_path: Path) -> None:
    with relay(env, tmp_path / "data") as (_, port):
        take_a_place(port, tmp_path / "pins", room="ab" * 16)
        asked = " ab\n\u202e" + "ab" * 200
        status, printed, errors = run(env, "jamrelay", "stats", f"localhost:{port}", "--room", asked)
    assert (status, errors) == (0, "")
    assert f"room {'ab' * 16} " in printed


def test_stats_of_a_room_without_a_name_is_refused_in_words(env: dict[str, str]) -> None:
    status, _, errors = run(env, "jamrelay", "stats", "localhost", "--room", "")
    assert status == 1
    assert "--room '' names no room" in errors


def test_stats_watch_shows_it_again_and_again_until_ctrl_c(env: dict[str, str], tmp_path: Path) -> None:
    with (
        relay(env, tmp_path / "data") as (_, port),
        running(env, "jamrelay", "stats", f"localhost:{port}", "--json", "--watch") as watching,
    ):
        uptimes = [json.loads(line_of(watching, "uptime_s"))["uptime_s"] for _ in range(3)]
        watching.send_signal(signal.SIGINT)
        _, errors = watching.communicate(timeout=ENDS_S)
    assert uptimes == sorted(set(uptimes))
    assert watching.returncode == 0
    assert "Traceback" not in errors


def test_stats_watch_in_words_ends_with_ctrl_c(env: dict[str, str], tmp_path: Path) -> None:
    with (
        relay(env, tmp_path / "data") as (_, port),
        running(env, "jamrelay", "stats", f"localhost:{port}", "--watch") as watching,
    ):
        for _ in range(2):
            line_of(watching, "no room is open")
        watching.send_signal(signal.SIGINT)
        _, errors = watching.communicate(timeout=ENDS_S)
    assert watching.returncode == 0
    assert "Traceback" not in errors


def test_stats_without_a_relay_says_so(env: dict[str, str]) -> None:
    status, _, errors = run(env, "jamrelay", "stats", f"localhost:{free_port()}")
    assert status == 1
    assert "refused the connection; is `jamrelay serve` running there?" in errors
