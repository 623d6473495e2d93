"""Counted nouns for messages to people: "1 datagram", "2 datagrams".

Pure.
"""


def counted(number: float, noun: str) -> str:
    """Return a number with its noun. noun: the singular; the plural is made with an s."""
    shown = str(number) if isinstance(number, int) else f"{number:g}"
    return f"{shown} {noun}" if number == 1 else f"{shown} {noun}s"
