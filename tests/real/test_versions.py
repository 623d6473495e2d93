"""A synth and a sample that one member's Sonic Pi lacks are heard there once they have come from another.

Sonic Pi 3.2.2 alone can be installed here. So a copy of it without some files stands in for an older release:
bob's and cleo's copies lack a synth and a sample that anna's has. bob gets them, cleo joins with --no-fetch.
What a genuine 4.5.1 and a genuine 3.2.2 do together was measured by hand (docs/versions.md).
"""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rehearsal.rigs.jam import Jam
from rehearsal.rigs.machine import find_ruby_server
from rehearsal.rigs.performer import Performer
from rehearsal.rigs.stage import Stage

pytestmark = [pytest.mark.real, pytest.mark.unhurried]

SONIC_PI = Path("/usr/share/sonic-pi")
SYNTH, SAMPLE = "synthdefs/compiled/sonic-pi-tri.scsyndef", "samples/ambi_choir.flac"
PIECES = {
    "synth": "use_synth :tri\nplay 62, amp: 0.4, sustain: 2, release: 0.1",
    "sample": "sample :ambi_choir, amp: 0.8, attack: 0.1",
}
PIECE_S = 3.5
"""Time (s) for a piece: half a second of schedule-ahead, its sound, and its end."""
HEARD_S = (1.2, 1.9)
"""From and until when (s after Run) both pieces sound, whatever the lead and however slow the start."""
COMES_S = 8.0
"""Time (s) until the files have come: 105 kB at 1 Mbit/s take 0.9 s."""
SECOND_NS = 1_000_000_000
FAINTEST_DBFS, SILENT_DBFS = -50.0, -90.0


@dataclass(frozen=True, repr=False)
class Party:
    """What was measured. levels: piece -> listener -> dBFS, once the files have come. before, after: the
    statistics of the members when each piece had been played once, and at the end. told: name -> the lines of
    the member's bridge. kept: the names of the files in bob's cache."""

    levels: dict[str, dict[str, float]]
    before: dict[str, dict[str, Any]]
    after: dict[str, dict[str, Any]]
    told: dict[str, str]
    kept: list[str]
    unchanged: bool


def incomplete_sonic_pi(folder: Path) -> Path:
    """Copy the installed Sonic Pi without SYNTH and SAMPLE. Return the path of its Ruby server."""
    server = find_ruby_server()
    app = next(parent for parent in server.parents if parent.name == "app")
    shutil.copytree(app, folder / "app", symlinks=True)
    for kind in ("synthdefs", "samples", "buffers"):
        shutil.copytree(SONIC_PI / kind, folder / "etc" / kind)
    for name in (SYNTH, SAMPLE):
        (folder / "etc" / name).unlink()
    return folder / server.relative_to(app.parent)


def files_of(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def play(jam: Jam, piece: str) -> dict[str, float]:
    """Let anna play a piece; return the level at each sound card while it sounds."""
    from_ns = time.time_ns()
    jam.performers["anna"].run_code(PIECES[piece])
    jam.stage.play_for(PIECE_S)
    span = [from_ns + round(second * SECOND_NS) for second in HEARD_S]
    return {name: each.take.level_dbfs(*span) for name, each in jam.performers.items()}


def told_to(performer: Performer) -> str:
    return performer.log_text()


@pytest.fixture(scope="module")
def party(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Party]:
    folder = tmp_path_factory.mktemp("versions")
    older = folder / "older"
    server = incomplete_sonic_pi(older)
    before_files = files_of(older / "etc")
    with Stage() as stage:
        jam = Jam(
            stage, folder, ["anna", "bob", "cleo"],
            listened=True, fetchless=("cleo",), servers={"bob": server, "cleo": server},
        )  # fmt: skip
        jam.start_relay()
        jam.boot()
        for piece in PIECES:
            play(jam, piece)
        stage.play_for(COMES_S)
        before = jam.members()
        levels = {piece: play(jam, piece) for piece in PIECES}
        stage.play_for(2.0)
        told = {name: told_to(performer) for name, performer in jam.performers.items()}
        cache = jam.performers["bob"].home / ".cache/jamrelay/stock"
        yield Party(
            levels,
            before,
            jam.members(),
            told,
            sorted(path.suffix for path in cache.iterdir()),
            files_of(older / "etc") == before_files,
        )


def test_what_has_come_is_heard_as_loud_as_where_it_came_from(party: Party) -> None:
    for piece, heard in party.levels.items():
        assert heard["anna"] > FAINTEST_DBFS, piece
        assert heard["bob"] == pytest.approx(heard["anna"], abs=1.0), piece


def test_nothing_is_counted_as_not_heard_once_it_has_come(party: Party) -> None:
    before, after = party.before["bob"], party.after["bob"]
    assert before["counts"]["fetched"] == 2
    assert after["not_heard"] == before["not_heard"] <= 2
    assert after["silent_here"] == before["silent_here"]
    assert after["counts"].get("fetch_spoiled", 0) == after["counts"].get("fetch_refused", 0) == 0


def test_both_files_are_kept_in_our_cache_and_none_in_sonic_pis_folders(party: Party) -> None:
    assert party.kept == [".flac", ".scsyndef"]
    assert party.unchanged


def test_who_fetches_nothing_hears_nothing_of_it_and_both_ends_are_told(party: Party) -> None:
    for piece, heard in party.levels.items():
        assert heard["cleo"] < SILENT_DBFS, piece
    cleo = party.after["cleo"]
    assert cleo["not_heard"] == cleo["silent_here"] == 4
    (why,) = cleo["not_heard_why"]
    assert why.startswith("didn't hear 4 notes of anna's: its Sonic Pi 3.2.2 lacks ")
    assert {"tri", "ambi_choir"} == set(why.partition(" lacks ")[2].split(", "))
    assert cleo["counts"]["synthdef_not_found"] == 2
    assert "you didn't hear 1 note of anna's" in party.told["cleo"]
    assert "cleo doesn't hear 1 note of yours" in party.told["anna"]
