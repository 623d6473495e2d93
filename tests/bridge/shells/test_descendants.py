"""All that a join has started ends with it, even processes whose parent has gone (on Linux)."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.worlds.commands import ENDS_S, line_of, own_user, relay, running, wait_for_file

LEAVES_ORPHANS = (
    "(setsid sh -c 'echo $$ > {folder}/orphan; exec sleep 600' &); "
    "sh -c 'trap \"\" TERM; echo $$ > {folder}/stubborn; while :; do sleep 0.05; done' & "
    "while [ ! -s {folder}/orphan ] || [ ! -s {folder}/stubborn ]; do sleep 0.02; done; {then}"
)
"""Shell code that starts an orphan and a process that ignores SIGTERM, and then runs `then`.

Each of the two writes its process id to a file in `folder`.
"""


@pytest.fixture
def env(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Yield a new user's environment. Afterwards kill the processes of LEAVES_ORPHANS that still run."""
    yield own_user(tmp_path)
    for name in ("orphan", "stubborn"):
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((tmp_path / name).read_text()), signal.SIGKILL)


def runs(folder: Path, name: str) -> bool:
    return psutil.pid_exists(int((folder / name).read_text()))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")
@pytest.mark.parametrize("then", ["echo ready; exec sleep 600", "echo ready; exit 3"], ids=["ctrl-c", "ends"])
def test_a_join_leaves_nothing_running_of_all_that_it_started(
    env: dict[str, str], tmp_path: Path, then: str
) -> None:
    script = LEAVES_ORPHANS.format(folder=tmp_path, then=then)
    with (
        relay(env, tmp_path / "data") as (_, port),
        running(
            env, "jambridge", "join", f"localhost:{port}", "--scsynth", "true", "--", "sh", "-c", script
        ) as joining,
    ):
        line_of(joining, "ready")
        assert runs(tmp_path, "orphan")
        assert runs(tmp_path, "stubborn")
        if "600" in then:
            joining.send_signal(signal.SIGINT)
        joining.communicate(timeout=ENDS_S)
    assert joining.returncode == (0 if "600" in then else 3)
    assert not runs(tmp_path, "orphan")
    assert not runs(tmp_path, "stubborn")


STRANGERS = """
import subprocess, sys
from bridge.shells.descendants import Descendants
stranger = subprocess.Popen(["sleep", "600"])
descendants = Descendants(["sleep", "600"], {})
descendants.end(0.0, (), lambda: False)
print(stranger.poll(), descendants.poll(), flush=True)
stranger.kill()
"""


QUICKLY_GONE = """
from bridge.shells.descendants import Descendants
for _ in range(20):
    descendants = Descendants(["sh", "-c", "sleep 0.03; exit 7"], {})
    descendants.end(1.0, (), lambda: False)
    print(descendants.poll(), flush=True)
"""


def test_the_status_of_a_command_that_ends_while_it_is_waited_for_is_kept() -> None:
    """The status would be lost if another thread waited for the same process first."""
    done = subprocess.run(
        [sys.executable, "-c", QUICKLY_GONE], capture_output=True, text=True, timeout=ENDS_S
    )
    assert done.stdout.split() == ["7"] * 20, done.stderr


def test_what_ran_before_the_command_was_started_is_left_alone() -> None:
    done = subprocess.run([sys.executable, "-c", STRANGERS], capture_output=True, text=True, timeout=ENDS_S)
    assert done.stdout.split() == ["None", str(-signal.SIGTERM)], done.stderr


SPARED = """
import os, subprocess, sys
from bridge.shells.descendants import Descendants
descendants = Descendants(["sh", "-c", sys.argv[1]], dict(os.environ))
print("up", flush=True)
parent = int(sys.stdin.readline())
descendants.end(0.0, [parent], lambda: False)
"""


