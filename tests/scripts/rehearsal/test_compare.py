"""The comparison of recordings that proves a jam coherent, tested with synthetic faulty recordings."""

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rehearsal.demo.picture import draw
from rehearsal.proof.compare import Comparison, compare
from rehearsal.proof.matching import not_in_order
from rehearsal.proof.slots import slot_of
from rehearsal.rigs.recording import Recording, parse, parse_message, timetag_at, unix_ns, walk

START_NS = 1_795_000_000_000_000_000
MS = 1_000_000
EVENTS = 60
STEP_NS = 125 * MS
WINDOW = (START_NS, START_NS + EVENTS * STEP_NS)
NAMES = ("ada", "bo", "cyd")

# One line of a recording before it is written: (arrival ns, timetag ns or None, message).
Line = tuple[int, int | None, bytes]


def osc(address: str, *args: int | float | str) -> bytes:
    def padded(text: str) -> bytes:
        raw = text.encode() + b"\0"
        return raw + b"\0" * (-len(raw) % 4)

    tags, values = ",", b""
    for arg in args:
        tags += {int: "i", float: "f", str: "s"}[type(arg)]
        values += (
            padded(arg) if isinstance(arg, str) else struct.pack(">i" if type(arg) is int else ">f", arg)
        )
    return padded(address) + padded(tags) + values


def bundle(due_ns: int, *messages: bytes) -> bytes:
    elements = b"".join(struct.pack(">i", len(raw)) + raw for raw in messages)
    return b"#bundle\0" + struct.pack(">Q", timetag_at(due_ns)) + elements


def note(number: int, slot: int = 1) -> bytes:
    node = (slot << 26) + number
    return osc("/s_new", "sonic-pi-beep", node, 1, (slot << 26) + 8, "note", 60.0 + number % 12)


def session() -> list[Line]:
    """Return a recording of notes by two slots and one buffer load.

    Each timetag has two notes. Each note is handed over 200 ms before its timetag.
    """
    lines: list[Line] = [(START_NS, None, osc("/b_allocRead", 4096 + 3, "/usr/samples/bd_haus.flac", 0, 0))]
    for number in range(EVENTS):
        due_ns = START_NS + number // 2 * 2 * STEP_NS
        lines.append((due_ns - 200 * MS + number, due_ns, note(number, slot=1 + number % 2)))
    return lines


def recording(lines: list[Line], *extra: dict[str, object]) -> Recording:
    entries: list[dict[str, object]] = [{"meta": {"scsynth_port": 57110}}]
    for t_ns, due_ns, raw in lines:
        datagram = raw if due_ns is None else bundle(due_ns, raw)
        entries.append({"t_ns": t_ns, "dir": "to", "hex": datagram.hex()})
    return parse(json.dumps(entry) for entry in [*entries, *extra])


def jam(cyd: list[Line], **options: float) -> Comparison:
    lines = {"ada": session(), "bo": session(), "cyd": cyd}
    return compare({name: recording(own) for name, own in lines.items()}, *WINDOW, **options)


def faults(result: Comparison, member: str) -> dict[str, list[str]]:
    return {
        kind: [event.name for event in events]
        for kind, events in result.members[member].faults.items()
        if events
    }


def assert_only_cyd(result: Comparison, expected: dict[str, list[str]]) -> None:
    assert {member: faults(result, member) for member in NAMES} == {"ada": {}, "bo": {}, "cyd": expected}
    assert not result.coherent


def test_equal_recordings_are_coherent_and_every_event_counts_once() -> None:
    result = jam(session())
    assert result.coherent
    assert (result.timed, result.bare, result.divergence) == (EVENTS, 1, 0.0)
    assert result.members["cyd"].margin_ms_p50 == pytest.approx(200, abs=0.001)
    assert result.timetag_spread_us == 0


def test_a_dropped_event_is_missing_at_that_member_by_name() -> None:
    lines = session()
    del lines[11]  # note 10
    result = jam(lines)
    assert_only_cyd(result, {"missing": ["/s_new 1:10 sonic-pi-beep"]})
    assert result.divergence == pytest.approx(1 / (EVENTS + 1))


