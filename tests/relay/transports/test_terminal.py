"""Our commands on a terminal without Unicode, a closed pipe or a full disk: short output, no traceback."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worlds.commands import BIN, ENDS_S, free_port, own_user, relay, run, take_a_place


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return own_user(tmp_path)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("relay")
    with relay(own_user(folder), folder / "data") as (_, port):
        yield port


def test_statistics_in_an_ascii_terminal_have_plain_signs(
    env: dict[str, str], tmp_path: Path, port: int
) -> None:
    take_a_place(port, tmp_path / "pins", name="日本 ann")
    ascii_only = env | {"PYTHONIOENCODING": "ascii"}
    status, printed, errors = run(ascii_only, "jamrelay", "stats", f"localhost:{port}")
    assert (status, errors) == (0, "")
    assert "+0.0 +-0.00 ms" in printed
    assert "?? ann (away)" in printed
    assert printed.isascii()


@pytest.mark.parametrize(
    "words",
    [("stats", "localhost:{port}"), ("stats", "localhost:{port}", "--json"), ("stats", "localhost:{port}",
     "--watch"), ("--help",), ("--version",)],
    ids=" ".join,
)  # fmt: skip
def test_a_full_disk_is_told_in_one_line(env: dict[str, str], port: int, words: tuple[str, ...]) -> None:
    command = [str(BIN / "jamrelay"), *(word.format(port=port) for word in words)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, env=env, timeout=ENDS_S
        )
    assert done.returncode == 1
    assert done.stderr == "Error: what this prints can't be written: No space left on device\n"


@pytest.mark.parametrize("words", [(), ("--json",), ("--json", "--watch"), ("--watch",)], ids=" ".join)
def test_a_pipe_that_is_closed_ends_statistics_without_a_word(
    env: dict[str, str], port: int, words: tuple[str, ...]
) -> None:
    command = [str(BIN / "jamrelay"), "stats", f"localhost:{port}", *words]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(ENDS_S) == 1
    assert errors == ""


def test_a_jam_goes_on_where_nothing_can_be_printed(env: dict[str, str], tmp_path: Path, port: int) -> None:
    started = tmp_path / "started"
    words = ["join", f"localhost:{port}", "--scsynth", "true", "--", "touch", str(started)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [str(BIN / "jambridge"), *words], stdout=full, stderr=full, env=env, timeout=ENDS_S
        )
    assert started.exists()
    assert done.returncode == 0


def test_a_relay_whose_words_nobody_can_take_runs_on_and_ends_cleanly(
    env: dict[str, str], tmp_path: Path
) -> None:
    port = free_port()
    words = ["serve", "--host", "127.0.0.1", "--port", str(port), "--data-dir", str(tmp_path / "data")]
    with (
        Path("/dev/full").open("w") as full,
        subprocess.Popen([str(BIN / "jamrelay"), *words], stdout=full, stderr=full, env=env) as process,
    ):
        try:
            deadline_s = time.monotonic() + ENDS_S
            while run(env, "jamrelay", "stats", f"localhost:{port}")[0] != 0:
                assert process.poll() is None
                assert time.monotonic() < deadline_s
            process.terminate()
            process.wait(ENDS_S)
        finally:
            process.kill()
