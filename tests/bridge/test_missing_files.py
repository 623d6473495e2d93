"""A note whose synthdef or sample this host lacks is counted; its number and the file's name are reported."""

from pathlib import Path

import pytest

from bridge.effects import AskFiles, SendControl, Tell
from bridge.file_jobs import Found, Scan, Scanned
from bridge.scsynth.id_space import Origin
from bridge.scsynth.samples import ResourceFolders
from relay.wire.control import NotHeard, Unheard
from relay.wire.osc import bundle, encode, single_message
from relay.wire.sequence import Judged, Kind
from relay.wire.stock import STOCK, files_of
from tests.worlds.bridge import TAP, Bench, instant, judged, reading

KALIMBA, HAT = "synthdefs/sonic-pi-kalimba", "samples/hat_bdu.flac"
THREE = Scanned({one.name: one.sha256 for one in files_of("3.2.2")})
NO_SYNTHDEF = encode("/fail", "/s_new", "SynthDef not found")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return the bench of a bridge that has read the files of its Sonic Pi 3.2.2."""
    (tmp_path / "samples").mkdir()
    bench = Bench(ResourceFolders(tmp_path))
    bench.bridge.files_say(THREE)
    return bench


def play(number: int, synthdef: str, *controls: object) -> Judged:
    payload = encode("/s_new", synthdef, 100 + number, 0, 4, *controls)
    return judged(number, 2.0 + number / 10, payload, judged_s=1.5)


def take(bench: Bench, *events: Judged) -> None:
    for event in events:
        bench.playout.judged(event, reading(1.6))


def began(bench: Bench, number: int) -> None:
    node = Origin(2).node(100 + number)
    bench.bridge.synth_says(encode("/n_go", node, 1, -1, -1, 0))


def silent_numbers(bench: Bench) -> list[int]:
    ledger = bench.ledger
    return [number for second in ledger._seconds.values() for number in second.silent]


def outcome(bench: Bench, at_s: float = 4.0) -> tuple[list[str], list[NotHeard]]:
    """Return the sentences to the player and the messages to the relay."""
    effects = bench.bridge.stock.flush(at_s, in_room=True)
    said = [one.message for one in effects if isinstance(one, SendControl)]
    return [one.text for one in effects if isinstance(one, Tell)], [
        one for one in said if isinstance(one, NotHeard)
    ]


def test_the_folder_is_read_once_when_the_synthdefs_are_loaded(bench: Bench, tmp_path: Path) -> None:
    bench.playout.synthdefs_loaded()
    effects = bench.bridge.stock.flush(1.0, in_room=False)
    assert [one for one in effects if isinstance(one, AskFiles)] == [AskFiles(Scan(tmp_path))]


def test_a_synthdef_that_this_release_lacks_is_counted_and_named(bench: Bench) -> None:
    take(bench, play(1, "sonic-pi-beep"), play(2, "sonic-pi-kalimba"), play(3, "sonic-pi-kalimba"))
    bench.passes(1.6, 2.3, ready=3)
    began(bench, 1)
    for _ in range(2):
        bench.bridge.synth_says(NO_SYNTHDEF)
    bench.passes(2.3, 4.0)
    assert silent_numbers(bench) == [2, 3], "each once, although scsynth refused them too"
    assert outcome(bench) == (
        ["you didn't hear 2 notes of another's: your Sonic Pi 3.2.2 lacks kalimba"],
        [NotHeard(release="3.2.2", of=[Unheard(slot=2, name=KALIMBA, notes=2)])],
    )
    assert bench.counts()["synthdef_not_found"] == 2


def test_a_note_that_scsynth_refused_is_counted_and_named_though_the_file_is_there(bench: Bench) -> None:
    take(bench, play(1, "sonic-pi-beep"), play(2, "sonic-pi-prophet"), play(3, "sonic-pi-prophet"))
    bench.passes(1.6, 2.15, ready=3)
    began(bench, 1)
    bench.passes(2.15, 2.25)
    bench.bridge.synth_says(NO_SYNTHDEF)
    bench.passes(2.25, 4.0)
    assert silent_numbers(bench) == [2]
    ((text,), (said,)) = outcome(bench)
    assert "lacks prophet" in text
    assert said.of == [Unheard(slot=2, name="synthdefs/sonic-pi-prophet", notes=1)]


def test_a_sample_that_this_release_lacks_is_named_when_it_is_played(bench: Bench) -> None:
    load = encode("/b_allocRead", 7, HAT, 0, 0)
    take(
        bench,
        judged(1, 1.7, load, kind=Kind.RESOURCE, judged_s=1.5),
        play(2, "sonic-pi-basic_stereo_player", "buf", 7),
        play(3, "sonic-pi-basic_stereo_player", "buf", 8),
    )
    bench.passes(1.6, 4.0, ready=3)
    assert silent_numbers(bench) == [2, 3]
    _, (said,) = outcome(bench)
    assert said.of == [Unheard(slot=2, name=HAT, notes=1)], "buffer 8 may still be loaded"


def test_a_buffer_that_was_freed_lacks_no_file_any_more(bench: Bench) -> None:
    load, free = encode("/b_allocRead", 7, HAT, 0, 0), encode("/b_free", 7)
    take(
        bench,
        judged(1, 1.7, load, kind=Kind.RESOURCE, judged_s=1.5),
        judged(2, 1.8, free, kind=Kind.UNTIMED, judged_s=1.5),
        play(3, "sonic-pi-basic_stereo_player", "buf", 7),
    )
    bench.passes(1.6, 4.0, ready=3)
    assert silent_numbers(bench) == [3]
    assert outcome(bench) == ([], [])


def test_nothing_is_said_to_a_relay_that_is_away_and_all_of_it_later(bench: Bench) -> None:
    take(bench, play(1, "sonic-pi-kalimba"))
    bench.passes(1.6, 4.0, ready=1)
    away = bench.bridge.stock.flush(4.0, in_room=False)
    assert not any(isinstance(one, SendControl) for one in away)
    assert [one.of[0].notes for one in outcome(bench, 5.0)[1]] == [1]


def test_only_the_loads_of_a_file_that_came_are_carried_out(bench: Bench) -> None:
    cab = "samples/hat_cab.flac"
    take(
        bench,
        *(
            judged(at, 1.7, encode("/b_allocRead", 7 + at, name, 0, 0), kind=Kind.RESOURCE, judged_s=1.5)
            for at, name in ((1, HAT), (2, cab), (3, HAT))
        ),
    )
    bench.playout.drain()
    path = Path("/cache/hat.flac")
    bench.bridge.files_say(Found(STOCK[HAT][0], path, kept=True))
    bench.playout.release(reading(1.8), 3)
    loads = [single_message(one) for one in bench.playout.drain()]
    assert [(one.address, one.args[:2]) for one in loads] == [
        ("/b_allocRead", (Origin(2).buffer(number), str(path))) for number in (8, 10)
    ]


def test_a_failure_of_the_players_own_synth_is_put_down_to_nobody_elses_note(bench: Bench) -> None:
    own = bundle(instant(2.1), encode("/s_new", "misspelled", 500, 0, 4, "note", 60.0))
    take(bench, play(1, "sonic-pi-beep"))
    bench.bridge.tap(own, TAP, received_local_ns=reading(1.6).local_ns, reading=reading(1.6))
    bench.passes(1.6, 2.2, ready=1)
    bench.bridge.synth_says(NO_SYNTHDEF)
    bench.passes(2.2, 4.0)
    assert silent_numbers(bench) == []
    assert bench.counts().get("synthdef_not_found", 0) == 0
