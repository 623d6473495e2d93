"""The study's whole pipeline on a small scale: it runs, and writes rows, figures and text."""

import subprocess
import sys

import pytest

from tests.worlds.places import SCRIPTS

pytestmark = pytest.mark.computes


@pytest.mark.slow
def test_the_quick_study_runs_and_writes_its_text_and_figures() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "laboratory.lab", "study", "--quick"],
        cwd=SCRIPTS, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "written: " in " ".join(done.stdout.split())
    assert "failed" not in done.stdout
