"""netlab's reports and logs, tested with made-up decisions of the emulator and without namespaces."""

import math
from pathlib import Path

import numpy as np
import pytest
from laboratory.star import decisionlog
from laboratory.star.decisionlog import (
    FATES,
    NEVER,
    PROTOCOLS,
    ROW,
    ROW_BYTES,
    WAYS,
    DecisionLogError,
    Header,
)
from laboratory.star.wayreport import burst_trials, delay_asked_ms, overtaken, report, share

from relay.netmodel.impairment import Bursts, Impairment, Jitter, JitterKind, Leg, Way
from relay.netmodel.networks import PROFILES, parse_leg

UDP = 17
LATE_S = 0.0001


def header(legs: dict[str, Leg], seed: int = 1) -> Header:
    return Header(
        version="0",
        seed=seed,
        names=list(legs),
        legs=list(legs.values()),
        zero_monotonic_ns=5,
        zero_realtime_ns=7,
        realtime=False,
    )


def log_bytes(
    legs: dict[str, Leg], count: int, *, seed: int = 1, gap_s: float = 0.01, late_s: float = LATE_S
) -> bytes:
    """Return the log of an emulator that passes on every datagram `late_s` later than decided.

    count: datagrams for each way. gap_s: time between two of them.
    """
    rows = []
    for number, (name, leg) in enumerate(legs.items()):
        for way_number, (way_name, way) in enumerate(zip(WAYS, (leg.up, leg.down), strict=True)):
            model = Impairment(way, seed=seed, name=f"{name}/{way_name}")
            for turn in range(count):
                decision = model.decide(turn * gap_s, 100)
                first, copy, *_ = *decision.arrivals_s, NEVER, NEVER
                rows.append(
                    ROW.pack(
                        number, way_number, UDP, FATES.index(decision.fate), 100, turn, 0,
                        turn * gap_s, first, copy, first + late_s, copy + late_s,
                    )
                )  # fmt: skip
    return decisionlog.header_line(header(legs, seed)) + b"".join(reversed(rows))


def test_log_tells_what_was_asked_and_what_was_decided() -> None:
    legs = {"anna": parse_leg("hotel-wifi,duplicate=10%"), "bob": Leg(Way(delay_ms=3.0), Way(loss=0.5))}
    log = decisionlog.loads(log_bytes(legs, 400))
    assert log.header == header(legs)
    assert log.leg("bob") == legs["bob"]
    assert log.way("bob", "down") == legs["bob"].down
    model = Impairment(legs["anna"].up, seed=1, name="anna/up")
    assert log.decisions("anna", "up") == [model.decide(turn * 0.01, 100) for turn in range(400)]
    rows = log.rows_of("bob", "up")
    assert list(rows["index"]) == list(range(400))
    assert {PROTOCOLS[number] for number in rows["protocol"]} == {"udp"}
    assert np.allclose(rows["written_s"] - rows["at_s"], 0.003 + LATE_S)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_comes_back_from_a_log_as_it_was(profile: str) -> None:
    legs = {"anna": PROFILES[profile].leg}
    assert decisionlog.loads(decisionlog.header_line(header(legs))).header.legs == [legs["anna"]]


def test_log_that_was_cut_short_ends_with_its_last_whole_row() -> None:
    whole = log_bytes({"anna": Leg.both(Way())}, 10)
    assert len(decisionlog.loads(whole).rows) == 20
    assert len(decisionlog.loads(whole[: -ROW_BYTES - 3]).rows) == 18


