"""The model of a bad network does what it is told to, and does the same for the same seed."""

import math
from dataclasses import replace
from itertools import pairwise
from statistics import NormalDist, fmean

import pytest

from relay.netmodel.impairment import (
    DUPLICATE_AFTER_S,
    LOGNORMAL_SIGMA,
    PARETO_SHAPE,
    Bursts,
    Decision,
    Fate,
    Impairment,
    Jitter,
    JitterKind,
    Leg,
    Spikes,
    Way,
    drawer,
)
from relay.wire.errors import LocalError
from tests.worlds.chance import binomial_bounds, ks_bound, ks_distance

pytestmark = pytest.mark.computes

EVERYTHING = Way(
    delay_ms=30.0,
    jitter=Jitter(JitterKind.LOGNORMAL, 8.0, 20.0),
    loss=0.05,
    bursts=Bursts(0.05),
    duplicate=0.05,
    reorder=0.05,
    rate_kbps=300.0,
    spikes=Spikes(2.0, 60.0),
    outages=((3.0, 4.0),),
)


def decisions(
    way: Way,
    n: int = 20_000,
    *,
    every_s: float = 0.005,
    size: int = 200,
    seed: int = 1,
    name: str = "anna/up",
) -> list[Decision]:
    impairment = Impairment(way, seed=seed, name=name)
    return [impairment.decide(index * every_s, size) for index in range(n)]


def count(made: list[Decision], fate: Fate) -> int:
    return sum(1 for one in made if one.fate is fate)


def delays_s(made: list[Decision]) -> list[float]:
    return [one.arrivals_s[0] - one.at_s for one in made if one.arrivals_s]


def within(got: int, n: int, share: float) -> bool:
    low, high = binomial_bounds(n, share)
    return low <= got <= high


def test_no_impairment_delivers_at_once() -> None:
    made = decisions(Way(), 10)
    assert [one.arrivals_s for one in made] == [(one.at_s,) for one in made]
    assert [one.index for one in made] == list(range(10))
    assert {one.fate for one in made} == {Fate.PASSED}


def test_delay_is_exact() -> None:
    assert [one.arrivals_s for one in decisions(Way(delay_ms=48.0), 3, every_s=1.0)] == [
        (0.048,),
        (1.048,),
        (2.048,),
    ]


@pytest.mark.parametrize("share", [0.001, 0.05, 0.3])
def test_loss_is_what_was_asked(share: float) -> None:
    assert within(count(decisions(Way(loss=share)), Fate.LOST), 20_000, share)


def test_losses_are_independent_of_each_other() -> None:
    lost = [one.fate is Fate.LOST for one in decisions(Way(loss=0.2))]
    after_loss = [now for before, now in pairwise(lost) if before]
    assert within(sum(after_loss), len(after_loss), 0.2)


def test_everything_or_nothing_is_lost_if_asked() -> None:
    assert count(decisions(Way(loss=1.0), 1000), Fate.LOST) == 1000
    assert count(decisions(Way(loss=0.0), 1000), Fate.LOST) == 0


def test_duplicates_are_what_was_asked_and_come_after() -> None:
    made = decisions(Way(delay_ms=5.0, duplicate=0.1))
    twice = [one for one in made if len(one.arrivals_s) == 2]
    assert within(len(twice), 20_000, 0.1)
    assert all(b - a == pytest.approx(DUPLICATE_AFTER_S) for a, b in (one.arrivals_s for one in twice))


def test_reordered_datagrams_are_overtaken_and_no_others() -> None:
    made = decisions(Way(delay_ms=5.0, reorder=0.1, reorder_ms=12.0))
    late = [one for one in made if one.arrivals_s[0] - one.at_s > 0.006]
    assert within(len(late), 20_000, 0.1)
    assert {round(one.arrivals_s[0] - one.at_s, 9) for one in made} == {0.005, 0.017}


CDF = {
    JitterKind.NORMAL: NormalDist(0.0, 0.010).cdf,
    JitterKind.LOGNORMAL: lambda x: NormalDist(-(LOGNORMAL_SIGMA**2) / 2, LOGNORMAL_SIGMA).cdf(
        math.log(x / 0.010)
    ),
    JitterKind.PARETO: lambda x: 1 - (1 + x / (0.010 * (PARETO_SHAPE - 1))) ** -PARETO_SHAPE,
    JitterKind.EXPONENTIAL: lambda x: 1 - math.exp(-x / 0.010),
    JitterKind.UNIFORM: lambda x: min(1.0, x / 0.020),
}


@pytest.mark.parametrize("kind", JitterKind)
def test_jitter_has_the_distribution_asked_for(kind: JitterKind) -> None:
    made = decisions(Way(delay_ms=100.0, jitter=Jitter(kind, 10.0), fifo=False))
    added = [delay - 0.1 for delay in delays_s(made)]
    assert ks_distance(added, CDF[kind]) < ks_bound(len(added))


