"""A message is parsed once by the bridge that sends it, and at most once by each that receives it."""

from collections import Counter
from functools import wraps
from typing import Any

import pytest
from laboratory.virtual.host import Member
from laboratory.virtual.jam import Jam
from laboratory.virtual.net import DOWN, UP
from laboratory.virtual.traffic import Sent

from bridge.core import Bridge
from relay.hub.hub import RelayHub
from relay.room.room import Room
from relay.wire import osc
from relay.wire.meaning import Meaning
from relay.wire.osc import Message, walk
from relay.wire.sequence import Judged
from tests.sim.test_networks import MUSIC_AT_S, trio
from tests.worlds.networks import NETWORKS
from tests.worlds.traffic import generated, recorded

pytestmark = pytest.mark.computes

LATE_S = (MUSIC_AT_S + 1.0, MUSIC_AT_S + 1.8)
"""From and until when (s) bob receives nothing: his notes get no verdict, and the others' come late."""
AWAY_S = (MUSIC_AT_S + 3.0, MUSIC_AT_S + 4.2)
"""From and until when (s) nothing from ada reaches the relay. Part of it is too old when sent again."""
END_S = MUSIC_AT_S + 10.0


class Walks:
    """Counts how often each message is parsed, by the bridge or relay at work."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.by: Counter[tuple[object, bytes]] = Counter()
        self._at_work: object = None
        original = osc._message

        def counted(raw: bytes, at: int) -> Message:
            if self._at_work is not None:
                self.by[self._at_work, raw] += 1
            return original(raw, at)

        monkeypatch.setattr(osc, "_message", counted)
        for owner, names in (
            (Bridge, ("tap", "synth_says", "relay_says", "datagram", "hello", "wake", "flush")),
            (RelayHub, ("receive_datagram", "receive_control", "wake", "flush")),
        ):
            for name in names:
                monkeypatch.setattr(owner, name, self._watched(getattr(owner, name)))

    def _watched(self, method: Any) -> Any:
        @wraps(method)
        def watched(worker: object, *args: Any, **options: Any) -> Any:
            self._at_work, before = worker, self._at_work
            try:
                return method(worker, *args, **options)
            finally:
                self._at_work = before

        return watched


def jam_in_trouble(network: str) -> tuple[Jam, list[Member], list[list[Sent]]]:
    """Play a jam of three. For a while bob receives nothing; later nothing from ada arrives.

    Returns (jam, members, the datagrams that each member's Sonic Pi sent).
    """
    jam = Jam(seed=31)
    members = trio(jam, NETWORKS[network])

    def meddle(who: str, way: int, at_s: float) -> float | None:
        late = who == "bob" and way == DOWN and LATE_S[0] < at_s < LATE_S[1]
        away = who == "ada" and way == UP and AWAY_S[0] < at_s < AWAY_S[1]
        return None if late or away else 0.0

    jam.wires.meddle = meddle
    played = [
        generated(1, seconds=6.0),
        generated(2, seconds=6.0),
        recorded("ex_magician_acid", until_s=6.0),  # its notes play buffers
    ]
    for member, sent in zip(members, played, strict=True):
        jam.play(member, sent, MUSIC_AT_S)
    jam.run(END_S)
    return jam, members, played


def notes_of(sent: list[Sent]) -> set[bytes]:
    messages = (message for one in sent for _, message in walk(one.datagram))
    return {message.raw for message in messages if Meaning(message.raw).is_note}


@pytest.mark.parametrize("network", ["studio-lan", "lossy-2-percent"])
def test_a_note_is_walked_once_by_its_sender_and_once_at_most_by_every_other_bridge(
    network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks = Walks(monkeypatch)
    jam, members, played = jam_in_trouble(network)
    notes = [notes_of(sent) for sent in played]
    sent_by = Counter(raw for raws in notes for raw in raws)  # two may happen to send the same
    for raws, member in zip(notes, members, strict=True):
        assert {walks.by[member.bridge, raw] for raw in raws if sent_by[raw] == 1} == {1}
        others = {event.payload for event in jam.judged} - raws
        times = Counter(walks.by[member.bridge, raw] for raw in others if sent_by[raw] == 1)
        assert times.keys() <= {0, 1}, "0: it came when its time was over"
        assert times[1] > 100
    remapped = {handed.message for member in members for handed in member.handed}
    assert not {raw for _, raw in walks.by if Meaning(raw).is_note} & remapped
    _assert_all_of_it_happened(jam)


def test_the_relay_walks_no_note_but_to_name_it_to_people_and_then_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    named: set[bytes] = set()
    describe = Room.describe

    def described(room: Room, event: Judged) -> str:
        named.add(event.payload)
        return describe(room, event)

    monkeypatch.setattr(Room, "describe", described)
    walks = Walks(monkeypatch)
    jam, _, played = jam_in_trouble("lossy-2-percent")
    notes = set[bytes]().union(*map(notes_of, played))
    hub = jam.relay.hub
    walked = {raw: times for (worker, raw), times in walks.by.items() if worker is hub and raw in notes}
    assert walked.keys() == named & notes
    assert set(walked.values()) == {1}


def _assert_all_of_it_happened(jam: Jam) -> None:
    ada, bob, _ = jam.stats().members
    assert bob.unconfirmed > 3, "played before their verdict"
    assert bob.late > 3
    assert ada.missed > 3, "out of date when they came"
    assert min(ada.counts["up_recovered"], ada.counts["up_duplicates"]) > 3, "sent again"
