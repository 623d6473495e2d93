"""Terminal: the common parts of the commands in scripts/: settings, error messages, progress bars and
tables."""

import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "show_default": True}
"""Settings of a click command."""


@contextmanager
def told_in_words(*errors: type[Exception], advice: str = "") -> Iterator[None]:
    """Turn these errors and Ctrl-C into one line that ends the command, without a traceback.

    advice: words that follow the error's own. SIGTERM raises SystemExit in the command, so that everything it
    has started is ended first.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    except errors as error:
        raise click.ClickException(f"{error}{advice}") from None
    except KeyboardInterrupt:
        raise click.ClickException("stopped by Ctrl-C; nothing was left running") from None


def progress_on(console: Console | None = None) -> Progress:
    """Return a progress bar that vanishes when it is done. console: where to show it; None: on stderr."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console or Console(stderr=True), transient=True)


def table(
    headings: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None, words: int = 1
) -> Table:
    """Return a table of rows. words: this many columns at the left hold words and are left-aligned; the
    others hold figures."""
    made = Table(title=title, box=None, padding=(0, 1, 0, 0))
    for at, heading in enumerate(headings):
        made.add_column(heading, justify="left" if at < words else "right", no_wrap=True)
    for row in rows:
        made.add_row(*map(str, row))
    return made
