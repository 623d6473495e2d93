"""Stock files: the shell reads Sonic Pi's folders while music plays, whatever is in them."""

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.file_jobs import Answer, Find, Found, Job, Keep, Part, ReadPart, Scan, Scanned
from bridge.shells.stock_files import StockFiles
from relay.wire.stock import STOCK, StockFile


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("samples/bd_haus.flac", "samples/mine.flac", "samples/README.md", "buffers/rand-stream.wav"):
        _write(tmp_path / name)
    _write(tmp_path / "synthdefs/compiled/sonic-pi-beep.scsyndef")
    _write(tmp_path / "synthdefs/compiled/README")
    (tmp_path / "synthdefs/compiled/folder.scsyndef").mkdir()
    return tmp_path


def _write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(path.name.encode())


async def answers_to(cache: Path, *jobs: Job) -> list[Answer]:
    answers: list[Answer] = []
    files = StockFiles(cache, answers.append)
    for job in jobs:
        files.do(job)
    for _ in range(500):
        if len(answers) == len(jobs):
            break
        await asyncio.sleep(0.01)
    files.close()
    return answers


async def test_a_scan_finds_stock_names_and_every_synthdef_with_their_hashes(root: Path) -> None:
    (answer,) = await answers_to(root / "cache", Scan(root))
    assert isinstance(answer, Scanned)
    assert answer.found == {
        name: hashlib.sha256(content).digest()
        for name, content in (
            ("samples/bd_haus.flac", b"bd_haus.flac"),
            ("buffers/rand-stream.wav", b"rand-stream.wav"),
            ("synthdefs/sonic-pi-beep", b"sonic-pi-beep.scsyndef"),
        )
    }


async def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert await answers_to(tmp_path / "cache", Scan(tmp_path / "nowhere")) == [Scanned({})]


def stock_like(name: str, content: bytes) -> StockFile:
    """Return the stock file of that name as it would be with another content."""
    return replace(STOCK[name][0], sha256=hashlib.sha256(content).digest(), size=len(content))


BEEP = stock_like("synthdefs/sonic-pi-beep", b"sonic-pi-beep.scsyndef")
HAUS = stock_like("samples/bd_haus.flac", b"bd_haus.flac")
OTHER = stock_like("samples/bd_haus.flac", b"another")


async def test_files_of_sonic_pi_are_found_by_their_content_and_read_in_parts(root: Path) -> None:
    cache = root / "cache"
    jobs = [
        Find(BEEP, root), Find(HAUS, root), Find(OTHER, root), ReadPart(HAUS, root, 3, 4),
        ReadPart(OTHER, root, 0, 4), Find(HAUS, None),
    ]  # fmt: skip
    assert await answers_to(cache, *jobs) == [
        Found(BEEP, root / "synthdefs/compiled/sonic-pi-beep.scsyndef", b"sonic-pi-beep.scsyndef"),
        Found(HAUS, root / "samples/bd_haus.flac"),
        Found(OTHER, None),
        Part(HAUS, 3, b"haus"),
        Part(OTHER, 0, b""),
        Found(HAUS, None),
    ]


async def test_what_is_kept_is_found_and_given_and_sonic_pis_folder_stays_as_it_was(root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    cache = root.parent / "our-cache"
    kept, found, part = await answers_to(
        cache, Keep(OTHER, b"another"), Find(OTHER, root), ReadPart(OTHER, root, 0, 3)
    )
    assert isinstance(kept, Found)
    assert kept.kept
    assert kept.path is not None
    assert kept.path.parent == cache
    assert found == Found(OTHER, kept.path)
    assert part == Part(OTHER, 0, b"ano")
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