def test_two_swapped_events_of_one_timetag_are_one_event_out_of_order() -> None:
    lines = session()
    lines[21], lines[22] = lines[22], lines[21]  # notes 20 and 21, due at the same instant
    result = jam(lines)
    moved = faults(result, "cyd").pop("out of order")
    assert moved in (["/s_new 1:20 sonic-pi-beep"], ["/s_new 2:21 sonic-pi-beep"])
    assert_only_cyd(result, {"out of order": moved})


def test_two_events_that_arrive_swapped_but_in_time_are_in_scsynths_order() -> None:
    lines = session()
    lines[20], lines[21] = lines[21], lines[20]  # notes 19 and 20: different timetags
    assert jam(lines).coherent


def test_one_altered_byte_is_a_difference_at_the_member_outnumbered() -> None:
    lines = session()
    t_ns, due_ns, raw = lines[31]
    lines[31] = (t_ns, due_ns, raw[:-1] + bytes([raw[-1] ^ 1]))
    assert_only_cyd(jam(lines), {"different": ["/s_new 1:30 sonic-pi-beep"]})


def test_an_altered_node_id_is_missing_here_and_foreign_to_the_others() -> None:
    lines = session()
    lines[31] = (*lines[31][:2], note(999))
    result = jam(lines)
    assert faults(result, "cyd") == {"missing": ["/s_new 1:30 sonic-pi-beep"]}
    assert faults(result, "ada") == faults(result, "bo") == {"missing": ["/s_new 1:999 sonic-pi-beep"]}


def test_a_delayed_event_is_late_by_the_kernels_clock_and_by_name() -> None:
    lines = session()
    t_ns, due_ns, raw = lines[41]
    lines[41] = (t_ns + 185 * MS, due_ns, raw)  # 15 ms early: less than the 20 that scsynth needs
    result = jam(lines)
    assert_only_cyd(result, {"late": ["/s_new 1:40 sonic-pi-beep"]})
    assert result.members["cyd"].margin_ms_min == pytest.approx(15, abs=0.001)
    assert jam(lines, needed_ms=10).coherent


def test_a_timetag_beyond_the_clock_bound_is_mistimed() -> None:
    lines = session()
    t_ns, due_ns, raw = lines[51]
    assert due_ns is not None
    lines[51] = (t_ns, due_ns + 7 * MS, raw)
    result = jam(lines)
    assert faults(result, "cyd")["mistimed"] == ["/s_new 1:50 sonic-pi-beep"]
    assert result.timetag_spread_us == pytest.approx(7000)


def test_timetags_within_the_clock_bound_are_the_same_event_even_at_the_windows_edge() -> None:
    lines = [(t, due and due - 300_000, raw) for t, due, raw in session()]
    result = jam(lines)
    # The two events of the first instant are now due 0.3 ms before the window at one member.
    assert (result.timed, result.coherent) == (EVENTS - 2, True)
    assert result.timetag_spread_us == pytest.approx(300)


def test_a_creation_played_as_stamped_while_others_retimed_it_is_one_mistimed_event() -> None:
    lines = session()
    t_ns, due_ns, raw = lines[51]
    assert due_ns is not None
    lines[51] = (t_ns, due_ns - 150 * MS, raw)
    assert faults(jam(lines), "cyd")["mistimed"] == ["/s_new 1:50 sonic-pi-beep"]


def set_amp(at_ms: int, value: float = 0.5) -> Line:
    due_ns = START_NS + at_ms * MS
    return (due_ns - 100 * MS, due_ns, osc("/n_set", (1 << 26) + 8, "amp", value))


@pytest.mark.parametrize("gone", range(4))
def test_of_identical_messages_the_one_that_is_gone_is_missing(gone: int) -> None:
    lines = [set_amp(at_ms) for at_ms in (1000, 1125, 1250, 1375)]
    result = compare({"ada": recording(lines), "bo": recording(lines[:gone] + lines[gone + 1 :])}, *WINDOW)
    assert result.timed == 4
    assert [event.due_ns for event in result.members["bo"].missing] == [lines[gone][1]]
    assert result.timetag_spread_us == 0


