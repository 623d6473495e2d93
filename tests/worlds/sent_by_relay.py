"""All that the relay sends in a few virtual jams, as digests by which builds are compared.

`python -m tests.worlds.sent_by_relay` prints them as a JSON object.
"""

import hashlib
import json
from functools import partial

import msgspec
from laboratory.virtual.jam import Jam
from laboratory.virtual.net import UP

from relay import effects
from relay.effects import CloseControl, SendControl, SendDatagram
from relay.lead.keeper import Safety
from relay.netmodel.impairment import Leg
from relay.wire import control
from relay.wire.version import COMPILED
from tests.worlds.networks import NETWORKS
from tests.worlds.traffic import boot, generated

NAMES = ("ada", "bob", "cyd", "dan")
END_S = 24.0


class Heard(Jam):
    """A jam that keeps a digest of all that the relay sends, and the number of bytes."""

    def __init__(self, seed: int, *, lead_s: float | None, safety: Safety, repair: bool) -> None:
        self.digest = hashlib.sha256()
        self.bytes = 0
        super().__init__(seed, lead_s=lead_s, shift_s=None, safety=safety, repair=repair)

    def _do_of_relay(self, effect: effects.Effect) -> None:
        match effect:
            case SendDatagram(to, payload):
                self._keep(f"d {to} {self.now} ".encode(), payload)
            case SendControl(connection, message):
                self._keep(f"c {connection} {self.now} ".encode(), control.encode(message))
            case CloseControl(connection):
                self._keep(f"x {connection} {self.now} ".encode(), b"")
        super()._do_of_relay(effect)

    def _keep(self, head: bytes, payload: bytes) -> None:
        self.digest.update(head + payload)
        self.bytes += len(payload)


def play(seed: int, leg: Leg, lead_s: float | None, safety: Safety, *, repair: bool) -> dict[str, object]:
    """Let four play. One of them stalls, one is killed and comes back, one leaves. Return the digests."""
    jam = Heard(seed, lead_s=lead_s, safety=safety, repair=repair)
    members = [
        jam.join(name, leg, wall_offset_s=at - 1.5, rate_ppm=20.0 * at) for at, name in enumerate(NAMES)
    ]
    for at, member in enumerate(members):
        jam.play(member, boot(), 1.0 + 0.1 * at)
        jam.play(member, generated(seed + at, seconds=16.0), 3.4 + 0.07 * at)
    jam.play(members[0], generated(99, seconds=2.0, per_s=60.0), 8.0)
    jam.at_s(9.0, partial(jam.stall_way, members[1], UP, 10.5))
    jam.at_s(11.0, partial(jam.kill, members[2]))
    jam.at_s(13.0, partial(jam.restart, members[2]))
    jam.at_s(18.0, partial(jam.leave, members[3]))
    jam.run(END_S)
    stats = msgspec.json.encode(jam.relay.hub.stats(None, jam.now))
    return {
        "sent": jam.digest.hexdigest(), "bytes": jam.bytes, "delivered": jam.trace.hexdigest(),
        "verdicts": len(jam.judged), "stats": hashlib.sha256(stats).hexdigest(),
    }  # fmt: skip


if __name__ == "__main__":
    jams = {
        name: play(seed, leg, None if seed % 2 else 0.2, list(Safety)[seed % 3], repair=bool(seed % 4))
        for seed, (name, leg) in enumerate(NETWORKS.items(), 1)
    }
    print(json.dumps({"compiled": COMPILED, "jams": jams}))
