"""The statistical test whether two traces are of the same path. A replayed trace passes it."""

from random import Random

import pytest

from bridge.probe.same_path import LEVEL, agreement, kolmogorov_p, kolmogorov_smirnov
from relay.netmodel.impairment import Impairment, Way
from relay.netmodel.networks import PROFILES
from relay.wire.trace import Sample, Trace, TraceWay, dumps, loads
from tests.worlds.probe import Path, ProbeWorld

pytestmark = pytest.mark.computes

BYTES = 282
"""Size of a probe as an IP datagram."""


def test_the_statistic_is_the_greatest_distance_of_the_two_staircases() -> None:
    assert kolmogorov_smirnov([1, 2, 3, 4], [1, 2, 3, 4]) == 0
    assert kolmogorov_smirnov([1, 2], [3, 4]) == 1
    assert kolmogorov_smirnov([1, 3, 5, 7], [2, 4, 6, 8]) == 0.25
    assert kolmogorov_smirnov([1, 1, 1, 2], [1, 2, 2, 2]) == 0.5
    assert (kolmogorov_smirnov([], []), kolmogorov_smirnov([1], [])) == (0, 1)


def test_what_measuring_adds_by_itself_is_no_difference_and_more_is_one() -> None:
    first, second = [1.0, 2.0, 3.0, 4.0], [1.2, 2.2, 3.2, 4.2]
    assert kolmogorov_smirnov(first, second) == 0.25
    for one, other in ((first, second), (second, first)):
        assert kolmogorov_smirnov(one, other, allowing=0.25) == 0
        assert kolmogorov_smirnov(one, other, allowing=0.15) == 0.25
    assert kolmogorov_smirnov([1.0, 1.0], [3.0, 3.0], allowing=0.25) == 1


def test_its_probability_is_kolmogorovs() -> None:
    # Source: the table of Smirnov 1948; 1.3581 is the 5 % point and 1.6276 the 1 % point.
    for scaled, share in ((0.8276, 0.5), (1.3581, 0.05), (1.6276, 0.01)):
        assert kolmogorov_p(scaled / 500, 500_000, 500_000) == pytest.approx(share, rel=0.01)
    assert kolmogorov_p(0.0, 10, 10) == 1.0
    assert kolmogorov_p(1.0, 100, 100) < 1e-9


@pytest.mark.parametrize("shift_ms", [0.0, 3.0])
def test_two_recordings_differ_when_their_paths_do_and_seldom_otherwise(shift_ms: float) -> None:
    dice = Random(11)

    def recorded(extra_ms: float) -> TraceWay:
        return TraceWay(tuple(Sample(n / 50, 20 + extra_ms + dice.expovariate(0.1)) for n in range(1000)))

    called_different = sum(not agreement(recorded(0), recorded(shift_ms)).agree for _ in range(100))
    assert called_different <= 5 if shift_ms == 0 else called_different >= 99


def test_more_loss_is_a_difference_and_as_much_is_none() -> None:
    def losing(every: int) -> TraceWay:
        return TraceWay(tuple(Sample(n / 50, None if n % every == 0 else 9.0) for n in range(3000)))

    assert agreement(losing(20), losing(21)).agree
    assert agreement(losing(20), losing(10)).loss_p < LEVEL
    assert agreement(losing(20), losing(10)).delays_p == 1.0


def through(way: Way, seed: int, name: str) -> Path:
    impairment = Impairment(way, seed=seed, name=name)

    def path(random: Random, at_s: float) -> float | None:
        arrivals = impairment.decide(at_s, BYTES).arrivals_s
        return (arrivals[0] - at_s) * 1e3 if arrivals else None

    return path


def probed(up: Way, down: Way, seed: int) -> Trace:
    world = ProbeWorld(seed=seed, up=through(up, seed, "up"), down=through(down, seed, "down"), seconds=60)
    world.late_s = lambda random: random.random() * 0.001
    world.run()
    return loads(dumps(world.trace()))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["fibre", "dsl", "hotel-wifi", "wifi-spikes", "bufferbloat", "intercontinental"]
)
def test_a_path_replayed_from_its_trace_has_its_delays_and_its_losses(name: str) -> None:
    leg = PROFILES[name].leg
    original = probed(leg.up, leg.down, seed=3)
    replayed = probed(Way(trace=original.up), Way(trace=original.down), seed=4)
    for way, again in ((original.up, replayed.up), (original.down, replayed.down)):
        found = agreement(way, again)
        print(f"{name}: D={found.delays_apart:.4f} p={found.delays_p:.3f} "
              f"loss {found.first.loss:.4f} {found.second.loss:.4f} p={found.loss_p:.3f}")  # fmt: skip
        assert found.agree
        assert found.delays_apart < 0.02


def test_another_networks_trace_is_told_apart() -> None:
    first, second = (probed(PROFILES[name].leg.up, PROFILES[name].leg.down, 3) for name in ("dsl", "cable"))
    assert not agreement(first.up, second.up).agree
