"""Parts: each member's music by itself, as a synthesizer plays it, sample by sample.

scsynth has 16 outputs, of which the sound card gets the first two. `Router` sends the strip of each member's
slot to a pair of outputs of its own, straight at the genuine scsynth, past recorder and bridge. A live take
records all pairs. So each part is recorded behind its mixer and strip, as it would sound in the sum. Only
sound that bypasses the strips still reaches the sound card: none, if all is well.
"""

import socket
from collections.abc import Iterable
from dataclasses import dataclass, field

from rehearsal.rigs import livetake, tree
from rehearsal.rigs.osc import message
from rehearsal.rigs.sound import SoundError

FIRST_STRIP = 64
"""The strip of slot k is node FIRST_STRIP + k in every scsynth."""
SLOTS_MAX = 7
"""The highest slot that has a pair of scsynth's 16 outputs."""


def first_output(slot: int) -> int:
    """Return the bus of the first output of a slot's pair, counted from 0."""
    return livetake.PAIR * slot


def ears(slots: int) -> list[str]:
    """Return the JACK ports of the parts of slots 1 to `slots`, in the order of a take's channels."""
    if slots > SLOTS_MAX:
        raise ValueError(f"{slots} parts: scsynth's outputs are enough for {SLOTS_MAX}")
    return [f"SuperCollider:out_{livetake.PAIR + 1 + at}" for at in range(livetake.PAIR * slots)]


def part(take: livetake.LiveTake, slot: int) -> livetake.LiveTake:
    """Return the part of a slot in a take."""
    return livetake.LiveTake(take.path, first_output(slot))


@dataclass
class Router:
    """Sends the strips to their outputs. Call `route` again and again: a strip may be new."""

    routed: dict[int, set[int]] = field(default_factory=dict)
    """Port of a scsynth -> strips that have their outputs."""

    def route(self, ports: Iterable[int]) -> None:
        """Send each strip in the scsynths at these UDP ports to its outputs. A scsynth that doesn't answer is
        left out."""
        for port in ports:
            try:
                there = {node.id for node in tree.query(port).below()}
            except SoundError:
                continue
            known = self.routed.setdefault(port, set())
            known &= there
            strips = {FIRST_STRIP + slot for slot in range(1, SLOTS_MAX + 1)} & there
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                for strip in strips - known:
                    output = first_output(strip - FIRST_STRIP)
                    sock.sendto(message("/n_set", strip, "out_bus", float(output)), ("127.0.0.1", port))
            known |= strips
