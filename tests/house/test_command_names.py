"""scsynth's commands are named in one table, and otherwise only in the module that writes messages."""

import ast
import re
from pathlib import Path

import pytest

from relay.wire.commands import COMMANDS, REPLIES
from tests.worlds.places import ROOT

WRITES = "relay/wire/write.py"
"""The only module that writes commands and replies."""
_WITH_A_FAMILY = r"[a-z]_[A-Za-z]*"
_OTHERS = sorted(
    (address[1:] for address in COMMANDS | REPLIES if address[2:3] != "_"), key=len, reverse=True
)
NAME = re.compile(rf"(?<![\w/.<])/(?:{_WITH_A_FAMILY}|{'|'.join(map(re.escape, _OTHERS))})(?![\w/-])")
"""Matches a command's name, or the common beginning of a family of names. It doesn't match a path."""


def names_in(source: str) -> list[str]:
    """Return the strings and bytes of a source that contain a command's name, with their lines.

    Docstrings and comments don't count.
    """
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            text = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
            if isinstance(text, str) and NAME.search(text):
                found.append(f"line {node.lineno}: {text!r}")
    return found


SOURCES = [path for package in ("relay", "bridge") for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_command_is_named_outside_the_table_and_where_commands_are_written(path: Path) -> None:
    where = path.relative_to(ROOT).as_posix()
    named = names_in(path.read_text("utf-8"))
    assert bool(named) == (where == WRITES), f"{where}: {named}; see relay/wire/meaning.py"


@pytest.mark.parametrize(
    "line",
    [
        'if message.address == "/s_new": pass',
        'held.payload.startswith(b"/b_free\\0")',
        'raise Refused("arguments", f"/n_set ,{tags}")',
        'address.startswith("/c_")',
        '_BY_ADDRESS = {"/g_queryTree.reply": 1}',
        'x = ("/status", "/synced")',
    ],
)
def test_a_name_is_seen_however_it_is_spelled(line: str) -> None:
    assert names_in(line)


@pytest.mark.parametrize(
    "line", ['"""It frees by /n_free."""', "x = 1  # /n_free", 'x = "/usr/share/sonic-pi"', 'x = "/run-code"']
)
def test_docstrings_comments_and_other_addresses_may_name_what_they_like(line: str) -> None:
    assert names_in(line) == []
