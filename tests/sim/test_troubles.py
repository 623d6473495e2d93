"""Jams with failures: members agree again as soon as they can, and statistics count what differed."""

from collections import Counter
from dataclasses import replace

import pytest
from laboratory.virtual.host import Member
from laboratory.virtual.jam import Jam
from laboratory.virtual.net import DOWN, UP
from laboratory.virtual.synthtree import SynthTree
from laboratory.virtual.traffic import Sent

from relay.wire.osc import encode, single_message
from relay.wire.sequence import Flag, Kind
from tests.sim.score import assert_coherent, assert_in_time, assert_same, events
from tests.sim.test_networks import MUSIC_AT_S, trio
from tests.worlds.networks import NETWORKS
from tests.worlds.traffic import boot, generated

pytestmark = pytest.mark.computes

LAN = NETWORKS["studio-lan"]
BEEP = b"sonic-pi-beep"


def notes(sent: list[Sent]) -> list[Sent]:
    """Return the bundles with notes among the datagrams."""
    return [one for one in sent if BEEP in one.datagram and one.ahead is not None]


def beeps(member: Member, slot: int) -> Counter[int]:
    """Return how often a member's scsynth was handed each note of a slot, by Sonic Pi's own node id."""
    ids = (single_message(one.message).arg(1) for one in member.handed if BEEP in one.message)
    return Counter(int(node) & (1 << 26) - 1 for node in ids if int(node) >> 26 == slot)


def own_ids(sent: list[Sent]) -> Counter[int]:
    """Return how often a Sonic Pi sent each note, by node id."""
    return Counter(int(single_message(one.datagram[20:]).arg(1)) for one in notes(sent))


def test_a_late_uplink_gives_one_due_to_all_and_is_counted_retimed() -> None:
    jam = Jam(seed=1)
    members = trio(jam, LAN)

    def meddle(who: str, way: int, at_s: float) -> float:
        if who == "cyd" and way == DOWN:
            return 0.060  # so that the room waits for more than bob's own verdict needs
        return 0.130 if who == "bob" and way == UP and 4.0 < at_s < 5.0 else 0.0

    jam.wires.meddle = meddle
    played = [replace(one, ahead=int((one.at_s + 0.2) * 2**32)) for one in notes(generated(2, seconds=3.0))]
    for member in members:
        jam.play(member, played, MUSIC_AT_S)
    jam.run(11.0)
    assert assert_same(jam, *members) > 60
    room = jam.stats()
    assert room.retimed > 3
    assert room.members[1].retimed == room.retimed
    assert room.members[0].retimed == room.members[2].retimed == 0
    assert room.divergent == 0, room.incidents


def test_a_lost_verdict_plays_as_stamped_is_counted_and_matched_afterwards() -> None:
    jam = Jam(seed=2)
    members = trio(jam, LAN)
    jam.wires.meddle = lambda who, way, at_s: (
        None if who == "ada" and way == DOWN and 4.0 < at_s < 4.8 else 0.0
    )
    jam.play(members[0], notes(generated(2, seconds=3.0)), MUSIC_AT_S)
    jam.run(11.0)
    assert assert_same(jam, *members) > 25
    assert_in_time(jam, *members)
    room = jam.stats()
    assert room.members[0].unconfirmed > 3
    assert room.members[1].unconfirmed == 0
    assert room.divergent == 0, room.incidents
    assert room.members[0].missing == 0


def test_what_others_play_while_a_way_down_is_cut_comes_late_and_is_named() -> None:
    jam = Jam(seed=3)
    members = trio(jam, LAN)
    jam.wires.meddle = lambda who, way, at_s: (
        None if who == "ada" and way == DOWN and 4.0 < at_s < 4.8 else 0.0
    )
    jam.play(members[1], notes(generated(2, seconds=3.0)), MUSIC_AT_S)
    jam.run(11.0)
    assert beeps(members[0], 2) == beeps(members[1], 2)
    room = jam.stats()
    assert room.members[0].late > 0
    assert room.divergent == room.members[0].late
    assert any("late at ada: #" in words and "of bob" in words for words in room.incidents)


