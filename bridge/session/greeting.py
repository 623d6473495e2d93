"""Greeting: the first word of a bridge on every connection.

Pure.
"""

from bridge.restart_state import Identity, Memory
from relay.wire import control
from relay.wire.version import PROTOCOL_VERSION


def hello(identity: Identity, memory: Memory, *, outs: int, ins: int, next_seq: int) -> control.Hello:
    """Return Hello: who this bridge is and what it remembers. next_seq: the lowest it may still send."""
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
