"""Stand-ins: what is sent to other members for a synth or FX that they can't play as it is."""

import struct

import pytest

from bridge.scsynth.id_space import Origin
from bridge.scsynth.remap import remap
from bridge.tap.stand_ins import StandIns, home_only
from relay.wire.commands import HOME_ONLY, OWN_FX, OWN_SYNTH, SYNTHDEFS, HomeKind
from relay.wire.errors import Refused
from relay.wire.frames import MAX_PAYLOAD_BYTES
from relay.wire.meaning import Meaning
from relay.wire.osc import Arg, Message, encode

BUSES = ("in_bus", 40.0, "out_bus", 34.0)
MANY = [part for number in range(90) for part in (f"option_{number}", 1.0)]


def synth(name: str, *args: Arg, node: int = 20) -> Meaning:
    return Meaning(encode("/s_new", name, node, 1, 8, *args))


def parts(stand_ins: StandIns, meaning: Meaning) -> list[Message]:
    return [part.message for part in stand_ins.travelling(meaning).parts]


def told(stand_ins: StandIns, meaning: Meaning) -> list[tuple[Arg, ...]]:
    return [(part.address, *part.args) for part in parts(stand_ins, meaning)]


def test_a_synth_that_everybody_has_travels_as_it_is() -> None:
    note = synth("sonic-pi-beep", "amp", 1.0)
    travels = StandIns().travelling(note)
    assert travels.parts == (note,)
    assert not travels.differs


def test_for_an_fx_of_ones_own_stands_a_pass_through_with_its_buses_and_amp() -> None:
    travels = StandIns().travelling(synth("twist", *BUSES, "twirl", 3.0, "mix", 0.5, "amp", 0.5, "amp", 0.25))
    assert travels.differs
    [part] = travels.parts
    assert part.message.args == ("sonic-pi-fx_level", 20, 1, 8, *BUSES, "amp", 0.25)


@pytest.mark.parametrize("amp", [-1.0, float("nan"), float("inf"), "c5"])
def test_an_amp_that_is_none_in_sonic_pi_does_not_travel_with_an_fx_of_ones_own(amp: Arg) -> None:
    expected = ("/s_new", "sonic-pi-fx_level", 20, 1, 8, *BUSES)
    assert told(StandIns(), synth("twist", *BUSES, "amp", amp)) == [expected]


def test_a_number_that_no_float_holds_does_not_travel_with_an_fx_of_ones_own() -> None:
    sent = synth("twist", *BUSES, "amp", 0.0).payload
    tags_end = sent.index(b"sfsfsf") + 6
    double = sent[: tags_end - 1] + b"d" + sent[tags_end:-4] + struct.pack(">d", 1e300)
    assert told(StandIns(), Meaning(double)) == [("/s_new", "sonic-pi-fx_level", 20, 1, 8, *BUSES)]


def test_for_the_scope_in_a_chain_stands_a_level_with_all_that_they_share() -> None:
    message = synth("sonic-pi-fx_scope_out", "mix", 0.5, "scope_num", 3.0, "max_frames", 4096.0, *BUSES)
    assert told(StandIns(), message) == [("/s_new", "sonic-pi-fx_level", 20, 1, 8, "mix", 0.5, *BUSES)]


@pytest.mark.parametrize("name", ["my-beep", "sonic-pi-live_audio_mono", "sonic-pi-sound_in"])
def test_for_a_source_stands_nothing(name: str) -> None:
    assert told(StandIns(), synth(name, "out_bus", 34.0)) == []


def test_a_setting_reaches_a_stand_in_with_the_controls_that_it_was_given() -> None:
    stand_ins = StandIns()
    stand_ins.travelling(synth("twist", *BUSES))
    setting = Meaning(encode("/n_set", 20, "twirl", 1.0, "amp", 0.5, "mix", 0.1))
    assert told(stand_ins, setting) == [("/n_set", 20, "amp", 0.5)]
    assert stand_ins.travelling(setting).differs
    assert told(stand_ins, Meaning(encode("/n_set", 20, "twirl", 1.0))) == []
    other = Meaning(encode("/n_set", 21, "twirl", 1.0))
    assert stand_ins.travelling(other).parts == (other,)


