"""The path probe over a simulated path: its trace agrees with the true delays and losses, both ways."""

from itertools import pairwise
from random import Random

import pytest

from bridge.probe.measurement import QUIET_NS, TAIL_NS, Probe, Silence
from clock.model import NS_PER_S
from relay.wire import control, frames
from relay.wire.datagram import Sealer
from relay.wire.errors import LocalError, MalformedControl
from relay.wire.trace import Sample, dumps, loads
from tests.worlds.probe import BOOTED_NS, ProbeWorld, Truth, constant, rough
from tests.worlds.relay import EPOCH

pytestmark = pytest.mark.computes

GRAIN_MS = 0.001

KEYS = control.ProbeWelcome(channel=5, key_up=bytes(32), key_down=b"d" * 32)


def lost(truths: list[Truth]) -> list[int]:
    return [number for number, truth in enumerate(truths) if truth.delay_ms is None]


def lost_in(samples: tuple[Sample, ...]) -> list[int]:
    return [number for number, sample in enumerate(samples) if sample.delay_ms is None]


def errors_ms(samples: tuple[Sample, ...], truths: list[Truth]) -> list[float]:
    """Return measured less true delay (ms) for each datagram that arrived."""
    pairs = zip(samples, sorted(truths, key=lambda truth: truth.sent_s), strict=True)
    return [
        sample.delay_ms - truth.delay_ms
        for sample, truth in pairs
        if sample.delay_ms is not None and truth.delay_ms is not None
    ]


def test_over_an_even_path_every_delay_is_right_and_nothing_is_lost() -> None:
    world = ProbeWorld(seconds=4)
    world.run()
    trace = world.trace()
    assert [len(way.samples) for way in (trace.up, trace.down)] == [200, 200]
    assert [sample.sent_s for sample in trace.up.samples] == pytest.approx([n / 50 for n in range(200)])
    assert [sample.sent_s for sample in trace.down.samples] == pytest.approx(
        [n / 50 + 0.020 for n in range(200)], abs=1e-5
    )
    for way in (trace.up, trace.down):
        assert [sample.delay_ms for sample in way.samples] == pytest.approx([20.0] * 200, abs=GRAIN_MS)
    assert trace.about["host"] == "test"
    assert trace.about["clock_bound_ms"] >= 20


def test_the_time_that_a_busy_relay_takes_is_no_delay_of_the_path() -> None:
    world = ProbeWorld(seconds=4, served_ms=3.0)
    world.run()
    assert world.probe.progress().rtt_ms == pytest.approx(40.0, abs=GRAIN_MS)
    trace = world.trace()
    for way in (trace.up, trace.down):
        assert [sample.delay_ms for sample in way.samples] == pytest.approx([20.0] * 200, abs=GRAIN_MS)
    assert trace.down.samples[0].sent_s == pytest.approx(0.023, abs=1e-5)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_over_a_rough_path_with_drifting_clocks_the_trace_is_the_truth(seed: int) -> None:
    world = ProbeWorld(
        seed=seed,
        up=rough(20, 8, loss=0.05, outages=((7.0, 7.1), (31.0, 32.5))),
        down=rough(20, 15, loss=0.02, outages=((44.0, 44.2),)),
        seconds=60,
        drift_ppm=37.0,
    )
    world.run()
    trace = world.trace()
    assert lost_in(trace.up.samples) == lost(world.ups)
    assert trace.down.lost == len(lost(world.downs)) > 20
    for way, truths in ((trace.up, world.ups), (trace.down, world.downs)):
        errors = errors_ms(way.samples, truths)
        assert len(errors) > 2500
        assert max(map(abs, errors)) < 0.6
    assert float(trace.about["clock_rate_ppm"]) == pytest.approx(37.0, abs=3.0)
    assert trace.about["clock_steady"] == "yes"


def test_reordering_on_the_way_up_puts_neither_way_out_of_the_order_of_sending() -> None:
    world = ProbeWorld(up=rough(5, 30), down=rough(5, 30), seconds=10)
    world.run()
    trace = world.trace()
    ups = [truth.sent_s * 1e3 + truth.delay_ms for truth in world.ups if truth.delay_ms is not None]
    assert ups != sorted(ups)
    for way, truths in ((trace.up, world.ups), (trace.down, world.downs)):
        sent = [sample.sent_s for sample in way.samples]
        assert sent == sorted(sent)
        assert max(map(abs, errors_ms(way.samples, truths))) < 0.6
    assert loads(dumps(trace)).about == trace.about