def test_identical_messages_of_one_instant_are_as_many_events() -> None:
    lines = [set_amp(1000), set_amp(1000), set_amp(1000)]
    both = {"ada": recording(lines), "bo": recording(lines[:2])}
    assert compare(both, *WINDOW).timed == 3
    assert len(compare(both, *WINDOW).members["bo"].missing) == 1
    assert compare({"ada": recording(lines), "bo": recording(lines)}, *WINDOW).coherent


def test_two_misses_at_two_members_are_never_taken_for_one_event() -> None:
    lines = [set_amp(at_ms) for at_ms in (1000, 1125, 1250)]
    result = compare({"ada": recording(lines[1:]), "bo": recording(lines[:-1])}, *WINDOW)
    assert (len(result.members["ada"].missing), len(result.members["bo"].missing)) == (1, 1)
    assert result.diverging == 2


def test_host_local_messages_are_left_out() -> None:
    lines = [*session(), set_amp(500)]
    lines[-1] = (*lines[-1][:2], osc("/n_set", 901, "amp", 0.1))
    lines.append((START_NS + MS, None, osc("/b_alloc", 4000, 131072, 2)))
    assert jam(lines).coherent


def test_loads_are_compared_by_file_name_and_a_missing_one_is_named() -> None:
    lines = session()
    load = osc("/b_allocRead", 4096 + 3, "/home/cyd/cache/bd_haus.flac", 0, 0)
    lines[0] = (lines[0][0] + 40 * MS, None, load)
    assert jam(lines).coherent
    assert_only_cyd(jam(lines[1:]), {"missing": ["/b_allocRead 1:3"]})
    lines[0] = (lines[0][0], None, osc("/b_allocRead", 4096 + 3, "/home/cyd/cache/snare.flac", 0, 0))
    assert "missing" in faults(jam(lines), "cyd")


def test_loads_of_one_slot_in_another_order_are_out_of_order() -> None:
    loads: list[Line] = [
        (START_NS + at * MS, None, osc("/b_allocRead", 4096 + at, f"/s/{at}.wav", 0, 0)) for at in range(5)
    ]
    swapped = [loads[0], loads[2], loads[1], loads[3], loads[4]]
    result = compare({"ada": recording(loads), "bo": recording(swapped)}, *WINDOW)
    assert len(result.members["bo"].out_of_order) == 1


MIDST_NS = START_NS + 20 * STEP_NS
GONE_NS = START_NS + 40 * STEP_NS
BUILT = [osc("/error", -1), osc("/g_new", 1 << 26, 1, 1), osc("/g_new", (1 << 26) + 2, 0, 1 << 26)]


def visitor() -> list[Line]:
    """Return the recording of a member who came at MIDST_NS and left at GONE_NS."""
    load = (MIDST_NS - 90 * MS, None, session()[0][2])
    place = (MIDST_NS - 100 * MS, None, osc("/g_new", 1 << 26, 1, 1))
    built = (MIDST_NS - 80 * MS, None, bundle(MIDST_NS, *BUILT))
    return [place, load, built, *(line for line in session()[1:] if MIDST_NS <= (line[1] or 0) < GONE_NS)]


def visited(lines: list[Line], **stays: tuple[int, int]) -> Comparison:
    recordings = {"ada": recording(session()), "bo": recording(session()), "cyd": recording(lines)}
    return compare(recordings, *WINDOW, there_ns={"cyd": (MIDST_NS, GONE_NS), **stays})


def test_who_came_later_and_left_misses_only_what_was_due_meanwhile() -> None:
    result = visited(visitor())
    assert result.coherent, result.report()
    assert [result.members[name].received for name in NAMES] == [EVENTS + 1, EVENTS + 1, 20]
    assert not visited(visitor(), cyd=(MIDST_NS - STEP_NS, GONE_NS)).coherent
    assert not visited(visitor(), cyd=(MIDST_NS, GONE_NS + STEP_NS)).coherent
    assert_only_cyd(visited(visitor()[:-1]), {"missing": ["/s_new 2:39 sonic-pi-beep"]})


