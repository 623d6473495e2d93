"""The player's own synthdefs, outputs and long calls: whole at home, with stand-ins for other members."""

import pytest

from bridge.playout.second_reports import event_digest
from bridge.scsynth.id_space import HARDWARE_BUSES, LOCAL_BASE, Origin
from bridge.scsynth.remap import remap
from bridge.tap.tap import Player
from relay.wire.osc import bundle, encode, single_message
from relay.wire.sequence import Judged
from relay.wire.write import synth_began, synth_ended
from tests.bridge.tap.test_tap import send, told
from tests.worlds.bridge import Bench, group, instant, judged, reading

ROOT = Origin(1).root
FIRST = Origin(1).first_bus
INSIDE = FIRST + 64
OWN_BEEP = encode("/s_new", "mybeep", 20, 1, 8, "note", 60.0, "out_bus", 34.0)
OWN_FX = encode("/s_new", "twist", 20, 1, 8, "in_bus", 40.0, "out_bus", 34.0, "twirl", 3.0, "amp", 0.5)


def tells(player: Player) -> list[str]:
    return [tell.text for tell in player._emission.news()]


def travelled(player: Player) -> list[bytes]:
    """Return the messages of the events that are sent to the relay and have no verdict yet."""
    return [event.payload for event in player._emission.uplink._pending.values()]


def local_only(player: Player) -> int:
    return player._emission._ledger.local_only


def verdict_on(payload: bytes, seq: int, due_s: float) -> Judged:
    return judged(seq, due_s, payload, slot=1, seq=seq)


def test_a_synth_of_ones_own_plays_at_home_at_its_time_and_travels_nowhere() -> None:
    bench = Bench()
    player = bench.player()
    send(player, bundle(instant(1.5), OWN_BEEP))
    expected = encode("/s_new", "mybeep", LOCAL_BASE + 20, 1, ROOT + 8, "note", 60.0, "out_bus", INSIDE + 2.0)
    assert bench.release(1.5) == [(1.5, expected)]
    assert travelled(player) == []
    assert bench.ledger.local_only == 1
    assert player.counts.refused == {}


def test_what_stays_at_home_is_told_once_by_name() -> None:
    player = Bench().player()
    for node in range(20, 25):
        send(player, bundle(instant(1.5), encode("/s_new", "mybeep", node, 1, 8)))
    assert [text.partition(";")[0] for text in tells(player)] == [
        "mybeep is a synthdef of your own: only you hear it"
    ]
    assert local_only(player) == 5


@pytest.mark.parametrize("name", ["scope", "recorder", "amp_stereo_monitor", "server-info"])
def test_what_only_listens_is_not_counted(name: str) -> None:
    player = Bench().player()
    send(player, encode("/s_new", f"sonic-pi-{name}", 20, 1, 8))
    assert local_only(player) == 0
    assert tells(player) == []


def test_a_scope_in_a_chain_is_not_counted_since_the_others_hear_the_same() -> None:
    player = Bench().player()
    send(player, encode("/s_new", "sonic-pi-fx_scope_out", 20, 1, 8, "in_bus", 40.0, "out_bus", 34.0))
    assert local_only(player) == 0


def test_a_synth_of_ones_own_that_names_no_bus_still_plays_into_its_members_mixer() -> None:
    bench = Bench()
    send(bench.player(), bundle(instant(1.5), encode("/s_new", "mybeep", 20, 1, 8)))
    [(_, handed)] = bench.release(1.5)
    assert single_message(handed).args[-2:] == ("out_bus", float(FIRST))


def test_in_a_synthdef_of_ones_own_only_buses_and_buffers_are_known_by_their_names() -> None:
    bench = Bench()
    args = ("mine", 20, 1, 8, "buf", 3.0, "output", 0.25, "input", 7.5, "scope_num", 2.0, "out_bus", 0.0)
    send(bench.player(), bundle(instant(1.5), encode("/s_new", *args)))
    [(_, handed)] = bench.release(1.5)
    assert single_message(handed).args[4:] == (
        *("buf", 4096.0 + 3, "output", 0.25, "input", 7.5, "scope_num", 2.0, "out_bus", float(FIRST)),
    )


