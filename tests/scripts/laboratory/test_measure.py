"""The measurement of real runs, tested with synthetic recordings that have one fault each."""

import json
import struct
from dataclasses import dataclass, field, replace

import pytest
from laboratory.runs import measure
from laboratory.runs.generator import FIRST_NODE
from laboratory.runs.measure import MeasureError, Member, observe
from laboratory.runs.rows import Row
from laboratory.runs.tallying import TalliedNote
from rehearsal.proof.relaylog import LoggedEvent
from rehearsal.rigs.osc import message as osc
from rehearsal.rigs.recording import Recording, parse, timetag_at

START_NS = 1_795_000_000_000_000_000
MS = 1_000_000
AHEAD_MS = 500.0
LEAD_MS = 400.0
STEP_MS = 50
PER_MEMBER = 20
NAMES = ("anna", "ben", "carla")
SLOTS = {"anna": 1, "ben": 2, "carla": 3}
RELEASE_MS = 69.0


@dataclass
class Note:
    """One note of a synthetic run. A test changes it to make a fault.

    handed: member -> (when it came, its timetag), in ms.
    """

    origin: str
    node: int
    at_ms: float
    due_ms: float
    flags: frozenset[str] = frozenset()
    judged: bool = True
    judged_payload: bytes | None = None
    handed: dict[str, tuple[float, float]] = field(default_factory=dict)
    bent: frozenset[str] = frozenset()
    """Members whose scsynth is handed other bytes."""
    twice: frozenset[str] = frozenset()

    def raw(self, base: int = 0, pitch: float = 60.0) -> bytes:
        return osc("/s_new", "sonic-pi-beep", base + self.node, 0, base + 7, "note", pitch + self.node % 12)


def session() -> list[Note]:
    """Return a run without faults. Every member is handed each note 69 ms before its due."""
    notes = []
    for index in range(PER_MEMBER):
        for turn, origin in enumerate(NAMES):
            at_ms = index * STEP_MS + turn * 7.0
            due_ms = at_ms + AHEAD_MS
            handed = dict.fromkeys(NAMES, (due_ms - RELEASE_MS, due_ms))
            notes.append(Note(origin, FIRST_NODE + index, at_ms, due_ms, handed=handed))
    return notes


def recorded(lines: list[tuple[float, float | None, bytes]], dropped: int = 0) -> Recording:
    def text(line: tuple[float, float | None, bytes]) -> str:
        arrived_ms, due_ms, raw = line
        if due_ms is not None:
            tag = timetag_at(START_NS + round(due_ms * MS))
            raw = b"#bundle\0" + struct.pack(">Qi", tag, len(raw)) + raw
        return json.dumps({"t_ns": START_NS + round(arrived_ms * MS), "dir": "to", "hex": raw.hex()})

    return parse([*map(text, sorted(lines)), *([json.dumps({"dropped": dropped})] if dropped else [])])


def members(notes: list[Note], dropped: int = 0) -> list[Member]:
    found = []
    for name in NAMES:
        sent = [(note.at_ms, note.at_ms + AHEAD_MS, note.raw()) for note in notes if note.origin == name]
        handed: list[tuple[float, float | None, bytes]] = [
            # What belongs to the host alone, and an untimed load: never counted.
            (-900.0, -800.0, osc("/s_new", "sonic-pi-basic_mixer", 5, 0, 2)),
            (-700.0, None, osc("/b_allocRead", 4096, "/x.wav", 0, 0)),
        ]
        for note in notes:
            if name in note.handed:
                arrived_ms, due_ms = note.handed[name]
                raw = note.raw(SLOTS[note.origin] << 26, 61.0 if name in note.bent else 60.0)
                handed += [(arrived_ms, due_ms, raw)] * (2 if name in note.twice else 1)
        found.append(Member(name, SLOTS[name], recorded(list(sent)), recorded(handed, dropped)))
    return found


def judged(notes: list[Note]) -> list[LoggedEvent]:
    return [
        LoggedEvent(
            number=number,
            slot=SLOTS[note.origin],
            seq=note.node,
            due=timetag_at(START_NS + round(note.due_ms * MS)),
            kind="TIMED",
            flags=note.flags,
            payload=note.judged_payload or note.raw(),
        )
        for number, note in enumerate((note for note in notes if note.judged), start=1)
    ]


