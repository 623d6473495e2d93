"""Stock files: reads Sonic Pi's own files for the bridge, and keeps a cache, in a thread of its own.

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
from typing import assert_never

from bridge.file_jobs import Answer, Find, Found, Job, Keep, Part, ReadPart, Scan, Scanned
from bridge.shells.stock_cache import SYNTHDEF_SUFFIX, StockCache
from bridge.stock.shelf import is_relevant
from relay.wire.stock import StockFile, synthdef_file


class StockFiles:
    """Does a bridge's jobs with files, one after the other."""

    def __init__(self, cache: Path, answer: Callable[[Answer], None]) -> None:
        """cache: the folder of the cache. answer: the function that gets each answer. It runs in the thread
        of the event loop."""
        self._cache = StockCache(cache)
        self._answer = answer
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="files", initializer=_be_modest)

    def do(self, job: Job) -> None:
        """Do a job in the thread, after the earlier jobs."""
        loop = asyncio.get_running_loop()
        loop.run_in_executor(self._thread, done, job, self._cache).add_done_callback(self._deliver)

    def close(self) -> None:
        """Begin no further job. The answer of a job that is under way is lost."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _deliver(self, finished: "asyncio.Future[Answer]") -> None:
        if not finished.cancelled():
            self._answer(finished.result())


def done(job: Job, cache: StockCache) -> Answer:
    """Do a job, and return its answer."""
    match job:
        case Scan(root):
            return Scanned(dict(_hashed(root)), cache.files())
        case Find(file, root):
            found = _in_sonic_pi(file, root) or cache.find(file)
            if found is None:
                return Found(file, None)
            return Found(file, found[0], found[1] if file.is_synthdef else b"")
        case Keep(file, content):
            return Found(file, cache.keep(file, content), kept=True)
        case ReadPart(file, root, offset, length):
            found = _in_sonic_pi(file, root) or cache.find(file)
            return Part(file, offset, b"" if found is None else found[1][offset : offset + length])
        case _:
            assert_never(job)


def files_under(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files under Sonic Pi's folder `root` that matter to a jam, as (travelling name, path)."""
    for folder in ("samples", "buffers"):
        for path in _listed(root / folder):
            if is_relevant(name := f"{folder}/{path.name}"):
                yield name, path
    for path in _listed(root / "synthdefs" / "compiled"):
        if path.suffix == SYNTHDEF_SUFFIX:
            yield synthdef_file(path.stem), path


def _hashed(root: Path) -> Iterator[tuple[str, bytes]]:
    for name, path in files_under(root):
        with contextlib.suppress(OSError), path.open("rb") as file:
            yield name, hashlib.file_digest(file, "sha256").digest()


def _in_sonic_pi(file: StockFile, root: Path | None) -> tuple[Path, bytes] | None:
    """Return the path and content of a file in Sonic Pi's folder; None if it isn't there with exactly this
    content."""
    if root is None:
        return None
    folder, _, name = file.name.partition("/")
    path = (
        root / folder / "compiled" / f"{name}{SYNTHDEF_SUFFIX}" if file.is_synthdef else root / folder / name
    )
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return (path, content) if hashlib.sha256(content).digest() == file.sha256 else None


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _be_modest() -> None:
    """Give this thread ordinary priority."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # of this thread alone
