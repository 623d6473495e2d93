"""The journal: a bridge's memory survives its process, and is never read half-written."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.restart_state import LISTED_MAX, Memory
from bridge.shells.journal import BYTES, Journal
from relay.wire.errors import LocalError

U64 = st.integers(0, 2**64 - 1)
MEMORIES = st.builds(
    Memory,
    slot=st.none() | st.integers(1, 31),
    ticket=st.none() | st.binary(min_size=16, max_size=16),
    epoch=st.none() | st.binary(min_size=16, max_size=16),
    next_seq=U64,
    complete_number=U64,
    highest_number=U64,
    missing=st.lists(U64, max_size=LISTED_MAX).map(tuple),
    unconfirmed=st.lists(U64, max_size=LISTED_MAX).map(tuple),
)


@given(MEMORIES, st.none() | st.tuples(st.just("127.0.0.1"), st.integers(1, 65535)), st.booleans())
def test_what_is_written_is_found_again(
    tmp_path_factory,
    memory: Memory,
    client: tuple[str, int] | None,
    loaded: bool,
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal"
    journal = Journal(path)
    assert not journal.found
    journal.memory, journal.client = memory, client
    journal.synthdefs_loaded = loaded
    journal.write()
    again = Journal(path)
    assert again.found
    assert (again.memory, again.client) == (memory, client)
    assert again.synthdefs_loaded == loaded


def test_of_two_writings_the_newer_counts(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    for seq in range(1, 6):
        journal.memory.next_seq = seq
        journal.write()
        assert Journal(tmp_path / "journal").memory.next_seq == seq


def test_a_writing_that_was_cut_short_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    for seq in (7, 8):
        journal.memory.next_seq = seq
        journal.write()
    whole = path.read_bytes()
    for at in range(len(whole) // 2):  # the second writing went to the first half
        torn = whole[:at] + bytes(len(whole) // 2 - at) + whole[len(whole) // 2 :]
        path.write_bytes(torn)
        assert Journal(path).memory.next_seq in (7, 8)
    path.write_bytes(bytes(200) + whole[200:])
    assert Journal(path).memory.next_seq == 7


def test_an_empty_or_foreign_file_is_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b"JAM1" + bytes(BYTES - 4))
    assert not Journal(path).found
    assert Journal(path).memory == Memory()


def test_without_a_place_for_it_a_bridge_begins_all_the_same_and_is_told(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "gone" / "journal")
    assert not journal.found
    with pytest.raises(LocalError, match="No such file or directory; make room"):
        journal.write()


def test_a_file_that_a_full_disk_left_empty_is_made_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b"")
    Journal(path).write()
    assert path.stat().st_size == BYTES
    assert Journal(path).found
