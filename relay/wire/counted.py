"""Counted things as people say them: "1 datagram", "2 datagrams".

Pure.
"""


def counted(number: float, noun: str) -> str:
    """Return the number and its noun, which is given in the singular and takes an s in the plural."""
    shown = str(number) if isinstance(number, int) else f"{number:g}"
    return f"{shown} {noun}" if number == 1 else f"{shown} {noun}s"
