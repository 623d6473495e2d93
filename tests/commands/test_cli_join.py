"""`jambridge join` as a user meets it: error messages, the command it runs, Ctrl-C. No real servers."""

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bridge.shells.shims import Shims
from relay.wire.version import PROTOCOL_VERSION, UPDATE
from tests.worlds.commands import (
    BIN,
    ENDS_S,
    LATER_RELAY,
    free_port,
    line_of,
    own_user,
    relay,
    run,
    running,
    take_a_place,
)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return own_user(tmp_path)


# -- jambridge join: what can be wrong -------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--impair", "hotel-wify"), "no network is called 'hotel-wify'; there are loopback, "),
        (("--impair", "loss=200%"), "loss"),
        (("--impair", "cable", "--transport", "tls"), "--impair works on UDP alone"),
    ],
)
def test_join_over_a_bad_network_that_cant_be_made_says_why(
    env: dict[str, str], words: tuple[str, ...], expected: str
) -> None:
    status, _, errors = join(env, "localhost", *words)
    assert status == 1
    assert expected in errors


@pytest.mark.parametrize(
    ("room", "said"),
    [
        ("main", "room main is full (1 of 1)"),
        ("attic", "room attic can't be opened: this relay has 1 room open"),
    ],
)
def test_join_of_a_room_without_a_place_says_so_before_anything_is_started(
    env: dict[str, str], tmp_path: Path, room: str, said: str
) -> None:
    started = tmp_path / "started"
    with relay(env, tmp_path / "data", 0, "--members-max", "1", "--rooms-max", "1") as (_, port):
        take_a_place(port, tmp_path / "pins")
        status, printed, errors = join(env, f"localhost:{port}", "--room", room, "--", "touch", started)
    assert status == 1
    assert errors.startswith(f"Error: localhost:{port} says: {said}")
    assert errors.count("\n") == 1
    assert printed == ""
    assert not started.exists()


def test_join_of_a_relay_of_another_version_says_so_before_anything_is_started(
    env: dict[str, str], tmp_path: Path
) -> None:
    started = tmp_path / "started"
    with relay(env, tmp_path / "data", program=LATER_RELAY) as (_, port):
        status, _, errors = join(env, f"localhost:{port}", "--", "touch", started)
    assert status == 1
    assert f"protocol {PROTOCOL_VERSION + 1}, you speak {PROTOCOL_VERSION}: you have the older" in errors
    assert f"update it on this computer ({UPDATE}) and join again" in errors
    assert not started.exists()


def test_join_asks_without_taking_a_place(env: dict[str, str], tmp_path: Path) -> None:
    with relay(env, tmp_path / "data", 0, "--members-max", "1") as (_, port):
        for _ in range(2):
            assert join(env, f"localhost:{port}", "--", "true")[0] == 0
        _, printed, _ = run(env, "jamrelay", "stats", f"localhost:{port}", "--json")
    assert json.loads(printed)["rooms"] == []


@pytest.mark.parametrize("room", ["", " \t", "\u202e"])
def test_a_room_without_a_name_is_refused_in_words(env: dict[str, str], room: str) -> None:
    status, printed, errors = join(env, "localhost", "--room", room)
    assert status == 1
    assert "names no room: expected at least one letter" in errors
    assert printed == ""


def test_a_long_room_name_is_shown_as_it_is_joined(env: dict[str, str], tmp_path: Path) -> None:
    with relay(env, tmp_path / "data") as (_, port):
        _, printed, _ = join(env, f"localhost:{port}", "--room", "attic\x1b[31m" * 30, "--", "true")
    assert f"room {'attic[31m' * 30:.32} is empty so far" in printed


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


