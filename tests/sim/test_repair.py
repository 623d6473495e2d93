"""Repair of lost events in whole virtual jams: what remains bad, and how many bytes it costs."""

import pytest
from laboratory.runs.points import Point, legs_of
from laboratory.runs.tallying import TalliedNote
from laboratory.virtual.stage import VirtualStage
from laboratory.virtual.tally import events_of

from relay.wire import frames
from relay.wire.budget import BURST_BYTES, RATE_BYTES_PER_S
from relay.wire.loss import LossMeter
from relay.wire.outbox import DATAGRAM_BYTES
from relay.wire.sequence import Flag, Judged, Kind
from tests.worlds import carried

pytestmark = pytest.mark.computes

SECONDS = 12.0
LOSSY = "delay=50,jitter=10,loss=10%"


def jam(
    network: str, *, ahead_ms: float = 500.0, seed: int = 1
) -> tuple[VirtualStage, list[TalliedNote], list[float]]:
    """Play a jam over paths whose loss is already measured.

    Returns (stage, its events, bytes per second: up and down of each member in turn).
    """
    legs = legs_of(Point("p", "s", 0.0, "virtual", network))
    stage = VirtualStage(legs, seed=seed, lead_ms=200.0)
    start_s = stage.warm_up()
    carried.much_to_all(stage.jam.relay.hub)
    for host in stage.jam.members.values():
        assert host.bridge is not None
        carried.much_by(host.bridge.session.emission.uplink.outbox)
    before = [way.bytes for member in stage.members for way in (member.up, member.down)]
    end_s = stage.perform(start_s=start_s, events_per_s=20.0, seconds=SECONDS, ahead_ms=ahead_ms)
    stage.jam.run(end_s)
    after = [way.bytes for member in stage.members for way in (member.up, member.down)]
    stage.jam.run(end_s + 3.0)
    rates = [(late - early) / (end_s - start_s) for early, late in zip(before, after, strict=True)]
    return stage, events_of(stage, lead_ms=200.0), rates


@pytest.mark.slow
def test_ten_percent_loss_each_way_at_rtt_100_leaves_nothing_bad() -> None:
    _, events, _ = jam(LOSSY)
    assert len(events) == 3 * 20 * SECONDS
    assert [event for event in events if event.bad] == []


@pytest.mark.slow
def test_without_copies_it_does_so_they_are_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LossMeter, "asked", lambda meter, number: None)
    _, events, _ = jam("delay=50,jitter=10,loss=20%")
    assert sum(event.bad for event in events) > 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "burst_bytes"),
    [
        ("delay=15", 0),
        ("delay=15,bursts=5%", 0),
        (LOSSY, 0),
        ("delay=50,jitter=20,loss=20%", 0),
        ("delay=15,loss=60%", BURST_BYTES),
    ],
)
def test_on_any_network_a_direction_carries_three_times_the_plain_bytes_and_24_kbit_at_most(
    network: str, burst_bytes: int
) -> None:
    stage, events, rates = jam(network)
    message = stage.notes[0].emission.message
    size = DATAGRAM_BYTES + len(frames.encode(Judged(1, 1, 1, 2**63, 2**63, Kind.TIMED, Flag.NONE, message)))
    burst = burst_bytes / SECONDS
    for up, down in zip(rates[::2], rates[1::2], strict=True):
        assert up <= 3 * 20 * size + RATE_BYTES_PER_S + burst
        assert down <= 3 * 60 * size + RATE_BYTES_PER_S + burst
    assert events


@pytest.mark.slow
def test_where_nothing_is_lost_repair_costs_less_than_half_of_the_plain_bytes() -> None:
    stage, _, rates = jam("delay=15")
    message = stage.notes[0].emission.message
    size = DATAGRAM_BYTES + len(frames.encode(Judged(1, 1, 1, 2**63, 2**63, Kind.TIMED, Flag.NONE, message)))
    for up, down in zip(rates[::2], rates[1::2], strict=True):
        assert up <= 1.75 * 20 * size
        assert down <= 1.5 * 60 * size
