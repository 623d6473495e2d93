"""Named networks, and the text form in which users describe a network."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.netmodel.impairment import Bursts, Impairment, Jitter, JitterKind, Leg, Spikes, Way
from relay.netmodel.legspec import WORDS, format_leg
from relay.netmodel.networks import PROFILES, parse_leg
from relay.wire.errors import LocalError
from relay.wire.trace import Sample, Trace, TraceWay, dumps

ASKED_FOR = {
    "loopback", "studio-lan", "fibre", "cable", "dsl", "hotel-wifi", "wifi-spikes", "mobile", "bufferbloat",
    "intercontinental", "research", "jepsen-48", "jepsen-500", "satellite-leo",
}  # fmt: skip


def test_every_network_that_was_asked_for_is_there() -> None:
    assert PROFILES.keys() >= ASKED_FOR
    assert all(name == profile.name for name, profile in PROFILES.items())


@pytest.mark.parametrize("name", PROFILES)
def test_profile_says_where_its_figures_come_from(name: str) -> None:
    source = PROFILES[name].source
    assert source.endswith(".")
    assert name == "loopback" or re.search(r"assum|made up|thesis|published", source.lower())


@pytest.mark.parametrize("name", PROFILES)
def test_profile_is_asked_for_by_name_and_survives_its_words(name: str) -> None:
    leg = PROFILES[name].leg
    assert parse_leg(name) == leg
    assert parse_leg(format_leg(leg)) == leg


@pytest.mark.slow
@pytest.mark.parametrize("name", PROFILES)
def test_profile_delivers_most_of_what_is_sent(name: str) -> None:
    for side, way in (("up", PROFILES[name].leg.up), ("down", PROFILES[name].leg.down)):
        impairment = Impairment(way, seed=1, name=side)
        made = [impairment.decide(index * 0.02, 250) for index in range(5000)]
        arrived = [one for one in made if one.arrivals_s]
        assert len(arrived) > 0.96 * len(made)
        assert max(one.arrivals_s[0] - one.at_s for one in arrived) < 1.0


def test_loopback_is_no_impairment() -> None:
    assert parse_leg("loopback") == Leg.both(Way())


def test_figures_stand_for_both_directions() -> None:
    text = (
        "delay=50,jitter=10,kind=pareto,hold=20,loss=5%,bursts=4%,burst=90,duplicate=1%,reorder=2%,"
        "reorder_ms=15,rate=2000,queue=300,spikes=2.5,spike=70,outage=10-12+30-31.5,bloat=5-8:350+9-9.5:20,fifo=no"
    )
    assert parse_leg(text) == Leg.both(
        Way(
            delay_ms=50.0,
            jitter=Jitter(JitterKind.PARETO, 10.0, 20.0),
            loss=0.05,
            bursts=Bursts(0.04, 0.09),
            duplicate=0.01,
            reorder=0.02,
            reorder_ms=15.0,
            rate_kbps=2000.0,
            queue_ms=300.0,
            spikes=Spikes(2.5, 70.0),
            outages=((10.0, 12.0), (30.0, 31.5)),
            bloats=((5.0, 8.0, 350.0), (9.0, 9.5, 20.0)),
            fifo=False,
        )
    )


def test_what_is_not_said_is_as_the_model_has_it() -> None:
    assert parse_leg("bursts=5%").up == Way(bursts=Bursts(0.05))
    assert parse_leg("jitter=3").up == Way(jitter=Jitter(JitterKind.NORMAL, 3.0))
    assert parse_leg("spikes=2").up == Way(spikes=Spikes(2.0, 60.0))
    assert parse_leg("delay=0").up == Way()


def test_shares_are_per_cent_or_numbers() -> None:
    assert parse_leg("loss=5%") == parse_leg("loss=0.05") == parse_leg(" loss = 5% ")


def test_a_profile_can_be_changed() -> None:
    leg = parse_leg("hotel-wifi,loss=5%,jitter=20,burst=200")
    was = PROFILES["hotel-wifi"].leg.up
    assert was.jitter is not None
    assert was.bursts is not None
    assert leg.up.loss == 0.05
    assert leg.up.jitter == Jitter(was.jitter.kind, 20.0, was.jitter.hold_ms)
    assert leg.up.bursts == Bursts(was.bursts.share, 0.2)
    assert (leg.up.delay_ms, leg.up.spikes) == (was.delay_ms, was.spikes)


def test_a_part_of_a_profile_can_be_taken_away() -> None:
    assert parse_leg("mobile-slow-4g,rate=none").up.rate_kbps is None
    leg = parse_leg("hotel-wifi,loss=0,bursts=0,jitter=0,spike=0,rate=none")
    was = PROFILES["hotel-wifi"].leg.up
    assert leg.up == Way(delay_ms=was.delay_ms, queue_ms=was.queue_ms)


def test_directions_can_differ() -> None:
    leg = parse_leg("up:delay=20;down:hotel-wifi,loss=5%")
    assert leg.up == Way(delay_ms=20.0)
    assert leg.down == parse_leg("hotel-wifi,loss=5%").down
    assert parse_leg("down:delay=80") == Leg(Way(), Way(delay_ms=80.0))
    assert parse_leg("bufferbloat").up != parse_leg("bufferbloat").down
    assert parse_leg("up:bufferbloat").up == PROFILES["bufferbloat"].leg.up


def test_a_recorded_path_is_replayed_each_way(tmp_path: Path) -> None:
    path = tmp_path / "path.trace"
    up, down = TraceWay((Sample(0.0, 5.0),)), TraceWay((Sample(0.0, None), Sample(1.0, 9.0)))
    path.write_text(dumps(Trace(up, down)))
    assert parse_leg(f"trace:{path}") == Leg(Way(trace=up), Way(trace=down))
    assert parse_leg(f"trace:{path},duplicate=1%").down == Way(trace=down, duplicate=0.01)
    with pytest.raises(LocalError, match="trace:FILE"):
        format_leg(parse_leg(f"trace:{path}"))


def test_a_file_that_is_no_trace_is_named(tmp_path: Path) -> None:
    path = tmp_path / "path.trace"
    with pytest.raises(LocalError, match=r"cannot read the trace .*path.trace: No such file"):
        parse_leg(f"trace:{path}")
    path.write_text("hello")
    with pytest.raises(LocalError, match=r"path.trace is no trace: line 1"):
        parse_leg(f"trace:{path}")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(LocalError, match="expected text"):
        parse_leg(f"trace:{path}")
    path.write_text('{"jamrelay_trace": 1}\n["up", 0, 1]\n')
    with pytest.raises(LocalError, match="nothing of the way down"):
        parse_leg(f"trace:{path}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no network is called ''; there are loopback"),
        ("wifi", "no network is called 'wifi'.*hotel-wifi.*or figures like delay=50"),
        ("hotel-wifi,lost=5%", "'lost=5%' in a network: expected WORD=VALUE, with a WORD of delay"),
        ("hotel-wifi,loss", "'loss' in a network: expected WORD=VALUE"),
        ("delay=5,delay=6", "delay is given twice"),
        ("delay=fast", "delay=fast: expected a number, ms"),
        ("delay=nan", "delay=nan: expected a number"),
        ("delay=-5", "delay -5.0: expected at least 0 ms"),
        ("loss=5", "loss=5: a share is given as 5% or as a number up to 1"),
        ("loss=120%", "loss 1.2: expected a share between 0 and 1"),
        ("bursts=100%", "bursts 1.0: expected a share of the time"),
        ("rate=0", "rate 0.0: expected above 0"),
        ("jitter=5,kind=gauss", "kind=gauss: expected normal"),
        ("hold=20", "hold means nothing without jitter"),
        ("burst=20", "burst means nothing without bursts"),
        ("spike=20", "spike means nothing without spikes"),
        ("queue=20", "queue means nothing without rate"),
        ("reorder_ms=20", "reorder_ms means nothing without reorder"),
        ("fifo=maybe", "fifo=maybe: expected yes"),
        ("outage=10", "outage=10: expected FROM-TO"),
        ("bloat=10-12", "bloat=10-12: expected FROM-TO:MS"),
        ("outage=12-10", "expected .*in the order of time"),
        ("up:delay=5;sideways:delay=5", "'sideways:delay=5' should begin with up: or down:"),
        ("up:delay=5;up:delay=5", "up: is given twice"),
        ("up:delay=5;delay=6", "'delay=6' should begin with up: or down:"),
    ],
)
def test_what_cannot_be_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(LocalError, match=words):
        parse_leg(text)


@settings(derandomize=True)
@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from([*WORDS, "=", ",", "5", "%", ":", "up", ";", "-"])).map("".join)
)
def test_any_text_is_a_leg_or_refused(text: str) -> None:
    with suppress(LocalError):
        parse_leg(text)


ms = st.integers(0, 1000).map(float)
shares = st.integers(0, 99).map(lambda per_cent: per_cent / 100)
ways = st.builds(
    Way,
    delay_ms=ms,
    jitter=st.none() | st.builds(Jitter, st.sampled_from(JitterKind), st.floats(0.1, 50.0), ms),
    loss=shares,
    bursts=st.none() | st.builds(Bursts, st.floats(0.01, 0.9), st.sampled_from([0.02, 0.08, 0.5])),
    duplicate=shares,
    rate_kbps=st.none() | st.floats(1.0, 1e6),
    spikes=st.none() | st.builds(Spikes, st.floats(0.1, 60.0), st.floats(1.0, 500.0)),
    outages=st.sampled_from([(), ((1.0, 2.5),), ((0.0, 1e-3), (7.0, 8.25))]),
    bloats=st.sampled_from([(), ((1.0, 2.5, 0.1),), ((0.0, 1e-3, 3.0), (7.0, 8.25, 350.5))]),
    fifo=st.booleans(),
)


@settings(derandomize=True)
@given(ways, ways)
def test_any_leg_survives_its_words(up: Way, down: Way) -> None:
    assert parse_leg(format_leg(Leg(up, down))) == Leg(up, down)
    assert parse_leg(format_leg(Leg.both(up))) == Leg.both(up)
