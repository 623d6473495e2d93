"""The hub visits only channels and rooms that have something to do, and forgets none of them."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.due_work import HOUSE, HOUSEKEEPING, NEVER, ROOM, STALE_MIN, DueWork, next_round
from relay.hub.hub import RelayHub
from relay.room.channel import Channel
from relay.room.room import Room
from relay.wire import control, frames
from relay.wire.timetag import TICKS_PER_S, ticks
from tests.worlds.relay import GROUP, FakeBridge, Jam

ROOMS, MEMBERS = 64, 4


class Touched:
    """Records which channels and rooms are visited by `flush`, by `wake` and for the next wake-up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.channels: set[int] = set()
        self.rooms: set[str] = set()
        for name in ("datagrams_out", "ask_again", "next_wakeup"):
            monkeypatch.setattr(Channel, name, self._noting(getattr(Channel, name)))
        for name in ("wake", "next_wakeup", "channels"):
            monkeypatch.setattr(Room, name, self._noting(getattr(Room, name)))

    def _noting(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def noting(one: Any, *args: Any) -> Any:
            if isinstance(one, Channel):
                self.channels.add(one.number)
            else:
                self.rooms.add(one.name)
            return method(one, *args)

        return noting

    def by(self, jam: Jam, act: Callable[[], object]) -> tuple[int, int]:
        """Return how many channels and how many rooms the hub visits when `act` is called."""
        jam.hub.next_wakeup()
        self.channels.clear()
        self.rooms.clear()
        act()
        jam.hub.next_wakeup()
        return len(self.channels), len(self.rooms)


def full_house() -> tuple[Jam, list[list[FakeBridge]]]:
    jam = Jam(rooms_max=ROOMS)
    rooms = [[jam.join(f"m{k}", f"room {n}") for k in range(MEMBERS)] for n in range(ROOMS)]
    for room in rooms:
        for bridge in room:
            bridge.beat()
    jam.advance(0.5)  # until all have been given the live states
    return jam, rooms


def test_a_datagram_touches_its_own_channel_and_an_event_those_of_its_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jam, rooms = full_house()
    touched = Touched(monkeypatch)
    assert touched.by(jam, rooms[7][0].beat) == (1, 0)
    assert touched.by(jam, rooms[7][0].play) == (MEMBERS, 1)
    assert len(rooms[7][3].judged) == 1


def test_a_wake_up_touches_only_rooms_that_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    jam = Jam(rooms_max=ROOMS)
    for n in range(ROOMS):  # at instants of their own, so that their heartbeats don't fall together
        jam.join("ann", f"room {n}")
        jam.advance(0.0071)
    touched = Touched(monkeypatch)
    seen = []
    end = jam.now + ticks(1.0)
    while (at := jam.hub.next_wakeup()) < end:
        jam.now = at
        seen.append(touched.by(jam, jam.wake)[1])
    assert len(seen) > 4 * ROOMS
    assert max(seen) <= 2  # one beats, one is kept


def test_one_room_is_tuned_in_a_wake_up_though_all_are_late(monkeypatch: pytest.MonkeyPatch) -> None:
    jam, _ = full_house()
    jam.now += ticks(5.0)
    kept: list[str] = []
    wake_facets = Room.wake_facets

    def noting(room: Room, now: int) -> Any:
        kept.append(room.name)
        return wake_facets(room, now)

    monkeypatch.setattr(Room, "wake_facets", noting)
    for done in range(1, ROOMS + 1):
        assert jam.hub.next_wakeup() <= jam.now
        jam.wake()
        assert len(kept) == done
    assert len(set(kept)) == ROOMS
    assert jam.hub.next_wakeup() > jam.now


def test_rooms_are_kept_at_instants_of_their_own() -> None:
    first = [next_round(turn, 0, 0) for turn in range(64)]
    gaps = [after - before for before, after in pairwise(sorted(first))]
    assert all(0 < at <= HOUSEKEEPING for at in first)
    assert min(gaps) > HOUSEKEEPING // 64 // 3
    assert max(gaps) < 3 * HOUSEKEEPING // 64
    assert [next_round(5, 0, at) - at for at in (first[5], first[5] + 7)] == [HOUSEKEEPING, HOUSEKEEPING - 7]


# -- nothing is forgotten ------------------------------------------------------------------------------


def next_of_all(hub: RelayHub) -> int:
    """Return the next wake-up (ticks), computed from all rooms and channels."""
    instants = [NEVER]
    for room in hub.rooms.values():
        instants += [room.round_at(), room.next_wakeup()]
        instants += [at for _, channel in room.channels() if (at := channel.next_wakeup()) is not None]
    return min(instants)


def assert_nothing_forgotten(jam: Jam) -> None:
    now_s = jam.now / TICKS_PER_S - 2e-6  # the grain of such an instant in seconds
    for room in jam.hub.rooms.values():
        for _, channel in room.channels():
            assert channel.address is None or not channel.outbox.leaves(now_s)
    assert jam.hub.next_wakeup() == next_of_all(jam.hub)


ACTIONS = (
    "play",
    "skip",
    "late",
    "beat",
    "nack",
    "report",
    "hang up",
    "again",
    "leave",
    "join",
    "wait",
    "long",
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 5)), max_size=28))
def test_whatever_happens_all_that_is_due_is_known(actions: list[tuple[str, int]]) -> None:
    jam = Jam(members_max=31)
    members = [jam.join(f"m{k}", f"room {k % 3}") for k in range(6)]
    held = []
    for action, which in actions:
        member = members[which]
        away = member.closed
        if action == "join":
            members[which] = jam.join("new", f"room {which % 4}")
        elif action == "again" and away:
            member.again()
        elif action in ("wait", "long"):
            jam.advance(0.013 * (which + 1) if action == "wait" else 2.0 * which)
        elif away:
            continue
        elif action == "play":
            member.play()
        elif action == "skip":
            held.append((member, member.stamp(GROUP)))
        elif action == "late" and held:
            late, event = held.pop()
            late.send(event)
        elif action == "beat":
            member.beat()
        elif action == "nack":
            member.send(frames.Nack(((1, 5),)))
        elif action == "report":
            member.say(
                control.Report(second=jam.now >> 32, whole=False, events=0, digest=b"", rtt_ms=20.0 * which)
            )
        elif action == "hang up":
            member.hang_up()
        elif action == "leave":
            member.say(control.Leave())
        jam.settle()
        assert_nothing_forgotten(jam)


# -- the heap ------------------------------------------------------------------------------------------


def test_a_place_comes_up_once_at_its_last_instant() -> None:
    work = DueWork()
    work.settle(("a", ROOM), 100)
    work.settle(("a", ROOM), 300)
    work.settle(("b", 1), 200)
    work.settle(("c", HOUSE), 150)
    work.settle(("c", HOUSE), None)
    assert work.next_at() == 200
    assert work.take(199) == []
    assert work.take(200) == [("b", 1)]
    work.settle(("b", 1), None)
    assert work.take(400) == [("a", ROOM)]
    assert work.next_at() == NEVER
    work.stir("a", 3)
    assert work.take(401) == [("a", ROOM), ("a", 3)]


def test_what_is_put_off_again_and_again_doesnt_pile_up() -> None:
    work = DueWork()
    for at in range(10_000):
        work.settle(("a", ROOM), 1_000_000 - at)
        work.settle(("b", ROOM), 1_000_000 + at)
    assert len(work._heap) <= STALE_MIN + 8 + 1
    assert work.next_at() == 1_000_000 - 9_999
