"""The notice that a command hasn't started our scsynth: given once, with the reason and what to do."""

import pytest

from bridge.sonicpi.starting import PATIENCE_S, StartWatch


def watch() -> StartWatch:
    return StartWatch("sonic-pi", "/tmp/jambridge-x/bin", 100.0)


def test_a_command_that_has_not_started_our_scsynth_after_20_s_is_told_of_once() -> None:
    starting = watch()
    assert PATIENCE_S == 20.0
    assert starting.news(119.9, started=False) == []
    lines = starting.news(120.0, started=False)
    assert lines[0].startswith("You are NOT in the jam: sonic-pi has run for 20 s and has not started")
    text = " ".join(lines)
    for what_to_do in ("close it, end this join with Ctrl-C", "3.2 to 4.6 on Linux", "/tmp/jambridge-x/bin"):
        assert what_to_do in text
    assert starting.news(130.0, started=False) == []
    assert starting.news(140.0, started=False, ended=True) == []


@pytest.mark.parametrize("ended", [False, True])
def test_who_has_started_it_is_told_nothing_even_if_it_ends_later(ended: bool) -> None:
    starting = watch()
    assert starting.news(105.0, started=True) == []
    assert starting.news(125.0, started=False, ended=ended) == []


def test_a_command_that_ended_before_is_told_of_at_once() -> None:
    starting = watch()
    lines = starting.news(101.0, started=False, ended=True)
    assert lines[0].startswith("You were NOT in the jam: sonic-pi has ended")
    assert starting.news(130.0, started=False) == []


@pytest.mark.parametrize("ended", [False, True])
def test_every_line_fits_a_terminal_of_80_columns(ended: bool) -> None:
    assert max(map(len, watch().news(120.0, started=False, ended=ended))) <= 80
