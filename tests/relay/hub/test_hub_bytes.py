"""The relay's core under malformed input from a member: it never raises, and the others play on."""

from hypothesis import given, settings
from hypothesis import strategies as st

from relay.wire import control, frames
from relay.wire.osc import encode
from relay.wire.sequence import Kind, Stamped
from relay.wire.timetag import TICKS_PER_S
from tests.worlds.relay import EPOCH, GROUP, NOTE, Jam

FRAMES = st.one_of(
    st.builds(
        Stamped,
        st.integers(0, 2**32 - 1) | st.integers(0, 20),
        st.integers(2**63, 2**64 - 2) | st.integers(EPOCH - 10**10, EPOCH + 10**11),
        st.none(),
        st.sampled_from([Kind.UNTIMED, Kind.RESOURCE]),
        st.binary(min_size=2, max_size=60).map(lambda data: data * 4) | st.sampled_from([NOTE, GROUP]),
        st.booleans(),
    ),
    st.builds(frames.BeatUp, st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)),
    st.builds(
        lambda ranges: frames.Nack(tuple((min(pair), max(pair)) for pair in ranges)),
        st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 30)), min_size=1, max_size=64),
    ),
    st.builds(frames.Clock, st.binary(min_size=48, max_size=48)),
    st.builds(frames.BeatDown, *[st.integers(0, 2**64 - 1)] * 3),
)


@settings(max_examples=50)
@given(st.lists(st.tuples(FRAMES | st.binary(max_size=200), st.floats(0, 0.3)), max_size=15))
def test_no_sealed_datagram_raises_stops_the_clock_or_mutes_the_others(
    sent: list[tuple[frames.Frame | bytes, float]],
) -> None:
    jam = Jam()
    liar, bob = jam.join("liar"), jam.join("bob")
    for part, seconds in sent:
        liar.send_plain(part if isinstance(part, bytes) else frames.encode(part))
        jam.advance(seconds)
    before = len(bob.judged)
    event = bob.play()
    assert [(judged.slot, judged.due) for judged in bob.judged[before:]] == [(2, event.timetag)]


SECOND = EPOCH // TICKS_PER_S
SECONDS = st.integers(SECOND - 3, SECOND + 9) | st.integers(-(2**63), 2**63)
NUMBERS = st.lists(st.integers(0, 2**53), max_size=8)
MILLISECONDS = st.floats(-1e9, 1e9)
NUMBER = st.integers(-(2**63), 2**64 - 1)
INSTANTS = st.just(EPOCH) | st.integers(-(2**63), 2**64 - 1)
MESSAGE = st.binary() | st.sampled_from(
    [GROUP, NOTE, encode("/n_set", 5, "amp", 0.5), encode("/b_allocRead", 1, "x"), encode("/c_set", 1, 2.0)]
)
MESSAGES = st.one_of(
    st.builds(
        control.Report,
        second=SECONDS,
        whole=st.booleans(),
        events=st.integers(0, 2**32),
        digest=st.binary(max_size=32),
        late_numbers=NUMBERS,
        rtt_ms=MILLISECONDS,
        down_p99_ms=MILLISECONDS,
        margin_ms_min=MILLISECONDS | st.none(),
        margins_ms=st.lists(MILLISECONDS, max_size=4),
        frames_expected=st.integers(0, 9),
    ),
    st.builds(
        control.DigestDetail,
        second=SECONDS,
        events=st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=9)), max_size=5),
    ),
    st.builds(
        control.LivePart,
        slot=st.integers(1, 31),
        number=st.integers(0, 9),
        at=INSTANTS,
        index=st.integers(0, 2),
        last=st.booleans(),
        pieces=st.lists(
            st.tuples(MESSAGE, st.lists(MESSAGE, max_size=2).map(tuple), INSTANTS, NUMBER), max_size=4
        ),
        events=st.lists(st.binary(max_size=9), max_size=1),
    ),
    st.builds(control.Ended, seqs=NUMBERS),
    st.builds(control.LiveRequest, slot=st.integers(1, 31)),
    st.just(control.StatsRequest()),
)


@settings(max_examples=50)
@given(st.lists(st.tuples(MESSAGES, st.booleans(), st.sampled_from([0.0, 0.4, 1.7])), max_size=12))
def test_no_control_message_raises_or_mutes_the_others(sent: list[tuple[control.Up, bool, float]]) -> None:
    jam = Jam()
    liar, bob = jam.join("liar"), jam.join("bob")
    for message, plays, seconds in sent:
        liar.say(message)
        if plays:
            bob.play()
        jam.advance(seconds)
    before = len(bob.judged)
    bob.play()
    assert len(bob.judged) == before + 1
    assert jam.hub.stats(None, jam.now).members == 2