def test_an_event_at_the_very_instant_of_coming_may_be_missing() -> None:
    without = [line for line in visitor() if line[1] != MIDST_NS]
    assert visited(without, cyd=(MIDST_NS - 1000, GONE_NS)).coherent
    assert not visited(without, cyd=(MIDST_NS - 10 * MS, GONE_NS)).coherent


def test_places_that_bridges_make_and_free_are_no_events() -> None:
    places = [osc("/g_new", 3 << 26, 3, 1 << 26), osc("/n_free", 3 << 26), osc("/b_free", 3 * 4096 + 1)]
    assert visited([*visitor(), *((MIDST_NS + MS, None, place) for place in places)]).coherent
    assert not visited([*visitor(), (MIDST_NS + MS, None, osc("/b_zero", 3 * 4096 + 1))]).coherent


def test_of_who_came_later_loads_are_matched_by_their_time() -> None:
    again = (MIDST_NS + 5 * MS, None, session()[0][2])
    lines = {"ada": [*session(), again], "bo": [*session(), again], "cyd": [*visitor(), again]}

    def compared(lines: dict[str, list[Line]]) -> Comparison:
        recordings = {name: recording(own) for name, own in lines.items()}
        return compare(recordings, *WINDOW, there_ns={"cyd": (MIDST_NS, GONE_NS)})

    assert compared(lines).coherent, compared(lines).report()
    assert_only_cyd(compared({**lines, "cyd": visitor()}), {"missing": ["/b_allocRead 1:3"]})


def test_nothing_to_compare_or_datagrams_lost_unseen_is_no_proof() -> None:
    assert not compare({"ada": recording([]), "bo": recording([])}, *WINDOW).coherent
    lossy = recording(session(), {"dropped": 2})
    result = compare({"ada": recording(session()), "bo": lossy}, *WINDOW)
    assert (result.dropped, result.diverging, result.coherent) == (2, 0, False)


def test_the_report_names_member_kind_and_event() -> None:
    lines = session()
    del lines[11]
    text = jam(lines).report()
    assert "NOT coherent" in text
    assert "missing: /s_new 1:10 sonic-pi-beep at 1.2500 s" in text


def test_a_picture_is_drawn_of_faults_and_of_nothing(tmp_path: Path) -> None:
    assert draw(jam(session()[:-5]), tmp_path / "jam.png").stat().st_size > 10_000
    nothing = compare({"ada": recording([])}, *WINDOW)
    assert draw(nothing, tmp_path / "nothing.png").stat().st_size > 1_000


@given(st.lists(st.integers(0, 40), unique=True, max_size=12))
def test_the_fewest_moves_leave_an_increasing_rest(sequence: list[int]) -> None:
    moved = not_in_order(sequence)
    rest = [value for value in sequence if value not in moved]
    assert rest == sorted(rest)

    def longest(at: int, last: int) -> int:
        if at == len(sequence):
            return 0
        without = longest(at + 1, last)
        return max(without, 1 + longest(at + 1, sequence[at])) if sequence[at] > last else without

    assert len(rest) == longest(0, -1)


@given(st.binary(max_size=200), st.booleans())
def test_the_reader_takes_any_bytes(data: bytes, in_bundle: bool) -> None:
    datagram = bundle(START_NS, data) if in_bundle else data
    for _, raw in walk(datagram):
        parse_message(raw)
    line = {"t_ns": 1, "dir": "to", "hex": datagram.hex()}
    assert parse([json.dumps(line)]).unreadable == ()


def test_the_reader_keeps_every_message_of_a_bundle_with_its_timetag() -> None:
    inner = bundle(START_NS + MS, note(2))
    line = {"t_ns": 7, "dir": "to", "hex": bundle(START_NS, note(1), inner, note(3)).hex()}
    messages = parse([json.dumps(line), '{"t_ns": 8, "di']).to_scsynth
    assert [message.raw for message in messages] == [note(1), note(2), note(3)]
    assert [message.due_ns - START_NS for message in messages] == [0, MS, 0]
    assert [slot_of(message) for message in messages] == [1, 1, 1]


@given(st.integers(0, 4_102_444_800_000_000_000))
def test_an_instant_survives_the_way_through_a_timetag(unix_at_ns: int) -> None:
    assert unix_ns(timetag_at(unix_at_ns)) == unix_at_ns
