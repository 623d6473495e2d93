"""A new facet needs no change to hub, room, statistics or service. The trial facet is a room's topic."""

import ast
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct

from relay.effects import Effect
from relay.hub import admission, handlers, hub, member_frames, reception, rooms
from relay.lead.keeper import LeadPolicy
from relay.limits import CONTROLS_BURST
from relay.room import room as one_room
from relay.room import seat as one_seat
from relay.room.facet import Facet, FacetKind
from relay.room.facets import standard as standard_facets
from relay.room.room import Room
from relay.room.seat import Seat
from relay.shells import service
from relay.stats import gather
from relay.wire import control
from relay.wire.errors import MalformedControl
from relay.wire.timetag import ticks
from tests.worlds.places import ROOT
from tests.worlds.relay import EPOCH, FakeBridge, Jam

# -- the facet -----------------------------------------------------------------------------------------

KEPT_S = 10.1


class SetTopic(Struct, tag="set_topic", frozen=True):
    text: Annotated[str, Meta(max_length=80)]


class TopicIs(Struct, tag="topic", frozen=True):
    text: str


class Topic(Facet):
    """A facet that stores a text for the room, and forgets it after `kept_s`."""

    def __init__(self, room: Room, kept_s: float) -> None:
        self._room, self._kept, self._text, self._ends_at = room, ticks(kept_s), "", 0

    def set(self, seat: Seat, message: SetTopic, now: int) -> list[Effect]:
        self._text, self._ends_at = f"{message.text} ({seat.name})", now + self._kept
        return self._room.tell_all(TopicIs(self._text), but=seat)

    def newcomer(self, seat: Seat) -> list[Effect]:
        return self._room.tell(seat, TopicIs(self._text)) if self._text else []

    def wake(self, now: int) -> list[Effect]:
        if not self._text or now < self._ends_at:
            return []
        self._text = ""
        return self._room.tell_all(TopicIs(""))

    def next_wakeup(self) -> int | None:
        return self._ends_at if self._text else None

    def stats(self) -> dict[str, Any]:
        return {"topic": self._text} if self._text else {}


def topic(kept_s: float) -> FacetKind:
    family = control.Family(up=(SetTopic,), down=(TopicIs,))
    return FacetKind(partial(Topic, kept_s=kept_s), family, {SetTopic: Topic.set})


# -- end to end ----------------------------------------------------------------------------------------


def topics(bridge: FakeBridge) -> list[str]:
    return [message.text for message in bridge.heard(TopicIs)]


def shown(jam: Jam, room: str = "main") -> object:
    """Return the facets' figures in a room's statistics, as somebody who asks receives them."""
    (stats,) = jam.hub.codec.decode_down(control.encode(jam.hub.stats(room, jam.now))).rooms
    return stats.facets


def a_jam(kept_s: float = KEPT_S) -> tuple[Jam, FakeBridge, FakeBridge]:
    jam = Jam(more_facets=[topic(kept_s)])
    return jam, jam.join("ann"), jam.join("bob")


def test_a_topic_is_told_to_the_others_at_once_and_to_whoever_comes_later() -> None:
    jam, ann, bob = a_jam()
    elsewhere = jam.join("dee", "other")
    ann.say(SetTopic("slow and low"))
    cleo = jam.join("cleo")
    assert (topics(ann), topics(bob), topics(cleo)) == ([], ["slow and low (ann)"], ["slow and low (ann)"])
    assert topics(elsewhere) == []
    assert type(cleo.said[0]) is control.Welcome, "before which nobody is told anything"


@pytest.mark.parametrize("kept_s", [KEPT_S, 0.02])
def test_a_topic_ends_at_its_own_instant_and_not_with_the_rooms_next_round(kept_s: float) -> None:
    jam, ann, bob = a_jam(kept_s)
    for at in (0.0, 0.07, 0.13):  # at whatever instant of a round
        jam.advance(at)
        ann.say(SetTopic("a"))
        jam.advance(kept_s - 0.001)
        assert topics(bob)[-1] == "a (ann)"
        jam.advance(0.0011)
        assert topics(bob)[-1] == topics(ann)[-1] == ""
    jam.advance(1.0)
    assert len(topics(bob)) == 6, "it ends once"


