"""netlab tests that can't run are named in the last line of a test run; netlab itself says why it can't."""

import os
import subprocess
import sys

import pytest
from laboratory.star.namespaces import REFUSE

from tests.worlds.places import ROOT

pytestmark = pytest.mark.slow

NEEDY = "tests/lab/test_netlab.py"
EVERYWHERE = "tests/scripts/laboratory/test_netlab_report.py"


def run(*command: str) -> "subprocess.CompletedProcess[str]":
    settings = os.environ | {REFUSE: "no /dev/net/tun", "PYTHONPATH": str(ROOT / "scripts")}
    settings.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env=settings, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("how", [("-n", "0"), ("-n", "2", "--quiet")])
def test_last_line_names_what_was_not_run(how: tuple[str, ...]) -> None:
    ended = run("pytest", *how, "-p", "no:cacheprovider", NEEDY, EVERYWHERE)
    assert ended.returncode == 0, ended.stdout
    last = ended.stdout.strip().splitlines()[-1]
    assert last.startswith("NOT RUN (no /dev/net/tun): "), ended.stdout
    names = last.partition("): ")[2].split(", ")
    assert "test_every_decision_is_logged_and_repeatable" in names
    assert len(names) == len(set(names)) >= 6


def test_nothing_is_named_where_nothing_needs_netlab() -> None:
    ended = run("pytest", "-n", "0", "-p", "no:cacheprovider", "--quiet", EVERYWHERE)
    assert ended.returncode == 0, ended.stdout
    assert "NOT RUN" not in ended.stdout


def test_command_says_why_it_cannot_work_here() -> None:
    ended = run("laboratory.star.netlab", "--profile", "dsl", "--", "true")
    assert ended.returncode == 3
    assert ended.stderr == "netlab can't work here: no /dev/net/tun\n"
