"""Names of rooms and members, cleaned of unprintable characters.

Pure.
"""

from relay.wire.errors import LocalError

MAX_NAME = 32
"""Greatest length of a name, characters."""


def cleaned(text: str) -> str:
    """Return `text` without control and bidirectional characters, cut to MAX_NAME. The result may be
    empty."""
    printable = "".join(character for character in text if character.isprintable()).strip()
    return printable[:MAX_NAME].strip()


def clean_name(text: str) -> str:
    """Return `text` cleaned, as a member's name; "player" if nothing remains."""
    return cleaned(text) or "player"


def clean_room(text: str) -> str:
    """Return `text` cleaned, as a room's name. Raises LocalError, with a text for people, if nothing
    remains."""
    room = cleaned(text)
    if not room:
        raise LocalError(f"--room {text!r} names no room: expected at least one letter, digit or sign")
    return room
