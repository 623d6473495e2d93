"""Virtual jams in the scheme "timestamp", compared with judged ones: without late events and with some."""

from dataclasses import replace

import pytest
from laboratory.runs.points import Point, legs_of
from laboratory.runs.tallying import TalliedNote
from laboratory.virtual.net import UP
from laboratory.virtual.run import run
from laboratory.virtual.stage import VirtualStage
from laboratory.virtual.tally import events_of

from relay.wire.sequence import Scheme

pytestmark = pytest.mark.computes

SPIKE_S = 0.430
"""Extra delay (s) on the way up. An event sent 500 ms ahead then reaches the relay 55 ms before its due."""
NETWORK = "delay=15 | carla=delay=60"


def with_a_spike_on_the_way_up(scheme: Scheme) -> list[TalliedNote]:
    """Play a jam in which anna's uplink is slower by SPIKE_S for a while; return her events of that time."""
    legs = legs_of(Point("p", "s", 0, "virtual", NETWORK))
    stage = VirtualStage(legs, seed=4, lead_ms=200.0, scheme=scheme)
    start_s = stage.warm_up()
    end_s = stage.perform(start_s=start_s, events_per_s=20.0, seconds=4.0, ahead_ms=500.0)
    from_s, to_s, healed_s = end_s - 2.0, end_s - 1.5, end_s - 1.0  # what was sent last is repaired sooner
    stage.jam.wires.meddle = lambda name, way, at_s: (
        SPIKE_S if (name, way) == ("anna", UP) and from_s <= at_s < healed_s else 0.0
    )
    stage.jam.run(end_s + 4.0)
    events = events_of(stage, lead_ms=200.0)
    spiked = [e for e in events if e.origin == "anna" and from_s <= e.at_ns / 1e9 < to_s]
    assert len(spiked) >= 8
    assert not any(event.bad for event in events if event.at_ns < from_s * 1e9 - 1e8)
    return spiked


@pytest.mark.slow
def test_a_spike_on_the_way_up_is_missed_by_the_others_alike_with_a_judge_and_late_at_some_without() -> None:
    for event in with_a_spike_on_the_way_up(Scheme.JUDGED):
        assert event.missed
        assert event.missing == ("ben", "carla")
        assert not event.late
    for event in with_a_spike_on_the_way_up(Scheme.TIMESTAMP):
        assert not event.retimed
        assert event.late == ("carla",), "ben's way down is short enough"
        assert not event.unconfirmed
        assert all(abs((one.timetag_ns or 0) - event.base_ns) < 1_000_000 for one in event.held.values())


@pytest.mark.slow
@pytest.mark.parametrize("network", ["loopback", "delay=40,jitter=5,loss=3%"])
def test_while_nothing_is_late_the_schemes_give_scsynth_the_same(network: str) -> None:
    point = Point("p", "s", 0.0, "virtual", network, seconds=4.0)
    judged, stamped = run(point, 2), run(replace(point, scheme=Scheme.TIMESTAMP), 2)
    assert (judged.bad, stamped.bad) == (0, 0)
    assert (judged.scheme, stamped.scheme) == (Scheme.JUDGED, Scheme.TIMESTAMP)
    assert stamped.action_to_sound_ms_p50 == pytest.approx(judged.action_to_sound_ms_p50, abs=0.1)


@pytest.mark.slow
def test_by_timestamps_an_own_event_that_no_verdict_reaches_in_time_is_not_unconfirmed() -> None:
    far = Point("p", "s", 0.0, "virtual", "delay=235", seconds=3.0)
    assert run(far, 1).unconfirmed == run(far, 1).events
    assert run(replace(far, scheme=Scheme.TIMESTAMP), 1).unconfirmed == 0


@pytest.mark.slow
def test_without_repair_by_timestamps_a_lost_event_holds_up_no_other() -> None:
    lossy = Point("p", "s", 0.0, "virtual", "up:delay=10,loss=10%;down:delay=10", repair=False, seconds=8.0)
    row = run(replace(lossy, scheme=Scheme.TIMESTAMP), 3)
    assert row.bad == row.missing > 0
    assert (row.late, row.retimed, row.out_of_order) == (0, 0, 0)
    assert row.unconfirmed == row.missing, "only their origin has them"
