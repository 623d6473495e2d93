"""The terminal, file or pipe that our commands print to: what it can't show or take is told in a line.

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
"""What ASCII has for the signs of our own tables and drawings, as wide as they are where that can be."""

_NOT_TAKEN = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""A full disk and its like. A closed pipe ends a command without a word, as click and rich have it."""


def _in_plain_signs(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end]
    return "".join(_INSTEAD.get(character, "?") for character in text), error.end


def show_in_plain_signs() -> None:
    """Let stdout and stderr put plain signs where their encoding lacks one, rather than fail."""
    codecs.register_error(_PLAIN, _in_plain_signs)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_PLAIN)


def say(line: str, *, err: bool = False) -> None:
    """Print a line; it is lost where nobody takes it any more: what runs meanwhile matters more."""
    with contextlib.suppress(OSError):
        click.echo(line, err=err)


class Commands(click.Group):
    """A command of ours: nothing that it prints ends in a traceback."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run from the command line; ends with status 1 and one line if what it prints can't be written."""
        show_in_plain_signs()
        try:
            return super().main(*args, **options)
        except OSError as error:
            if error.filename is not None or error.errno not in _NOT_TAKEN:
                raise
            say(f"Error: what this prints can't be written: {error.strerror}", err=True)
            sys.exit(1)
