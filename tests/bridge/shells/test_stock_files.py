"""Stock files: the shell reads Sonic Pi's folders beside the music, whatever is in them."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from bridge.file_jobs import Answer, Scan, Scanned
from bridge.shells.stock_files import StockFiles


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


async def answers_to(*jobs: Scan) -> list[Answer]:
    answers: list[Answer] = []
    files = StockFiles(answers.append)
    for job in jobs:
        files.do(job)
    for _ in range(500):
        if len(answers) == len(jobs):
            break
        await asyncio.sleep(0.01)
    files.close()
    return answers


async def test_a_scan_finds_stock_names_and_every_synthdef_with_their_hashes(root: Path) -> None:
    (answer,) = await answers_to(Scan(root))
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
    assert await answers_to(Scan(tmp_path / "nowhere")) == [Scanned({})]