def observed(
    notes: list[Note], lead_ms: float = LEAD_MS, from_ms: float = 0, to_ms: float = 1e4
) -> list[TalliedNote]:
    window = (START_NS + round(from_ms * MS), START_NS + round(to_ms * MS))
    return observe(members(notes), judged(notes), *window, lead_ms=lead_ms)


COUNTED = (
    "divergent",
    "missing",
    "late",
    "out_of_order",
    "different",
    "missed",
    "retimed",
    "moved",
    "unconfirmed",
    "bad",
)


def faults(notes: list[Note], lead_ms: float = LEAD_MS) -> dict[str, float]:
    """Return the measured faults: kind -> count, without counts of 0."""
    found = measure.figures(observed(notes, lead_ms))
    assert found["events"] == len(notes)
    return {name: value for name in COUNTED if (value := found[name])}


def retimed(note: Note, by_ms: float, *holders: str) -> None:
    """Make the relay move a note by by_ms. The members in `holders` play it at its new due."""
    note.flags = frozenset({"RETIMED", "MOVED"})
    note.due_ms += by_ms
    for name in holders:
        note.handed[name] = (note.due_ms - RELEASE_MS, note.due_ms)


def test_a_run_without_fault_has_none_and_its_figures_follow_from_it() -> None:
    found = measure.figures(observed(session()))
    assert {name: found[name] for name in COUNTED} == dict.fromkeys(COUNTED, 0)
    assert found["events"] == 60
    assert found["margin_ms_p01"] == found["margin_ms_p50"] == pytest.approx(RELEASE_MS)
    assert found["spread_us_p99"] == 0
    assert found["clock_error_us_p99"] == 0
    assert found["action_to_sound_ms_p50"] == pytest.approx(AHEAD_MS)
    assert found["action_to_sound_ms_max"] == pytest.approx(AHEAD_MS)
    assert found["in_hand_ms_max"] == pytest.approx(AHEAD_MS - RELEASE_MS)


def test_figures_are_fields_of_a_row() -> None:
    assert set(measure.figures(observed(session()))) <= set(Row.__struct_fields__)


def test_only_what_was_emitted_in_the_window_counts() -> None:
    events = observed(session(), from_ms=100, to_ms=200)
    assert [(event.at_ns - START_NS) / MS for event in events] == [100, 107, 114, 150, 157, 164]


def test_an_event_that_one_member_lacks_is_missing_there() -> None:
    notes = session()
    del notes[10].handed["ben"]
    assert faults(notes) == {"divergent": 1, "missing": 1, "bad": 1}
    assert observed(notes)[10].missing == ("ben",)


def test_an_event_that_all_others_lack_counts_once() -> None:
    notes = session()
    notes[9].handed = {"anna": notes[9].handed["anna"]}
    assert faults(notes) == {"divergent": 1, "missing": 1, "bad": 1}


def test_an_event_that_never_reached_the_relay_is_missing_and_unconfirmed() -> None:
    notes = session()
    notes[9].judged = False
    notes[9].handed = {"anna": notes[9].handed["anna"]}
    assert faults(notes) == {"divergent": 1, "missing": 1, "unconfirmed": 1, "bad": 1}


@pytest.mark.parametrize(("margin_ms", "late"), [(19.9, 1), (20.1, 0), (-5.0, 1)])
def test_late_is_what_has_less_than_20_ms(margin_ms: float, late: int) -> None:
    notes = session()
    notes[10].handed["carla"] = (notes[10].due_ms - margin_ms, notes[10].due_ms)
    assert measure.figures(observed(notes))["late"] == late


def test_other_bytes_at_one_member_are_a_difference_there() -> None:
    notes = session()
    notes[10].bent = frozenset({"carla"})
    assert faults(notes) == {"divergent": 1, "different": 1, "bad": 1}
    assert observed(notes)[10].different == ("carla",)


def test_a_note_handed_over_twice_is_a_difference() -> None:
    notes = session()
    notes[10].twice = frozenset({"ben"})
    assert faults(notes) == {"divergent": 1, "different": 1, "bad": 1}


def test_a_retimed_event_that_all_play_so_is_no_divergence_but_bad() -> None:
    notes = session()
    retimed(notes[-3], 30, *NAMES)
    assert faults(notes) == {"retimed": 1, "bad": 1}
    assert measure.figures(observed(notes))["action_to_sound_ms_max"] == pytest.approx(AHEAD_MS + 30)


