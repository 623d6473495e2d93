"""The tap: what a player sends to the room, and what Sonic Pi gets as an answer."""

from pathlib import Path

import pytest

from bridge.scsynth.id_space import LOCAL_BASE, Origin
from bridge.scsynth.samples import ResourceFolders
from bridge.tap.tap import Player
from relay.wire.osc import bundle, encode, single_message
from relay.wire.write import group_began, group_ended, synth_began, synth_ended
from tests.worlds.bridge import TAP, Bench, group, instant, note, reading
from tests.worlds.traffic import recorded

OTHER = ("127.0.0.1", 49_647)


def send(player: Player, datagram: bytes, at_s: float = 1.0, source: tuple[str, int] = TAP) -> None:
    read = reading(at_s)
    player.receive(datagram, source, received_local_ns=read.local_ns, reading=read)


def told(player: Player) -> list[bytes]:
    """Return all waiting replies to Sonic Pi at once, without their pauses."""
    return player._pacer.due(10**15) + [
        reply for at in range(1, 2000) for reply in player._pacer.due(10**15 + at * 10**6)
    ]


def synth(player: Player) -> list[bytes]:
    return player.drain()[1]


def test_nothing_malformed_goes_anywhere() -> None:
    player = Bench().player()
    for datagram in (b"", b"/n_set\0\0,i\0", b"#bundle\0" + bytes(5), b"x" * 64, note()[:-3]):
        send(player, datagram)
    assert player.counts.malformed == 5
    assert player.counts.messages == 0
    assert synth(player) == told(player) == []


def test_a_group_is_answered_at_once_and_made_at_its_due() -> None:
    bench = Bench()
    player = bench.player(lead_s=0.2)
    send(player, group(8), 1.0)
    assert told(player) == [group_began(8, 4)]
    assert synth(player) == []
    assert bench.release(2.0) == [(1.2, encode("/g_new", Origin(1).node(8), 1, Origin(1).node(4)))]


def test_the_signs_of_a_first_and_last_run_are_counted_and_go_nowhere() -> None:
    player = Bench().player()
    for message in (encode("/n_run", 0, 1), encode("/n_run", 0, 0), encode("/error", 1)):
        send(player, message)
    assert player.counts.runs == 2
    assert synth(player) == told(player) == []


def test_the_mixer_of_a_run_is_a_sign_of_it_and_a_note_is_none() -> None:
    player = Bench().player()
    send(player, encode("/s_new", "sonic-pi-basic_mixer", 9, 0, 2))
    send(player, note())
    assert player.counts.runs == 1


def test_the_real_n_go_of_a_group_is_swallowed_and_a_notes_passed_on_in_sonic_pis_numbers() -> None:
    player = Bench().player()
    send(player, group(8))
    send(player, bundle(instant(1.5), note(20, 8)))
    told(player)
    root = Origin(1).root
    player.reply(encode("/n_go", root + 8, root + 4, -1, -1, 1, -1, -1))
    assert told(player) == []
    assert player.reply(encode("/n_go", root + 20, root + 8, -1, -1, 0))
    assert told(player) == [encode("/n_go", 20, 8, -1, -1, 0)]


def test_other_members_nodes_are_nobodys_business_here() -> None:
    player = Bench().player()
    other = Origin(2).root
    assert not player.reply(encode("/n_go", other + 20, other + 8, -1, -1, 0))
    assert not player.reply(encode("/n_end", other + 20, other + 8, -1, -1, 0))
    assert told(player) == []


def test_at_the_end_of_a_group_its_never_started_notes_are_resolved_first() -> None:
    player = Bench().player()
    send(player, group(8))
    send(player, bundle(instant(9.0), note(20, 8)))
    told(player)
    root = Origin(1).root
    player.reply(encode("/n_end", root + 8, root + 4, -1, -1, 1, -1, -1))
    ended = encode("/n_end", 8, 4, -1, -1, 1, -1, -1)
    assert told(player) == [synth_began(20, 8), synth_ended(20), ended]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (encode("/s_new", "sonic-pi-beep", 20, 0, 8, "out_bus", 5000.0), "bus-range"),
        (encode("/s_new", "no-such-synth", 20, 0, 8, "out_bus", 5000.0), "bus-range"),
        (encode("/s_new", "sonic-pi-fx_sound_out", 20, 0, 8, "output", 1025.0), "output-range"),
    ],
)
def test_a_note_that_is_refused_is_answered_as_if_it_had_been_played(message: bytes, reason: str) -> None:
    player = Bench().player()
    send(player, bundle(instant(1.5), message))
    assert player.counts.refused == {reason: 1}
    assert told(player) == [synth_began(20, 8), synth_ended(20)]


def test_a_group_that_is_refused_is_answered_too() -> None:
    player = Bench().player()
    send(player, encode("/g_new", 9, 1, -1))
    assert told(player) == [group_began(9, -1), group_ended(9)]


