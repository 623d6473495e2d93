"""The relay's core by itself, in virtual time: the CPU time that an event costs it, without sockets."""

import random
import time
from heapq import heapify, heappop, heappush

from relay.effects import SendControl
from relay.hub.hub import RelayHub
from relay.lead.keeper import LeadPolicy
from relay.limits import HubLimits
from relay.room.facets.standard import standard
from relay.wire import control, frames
from relay.wire.datagram import Sealer
from relay.wire.osc import encode
from relay.wire.sequence import Kind, Stamped
from relay.wire.timetag import ticks
from relay.wire.version import PROTOCOL_VERSION

EPOCH = 3_990_000_000 << 32
AHEAD = ticks(0.5)
BEAT_EVERY = ticks(0.25)
BEAT_AFTER = ticks(0.015)
NOTE = encode("/s_new", "sonic-pi-beep", 1001, 0, 4)
WARM_SHARE = 0.2


def cost_us(rooms: int, members: int, events_per_s: float, seconds: float) -> float:
    """Return the microseconds of CPU time that an event costs, heartbeats and all else included."""
    dice, now = random.Random(1), EPOCH
    hub = RelayHub(
        facets=standard(LeadPolicy(ticks(0.2), 0)), limits=HubLimits(rooms, members), entropy=dice.randbytes,
        now=now, software="bench",
    )  # fmt: skip
    sealers: list[Sealer] = []
    for number in range(rooms * members):
        hello = control.Hello(
            protocol=PROTOCOL_VERSION, software="bench", room=f"room {number // members}", name="m",
            next_seq=1, release_advance=ticks(0.02),
        )  # fmt: skip
        for effect in hub.receive_control(number, hello, now, host=f"10.0.{number // 250}.{number % 250}"):
            if isinstance(effect, SendControl) and isinstance(effect.message, control.Welcome):
                sealers.append(Sealer(effect.message.key_up, effect.message.channel))
        hub.flush(now)
    seqs = [0] * len(sealers)
    plan = [(now + round(dice.random() * BEAT_EVERY), member, "beat") for member in range(len(sealers))]
    plan += [(now + ticks(dice.expovariate(events_per_s)), member, "event") for member in range(len(sealers))]
    heapify(plan)
    end, counts_from, spent_ns, events = now + ticks(seconds), now + ticks(WARM_SHARE * seconds), 0, 0
    while (at := min(plan[0][0], hub.next_wakeup())) < end:
        now = max(now, at)
        datagram, member = b"", 0
        if plan[0][0] <= at:
            _, member, what = heappop(plan)
            if what == "event":
                seqs[member] += 1
                events += now >= counts_from
                frame: frames.Frame = Stamped(seqs[member], now, now + AHEAD, Kind.TIMED, NOTE)
                heappush(plan, (now + ticks(dice.expovariate(events_per_s)), member, "event"))
                heappush(plan, (now + BEAT_AFTER, member, "beat after"))
            else:
                frame = frames.BeatUp(seqs[member], 0, now)
                if what == "beat":
                    heappush(plan, (now + BEAT_EVERY, member, "beat"))
            datagram = sealers[member].seal(frames.encode(frame))
        began_ns = time.process_time_ns()
        if datagram:
            hub.receive_datagram(datagram, ("192.0.2.1", member), received=now, now=now)
        else:
            hub.wake(now)
        hub.flush(now)
        hub.next_wakeup()
        if now >= counts_from:
            spent_ns += time.process_time_ns() - began_ns
    return spent_ns / 1e3 / events