def test_unequal_ways_are_off_by_no_more_than_the_bound_that_is_stated() -> None:
    world = ProbeWorld(up=rough(20, 5), down=rough(80, 5), seconds=10)
    world.run()
    trace = world.trace()
    bound_ms = float(trace.about["clock_bound_ms"])
    errors = [*errors_ms(trace.up.samples, world.ups), *errors_ms(trace.down.samples, world.downs)]
    assert 29 < max(map(abs, errors)) < bound_ms < 52


@pytest.mark.parametrize("drift_ppm", [-80.0, 0.0, 80.0])
def test_ten_minutes_of_drift_stay_within_the_bound(drift_ppm: float) -> None:
    world = ProbeWorld(up=rough(15, 3), down=rough(15, 3), rate=5, seconds=600, drift_ppm=drift_ppm)
    world.run()
    trace = world.trace()
    errors = errors_ms(trace.up.samples, world.ups)
    assert len(errors) == 3000
    assert max(map(abs, errors)) < 1.0
    assert float(trace.about["clock_rate_ppm"]) == pytest.approx(drift_ppm, abs=2.0)


@pytest.mark.slow
def test_the_rate_is_found_under_jitter_much_greater_than_what_it_moves() -> None:
    errors = []
    for seed in range(6):
        world = ProbeWorld(seed=seed, up=rough(15, 20), down=rough(15, 20), seconds=60, drift_ppm=-200.0)
        world.run()
        errors.append(abs(float(world.trace().about["clock_rate_ppm"]) + 200.0))
    assert sum(errors) / len(errors) < 1.5


def test_a_clock_that_is_set_meanwhile_is_noticed() -> None:
    world = ProbeWorld(seconds=10)
    world.run(until_s=5)
    world.session = lambda: EPOCH + int((world.at_s() + 0.5) * 2**32)  # type: ignore[method-assign]  # another clock
    world.run()
    assert world.trace().about["clock_steady"] == "no"


def test_what_is_lost_both_ways_is_lost_up_only() -> None:
    outage = ((2.0, 3.0),)
    world = ProbeWorld(up=rough(20, 0, outages=outage), down=rough(20, 0, outages=outage), seconds=5)
    world.run()
    trace = world.trace()
    assert lost_in(trace.up.samples) == list(range(100, 150))
    assert len(trace.down.samples) == 200
    # Answers to the last 20 ms before the outage ran into it.
    assert trace.down.lost == 1


# -- sending ---------------------------------------------------------------------------------------------


def test_a_late_wake_up_is_put_down_and_never_made_good_by_a_burst() -> None:
    stalls = iter([0.0] * 50 + [0.51] + [0.0] * 1000)
    world = ProbeWorld(seconds=4, late_s=lambda random: next(stalls))
    world.run()
    sent = [sample.sent_s for sample in world.trace().up.samples]
    gaps = [after - before for before, after in pairwise(sent)]
    assert max(gaps) == pytest.approx(0.53)
    assert sorted(gaps)[:2] == pytest.approx([0.01, 0.02])
    assert len(sent) == 200 - 25


def test_it_ends_when_everything_is_answered_or_given_up() -> None:
    calm, deaf = ProbeWorld(seconds=2), ProbeWorld(seconds=2, down=rough(20, 0, loss=0.3))
    calm.run()
    assert 2.0 < calm.at_s() < 2.1
    deaf.run()
    assert deaf.at_s() == pytest.approx(1.98 + TAIL_NS / NS_PER_S, abs=0.1)


def test_ended_early_it_still_knows_the_truth_of_all_that_it_sent() -> None:
    world = ProbeWorld(up=rough(20, 0, loss=0.2), seconds=60)
    world.run(until_s=5)
    world.probe.stop()
    world.run()
    trace = world.trace()
    assert lost_in(trace.up.samples) == lost(world.ups)
    assert len(trace.up.samples) == len(world.ups) == pytest.approx(250, abs=2)


def test_what_nobody_told_of_when_the_connection_broke_is_left_out_not_called_lost() -> None:
    world = ProbeWorld(up=rough(20, 0, loss=0.2), seconds=60)
    world.run(until_s=10)
    world.connected = False
    world.run(until_s=20)
    trace = world.trace()
    known = len(trace.up.samples)
    assert 350 <= known < 400
    assert lost_in(trace.up.samples) == lost(world.ups[:known])


