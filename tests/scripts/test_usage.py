"""`--help` of the scripts: it works in a fresh checkout without Python, under the name that was typed."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from tests.worlds.usage import COMMANDS, SCRIPTS, written

NAMES = sorted(path.name for path in SCRIPTS.iterdir() if path.is_file())
NEEDED = ("bash", "env", "dirname", "basename", "cat", "sed")
"""The only programs on the PATH of a machine on which nothing is set up. Python and apt-get aren't there."""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a fresh copy of the scripts and a folder `bin` with the programs of NEEDED."""
    folder = tmp_path_factory.mktemp("bare")
    for path in (*(SCRIPTS / name for name in NAMES), *(SCRIPTS / "usage").iterdir()):
        place = folder / "checkout" / "scripts" / path.relative_to(SCRIPTS)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    (folder / "bin").mkdir()
    for name in NEEDED:
        program = shutil.which(name)
        assert program is not None
        (folder / "bin" / name).symlink_to(program)
    return folder


def helped(bare: Path, *words: str, cwd: str = "") -> str:
    done = subprocess.run(
        words, cwd=bare / "checkout" / cwd, env={"PATH": str(bare / "bin")}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def files(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.parametrize("name", NAMES)
def test_help_needs_nothing_and_sets_nothing_up(bare: Path, name: str) -> None:
    before = files(bare)
    text = helped(bare, f"scripts/{name}", "--help")
    assert f"scripts/{name}" in text
    assert helped(bare, f"scripts/{name}", "--seconds", "5", "-h") == text
    assert files(bare) == before
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("words", [words for words in COMMANDS if " " in words])
def test_a_mode_with_a_command_of_its_own_has_help_of_its_own(bare: Path, words: str) -> None:
    assert helped(bare, *f"scripts/{words}".split(), "--help") == written(words).read_text()


@pytest.mark.parametrize("name", NAMES)
def test_help_has_the_name_that_was_typed(bare: Path, name: str) -> None:
    text = helped(bare, f"./{name}", "--help", cwd="scripts")
    assert f"./{name}" in text
    assert f"scripts/{name}" not in text


def test_what_stands_behind_two_dashes_is_somebody_elses(bare: Path) -> None:
    done = subprocess.run(
        ["scripts/netlab", "--", "true", "--help"], cwd=bare / "checkout", env={"PATH": str(bare / "bin")},
        capture_output=True, text=True,
    )  # fmt: skip
    assert "Usage:" not in done.stdout


def plain(text: str) -> str:
    """Return the text in one line, with words that were broken at a hyphen joined."""
    return " ".join(text.split()).replace("- ", "-")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_that_is_kept_says_what_the_command_does_now(name: str) -> None:
    text, command = plain(written(name).read_text()), COMMANDS[name]
    assert f"Usage: scripts/{name} [OPTIONS]" in text
    assert plain((command.help or "").replace("\b", "")) in text
    context = click.Context(command, **command.context_settings)
    known = {"-h", "--help"}
    for option in command.params:
        if isinstance(option, click.Option):
            known |= {*option.opts, *option.secondary_opts}
            record = option.get_help_record(context)
            assert record is not None
            assert plain(record[1].partition("  [")[0]) in text, "write it anew: python -m tests.worlds.usage"
            if isinstance(option.default, int | float | str) and not option.is_flag:
                assert f"default: {option.default}" in text
    named = set(re.findall(r"(?<=\s)--?[a-z][a-z-]*", written(name).read_text()))
    assert known - named == set()
    options = written(name).read_text().partition("Options:")[2].partition("Examples:")[0]
    assert set(re.findall(r"^  (--?[a-z][a-z-]*)", options, re.M)) <= known


def test_a_mistake_is_answered_with_the_scripts_name() -> None:
    for module, name in (("rehearsal.demo.demo", "scripts/demo"), ("tests.fuzz", "scripts/fuzz")):
        done = subprocess.run(
            [str(SCRIPTS.parent / ".venv" / "bin" / "python"), "-m", module, "--nonsense"],
            env=os.environ | {"PYTHONPATH": f"{SCRIPTS}:{SCRIPTS.parent}"},
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.stderr.startswith(f"Usage: {name} ")
