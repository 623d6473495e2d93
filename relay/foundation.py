"""Foundations: what each member's Sonic Pi builds at its start and never frees, and its loaded buffers.

Pure. Kept by the relay for those who join later: without the groups, the mixer and the samples that a
Sonic Pi made before they came, nothing it plays afterwards would sound for them. (Running FX and notes
of a late joiner's past are another matter: they come with the next run.)
Bounds: MESSAGES_MAX messages and BYTES_MAX bytes a slot.
"""

from relay.wire.errors import Refused
from relay.wire.osc import Message, single_message

MESSAGES_MAX = 4096
BYTES_MAX = 512 * 1024

_LOADS = frozenset({"/b_alloc", "/b_allocRead"})
_CREATES = frozenset({"/g_new", "/s_new"})

Key = tuple[str, int]


class FoundationStore:
    """The foundation of one slot: the newest message for every node and buffer in it."""

    def __init__(self) -> None:
        self._messages: dict[Key, bytes] = {}
        self._bytes = 0

    def apply(self, payload: bytes) -> bool:
        """Take in one message of the slot's owner; return whether it changed anything.

        Creations and loads are kept, a /b_free takes its buffer away. Raises MalformedOsc; Refused if it
        is none of these or the store is full.
        """
        message = single_message(payload)
        if message.address == "/b_free":
            return self._drop(("buffer", _first_id(message)))
        key = key_of(message)
        if self._messages.get(key) == payload:
            return False
        old = self._messages.get(key)
        count = len(self._messages) + (old is None)
        size = self._bytes + len(payload) - len(old or b"")
        if count > MESSAGES_MAX or size > BYTES_MAX:
            raise Refused("foundation-full", f"more than {MESSAGES_MAX} messages or {BYTES_MAX} bytes")
        self._drop(key)  # the newer one takes its place at the end: what it stands in may be newer too
        self._messages[key] = payload
        self._bytes += len(payload)
        return True

    def clear(self) -> None:
        """Forget everything: the slot was reset by its own Sonic Pi."""
        self._messages.clear()
        self._bytes = 0

    def messages(self) -> list[bytes]:
        """Return the messages in the order in which they must be executed."""
        return list(self._messages.values())

    def __len__(self) -> int:
        return len(self._messages)

    def _drop(self, key: Key) -> bool:
        old = self._messages.pop(key, None)
        self._bytes -= len(old or b"")
        return old is not None


def key_of(message: Message) -> Key:
    """Return what a foundation message is about: ("node", id) or ("buffer", number). Raises Refused."""
    if message.address in _LOADS:
        return ("buffer", _first_id(message))
    if message.address in _CREATES:
        position = 1 if message.address == "/s_new" else 0
        return ("node", _first_id(message, position))
    raise Refused("not-a-foundation", message.address)


def _first_id(message: Message, position: int = 0) -> int:
    if len(message.tags) <= position or message.tags[position] != "i":
        raise Refused("not-a-foundation", f"{message.address} without an integer at argument {position}")
    return int(message.args[position])