# -- what isn't the truth --------------------------------------------------------------------------------


def probe_with(sent: int) -> Probe:
    probe = Probe(KEYS, rate=50, seconds=10, now_local_ns=BOOTED_NS)
    for number in range(sent):
        assert probe.wake(BOOTED_NS + number * 20_000_000) is not None
    return probe


ANSWER = frames.ProbeDown(0, EPOCH, EPOCH + 10, 100)


@pytest.mark.parametrize(
    "frame",
    [
        frames.ProbeDown(3, EPOCH, EPOCH + 10, 100),
        frames.ProbeDown(0, EPOCH + 10, EPOCH, 100),
        frames.ProbeDown(0, 5, EPOCH, 100),
        frames.ProbeUp(0, 100),
        frames.BeatDown(EPOCH, 1, EPOCH),
    ],
    ids=["never-sent", "answered-before-received", "no-instant", "question", "beat"],
)
def test_an_answer_that_cannot_be_is_counted_and_nothing_else(frame: frames.Frame) -> None:
    probe = probe_with(3)
    sealer = Sealer(KEYS.key_down, KEYS.channel)
    probe.receive_datagram(sealer.seal(frames.encode(frame)), received_local_ns=BOOTED_NS + 50_000_000)
    assert (probe.progress().answered, probe.datagrams_refused) == (0, 1)


def test_a_second_answer_a_forgery_and_noise_are_counted_and_nothing_else() -> None:
    probe = probe_with(3)
    sealer, forger = Sealer(KEYS.key_down, KEYS.channel), Sealer(b"x" * 32, KEYS.channel)
    for datagram in (
        sealer.seal(frames.encode(ANSWER)),
        sealer.seal(frames.encode(ANSWER)),
        forger.seal(frames.encode(ANSWER)),
        b"noise",
    ):
        probe.receive_datagram(datagram, received_local_ns=BOOTED_NS + 50_000_000)
    assert (probe.progress().answered, probe.datagrams_refused) == (1, 3)


@pytest.mark.parametrize("arrival", [(3, EPOCH), (0, 5), (0, -1), (0, 2**64 - 1)])
def test_a_report_of_what_cannot_be_is_malformed(arrival: tuple[int, int]) -> None:
    with pytest.raises(MalformedControl, match="3 were sent"):
        probe_with(3).receive_report(control.ProbeReport(arrivals=[arrival]), now_local_ns=BOOTED_NS)


def test_without_one_answer_there_is_no_trace() -> None:
    world = ProbeWorld(down=rough(20, 0, loss=1.0), seconds=2)
    world.run()
    with pytest.raises(LocalError, match="no answer came back"):
        world.trace()


@pytest.mark.parametrize(
    ("up", "down", "shut"),
    [(1.0, 0.0, Silence.UP), (0.0, 1.0, Silence.DOWN), (0.9, 0.5, None)],
)
def test_it_knows_which_way_is_shut(up: float, down: float, shut: Silence | None) -> None:
    world = ProbeWorld(seed=4, up=rough(20, 0, loss=up), down=rough(20, 0, loss=down), seconds=60)
    world.run(until_s=QUIET_NS / NS_PER_S - 0.1)
    assert world.probe.silence(world.now_ns) is None
    world.run(until_s=QUIET_NS / NS_PER_S + 0.1)
    assert world.probe.silence(world.now_ns) is shut


def test_progress_shows_what_was_seen_so_far() -> None:
    world = ProbeWorld(up=rough(20, 0, outages=((1.0, 2.0),)), down=constant(30), seconds=10)
    assert world.probe.progress().rtt_ms is None
    world.run(until_s=3.99)
    found = world.probe.progress()
    assert (found.sent, found.planned, found.overdue) == (200, 500, 50)
    assert found.answered == pytest.approx(147, abs=2)
    assert found.rtt_ms == pytest.approx(50.0)
    assert found.jitter_ms == pytest.approx(0.0, abs=1e-6)


def test_the_same_seed_gives_the_same_trace() -> None:
    def text() -> str:
        world = ProbeWorld(seed=9, up=rough(20, 8, 0.05), down=rough(20, 8, 0.05), seconds=3)
        world.late_s = lambda random: Random(3).random() * 0.002
        world.run()
        return dumps(world.trace())

    assert text() == text()