def test_a_relay_that_is_started_anew_finds_everybody_in_their_slots_and_the_music_unbroken() -> None:
    jam = Jam(seed=4)
    members = trio(jam, LAN)
    music = [generated(index, seconds=7.0) for index in range(3)]
    for member, sent in zip(members, music, strict=True):
        jam.play(member, sent, MUSIC_AT_S)
    jam.at_s(5.0, jam.stop_relay)
    jam.at_s(6.2, jam.relay.start)
    jam.run(16.0)
    assert [member.slot for member in jam.stats().members] == [1, 2, 3]
    for slot, (member, sent) in enumerate(zip(members, music, strict=True), 1):
        assert beeps(member, slot) == own_ids(sent), "every own note once, relay or not"
    assert assert_same(jam, *members, after_s=8.0) > 50
    assert_coherent_after_return(jam)
    for member in members:
        assert any("the relay is away" in text for text in member.told)


def assert_coherent_after_return(jam: Jam) -> None:
    room = jam.stats()
    assert room.seconds_compared >= 4
    assert all(member.missing == member.different == 0 for member in room.members), room.incidents


def test_groups_made_while_the_relay_was_away_reach_the_others_afterwards() -> None:
    jam = Jam(seed=5)
    members = trio(jam, LAN)
    jam.at_s(4.0, jam.stop_relay)
    jam.at_s(6.0, jam.relay.start)
    music = generated(1, seconds=4.0)
    jam.play(members[0], music, 5.0)  # the run's group and mixer are made at 5.0
    jam.run(12.0)
    for member in members:
        made = {single_message(one.message).arg(0) for one in events(member) if b"/g_new" in one.message}
        assert (1 << 26) + 100 in made, f"{member.name} lacks the run's group"
        for one in events(member):
            if BEEP in one.message:
                assert single_message(one.message).arg(3) in made
    alone = [one for one in notes(music) if 5.0 + one.ahead / 2**32 < 5.9]
    assert alone
    for one in alone:  # nobody wants them late
        assert int(single_message(one.datagram[20:]).arg(1)) not in beeps(members[1], 1)


def test_a_relay_whose_clock_is_another_after_its_restart_costs_nobody_a_note_of_his_own() -> None:
    jam = Jam(seed=6)
    members = trio(jam, LAN)
    music = generated(1, seconds=6.0)
    jam.play(members[0], music, MUSIC_AT_S)
    jam.at_s(5.0, jam.stop_relay)

    def start() -> None:
        jam.relay.skew_ns = -7_000_000_000
        jam.relay.start()

    jam.at_s(5.5, start)
    jam.run(14.0)
    assert beeps(members[0], 1) == own_ids(music)
    assert assert_same(jam, *members, after_s=7.5) > 15
    assert_coherent_after_return(jam)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [7, 8, 9])
def test_a_killed_bridge_is_back_in_its_slot_and_nobody_gets_anything_twice(seed: int) -> None:
    jam = Jam(seed)
    members = trio(jam, NETWORKS["reordering"])
    music = [generated(index + seed, seconds=6.0) for index in range(3)]
    for member, sent in zip(members, music, strict=True):
        jam.play(member, sent, MUSIC_AT_S)
    jam.at_s(5.0, lambda: jam.kill(members[1]))
    jam.at_s(5.6, lambda: jam.restart(members[1]))
    jam.run(18.0)  # what never came is given up after eight seconds
    ada, bob, cyd = members
    assert bob.memory.slot == 2
    assert_same(jam, ada, cyd)
    assert_in_time(jam, ada, cyd)
    for member in members:
        for slot in (1, 2, 3):
            twice = [note for note, count in beeps(member, slot).items() if count > 1]
            assert not twice, f"seed {seed}: {member.name} got {twice} of slot {slot} twice"
    for slot in (1, 3):
        assert beeps(bob, slot) == beeps(ada, slot), f"seed {seed}: lost over the restart"
    assert assert_same(jam, *members, after_s=7.5) > 30
    # What he played before his new bridge knew the time was for him alone, and is said to be; besides one
    # event at most that he was about to send when he was killed.
    at_bob, at_ada = (Counter(one.message for one in events(member)) for member in (bob, ada))
    alone = (at_bob - at_ada).total()
    counted = jam.stats().members[1].alone
    assert alone <= counted <= alone + 1, jam.stats().incidents
    missing = [(member.missing, member.alone, member.different) for member in jam.stats().members]
    assert missing == [(counted, 0, 0), (0, counted, 0), (counted, 0, 0)], jam.stats().incidents
    first = min(one.at_ns for one in bob.handed if one.at_ns > 5_600_000_000 and one.timetag_ns)
    assert first < 6_100_000_000, "sounding again within half a second"