def test_the_children_of_one_that_ends_them_itself_are_not_asked(tmp_path: Path) -> None:
    told = tmp_path / "told"
    child = f"trap 'echo child >> {told}; exit' TERM; : > {tmp_path}/up; while :; do sleep 0.02; done"
    parent = (
        f"sh -c \"{child}\" & trap 'echo parent >> {told}; kill -KILL $!; exit' TERM; "
        f"echo $$ > {tmp_path}/parent; while :; do sleep 0.02; done"
    )
    with subprocess.Popen(
        [sys.executable, "-c", SPARED, parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        for name in ("parent", "up"):
            wait_for_file(tmp_path / name)
        process.communicate((tmp_path / "parent").read_text(), timeout=ENDS_S)
    assert told.read_text().split() == ["parent"]


# -- the shim as Sonic Pi starts it ------------------------------------------------------------------------


def shim(env: dict[str, str], tmp_path: Path, scsynth: Path, udp_port: int) -> tuple[int, str, str]:
    """Run a join whose command is only `scsynth -u PORT`; return (exit status, stdout, stderr)."""
    with (
        relay(env, tmp_path / "data") as (_, port),
        running(
            env, "jambridge", "join", f"localhost:{port}", "--scsynth", scsynth, "--", "scsynth", "-u",
            str(udp_port),
        ) as joining,
    ):  # fmt: skip
        printed, errors = joining.communicate(timeout=ENDS_S)
    return joining.returncode, printed, errors


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_a_scsynth_that_a_signal_ended_is_no_success(env: dict[str, str], tmp_path: Path) -> None:
    program = script(tmp_path / "aborts", "#!/bin/sh\nkill -ABRT $$\n")
    status, _, _ = shim(env, tmp_path, program, free_udp_port())
    assert status == 128 + signal.SIGABRT


def test_a_script_without_its_first_line_is_named_in_words(env: dict[str, str], tmp_path: Path) -> None:
    status, _, errors = shim(env, tmp_path, script(tmp_path / "noshebang", "exit 0\n"), free_udp_port())
    assert status == 1
    assert "noshebang: Exec format error; a script needs a first line such as #!/bin/sh" in errors
    assert "Traceback" not in errors


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere loopback has one address")
def test_the_real_scsynth_has_sonic_pis_own_port_on_another_address(
    env: dict[str, str], tmp_path: Path
) -> None:
    told = tmp_path / "told"
    port = free_udp_port()
    shim(env, tmp_path, script(tmp_path / "tells", f'#!/bin/sh\necho "$@" > {told}\n'), port)
    words = told.read_text().split()
    assert words[words.index("-u") + 1] == str(port)
    assert words[words.index("-B") + 1] == "127.0.0.2"


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/shm")
def test_shared_memory_of_a_killed_scsynth_of_that_port_goes_first_and_in_the_end(
    env: dict[str, str], tmp_path: Path
) -> None:
    port = free_udp_port()
    segment = Path(f"/dev/shm/SuperColliderServer_{port}")
    seen = tmp_path / "seen"
    program = script(
        tmp_path / "scsynth", f"#!/bin/sh\nls {segment} > {seen} 2>/dev/null\n: > {segment}\nkill -KILL $$\n"
    )
    segment.touch()
    try:
        shim(env, tmp_path, program, port)
        assert seen.read_text() == ""
        assert not segment.exists()
    finally:
        segment.unlink(missing_ok=True)


def test_scsynth_is_asked_by_quit_before_any_signal(env: dict[str, str], tmp_path: Path) -> None:
    told = tmp_path / "told"
    program = script(
        tmp_path / "scsynth",
        f"""#!{sys.executable}
import pathlib, signal, socket, sys
told = pathlib.Path({str(told)!r})
signal.signal(signal.SIGTERM, lambda *_: told.write_text("SIGTERM") and sys.exit(1))
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((sys.argv[sys.argv.index("-B") + 1], int(sys.argv[sys.argv.index("-u") + 1])))
print("SuperCollider 3 server ready.", flush=True)
while not (message := sock.recv(65536)).startswith(b"/quit"):
    pass
told.write_text("/quit")
""",
    )
    with (
        relay(env, tmp_path / "data") as (_, port),
        running(
            env, "jambridge", "join", f"localhost:{port}", "--scsynth", program, "--", "scsynth", "-u",
            str(free_udp_port()),
        ) as joining,
    ):  # fmt: skip
        line_of(joining, "in room main")
        joining.send_signal(signal.SIGINT)
        joining.communicate(timeout=ENDS_S)
    assert told.read_text() == "/quit"