@pytest.mark.parametrize("kind", JitterKind)
def test_scale_is_the_mean_or_the_deviation_of_normal(kind: JitterKind) -> None:
    draw = drawer(Jitter(kind, 10.0))
    steps = 200_000
    drawn = [draw((step + 0.5) / steps) for step in range(steps)]
    got = math.sqrt(fmean(x * x for x in drawn)) if kind is JitterKind.NORMAL else fmean(drawn)
    assert got == pytest.approx(0.010, rel=0.005)


@pytest.mark.parametrize("kind", JitterKind)
def test_no_draw_is_impossible(kind: JitterKind) -> None:
    draw = drawer(Jitter(kind, 10.0))
    assert all(abs(draw(u)) <= 0.5 for u in (2.0**-54, 0.5, 1.0 - 2.0**-53))


def test_normal_jitter_never_arrives_before_it_was_sent() -> None:
    made = decisions(Way(delay_ms=5.0, jitter=Jitter(JitterKind.NORMAL, 10.0), fifo=False))
    assert min(delays_s(made)) == 0.0


def test_held_jitter_is_one_draw_a_cell_and_of_the_same_distribution() -> None:
    way = Way(delay_ms=50.0, jitter=Jitter(JitterKind.EXPONENTIAL, 10.0, hold_ms=20.0), fifo=False)
    made = decisions(way, 40_000, every_s=0.005)
    cells: dict[int, set[float]] = {}
    for one in made:
        cells.setdefault(one.index // 4, set()).add(round(one.arrivals_s[0] - one.at_s - 0.05, 9))
    assert all(len(drawn) == 1 for drawn in cells.values())
    added = [drawn.pop() for drawn in cells.values()]
    assert ks_distance(added, CDF[JitterKind.EXPONENTIAL]) < ks_bound(len(added))


def test_held_jitter_asks_nothing_of_how_often_datagrams_come() -> None:
    way = Way(jitter=Jitter(JitterKind.LOGNORMAL, 10.0, hold_ms=20.0), fifo=False)
    often = {one.at_s: one.arrivals_s for one in decisions(way, 4000, every_s=0.01)}
    seldom = {one.at_s: one.arrivals_s for one in decisions(way, 400, every_s=0.1)}
    shared = often.keys() & seldom.keys()
    assert len(shared) > 100
    assert all(often[at_s] == seldom[at_s] for at_s in shared)


def test_fifo_arrivals_never_overtake_and_otherwise_do() -> None:
    way = Way(delay_ms=20.0, jitter=Jitter(JitterKind.PARETO, 10.0))
    kept = [one.arrivals_s[0] for one in decisions(way)]
    assert kept == sorted(kept)
    free = [one.arrivals_s[0] for one in decisions(replace(way, fifo=False))]
    assert free != sorted(free)


@pytest.mark.slow
def test_burst_share_and_mean_length_are_what_was_asked() -> None:
    made = decisions(Way(bursts=Bursts(0.05, 0.080)), 400_000, every_s=0.005)
    lost = [one.fate is Fate.BURST for one in made]
    # 2000 s hold 1250 bad periods, so that their share is known to about 4 % at one deviation.
    assert sum(lost) / len(lost) == pytest.approx(0.05, rel=0.13)
    lengths, run = [], 0
    for bad in [*lost, False]:
        if bad:
            run += 1
        elif run:
            lengths.append(run * 0.005)
            run = 0
    # Sampled every 5 ms, a seen burst is longer by what its shortest kin, unseen, take from the mean.
    seen = 0.005 / (1.0 - math.exp(-0.005 / 0.080))
    assert fmean(lengths) == pytest.approx(seen, rel=3.3 / math.sqrt(len(lengths)))


@pytest.mark.slow
def test_burst_lengths_are_exponential() -> None:
    made = decisions(Way(bursts=Bursts(0.3, 0.100)), 200_000, every_s=0.001)
    lengths, run = [], 0
    for one in made:
        if one.fate is Fate.BURST:
            run += 1
        elif run:
            lengths.append(run * 0.001)
            run = 0
    assert ks_distance(lengths, lambda x: 1 - math.exp(-x / 0.100)) < ks_bound(len(lengths)) + 0.005


def test_rate_and_its_queue_by_hand() -> None:
    # 100 kbit/s: 125 bytes take 10 ms. Waits of 0, 10, 20 ms fit into 20, the next doesn't.
    impairment = Impairment(Way(delay_ms=5.0, rate_kbps=100.0, queue_ms=20.0), seed=1, name="x")
    made = [impairment.decide(at_s, 125) for at_s in (0.0, 0.0, 0.0, 0.0, 0.025, 0.1)]
    assert [one.fate for one in made] == [Fate.PASSED] * 3 + [Fate.QUEUE_FULL] + [Fate.PASSED] * 2
    arrivals = [one.arrivals_s[0] for one in made if one.arrivals_s]
    assert arrivals == pytest.approx([0.015, 0.025, 0.035, 0.045, 0.115])


def test_rate_lets_no_more_through_than_it_says() -> None:
    made = decisions(Way(rate_kbps=500.0, queue_ms=100.0), 5000, every_s=0.001, size=250)
    arrived = [one.arrivals_s[0] for one in made if one.arrivals_s]
    assert count(made, Fate.QUEUE_FULL) > 0
    # 250 bytes take 4 ms: 1250 in 5 s, and the 26 that the queue held.
    assert 1250 <= len(arrived) <= 1277
    assert arrived[-1] - arrived[0] == pytest.approx(0.004 * (len(arrived) - 1))


@pytest.mark.slow
def test_spike_jumps_to_its_height_and_falls_at_slope_minus_one() -> None:
    made = decisions(Way(delay_ms=10.0, spikes=Spikes(1.0, 80.0)), 200_000, every_s=0.001)
    extra = [delay - 0.010 for delay in delays_s(made)]
    rises = [i for i in range(1, len(extra)) if extra[i] > extra[i - 1] + 1e-6]
    assert all(extra[i] == pytest.approx(0.080, abs=0.001) for i in rises)
    falls = [extra[i - 1] - extra[i] for i in range(1, len(extra)) if 0.0015 < extra[i] < extra[i - 1]]
    assert falls == pytest.approx([0.001] * len(falls), abs=1e-9)
    # 200 s with a spike a second; Poisson, 99.9 %.
    assert 154 <= len(rises) <= 248


def test_spike_shifts_nothing_out_of_order() -> None:
    arrived = [one.arrivals_s[0] for one in decisions(Way(spikes=Spikes(0.5, 80.0), fifo=False))]
    assert arrived == sorted(arrived)


def test_what_a_spike_blocked_leaves_at_the_rate_of_the_line() -> None:
    # 200 kbit/s: 125 bytes take 5 ms, one is sent every 10 ms.
    way = Way(delay_ms=20.0, rate_kbps=200.0, queue_ms=500.0, spikes=Spikes(1.0, 80.0))
    made = decisions(way, 20_000, every_s=0.010, size=125)
    arrived = [one.arrivals_s[0] for one in made]
    apart = [later - earlier for earlier, later in pairwise(arrived)]
    assert min(apart) == pytest.approx(0.005)
    delays = delays_s(made)
    assert min(delays) == pytest.approx(0.025)
    # Blocked for 80 ms, and then the line's turn to come.
    assert 0.100 < max(delays) < 0.200
    rises = [i for i in range(1, len(delays)) if delays[i - 1] < 0.0251 < delays[i]]
    assert rises
    assert all(0.090 < delays[i] <= 0.105 + 1e-9 for i in rises)


def test_outage_takes_its_start_and_not_its_end() -> None:
    impairment = Impairment(Way(outages=((1.0, 2.0), (3.0, 3.5))), seed=1, name="x")
    fates = [impairment.decide(at_s, 100).fate for at_s in (0.999, 1.0, 1.999, 2.0, 3.0, 3.499, 3.5)]
    out, through = Fate.OUTAGE, Fate.PASSED
    assert fates == [through, out, out, through, out, out, through]


def test_same_seed_same_decisions_bit_for_bit() -> None:
    assert decisions(EVERYTHING, 5000) == decisions(EVERYTHING, 5000)


def test_decisions_are_the_same_on_every_machine() -> None:
    """A change of the recorded result means that earlier runs can't be repeated by their seeds."""
    made = decisions(EVERYTHING, 2000)
    fates = {fate: count(made, fate) for fate in Fate}
    assert (fates, round(sum(delays_s(made)), 9)) == PINNED


PINNED = (
    {Fate.PASSED: 1647, Fate.LOST: 83, Fate.BURST: 32, Fate.OUTAGE: 200, Fate.QUEUE_FULL: 38},
    304.325186132,
)


def test_a_bloat_adds_to_the_delay_and_what_comes_after_it_does_not_overtake() -> None:
    way = Way(delay_ms=10.0, bloats=((1.0, 2.0, 300.0), (3.0, 3.5, 100.0)))
    impairment = Impairment(way, seed=1, name="x")
    made = [impairment.decide(at_s, 100) for at_s in (0.999, 1.0, 1.999, 2.0, 2.298, 2.9, 3.2, 4.0)]
    delays = [one.arrivals_s[0] - one.at_s for one in made]
    assert delays == pytest.approx([0.010, 0.310, 0.310, 0.309, 0.011, 0.010, 0.110, 0.010])


@pytest.mark.parametrize("other", [{"seed": 2}, {"name": "anna/down"}])
def test_another_seed_or_name_decides_otherwise(other: dict[str, object]) -> None:
    for part in (
        Way(loss=0.5),
        Way(duplicate=0.5),
        Way(reorder=0.5),
        Way(jitter=Jitter(JitterKind.UNIFORM, 5.0)),
        Way(jitter=Jitter(JitterKind.UNIFORM, 5.0, 20.0)),
        Way(bursts=Bursts(0.5)),
        Way(spikes=Spikes(0.5, 60.0)),
    ):
        assert decisions(part, 500) != decisions(part, 500, **other)  # type: ignore[arg-type]  # parametrized


def test_names_of_one_seed_are_independent() -> None:
    up = [one.fate is Fate.LOST for one in decisions(Way(loss=0.3), name="anna/up")]
    down = [one.fate is Fate.LOST for one in decisions(Way(loss=0.3), name="anna/down")]
    both = sum(a and b for a, b in zip(up, down, strict=True))
    assert within(both, 20_000, 0.09)


@pytest.mark.parametrize(
    "added",
    [
        {"loss": 0.2},
        {"bursts": Bursts(0.2)},
        {"duplicate": 0.3},
        {"outages": ((1.0, 2.0),)},
        {"loss": 0.2, "bursts": Bursts(0.2), "duplicate": 0.3, "rate_kbps": 50.0, "queue_ms": 0.0},
    ],
)
def test_what_is_added_leaves_the_jitter_as_it_was(added: dict[str, object]) -> None:
    way = Way(delay_ms=10.0, jitter=Jitter(JitterKind.PARETO, 5.0), fifo=False)
    plain = decisions(way, 2000)
    with_it = decisions(replace(way, **added), 2000)  # type: ignore[arg-type]  # parametrized
    through = [one for one in with_it if one.arrivals_s]
    assert 100 < len(through) <= 2000
    serial_s = 200 * 8e-3 / 50.0 if "rate_kbps" in added else 0.0
    for one in through:
        assert one.arrivals_s[0] - serial_s == pytest.approx(plain[one.index].arrivals_s[0])


def test_a_changed_past_leaves_later_draws_as_they_were() -> None:
    way = Way(loss=0.3, duplicate=0.3, jitter=Jitter(JitterKind.NORMAL, 3.0), delay_ms=20.0, fifo=False)
    first = Impairment(way, seed=7, name="x")
    second = Impairment(replace(way, outages=((0.0, 1.0),)), seed=7, name="x")
    a = [first.decide(i * 0.01, 100) for i in range(300)]
    b = [second.decide(i * 0.01, 100) for i in range(300)]
    assert a[100:] == b[100:]
    assert a[:100] != b[:100]


def test_time_may_stand_but_not_run_back() -> None:
    impairment = Impairment(Way(), seed=1, name="x")
    impairment.decide(1.0, 100)
    impairment.decide(1.0, 100)
    with pytest.raises(AssertionError, match="ran back"):
        impairment.decide(0.5, 100)


def test_leg_of_one_way_has_it_both_ways() -> None:
    way = Way(delay_ms=5.0)
    assert Leg.both(way) == Leg(way, way)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Way(loss=1.5), "loss 1.5"),
        (lambda: Way(loss=math.nan), "loss nan"),
        (lambda: Way(delay_ms=-1.0), "delay -1.0"),
        (lambda: Way(delay_ms=math.inf), "delay inf"),
        (lambda: Way(rate_kbps=0.0), "rate 0.0"),
        (lambda: Way(queue_ms=-1.0), "queue -1.0"),
        (lambda: Way(reorder_ms=-1.0), "reorder_ms -1.0"),
        (lambda: Way(outages=((2.0, 1.0),)), "outage"),
        (lambda: Way(outages=((1.0, 3.0), (2.0, 4.0))), "outage"),
        (lambda: Way(bloats=((1.0, 3.0, 5.0), (2.0, 4.0, 5.0))), "bloat"),
        (lambda: Way(bloats=((1.0, 3.0, -5.0),)), "bloat -5.0"),
        (lambda: Bursts(1.0), "bursts 1.0"),
        (lambda: Bursts(0.1, 0.0), "burst 0.0"),
        (lambda: Spikes(0.0, 1.0), "spikes 0.0"),
        (lambda: Spikes(1.0, -1.0), "spike -1.0"),
        (lambda: Jitter(JitterKind.NORMAL, -1.0), "jitter -1.0"),
        (lambda: Jitter(JitterKind.NORMAL, 1.0, -1.0), "hold -1.0"),
    ],
)
def test_impossible_figures_are_refused_in_words(make: object, words: str) -> None:
    with pytest.raises(LocalError, match=words):
        make()  # type: ignore[operator]  # parametrized
