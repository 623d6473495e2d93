"""Stock files: reads Sonic Pi's own files for the bridge, in a thread of its own.

A shell. The thread gives up the bridge's real-time priority, so that reading never delays sound. An error of
the file system counts as a missing file.
"""

import asyncio
import contextlib
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bridge.file_jobs import Answer, Job, Scanned
from bridge.stock.shelf import is_relevant
from relay.wire.stock import synthdef_file

SYNTHDEF_SUFFIX = ".scsyndef"


class StockFiles:
    """Does a bridge's jobs with files, one after the other."""

    def __init__(self, answer: Callable[[Answer], None]) -> None:
        """answer: is called with each answer, in the thread of the event loop."""
        self._answer = answer
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="files", initializer=_be_modest)

    def do(self, job: Job) -> None:
        """Do a job in the thread, after the earlier jobs."""
        loop = asyncio.get_running_loop()
        done = loop.run_in_executor(self._thread, _done, job)
        done.add_done_callback(self._deliver)

    def close(self) -> None:
        """Begin no further job. The answer of a job that is under way is lost."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _deliver(self, done: "asyncio.Future[Answer]") -> None:
        if not done.cancelled():
            self._answer(done.result())


def _done(job: Job) -> Answer:
    return Scanned({name: _sha256(path) for name, path in files_under(job.root) if _readable(path)})


def files_under(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files under Sonic Pi's folder `root` that matter to a jam, as (travelling name, path)."""
    for folder in ("samples", "buffers"):
        for path in _listed(root / folder):
            if is_relevant(name := f"{folder}/{path.name}"):
                yield name, path
    for path in _listed(root / "synthdefs" / "compiled"):
        if path.suffix == SYNTHDEF_SUFFIX:
            yield synthdef_file(path.stem), path


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _readable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.R_OK)


def _sha256(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return b""


def _be_modest() -> None:
    """Give this thread ordinary priority."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # of this thread alone