def test_the_statistics_show_the_topic_and_are_as_ever_without_one() -> None:
    jam, ann, _ = a_jam()
    without = Jam()
    without.join("ann")
    without.join("bob")
    fields = control.encode(without.hub.stats("main", without.now))
    assert b"facets" not in fields
    assert b"facets" not in control.encode(jam.hub.stats("main", jam.now))
    ann.say(SetTopic("slow"))
    assert shown(jam) == {"topic": "slow (ann)"}
    jam.advance(11.0)
    assert b"facets" not in control.encode(jam.hub.stats("main", jam.now))


def test_a_facets_messages_need_a_seat_and_are_limited_like_all_of_a_members() -> None:
    jam, ann, bob = a_jam()
    stranger = FakeBridge(jam)
    stranger.connection, stranger.closed = 50, False
    stranger.say(SetTopic("mine"))
    assert [one.reason for one in stranger.heard(control.Refused)] == ["no-hello"]
    assert stranger.closed
    for number in range(CONTROLS_BURST + 5):
        ann.say(SetTopic(str(number)))
    assert len(topics(bob)) == CONTROLS_BURST
    assert jam.hub.stats("main", jam.now).rooms[0].members[0].refused == 5


def test_where_the_facet_is_not_its_messages_are_malformed() -> None:
    jam = Jam()
    with pytest.raises(MalformedControl, match="set_topic"):
        jam.join("ann").say(SetTopic("x"))
    longer = control.encode(SetTopic("x" * 81))
    with pytest.raises(MalformedControl):
        a_jam()[0].hub.codec.decode_up(longer)


# -- nobody names a facet --------------------------------------------------------------------------------

SEAMS = [admission, handlers, hub, member_frames, reception, rooms, one_room, one_seat, gather]
STANDARD = [type(kind.begin(Room("main", bytes(16)))) for kind in standard_facets.standard(LeadPolicy(), [])]


FIGURES_OF_A_SEAT = {
    f"relay.lead.{name}" for name in ("member_paths", "member_paths.Ways", "recent", "recent.Recent")
}
"""Names of relay.lead that may be imported outside facets: the types in which figures are stored."""


def names_in(source: str) -> set[str]:
    """Return all names, attributes and imported modules in a source text."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
    return found


@pytest.mark.parametrize("module", SEAMS, ids=lambda module: module.__name__)
def test_hub_reception_room_and_statistics_name_no_facet(module: Any) -> None:
    named = names_in((ROOT / (module.__name__.replace(".", "/") + ".py")).read_text("utf-8"))
    assert len(STANDARD) >= 5
    for facet in STANDARD:
        assert not named & {facet.__name__, facet.__module__, f"{facet.__module__}.{facet.__name__}"}
    brings = {"relay.room.facets", "relay.room.coherence", "relay.room.live_slot", "relay.wire.live"}
    assert not {name for name in named if any(name.startswith(one) for one in brings)}
    assert not {name for name in named if name.startswith("relay.lead.")} - FIGURES_OF_A_SEAT


def test_the_service_names_the_standard_facets_as_a_whole() -> None:
    named = names_in((ROOT / "relay" / "shells" / "service.py").read_text("utf-8"))
    assert service.standard is standard_facets.standard
    assert not named & {facet.__name__ for facet in STANDARD}


def test_facets_are_told_of_what_happens_in_the_order_in_which_it_happens() -> None:
    happened: list[str] = []

    def noting(name: str) -> Callable[..., Any]:
        def note(self: Facet, *args: Any) -> Any:
            happened.append(name)
            return getattr(Facet, name)(self, *args)

        return note

    hooks = [name for name in vars(Facet) if not name.startswith("_")]
    witness = type("Witness", (Facet,), {name: noting(name) for name in hooks})
    jam = Jam(more_facets=[FacetKind(lambda room: witness())])
    ann = jam.join("ann")
    happened.clear()
    ann.play()
    assert [name for name in happened if name != "next_wakeup"] == ["came", "judged", "published"]
    happened.clear()
    ann.say(control.Report(second=EPOCH >> 32, whole=False, events=0, digest=b""))
    ann.send(ann.stamp(ahead_s=61.0))
    ann.say(control.Leave())
    assert [name for name in happened if name != "next_wakeup"] == [
        "report", "came", "unheard", "judged", "published", "left",
    ]  # fmt: skip
    jam.join("bob")
    assert happened.index("joined") < happened.index("newcomer")
