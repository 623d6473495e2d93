"""The envelope study: its trials are the planned networks, and a verdict needs all of their events."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from laboratory.runs import rows
from laboratory.runs.points import legs_of
from laboratory.tables import envelope

from tests.worlds.lab_rows import row


def trial(title: str, ahead_ms: float = 500) -> envelope.EnvelopeTrial:
    return next(one for one in envelope.TRIALS if (one.title, one.ahead_ms) == (title, ahead_ms))


def found(one: envelope.EnvelopeTrial, **figures: object) -> list[rows.Row]:
    point = one.point("virtual")
    return [msgspec.structs.replace(row(point, seed), **figures) for seed in point.seeds]


def test_every_trial_is_a_network_of_its_own_with_ten_thousand_events_of_five_seeds() -> None:
    points = envelope.points("netlab")
    assert len({point.name for point in points}) == len(points) == 10
    assert len(envelope.points("virtual")) == 8
    assert [point.x for point in envelope.points("virtual", words=["ONE member 20"])] == [500, 1000]
    assert envelope.points("netlab", words=["envelope"]) == []
    for point in points:
        legs_of(point)
        assert point.members * point.events_per_s * point.seconds >= 10_000
        assert point.seeds == (1, 2, 3, 4, 5)


def test_a_trial_that_lacks_seeds_holds_only_so_far() -> None:
    rows_ = found(trial("RTT 60, jitter 15, loss 5 %"))
    assert envelope.judge(rows_)[0].text == "yes"
    assert envelope.judge(rows_[:3])[0].text == "so far (3 of 5 seeds)"
    assert envelope.judge([*rows_[:2], msgspec.structs.replace(rows_[2], bad=1)])[0].text == "NO"


def test_one_bad_event_breaks_what_may_lose_none() -> None:
    one = trial("RTT 60, jitter 15, loss 5 %")
    assert envelope.judge(found(one))[0].holds
    spoilt = found(one)
    spoilt[3] = msgspec.structs.replace(spoilt[3], bad=1)
    assert not envelope.judge(spoilt)[0].holds


@pytest.mark.parametrize(("bad", "expected"), [(3, True), (4, False)])
def test_where_bursts_make_events_impossible_three_times_as_many_may_be_lost(
    bad: int, expected: bool
) -> None:
    one = trial("bursts 5 %, RTT 30")
    (verdict,) = envelope.judge(found(one, bad=bad, unavoidable=1))
    assert verdict.holds is expected
    assert verdict.by_seed[0] == f"{bad} (1)"


def test_who_hears_it_at_another_instant_breaks_the_trial_of_the_far_member() -> None:
    one = trial("one member RTT 200, the others 20")
    assert envelope.judge(found(one, spread_us_p99=1900.0))[0].holds
    assert not envelope.judge(found(one, spread_us_p99=2100.0))[0].holds
    assert not envelope.judge(found(one, spread_us_p99=None))[0].holds, "not measured is not held"


AWAY = "RTT 30, jitter 3 ms, loss 0.1 %; one member away for 2 s"
BLOATED = "RTT 30, jitter 3 ms, loss 0.1 %; 3 s of bufferbloat at one member"
CALM_FIGURES = {
    "margin_ms_p01": 430.0, "shift_ms_last": 0.0, "lead_ms_last": 155.0, "action_to_sound_ms_max": 500.0,
}  # fmt: skip


@pytest.mark.parametrize("title", [AWAY, BLOATED])
def test_a_member_in_trouble_must_leave_margins_and_shift_as_they_were(title: str) -> None:
    calm = [
        msgspec.structs.replace(
            row(trial("RTT 30, jitter 3 ms, loss 0.1 %").point("netlab"), seed), **figures
        )
        for seed in envelope.SEEDS
        for figures in [CALM_FIGURES]
    ]

    def holds(**figures: object) -> bool:
        usual = CALM_FIGURES | {"margin_ms_p01": 428.0, "lead_ms_last": 160.0}
        rows_ = [
            msgspec.structs.replace(row(trial(title).point("netlab"), seed), **usual | figures)
            for seed in envelope.SEEDS
        ]
        return envelope.judge([*calm, *rows_])[1].holds

    assert holds()
    assert not holds(margin_ms_p01=424.0)
    assert not holds(shift_ms_last=1.0)
    assert not holds(lead_ms_last=170.0)
    assert not holds(action_to_sound_ms_max=520.0), "a shift that came and went was heard"
    assert not holds(bad=1)
    assert not envelope.judge([row(trial(title).point("netlab"), seed) for seed in envelope.SEEDS])[
        0
    ].holds, "without the other trial nothing is known"


def test_the_text_names_every_verdict_and_its_commit(tmp_path: Path) -> None:
    one = trial("RTT 100, jitter 10, loss 10 %")
    rows.write(tmp_path / "data.csv", found(one, bad=2, disturbed=300, disturbed_bad=1), rows.Row)
    (verdict,) = envelope.write(tmp_path / "TEXT.md", tmp_path / "data.csv")
    text = (tmp_path / "TEXT.md").read_text()
    assert not verdict.holds
    assert "| 0.100 % |" in text
    assert "| NO |" in text
    assert "at abc;" in text
    assert "1,500 notes that lived while the machine itself stood still (5 of them bad)" in text


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ({}, True),
        ({"lead_ms_last": 167.0}, False),  # 1.2 x (81 + 49) + 10 = 166
        ({"shift_ms_last": 5.0}, False),
        ({"action_to_sound_ms_max": 520.0}, False),
        ({"in_hand_ms_max": None}, False),
        ({"in_hand_ms_max": 70.0}, False),
    ],
)
def test_on_a_good_network_no_lead_is_longer_than_it_has_to_be(
    figures: dict[str, object], expected: bool
) -> None:
    usual = CALM_FIGURES | {"in_hand_ms_max": 81.0}
    one = trial("RTT 30, jitter 3 ms, loss 0.1 %")
    assert one.point("netlab").shift_auto, "a shift that is kept at 0 would show nothing"
    rows_ = found(one, **usual)
    rows_[2] = msgspec.structs.replace(rows_[2], **figures)
    assert envelope.judge(rows_)[0].holds is expected


def test_a_trial_at_another_ahead_is_another_point() -> None:
    short, long = (trial("RTT 100, jitter 20, loss 5 %, one member 20 %", ahead) for ahead in (500, 1000))
    assert replace(short.point("virtual"), name="", x=0, ahead_ms=0, shift_auto=False) == replace(
        long.point("virtual"), name="", x=0, ahead_ms=0, shift_auto=False
    )
    assert short.point("virtual").name != long.point("virtual").name
