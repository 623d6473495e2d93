"""The table of `jamrelay stats`: complete at 80 and at 120 columns, with an honest headline."""

import io

import pytest
from rich.console import Console

from relay.stats.view import stats_view, verdict
from relay.wire.counted_nouns import counted
from relay.wire.sequence import Scheme
from relay.wire.stats import MemberStats, ProbeStats, RoomStats, Stats


def member(slot: int, name: str, **figures: float | bool | int | None) -> MemberStats:
    measured = {
        "events": 123_456,
        "margin_ms_worst": 41.2,
        "margin_ms_p99": 44.4,
        "rtt_ms": 123.4,
        "jitter_ms": 12.3,
        "loss_percent": 0.05,
        "clock_offset_ms": -1234.5,
        "clock_bound_ms": 61.7,
    }
    return MemberStats(slot=slot, name=name, **{"present": True} | measured | figures)


def room(*members: MemberStats, **figures: float | str | Scheme) -> RoomStats:
    counted = {
        "lead_ms": 200.0,
        "shift_ms": 0.0,
        "horizon_ms": 90.0,
        "seconds_compared": 60,
        "events": 1000,
        "divergent": 0,
        "divergence": 0.0,
        "retimed": 0,
        "retimed_share": 0.0,
        "overtaken": 0,
        "moved": 0,
        "lead_auto": True,
    }
    return RoomStats(
        name="main", epoch="00", members=list(members), incidents=["#7 /n_set 9 of bob: cleo missed it"],
        **counted | figures,
    )  # fmt: skip


def shown(
    *rooms: RoomStats, columns: int, probes: ProbeStats | None = None, off: tuple[str, ...] = ()
) -> list[str]:
    stats = Stats(
        software="jamrelay 0.1.0", uptime_s=3725.0, members=2, rooms=list(rooms), datagrams_in=9,
        datagrams_refused=0, probes=probes or ProbeStats(), off=list(off),
    )  # fmt: skip
    output = io.StringIO()
    Console(file=output, width=columns).print(stats_view(stats))
    return output.getvalue().splitlines()


HEADINGS = (
    *("slot", "member", "events", "missing", "late", "order", "diff", "retimed", "moved", "unconf", "silent"),
    *("margin worst/p99", "rtt", "jitter", "loss", "clock"),
)


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_every_heading_and_figure_is_whole(columns: int) -> None:
    lines = shown(room(member(1, "anna"), member(2, "bob")), columns=columns)
    text = "\n".join(lines)
    assert all(heading in text for heading in HEADINGS)
    for figure in ("123456", "41/44 ms", "123.4 ms", "12.3 ms", "0.05 %", "-1234.5 ±61.70 ms"):
        assert text.count(figure) == 2
    assert "…" not in text
    assert max(map(len, lines)) <= columns


@pytest.mark.parametrize(("columns", "tables"), [(80, 2), (200, 1)])
def test_a_narrow_terminal_gets_two_tables_and_a_wide_one_one(columns: int, tables: int) -> None:
    lines = shown(room(member(1, "anna")), columns=columns)
    assert sum("slot" in line for line in lines) == tables


def test_a_member_that_is_away_is_marked_and_an_unlocked_clock_has_no_figure() -> None:
    text = "\n".join(shown(room(member(3, "cleo", present=False, clock_bound_ms=1e6)), columns=120))
    assert "cleo (away)" in text
    assert "not locked" in text


def test_incidents_are_shown_by_name() -> None:
    assert any("#7 /n_set 9 of bob: cleo missed it" in line for line in shown(room(), columns=120))


def test_an_empty_relay_says_so() -> None:
    assert "no room is open: nobody has joined yet" in "\n".join(shown(columns=80))
    assert "up 1:02:05" in shown(columns=80)[0]


@pytest.mark.parametrize("trouble", ["missing", "late", "out_of_order", "different"])
def test_one_fault_of_one_member_makes_a_room_not_coherent(trouble: str) -> None:
    assert verdict(room(member(1, "anna"))) == ("coherent: the same everywhere", "green")
    assert verdict(room(member(1, "anna", **{trouble: 1})))[0].startswith("NOT coherent")


def test_much_retiming_is_no_achievement_and_nothing_compared_is_no_verdict() -> None:
    assert "re-timed" in verdict(room(retimed=20, retimed_share=0.02))[0]
    assert verdict(room(seconds_compared=0))[0] == "not compared yet"


