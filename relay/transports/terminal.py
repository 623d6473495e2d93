"""The terminal, file or pipe that our commands print to. Missing characters and failed writes are handled
here.

A shell, for both commands.
"""

import codecs
import contextlib
import errno
import io
import sys
from typing import Any

import click

_PLAIN = "jamrelay-plain"
_INSTEAD = {"±": "+-", "●": "o", "│": "|", "┤": "|", "…": ".", "━": "-", "•": "*"} | dict(
    zip("▁▂▃▄▅▆▇█", ".:-=+*%#", strict=True)
)
"""ASCII replacements for the signs of our tables and drawings, of the same width where possible."""

_NOT_TAKEN = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""Errors of a full disk and its like. A closed pipe ends a command silently, as in click and rich."""


def _in_plain_signs(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end]
    return "".join(_INSTEAD.get(character, "?") for character in text), error.end


def show_in_plain_signs() -> None:
    """Make stdout and stderr print ASCII replacements for signs that their encoding lacks, not fail."""
    codecs.register_error(_PLAIN, _in_plain_signs)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_PLAIN)


def say(line: str, *, err: bool = False) -> None:
    """Print a line. A line that can't be written is lost, since the running program matters more."""
    with contextlib.suppress(OSError):
        click.echo(line, err=err)


class Commands(click.Group):
    """A command of ours. Failing output never ends it in a traceback."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run from the command line. Exits with status 1 and one line if its output can't be written."""
        show_in_plain_signs()
        try:
            return super().main(*args, **options)
        except OSError as error:
            if error.filename is not None or error.errno not in _NOT_TAKEN:
                raise
            say(f"Error: what this prints can't be written: {error.strerror}", err=True)
            sys.exit(1)
