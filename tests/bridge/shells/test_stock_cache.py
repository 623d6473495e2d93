"""Stock cache: what is found in it is whole and right, and it never grows beyond its limit."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.shells import stock_cache
from bridge.shells.stock_cache import StockCache
from relay.wire.stock import STOCK, StockFile

NAMES = [name for name in STOCK if name.startswith("samples/")]


def a_file(number: int, size: int = 100) -> tuple[StockFile, bytes]:
    content = bytes([number]) * size
    file = STOCK[NAMES[number]][0]
    return replace(file, sha256=hashlib.sha256(content).digest(), size=size), content


def test_what_is_kept_is_found_with_its_content(tmp_path: Path) -> None:
    cache = StockCache(tmp_path / "new" / "folder")
    file, content = a_file(1)
    assert cache.find(file) is None
    path = cache.keep(file, content)
    assert path is not None
    assert path.suffix == ".flac", "libsndfile may look at it"
    assert cache.find(file) == (path, content)
    assert [one.name for one in path.parent.iterdir()] == [path.name], "nothing unfinished is left"


@pytest.mark.parametrize("harm", [b"", b"x", bytes([1]) * 99, bytes([2]) * 100])
def test_a_file_with_another_content_is_removed_and_not_found(tmp_path: Path, harm: bytes) -> None:
    cache = StockCache(tmp_path)
    file, content = a_file(1)
    path = cache.keep(file, content)
    assert path is not None
    path.write_bytes(harm)
    assert cache.find(file) is None
    assert not path.exists()


def test_the_file_used_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = StockCache(tmp_path, bytes_max=300)
    files = [a_file(number) for number in range(4)]
    for age, (file, content) in enumerate(files[:3]):
        path = cache.keep(file, content)
        assert path is not None
        os.utime(path, (1000 + age, 1000 + age))
    assert cache.find(files[0][0]) is not None, "it is used now"
    cache.keep(*files[3])
    assert [cache.find(file) is not None for file, _ in files] == [True, False, True, True]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 300


def test_a_folder_that_can_not_be_written_keeps_nothing_and_raises_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, no folder")
    cache = StockCache(tmp_path / "taken")
    file, content = a_file(1)
    assert cache.keep(file, content) is None
    assert cache.find(file) is None
    assert cache.files() == frozenset()


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(stock_cache.os, "replace", fail)
    file, content = a_file(1)
    assert StockCache(tmp_path).keep(file, content) is None
    assert list(tmp_path.iterdir()) == []


def test_files_lists_only_what_is_on_the_list_and_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one, content), (other, _) = a_file(1), a_file(2)
    monkeypatch.setattr(stock_cache, "STOCK", {one.name: (one,), other.name: (other,)})
    cache = StockCache(tmp_path)
    cache.keep(one, content)
    cache.keep(other, b"harmed")
    (tmp_path / "stranger.flac").write_bytes(b"x")
    assert cache.files() == {one}
