"""Reporting: how far a campaign is, with the time left, on a terminal and in a log alike."""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from laboratory.campaign import Failure, Job, run_all
from laboratory.rows import Row


class Reporter:
    """A progress bar where there is a terminal, a line for each run where there is none.

    The time left follows from what the runs so far took against what they should.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.total_s = self.done_s = 0.0
        self.runs = self.runs_done = 0
        self.started_s = time.monotonic()
        self.progress = Progress(
            TextColumn("{task.completed:.0f} of {task.total:.0f} runs"), BarColumn(), TimeElapsedColumn(),
            TextColumn("{task.fields[left]}  {task.fields[note]}"), console=console, transient=True,
            disable=not console.is_terminal,
        )  # fmt: skip
        self.task: TaskID | None = None

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def begin(self, jobs: Sequence[Job]) -> None:
        """Begin anew, with these jobs."""
        self.total_s, self.done_s = sum(job.cost_s for job in jobs), 0.0
        self.runs, self.runs_done = len(jobs), 0
        self.started_s = time.monotonic()
        if self.task is not None:
            self.progress.remove_task(self.task)
        self.task = self.progress.add_task("", total=len(jobs), left="", note="")

    def finished(self, job: Job, note: str) -> None:
        """Count a run as done, well or not."""
        self.done_s += job.cost_s
        self.runs_done += 1
        left = time_text(self.left_s()) + " left"
        assert self.task is not None
        self.progress.update(self.task, advance=1, left=left, note=note)
        if not self.console.is_terminal:
            self.console.print(f"{self.runs_done}/{self.runs} {note} ({left})", soft_wrap=True)

    def left_s(self) -> float:
        """Return about how long the rest takes."""
        elapsed_s = time.monotonic() - self.started_s
        return elapsed_s * (self.total_s - self.done_s) / self.done_s if self.done_s else 0.0


def run_jobs(
    jobs: Sequence[Job], at_once: int, reporter: Reporter, done: Callable[[Job, object], None]
) -> list[Failure]:
    """Run jobs with a report of each; return what failed."""
    reporter.begin(jobs)

    def finished(job: Job, result: object) -> None:
        done(job, result)
        reporter.finished(job, job.name + outcome(result))

    return run_all(
        jobs,
        at_once=at_once,
        done=finished,
        failed=lambda failure: reporter.finished(
            failure.job, f"{failure.job.name}: FAILED, {failure.reason}"
        ),
    )


def outcome(result: object) -> str:
    """Return what a run brought, in a few words."""
    if not isinstance(result, Row):
        return ""
    unavoidable = "" if result.unavoidable is None else f", {result.unavoidable} unavoidable"
    left_out = f", {result.disturbed} left out" if result.disturbed else ""
    return f": {result.bad} of {result.events} bad, {result.retimed} re-timed{unavoidable}{left_out}"


def tell_failures(console: Console, failures: Sequence[Failure]) -> None:
    """Print every failure with the end of its log: none is dropped in silence."""
    for failure in failures:
        console.rule(f"FAILED: {failure.job.name}", style="red")
        console.print(failure.reason, style="red", markup=False)
        console.print(failure.log, markup=False)
        console.print(f"what it left: {failure.folder}", markup=False)
    if failures:
        console.print(f"{len(failures)} runs failed; the same command tries them again", style="red")


def time_text(seconds: float) -> str:
    """Return a time for people: "45 s", "12 min", "1 h 05 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
