"""Campaign: executes many runs, each in a process of its own, some of them at the same time.

A run that crashes, hangs or is killed harms no other run. It is reported with the end of its log. Each result
is passed to the caller at once, so a campaign that is killed loses only the unfinished runs.
"""

import contextlib
import faulthandler
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

Work = Callable[[Path], object]
"""The function that does a run. It gets a folder of its own and returns a result. It can be pickled."""

PATIENCE = 6.0
"""Factor of a run's time limit. The limit is PATIENCE times its expected duration, plus PATIENCE_S for short
runs."""
PATIENCE_S = 120.0
GOODBYE_S = 15.0
"""Time (s) for an interrupted run to end its own processes."""
LOG_LINES = 25


@dataclass(frozen=True, slots=True)
class Job:
    """One run to execute.

    cost_s: expected duration (s), from which its time limit and the estimate of the time left are computed.
    """

    name: str
    cost_s: float
    work: Work


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that ended without a result.

    reason: the cause, in one line. folder: the run's files, with its log as run.log.
    """

    job: Job
    reason: str
    folder: Path

    @property
    def log(self) -> str:
        """The last LOG_LINES lines of the run's log."""
        path = self.folder / "run.log"
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return "\n".join(lines[-LOG_LINES:])


@dataclass(slots=True)
class Running:
    job: Job
    folder: Path
    process: BaseProcess
    results: Connection
    give_up_at_s: float


def run_all(
    jobs: Iterable[Job],
    *,
    at_once: int,
    done: Callable[[Job, object], None],
    failed: Callable[[Failure], None] = lambda failure: None,
    within: Path | None = None,
) -> list[Failure]:
    """Run jobs in their order, at most `at_once` at a time; return the failures.

    done: called with each result as soon as it arrives. failed: called with each failure. Both are called in
    this process, one call after the other. within: the folder in which runs get their folders; None: the
    system's temporary one. Folders of failed runs are kept.

    At KeyboardInterrupt the unfinished runs are interrupted too, and killed if they don't end in time. Then
    the exception is raised again.
    """
    waiting, running, failures = list(jobs)[::-1], list[Running](), list[Failure]()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                running.append(start(waiting.pop(), within))
            patience_s = min(run.give_up_at_s for run in running) - time.monotonic()
            ready = wait([run.results for run in running], timeout=max(0.0, patience_s))
            for run in [
                run for run in running if run.results in ready or run.give_up_at_s <= time.monotonic()
            ]:
                running.remove(run)
                result, reason = finish(run)
                if reason is None:
                    done(run.job, result)
                else:
                    failures.append(Failure(run.job, reason, run.folder))
                    failed(failures[-1])
    finally:
        end(run.process for run in running)
        for run in running:
            shutil.rmtree(run.folder, ignore_errors=True)
    return failures


def folderless(work: Callable[[], object], folder: Path) -> object:
    """Call `work`, a function that needs no folder. With `work` bound, this is the Work of a run in virtual
    time."""
    return work()


def start(job: Job, within: Path | None) -> Running:
    # Not fork: the caller has threads (a progress bar). Not spawn: it would load everything anew each time.
    context = get_context("forkserver")
    context.set_forkserver_preload(["laboratory.runs.runs"])
    name = re.sub(r"[^a-zA-Z0-9]+", "-", job.name)[:60]
    folder = Path(tempfile.mkdtemp(prefix=f"lab-{name}-", dir=within))
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(job.work, folder, theirs), name=job.name)
    process.start()
    theirs.close()
    return Running(job, folder, process, ours, time.monotonic() + PATIENCE * job.cost_s + PATIENCE_S)


def work(wanted: Work, folder: Path, results: Connection) -> None:
    """Do one run. This is the main function of the run's own process.

    results: (result, None) is sent to it, or (None, the error in words).
    """
    os.setsid()  # Ctrl-C of a terminal goes to `run_all` alone, which asks every run once
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    log = os.open(folder / "run.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", 1), os.fdopen(2, "w", 1)
    faulthandler.enable()
    threading.Thread(target=follow_parent, daemon=True).start()
    try:
        results.send((wanted(folder), None))
    except KeyboardInterrupt:
        pass
    except BaseException as error:
        traceback.print_exc()
        results.send((None, f"{type(error).__name__}: {error}"))


def follow_parent() -> None:
    """Wait until the parent process has ended, even by being killed. Then interrupt this run."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGINT)


def finish(run: Running) -> tuple[object, str | None]:
    """Return the outcome of a run that has sent a result, has died or has taken too long, and end its
    process.

    The outcome is (result, None), or (None, reason) for a failure.
    """
    try:
        if not run.results.poll():
            return None, f"gave up: took more than {PATIENCE:g} times the {run.job.cost_s:.0f} s it should"
        result, reason = run.results.recv()
    except EOFError:
        run.process.join(GOODBYE_S)
        return None, f"its process ended with status {run.process.exitcode} before it had a result"
    finally:
        end([run.process])
        run.results.close()
    if reason is None:
        shutil.rmtree(run.folder, ignore_errors=True)
    return result, reason


def end(processes: Iterable[BaseProcess]) -> None:
    """End processes with SIGINT, then SIGTERM, then SIGKILL, with a wait of up to GOODBYE_S after each
    signal."""
    remaining = list(processes)
    for process in remaining:
        process.join(GOODBYE_S if process.exitcode is not None else 1.0)
    for ask in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        remaining = [process for process in remaining if process.is_alive()]
        for process in remaining:
            assert process.pid is not None
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, ask)
        deadline_s = time.monotonic() + GOODBYE_S
        for process in remaining:
            process.join(max(0.0, deadline_s - time.monotonic()))
