"""Mutants: copies of the code with one central rule broken on purpose. The rule's tests must fail on it.

A test that still passes without its rule is worth nothing.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.worlds.places import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.computes]

WITHOUT_SHRINKING = """
from hypothesis import Phase, settings
settings.register_profile("mutants", phases=(Phase.explicit, Phase.generate))
settings.load_profile("mutants")
"""
"""A hypothesis profile that doesn't search for the smallest failing example, which would take minutes."""

TESTS_FAILED = 1
"""pytest's exit status if tests ran and some failed. Any other status doesn't prove that a test noticed."""


@dataclass(frozen=True)
class Mutant:
    """One changed line of one file. guards: the tests that must fail."""

    file: str
    line: str
    instead: str
    guards: tuple[str, ...]


W_RULE = "due = max(unclamped, closed + 1)"
BY_NUMBER = "near.sort(key=lambda one: (min(one[1].due, now), one[0]))"
IDS = ("bridge/scsynth/test_id_space.py", "bridge/scsynth/test_remap.py")

MUTANTS = {
    "unchanged": Mutant(
        "relay/room/judge.py",
        W_RULE,
        W_RULE,
        ("relay/room/test_judge.py", "bridge/playout/test_holdback_queue.py", *IDS),
    ),
    "no max with W": Mutant("relay/room/judge.py", W_RULE, "due = unclamped", ("relay/room/test_judge.py",)),
    "no floor": Mutant(
        "relay/room/judge.py",
        "unclamped = max(due, state.floor)",
        "unclamped = due",
        ("relay/room/test_judge.py",),
    ),
    "ties by the higher number": Mutant(
        "bridge/playout/holdback_queue.py",
        BY_NUMBER,
        "near.sort(key=lambda one: -one[0])",
        ("bridge/playout/test_holdback_queue.py",),
    ),
    "what is late by number": Mutant(
        "bridge/playout/holdback_queue.py",
        BY_NUMBER,
        "near.sort(key=lambda one: one[0])",
        ("bridge/playout/test_holdback_queue.py",),
    ),
    "ties as they come": Mutant(
        "bridge/playout/holdback_queue.py",
        BY_NUMBER,
        "near.reverse()",
        ("bridge/playout/test_holdback_queue.py",),
    ),
    "past a gap": Mutant(
        "bridge/playout/holdback_queue.py",
        "while self._by_number and self._by_number[0][0] <= ready:",
        "while self._by_number:",
        ("bridge/playout/test_holdback_queue.py",),
    ),
    "different dues on one timetag": Mutant(
        "bridge/clocks/monotone_map.py", "(1 if room else 0)", "0", ("bridge/clocks/test_monotone_map.py",)
    ),
    "nodes of all slots in one": Mutant(
        "bridge/scsynth/id_space.py", "return self.slot << NODE_BITS | own", "return own", IDS
    ),
    "buses of neighbours overlap": Mutant(
        "bridge/scsynth/id_space.py", "GUARD_BUSES = 32", "GUARD_BUSES = -64", IDS
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_breaking_a_rule_fails_the_tests_and_leaving_it_does_not(name: str, tmp_path: Path) -> None:
    mutant = MUTANTS[name]
    for folder in ("relay", "bridge", "clock", "tests", "scripts/laboratory"):
        ignored = shutil.ignore_patterns("__pycache__", "real", "sim", "fuzz")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "conftest.py").write_text(WITHOUT_SHRINKING)
    source = tmp_path / mutant.file
    text = source.read_text("utf-8")
    assert text.count(mutant.line) == 1, f"{mutant.file} has changed: {mutant.line!r} isn't there just once"
    source.write_text(text.replace(mutant.line, mutant.instead), "utf-8")
    guards = [str(tmp_path / "tests" / guard) for guard in mutant.guards]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *guards],
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    wanted = 0 if name == "unchanged" else TESTS_FAILED
    assert done.returncode == wanted, done.stdout[-2000:] + done.stderr[-1000:]
