"""A session on a host whose clocks jump: after sleep, and after somebody sets the wall clock."""

from bridge.effects import SendDatagram, Tell
from bridge.session.session import JamSession
from clock.exchange import server_answer
from clock.model import Reading
from relay.wire import frames
from relay.wire.timetag import from_unix_ns, ticks
from tests.worlds.bridge import instant, reading
from tests.worlds.session import Relay, joined


def through_half_a_second(session: JamSession, relay: Relay, local_s: float, wall_s: float) -> list[str]:
    """Run the session for half a second from these clock readings; return the notices to the player.

    The relay answers clock requests at once. Its clock is relay.ahead_ns ahead of the local one.
    """
    told: list[str] = []
    for count in range(20):
        at_s = count * 0.025
        read = Reading(reading(local_s + at_s).local_ns, reading(wall_s + at_s).wall_ns)
        now = from_unix_ns(reading(local_s + at_s).wall_ns + relay.ahead_ns)
        session.wake(read)
        for effect in session.flush(read):
            if isinstance(effect, Tell):
                told.append(effect.text)
            elif isinstance(effect, SendDatagram):
                for frame in frames.decode(relay.opener.open(effect.payload)):
                    if isinstance(frame, frames.Clock):
                        answer = frames.Clock(server_answer(frame.ntp, receive=now, transmit=now))
                        sealed = relay.sealer.seal(frames.encode(answer))
                        session.receive_datagram(sealed, received_local_ns=read.local_ns, reading=read)
    return told


def test_waking_from_sleep_sets_the_clock_in_one_step_within_half_a_second() -> None:
    bench, session, relay = joined()
    era = bench.timebase.era
    # Asleep for 7 s: the local clock stood still, the relay's and the wall clock went on.
    relay.ahead_ns += 7_000_000_000
    told = through_half_a_second(session, relay, 2.0, 9.0)
    assert bench.timebase.era == era + 1
    assert abs(bench.timebase.session_at(reading(2.5).local_ns) - instant(9.5)) < ticks(0.001)
    assert any("+7.00 s" in text for text in told)


def test_a_wall_clock_that_is_set_leaves_session_time_alone_and_is_said_once() -> None:
    bench, session, relay = joined()
    era, before = bench.timebase.era, bench.timebase.session_at(reading(3.0).local_ns)
    told = through_half_a_second(session, relay, 2.0, -1.0)
    assert bench.timebase.era == era
    assert abs(bench.timebase.session_at(reading(3.0).local_ns) - before) < ticks(0.0001)
    assert len([text for text in told if "-3.00 s" in text]) == 1