def test_a_bridge_killed_for_long_is_silenced_everywhere_and_rebuilt_on_its_return() -> None:
    jam = Jam(seed=10)
    members = trio(jam, LAN)
    ada, bob, _ = members
    jam.at_s(4.0, lambda: jam.kill(bob))
    jam.at_s(12.0, lambda: jam.restart(bob))
    jam.play(bob, generated(3, seconds=2.0), 13.0)
    jam.run(20.0)
    freed = [one for one in ada.handed if one.message == freeing(2) and 4e9 < one.at_ns < 14e9]
    assert len(freed) == 1
    assert freed[0].at_ns < 14e9
    rebuilt = [one for one in ada.handed if b"sonic-pi-mixer" in one.message and one.at_ns > 12e9]
    assert len(rebuilt) == 1
    assert not [one for one in bob.handed if one.message == freeing(2) and one.at_ns > 4e9]
    assert assert_same(jam, *members, after_s=12.5) > 20
    assert jam.stats().divergent == 0, jam.stats().incidents


def node_of(message: bytes) -> int:
    """Return the node id that a message is about."""
    one = single_message(message)
    return int(one.arg(1 if one.address == "/s_new" else 0))


def freeing(slot: int) -> bytes:
    """Return the message that frees everything in a slot's root group."""
    return encode("/g_freeAll", slot << 26)


def test_a_member_that_leaves_is_reset_everywhere() -> None:
    jam = Jam(seed=11)
    ada, bob, cyd = trio(jam, LAN)
    for member in (ada, bob):
        jam.play(member, generated(3, seconds=4.0), MUSIC_AT_S)
    jam.at_s(5.0, lambda: jam.leave(bob))
    jam.run(12.0)
    for member in (ada, cyd):
        ends = [one for one in member.handed if one.message == freeing(2) and one.at_ns > 4e9]
        assert len(ends) == 1
        freed_ns = ends[0].timetag_ns or 0
        after = [one for one in events(member) if (one.timetag_ns or 0) > freed_ns]
        of_bob = [one for one in after if node_of(one.message) >> 26 == 2]
        assert all((one.timetag_ns or 0) < freed_ns + 1e9 for one in of_bob), "handed over before bob left"
        assert not any(one.message.startswith(b"/g_new") for one in of_bob), (
            "so there is nothing left to play in"
        )
    assert_same(jam, ada, cyd)
    assert [member.slot for member in jam.stats().members] == [1, 3]


def test_a_late_joiner_gets_the_live_states_and_then_plays_the_same() -> None:
    jam = Jam(seed=12)
    members = trio(jam, NETWORKS["hotel-wifi"])
    for index, member in enumerate(members):
        jam.play(member, generated(index, seconds=8.0), MUSIC_AT_S)
    volume = encode("/n_set", 6, "pre_amp", 0.3)
    jam.play(members[0], [Sent(0.0, volume, None)], MUSIC_AT_S + 1.0)
    jam.run(6.0)
    dan = jam.join("dan", LAN, wall_offset_s=5.0, rate_ppm=30.0)
    jam.play(dan, boot(), 6.6)
    jam.run(16.0)
    loaded_ns = next(one.at_ns for one in dan.handed if one.message.startswith(b"/d_loadDir"))
    for slot in (1, 2, 3):
        nodes = [(slot << 26) + node for node in (2, 3, 4, 5, 6)]
        built = [
            one
            for one in dan.handed
            if one.message.startswith((b"/g_new", b"/s_new")) and node_of(one.message) in nodes
        ]
        assert sorted(node_of(one.message) for one in built) == nodes, "each once"
        assert min(one.at_ns for one in built) > loaded_ns, "the mixer finds its synthdef"
        trees = [SynthTree().run(member.handed, 16_000_000_000).slot(slot) for member in (*members, dan)]
        assert trees.count(trees[0]) == 4
    messages = [one.message for one in dan.handed]
    node = (1 << 26) + 6
    mixer = next(at for at, m in enumerate(messages) if m.startswith(b"/s_new") and node_of(m) == node)
    assert messages[mixer + 1] == encode("/n_set", node, "pre_amp", 0.3)
    assert dan.handed[mixer + 1].follows, "in one bundle: it doesn't slide there"
    assert assert_same(jam, *members) > 200
    assert assert_same(jam, *members, dan, after_s=7.5) > 50
    assert_coherent(jam)
    assert jam.stats().members[3].seconds >= 5


