"""Virtual runs: a seed gives the same row each time, and rows agree with chance and physics."""

from dataclasses import replace
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from laboratory.runs.oracle import Oracle, unavoidable
from laboratory.runs.points import Point, legs_of
from laboratory.runs.rows import Row
from laboratory.virtual.host import START_UNIX_NS, Member
from laboratory.virtual.net import Passage
from laboratory.virtual.run import run, run_over
from laboratory.virtual.stage import VirtualStage
from laboratory.virtual.tally import events_of

from relay.netmodel.impairment import Bursts, Leg, Way
from relay.wire.errors import LocalError

pytestmark = pytest.mark.computes

TROUBLE = "delay=30,jitter=5,loss=3%,bursts=2%,reorder=5%,duplicate=5%"


def point(network: str, **what: object) -> Point:
    """Return a point of the study with a run of 4 s. what: fields that differ from the usual."""
    standard = {"where": "virtual", "seconds": 4.0, "events_per_s": 20.0}
    return Point("p", "s", 0.0, network=network, **{**standard, **what})


def test_the_longest_time_until_an_event_was_in_hand_is_a_lead_that_would_have_done() -> None:
    far = run(point("delay=10 | ben=delay=60"), 1)
    assert far.in_hand_ms_max == pytest.approx(120, abs=6), "ben's own events come back to him"


@pytest.mark.slow
def test_the_same_seed_gives_the_same_row_and_another_seed_another() -> None:
    made = point(TROUBLE, seconds=2.0)
    row = run(made, 5)
    assert run(made, 5) == row
    assert replace_seed(run(made, 6), 5) != row


def replace_seed(row: Row, seed: int) -> Row:
    values = {name: getattr(row, name) for name in row.__struct_fields__}
    return Row(**{**values, "seed": seed})


def test_without_impairment_nothing_is_bad_and_all_hear_it_at_once() -> None:
    row = run(point("loopback"), 1)
    assert row.events == 3 * 20 * 4
    assert (row.bad, row.unconfirmed, row.unavoidable) == (0, 0, 0)
    assert (row.doomed_but_good, row.disturbed, row.disturbed_bad) == (0, 0, 0)
    assert row.spread_us_p99 is not None
    assert row.spread_us_p99 < 1000.0
    assert row.action_to_sound_ms_p50 == pytest.approx(500.0, abs=0.2)
    assert row.margin_ms_p50 is not None
    assert row.margin_ms_p50 > 80.0, "69 are the release advance; the lead leaves more"
    assert row.bytes_up is not None
    assert row.bytes_plain is not None
    assert row.bytes_plain < row.bytes_up < 3 * row.bytes_plain


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "share"),
    [
        # One side only: what waits for a gap on the way up goes down in one datagram, lost together.
        ("up:delay=10,loss=5%;down:delay=10", 0.05),
        ("up:delay=10;down:delay=10,loss=5%", 1.0 - 0.95**2),  # two others; the origin has its own
    ],
)
def test_without_repair_loss_leaves_the_share_missing_that_chance_demands(network: str, share: float) -> None:
    row = run(point(network, repair=False, seconds=10.0), 3)
    spread = 3.29 * sqrt(share * (1.0 - share) / row.events)  # 99.9 %
    assert abs(row.missing / row.events - share) < spread
    assert row.bad == row.divergent == row.missing
    assert row.unavoidable == 0, "a sender that repeats itself gets through"


@pytest.mark.slow
def test_with_repair_the_same_loss_leaves_nothing_missing() -> None:
    row = run(point("delay=10,loss=5%", seconds=12.0), 3)
    assert (row.bad, row.missing) == (0, 0)


def test_a_constant_asymmetry_of_20_ms_moves_a_members_sound_by_10_ms() -> None:
    row = run(point("delay=20 | ben=up:delay=10;down:delay=30"), 1)
    assert row.bad == 0
    for quantile in (row.spread_us_p50, row.spread_us_p99):
        assert quantile == pytest.approx(10_000.0, abs=150.0)
    assert row.clock_error_us_p99 == pytest.approx(10_000.0, abs=150.0)


