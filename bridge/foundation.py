"""Foundation: what the local Sonic Pi built at its start and never frees, and its loaded buffers.

Pure. The relay keeps one for each member, for those who join later; a relay that was started anew, or is
met only after Sonic Pi, is told ours. Bound: MESSAGES_MAX messages, the oldest forgotten first.
"""

from relay.wire.osc import single_message
from relay.wire.sequence import Kind

MESSAGES_MAX = 4096
"""As many as the relay takes."""


class OwnFoundation:
    """The newest message for every node and buffer of the foundation, as it travels."""

    def __init__(self) -> None:
        self._messages: dict[tuple[str, object], bytes] = {}

    def note(self, kind: Kind, payload: bytes, *, foundation: bool) -> None:
        """Take in one event of the player."""
        if kind is Kind.RESET:
            self._messages.clear()
        elif kind is Kind.RESOURCE or foundation:
            self._keep(payload)
        elif payload.startswith(b"/b_free\0"):
            self._messages.pop(("buffer", single_message(payload).arg(0)), None)

    def learn(self, messages: list[bytes]) -> None:
        """Take in what the relay remembers: this bridge was started again, Sonic Pi was not."""
        for payload in messages:
            self._keep(payload)

    def messages(self) -> list[bytes]:
        """Return the messages in the order in which they must be executed."""
        return list(self._messages.values())

    def _keep(self, payload: bytes) -> None:
        message = single_message(payload)
        sort = "buffer" if message.address.startswith("/b_") else "node"
        key = (sort, message.arg(1 if message.address == "/s_new" else 0))
        self._messages.pop(key, None)
        self._messages[key] = payload
        if len(self._messages) > MESSAGES_MAX:
            del self._messages[next(iter(self._messages))]