def test_an_event_that_missed_its_time_has_no_place_in_the_order_and_its_player_played_it_alone() -> None:
    notes = session()
    late = notes[-3]
    late.flags, late.due_ms = frozenset({"MISSED"}), late.due_ms + 400
    late.handed = {late.origin: late.handed[late.origin]}
    assert faults(notes) == {"divergent": 1, "missing": 1, "missed": 1, "unconfirmed": 1, "bad": 1}


def test_an_origin_that_plays_a_retimed_event_as_stamped_is_unconfirmed_and_spreads_it() -> None:
    notes = session()
    retimed(notes[-3], 30, "ben", "carla")
    # Its place among the others is another too: ben's and carla's next notes are due before.
    assert faults(notes) == {"divergent": 1, "out_of_order": 1, "retimed": 1, "unconfirmed": 1, "bad": 1}
    event = next(event for event in observed(notes) if event.retimed)
    assert event.spread_ns == pytest.approx(30 * MS, abs=2)
    assert event.out_of_order == ("anna",)


def test_an_origin_that_alone_plays_a_moved_event_as_stamped_makes_it_divergent() -> None:
    notes = session()
    # The very last is in its place wherever it is moved to: nothing but its instant is wrong.
    retimed(notes[-1], 30, "anna", "ben")
    assert faults(notes) == {"divergent": 1, "retimed": 1, "unconfirmed": 1, "bad": 1}
    notes[-1].flags = frozenset({"MOVED"})
    assert faults(notes) == {"divergent": 1, "moved": 1, "unconfirmed": 1, "bad": 1}


def test_a_retimed_event_that_all_play_a_hair_later_is_no_divergence() -> None:
    notes = session()
    retimed(notes[-1], 1, *NAMES)
    assert faults(notes) == {"retimed": 1, "bad": 1}


def test_a_late_event_alone_is_not_out_of_order() -> None:
    """An event may be late and still in order: scsynth orders events by timetag, however late they come."""
    notes = session()
    notes[10].handed["carla"] = (notes[10].due_ms + 200, notes[10].due_ms)
    assert faults(notes) == {"divergent": 1, "late": 1, "bad": 1}


def test_a_timetag_behind_the_next_ones_is_out_of_order() -> None:
    notes = session()
    arrived_ms, due_ms = notes[10].handed["carla"]
    notes[10].handed["carla"] = (arrived_ms, due_ms + 8)  # 7 ms are between two notes
    assert faults(notes) == {"divergent": 1, "out_of_order": 1, "bad": 1}


def test_a_moved_event_that_was_not_retimed_is_moved() -> None:
    notes = session()
    retimed(notes[-3], 30, *NAMES)
    notes[-3].flags = frozenset({"MOVED"})
    assert faults(notes) == {"moved": 1, "bad": 1}


def test_what_the_lead_itself_moves_is_not_counted() -> None:
    notes = session()
    for note in notes:
        retimed(note, 200, *NAMES)
        note.flags = frozenset({"MOVED"})
    assert faults(notes, lead_ms=700) == {}
    assert faults(notes, lead_ms=400) == {"moved": 60, "bad": 60}


def test_clock_error_is_the_difference_to_the_relays_clock_and_not_a_fault() -> None:
    notes = session()
    for note in notes:
        arrived_ms, due_ms = note.handed["carla"]
        note.handed["carla"] = (arrived_ms, due_ms + 4)
    found = measure.figures(observed(notes))
    assert found["clock_error_us_p99"] == pytest.approx(4000)
    assert found["spread_us_p50"] == pytest.approx(4000)
    assert found["bad"] == 0


def test_an_event_with_several_faults_is_bad_once() -> None:
    notes = session()
    retimed(notes[-3], 30, *NAMES)
    notes[-3].bent = frozenset({"carla"})
    del notes[-3].handed["ben"]
    assert faults(notes) == {"divergent": 1, "missing": 1, "different": 1, "retimed": 1, "bad": 1}


def test_margins_leave_the_origins_own_events_out() -> None:
    notes = session()
    for note in notes:
        note.handed[note.origin] = (note.due_ms - 300, note.due_ms)
    assert measure.figures(observed(notes))["margin_ms_p50"] == pytest.approx(RELEASE_MS)