@pytest.mark.parametrize("columns", [80, 120])
def test_what_stays_at_home_and_what_was_refused_is_said_and_only_then(columns: int) -> None:
    quiet = " ".join(shown(room(member(1, "anna")), columns=columns))
    assert "heard at home only" not in quiet
    assert "messages refused" not in quiet
    lines = " ".join(
        " ".join(
            shown(
                room(member(2, "bob", local_only=3, refused=4, counts={"overflowed": 2, "its_own": 5})),
                columns=columns,
            )
        ).split()
    )
    assert "bob: 2 times an event was dropped there, since too many waited" in lines
    assert "its_own" not in lines
    assert "bob: 3 of its own sounds (samples, synthdefs, sound input) heard at home only" in lines
    assert "bob: 4 messages refused" in lines


def test_one_of_a_thing_is_not_called_several() -> None:
    one = member(4, "dave", refused=1, local_only=1, beyond=1)
    probes = ProbeStats(begun=1, refused=1, datagrams_refused=1)
    text = " ".join(" ".join(shown(room(one, events=1), columns=200, probes=probes)).split())
    for part in (
        "1 event in 60 s", "dave: 1 message refused", "dave: 1 of its own sounds (samples,",
        "dave: 1 event needed more than the longest lead and wasn't waited for", "1 prober refused",
        "1 datagram of theirs refused",
    ):  # fmt: skip
        assert part in text
    stats = Stats(
        software="", uptime_s=0.0, members=0, rooms=[], datagrams_in=1, datagrams_refused=1,
    )  # fmt: skip
    output = io.StringIO()
    Console(file=output, width=80).print(stats_view(stats))
    assert "1 datagram refused" in output.getvalue()
    assert [counted(number, "event") for number in (0, 1, 2, 1.0, 0.5)] == [
        "0 events", "1 event", "2 events", "1 event", "0.5 events",
    ]  # fmt: skip


@pytest.mark.parametrize("compared", [0, 10])
def test_a_member_that_lacks_what_others_built_is_never_shown_green(compared: int) -> None:
    deaf = room(member(1, "anna"), member(2, "bob", unfounded=1), seconds_compared=compared)
    words, style = verdict(deaf)
    assert "NOT heard by bob" in words
    assert "red" in style
    lines = " ".join(" ".join(shown(deaf, columns=120)).split())
    assert "bob: scsynth there lacks 1 of the groups and mixers that the others built at their start" in lines


def test_the_scheme_is_shown_where_it_is_not_the_usual_one() -> None:
    assert "scheme" not in " ".join(shown(room(), columns=120))
    lines = " ".join(" ".join(shown(room(scheme=Scheme.TIMESTAMP), columns=120)).split())
    assert "scheme timestamp: late events are late, not re-timed" in lines


def test_it_says_whether_the_lead_is_fixed_and_what_it_has_to_be_good_for() -> None:
    needs = {"need_up_ms": 18.2, "need_down_ms": 95.0, "beyond": 3}
    why = {"lead_why": "anna's events at bob: 113 ms", "shift_auto": True}
    tuned = "\n".join(shown(room(member(1, "anna", **needs), **why), columns=200))
    assert "lead 200 ms, shift 0 ms" in tuned
    assert "lead needed: anna's events at bob: 113 ms; up/down in ms: anna 18/95" in tuned
    assert "anna: 3 events needed more than the longest lead" in tuned
    fixed = "\n".join(shown(room(member(1, "anna"), lead_auto=False), columns=200))
    assert "lead 200 ms (fixed), shift 0 ms (fixed)" in fixed
    assert "lead needed" not in fixed


def test_measured_paths_are_shown_where_there_are_any_and_refusals_where_there_are_any() -> None:
    assert "measured" not in "\n".join(shown(columns=80))
    assert "paths measured: 3, of them now 1" in shown(columns=80, probes=ProbeStats(begun=3, now=1))
    refused = ProbeStats(begun=4, now=4, refused=2, datagrams_refused=9)
    line = "paths measured: 4, of them now 4; 2 probers refused; 9 datagrams of theirs refused"
    assert line in shown(columns=120, probes=refused)


def test_what_is_off_beside_the_music_is_said_with_where_to_look() -> None:
    lines = shown(columns=80, off=("the event log",))
    assert "the event log is off since it failed: the relay's log says why" in lines
