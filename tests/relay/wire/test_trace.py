"""A recorded path: its text form, and a network model that replays it."""

import json
import math
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.netmodel.impairment import Bursts, Decision, Fate, Impairment, Jitter, JitterKind, Spikes, Way
from relay.wire import trace
from relay.wire.trace import MalformedTrace, Sample, Trace, TraceWay, dumps, loads
from tests.worlds.chance import ks_two

ROWS = Trace(
    up=TraceWay((Sample(0.0, 20.125), Sample(0.02, None), Sample(0.04, 19.5))),
    down=TraceWay((Sample(0.01, 30.0), Sample(0.01, 31.0))),
    about={"host": "relay.example", "bound_ms": 0.8},
)

HEADER = '{"jamrelay_trace": 1, "about": {}}\n'


def test_text_is_a_header_and_a_row_for_each_datagram_in_the_order_of_sending() -> None:
    lines = dumps(ROWS).splitlines()
    assert json.loads(lines[0]) == {"jamrelay_trace": 1, "about": {"host": "relay.example", "bound_ms": 0.8}}
    assert [json.loads(line) for line in lines[1:]] == [
        ["up", 0.0, 20.125],
        ["down", 0.01, 30.0],
        ["down", 0.01, 31.0],
        ["up", 0.02, None],
        ["up", 0.04, 19.5],
    ]


def test_a_trace_survives_its_text() -> None:
    assert loads(dumps(ROWS)) == ROWS


ways = st.lists(st.tuples(st.integers(0, 10**9), st.none() | st.integers(-(10**4), 10**7)), max_size=30).map(
    lambda rows: TraceWay(
        tuple(
            Sample(us / 1e6, None if delay is None else delay / 1e3)
            for us, delay in sorted(rows, key=lambda row: row[0])
        )
    )
)


@settings(derandomize=True)
@given(ways, ways)
def test_any_trace_survives_its_text(up: TraceWay, down: TraceWay) -> None:
    assert loads(dumps(Trace(up, down))) == Trace(up, down)


def test_losses_are_counted() -> None:
    assert (ROWS.up.lost, ROWS.down.lost) == (1, 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("hello\n", "line 1: expected a header"),
        ('{"about": {}}\n', "line 1: expected a header"),
        ('{"jamrelay_trace": 2}\n', "line 1: version 2 .* reads 1"),
        (HEADER + '["up", 0.0]\n', "line 2: expected"),
        (HEADER + '["up", 0.0, 1.0]\n["sideways", 0.1, 2]\n', "line 3: expected"),
        (HEADER + '["up", "0.0", 1.0]\n', "line 2: expected"),
        (
            HEADER + '["up", 0.5, 1.0]\n["down", 0.1, 1.0]\n["up", 0.4, 1.0]\n',
            "line 4: sent at 0.4 s, before",
        ),
        (HEADER + '["up", -1, 1.0]\n', "line 2: sent at -1.0 s"),
    ],
)
def test_what_is_no_trace_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(MalformedTrace, match=words):
        loads(text)


def test_more_rows_than_there_can_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "ROWS_MAX", 2)
    with pytest.raises(MalformedTrace, match="3 rows: at most 2"):
        loads(HEADER + '["up", 0, 1]\n' * 3)


@settings(derandomize=True)
@given(st.text(max_size=200))
def test_any_text_is_a_trace_or_refused(text: str) -> None:
    with suppress(MalformedTrace):
        loads(text)


def replay(samples: tuple[Sample, ...], at_s: list[float], **others: object) -> list[Decision]:
    impairment = Impairment(Way(trace=TraceWay(samples), **others), seed=1, name="x")  # type: ignore[arg-type]
    return [impairment.decide(instant_s, 100) for instant_s in at_s]


def test_replay_takes_the_nearest_sample_and_begins_again() -> None:
    samples = (Sample(5.0, 10.0), Sample(5.1, None), Sample(5.2, 30.0))
    made = replay(
        samples, [0.0, 0.049, 0.051, 0.149, 0.151, 0.249, 0.251, 0.3, 0.349, 0.351, 0.451], fifo=False
    )
    delays = [one.arrivals_s[0] - one.at_s if one.arrivals_s else None for one in made]
    expected = [0.01, 0.01, None, None, 0.03, 0.03, 0.01, 0.01, 0.01, None, 0.03]
    assert [None if delay is None else round(delay, 9) for delay in delays] == expected
    assert made[2].fate is Fate.LOST


