"""A member who joins late: the music that its bridge built, and later messages, are matched with the log.

Recordings and logs are synthetic. Ada is in slot 1 and was there first. Bo is in slot 2. The session's time
isn't the recorder's: they are APART_NS apart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from rehearsal.proof.logmatch import Match, match
from rehearsal.proof.prove import prove, score
from rehearsal.proof.relaylog import LEFT, RESET, RESOURCE, SILENCED, TIMED, UNTIMED, LoggedEvent
from rehearsal.rigs.osc import message as osc

from tests.worlds.relayed import MS, START_NS, Line, at, built, host_lines, recording

APART_NS = 777_123_456
ADA, BO = 1, 2
Message = Callable[[int], bytes]
"""A function from a slot to a message with that slot's ids. For slot 0 the message has the ids of the owner's
Sonic Pi."""


def group(own: int, action: int, target: int) -> Message:
    return lambda slot: osc("/g_new", node(slot, own), action, node(slot, target))


def synth(name: str, own: int, action: int, target: int, *controls: object) -> Message:
    def of(slot: int) -> bytes:
        bus = () if slot == 0 else ("out_bus", 128.0 + 1120 * slot)
        place = (node(slot, own), action, node(slot, target))
        return osc("/s_new", f"sonic-pi-{name}", *place, *controls, *bus)  # type: ignore[arg-type]

    return of


def setting(own: int, *controls: object) -> Message:
    return lambda slot: osc("/n_set", node(slot, own), *controls)  # type: ignore[arg-type]


def free(own: int) -> Message:
    return lambda slot: osc("/n_free", node(slot, own))


def load(name: str) -> Message:
    return lambda slot: osc("/b_allocRead", slot * 4096 + 3, f"/x/samples/{name}.wav", 0, 0)


def node(slot: int, own: int) -> int:
    return (slot << 26) + own


@dataclass
class Room:
    """A room's log, and what was handed over for each of its events."""

    log: list[LoggedEvent] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    def add(self, slot: int, ms: float, message: Message | None, kind: str = UNTIMED, *flags: str) -> None:
        number = len(self.log) + 1
        own = b"" if message is None else message(0)
        event = LoggedEvent(number, slot, number, at(ms), kind, frozenset(flags), own)
        self.log.append(event)
        raw = osc("/g_freeAll", slot << 26) if message is None else message(slot)
        due_ns = START_NS + APART_NS + round(ms * MS) + (100 * MS if SILENCED in flags else 0)
        self.lines.append((None if kind == RESOURCE else due_ns, raw))

    def boot(self, slot: int, ms: float) -> None:
        self.add(slot, ms, None, RESET)
        self.add(slot, ms + 10, group(2, 0, 0))
        self.add(slot, ms + 20, group(4, 3, 2))
        self.add(slot, ms + 30, synth("mixer", 5, 0, 2, "amp", 1.0))
        self.add(slot, ms + 40, load("amen"), RESOURCE)

    def handed(self, *, after: float = 0, slot: int = ADA) -> list[Line]:
        """Return the lines without those of a slot that are due at or before `after` (ms)."""
        kept = zip(self.log, self.lines, strict=True)
        return [
            line
            for event, line in kept
            if event.slot != slot or event.due > at(after) or event.kind == RESOURCE
        ]


def music() -> Room:
    """Return a room in which Ada boots, sets her volume and plays a loop with an FX. Then Bo boots and plays
    a note. At 2000 ms the loop's FX 21 sounds, and note 31 in it."""
    room = Room()
    room.boot(ADA, 100)
    room.add(ADA, 500, setting(5, "amp", 0.25))
    room.add(ADA, 1000, group(20, 1, 4))
    room.add(ADA, 1000, synth("fx_reverb", 21, 1, 20, "mix", 0.5))
    room.add(ADA, 1100, synth("tri", 30, 0, 20, "note", 60.0), TIMED)
    room.add(ADA, 1200, setting(21, "mix", 0.75))
    room.add(ADA, 1300, synth("fx_echo", 22, 0, 20, "phase", 0.5))
    room.add(ADA, 1400, free(22))
    room.add(ADA, 1500, synth("tri", 31, 0, 20, "note", 62.0, "sustain", 8.0), TIMED)
    room.boot(BO, 1600)
    room.add(ADA, 2000, setting(21, "mix", 0.5))
    room.add(ADA, 2250, synth("tri", 32, 0, 20, "note", 64.0), TIMED)
    room.add(BO, 2250, synth("tri", 30, 0, 4, "note", 50.0), TIMED)
    room.add(ADA, 2500, free(20))
    return room


