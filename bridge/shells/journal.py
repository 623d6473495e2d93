"""Journal: a bridge's restart state in a small file mapped into memory.

A shell. Writing needs no system call, so even `kill -9` loses only a record that is being written. The first
bridge process makes the file in the join's folder, and the file lives as long as that folder.
"""

import mmap
import struct
import zlib
from pathlib import Path
from typing import Any

from bridge.restart_state import LISTED_MAX, Memory
from relay.wire.errors import LocalError

_LAYOUT = struct.Struct(f"<4sQB?16s?16sQQ4sH?QBB{LISTED_MAX}Q{LISTED_MAX}QI")
"""The layout of a record. It begins with magic bytes and the record's number, and ends with a checksum."""
_CHECKSUM_BYTES = 4
_MAGIC = b"JAM5"
BYTES = 4096
_HALF = BYTES // 2
"""Bytes for each of two records, which are written in turn. A process that is killed while it writes one
leaves the other intact."""


class Journal:
    """The restart state of one bridge, in a file."""

    def __init__(self, path: Path) -> None:
        """Open the journal's file, or make an empty one. If that fails, `write` raises an error later."""
        self._trouble: LocalError | None = None
        try:
            # In full size at once: a later write to a page without room on the disk would kill the process.
            if not path.exists() or path.stat().st_size < BYTES:
                path.write_bytes(bytes(BYTES))
            with path.open("r+b") as file:
                self._map = mmap.mmap(file.fileno(), BYTES)
        except OSError as error:
            self._map = mmap.mmap(-1, BYTES)
            self._trouble = LocalError(
                f"can't keep {path}: {error.strerror}; make room: a bridge that dies now comes back as a "
                "new member, and its old place is away for a while"
            )
        self.client: tuple[str, int] | None = None
        """The address of Sonic Pi's socket; None before its first message."""
        self.synthdefs_loaded = False
        self.memory = Memory()
        self._writing = 0
        self.found = self._read()
        """Whether a previous bridge process has left a record."""

    def write(self) -> None:
        """Write the state to the file. Raises LocalError, in words for the player, if the file couldn't be
        opened."""
        if self._trouble is not None:
            raise self._trouble
        memory = self.memory
        host, port = self.client or ("0.0.0.0", 0)
        self._writing += 1
        record = _LAYOUT.pack(
            _MAGIC,
            self._writing,
            memory.slot or 0,
            memory.ticket is not None,
            memory.ticket or bytes(16),
            memory.epoch is not None,
            memory.epoch or bytes(16),
            memory.next_seq,
            memory.complete_number,
            bytes(int(part) for part in host.split(".")),
            port,
            self.synthdefs_loaded,
            memory.highest_number,
            len(memory.missing),
            len(memory.unconfirmed),
            *_padded(memory.missing),
            *_padded(memory.unconfirmed),
            0,
        )[:-_CHECKSUM_BYTES]
        at = self._writing % 2 * _HALF
        self._map[at : at + _LAYOUT.size] = record + zlib.crc32(record).to_bytes(_CHECKSUM_BYTES, "little")

    def _read(self) -> bool:
        """Read the newer of the intact records into the attributes. Return False if there is no intact
        record."""
        records = [bytes(self._map[at : at + _LAYOUT.size]) for at in (0, _HALF)]
        whole = [values for record in records if (values := _values(record)) is not None]
        if not whole:
            return False
        _, writing, slot, has_ticket, ticket, has_epoch, epoch, next_seq, complete, *rest = max(
            whole, key=lambda values: values[1]
        )
        ip, port, loaded, highest, missing, unconfirmed, *listed = rest
        self._writing = writing
        self.memory = Memory(
            slot=slot or None,
            ticket=ticket if has_ticket else None,
            epoch=epoch if has_epoch else None,
            next_seq=next_seq,
            complete_number=complete,
            highest_number=highest,
            missing=tuple(listed[:missing]),
            unconfirmed=tuple(listed[LISTED_MAX : LISTED_MAX + unconfirmed]),
        )
        self.client = (".".join(str(byte) for byte in ip), port) if port else None
        self.synthdefs_loaded = loaded
        return True


def _padded(numbers: tuple[int, ...]) -> list[int]:
    return [*numbers, *[0] * (LISTED_MAX - len(numbers))]


def _values(record: bytes) -> tuple[Any, ...] | None:
    """Return the fields of a record; None if it is incomplete or no record."""
    checksum = int.from_bytes(record[-_CHECKSUM_BYTES:], "little")
    if record[:4] != _MAGIC or zlib.crc32(record[:-_CHECKSUM_BYTES]) != checksum:
        return None
    return _LAYOUT.unpack(record)
