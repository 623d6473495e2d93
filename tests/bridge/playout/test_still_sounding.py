"""Still sounding: a note that is built in its middle has the same level and end as at other members."""

import pytest

from bridge.playout.still_sounding import rest_of
from relay.wire.live.tree import Node
from relay.wire.meaning import Meaning
from relay.wire.osc import Arg, encode
from relay.wire.timetag import ticks

DUE = 1 << 60


def note(synthdef: str = "sonic-pi-beep", due: int = DUE, **controls: Arg) -> Node:
    given = [part for name, value in controls.items() for part in (name, value)]
    payload = encode("/s_new", synthdef, 20, 0, 4, "note", 60.0, *given)
    return Node(20, payload, due=due, seq=7, is_group=False, is_note=True)


def rest(of: Node, gone_s: float) -> dict[str, float] | None:
    left = rest_of(of, DUE + ticks(gone_s))
    if left is None:
        return None
    args = Meaning(left.payload).message.args[4:]
    return {str(name): float(value) for name, value in zip(args[::2], args[1::2], strict=True)}  # type: ignore[arg-type]


def test_a_drone_keeps_its_level_and_ends_when_it_ends_elsewhere() -> None:
    left = rest(note(sustain=60.0, amp=0.5), 20.0)
    assert left is not None
    assert (left["decay"], left["sustain"], left["release"]) == (0.0, 40.0, 1.0)
    assert left["attack_level"] == left["decay_level"] == left["sustain_level"] == 1.0
    assert left["attack"] < 0.01
    assert left["amp"] == 0.5


def test_in_its_release_a_note_goes_on_from_where_it_is() -> None:
    left = rest(note(sustain=1.0, release=8.0), 3.0)
    assert left is not None
    assert (left["sustain"], left["release"]) == (0.0, 6.0)
    assert left["sustain_level"] == pytest.approx(0.75)


def test_in_its_decay_a_note_goes_on_to_its_sustain() -> None:
    left = rest(note(attack=1.0, decay=2.0, sustain=5.0, sustain_level=0.5), 2.0)
    assert left is not None
    assert (left["decay"], left["sustain"], left["release"]) == (1.0, 5.0, 1.0)
    assert (left["attack_level"], left["decay_level"], left["sustain_level"]) == (0.75, 0.5, 0.5)


def test_in_its_attack_a_note_still_rises() -> None:
    left = rest(note(attack=10.0, sustain=5.0), 4.0)
    assert left is not None
    assert (left["attack_level"], left["decay_level"], left["decay"]) == (pytest.approx(0.4), 1.0, 6.0)
    assert (left["sustain"], left["release"]) == (5.0, 1.0)


@pytest.mark.parametrize(
    ("one", "gone_s"),
    [
        (note(sustain=3.0), 3.0),
        (note(sustain=3.0), 9.0),
        (note("sonic-pi-basic_stereo_player", buf=3), 0.1),
        (note("sonic-pi-sc808_tomlo"), 0.1),
        (note(sustain=60.0, due=0), 20.0),
        (note(sustain="c3"), 20.0),
        (note(sustain=60.0), -1.0),
    ],
    ids=[
        "nearly over",
        "over",
        "a sample",
        "no such envelope",
        "begun nobody knows when",
        "by a bus",
        "not yet",
    ],
)
def test_a_note_that_is_not_worth_it_or_not_known_is_not_built(one: Node, gone_s: float) -> None:
    assert rest(one, gone_s) is None


def test_the_number_of_its_event_and_its_settings_go_with_it() -> None:
    long = note(sustain=60.0)
    long.runs = False
    left = rest_of(long, DUE + ticks(5.0))
    assert left is not None
    assert (left.seq, left.due, left.runs, left.settings) == (7, DUE, False, {})
