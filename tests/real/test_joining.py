"""A member who joins later hears the others at the same level as they are heard at home.

Members join one after the other, and each sets a volume before the next one joins. Then each plays alone, and
the levels at all sound cards are compared. A plain Sonic Pi plays what the first member plays.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from rehearsal.rigs.jam import Jam
from rehearsal.rigs.performer import Performer
from rehearsal.rigs.stage import Stage

from tests.real.inquiry import nodes_below, scsynth_port

pytestmark = [pytest.mark.real, pytest.mark.unhurried]

NAMES = ("anna", "bob", "cleo", "dave")
VOLUMES = (0.3, 1.6)
"""The members' volumes, in turn. They are far from the default of 1, so a volume that got lost shows."""
APART_S = 3.0
"""Time (s) between one member's boot and the next one's join."""
PLAIN = "plain"
NOTE = "use_synth :tri\nplay 62, amp: 0.4, sustain: 2, release: 0.1"
NOTE_S = 3.0
"""Time (s) for a note: half a second of schedule-ahead, its sound, and its end."""
HEARD_S = (1.2, 2.4)
"""From and until when (s after Run) the note sounds, whatever the lead and however slow the start."""
SETTLE_S = 1.5
SECOND_NS = 1_000_000_000
FAINTEST_DBFS = -50.0
BOOTED = 5
"""Number of nodes that Sonic Pi makes at its start: four groups and the mixer."""


@dataclass(frozen=True, repr=False)
class Party:
    """What was measured at all members.

    levels: player -> listener -> dBFS. nodes: member -> slot -> nodes of that slot in the member's scsynth.
    room: the statistics at the end.
    """

    levels: dict[str, dict[str, float]]
    nodes: dict[str, dict[int, int]]
    room: dict[str, Any]


def volume_of(name: str) -> float:
    return VOLUMES[NAMES.index(name) % len(VOLUMES)]


def hold(jam: Jam, names: tuple[str, ...], *, one_by_one: bool) -> Party:
    """Let members join and set their volumes, then let each play alone; return what was measured.

    one_by_one: each joins after the one before has set its volume.
    """
    stage = jam.stage
    (jam.folder / PLAIN).mkdir()
    plain = stage.add(Performer(PLAIN, len(NAMES), jam.folder / PLAIN, listened=True))
    plain.start()
    for name in names:
        performer = jam.join(name)
        if one_by_one:
            performer.wait_booted()
            performer.run_code(f"set_volume! {volume_of(name)}")
            if name != names[-1]:
                stage.play_for(APART_S)
    for performer in (*jam.performers.values(), plain):
        performer.wait_booted()
    if not one_by_one:
        for name in names:
            jam.performers[name].run_code(f"set_volume! {volume_of(name)}")
    plain.run_code(f"set_volume! {volume_of(names[0])}")
    jam.wait_here(len(names))
    stage.play_for(SETTLE_S)
    nodes = {
        name: {slot: nodes_below(scsynth_port(performer), slot << 26) for slot in range(1, len(names) + 1)}
        for name, performer in jam.performers.items()
    }
    levels = {}
    for name in names:
        listeners = {**jam.performers, **({PLAIN: plain} if name == names[0] else {})}
        from_ns = time.time_ns()
        for player in {name, PLAIN} & listeners.keys():
            listeners[player].run_code(NOTE)
        stage.play_for(NOTE_S)
        span = [from_ns + round(second * SECOND_NS) for second in HEARD_S]
        levels[name] = {who: each.take.level_dbfs(*span) for who, each in listeners.items()}
    return Party(levels, nodes, jam.room())


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((2, True), id="two"),
        pytest.param((3, True), id="three", marks=pytest.mark.exhaustive),
        pytest.param((4, True), id="four", marks=pytest.mark.exhaustive),
        pytest.param((4, False), id="four-at-once", marks=pytest.mark.exhaustive),
    ],
)
def party(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Party]:
    count, one_by_one = request.param
    with Stage() as stage:
        jam = Jam(stage, tmp_path_factory.mktemp("joining"), [], listened=True)
        jam.start_relay()
        yield hold(jam, NAMES[:count], one_by_one=one_by_one)


def test_each_is_heard_by_all_and_by_itself_as_in_plain_sonic_pi(party: Party) -> None:
    for name, heard in party.levels.items():
        assert heard[name] > FAINTEST_DBFS
        assert heard == {who: pytest.approx(heard[name], abs=1.0) for who in heard}, f"{name} plays"
    louder_db = party.levels["bob"]["bob"] - party.levels["anna"]["anna"]
    assert louder_db == pytest.approx(14.5, abs=0.5), "1.6 to 0.3: every volume is its owner's"


def test_every_scsynth_has_what_all_made_at_their_start_and_the_statistics_miss_nothing(party: Party) -> None:
    assert all(count >= BOOTED for counts in party.nodes.values() for count in counts.values()), party.nodes
    wrong = {member["name"]: (member["unfounded"], member["refused"]) for member in party.room["members"]}
    assert wrong == dict.fromkeys(wrong, (0, 0))
