"""Bodies: the messages of events, translated into the node, bus and buffer numbers of this host's scsynth.

Pure. A message that is forbidden or malformed is refused. Apart from `Held.home`, the result is the same at
every member.
"""

from bridge.playout.accounts import Accounts
from bridge.playout.holdback_queue import Held
from bridge.playout.members import Members
from bridge.scsynth.remap import OUTPUT_CONTROL, remap
from relay.wire import write
from relay.wire.commands import LOADS, Act
from relay.wire.errors import Refused, RemoteError
from relay.wire.sequence import Kind

_LOADS = LOADS | {Act.READ_FILE}
"""The actions by which a message makes scsynth take memory or read files. A message with such an action is
allowed only as an event of kind RESOURCE, which `Loads` checks."""


class Bodies:
    """Translates the messages of held events for scsynth."""

    def __init__(self, own_slot: int, members: Members, accounts: Accounts) -> None:
        self._own_slot = own_slot
        self._members = members
        self._accounts = accounts

    def of(self, held: Held, *, handed_over: bool = True) -> bytes | None:
        """Return the event's message as every member plays it; None if the message is refused.

        If only this host plays the message, it is returned unchanged. If an event of the local player sets
        the control `output`, the message for this host's scsynth differs from the one for the other members.
        It is put into `held.home`.

        handed_over: whether this host's scsynth gets the message. If not, the slot's guard doesn't check a
        setting, because the setting's node may not exist here yet.
        """
        if held.sub and held.home is not None:
            return held.home
        if held.body is not None:
            return held.body
        origin = self._members.origin(held.slot)
        if held.kind is Kind.RESET:
            return write.empty_group(origin.root)
        try:
            message = held.meaning.message
            if held.meaning.act in _LOADS:
                raise Refused("not-allowed", f"{message.address} that is no resource")
            if handed_over or held.meaning.creates:
                self._members.guard(held.slot).check(held.meaning, held.due)
            if held.slot == self._own_slot and OUTPUT_CONTROL in message.raw:
                held.home = remap(message, origin, at_home=True)
            return remap(message, origin)
        except RemoteError as error:
            self._accounts.refuse(error)
            return None