@pytest.mark.parametrize("forget", ["ended", "clear"])
def test_a_number_that_is_given_again_is_another_node(forget: str) -> None:
    stand_ins = StandIns()
    stand_ins.travelling(synth("twist", *BUSES))
    if forget == "ended":
        stand_ins.ended(20)
    else:
        stand_ins.clear()
    assert len(told(stand_ins, Meaning(encode("/n_set", 20, "twirl", 1.0)))) == 1


def test_whatever_frees_or_moves_a_node_reaches_what_stands_for_it() -> None:
    stand_ins = StandIns()
    stand_ins.travelling(synth("twist", *BUSES))
    for message in (encode("/n_free", 20), encode("/n_order", 1, 8, 20), encode("/n_run", 20, 0)):
        sent = Meaning(message)
        assert stand_ins.travelling(sent).parts == (sent,)


def test_a_call_with_all_options_travels_in_pieces_and_its_own_scsynth_plays_the_same() -> None:
    travels = StandIns().travelling(synth("sonic-pi-stereo_player", *MANY))
    assert [part.message.address for part in travels.parts] == ["/s_new", "/n_set"]
    assert not travels.differs
    assert max(len(part.payload) for part in travels.parts) <= MAX_PAYLOAD_BYTES


def test_however_long_a_call_is_all_of_it_travels() -> None:
    for name in ("sonic-pi-stereo_player", "sonic-pi-fx_echo"):
        first, *others = parts(StandIns(), synth(name, *BUSES, *MANY * 10))
        assert first.args[:4] == (name, 20, 1, 8)
        assert first.args[4:8] == BUSES
        assert {(part.address, part.args[0]) for part in others} == {("/n_set", 20)}
        given = first.args[8:] + tuple(arg for part in others for arg in part.args[1:])
        assert sorted(given[::2]) == sorted((MANY * 10)[::2])
        assert max(len(part.raw) for part in (first, *others)) <= MAX_PAYLOAD_BYTES


@pytest.mark.parametrize(
    "message",
    [
        b"/s_new\0\0,siii[f]\0\0\0\0twist\0\0\0" + bytes(12) + bytes(4),
        encode("/s_new", "twist", "x", 0, 8, *BUSES),
        encode("/s_new", 5, 9, 0, 8, *BUSES),
    ],
)
def test_what_is_no_call_is_refused(message: bytes) -> None:
    with pytest.raises(Refused):
        StandIns().travelling(Meaning(message))


def test_the_table_says_why_and_names_stand_ins_that_everybody_may_play() -> None:
    for name, known in [*HOME_ONLY.items(), ("own fx", OWN_FX), ("own synth", OWN_SYNTH)]:
        assert known.why, name
        if known.elsewhere is not None:
            assert not SYNTHDEFS[known.elsewhere].local_only, name
        stands_there_itself = known.elsewhere == name
        assert bool(known.controls) == (known.elsewhere is not None and not stands_there_itself), name
        assert (known.kind is HomeKind.LINK) <= (known.elsewhere is not None), name


def test_every_link_that_stays_at_home_has_a_stand_in_for_its_buses() -> None:
    for name, definition in SYNTHDEFS.items():
        if definition.local_only and {"in_bus", "out_bus"} <= {
            control for control, _ in definition.id_controls
        }:
            known = home_only(synth(name))
            assert known is not None
            assert known.elsewhere is not None, name
            assert {"in_bus", "out_bus"} <= known.controls, name


def test_all_that_travels_is_played_elsewhere() -> None:
    for name in [*SYNTHDEFS, "twist", "my-beep"]:
        buses = BUSES if name == "twist" else ()
        for part in parts(StandIns(), synth(name, *buses)):
            remap(part, Origin(3))
