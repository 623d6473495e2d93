"""The table of message handlers: who may send which message, how often, and what happens otherwise."""

import pytest
from msgspec import Struct

from relay.hub.handlers import Bucket, Caller
from relay.limits import CONTROLS_BURST
from relay.room.facets.standard import standard
from relay.wire import control
from relay.wire.stats import Stats
from relay.wire.version import PROTOCOL_VERSION
from tests.worlds.relay import FakeBridge, Jam

HELLO = control.Hello(protocol=PROTOCOL_VERSION, software="s", room="main", name="ann")
PROBE = control.ProbeHello(protocol=PROTOCOL_VERSION, software="s", rate=50.0, seconds=60.0)
MEMBERS_ONLY: list[Struct] = [
    control.Report(second=1, whole=False, events=0, digest=b""),
    control.DigestDetail(second=1, events=[]),
    control.LivePart(slot=1),
    control.Ended(seqs=[1]),
    control.LiveRequest(slot=1),
    control.Leave(),
]


def on_a_connection(jam: Jam) -> FakeBridge:
    bridge = FakeBridge(jam)
    jam.connections += 1
    bridge.connection, bridge.closed = jam.connections, False
    return bridge


def a_prober(jam: Jam) -> FakeBridge:
    bridge = on_a_connection(jam)
    bridge.say(PROBE)
    assert bridge.heard(control.ProbeWelcome)
    return bridge


def reasons(bridge: FakeBridge) -> list[str]:
    return [refused.reason for refused in bridge.heard(control.Refused)]


def test_every_message_that_a_bridge_may_send_has_one_row() -> None:
    hub = Jam().hub
    assert set(hub._handlers._rows) == set(control.Up.__args__)
    own = set(hub._rows())
    for kind in standard(policy=None):  # type: ignore[arg-type]  # none is begun
        assert set(kind.handlers) == set(kind.family.up)
        assert not own & set(kind.handlers)


@pytest.mark.parametrize("message", MEMBERS_ONLY, ids=lambda message: type(message).__name__)
def test_a_members_message_ends_a_strangers_connection_and_a_probers(message: Struct) -> None:
    jam = Jam()
    stranger, prober = on_a_connection(jam), a_prober(jam)
    stranger.say(message)
    prober.say(message)
    assert (reasons(stranger), reasons(prober)) == (["no-hello"], ["second-hello"])
    assert stranger.closed
    assert prober.closed


def test_hello_is_said_once_and_never_by_a_prober() -> None:
    jam = Jam()
    ann, prober = jam.join("ann"), a_prober(jam)
    ann.say(HELLO)
    prober.say(HELLO)
    assert (reasons(ann), reasons(prober)) == (["second-hello"], ["second-hello"])


def test_a_member_that_asks_to_probe_is_counted_and_stays() -> None:
    jam = Jam()
    ann = jam.join("ann")
    ann.say(PROBE)
    assert (reasons(ann), ann.closed) == ([], False)
    assert jam.hub.rooms["main"].seats[1].refused == 1


def test_a_message_without_a_row_is_counted_at_a_member_and_ends_a_strangers_connection() -> None:
    jam = Jam()
    ann, stranger = jam.join("ann"), on_a_connection(jam)
    for bridge in (ann, stranger):
        host = bridge.address[0]
        jam.do(jam.hub.receive_control(bridge.connection, control.Notice(text="x"), jam.now, host=host))
    assert (reasons(ann), reasons(stranger)) == ([], ["no-hello"])
    assert jam.hub.rooms["main"].seats[1].refused == 1


def test_anybody_may_ask_for_statistics_and_a_member_that_said_too_much_may_still_leave() -> None:
    jam = Jam()
    ann, bob = jam.join("ann"), jam.join("bob")
    for bridge in (on_a_connection(jam), a_prober(jam), bob):
        bridge.say(control.StatsRequest())
        jam.finish_gathering()
        assert len(bridge.heard(Stats)) == 1
    for _ in range(CONTROLS_BURST + 3):
        ann.say(MEMBERS_ONLY[0])
    assert jam.hub.rooms["main"].seats[1].refused == 3
    ann.say(control.Leave())
    assert ann.closed
    assert [member.name for member in bob.heard(control.Roster)[-1].members] == ["bob"]


def test_only_statistics_are_for_all_and_only_what_ends_a_membership_is_free() -> None:
    rows = Jam().hub._handlers._rows
    assert {one for one, row in rows.items() if row.callers is Caller.ANYBODY} == {control.StatsRequest}
    free = {one for one, row in rows.items() if row.bucket is Bucket.NONE}
    assert free == {control.Hello, control.Leave}
