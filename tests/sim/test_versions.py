"""Versions in one room: what one member's Sonic Pi lacks comes from another, and then is heard like the rest.

In virtual time, over networks: the real cores of bridge and relay, virtual disks and synthesizers.
"""

from random import Random

import pytest
from laboratory.virtual.host import Member
from laboratory.virtual.jam import Jam
from laboratory.virtual.traffic import Sent

from relay.wire.control.stock import CHUNK_BYTES
from relay.wire.osc import bundle, encode, single_message
from relay.wire.stats import MemberStats
from relay.wire.timetag import ticks
from tests.worlds.networks import NETWORKS
from tests.worlds.stock import Disk, with_content
from tests.worlds.traffic import boot

pytestmark = pytest.mark.computes

LAN, WIFI = NETWORKS["studio-lan"], NETWORKS["hotel-wifi"]
MUSIC_AT_S = 4.0
KALIMBA = Random(1).randbytes(3504)
BEAT = Random(2).randbytes(12 * CHUNK_BYTES + 700)
OLD_PULSE, NEW_PULSE = Random(3).randbytes(2000), Random(4).randbytes(2004)


def notes(synthdef: str, seconds: float, first_id: int, *controls: str | int | float) -> list[Sent]:
    """Return the datagrams of a note every quarter of a second, sent half a second ahead."""
    return [
        Sent(
            at_s := number / 4,
            bundle(0x8000_0000_0000_0002, encode("/s_new", synthdef, first_id + number, 0, 4, *controls)),
            ticks(at_s + 0.5),
        )
        for number in range(round(4 * seconds))
    ]


def join(jam: Jam, name: str, disk: Disk, at_s: float, network: object = LAN) -> Member:
    member = jam.join(name, network)
    member.disk = disk
    jam.play(member, boot(), at_s)
    return member


def received(member: Member) -> list[bytes]:
    """Return the synthdefs that a member's scsynth was sent."""
    messages = [single_message(one.message) for one in member.handed if one.message.startswith(b"/d_recv")]
    return [message.arg(0) for message in messages]


def loads_of(member: Member, path: str) -> int:
    return sum(path.encode() in one.message for one in member.handed if one.message.startswith(b"/b_alloc"))


def stats(jam: Jam, name: str) -> MemberStats:
    return next(member for member in jam.stats().members if member.name == name)


def not_heard(jam: Jam, member: Member, run_s: float) -> int:
    """Run the jam; return how many notes the member didn't hear in the meantime for lack of files."""
    before = stats(jam, member.name).not_heard
    jam.run(run_s)
    return stats(jam, member.name).not_heard - before


@pytest.mark.parametrize(("network", "most"), [(LAN, 0), (WIFI, 8)], ids=["lan", "wifi"])
def test_a_synthdef_of_4_5_is_heard_by_a_3_2_from_its_first_note_or_soon_after(
    network: object, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file,) = with_content(monkeypatch, "synthdefs/sonic-pi-kalimba", KALIMBA)
    jam = Jam(seed=5)
    old = join(jam, "old", Disk("3.2.2"), 1.0, network)
    new = join(jam, "new", Disk("4.5.1", {file: KALIMBA}), 1.1, network)
    jam.play(new, notes("sonic-pi-kalimba", 12.0, 1000), MUSIC_AT_S)
    jam.run(MUSIC_AT_S + 6.0)
    assert received(old) == [KALIMBA]
    assert received(new) == []
    unheard = stats(jam, "old").not_heard
    assert unheard <= most
    assert not_heard(jam, old, MUSIC_AT_S + 14.0) == 0
    assert stats(jam, "new").not_heard == 0
    assert any("kalimba has come" in line for line in old.told)
    assert any("lacks kalimba" in line for line in old.told) is (unheard > 0)
    assert any("old doesn't hear" in line for line in new.told) is (unheard > 0)


def test_a_synthdef_of_a_note_that_sounds_at_a_join_is_asked_for_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (file,) = with_content(monkeypatch, "synthdefs/sonic-pi-kalimba", KALIMBA)
    jam = Jam(seed=8)
    new = join(jam, "new", Disk("4.5.1", {file: KALIMBA}), 1.1)
    jam.play(new, notes("sonic-pi-kalimba", 0.25, 1000, "sustain", 60.0), MUSIC_AT_S)
    jam.run(MUSIC_AT_S + 3.0)
    old = join(jam, "old", Disk("3.2.2"), MUSIC_AT_S + 3.2)
    jam.run(MUSIC_AT_S + 9.0)
    assert received(old) == [KALIMBA]


def test_a_sample_of_4_5_is_loaded_from_the_cache_when_it_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = with_content(monkeypatch, "samples/arovane_beat_a.flac", BEAT)
    jam = Jam(seed=6)
    disk = Disk("3.2.2")
    old = join(jam, "old", disk, 1.0)
    new = join(jam, "new", Disk("4.5.1", {file: BEAT}), 1.1)
    root = "/usr/share/sonic-pi/samples/arovane_beat_a.flac"
    jam.play(new, [Sent(0.0, encode("/b_allocRead", 7, root, 0, 0), None)], MUSIC_AT_S - 0.5)
    jam.play(new, notes("sonic-pi-stereo_player", 12.0, 1000, "buf", 7), MUSIC_AT_S)
    jam.run(MUSIC_AT_S + 6.0)
    assert disk.cache == {file: BEAT}
    assert loads_of(old, str(disk.path(file))) == 1
    assert loads_of(old, root) == 0
    assert not_heard(jam, old, MUSIC_AT_S + 14.0) == 0


