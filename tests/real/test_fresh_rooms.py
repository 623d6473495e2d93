"""The first bar in a fresh room on a bad network: two genuine Sonic Pis play the same from the start.

Each datagram of the members is delayed by 50 +- 10 ms each way, and one in ten is lost. The relay tunes lead
and shift. The music begins as soon as both have booted. Recorders compare what the scsynths were handed, from
the first event on. On such a network the clocks differ by some ms, which moves all events of a member alike.
So each event is compared with the usual difference at that time.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest
from rehearsal.proof.compare import Comparison, compare
from rehearsal.proof.matching import MatchedEvent
from rehearsal.rigs.jam import Jam
from rehearsal.rigs.stage import Stage

pytestmark = pytest.mark.real

NETWORK = "delay=50,jitter=10,loss=10%"
CLOCKS_MS = 20.0
"""Greatest difference (ms) between the members' clocks. Owing to jitter each may be off by 10 ms."""
APART_MS = 3.0
"""If an event's dues differ by this much (ms) more than its neighbours' do, it was moved for one member."""
NEIGHBOURS = 20
SECONDS = 15.0
TAIL_S = 3.0
ROOMS = 10
NAMES = ("ada", "bob")
MUSIC = """
use_bpm 120
live_loop :notes do
  use_synth :beep
  with_fx :echo, mix: 0.2 do
    8.times do
      play scale(60, :minor_pentatonic).choose, release: 0.1
      sleep 0.25
    end
  end
end
live_loop :drums do
  n = sample :bd_haus, rate: 0.9
  control n, amp: 0.5
  sleep 0.5
end
"""


@dataclass(frozen=True, repr=False)
class Fresh:
    """What was found in one fresh room."""

    compared: Comparison
    torn: Sequence[str]
    """Events that the two members were handed for different instants."""
    lead_ms: float
    shift_ms: float
    unconfirmed: int
    retimed: int


def play(folder: Path) -> Fresh:
    """Let two members play in a new room, and compare what their scsynths were handed."""
    with Stage() as stage:
        jam = Jam(stage, folder, NAMES, self_tuned=True, impair=NETWORK)
        jam.start_relay()
        jam.boot()
        from_ns = time.time_ns()
        for name in NAMES:
            jam.performers[name].run_code(MUSIC)
        stage.play_for(SECONDS + TAIL_S)
        room, members = jam.room(), jam.members()
        recordings = jam.recordings()
    to_ns = from_ns + round(SECONDS * 1e9)
    compared = compare(recordings, from_ns, to_ns, clock_bound_ms=CLOCKS_MS)
    return Fresh(
        compared,
        torn(compared),
        room["lead_ms"],
        room["shift_ms"],
        sum(member["unconfirmed"] for member in members.values()),
        sum(member["retimed"] for member in members.values()),
    )


def torn(compared: Comparison) -> list[str]:
    """Return the events whose two dues differ by more than is usual among their neighbours."""
    events = [margin.event for margin in compared.members[NAMES[0]].margins if len(margin.event.held) == 2]
    apart_ms = [_apart_ms(event) for event in events]
    found = []
    for at, (event, off_ms) in enumerate(zip(events, apart_ms, strict=True)):
        usual_ms = median(apart_ms[max(0, at - NEIGHBOURS) : at + NEIGHBOURS + 1])
        if abs(off_ms - usual_ms) > APART_MS:
            found.append(f"{event.name}: {off_ms - usual_ms:+.1f} ms")
    return found


def _apart_ms(event: MatchedEvent) -> float:
    first, second = (event.held[name].due_ns for name in NAMES)
    return (first - second) / 1e6


def check(fresh: Fresh) -> None:
    print(fresh.compared.report(), *fresh.torn, sep="\n")
    print(
        f"lead {fresh.lead_ms:.0f} ms, shift {fresh.shift_ms:.0f} ms, unconfirmed {fresh.unconfirmed}, "
        f"re-timed {fresh.retimed}"
    )
    assert fresh.compared.coherent, fresh.compared.report()
    assert fresh.compared.events > 10 * SECONDS
    assert fresh.torn == []
    assert fresh.shift_ms == 0.0, "no note is moved for it"


def test_in_a_fresh_room_at_100_ms_and_10_percent_loss_no_event_differs_from_the_first_on(
    tmp_path: Path,
) -> None:
    check(play(tmp_path))


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", range(2, ROOMS + 1))
def test_nor_does_one_in_nine_more_fresh_rooms(number: int, tmp_path: Path) -> None:
    check(play(tmp_path))