T_MS = 2100.0
T_NS = START_NS + APART_NS + round(T_MS * MS)
MADE = [
    group(2, 0, 0),
    synth("mixer", 5, 1, 2, "amp", 1.0),
    setting(5, "amp", 0.25),
    group(4, 3, 2),
    group(20, 1, 4),
    synth("tri", 31, 1, 20, "note", 62.0, "sustain", 8.0, "attack", 0.005, "sustain", 7.5),
    synth("fx_reverb", 21, 1, 20, "mix", 0.5),
    setting(21, "mix", 0.5),
]
"""What must be built of Ada's music at T."""


def builds(made: Sequence[Message] = MADE, t_ns: int = T_NS) -> list[Line]:
    return [built(ADA, t_ns, *(message(ADA) for message in made))]


def bo(lines: Sequence[Line], room: Room | None = None) -> Match:
    return match("bo", BO, recording([*host_lines(), *lines]), (room or music()).log, [ADA, BO])


def test_who_came_in_mid_music_is_handed_what_is_due_after_t_and_the_rest_is_built() -> None:
    found = bo([*builds(), *music().handed(after=T_MS)])
    assert found.mismatch is None
    assert (found.covered, found.came_late, found.is_whole) == (13, True, False)
    assert [event.number for event, _ in found.pairs if event.slot == ADA] == [5, 20, 22]


def test_an_event_after_t_that_is_not_handed_over_is_named() -> None:
    found = bo([*builds(), *music().handed(after=2300)])
    assert "missing: #20 /s_new 1:32" in (found.mismatch or "")


def test_an_event_before_t_that_is_handed_over_all_the_same_is_named() -> None:
    found = bo([*builds(), *music().handed(after=1900)])
    assert "extra: /n_set 1:21" in (found.mismatch or "")


def test_an_event_within_a_millisecond_of_t_may_be_on_either_side() -> None:
    room = music()
    at_due = builds(t_ns=START_NS + APART_NS + 2000 * MS + 400_000)
    assert bo([*at_due, *room.handed(after=2001)]).mismatch is None
    earlier = builds(instead(7, setting(21, "mix", 0.75)), START_NS + APART_NS + 2000 * MS - 400_000)
    assert bo([*earlier, *room.handed(after=1999)]).mismatch is None
    assert bo([*at_due, *room.handed(after=1999)]).mismatch is not None, "built and handed over"
    later = builds(instead(7, setting(21, "mix", 0.75)), START_NS + APART_NS + 2000 * MS + 400_000)
    assert bo([*later, *room.handed(after=1999)]).mismatch is None


def without(at: int) -> list[Message]:
    return [message for index, message in enumerate(MADE) if index != at]


def instead(at: int, *messages: Message) -> list[Message]:
    return [*MADE[:at], *messages, *MADE[at + 1 :]]


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (without(6), "built nothing, expected sonic-pi-fx_reverb 21 in 20"),
        (without(1), "built group 4 in 0, expected sonic-pi-mixer 5 in 2"),
        (without(2), "sonic-pi-mixer 5 in 2 with amp 1.0, expected 0.25"),
        (instead(7, setting(21, "mix", 0.75)), "sonic-pi-fx_reverb 21 in 20 with mix 0.75, expected 0.5"),
        ([*MADE, synth("fx_echo", 22, 1, 20, "phase", 0.5)], "built sonic-pi-fx_echo 22 in 20, expected no"),
        (instead(3, group(4, 2, 2)), "built group 4 in 0, expected group 2 in 0"),
        (instead(4, group(20, 1, 2)), "built group 20 in 2, expected"),
        (instead(6, synth("fx_level", 21, 1, 20, "mix", 0.5)), "fx_level 21 in 20, expected sonic-pi-fx_rev"),
        (instead(7, setting(21, "mix", 0.5, "room", 1.0)), "room that nobody has set"),
        (instead(7, setting(21, "mix", 0.5, "release", 1.0)), "release that nobody has set"),
        ([*MADE[:6], synth("fx_reverb", 21, 1, 20)], "mix left out"),
        (instead(6, synth("fx_reverb", 21, 1, 20)), None),
        (instead(5, synth("tri", 33, 1, 20, "note", 62.0)), "built sonic-pi-tri 33 in 20, which isn't there"),
        (instead(5, synth("tri", 31, 1, 4, "note", 62.0)), "built sonic-pi-tri 31 in 4, which isn't there"),
        (instead(5, synth("tri", 31, 1, 20, "note", 63.0)), "tri 31 in 20 with note 63.0, expected 62.0"),
        ([*MADE, lambda slot: osc("/n_run", node(slot, 21), 0)], "21 in 20, paused on one side only"),
        (without(5), None),
    ],
)  # fmt: skip
def test_a_build_that_is_not_the_log_is_named(made: Sequence[Message], why: str | None) -> None:
    found = bo([*builds(made), *music().handed(after=T_MS)]).mismatch
    if why is None:  # a note may have ended, and a value may be set at once or a moment later
        assert found is None
    else:
        assert why in (found or "")
        assert "slot 1 at T: " in (found or "")


