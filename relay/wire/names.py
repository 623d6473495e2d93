"""Names of rooms and members: what is left of what somebody typed, or sent.

Pure.
"""

from relay.wire.errors import LocalError

MAX_NAME = 32
"""Characters."""


def cleaned(text: str) -> str:
    """Return `text` without control and bidirectional characters, trimmed to MAX_NAME; "" if none is left."""
    printable = "".join(character for character in text if character.isprintable()).strip()
    return printable[:MAX_NAME].strip()


def clean_name(text: str) -> str:
    """Return `text` as a member's name: cleaned, and "player" where nothing is left of it."""
    return cleaned(text) or "player"


def clean_room(text: str) -> str:
    """Return `text` as a room's name: cleaned. Raises LocalError, in words, where nothing is left of it."""
    room = cleaned(text)
    if not room:
        raise LocalError(f"--room {text!r} names no room: expected at least one letter, digit or sign")
    return room
