"""Classification of messages from Sonic Pi: which are events of the room, and what becomes of the others."""

import pytest

from bridge.tap.classify import route
from relay.wire.commands import Route
from relay.wire.meaning import Meaning
from relay.wire.osc import encode
from tests.worlds.traffic import recorded

HOME = {70}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (("/s_new", "sonic-pi-beep", 9, 0, 4), Route.ROOM),
        (("/n_set", 9, "amp", 1.0), Route.ROOM),
        (("/g_new", 8, 1, 4), Route.ROOM),
        (("/s_new", "sonic-pi-fx_reverb", 9, 1, 8), Route.ROOM),
        (("/n_free", 8), Route.ROOM),
        (("/b_free", 3), Route.ROOM),
        (("/b_alloc", 3, 1024), Route.RESOURCE),
        (("/b_allocRead", 3, "/x.wav", 0, 0), Route.RESOURCE),
        (("/clearSched",), Route.RESET),
        (("/g_freeAll", 0), Route.RESET),
        (("/g_deepFree", 0), Route.RESET),
        (("/g_freeAll", 8), Route.ROOM),
        (("/g_freeAll", 0, 8), Route.ROOM),
        (("/notify", 1), Route.NOTIFY),
        (("/quit",), Route.QUIT),
        (("/n_run", 0, 0), Route.SWALLOW),
        (("/n_run", 0, 1), Route.SWALLOW),
        (("/n_run", 9, 0), Route.ROOM),
        (("/dumpOSC", 1), Route.SWALLOW),
        (("/error", 0), Route.SWALLOW),
        (("/status",), Route.SYNTH),
        (("/sync", 1), Route.SYNTH),
        (("/b_query", 1), Route.SYNTH),
        (("/d_loadDir", "/x"), Route.SYNTH),
        (("/b_write", 1, "/tmp/x.wav", "wav", "int16", 0, 0, 1), Route.SYNTH),
        (("/b_close", 1), Route.SYNTH),
        (("/s_new", "sonic-pi-server-info", 1, 0, 0), Route.SYNTH),
        (("/s_new", "sonic-pi-scope", 7, 0, 5), Route.HOME),
        (("/s_new", "sonic-pi-recorder", 7, 0, 5), Route.HOME),
        (("/s_new", "sonic-pi-live_audio", 70, 0, 5), Route.HOME),
        (("/n_set", 70, "amp", 1.0), Route.HOME),
        (("/n_free", 70), Route.HOME),
        (("/n_free", 70, 9), Route.ROOM),
        (("/n_order", 0, 8, 70), Route.HOME),
        (("/n_order", 0, 8, 9), Route.ROOM),
        (("/no_such_command", 1), Route.REFUSE),
        (("/cmd", "x"), Route.REFUSE),
    ],
)
def test_every_message_goes_where_it_belongs(message: tuple[str | int | float, ...], expected: Route) -> None:
    address, *args = message
    assert route(Meaning(encode(str(address), *args)), HOME) is expected


def test_no_message_of_a_recorded_session_is_refused() -> None:
    for name in ("boot", "ll_fx_inner", "control", "misc2", "redef", "ex_magician_acid"):
        for sent in recorded(name):
            meaning = Meaning(sent.datagram if sent.ahead is None else sent.datagram[20:])
            assert route(meaning, ()) is not Route.REFUSE, meaning.message.address
