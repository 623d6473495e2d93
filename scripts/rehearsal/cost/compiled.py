"""A copy of this checkout with a compiled core, installed as a relay's owner does it."""

import os
import subprocess
import sys
from pathlib import Path

from rehearsal.rigs.machine import StageError

HERE = Path(__file__).resolve().parents[3]


def install_compiled(folder: Path) -> Path:
    """Install this checkout into `folder` with a compiled core, and return the folder. It takes a minute.

    Raises StageError, with the last lines of pip, if that fails, as it does without a C compiler.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
         "--target", folder, HERE],
        env=os.environ | {"JAMRELAY_COMPILED": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise StageError(f"the core could not be compiled (apt install gcc python3-dev):\n{last}")
    return folder
