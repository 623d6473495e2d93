"""One event at one member is dropped, swapped, altered or delayed on purpose, and the statistics notice it.

The fault is planted in one bridge (bridge/playout/fault_injection.py), where the relay can't see it. The
statistics must name the event within three seconds. The recorders find the same event on their own.
Afterwards all is the same again.
"""

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rehearsal.proof.compare import Comparison, compare
from rehearsal.rigs.jam import Jam
from rehearsal.rigs.machine import examples
from rehearsal.rigs.performer import Performer
from rehearsal.rigs.stage import Stage

from relay.transports.one_question import ask_stats
from relay.transports.pins import KnownRelays
from relay.wire.endpoint import Endpoint

pytestmark = pytest.mark.real

PARTS = {"anna": "tilburg_2", "bob": "shufflit", "cleo": "acid"}
FAULTY = "bob"
KINDS = {"drop": "missing", "swap": "out of order", "alter": "different", "delay": "late"}
"""Kind of planted fault -> the word with which the statistics must name the fault."""
NOTICED_S = 3.0
CLEAN_S = 4.0


class FaultyJam(Jam):
    """A jam in which a test can make a bridge commit a fault."""

    def _performer(self, name: str, index: int) -> Performer:
        performer = super()._performer(name, index)
        performer.env["JAMBRIDGE_FAULT"] = str(self.fault_file(name))
        return performer

    def fault_file(self, name: str) -> Path:
        return self.folder / f"fault-{name}"

    def plant(self, name: str, kind: str) -> None:
        self.fault_file(name).write_text(kind)
        self.bridge_of(name).send_signal(signal.SIGUSR1)


@dataclass(frozen=True)
class Noticed:
    """What was found after one fault was planted."""

    incidents: list[str]
    after_s: float
    comparison: Comparison
    later_incidents: list[str]
    later: Comparison
    judged: dict[int, dict[str, Any]]

    def names(self) -> set[str]:
        """Return the events in the incidents, named as the recorders do: "address slot:id"."""
        found = set()
        for incident in self.incidents:
            event = self.judged[int(incident.split("#", 1)[1].split()[0])]
            node = int(incident.split()[-3])
            found.add(f"/s_new {event['slot']}:{node}")
        return found


@pytest.fixture(scope="module")
def noticed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Noticed]]:
    """Play one jam and plant the four faults in turn; yield what was found, by kind of fault."""
    folder = tmp_path_factory.mktemp("notices")
    with Stage() as stage:
        jam = FaultyJam(stage, folder, list(PARTS), event_log=folder / "events.jsonl")
        jam.start_relay()
        jam.boot()
        for name, part in PARTS.items():
            jam.performers[name].run_file(examples()[part])
        stage.play_for(6.0)
        yield {kind: _plant(jam, kind) for kind in KINDS}


def _plant(jam: FaultyJam, kind: str) -> Noticed:
    before = jam.room()["incidents"]
    from_ns = time.time_ns()
    started_s = time.monotonic()
    jam.plant(FAULTY, kind)
    incidents: list[str] = []
    while not incidents and time.monotonic() - started_s < 2 * NOTICED_S:
        jam.stage.play_for(0.05)
        incidents = _new(before, _incidents(jam))
    after_s = time.monotonic() - started_s
    jam.stage.play_for(1.0)  # what else that second brings
    incidents = _new(before, jam.room()["incidents"])
    until_ns = time.time_ns()
    jam.stage.play_for(CLEAN_S)
    read_ns = time.time_ns()  # comparing takes seconds, in which the recordings that were read don't grow
    recordings = jam.recordings()
    assert jam.event_log is not None
    return Noticed(
        incidents,
        after_s,
        compare(recordings, from_ns, until_ns),
        _new([*before, *incidents], jam.room()["incidents"]),
        compare(recordings, until_ns, read_ns - 1_000_000_000),
        {event["number"]: event for event in map(json.loads, jam.event_log.read_text().splitlines())},
    )


def _incidents(jam: FaultyJam) -> list[str]:
    """Return the incidents in the room's statistics.

    It asks within this process, since starting `jamrelay stats` would take half a second.
    """
    pins = KnownRelays(jam.folder / "pins")
    stats = asyncio.run(ask_stats(Endpoint("localhost", jam.port), pins))
    return stats.rooms[0].incidents


def _new(before: list[str], now: list[str]) -> list[str]:
    return [line for line in now if line not in before]


@pytest.mark.parametrize("kind", KINDS)
def test_statistics_name_a_planted_fault_within_three_seconds(noticed: dict[str, Noticed], kind: str) -> None:
    found = noticed[kind]
    assert found.incidents, "nothing was noticed"
    assert all(f" at {FAULTY}: #" in line for line in found.incidents), found.incidents
    assert any(line.startswith(f"{KINDS[kind]} at") for line in found.incidents), found.incidents
    # A swap concerns two events; what is delayed is late, and out of order with it. Nothing else is named.
    assert len(found.names()) <= (2 if kind == "swap" else 1), found.incidents
    assert found.after_s < NOTICED_S
    print(f"{kind}: noticed after {found.after_s:.2f} s: {found.incidents[0]}")


@pytest.mark.parametrize("kind", KINDS)
def test_recorders_name_the_same_event_at_the_same_member(noticed: dict[str, Noticed], kind: str) -> None:
    found = noticed[kind]
    faults = found.comparison.members[FAULTY].faults
    named = {what: {" ".join(event.name.split()[:2]) for event in events} for what, events in faults.items()}
    if kind == "swap":
        # Two events trade places; if they are further apart than the clocks' bound, the recorders see that
        # neither has its own timetag.
        anything = set().union(*named.values())
        assert found.names() <= anything, found.comparison.report()
        assert len(anything) <= 2, found.comparison.report()
    else:
        # A delayed one is out of order as well, and of two with one timetag either may be said to be that.
        assert named[KINDS[kind]] == found.names(), found.comparison.report()
        others = [what for what in named if named[what] and what not in (KINDS[kind], "out of order")]
        assert others == [], found.comparison.report()
    assert not any(
        events
        for name, result in found.comparison.members.items()
        if name != FAULTY
        for events in result.faults.values()
    ), found.comparison.report()


@pytest.mark.parametrize("kind", KINDS)
def test_all_is_clean_again_afterwards(noticed: dict[str, Noticed], kind: str) -> None:
    found = noticed[kind]
    assert found.later_incidents == []
    assert found.later.coherent, found.later.report()