def test_what_a_hostile_donor_gives_is_neither_played_nor_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = with_content(monkeypatch, "synthdefs/sonic-pi-kalimba", KALIMBA)
    jam = Jam(seed=7)
    disk, evil = Disk("3.2.2"), Disk("4.5.1", {file: KALIMBA})
    evil.lies[file] = b"evil" * (file.size // 4)
    old = join(jam, "old", disk, 1.0)
    join(jam, "evil", evil, 1.1)
    jam.run(3.0)
    new = join(jam, "new", Disk("4.5.1", {file: KALIMBA}), 1.2)
    jam.play(new, notes("sonic-pi-kalimba", 10.0, 1000), MUSIC_AT_S)
    jam.run(MUSIC_AT_S + 8.0)
    assert received(old) == [KALIMBA]
    assert disk.cache == {file: KALIMBA}
    assert stats(jam, "old").counts["fetch_spoiled"] >= 1


def test_a_file_that_only_a_hostile_donor_has_stays_missing_and_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (file,) = with_content(monkeypatch, "synthdefs/sonic-pi-kalimba", KALIMBA)
    jam = Jam(seed=8)
    evil = Disk("4.5.1", {file: KALIMBA})
    evil.lies[file] = b"evil" * (file.size // 4)
    old = join(jam, "old", Disk("3.2.2"), 1.0)
    liar = join(jam, "liar", evil, 1.1)
    jam.play(liar, notes("sonic-pi-kalimba", 8.0, 1000), MUSIC_AT_S)
    jam.run(MUSIC_AT_S + 10.0)
    assert received(old) == []
    assert stats(jam, "old").not_heard == 32
    assert any("nobody here gives kalimba" in line for line in old.told)


def test_what_came_in_one_jam_is_there_from_the_first_note_of_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (file,) = with_content(monkeypatch, "synthdefs/sonic-pi-kalimba", KALIMBA)
    disk = Disk("3.2.2")
    disk.cache[file] = KALIMBA
    jam = Jam(seed=9)
    old = join(jam, "old", disk, 1.0)
    new = join(jam, "new", Disk("4.5.1", {file: KALIMBA}), 1.1)
    jam.play(new, notes("sonic-pi-kalimba", 4.0, 1000), MUSIC_AT_S)
    jam.run(MUSIC_AT_S + 6.0)
    assert received(old) == [KALIMBA]
    assert stats(jam, "old").not_heard == 0
    assert "fetched" not in stats(jam, "old").counts


@pytest.mark.parametrize("first", ["old", "new"])
def test_a_synthdef_that_differs_is_the_one_of_who_plays_it_first_for_all(
    first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newer = with_content(monkeypatch, "synthdefs/sonic-pi-pulse", OLD_PULSE, NEW_PULSE)
    jam = Jam(seed=10)
    old = join(jam, "old", Disk("3.2.2", {older: OLD_PULSE}), 1.0)
    new = join(jam, "new", Disk("4.5.1", {newer: NEW_PULSE}), 1.1)
    one, other = (old, new) if first == "old" else (new, old)
    jam.play(one, notes("sonic-pi-pulse", 12.0, 1000), MUSIC_AT_S)
    jam.play(other, notes("sonic-pi-pulse", 11.0, 2000), MUSIC_AT_S + 1.0)
    jam.run(MUSIC_AT_S + 6.0)
    assert received(other) == [OLD_PULSE if first == "old" else NEW_PULSE]
    assert received(one) == []
    assert not_heard(jam, other, MUSIC_AT_S + 14.0) == 0
    assert stats(jam, one.name).not_heard == 0


def test_the_music_is_the_same_and_as_early_with_a_fetch_as_without(monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = with_content(monkeypatch, "samples/arovane_beat_a.flac", BEAT * 10)

    def margins(*, fetches: bool) -> tuple[float, int]:
        jam = Jam(seed=11)
        old = join(jam, "old", Disk("3.2.2"), 1.0, WIFI)
        new = join(jam, "new", Disk("4.5.1", {file: BEAT * 10}), 1.1, WIFI)
        root = "/usr/share/sonic-pi/samples/arovane_beat_a.flac"
        if fetches:
            jam.play(new, [Sent(0.0, encode("/b_allocRead", 7, root, 0, 0), None)], MUSIC_AT_S - 0.5)
        jam.play(new, notes("sonic-pi-beep", 10.0, 1000), MUSIC_AT_S)
        jam.play(old, notes("sonic-pi-beep", 10.0, 1000), MUSIC_AT_S)
        jam.run(MUSIC_AT_S + 12.0)
        room = jam.stats()
        assert room.divergent == 0
        assert (stats(jam, "old").counts.get("fetched", 0) == 1) is fetches
        return min(member.margin_ms_worst or 0.0 for member in room.members), room.retimed

    assert margins(fetches=True) == margins(fetches=False)
