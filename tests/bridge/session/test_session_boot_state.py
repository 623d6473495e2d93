"""Foundations in a session: sent to a relay that has none, and received from one that has some."""

from msgspec.structs import replace

from bridge.effects import SendControl
from bridge.scsynth.id_space import Origin
from bridge.session.session import JamSession
from relay.wire import control
from relay.wire.meaning import Meaning
from relay.wire.osc import encode
from relay.wire.sequence import Kind
from tests.worlds.bridge import Bench, bundles, group, instant, reading
from tests.worlds.session import OTHER_EPOCH, Relay, emit, joined


def test_a_relay_that_knows_nothing_is_told_the_foundation() -> None:
    _, session, relay = joined()
    read = reading(2.0)
    session.emission.emit(
        Kind.UNTIMED, Meaning(group(2, 0)), wall_timetag=None, emitted_local_ns=read.local_ns, reading=read,
        home=group(2, 0), foundation=True,
    )  # fmt: skip
    session.disconnected()
    relay.welcome(at_s=3.0, epoch=OTHER_EPOCH)
    _, others = relay.turn(3.0)
    assert SendControl(control.Foundation(slot=1, messages=[group(2, 0)])) in others


MIXER = encode("/s_new", "sonic-pi-mixer", 6, 0, 2)


def volume(amp: float) -> bytes:
    return encode("/n_set", 6, "pre_amp", amp)


def found(session: JamSession, payload: bytes, at_s: float) -> None:
    read = reading(at_s)
    session.emission.emit(
        Kind.UNTIMED, Meaning(payload), wall_timetag=None, emitted_local_ns=read.local_ns, reading=read,
        home=payload, foundation=True,
    )  # fmt: skip


def told_up(relay: Relay, at_s: float) -> list[control.Foundation]:
    _, others = relay.turn(at_s)
    messages = [effect.message for effect in others if isinstance(effect, SendControl)]
    return [message for message in messages if isinstance(message, control.Foundation)]


def test_a_relay_that_knows_nothing_is_told_the_volume_but_not_before_it_is_due() -> None:
    _, session, relay = joined()
    found(session, MIXER, 2.0)
    emit(session, volume(0.3), 2.1, None)
    session.disconnected()
    emit(session, volume(1.6), 2.95, None)  # due at 3.15, and sent as an event when the clock is set
    relay.turn(3.0)
    relay.welcome(at_s=3.0, epoch=OTHER_EPOCH)
    assert [(one.messages, one.values) for one in told_up(relay, 3.0)] == [([MIXER], [])]
    session.disconnected()
    relay.turn(4.0)
    relay.welcome(at_s=4.0, epoch=b"g" * 16)
    assert [one.values for one in told_up(relay, 4.0)] == [[(0, volume(1.6))]]


def test_a_restarted_bridge_tells_the_next_relay_what_this_one_told_it() -> None:
    _, session, relay = joined()
    emit(session, volume(1.6), 1.5, None)
    own = control.Foundation(slot=1, number=7, messages=[MIXER], values=[(instant(1.0), volume(0.3))])
    session.receive_control(own, reading(2.0))
    session.disconnected()
    relay.turn(3.0)
    relay.welcome(at_s=3.0, epoch=OTHER_EPOCH)
    assert [(one.messages, one.values) for one in told_up(relay, 3.0)] == [([MIXER], [(0, volume(1.6))])]


def test_what_is_told_of_others_waits_for_session_time_since_its_dues_are_by_that() -> None:
    bench = Bench()
    session = bench.session()
    bench.playout.meet(Origin(2))
    bench.playout.drain()
    relay = Relay(session, ahead_s=-30.0)
    relay.welcome(at_s=1.0)
    told = control.Foundation(slot=2, messages=[MIXER], values=[(instant(-27.0), volume(0.3))])
    session.receive_control(told, reading(1.0))
    assert bench.playout.drain() == []
    assert relay.handed == []
    relay.lock(1.0)
    assert [round(due_s, 2) for due_s, _ in bundles(relay.handed)] == [3.0], "as that clock has it"
    session.disconnected()
    relay.welcome(at_s=3.0, resumed=True)
    session.receive_control(replace(told, values=[(instant(-26.0), volume(1.6))]), reading(3.0))
    assert [round(due_s, 2) for due_s, _ in bundles(bench.playout.drain())] == [4.0]
