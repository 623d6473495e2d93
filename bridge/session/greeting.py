"""Greeting: makes Hello, a bridge's first message on every connection, and chooses the bridge's slot.

Pure.
"""

from collections.abc import Callable

from bridge.restart_state import Identity, Memory
from relay.wire import control
from relay.wire.version import PROTOCOL_VERSION

HOME_SLOTS = range(17, 32)
"""The slots for a bridge that has not met any relay yet. The relay assigns the lowest slots first. So when
the bridge reaches a relay, somebody else hardly ever has its slot."""


def hello(identity: Identity, memory: Memory, *, outs: int, ins: int, next_seq: int) -> control.Hello:
    """Return Hello, the first message of a connection, with this bridge's identity and restart state.

    outs, ins: channels of the sound card. next_seq: the lowest seq (sender's number) of an event of the local
    player that may still be sent.
    """
    return control.Hello(
        protocol=PROTOCOL_VERSION,
        software=identity.software,
        room=identity.room,
        name=identity.name,
        outs=outs,
        ins=ins,
        ticket=memory.ticket,
        slot_wanted=memory.slot,
        epoch=memory.epoch,
        next_seq=next_seq,
        release_advance=identity.release_advance,
    )


def slot_of(welcome: control.Welcome | None, memory: Memory, dice: Callable[[], float]) -> int:
    """Return the slot of a bridge: the relay's, else the previous bridge process's, else one drawn at random.

    dice: returns a random number from 0 (included) to 1 (excluded).
    """
    if welcome is not None:
        return welcome.slot
    return memory.slot or HOME_SLOTS[int(dice() * len(HOME_SLOTS))]
