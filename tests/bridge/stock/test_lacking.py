"""Lacking: notes not heard here are counted by their player and file. The relay and the player here learn of
it."""

from bridge.stock.lacking import FILES_KEPT, SAID_EVERY_S, TELL_EVERY_S, UNNAMED, Lacking
from relay.wire import control
from relay.wire.control import NotHeard, Unheard

KALIMBA, RODEO = "synthdefs/sonic-pi-kalimba", "synthdefs/sonic-pi-rodeo"
MEMBERS = [
    control.Member(slot=slot, name=name, outs=2, ins=2, present=True)
    for slot, name in ((1, "old"), (2, "new"))
]


def nothing(_name: str) -> None:
    return None


def lacking_at(slot: int) -> Lacking:
    lacking = Lacking(slot)
    lacking.meet(MEMBERS)
    return lacking


def test_the_relay_is_told_once_a_second_what_came_since() -> None:
    lacking = lacking_at(1)
    assert lacking.for_relay("3.2.2", nothing, 5.0) == []
    for name in (KALIMBA, KALIMBA, RODEO):
        lacking.note(2, name)
    of = [Unheard(slot=2, name=KALIMBA, notes=2), Unheard(slot=2, name=RODEO, notes=1)]
    assert lacking.for_relay("3.2.2", nothing, 5.0) == [NotHeard(release="3.2.2", of=of)]
    lacking.note(3, KALIMBA)
    assert lacking.for_relay("3.2.2", nothing, 5.0 + SAID_EVERY_S / 2) == []
    (said,) = lacking.for_relay("3.2.2", nothing, 5.0 + SAID_EVERY_S)
    assert said.of == [Unheard(slot=3, name=KALIMBA, notes=1)]


def test_the_player_is_told_at_once_and_then_twice_a_minute() -> None:
    lacking = lacking_at(1)
    for name in (RODEO, KALIMBA, KALIMBA):
        lacking.note(2, name)
    (tell,) = lacking.for_player("3.2.2", nothing, 5.0)
    assert tell.warning
    assert tell.text == "you didn't hear 3 notes of new's: your Sonic Pi 3.2.2 lacks kalimba, rodeo"
    lacking.note(2, KALIMBA)
    assert lacking.for_player("3.2.2", nothing, 5.1 + TELL_EVERY_S / 2) == []
    (tell,) = lacking.for_player("", nothing, 5.1 + TELL_EVERY_S)
    assert tell.text == "you didn't hear 1 note of new's: your Sonic Pi lacks kalimba"


def test_names_and_files_are_bounded_and_what_is_said_can_be_decoded() -> None:
    lacking = lacking_at(1)
    lacking.note(2, "synthdefs/\x1b[31m")
    for number in range(FILES_KEPT + 9):
        lacking.note(2, f"synthdefs/s{number}")
    (said,) = lacking.for_relay("", nothing, 5.0)
    assert len(said.of) == FILES_KEPT
    assert said.of[0].name == UNNAMED
    assert control.decode_up(control.encode(said)) == said
    assert lacking.named() == {"not_heard": FILES_KEPT + 10}
    (tell,) = lacking.for_player("", nothing, 5.0)
    assert len(tell.text) < 200


def test_how_much_has_come_is_told_at_both_ends() -> None:
    lacking = lacking_at(1)
    for name in (KALIMBA, RODEO):
        lacking.note(2, name)
    coming = {RODEO: 62}.get
    (said,) = lacking.for_relay("3.2.2", coming, 5.0)
    assert [one.percent for one in said.of] == [None, 62]
    (tell,) = lacking.for_player("3.2.2", coming, 5.0)
    assert tell.text.endswith("lacks kalimba, rodeo; they are being fetched, 62 %")
