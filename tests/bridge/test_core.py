"""A bridge's core makes all its parts in one place, for the product, the laboratory and the tests."""

import ast

import pytest

from tests.worlds.places import ROOT

PARTS = ("JamSession", "Playout", "Player", "SecondsLedger", "Timebase", "Pacer")
UNIT_TESTS = {"test_timebase.py", "test_second_reports.py", "test_reply_pacer.py"}
"""Tests that may make a part of a bridge themselves, since they test that part alone."""


def made_in(name: str) -> set[str]:
    """Return the files that call a class of the bridge's core by name, and so make an object of it."""
    found = set()
    for folder in ("bridge", "relay", "clock", "scripts", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text("utf-8")
            if path.name in UNIT_TESTS or f"{name}(" not in text:
                continue
            calls = (node.func for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
            if any(isinstance(call, ast.Name) and call.id == name for call in calls):
                found.add(path.relative_to(ROOT).as_posix())
    return found


@pytest.mark.parametrize("name", [name for name in PARTS if name not in ("Playout", "Pacer")])
def test_a_part_of_a_bridge_is_made_in_one_place(name: str) -> None:
    # laboratory.runs.players has a Player of its own.
    assert made_in(name) - {"scripts/laboratory/runs/realrun.py"} == {"bridge/core.py"}


def test_a_playout_is_made_by_the_core_alone_of_whatever_class_it_is_given() -> None:
    assert made_in("Playout") == made_in("WatchedPlayout") == set()