@pytest.mark.parametrize("data", [b"", b"\x00\xff\n", b'{"jamrelay_netlab": 99}\n', b"[]\n", b"{"])
def test_what_is_no_log_is_refused_in_words(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(data)
    with pytest.raises(DecisionLogError, match=r"x\.log: not a log of netlab"):
        decisionlog.read_log(path)


def test_unknown_member_is_named() -> None:
    log = decisionlog.loads(log_bytes({"anna": Leg.both(Way())}, 1))
    with pytest.raises(KeyError, match="no leg 'zoe' in this log, but anna"):
        log.rows_of("zoe", "up")


def test_what_was_done_as_asked_is_ok() -> None:
    legs = {"anna": parse_leg("delay=20,jitter=3,loss=5%,bursts=3%,duplicate=5%,reorder=2%")}
    reports = report(decisionlog.loads(log_bytes(legs, 5_000)), even=True)
    assert [one.name for one in reports] == ["anna/up", "anna/down"]
    for one in reports:
        assert one.faults == one.lateness == []
        assert one.is_ok
        assert one.datagrams == 5_000
        assert sum(one.fates.values()) == 5_000
        assert one.error_ms == pytest.approx((0.1, 0.1))
        assert one.loss.asked == 0.05
        assert one.fates["lost"] > 0
        assert one.bursts is not None
        assert one.copies is not None


def test_report_says_what_was_late() -> None:
    legs = {"anna": Leg.both(Way(delay_ms=20.0))}
    one = report(decisionlog.loads(log_bytes(legs, 100, late_s=0.002)))[0]
    assert not one.is_ok
    assert one.faults == []
    assert one.lateness == [
        "1 in 100 was more than 2.00 ms late, at most 1 ms is allowed: this machine was too busy"
    ]
    early = report(decisionlog.loads(log_bytes(legs, 100, late_s=-0.002)))[0]
    assert early.faults == ["a datagram was written 2.000 ms early"]


def test_report_says_when_loss_is_not_as_asked_and_when_decisions_are_not_the_models() -> None:
    did, asked = {"anna": Leg.both(Way(loss=0.05))}, {"anna": Leg.both(Way(loss=0.02))}
    head, _, rows = log_bytes(did, 2_000).partition(b"\n")
    forged = decisionlog.header_line(header(asked)) + rows
    assert head
    one = report(decisionlog.loads(forged), replay=False)[0]
    assert len(one.faults) == 1
    assert one.faults[0].startswith("loss 4.")
    assert "asked 2.000%" in one.faults[0]
    assert any("not repeatable: anna/up" in fault for fault in report(decisionlog.loads(forged))[0].faults)
    other_seed = decisionlog.header_line(header(did, seed=2)) + rows
    assert any("not repeatable" in fault for fault in report(decisionlog.loads(other_seed))[0].faults)


def test_one_loss_that_nobody_asked_for_is_a_fault() -> None:
    assert not share(0.0, 1, 10_000).fits
    assert share(0.0, 0, 10_000).fits


def test_way_without_traffic_has_no_report() -> None:
    assert report(decisionlog.loads(decisionlog.header_line(header({"anna": Leg.both(Way())})))) == []


def test_interval_holds_what_was_asked_in_99_of_100_samples() -> None:
    dice = np.random.default_rng(7)
    held = sum(share(0.02, int(dice.binomial(5_000, 0.02)), 5_000).fits for _ in range(4_000))
    assert 0.985 < held / 4_000 < 0.995


@pytest.mark.slow
def test_bursts_are_worth_as_many_trials_as_their_share_varies() -> None:
    """Loss in bursts counts as fewer trials. Their number predicts how much the lost share varies."""
    bursts = Bursts(share=0.1, mean_s=0.05)
    at_s = np.arange(2_000) * 0.01
    got = []
    for seed in range(300):
        model = Impairment(Way(bursts=bursts), seed=seed, name="anna/up")
        got.append(sum(not model.decide(float(at), 100).arrivals_s for at in at_s) / len(at_s))
    assert np.mean(got) == pytest.approx(0.1, abs=4 * np.std(got) / math.sqrt(300))
    assert np.std(got) == pytest.approx(math.sqrt(0.1 * 0.9 / burst_trials(bursts, at_s)), rel=0.15)
    assert burst_trials(bursts, np.arange(50) * 1e4) == pytest.approx(50)
    assert burst_trials(bursts, np.zeros(50)) == pytest.approx(1)
    assert burst_trials(bursts, np.zeros(0)) == 0.0


def test_overtaken_counts_those_that_came_after_a_later_one() -> None:
    assert overtaken(np.array([1.0, 2.0, 5.0, 3.0, 4.0, 6.0])) == 1
    assert overtaken(np.array([3.0, 2.0, 1.0])) == 2
    assert overtaken(np.array([1.0, 1.0])) == 0
    assert overtaken(np.zeros(0)) == 0


def test_asked_delay_is_that_of_delay_and_jitter_in_theory() -> None:
    assert delay_asked_ms(Way(delay_ms=12.0)) == (12.0, 12.0)
    uniform = Way(delay_ms=10.0, jitter=Jitter(JitterKind.UNIFORM, 5.0))
    assert delay_asked_ms(uniform) == pytest.approx((15.0, 19.9))
    normal = Way(delay_ms=1.0, jitter=Jitter(JitterKind.NORMAL, 1.0))
    assert delay_asked_ms(normal) == pytest.approx((1.0, 3.3263), abs=1e-4)
