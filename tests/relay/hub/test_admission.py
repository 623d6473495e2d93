"""Admission to a relay: when a Hello is refused, and that a Hello which only asks gets the same answer."""

import msgspec
import pytest

from relay.hub.admission import Admitted, connection_refused, decide, not_understood
from relay.limits import CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS, HubLimits
from relay.wire import control
from relay.wire.errors import MalformedControl
from relay.wire.version import PROTOCOL_VERSION, UPDATE
from tests.worlds.places import ROOT
from tests.worlds.relay import FakeBridge, Jam

LIMITS = HubLimits(rooms_max=4, members_max=4)


def refusal(bridge: FakeBridge, **changes: object) -> control.Refused:
    answer = bridge.hello(**changes)
    assert isinstance(answer, control.Refused), answer
    assert bridge.closed
    return answer


@pytest.mark.parametrize(
    ("theirs", "older", "where"),
    [
        (PROTOCOL_VERSION + 1, "the relay has the older", f"updates it there ({UPDATE}) and starts it again"),
        (1, "you have the older", f"update it on this computer ({UPDATE}) and join again"),
    ],
)
def test_another_protocol_version_is_refused_with_the_older_side_and_how_to_update_it(
    theirs: int, older: str, where: str
) -> None:
    refused = refusal(FakeBridge(Jam()), protocol=theirs)
    assert (refused.reason, refused.final) == ("protocol", True)
    assert f"protocol {PROTOCOL_VERSION}, you speak {theirs}: {older} jamrelay" in refused.text
    assert where in refused.text


def test_the_first_word_of_another_version_is_told_so_though_it_can_not_be_read() -> None:
    word = {"type": "hello", "protocol": PROTOCOL_VERSION - 1, "software": "s", "nickname": "ann"}
    for theirs, expected in ((word, "protocol"), (word | {"protocol": PROTOCOL_VERSION}, "malformed")):
        payload = msgspec.msgpack.encode(theirs)
        with pytest.raises(MalformedControl) as error:
            control.decode_up(payload)
        refused = not_understood(payload, error.value)
        assert (refused.reason, refused.final) == (expected, True)
        assert ("you have the older jamrelay" in refused.text) == (expected == "protocol")


def test_the_way_to_update_is_the_one_that_the_readme_gives() -> None:
    assert UPDATE in (ROOT / "README.md").read_text()


def test_one_room_too_many_is_refused_and_an_old_one_still_joined() -> None:
    jam = Jam(rooms_max=1)
    jam.join("ann")
    refused = refusal(FakeBridge(jam, "bob", "attic"))
    assert (refused.reason, refused.final) == ("rooms-full", False)
    assert "room attic can't be opened: this relay has 1 room open" in refused.text
    assert "--rooms-max" in refused.text
    jam.join("bob")


def test_one_member_too_many_is_refused_and_leaves_no_trace() -> None:
    jam = Jam(members_max=1)
    ann = jam.join("ann")
    refused = refusal(FakeBridge(jam, "bob"))
    assert (refused.reason, refused.final) == ("room-full", False)
    assert "room main is full (1 of 1); join another room" in refused.text
    assert "--members-max" in refused.text
    assert [member.name for member in jam.hub.rooms["main"].members()] == ["ann"]
    assert len(ann.heard(control.Roster)) == 1


def test_a_full_room_says_how_many_places_are_kept_for_those_who_are_away() -> None:
    jam = Jam(members_max=2)
    jam.join("ann")
    jam.join("bob").hang_up()
    text = refusal(FakeBridge(jam, "cleo")).text
    assert "room main is full (2 of 2), 1 of them away: a place is kept for 5 minutes" in text


def test_a_room_without_a_name_that_can_be_shown_is_refused() -> None:
    jam = Jam()
    refused = refusal(FakeBridge(jam, "ann", "\u202e\t"))
    assert (refused.reason, refused.final) == ("room-name", True)
    assert jam.hub.rooms == {}


def test_a_hello_that_only_asks_is_told_who_is_in_and_takes_no_place_and_opens_no_room() -> None:
    jam = Jam(members_max=2)
    ann = jam.join("ann")
    rosters = len(ann.heard(control.Roster))
    for _ in range(3):
        asker = FakeBridge(jam, "bob", " main\u202e")
        answer = asker.hello(ask_only=True)
        assert isinstance(answer, control.Admission)
        assert (answer.room, [member.name for member in answer.members]) == ("main", ["ann"])
        assert asker.closed
    empty = FakeBridge(jam, "bob", "attic").hello(ask_only=True)
    assert empty == control.Admission(room="attic", members=[])
    assert list(jam.hub.rooms) == ["main"]
    assert list(jam.hub.rooms["main"].seats) == [1]
    assert len(ann.heard(control.Roster)) == rosters
    assert not ann.closed