def test_sonic_pi_gets_scsynths_own_word_on_a_synth_of_its_players_own() -> None:
    player = Bench().player()
    send(player, bundle(instant(1.5), OWN_BEEP))
    assert told(player) == []
    player.reply(encode("/n_go", LOCAL_BASE + 20, ROOT + 8, -1, -1, 0))
    player.reply(encode("/n_end", LOCAL_BASE + 20, ROOT + 8, -1, -1, 0))
    assert told(player) == [encode("/n_go", 20, 8, -1, -1, 0), encode("/n_end", 20, 8, -1, -1, 0)]


def test_a_synth_of_ones_own_that_never_started_is_resolved_when_its_group_endeds() -> None:
    player = Bench().player()
    send(player, group(8))
    send(player, bundle(instant(9.0), OWN_BEEP))
    told(player)
    player.reply(encode("/n_end", ROOT + 8, ROOT + 4, -1, -1, 1, -1, -1))
    assert told(player) == [synth_began(20, 8), synth_ended(20), encode("/n_end", 8, 4, -1, -1, 1, -1, -1)]


def test_a_synth_whose_synthdef_scsynth_has_not_got_is_answered_as_if_it_had_been_played() -> None:
    player = Bench().player()
    for payload in (OWN_BEEP, encode("/s_new", "misspelled", 21, 1, 8)):
        send(player, payload)
    fail = encode("/fail", "/s_new", "SynthDef not found")
    player.reply(encode("/n_go", LOCAL_BASE + 20, ROOT + 8, -1, -1, 0))
    player.reply(fail)
    player.reply(fail)  # of something that scsynth was asked for without an id of ours
    assert told(player) == [synth_began(20, 8), fail, synth_began(21, 8), synth_ended(21), fail]


def test_an_own_synthdef_that_has_sounded_is_not_taken_for_one_that_fails_at_somebody_elses_note() -> None:
    player = Bench().player()
    for payload in (OWN_BEEP, encode("/s_new", "mybeep", 21, 1, 8)):
        send(player, payload)
    player.reply(encode("/n_go", LOCAL_BASE + 20, ROOT + 8, -1, -1, 0))
    send(player, encode("/s_new", "mybeep", 22, 1, 8))
    fail = encode("/fail", "/s_new", "SynthDef not found")
    player.reply(fail)
    assert told(player) == [synth_began(20, 8), fail]


def test_a_stock_synth_that_waits_is_not_taken_for_the_one_that_failed() -> None:
    player = Bench().player()
    send(player, encode("/s_new", "sonic-pi-beep", 20, 1, 8))
    fail = encode("/fail", "/s_new", "SynthDef not found")
    player.reply(fail)
    assert told(player) == [fail]


def test_live_audio_that_moves_on_is_not_resolved_with_the_group_that_it_was_in() -> None:
    player = Bench().player()
    send(player, group(8))
    live = ("/s_new", "sonic-pi-live_audio_mono", 20)
    send(player, bundle(instant(1.5), encode(*live, 1, 8)))
    player.reply(encode("/n_go", LOCAL_BASE + 20, ROOT + 8, -1, -1, 0))
    send(player, bundle(instant(2.5), encode(*live, 1, 8)))
    told(player)
    player.reply(encode("/n_end", ROOT + 8, ROOT + 4, -1, -1, 1, -1, -1))
    assert told(player) == [encode("/n_end", 8, 4, -1, -1, 1, -1, -1)]
    assert local_only(player) == 1


