"""Output of our commands to a terminal, file or pipe.

A shell, for both commands. It replaces characters that the output's encoding lacks, and handles writes that
fail.
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
"""The ASCII text that replaces each non-ASCII sign in our tables and drawings. It has the same width where
possible."""

_NOT_TAKEN = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""Error numbers of writes that fail because of a full disk or the like. A closed pipe isn't among them: it
ends a command silently, as usual with click and rich."""


def _in_plain_signs(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end]
    return "".join(_INSTEAD.get(character, "?") for character in text), error.end


def show_in_plain_signs() -> None:
    """Make stdout and stderr replace signs that their encoding lacks by ASCII. Otherwise such signs would
    raise an error."""
    codecs.register_error(_PLAIN, _in_plain_signs)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_PLAIN)


def say(line: str, *, err: bool = False) -> None:
    """Print a line. If the line can't be written it is lost without an error, so that the program goes on.
    err: whether to print to stderr."""
    with contextlib.suppress(OSError):
        click.echo(line, err=err)


class Commands(click.Group):
    """A command with its subcommands. A failed write ends it with a line instead of a traceback."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command. If its output can't be written, print a line on stderr and exit with status 1."""
        show_in_plain_signs()
        try:
            return super().main(*args, **options)
        except OSError as error:
            if error.filename is not None or error.errno not in _NOT_TAKEN:
                raise
            say(f"Error: what this prints can't be written: {error.strerror}", err=True)
            sys.exit(1)
