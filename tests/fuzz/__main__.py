"""Command that fuzzes with many inputs and shows its progress; run by scripts/fuzz."""

import click
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TimeRemainingColumn

from tests.fuzz.targets import SHARES, TARGETS, FuzzError, run_one

MILLION = 1_000_000


@click.command()
@click.argument("inputs", type=click.IntRange(min=1), default=MILLION)
@click.option("--only", metavar="TARGET:NUMBER", help="Run one input alone and print it.")
@click.option(
    "--from",
    "start",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Number of the first input: others than last time.",
)
def main(inputs: int, only: str | None, start: int) -> None:
    """Fuzz with INPUTS inputs (default a million) and stop at the first that fails."""
    if only is not None:
        target, _, number = only.partition(":")
        if target not in TARGETS or not number.isdigit():
            raise click.ClickException(f"{only}: expected one of {', '.join(TARGETS)}, a colon, and a number")
        try:
            click.echo(f"passed: {run_one(target, int(number)).hex()}")
        except FuzzError as error:
            raise click.ClickException(str(error)) from None
    else:
        run_all(inputs, start)


def run_all(inputs: int, start: int) -> None:
    """Run every target with its share of the inputs.

    inputs: how many in all. start: the number of each target's first input.
    """
    columns = (
        SpinnerColumn(),
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        for target, share in SHARES.items():
            count = max(1, round(inputs * share))
            task = progress.add_task(target, total=count)
            for number in range(start, start + count):
                try:
                    run_one(target, number)
                except FuzzError as error:
                    raise click.ClickException(str(error)) from None
                progress.advance(task)


if __name__ == "__main__":
    main(prog_name="scripts/fuzz")