def test_an_fx_of_ones_own_plays_at_home_and_a_pass_through_elsewhere_and_both_under_one_number() -> None:
    bench = Bench()
    player = bench.player()
    send(player, bundle(instant(1.5), OWN_FX))
    [stands] = travelled(player)
    buses = ("in_bus", 40.0, "out_bus", 34.0)
    assert stands == encode("/s_new", "sonic-pi-fx_level", 20, 1, 8, *buses, "amp", 0.5)
    mapped = ("in_bus", INSIDE + 8.0, "out_bus", INSIDE + 2.0)
    own = encode("/s_new", "twist", ROOT + 20, 1, ROOT + 8, *mapped, "twirl", 3.0, "amp", 0.5)
    assert bench.release(1.5) == [(1.5, own)]
    assert local_only(player) == 1
    assert any("twist is an FX of your own" in text for text in tells(player))


@pytest.mark.parametrize("verdict_at_s", [1.1, 1.6])
def test_the_digest_is_that_of_what_everybody_else_plays_whenever_the_verdict_comes(
    verdict_at_s: float,
) -> None:
    bench = Bench()
    player = bench.player()
    send(player, bundle(instant(1.5), OWN_FX))
    [stands] = travelled(player)
    verdict = verdict_on(stands, 1, 1.5)
    if verdict_at_s < 1.5:
        bench.playout.judged(verdict, reading(verdict_at_s))
    bench.release(1.5)
    if verdict_at_s > 1.5:
        bench.playout.judged(verdict, reading(verdict_at_s))
    shared = remap(single_message(stands), Origin(1))
    assert bench.digest(1) == [(1, event_digest(1, shared))]


def test_settings_of_an_fx_of_ones_own_are_whole_at_home_and_travel_as_far_as_the_others_can_follow() -> None:
    bench = Bench()
    player = bench.player()
    send(player, bundle(instant(1.5), OWN_FX))
    send(player, bundle(instant(1.6), encode("/n_set", 20, "twirl", 1.0, "amp", 0.25)))
    send(player, bundle(instant(1.7), encode("/n_set", 20, "twirl", 2.0)))
    send(player, bundle(instant(1.8), encode("/n_free", 20)))
    assert travelled(player)[1:] == [encode("/n_set", 20, "amp", 0.25), encode("/n_free", 20)]
    handed = {message for _, message in bench.release(3.0)}
    assert handed >= {
        encode("/n_set", ROOT + 20, "twirl", 1.0, "amp", 0.25),
        encode("/n_set", ROOT + 20, "twirl", 2.0),
        encode("/n_free", ROOT + 20),
    }
    assert local_only(player) == 1


@pytest.mark.parametrize(
    ("name", "output", "at_home", "elsewhere"),
    [
        ("sound_out", 1, FIRST + 1, FIRST + 1),
        ("sound_out", 2, FIRST + 2, FIRST + 2),
        ("sound_out", 3, 3, FIRST + 1),
        ("sound_out", 16, 16, FIRST + 2),
        ("sound_out_stereo", 1, FIRST + 1, FIRST + 1),
        ("sound_out_stereo", 2, 2, FIRST + 1),
        ("sound_out_stereo", 3, 3, FIRST + 1),
        ("sound_out", 17, FIRST + 3, FIRST + 3),
        ("sound_out_stereo", 19, FIRST + 3, FIRST + 3),
    ],
)
def test_an_output_is_the_sound_cards_at_home_from_the_third_to_its_last_and_a_private_one_elsewhere(
    name: str, output: int, at_home: int, elsewhere: int
) -> None:
    bench = Bench()
    player = bench.player()
    buses = ("in_bus", 40.0, "out_bus", 34.0)
    sent = encode("/s_new", f"sonic-pi-fx_{name}", 20, 1, 8, *buses, "output", float(output))
    send(player, bundle(instant(1.5), sent))
    assert travelled(player) == [sent]
    [(_, handed)] = bench.release(1.5)
    assert single_message(handed).args[-1] == at_home
    shared = remap(single_message(sent), Origin(1))
    [one] = [single_message(shared).args[-1]]
    assert one == elsewhere
    assert max(at_home, elsewhere) <= 16 or elsewhere > HARDWARE_BUSES
    bench.playout.judged(verdict_on(sent, 1, 1.5), reading(1.6))
    assert bench.digest(1) == [(1, event_digest(1, shared))]


