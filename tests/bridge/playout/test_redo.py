"""Redo: what scsynth must be sent again after a late group, FX or free, to get the right tree."""

import pytest

from bridge.playout.holdback_queue import Held
from bridge.playout.redo import KEPT, KEPT_FOR, WORK_MAX, Redo
from relay.wire import write
from relay.wire.meaning import Meaning
from relay.wire.osc import encode
from relay.wire.sequence import Flag, Kind
from relay.wire.timetag import ticks
from tests.worlds.relay import EPOCH, NOTE

GROUP = encode("/g_new", 30, 1, 4)
FX = encode("/s_new", "sonic-pi-fx_reverb", 31, 0, 30)
FREE = encode("/n_free", 30)


def held(
    seq: int, message: bytes, due_s: float, *, kind: Kind = Kind.UNTIMED, flags: Flag = Flag.NONE
) -> Held:
    payload = b"" if kind is Kind.RESET else message
    return Held(EPOCH + ticks(due_s), 2, seq, kind, Meaning(payload), 0, seq, flags)


def at(seconds: float) -> int:
    return EPOCH + ticks(seconds)


def after(redo: Redo, one: Held, message: bytes, now_s: float, *, late: bool = False) -> list[bytes]:
    """Hand over the event `one`, whose message is `message`; return the messages that Redo adds after it."""
    (own, *rest) = redo.hand_over(one, message, at(now_s), late=late)
    assert own == [message]
    return [part for bundle in rest for part in bundle]


def played(*events: tuple[int, bytes, float]) -> Redo:
    redo = Redo()
    for seq, message, due_s in events:
        assert after(redo, held(seq, message, due_s), message, due_s - 0.1) == []
    return redo


def test_a_group_that_comes_after_its_fx_and_its_free_is_followed_by_both() -> None:
    redo = played((2, FX, 1.0), (3, FREE, 1.1))
    assert after(redo, held(1, GROUP, 0.9), GROUP, 1.2, late=True) == [FX, FREE]


def test_what_is_still_to_run_is_not_said_twice() -> None:
    redo = played((2, FX, 1.0), (3, FREE, 1.5))
    assert after(redo, held(1, GROUP, 0.9), GROUP, 1.2, late=True) == [FX]


@pytest.mark.parametrize(
    ("kind", "flags", "again"),
    [
        (Kind.UNTIMED, Flag.OVERTAKEN, True),
        (Kind.TIMED, Flag.OVERTAKEN | Flag.RETIMED, True),
        (Kind.TIMED, Flag.OVERTAKEN, False),
        (Kind.TIMED, Flag.RETIMED, False),
        (Kind.UNTIMED, Flag.NONE, False),
    ],
)
def test_what_the_relay_found_overtaken_is_in_time_and_out_of_order(
    kind: Kind, flags: Flag, again: bool
) -> None:
    redo = played((2, FREE, 1.0))
    late = held(1, GROUP, 1.2, kind=kind, flags=flags)
    assert after(redo, late, GROUP, 0.9) == ([FREE] if again else [])


def test_a_late_reset_is_followed_by_what_was_begun_since() -> None:
    redo = played((1, FREE, 0.5), (3, GROUP, 1.0))
    reset = encode("/g_freeAll", 2 << 26)
    assert after(redo, held(2, reset, 0.9, kind=Kind.RESET), reset, 1.2, late=True) == [GROUP]


def test_what_comes_after_its_slots_reset_is_freed_at_once() -> None:
    redo = Redo()
    reset = encode("/g_freeAll", 2 << 26)
    assert after(redo, held(2, reset, 0.9, kind=Kind.RESET), reset, 0.8) == []
    assert after(redo, held(1, GROUP, 0.5), GROUP, 1.0, late=True) == [write.free_node(2 << 26 | 30)]


def test_notes_other_slots_and_other_nodes_are_no_part_of_it() -> None:
    redo = played((2, NOTE, 1.0), (3, encode("/n_free", 99), 1.0), (4, encode("/n_set", 98, "amp", 1.0), 1.0))
    assert after(redo, held(1, GROUP, 0.9), GROUP, 1.2, late=True) == []
    other = Held(at(0.8), 3, 1, Kind.UNTIMED, Meaning(FREE), 0, 9)
    assert after(redo, other, FREE, 1.3, late=True) == []


def test_a_late_setting_or_free_makes_nothing_be_said_again() -> None:
    setting, later = encode("/n_set", 31, "amp", 0.5), encode("/n_set", 31, "amp", 0.2)
    redo = played((1, GROUP, 0.5), (2, FX, 0.5), (4, later, 0.9))
    assert after(redo, held(3, setting, 1.0), setting, 1.2, late=True) == []


def test_what_runs_before_it_in_the_rooms_order_is_not_said_again_though_it_was_sent_later() -> None:
    setting = encode("/n_set", 31, "amp", 0.5)
    redo = played((2, setting, 0.8))
    assert after(redo, held(1, FX, 1.0, kind=Kind.TIMED), FX, 1.2, late=True) == []


def test_what_is_repeated_goes_in_the_order_in_which_it_ran() -> None:
    first, second = encode("/n_set", 31, "amp", 0.1), encode("/n_set", 31, "amp", 0.2)
    redo = played((3, first, 1.0), (2, second, 1.1))
    assert after(redo, held(1, FX, 0.9), FX, 1.2, late=True) == [first, second]


def test_nobody_makes_others_work_by_sending_in_a_wrong_order() -> None:
    redo = Redo()
    repeated = 0
    for seq in range(3_000, 0, -1):
        group = encode("/g_new", seq, 1, seq - 1)
        flags = Flag.OVERTAKEN | Flag.RETIMED
        repeated += len(after(redo, held(seq, group, 1.0, flags=flags), group, 0.9))
    assert repeated < WORK_MAX


def test_what_is_kept_is_bounded_in_number_and_time() -> None:
    redo = played(*[(seq, encode("/n_set", 30, "amp", float(seq)), 1.0) for seq in range(2, KEPT + 10)])
    assert len(after(redo, held(1, GROUP, 0.9), GROUP, 1.2, late=True)) == WORK_MAX - 1
    redo = played((2, FREE, 1.0))
    later_s = 1.1 + KEPT_FOR / 2**32
    assert after(redo, held(3, FREE, later_s), FREE, later_s) == []
    assert after(redo, held(1, GROUP, 0.9), GROUP, later_s, late=True) == [FREE], "only the newer one"


def test_a_message_about_several_nodes_goes_as_one_for_each() -> None:
    many = encode("/n_free", 1, 2, 3)
    assert Redo().hand_over(held(1, many, 1.0), many, at(0.9), late=False) == [
        [encode("/n_free", 1), encode("/n_free", 2), encode("/n_free", 3)]
    ]