@pytest.mark.parametrize(("words", "tuned"), [((), False), (("--tune-sonic-pi",), True)])
def test_sonic_pis_schedule_ahead_is_touched_only_if_asked_for(
    env: dict[str, str], tmp_path: Path, words: tuple[str, ...], tuned: bool
) -> None:
    asked = 'cat "$(dirname "$(dirname "$(command -v scsynth)")")/join.json"'
    with relay(env, tmp_path / "data") as (_, port):
        _, printed, _ = join(env, *words, f"localhost:{port}", "--", "sh", "-c", asked)
    assert json.loads(printed.splitlines()[-1])["tune_sonic_pi"] is tuned


def test_join_with_a_command_that_does_not_exist_says_so(env: dict[str, str], tmp_path: Path) -> None:
    with relay(env, tmp_path / "data") as (_, port):
        status, _, errors = join(env, f"localhost:{port}", "--", "/no/such/sonic-pi")
    assert status == 1
    assert "can't start '/no/such/sonic-pi'" in errors
    assert "install Sonic Pi (Debian, Ubuntu: sudo apt install sonic-pi)" in errors
    assert "jambridge join HOST -- COMMAND" in errors


def test_a_command_that_ends_and_never_played_through_us_is_named(
    env: dict[str, str], tmp_path: Path
) -> None:
    with relay(env, tmp_path / "data") as (_, port):
        status, _, errors = join(env, f"localhost:{port}", "--", "true")
        assert status == 0
        assert errors.startswith(
            "You were NOT in the jam: true has ended, and never started its sound engine"
        )
        as_our_scsynth = ': > "$(dirname "$(dirname "$(command -v scsynth)")")/shim-1.pid"'
        status, _, errors = join(env, f"localhost:{port}", "--", "sh", "-c", as_our_scsynth)
    assert (status, errors) == (0, "")


def test_a_command_that_does_not_play_through_us_is_named_while_it_runs(
    env: dict[str, str], tmp_path: Path
) -> None:
    impatient = "from bridge.sonicpi import starting\nstarting.PATIENCE_S = 0.3\n"
    impatient += "from bridge import cli\ncli.main()"
    with (
        relay(env, tmp_path / "data") as (_, port),
        running(
            env, Path(sys.executable).name, "-c", impatient,
            "join", f"localhost:{port}", "--scsynth", "true", "--", "sleep", str(ENDS_S),
        ) as joining,
    ):  # fmt: skip
        assert joining.stderr is not None
        said = []
        for line in joining.stderr:
            said.append(line)
            if line.endswith("/bin\n"):
                break
        joining.send_signal(signal.SIGINT)
        _, rest = joining.communicate(timeout=ENDS_S)
    assert said[0].startswith("You are NOT in the jam: sleep has run for 0 s and has not started")
    assert rest == "", "once is enough"


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


def test_a_shim_that_ends_by_itself_while_it_is_looked_for_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "shim-1.pid").symlink_to(tmp_path / "gone")  # listed, and not there when it is read
    (tmp_path / "shim-2.pid").write_text("")
    sleeper = subprocess.Popen(["sleep", "60"])
    (tmp_path / "shim-3.pid").write_text(f"{sleeper.pid}\n")
    threading.Timer(0.2, sleeper.wait).start()  # it is ours, so that nobody else can bury it
    Shims(tmp_path).end()
    assert sleeper.wait(10) == -signal.SIGTERM


def test_a_disk_without_room_for_a_join_is_told_with_what_to_do(env: dict[str, str], tmp_path: Path) -> None:
    with relay(env, tmp_path / "data") as (_, port):
        run(env, "jamrelay", "stats", f"localhost:{port}")  # which notes the relay: there is room for that
        done = subprocess.run(
            [str(BIN / "jambridge"), "join", f"localhost:{port}", "--scsynth", "true", "--", "true"],
            env=env,
            capture_output=True,
            text=True,
            timeout=ENDS_S,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
        )
    assert done.returncode == 1
    told = "Error: a join needs a little room for files of its own, and there is none: No usable temporary"
    assert told in done.stderr
    assert "Traceback" not in done.stderr