def test_an_output_that_is_set_later_follows_the_same_rule() -> None:
    bench = Bench()
    player = bench.player()
    sent = encode("/n_set", 20, "output", 4.0)
    send(player, bundle(instant(1.5), sent))
    assert bench.release(1.5) == [(1.5, encode("/n_set", ROOT + 20, "output", 4.0))]
    assert remap(single_message(sent), Origin(1)) == encode("/n_set", ROOT + 20, "output", FIRST + 2.0)


def test_a_bridge_after_one_that_was_killed_gives_its_own_output_to_the_sound_card_too() -> None:
    bench = Bench()
    bench.player()
    sent = encode("/s_new", "sonic-pi-fx_sound_out", 20, 1, 8, "output", 3.0)
    bench.playout.judged(verdict_on(sent, 1, 1.5), reading(1.1))
    [(_, handed)] = bench.release(1.5)
    assert single_message(handed).args[4:6] == ("output", 3.0)
    assert bench.digest(1) == [(1, event_digest(1, remap(single_message(sent), Origin(1))))]


def test_a_call_with_all_options_is_played_by_everybody_in_pieces_of_one_instant() -> None:
    bench = Bench()
    player = bench.player()
    options = [part for number in range(70) for part in (f"option_{number}", float(number))]
    send(player, bundle(instant(1.5), encode("/s_new", "sonic-pi-beep", 20, 1, 8, *options)))
    first, second = travelled(player)
    assert (single_message(first).address, single_message(second).address) == ("/s_new", "/n_set")
    handed = bench.release(1.5)
    assert handed == [(1.5, remap(single_message(part), Origin(1))) for part in (first, second)]
    assert (local_only(player), player.counts.refused) == (0, {})


def test_what_cannot_be_cut_plays_at_home_and_is_counted_and_told() -> None:
    bench = Bench()
    player = bench.player()
    send(player, bundle(instant(1.5), encode("/b_gen", 1, "sine1", 7, *[0.5] * 900)))
    assert travelled(player) == []
    handed = [single_message(message) for _, message in bench.release(1.5)]
    assert [message.args[0] for message in handed] == [Origin(1).buffer(1)]
    assert bench.ledger.local_only == 1
    assert [text.partition(";")[0] for text in tells(player)] == [
        "a call of /b_gen is too long to travel: only you hear it"
    ]


def test_a_free_of_as_many_nodes_as_a_datagram_holds_reaches_everybody() -> None:
    bench = Bench()
    player = bench.player()
    nodes = list(range(20, 12_000))
    send(player, encode("/n_free", *nodes))
    parts = [single_message(part) for part in travelled(player)]
    assert [node for part in parts for node in part.args] == nodes
    freed = [node for _, one in bench.release(9.0) for node in single_message(one).args]
    assert freed == [ROOT + node for node in nodes]
    assert (local_only(player), player.counts.refused) == (0, {})


def test_a_setting_of_nothing_is_refused_while_an_own_fx_lives() -> None:
    player = Bench().player()
    send(player, bundle(instant(1.5), OWN_FX))
    send(player, encode("/n_set"))
    assert player.counts.refused == {"arguments": 1}


def test_a_living_home_node_stays_one_though_a_second_call_for_it_is_refused() -> None:
    player = Bench().player()
    send(player, bundle(instant(1.5), OWN_BEEP))
    send(player, bundle(instant(1.6), encode("/s_new", "mybeep", 20, 1, 8, "out_bus", 5000.0)))
    send(player, bundle(instant(1.7), encode("/n_free", 20)))
    assert travelled(player) == []


def test_an_own_synth_that_is_refused_is_no_home_node_afterwards() -> None:
    player = Bench().player()
    send(player, bundle(instant(1.5), encode("/s_new", "mybeep", 20, 1, 8, "out_bus", 5000.0)))
    assert told(player) == [synth_began(20, 8), synth_ended(20)]
    send(player, bundle(instant(1.6), encode("/n_set", 20, "amp", 1.0)))
    assert travelled(player) == [encode("/n_set", 20, "amp", 1.0)]
