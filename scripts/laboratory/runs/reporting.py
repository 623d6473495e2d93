"""Reporting: shows a campaign's progress and the time left, on a terminal or in a log."""

from collections.abc import Callable, Sequence
from itertools import count

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from laboratory.runs.campaign import Failure, Job, run_all
from laboratory.runs.rows import Row

SPEED_OVER_S = 3600.0
"""Period (s) up to now whose finished runs are used to estimate the time left.

Those runs give the ratio of actual to expected duration.
"""


def run_jobs(
    console: Console, jobs: Sequence[Job], at_once: int, done: Callable[[Job, object], None]
) -> list[Failure]:
    """Run jobs, show their progress, and print and return the failures.

    done: called with each job and its result. A terminal shows a progress bar, a log gets a line for each
    run.
    """
    columns = (BarColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal,
        speed_estimate_period=SPEED_OVER_S,
    ) as progress:  # fmt: skip
        task = progress.add_task("", total=sum(job.cost_s for job in jobs), note="")
        numbers = count(1)

        def finished(job: Job, note: str) -> None:
            note = f"{next(numbers)}/{len(jobs)} {job.name}{note}"
            progress.update(task, advance=job.cost_s, note=note)
            if not console.is_terminal:
                left = progress.tasks[0].time_remaining
                console.print(f"{note} ({time_text(left or 0)} left)", soft_wrap=True)

        def good(job: Job, result: object) -> None:
            done(job, result)
            finished(job, outcome(result))

        failures = run_all(
            jobs, at_once=at_once, done=good,
            failed=lambda failure: finished(failure.job, f": FAILED, {failure.reason}"),
        )  # fmt: skip
    tell_failures(console, failures)
    return failures


def outcome(result: object) -> str:
    """Return a run's result in a few words; "" if the result is no Row."""
    if not isinstance(result, Row):
        return ""
    unavoidable = "" if result.unavoidable is None else f", {result.unavoidable} unavoidable"
    left_out = f", {result.disturbed} left out" if result.disturbed else ""
    return f": {result.bad} of {result.events} bad, {result.retimed} re-timed{unavoidable}{left_out}"


def tell_failures(console: Console, failures: Sequence[Failure]) -> None:
    """Print every failure with its reason and the end of its log."""
    for failure in failures:
        console.rule(f"FAILED: {failure.job.name}", style="red")
        console.print(failure.reason, style="red", markup=False)
        console.print(failure.log, markup=False)
        console.print(f"what it left: {failure.folder}", markup=False)
    if failures:
        console.print(f"{len(failures)} runs failed; the same command tries them again", style="red")


def time_text(seconds: float) -> str:
    """Return a time as text: "45 s", "12 min", "1 h 05 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
