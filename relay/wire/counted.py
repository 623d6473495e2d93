"""Counted things as people say them: "1 datagram", "2 datagrams".

Pure.
"""


def counted(number: int, noun: str) -> str:
    """Return the number and its noun, which is given in the singular and takes an s in the plural."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