def test_emissions_for_the_oracle_count_from_the_emulations_start() -> None:
    events = observed(session()[:1])
    emission = events[0].emission(START_NS - 3_000 * MS)
    assert (emission.origin, emission.at_s, emission.due_s) == ("anna", 3.0, 3.5)
    later = observed(session()[:1], lead_ms=700)[0].emission(START_NS)
    assert later.due_s == pytest.approx(0.7)


def test_recorders_that_lost_something_prove_nothing() -> None:
    with pytest.raises(MeasureError, match="lost datagrams"):
        observe(members(session(), dropped=1), judged(session()), START_NS, START_NS + MS, lead_ms=LEAD_MS)


def test_a_log_that_has_another_note_under_a_number_is_refused() -> None:
    notes = session()
    notes[10].judged_payload = notes[10].raw(pitch=99.0)
    with pytest.raises(MeasureError, match="another note"):
        observed(notes)


def test_an_empty_window_is_refused() -> None:
    with pytest.raises(MeasureError, match="no feeder"):
        observed(session(), from_ms=9_000)


def test_plain_bytes_are_a_sealed_datagram_a_note() -> None:
    notes = session()
    found = measure.plain_bytes(members(notes), START_NS, START_NS + 10_000 * MS)
    # IP and UDP 28, header 14, tag 16, frame 3 + 21, the message.
    assert found == sum(28 + 14 + 16 + 3 + 21 + len(note.raw()) for note in notes)
    assert measure.plain_bytes(members(notes), START_NS, START_NS + 1) == 82 + len(notes[0].raw())


def test_lag_is_how_much_later_than_meant_the_feeder_sent() -> None:
    events = observed(session())
    assert measure.lag_ms(events, AHEAD_MS, 0.5) == pytest.approx(0.0)
    slow = [replace(event, at_ns=event.at_ns + 12 * MS) for event in events]
    assert measure.lag_ms(slow, AHEAD_MS, 0.5) == pytest.approx(12.0)


def test_what_lived_while_the_machine_stood_still_is_left_out_whatever_became_of_it() -> None:
    notes = session()
    del notes[0].handed["ben"]  # due at 500 ms
    events = observed(notes)
    stall = (START_NS + 510 * MS, START_NS + 560 * MS)
    left = measure.undisturbed(events, [stall])
    # Before it: what was due by 510 ms. After it: what was emitted from 810 ms on, with the time to recover.
    assert [(event.base_ns - START_NS) / MS for event in left[:2]] == pytest.approx([500, 507])
    assert [(event.at_ns - START_NS) / MS for event in left[2:]] == [
        *(814, 850, 857, 864, 900, 907, 914, 950, 957, 964)
    ]
    assert measure.figures(left)["missing"] == 1
    assert measure.undisturbed(events, []) == events
    disturbed = [event for event in events if measure.is_disturbed(event, [stall])]
    assert len(disturbed) + len(left) == len(events)
    assert not any(event.bad for event in disturbed)
    early = (START_NS - 400 * MS, START_NS - 100 * MS)
    assert measure.undisturbed(events, [early])[0].at_ns == START_NS + 150 * MS


def test_who_is_cut_off_for_a_while_is_neither_counted_nor_missed_then() -> None:
    notes = session()
    for note in notes:
        if note.origin == "ben" and 200 <= note.at_ms < 300:
            note.handed = {"ben": note.handed["ben"]}
        elif 200 <= note.at_ms < 300:
            del note.handed["ben"]
    whole = observed(notes)
    assert sum(bool(event.missing) for event in whole) == 6
    from_ns, to_ns = START_NS + 200 * MS, START_NS + 300 * MS
    seen = measure.cut_off(whole, "ben", from_ns, to_ns)
    assert not any(event.bad for event in seen)
    # Gone are ben's own that were under way then: those of 500 ms before as well.
    gone = [event for event in whole if event.origin == "ben" and measure.lives_in(event, from_ns, to_ns)]
    assert len(seen) == len(whole) - len(gone)
    assert all(
        set(event.held) == {"anna", "carla"} for event in seen if measure.lives_in(event, from_ns, to_ns)
    )


def test_what_the_others_lack_of_each_other_counts_even_then() -> None:
    notes = session()
    note = next(one for one in notes if one.origin == "anna" and one.at_ms == 200)
    del note.handed["carla"]
    seen = measure.cut_off(observed(notes), "ben", START_NS + 200 * MS, START_NS + 300 * MS)
    assert [event.missing for event in seen if event.bad] == [("carla",)]