def test_sonic_pi_is_the_one_client_without_scsynth_being_asked() -> None:
    player = Bench().player()
    send(player, encode("/notify", 1))
    assert told(player) == [encode("/done", "/notify", 0, 1)]
    assert not player.reply(encode("/done", "/notify", 0, 8))
    assert told(player) == synth(player) == []
    assert player.reply(encode("/done", "/d_loadDir")), "what the playout has for scsynth is to leave"


def test_a_status_goes_back_to_whoever_asked() -> None:
    player = Bench().player()
    send(player, encode("/notify", 1))
    send(player, encode("/status"), source=OTHER)
    assert synth(player) == [encode("/status")]
    assert player.reply(encode("/status.reply", 1, 0, 0, 2, 0))
    ((answer,), _) = player.drain()
    assert answer.to == OTHER
    assert player.client == TAP


def test_quitting_leaves_and_stops_nothing() -> None:
    player = Bench().player()
    send(player, encode("/quit"))
    assert player.left
    assert synth(player) == []
    assert told(player) == [encode("/done", "/quit")]


def test_server_info_shows_the_numbers_of_a_stock_scsynth() -> None:
    player = Bench().player()
    send(player, encode("/s_new", "sonic-pi-server-info", 1, 0, 0))
    assert len(synth(player)) == 1
    info = [48000.0, 0.0, 0.0, 0.0, 0.0, 0.0, 16.0, 16.0, 36000.0, 16384.0, 131072.0, 3.0]
    player.reply(encode("/sonic-pi/server-info", LOCAL_BASE + 1, -1, *info))
    (reply,) = told(player)
    args = single_message(reply).args
    assert (args[0], args[8:13]) == (1, (16.0, 16.0, 1024.0, 16384.0, 4096.0))


def test_the_boot_of_3_2_2_makes_its_tree_in_the_members_slot_and_the_scope_at_home_only() -> None:
    bench = Bench()
    player = bench.player(lead_s=0.2)
    start = instant(1.0)
    for sent in recorded("boot"):
        send(player, sent.stamped(start), 1.0 + sent.at_s)
    handed = [single_message(message) for _, message in bench.passes(1.0, 9.0)]
    origin = Origin(1)
    made = [(m.address, m.arg(1 if m.address == "/s_new" else 0)) for m in handed]
    assert made == [
        *[("/g_freeAll", origin.root)] * 5,
        *[("/g_new", origin.node(group)) for group in (2, 3, 4, 5)],
        ("/s_new", origin.node(6)),
        ("/s_new", LOCAL_BASE + 7),
    ]
    bench.release(60.0)
    live = [single_message(piece.payload) for piece in bench.playout.own_pieces(reading(60.0))]
    assert [m.address for m in live][-5:] == ["/g_new"] * 3 + ["/s_new", "/g_new"]
    assert live[-2].arg(0) == "sonic-pi-mixer"


def test_a_load_of_ones_own_is_done_at_home_at_once_and_counted_as_local_only(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    bench = Bench(ResourceFolders(tmp_path))
    player = bench.player()
    send(player, encode("/b_allocRead", 3, "/home/me/my.wav", 0, 0))
    assert synth(player) == [encode("/b_allocRead", Origin(1).buffer(3), "/home/me/my.wav", 0, 0)]
    assert bench.ledger.local_only == 1
    send(player, encode("/b_allocRead", 4, f"{tmp_path}/samples/x.flac", 0, 0))
    assert bench.ledger.local_only == 1
    player.reply(encode("/done", "/b_allocRead", Origin(1).buffer(3)))
    assert told(player) == [encode("/done", "/b_allocRead", 3)]
    assert bench.playout._loads.buffers.loaded == {Origin(1).buffer(3)}


def test_sonic_pis_own_recording_goes_to_its_own_scsynth_only() -> None:
    bench = Bench()
    player = bench.player()
    send(player, encode("/b_write", 3, "/tmp/x.wav", "wav", "int16", 0, 0, 1))
    send(player, encode("/b_query", 3))
    assert [single_message(one).arg(0) for one in synth(player)] == [Origin(1).buffer(3)] * 2
    assert bench.release(9.0) == []


def test_the_end_of_a_home_node_gives_its_id_back() -> None:
    player = Bench().player()
    send(player, encode("/s_new", "sonic-pi-scope", 7, 0, 5, "max_frames", 1024.0))
    assert 7 in player._music._home_nodes
    player.reply(encode("/n_end", LOCAL_BASE + 7, -1, -1, -1, 0))
    assert 7 not in player._music._home_nodes


def test_500_replies_of_a_stop_are_paced() -> None:
    player = Bench().player()
    root = Origin(1).root
    for node in range(500):
        player.reply(encode("/n_end", root + 100 + node, root + 4, -1, -1, 0))
    assert len(player._pacer.due(10**12)) <= 3
    assert len(player._pacer.due(10**12 + 10 * 10**6)) <= 11
