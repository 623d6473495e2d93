"""The compiled core: only existing core modules are compiled, and the compiled relay sends the same bytes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from compiling.backend import MODULES
from rehearsal.cost.compiled import install_compiled

from tests.house.test_layering import FORBIDDEN_IN_CORES, IMPORTS, SOURCES, is_shell
from tests.worlds.places import ROOT, SCRIPTS


@pytest.mark.parametrize("module", MODULES)
def test_what_is_compiled_is_a_core(module: str) -> None:
    assert module in SOURCES
    assert not is_shell(module)
    assert {name.partition(".")[0] for name in IMPORTS[module]} & FORBIDDEN_IN_CORES == set()


def test_the_core_that_the_tests_run_on_is_not_compiled() -> None:
    """A compiled module left in the checkout would be imported instead of its source, changed or not."""
    assert list((ROOT / "relay").rglob("*.so")) == []


def said(tree: Path) -> dict[str, Any]:
    """What the relay of a checkout sends in virtual jams."""
    path = os.pathsep.join(map(str, (tree, ROOT, SCRIPTS)))
    # The order of some statistics follows the seed of Python's hashes, in pure Python too.
    done = subprocess.run(
        [sys.executable, "-P", "-m", "tests.worlds.sent_by_relay"], capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": "0"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.exhaustive
@pytest.mark.slow
def test_compiled_it_sends_the_same_bytes(tmp_path: Path) -> None:
    tree = install_compiled(tmp_path / "compiled")
    missing = [name for name in MODULES if not list(tree.glob(f"{name.replace('.', '/')}.*.so"))]
    assert missing == []
    plain, compiled = said(ROOT), said(tree)
    assert (plain["compiled"], compiled["compiled"]) == (False, True)
    assert all(jam["verdicts"] > 400 for jam in plain["jams"].values())
    assert compiled["jams"] == plain["jams"]
