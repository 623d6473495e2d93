"""The soak run's bookkeeping: which late events were due while the whole machine stood still."""

from pathlib import Path

from rehearsal.cost.soak import STALL_REACH_S, is_in, stalls_of
from rehearsal.proof.matching import MatchedEvent
from rehearsal.rigs.recording import RecordedMessage

SECOND = 1_000_000_000


def due_at(ns: int) -> MatchedEvent:
    class Message:
        due_ns = ns

    message: RecordedMessage = Message()  # type: ignore[assignment]  # a stand-in
    return MatchedEvent({"ann": message})


def test_stalls_of_a_cycle_are_read_and_a_line_that_is_being_written_is_left(tmp_path: Path) -> None:
    log = tmp_path / "still.txt"
    log.write_text(f"{SECOND} {2 * SECOND}\n{5 * SECOND} {6 * SECOND}\n{7 * SECOND}")
    assert stalls_of(log, 3 * SECOND) == [(5 * SECOND, 6 * SECOND)]


def test_an_event_met_a_stall_if_it_was_due_in_it_or_soon_after() -> None:
    stalls = [(5 * SECOND, 6 * SECOND)]
    reach = round(STALL_REACH_S * SECOND)
    dues = (5 * SECOND - 1, 5 * SECOND, 6 * SECOND + reach, 6 * SECOND + reach + 1)
    assert [is_in(due_at(due), stalls) for due in dues] == [False, True, True, False]
