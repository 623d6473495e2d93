"""Python's garbage collector finds little to look through after ten minutes of music.

A full collection must not visit each list and dict of a room's ledgers. When it did, it took 100 ms of the
relay's time for 64 rooms of four.
"""

import gc
import random

from relay.lead.delivery_times import BLOCKS_KEPT, WAYS_KEPT
from relay.room.facets.lead import Lead
from relay.room.room import Room
from relay.room.seat import MARGINS_KEPT
from relay.wire import control
from relay.wire.sequence import Flag, Judged, Kind, Stamped
from relay.wire.timetag import ticks
from tests.worlds.relay import EPOCH, NOTE, Jam

MEMBERS = 4
LOOKED_AT_MAX = 3_500
"""Greatest number of references that a full collection may follow in a room of four with full ledgers.
Measured: 2,600."""


def looked_at(root: object) -> int:
    """Return how many references a full garbage collection follows in an object and all it holds."""
    seen, waiting, followed = {id(root)}, [root], 0
    while waiting:
        one = waiting.pop()
        if not gc.is_tracked(one) or isinstance(one, type):
            continue
        for other in gc.get_referents(one):
            followed += 1
            if id(other) not in seen:
                seen.add(id(other))
                waiting.append(other)
    return followed


def fill(room: Room, seconds: range) -> None:
    """Fill a room's ledgers with these seconds of music."""
    dice = random.Random(4)
    number, needs = seconds.start * MEMBERS, room.facet(Lead).tuning.needs
    for second in seconds:
        for slot in range(1, MEMBERS + 1):
            number += 1
            now = EPOCH + ticks(second + slot / 8)
            stamped = Stamped(number, now - ticks(dice.random() / 20), now + ticks(0.4), Kind.TIMED, NOTE)
            judged = Judged(number, slot, number, now + ticks(0.4), now, Kind.TIMED, Flag.NONE, NOTE)
            needs.came(slot, stamped, now)
            room.facet(Lead).tuning.verdict(stamped, judged)
            room.ring.append(number, bytes([dice.randrange(256)]) * 40, second / 600)
        for slot, seat in room.seats.items():
            numbers = range(number - 3, number + 1)
            ways = [(one, dice.randrange(900)) for one in numbers] * (WAYS_KEPT // 40)
            needs.reported(slot, ways, [])
            seat.told.margins_ms.add([500 * dice.random() for _ in range(MARGINS_KEPT // 600 + 1)])
            for _ in range(4):
                seat.ways.beat(ticks(dice.random() / 20), now)
            seat.ways.report(
                control.Report(second=now >> 32, whole=False, events=0, digest=b"", rtt_ms=dice.random()), now
            )


def test_ten_minutes_of_music_leave_the_collector_little_to_look_through() -> None:
    jam = Jam(members_max=MEMBERS)
    for number in range(MEMBERS):
        jam.join(f"m{number}")
    room = jam.hub.rooms["main"]
    fill(room, range(10 * BLOCKS_KEPT - 1))
    gc.collect()  # it leaves tuples of numbers out from now on, and dicts of them until one more is added
    fill(room, range(10 * BLOCKS_KEPT - 1, 10 * BLOCKS_KEPT))
    books = (
        room.facet(Lead).tuning,
        room.ring,
        [(seat.told.margins_ms, seat.ways) for seat in room.seats.values()],
    )
    assert room.facet(Lead).tuning.needs.events == 10 * BLOCKS_KEPT * MEMBERS
    assert all(len(seat.told.margins_ms) == MARGINS_KEPT for seat in room.seats.values())
    assert looked_at(books) < LOOKED_AT_MAX
