"""Loads: the readable part of the member's own live state is used. Others' loads wait for the synthdefs."""

from pathlib import Path

from bridge.playout.holdback_queue import Held
from bridge.playout.playout import Playout
from bridge.scsynth.id_space import Origin
from bridge.scsynth.samples import ResourceFolders
from relay.wire.meaning import Meaning
from relay.wire.osc import encode, single_message
from relay.wire.sequence import Kind
from tests.worlds.bridge import Bench


def test_a_record_that_names_no_buffer_is_counted_and_the_others_are_taken() -> None:
    playout: Playout = Bench().playout
    loads = playout._loads
    own = Origin(1)
    for load in (encode("/b_alloc"), encode("/b_alloc", 10**6, 64), encode("/b_alloc", 3, 64)):
        loads.loaded_before(Meaning(load), own)
    assert loads.buffers.loaded == {own.buffer(3)}
    assert playout._accounts.counts.refused.total() == 2


def sonic_pi(root: Path) -> Path:
    """Make a Sonic Pi's folder with one sample, and return the folder of its synthdefs."""
    (root / "samples").mkdir(parents=True)
    (root / "samples" / "ours.wav").write_bytes(bytes(64))
    return root / "synthdefs" / "compiled"


def booting(tmp_path: Path) -> tuple[Bench, ResourceFolders]:
    """Return a bench whose Sonic Pi hasn't loaded its synthdefs yet. Nobody knows where its files are."""
    bench = Bench(folders := ResourceFolders(tmp_path / "another"))
    bench.playout._loads.buffers.synthdefs_loaded = False
    return bench, folders


OTHER = Origin(2)


def load(bench: Bench, buffer: int = 3, number: int = 1) -> None:
    meaning = Meaning(encode("/b_allocRead", buffer, "samples/ours.wav", 0, 0))
    bench.playout._loads.load(meaning, OTHER, number)


def test_a_load_of_anothers_that_comes_before_the_synthdefs_waits_until_it_is_known_where_samples_are(
    tmp_path: Path,
) -> None:
    bench, folders = booting(tmp_path)
    load(bench)
    assert bench.playout.drain() == []
    folders.learn(str(sonic_pi(tmp_path / "here")))
    bench.playout.synthdefs_loaded()
    here = str(tmp_path / "here" / "samples" / "ours.wav")
    assert bench.playout.drain() == [encode("/b_allocRead", OTHER.buffer(3), here, 0, 0)]
    bench.playout.synthdefs_loaded()
    assert bench.playout.drain() == [], "once"


def test_a_load_that_waits_is_forgotten_with_its_buffer(tmp_path: Path) -> None:
    bench, folders = booting(tmp_path)
    for buffer, number in ((3, 1), (4, 8), (5, 7)):
        load(bench, buffer, number)
    freed = Held(0, 2, 3, Kind.UNTIMED, Meaning(encode("/b_free", 4)), number=9)
    bench.playout._loads.handed_over(freed, OTHER)
    bench.playout._loads.free(2, 6, 0)
    folders.learn(str(sonic_pi(tmp_path / "here")))
    bench.playout.synthdefs_loaded()
    assert [single_message(one).arg(0) for one in bench.playout.drain()] == [OTHER.buffer(5)]
