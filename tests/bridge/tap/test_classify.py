"""Classification: what becomes of each message of Sonic Pi."""

import pytest
from laboratory.virtual.traffic import recorded

from bridge.tap.classify import Route, completes_foundation, is_foundation, route
from relay.wire.meaning import is_note
from relay.wire.osc import encode, single_message

TIMED = 1 << 63
HOME = {70}


@pytest.mark.parametrize(
    ("message", "timetag", "expected"),
    [
        (("/s_new", "sonic-pi-beep", 9, 0, 4), TIMED, Route.TIMED),
        (("/n_set", 9, "amp", 1.0), TIMED, Route.TIMED),
        (("/n_set", 9, "amp", 1.0), None, Route.UNTIMED),
        (("/g_new", 8, 1, 4), None, Route.UNTIMED),
        (("/s_new", "sonic-pi-fx_reverb", 9, 1, 8), None, Route.UNTIMED),
        (("/n_free", 8), None, Route.UNTIMED),
        (("/b_free", 3), None, Route.UNTIMED),
        (("/b_alloc", 3, 1024), None, Route.RESOURCE),
        (("/b_allocRead", 3, "/x.wav", 0, 0), None, Route.RESOURCE),
        (("/clearSched",), None, Route.RESET),
        (("/g_freeAll", 0), None, Route.RESET),
        (("/g_deepFree", 0), None, Route.RESET),
        (("/g_freeAll", 8), None, Route.UNTIMED),
        (("/g_freeAll", 0, 8), None, Route.UNTIMED),
        (("/notify", 1), None, Route.NOTIFY),
        (("/quit",), None, Route.QUIT),
        (("/n_run", 0, 0), None, Route.SWALLOW),
        (("/n_run", 0, 1), None, Route.SWALLOW),
        (("/n_run", 9, 0), None, Route.UNTIMED),
        (("/dumpOSC", 1), None, Route.SWALLOW),
        (("/error", 0), None, Route.SWALLOW),
        (("/status",), None, Route.SYNTH),
        (("/sync", 1), None, Route.SYNTH),
        (("/b_query", 1), None, Route.SYNTH),
        (("/d_loadDir", "/x"), None, Route.SYNTH),
        (("/b_write", 1, "/tmp/x.wav", "wav", "int16", 0, 0, 1), None, Route.SYNTH),
        (("/b_close", 1), None, Route.SYNTH),
        (("/s_new", "sonic-pi-server-info", 1, 0, 0), None, Route.SYNTH),
        (("/s_new", "sonic-pi-scope", 7, 0, 5), TIMED, Route.HOME),
        (("/s_new", "sonic-pi-recorder", 7, 0, 5), None, Route.HOME),
        (("/s_new", "sonic-pi-live_audio", 70, 0, 5), TIMED, Route.HOME),
        (("/n_set", 70, "amp", 1.0), TIMED, Route.HOME),
        (("/n_free", 70), None, Route.HOME),
        (("/n_free", 70, 9), None, Route.UNTIMED),
        (("/n_order", 0, 8, 70), TIMED, Route.HOME),
        (("/n_order", 0, 8, 9), TIMED, Route.TIMED),
        (("/no_such_command", 1), None, Route.REFUSE),
        (("/cmd", "x"), None, Route.REFUSE),
    ],
)
def test_every_message_goes_where_it_belongs(
    message: tuple[str | int | float, ...], timetag: int | None, expected: Route
) -> None:
    address, *args = message
    assert route(single_message(encode(str(address), *args)), timetag, HOME) is expected


def test_no_message_of_a_recorded_session_is_refused() -> None:
    for name in ("boot", "ll_fx_inner", "control", "misc2", "redef", "ex_magician_acid"):
        for sent in recorded(name):
            message = single_message(sent.datagram if sent.ahead is None else sent.datagram[20:])
            assert route(message, sent.ahead, ()) is not Route.REFUSE, message.address


def test_the_foundation_of_a_recorded_boot_ends_with_the_master_mixer() -> None:
    complete, founded = False, []
    for sent in recorded("boot"):
        message = single_message(sent.datagram if sent.ahead is None else sent.datagram[20:])
        if route(message, sent.ahead, ()) is Route.UNTIMED and is_foundation(message, complete=complete):
            founded.append(message.address)
            complete = completes_foundation(message)
    assert founded == ["/g_new"] * 4 + ["/s_new"]
    assert complete


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (encode("/s_new", "sonic-pi-beep", 9, 0, 4), True),
        (encode("/s_new", "sonic-pi-stereo_player", 9, 0, 4), True),
        (encode("/s_new", "sonic-pi-fx_echo", 9, 0, 4), False),
        (encode("/s_new", "sonic-pi-basic_mixer", 9, 0, 4), False),
        (encode("/s_new", "sonic-pi-mixer", 9, 0, 4), False),
        (encode("/n_free", 9), False),
        (b"", False),
    ],
)
def test_a_note_is_a_synth_that_nothing_depends_on(payload: bytes, expected: bool) -> None:
    assert is_note(payload) is expected
