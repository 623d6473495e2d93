"""Stock: bridges get each other's files of Sonic Pi through the relay, one chunk at a time.

Pure. Only files on the shipped list (relay/wire/stock.py) travel. A bridge asks for a chunk by `want`; the
relay passes the request to a donor by `give`; the donor's `chunk` goes back the same way.
"""

from typing import Annotated

from msgspec import Meta, Struct

from relay.wire.control.family import Family
from relay.wire.control.not_heard import FileName, Release

CHUNK_BYTES = 8192
"""Length of every chunk of a file but the last, in bytes. It keeps an uplink of 1 Mbit/s busy for 66 ms."""
FILES_MAX = 512
"""Greatest number of files in one list. The shipped list has fewer."""

Sha256 = Annotated[bytes, Meta(min_length=32, max_length=32)]
Named = tuple[FileName, Sha256]
"""A file: its travelling name and the sha256 of its content."""
Offset = Annotated[int, Meta(ge=0, lt=2**32)]
Files = Annotated[list[Named], Meta(max_length=FILES_MAX)]


class Holdings(Struct, tag="holdings", frozen=True, kw_only=True):
    """The stock files that a bridge has. It is sent after each Welcome and whenever it changes.

    release: the bridge has all files of this release, but for `without`; "": none. besides: further files
    that it has. loaded: the contents of those synthdefs in its scsynth that differ between releases. gives:
    whether it gives its files to others.
    """

    release: Release = ""
    without: Annotated[list[FileName], Meta(max_length=FILES_MAX)] = []
    besides: Files = []
    loaded: Files = []
    gives: bool = True


class Want(Struct, tag="want", frozen=True, kw_only=True):
    """A bridge asks for the chunk of a file that begins at `offset`.

    spoiled: the file that it got before had another content. The relay asks other donors from now on.
    """

    name: FileName
    sha256: Sha256
    offset: Offset
    spoiled: bool = False


class Give(Struct, tag="give", frozen=True, kw_only=True):
    """The relay asks a donor for the chunk of a file that begins at `offset`."""

    name: FileName
    sha256: Sha256
    offset: Offset


class Chunk(Struct, tag="chunk", frozen=True, kw_only=True):
    """A chunk of a file: from a donor to the relay, and from the relay to those who asked for it.

    data: empty if the donor has no such file any more.
    """

    name: FileName
    sha256: Sha256
    offset: Offset
    data: Annotated[bytes, Meta(max_length=CHUNK_BYTES)]


class NoDonor(Struct, tag="no_donor", frozen=True, kw_only=True):
    """The relay says that nobody present gives this file now. A bridge asks again later."""

    name: FileName
    sha256: Sha256


class Chosen(Struct, tag="chosen", frozen=True, kw_only=True):
    """The relay says which contents the room plays, of synthdefs that differ between releases.

    files: all that are decided so far.
    """

    files: Files


StockNews = Give | Chunk | NoDonor | Chosen
"""The messages of a relay about files."""

FAMILY = Family(up=(Holdings, Want, Chunk), down=(Give, Chunk, NoDonor, Chosen))