def test_a_bus_of_another_slot_in_a_build_is_named() -> None:
    alien = builds()[0][1].replace(osc("", "", 128.0 + 1120)[-4:], osc("", "", 128.0 + 2240)[-4:], 1)
    found = bo([(None, alien), *music().handed(after=T_MS)]).mismatch
    assert "out_bus: bus 2368 isn't 0 of slot 1" in (found or "")


def test_what_is_built_in_several_bundles_is_one_build() -> None:
    parts = [*builds(MADE[:3]), *builds(MADE[3:])]
    assert bo([*parts, *music().handed(after=T_MS)]).mismatch is None


def test_who_builds_nothing_must_be_handed_everything() -> None:
    assert bo(music().lines).mismatch is None
    assert bo(music().handed(after=T_MS)).mismatch is not None
    assert "built nothing" in (bo([*builds([]), *music().handed(after=T_MS)]).mismatch or "")


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (builds(MADE[:1], T_NS + 300 * MS), "slot 1: built once more: /g_new 1:2"),
        ([built(BO, T_NS)], "slot 2: the member's own music was built"),
        ([(None, builds()[0][1].replace(builds()[0][1][8:16], bytes(7) + b"\1"))], "had to be mended"),
        ([(None, builds()[0][1].replace(b"/g_new", b"/p_new", 1))], "doesn't name its slot"),
    ],
)
def test_what_is_built_beside_the_first_build_is_named(more: list[Line], why: str) -> None:
    assert why in (bo([*builds(), *music().handed(after=T_MS), *more]).mismatch or "")


def test_a_second_build_that_changes_nothing_is_no_fault() -> None:
    assert bo([*builds(), *music().handed(after=T_MS), *builds([], T_NS + 300 * MS)]).mismatch is None


def loading() -> Room:
    room = music()
    room.add(ADA, 1650, lambda slot: osc("/b_free", slot * 4096 + 3))
    room.add(ADA, 1700, load("bd_haus"), RESOURCE)
    room.add(ADA, 2700, load("snare"), RESOURCE)
    return room


def test_of_a_buffer_that_was_loaded_before_t_the_last_load_is_enough() -> None:
    room, first = loading(), load("amen")(ADA)
    lines = [*builds(), *room.handed(after=T_MS)]
    assert bo(lines, room).mismatch is None
    assert bo([line for line in lines if line[1] != first], room).mismatch is None
    for name in ("bd_haus", "snare"):
        lacking = [line for line in lines if line[1] not in (first, load(name)(ADA))]
        assert bo(lacking, room).mismatch is not None, name


def test_a_buffer_that_is_freed_before_t_need_not_be_loaded() -> None:
    room = music()
    room.add(ADA, 1800, lambda slot: osc("/b_free", slot * 4096 + 3))
    lines = [line for line in room.handed(after=T_MS) if line[1] != load("amen")(ADA)]
    assert bo([*builds(), *lines], room).mismatch is None
    assert bo([*builds(), *lines]).mismatch is not None, "loaded and not freed"


def test_only_what_sonic_pi_makes_at_its_start_was_built_so_the_recording_is_whole_and_rendered() -> None:
    room = Room()
    room.boot(ADA, 100)
    room.boot(BO, 300)
    room.add(ADA, 1000, synth("tri", 30, 0, 4, "note", 60.0), TIMED)
    room.add(BO, 1000, synth("tri", 30, 0, 4, "note", 50.0), TIMED)
    lines = [built(ADA, START_NS + APART_NS + 250 * MS, *(m(ADA) for m in (MADE[0], MADE[1], MADE[3])))]
    found = bo([*lines, *room.handed(after=250)], room)
    assert (found.mismatch, found.covered, found.is_whole) == (None, 4, True)
    times = [at_s for at_s, _ in score(found, room.log, [ADA, BO])]
    assert times == sorted(times)
    made = [(at_s, raw) for at_s, raw in score(found, room.log, [ADA, BO]) if raw == MADE[1](ADA)]
    assert made == [(pytest.approx(0.03), MADE[1](ADA))]


