"""Both commands as people meet them: help, errors in words, exit statuses, Ctrl-C. No real servers."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bridge.cli import main as jambridge
from relay.cli import main as jamrelay

BIN = Path(sys.executable).parent
READY = re.compile(r"relay ready on port (\d+)")
ENDS_S = 15.0
"""Generous: a busy machine takes a second to start Python."""
UNITS = re.compile(r"millisecond|second|port|minutes|this many")

Process = subprocess.Popen[str]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A user of their own: nothing of ours is known yet."""
    return os.environ | {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "xdg"), "COLUMNS": "120"}


def heed_ctrl_c() -> None:
    """Undo what a shell does to its background jobs, tests among them: they ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def running(env: dict[str, str], *words: str | Path) -> Iterator[Process]:
    """Run one of our commands; it is ended for sure."""
    program, *arguments = map(str, words)
    with subprocess.Popen(
        [str(BIN / program), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env | {"PYTHONUNBUFFERED": "1"},
        preexec_fn=heed_ctrl_c,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run(env: dict[str, str], *words: str | Path) -> tuple[int, str, str]:
    """Run one of our commands to its end; return (exit status, stdout, stderr)."""
    with running(env, *words) as process:
        printed, errors = process.communicate(timeout=ENDS_S)
    return process.returncode, printed, errors


def line_of(process: Process, words: str) -> str:
    """Return the next line of the output that holds `words`."""
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return line
    raise AssertionError(f"{words!r} was never said; it said {process.communicate()[1]!r}")


@contextlib.contextmanager
def relay(env: dict[str, str], data: Path, port: int = 0) -> Iterator[tuple[Process, int]]:
    """Run a relay; yield it and its port."""
    with running(
        env, "jamrelay", "serve", "--host", "127.0.0.1", "--port", str(port), "--data-dir", data
    ) as process:
        found = READY.search(line_of(process, "relay ready"))
        assert found is not None
        yield process, int(found[1])


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
        # Not a terminal: rich prints when it ends. It has begun once it asked, which makes the pin.
        wait_for_file(Path(env["XDG_DATA_HOME"]) / "jamrelay" / "known_relays")
        watching.send_signal(signal.SIGINT)
        _, errors = watching.communicate(timeout=ENDS_S)
    assert watching.returncode == 0
    assert "Traceback" not in errors


def wait_for_file(path: Path) -> None:
    deadline_s = time.monotonic() + ENDS_S
    while not path.exists():
        assert time.monotonic() < deadline_s, path
        time.sleep(0.02)


def test_stats_without_a_relay_says_so(env: dict[str, str]) -> None:
    status, _, errors = run(env, "jamrelay", "stats", f"localhost:{free_port()}")
    assert status == 1
    assert "refused the connection; is `jamrelay serve` running there?" in errors


# -- jambridge join: what can be wrong -------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def join(env: dict[str, str], *words: str | Path, scsynth: str = "true") -> tuple[int, str, str]:
    return run(env, "jambridge", "join", "--scsynth", scsynth, *words)


def test_join_where_nobody_listens_says_so(env: dict[str, str]) -> None:
    status, _, errors = join(env, f"localhost:{free_port()}")
    assert status == 1
    assert errors.startswith("Error: localhost:")
    assert "refused the connection; is `jamrelay serve` running there?" in errors


def test_join_of_a_host_that_does_not_exist_says_so(env: dict[str, str]) -> None:
    status, _, errors = join(env, "no-such-host.invalid")
    assert status == 1
    assert "no such host: no-such-host.invalid" in errors or "no answer from no-such-host.invalid" in errors


@pytest.mark.parametrize("address", ["", "a b", "host:0", "host:70000", "[::1"])
def test_join_of_something_that_is_no_address_says_what_one_is(env: dict[str, str], address: str) -> None:
    status, _, errors = join(env, "--", address)
    assert status == 1
    assert "expected" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("talks", [b"", b"SSH-2.0-OpenSSH_9.2\r\n"], ids=["silent", "talkative"])
def test_join_of_something_that_is_no_relay_says_so(env: dict[str, str], talks: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(talks)
                    while connection.recv(4096):
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        status, _, errors = join(env, f"127.0.0.1:{listener.getsockname()[1]}")
        thread.join(ENDS_S)
    assert status == 1
    assert "is that a jamrelay?" in errors


def test_join_of_a_relay_with_another_key_than_before_is_refused(env: dict[str, str], tmp_path: Path) -> None:
    with relay(env, tmp_path / "one") as (_, port):
        assert run(env, "jamrelay", "stats", f"127.0.0.1:{port}")[0] == 0
    with relay(env, tmp_path / "two", port):
        status, printed, errors = join(env, f"127.0.0.1:{port}")
    assert status == 1
    assert "is not the relay you used before" in errors
    assert "known_relays" in errors
    assert "nothing was sent" in errors
    assert printed == ""


def test_join_without_scsynth_says_what_to_install(env: dict[str, str], tmp_path: Path) -> None:
    status, _, errors = run(env | {"PATH": str(tmp_path)}, "jambridge", "join", "localhost")
    assert status == 1
    assert "no scsynth in PATH" in errors
    assert "apt install supercollider-server" in errors


def test_join_with_an_scsynth_that_does_not_exist_names_it(env: dict[str, str]) -> None:
    status, _, errors = join(env, "localhost", scsynth="/no/such/scsynth")
    assert status == 1
    assert "no program '/no/such/scsynth'" in errors


# -- jambridge join: what it runs ------------------------------------------------------------------------


def test_join_runs_its_command_with_our_scsynth_first_and_passes_its_status_on(
    env: dict[str, str], tmp_path: Path
) -> None:
    with relay(env, tmp_path / "data") as (_, port):
        status, printed, _ = join(
            env, f"localhost:{port}", "--", "sh", "-c", "command -v scsynth; printenv PATH; exit 7"
        )
    assert status == 7
    answers, ours, path = printed.splitlines()
    assert answers == f"relay localhost:{port} answers; room main is empty so far"
    assert path.startswith(str(Path(ours).parent) + os.pathsep)
    assert not Path(ours).exists(), "the shim's folder must be gone afterwards"


def test_join_with_a_command_that_does_not_exist_says_so(env: dict[str, str], tmp_path: Path) -> None:
    with relay(env, tmp_path / "data") as (_, port):
        status, _, errors = join(env, f"localhost:{port}", "--", "/no/such/sonic-pi")
    assert status == 1
    assert "can't start '/no/such/sonic-pi'" in errors


def test_join_without_a_command_prints_the_line_and_waits_until_ctrl_c(
    env: dict[str, str], tmp_path: Path
) -> None:
    with (
        relay(env, tmp_path / "data") as (_, port),
        running(env, "jambridge", "join", f"localhost:{port}", "--scsynth", "true") as joining,
    ):
        line = line_of(joining, "PATH=")
        shim = Path(line.split("PATH=")[1].split(":")[0]) / "scsynth"
        assert os.access(shim, os.X_OK)
        assert line.rstrip().endswith(":$PATH sonic-pi")
        joining.send_signal(signal.SIGINT)
        _, errors = joining.communicate(timeout=ENDS_S)
    assert joining.returncode == 0
    assert errors == ""
    assert not shim.exists()


def test_ctrl_c_ends_the_command_too(env: dict[str, str], tmp_path: Path) -> None:
    with (
        relay(env, tmp_path / "data") as (_, port),
        running(
            env, "jambridge", "join", f"localhost:{port}", "--scsynth", "true",
            "--", "sh", "-c", "echo pid $$; exec sleep 600",
        ) as joining,
    ):  # fmt: skip
        pid = int(line_of(joining, "pid ").split()[1])
        joining.send_signal(signal.SIGINT)
        _, errors = joining.communicate(timeout=ENDS_S)
    assert joining.returncode == 0
    assert "Traceback" not in errors
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


STUBBORN = 'trap "echo refused" TERM INT; echo pid $$; while :; do sleep 0.05; done'


def test_a_second_ctrl_c_ends_a_stubborn_command_at_once(env: dict[str, str], tmp_path: Path) -> None:
    with (
        relay(env, tmp_path / "data") as (_, port),
        running(
            env, "jambridge", "join", f"localhost:{port}", "--scsynth", "true", "--", "sh", "-c", STUBBORN
        ) as joining,
    ):
        pid = int(line_of(joining, "pid ").split()[1])
        joining.send_signal(signal.SIGINT)
        line_of(joining, "refused")
        began_s = time.monotonic()
        joining.send_signal(signal.SIGINT)
        joining.communicate(timeout=ENDS_S)
        took_s = time.monotonic() - began_s
    assert joining.returncode == 128 + signal.SIGINT
    assert took_s < 3.0, "the first one waits 6 s for the command"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