@pytest.mark.slow
def test_the_oracle_counts_exactly_what_an_outage_makes_impossible() -> None:
    up_s, down_s, from_s, to_s, ahead_s, need_s = 0.010, 0.030, 7.0, 8.2, 0.5, 0.020
    plain = Leg(Way(delay_ms=up_s * 1e3), Way(delay_ms=down_s * 1e3))
    broken = replace(plain, down=replace(plain.down, outages=((from_s, to_s),)))
    legs = {"anna": plain, "ben": broken, "carla": plain}
    stage = VirtualStage(legs, seed=2, lead_ms=400.0)
    end_s = stage.perform(start_s=stage.warm_up(), events_per_s=20.0, seconds=4.0, ahead_ms=ahead_s * 1e3)
    stage.jam.run(end_s + 4.0)
    events = events_of(stage, lead_ms=400.0)
    doomed = {
        (event.origin, event.at_ns)
        for event in events
        if event.origin != "ben"
        and from_s <= event.at_ns / 1e9 + up_s < to_s
        and to_s + down_s > event.at_ns / 1e9 + ahead_s - need_s
    }
    assert len(doomed) > 10
    at = {(one.origin, round(one.at_s * 1e9)) for one in unavoidable((e.emission() for e in events), legs, 2)}
    assert at == doomed
    bad = {(event.origin, event.at_ns) for event in events if event.bad}
    assert doomed <= bad, "nobody gets what can't be had"
    late = [event for event in events if (event.origin, event.at_ns) in doomed]
    # What ben comes to far too late he doesn't play at all.
    assert all((event.late or event.missing) == ("ben",) for event in late)
    assert any(event.missing for event in late)
    made = point("loopback")
    assert run_over(legs, made, 2).unavoidable == len(doomed)


@pytest.mark.slow
def test_what_the_oracle_calls_out_of_reach_is_bad_event_by_event() -> None:
    way = Way(delay_ms=60.0, bursts=Bursts(share=0.2, mean_s=0.3))
    legs = dict.fromkeys(("anna", "ben", "carla"), Leg.both(way))
    stage = VirtualStage(legs, seed=4, lead_ms=400.0)
    end_s = stage.perform(start_s=stage.warm_up(), events_per_s=20.0, seconds=8.0, ahead_ms=500.0)
    stage.jam.run(end_s + 4.0)
    events = events_of(stage, lead_ms=400.0)
    doomed = set(unavoidable((event.emission() for event in events), legs, 4))
    assert len(doomed) > 20
    assert doomed <= {event.emission() for event in events if event.bad}


def test_a_lead_that_the_way_does_not_fit_re_times_and_one_that_it_fits_does_not() -> None:
    short = run(point("delay=60", lead_ms=100.0, ahead_ms=120.0, seconds=2.0), 1)
    assert short.retimed == short.bad == short.events
    long = run(point("delay=60", lead_ms=300.0, ahead_ms=320.0, seconds=2.0), 1)
    assert (long.bad, long.retimed, long.moved) == (0, 0, 0)


def test_a_lead_above_the_schedule_ahead_is_what_was_asked_for_and_moves_nothing() -> None:
    row = run(point("delay=20", lead_ms=400.0, ahead_ms=100.0, seconds=2.0), 1)
    assert (row.bad, row.moved) == (0, 0)
    assert row.action_to_sound_ms_p50 == pytest.approx(400.0, abs=0.5)


def test_tcp_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match=r"tls-bbr in virtual time, expected udp.*netlab"):
        run(point("fibre", transport="tls-bbr"), 1)


def test_an_unreadable_network_is_refused() -> None:
    with pytest.raises(LocalError):
        run(point("no-such-network"), 1)


def test_members_who_never_reach_the_relay_are_missing_to_the_others_and_nobody_could_help_it() -> None:
    row = run(point("delay=10 | ben=loss=100%", seconds=1.0), 1)
    assert row.missing == row.bad == row.unavoidable == row.events == 60
    assert row.doomed_but_good == 0


def test_an_oracle_that_dooms_what_was_good_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Oracle, "out_of_reach", lambda oracle, emission: ["ben"])
    row = run(point("delay=10", seconds=1.0), 1)
    assert (row.bad, row.unavoidable, row.doomed_but_good) == (0, 60, 60)


@pytest.mark.slow
def test_every_size_of_room_up_to_sixteen_plays() -> None:
    for members in (1, 16):
        row = run(point("delay=5", members=members, events_per_s=2.0, seconds=1.0), 1)
        assert (row.events, row.bad) == (2 * members, 0)
    assert len(legs_of(point("delay=5", members=16))) == 16


@given(
    st.integers(-(10**10), 10**10),
    st.floats(-500, 500),
    st.integers(0, 4 * 10**12),
)
def test_a_wall_clock_is_read_backwards_to_the_nanosecond(offset_ns: int, ppm: float, true_ns: int) -> None:
    passages = [Passage(Way(), seed=1, name=name) for name in ("up", "down")]
    member = Member("anna", *passages, offset_ns, 0.0, 0, ppm)
    assert abs(member.true_of_wall_ns(member.wall_ns(true_ns)) - true_ns) <= 1
    assert member.wall_ns(0) == START_UNIX_NS + offset_ns