def test_one_sample_is_a_constant_network() -> None:
    made = replay((Sample(3.0, 25.0),), [0.0, 1.0, 100.0])
    assert [one.arrivals_s[0] - one.at_s for one in made] == pytest.approx([0.025] * 3)


def test_replay_overrides_delay_jitter_and_loss_and_nothing_else() -> None:
    others: dict[str, object] = {"delay_ms": 99.0, "jitter": Jitter(JitterKind.NORMAL, 9.0), "loss": 1.0}
    assert replay((Sample(0.0, 5.0),), [0.0, 1.0], **others) == replay((Sample(0.0, 5.0),), [0.0, 1.0])
    made = replay((Sample(0.0, 5.0),), [0.0, 1.0], outages=((0.5, 2.0),), duplicate=1.0)
    assert [len(one.arrivals_s) for one in made] == [2, 0]


def test_a_delay_below_zero_is_replayed_as_none() -> None:
    assert replay((Sample(0.0, -0.4),), [1.0])[0].arrivals_s == (1.0,)


def recorded(n: int, every_s: float) -> tuple[Sample, ...]:
    """Return the samples of a simulated probe on a hotel's Wi-Fi: n datagrams, one every `every_s`."""
    way = Way(
        delay_ms=12.0,
        jitter=Jitter(JitterKind.LOGNORMAL, 6.0, 20.0),
        loss=0.01,
        bursts=Bursts(0.02),
        spikes=Spikes(5.0, 60.0),
    )
    impairment = Impairment(way, seed=5, name="hotel/up")
    made = [impairment.decide(index * every_s, 60) for index in range(n)]
    return tuple(
        Sample(one.at_s, (one.arrivals_s[0] - one.at_s) * 1e3 if one.arrivals_s else None) for one in made
    )


def test_replay_at_the_recorded_rate_gives_back_every_delay_and_every_loss() -> None:
    samples = recorded(3000, 0.02)
    made = replay(samples, [sample.sent_s for sample in samples])
    got = [round((one.arrivals_s[0] - one.at_s) * 1e3, 6) if one.arrivals_s else None for one in made]
    assert got == [None if one.delay_ms is None else round(one.delay_ms, 6) for one in samples]


def test_replay_at_another_rate_and_for_longer_agrees_in_delays_and_losses() -> None:
    samples = recorded(6000, 0.02)
    dice = Random(3)
    at_s, instants = 0.0, []
    while at_s < 240.0:  # twice the trace
        instants.append(at_s)
        at_s += dice.expovariate(1.0 / 0.007)
    made = replay(samples, instants)
    delays = [(one.arrivals_s[0] - one.at_s) * 1e3 for one in made if one.arrivals_s]
    original = [sample.delay_ms for sample in samples if sample.delay_ms is not None]
    lost = sum(1 for one in made if one.fate is Fate.LOST) / len(made)
    assert abs(lost - sum(1 for one in samples if one.delay_ms is None) / len(samples)) < 0.003
    # fifo lets what follows a slow sample wait for it, which recorded samples 20 ms apart don't show.
    assert ks_two(delays, original) < 0.05
    free = replay(samples, instants, fifo=False)
    assert ks_two([(one.arrivals_s[0] - one.at_s) * 1e3 for one in free if one.arrivals_s], original) < 0.01
    assert math.isclose(min(delays), min(original), abs_tol=1e-6)


def test_a_trace_tells_whether_datagrams_overtook_each_other_by_more_than_a_reading() -> None:
    def way(*delays_ms: float | None) -> TraceWay:
        return TraceWay(tuple(Sample(at * 0.020, delay_ms) for at, delay_ms in enumerate(delays_ms)))

    assert not way(50.0, 30.5, 10.0).reordered  # a queue that drains, give or take half a ms
    assert way(50.0, 20.0).reordered
    assert way(50.0, None, 5.0).reordered


def test_what_somebody_else_wrote_about_a_trace_is_shown_without_control_characters() -> None:
    about = loads(dumps(Trace(TraceWay(()), TraceWay(()), {"host": "\x1b[2Jevil\u202e"}))).about
    assert about == {"host": "?[2Jevil?"}
