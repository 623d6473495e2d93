"""Describe: writes a judged event in words, for people.

Pure. The event's bytes come from one member, and the words appear on the terminals of others. So only
printable characters are kept.
"""

from relay.wire.errors import RemoteError
from relay.wire.sequence import Judged, Kind

CHARACTERS_MAX = 60


def described(event: Judged) -> str:
    """Return number, command and first two arguments of an event as text."""
    if event.kind is Kind.RESET:
        what = "slot reset"
    else:
        try:
            message = event.meaning.message
            what = " ".join([message.address, *(str(argument) for argument in message.args[:2])])
        except RemoteError:
            what = "an event that can't be read"
    clean = "".join(character if character.isprintable() else "?" for character in what)
    return f"#{event.number} {clean[:CHARACTERS_MAX]}"