def test_what_never_reaches_one_scsynth_is_named() -> None:
    jam = Jam(seed=13)
    members = trio(jam, LAN)
    music = notes(generated(4, seconds=3.0))
    lost = music[7].datagram[20:]
    for member in members:
        jam.play(member, music, MUSIC_AT_S)
    jam.run(3.0)
    assert members[1].playout is not None
    done: list[bytes] = []

    def swallow(payload: bytes) -> bool:
        if payload == lost and not done:
            done.append(payload)
            return True
        return False

    members[1].playout.swallow = swallow
    jam.run(12.0)
    room = jam.stats()
    assert [member.missing for member in room.members] == [0, 1, 0]
    assert room.divergent == 1
    assert any("missing at bob" in words and "sonic-pi-beep" in words for words in room.incidents)


def test_a_player_who_began_alone_plays_on_while_joining_a_room_of_another_time() -> None:
    jam = Jam(seed=14)
    ada = jam.join("ada", LAN, wall_offset_s=0.0)
    jam.play(ada, boot(), 0.5)
    jam.run(3.0)
    jam.relay.down = True
    bob = jam.join("bob", LAN, wall_offset_s=4.2, rate_ppm=40.0)
    bob.memory.slot = 2
    jam.start_alone(bob)
    jam.relay.down = False
    music = generated(1, seconds=6.0)
    jam.play(bob, boot(), 3.02)
    jam.play(bob, music, 5.5)
    jam.run(15.0)
    assert beeps(bob, 2) == own_ids(music)
    assert_in_time(jam, bob)
    assert assert_same(jam, ada, bob, after_s=6.0) > 40
    retimed = [event.kind for event in jam.judged if Flag.RETIMED in event.flags]
    assert retimed in ([], [Kind.RESET]), "the first word of the boot waits for the clock, and nothing else"


def test_one_broken_tcp_connection_is_mended_without_losing_an_event() -> None:
    jam = Jam(seed=15)
    members = trio(jam, LAN)
    music = [generated(index, seconds=4.0) for index in range(3)]
    for member, sent in zip(members, music, strict=True):
        jam.play(member, sent, MUSIC_AT_S)
    jam.at_s(5.0, lambda: jam.cut_control(members[2]))
    jam.run(12.0)
    for slot in (1, 2):
        assert beeps(members[2], slot) == beeps(members[0], slot)
    assert beeps(members[2], 3) == own_ids(music[2])
    assert assert_same(jam, *members, after_s=6.5) > 20
    assert jam.stats().members[2].missing == 0


def test_nothing_is_woken_more_often_than_there_is_to_do() -> None:
    jam = Jam(seed=16)
    members = trio(jam, LAN)
    jam.run(4.0)
    before = [member.wakeups for member in members]
    jam.run(14.0)
    for member, count in zip(members, before, strict=True):
        per_s = (member.wakeups - count) / 10.0
        assert per_s < 12, f"{member.name}: {per_s} wake-ups a second in silence"


@pytest.mark.parametrize("step_s", [2.0, -0.7])
def test_a_step_of_one_wall_clock_moves_nothing_of_the_others_by_a_millisecond(step_s: float) -> None:
    def played(stepped: bool) -> tuple[list[Member], dict[bytes, list[int]]]:
        jam = Jam(seed=17)
        members = trio(jam, LAN)
        for member in (members[0], members[2]):
            jam.play(member, notes(generated(5, seconds=4.0)), MUSIC_AT_S)
        if stepped:

            def step() -> None:
                members[1].wall_offset_ns += round(step_s * 1e9)

            jam.at_s(MUSIC_AT_S + 2.0, step)
        jam.run(12.0)
        assert not stepped or any(f"{step_s:+.2f} s" in text for text in members[1].told)
        instants: dict[bytes, list[int]] = {}
        for member in members:
            for one in events(member):
                if BEEP in one.message and one.timetag_ns is not None:
                    instants.setdefault(one.message, []).append(one.timetag_ns)
        return members, instants

    _, undisturbed = played(stepped=False)
    _, found = played(stepped=True)
    assert found.keys() == undisturbed.keys()
    assert len(found) > 60
    apart_ns = [
        abs(one - other)
        for message, instants in found.items()
        for one, other in zip(sorted(instants), sorted(undisturbed[message]), strict=True)
    ]
    assert max(apart_ns) < 1_000_000