def test_two_who_were_there_for_the_whole_music_are_enough_for_a_proof_and_one_is_not() -> None:
    room = music()
    recordings = {
        "ada": recording([*host_lines(), *room.lines]),
        "bo": recording([*host_lines(), *builds(), *room.handed(after=T_MS)]),
    }
    found = prove(recordings, {"ada": ADA, "bo": BO}, room.log, lambda *_: ("0" * 64, [-9.0] * 3), Path())
    assert found.troubles == ["no two members were there for the whole music: no two renders can be compared"]
    assert (found.members["ada"].sha256, found.members["bo"].sha256) == ("0" * 64, None)


def returning() -> Room:
    """Return a room in which Bo leaves while Ada plays, and comes back to his slot."""
    room = music()
    room.add(BO, 3300, None, RESET, SILENCED, LEFT)
    room.add(ADA, 3500, synth("tri", 40, 0, 4, "note", 65.0), TIMED)
    room.boot(BO, 4500)
    room.add(BO, 5000, synth("tri", 30, 0, 4, "note", 50.0), TIMED)
    room.add(ADA, 5100, setting(5, "amp", 0.5))
    return room


def freed_places() -> list[Line]:
    return [(None, osc("/b_free", 2 * 4096 + 3)), (None, osc("/n_free", 2 << 26)), (None, osc("/n_free", 66))]


def test_of_a_slot_with_two_owners_one_who_was_always_there_is_handed_everything() -> None:
    room = returning()
    lines = [*host_lines(), *room.lines, *freed_places(), *host_lines()[4:]]
    found = match("ada", ADA, recording(lines), room.log, [ADA, BO])
    assert (found.mismatch, found.is_whole) == (None, True)
    lacking = [line for line in lines if line[1] != synth("tri", 30, 0, 4, "note", 50.0)(BO)]
    assert match("ada", ADA, recording(lacking), room.log, [ADA, BO]).mismatch is not None


def test_who_comes_back_to_a_slot_is_handed_nothing_of_its_former_owner() -> None:
    room = returning()
    t_ns = START_NS + APART_NS + 4600 * MS
    made = MADE[:4]
    since = [line for event, line in zip(room.log, room.lines, strict=True) if event.due > at(4400)]
    lines = [built(ADA, t_ns, *(message(ADA) for message in made)), (None, load("amen")(ADA)), *since]
    assert bo(lines, room).mismatch is None
    assert bo([*lines, *room.lines[12:14]], room).mismatch is not None
    again = [*music().handed(after=T_MS)]
    assert bo([*lines, *again], room).mismatch is not None


def test_who_has_left_is_matched_until_a_second_before() -> None:
    room = returning()

    def left(lines: Sequence[Line]) -> Match:
        whole = recording([*host_lines(), *builds(), *lines])
        return match("bo", BO, whole, room.log, [ADA, BO], owner=0)

    lines = music().handed(after=T_MS)
    found = left(lines)
    assert (found.mismatch, found.left, found.is_whole) == (None, True, False)
    assert left(lines[:-1]).mismatch is None
    always = match("bo", BO, recording([*host_lines(), *music().lines]), room.log, [ADA, BO], owner=0)
    assert (always.mismatch, always.is_whole) == (None, False)
    assert (
        left([line for line in lines if line[1] != synth("tri", 30, 0, 4, "note", 50.0)(BO)]).mismatch
        is not None
    )


def test_a_buffer_of_a_former_owner_is_not_loaded_by_who_comes_later() -> None:
    room = Room()
    room.boot(ADA, -900)
    room.add(
        ADA, -700, lambda slot: osc("/b_allocRead", slot * 4096 + 9, "/x/samples/gone.wav", 0, 0), RESOURCE
    )
    room.add(ADA, -600, None, RESET, SILENCED, LEFT)
    since = len(room.log)
    for event, line in zip(music().log, music().lines, strict=True):
        room.log.append(replace(event, number=event.number + since, seq=event.seq + since))
        room.lines.append(line)
    lines = [*builds(), *music().handed(after=T_MS)]
    assert bo(lines, room).mismatch is None
    assert "extra" in (bo([*lines, room.lines[5]], room).mismatch or "")
