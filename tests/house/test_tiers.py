"""The parts of scripts/test: every test is in exactly one, and tests that only compute never wait."""

import ast
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from tests.worlds.places import ROOT

SCRIPT = (ROOT / "scripts/test").read_text("utf-8")
PARTS = re.findall(r'-m "(.*)\$further"', SCRIPT)
QUICK = re.findall(r'-m "(.*)" --hypothesis-profile', SCRIPT)
MARKS = ("real", "netlab", "slow", "computes", "unhurried")
OTHERS = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if path != Path(__file__)]
COMPUTING = [path for path in OTHERS if "mark.computes" in path.read_text("utf-8")]
FURTHER = [path for path in OTHERS if "mark.exhaustive" in path.read_text("utf-8")]
WAITING = {"asyncio", "socket", "time", "tests.worlds.bridge_process", "tests.worlds.commands"}


def is_chosen(words: str, held: dict[str, bool]) -> bool:
    return bool(eval(words, {"__builtins__": {}}, held))


def all_marks() -> Iterator[dict[str, bool]]:
    for marks in product([False, True], repeat=len(MARKS)):
        yield dict(zip(MARKS, marks, strict=True))


def test_every_test_is_in_just_one_part() -> None:
    for held in all_marks():
        assert sum(is_chosen(words, held) for words in PARTS) == 1, held


def test_the_quick_tier_leaves_out_servers_and_what_is_slow_and_nothing_else() -> None:
    (words,) = QUICK
    for held in all_marks():
        apart = held["real"] or held["netlab"] or held["slow"]
        assert is_chosen(words, held | {"exhaustive": False}) == (not apart), held
        assert not is_chosen(words, held | {"exhaustive": True})


@pytest.mark.parametrize("path", COMPUTING, ids=lambda path: path.stem)
def test_what_computes_waits_for_nothing(path: Path) -> None:
    """A test marked `computes` uses no sockets and no real time.

    It runs beside other tests that use the processor, and may be stopped for seconds.
    """
    imported = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module))
    assert imported & WAITING == set()


@pytest.mark.parametrize("path", FURTHER, ids=lambda path: path.stem)
def test_what_only_runs_with_all_is_listed(path: Path) -> None:
    name = path.relative_to(ROOT / "tests").as_posix()
    listed = (ROOT / "docs/testing.md").read_text("utf-8").partition("## Only in `scripts/test --all`")[2]
    assert f"| `{name}` |" in listed