@pytest.mark.parametrize(
    ("room", "changes"),
    [
        ("main", {}),
        ("main", {"protocol": PROTOCOL_VERSION + 1}),
        ("attic", {}),
        ("\u202e", {}),
    ],
    ids=["room full", "another version", "rooms full", "no name"],
)
def test_a_hello_that_only_asks_is_refused_as_one_that_means_it(
    room: str, changes: dict[str, object]
) -> None:
    jam = Jam(members_max=1, rooms_max=1)
    jam.join("ann")
    meant = refusal(FakeBridge(jam, "bob", room), **changes)
    assert refusal(FakeBridge(jam, "bob", room), **changes, ask_only=True) == meant


def test_who_has_a_place_may_ask_for_it_in_a_full_room() -> None:
    jam = Jam(members_max=1)
    ann = jam.join("ann")
    known = {"ticket": ann.welcome.ticket, "epoch": ann.welcome.epoch}
    assert isinstance(FakeBridge(jam, "ann").hello(**known, ask_only=True), control.Admission)
    assert not ann.closed


def test_a_second_hello_on_a_connection_is_refused() -> None:
    jam = Jam()
    ann = jam.join("ann")
    ann.say(control.Hello(protocol=PROTOCOL_VERSION, software="", room="main", name="ann"))
    assert ann.heard(control.Refused)[0].reason == "second-hello"


# -- the decision by itself ----------------------------------------------------------------------------


def hello(name: str, room: str = "main", **changes: object) -> control.Hello:
    known = {"protocol": PROTOCOL_VERSION, "software": "s", "room": room, "name": name}
    return control.Hello(**(known | changes))


@pytest.mark.parametrize(
    ("room", "wanted", "slot"),
    [("main", None, 2), ("main", 1, 2), ("main", 3, 3), ("new", None, 1), ("new", 1, 1), ("new", 3, 3)],
)
def test_the_place_that_is_decided_is_the_place_that_is_taken(
    room: str, wanted: int | None, slot: int
) -> None:
    jam = Jam()
    jam.join("ann")
    decision = decide(hello("bob", room, slot_wanted=wanted), jam.hub.rooms, LIMITS)
    assert isinstance(decision, Admitted)
    assert (decision.room, decision.seat, decision.slot) == (jam.hub.rooms.get(room), None, slot)
    bob = FakeBridge(jam, "bob", room)
    bob.hello(slot_wanted=wanted)
    assert (bob.welcome.slot, bob.welcome.resumed) == (slot, False)


def test_a_ticket_decides_on_its_seat_also_in_a_full_room_and_not_in_another_epoch() -> None:
    jam = Jam(members_max=2)
    ann, _ = jam.join("ann"), jam.join("bob")
    ticket = {"ticket": ann.welcome.ticket, "epoch": ann.welcome.epoch}
    limits = HubLimits(rooms_max=4, members_max=2)
    decision = decide(hello("ann", **ticket), jam.hub.rooms, limits)
    assert isinstance(decision, Admitted)
    assert decision.seat is jam.hub.rooms["main"].seats[decision.slot]
    other = decide(hello("ann", **(ticket | {"epoch": bytes(16)})), jam.hub.rooms, limits)
    assert isinstance(other, control.Refused)
    assert other.reason == "room-full"


def test_to_decide_changes_nothing_and_rolls_no_dice() -> None:
    jam = Jam(rooms_max=1)
    jam.join("ann")
    before, dice = control.encode(jam.hub.stats(None, jam.now)), jam.random.getstate()
    for asked in (hello("bob"), hello("bob", "other"), hello("bob", protocol=0), hello("bob", "\x1b")):
        once, twice = (decide(asked, jam.hub.rooms, HubLimits(rooms_max=1)) for _ in range(2))
        assert once == twice
    assert control.encode(jam.hub.stats(None, jam.now)) == before
    assert jam.random.getstate() == dice


@pytest.mark.parametrize(
    ("of_address", "in_all", "words"),
    [
        (0, 0, None),
        (CONNECTIONS_PER_ADDRESS - 1, CONNECTIONS_MAX - 1, None),
        (CONNECTIONS_PER_ADDRESS, CONNECTIONS_PER_ADDRESS, "connections of one address"),
        (0, CONNECTIONS_MAX, "try again later"),
    ],
)
def test_a_connection_is_refused_where_its_address_or_all_have_as_many_as_they_may(
    of_address: int, in_all: int, words: str | None
) -> None:
    refused = connection_refused(of_address, in_all)
    assert (refused is None) == (words is None)
    if refused is not None and words is not None:
        assert (refused.reason, refused.final) == ("connections", False)
        assert words in refused.text
