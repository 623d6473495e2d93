"""Stock: bridges get each other's files of Sonic Pi through the relay, one chunk at a time.

Pure. Only files on the shipped list (relay/wire/stock.py) travel. A bridge asks for a chunk by `want`; the
relay passes the request to a donor by `give`; the donor's `chunk` goes back the same way.
"""

from typing import Annotated

from msgspec import Meta, Struct

from relay.wire.control.family import Family
from relay.wire.control.not_heard import FileName, Release

CHUNK_BYTES = 8192
"""Length of a chunk, bytes. The last chunk of a file may be shorter. A chunk keeps an uplink of 1 Mbit/s
busy for 66 ms."""
FILES_MAX = 512
"""Greatest number of files in one list. The shipped list has fewer."""

Sha256 = Annotated[bytes, Meta(min_length=32, max_length=32)]
Named = tuple[FileName, Sha256]
"""A file: its name (as in relay/wire/stock.py) and the sha256 of its content."""
Offset = Annotated[int, Meta(ge=0, lt=2**32)]
Files = Annotated[list[Named], Meta(max_length=FILES_MAX)]


class Holdings(Struct, tag="holdings", frozen=True, kw_only=True):
    """The stock files that a bridge has. It is sent after each Welcome and whenever it changes.

    release: the bridge has all files of this release except those in `without`; "" if `besides` lists all
    its files. besides: further files that it has. loaded: the synthdefs in its scsynth whose content differs
    between releases. gives: whether it offers its files to others.
    """

    release: Release = ""
    without: Annotated[list[FileName], Meta(max_length=FILES_MAX)] = []
    besides: Files = []
    loaded: Files = []
    gives: bool = True


class Want(Struct, tag="want", frozen=True, kw_only=True):
    """A bridge asks for the chunk of a file that begins at `offset`.

    spoiled: the bridge got the whole file before, but with another content. From now on the relay asks other
    donors.
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
    """The relay's answer to a request for a file that no connected member offers now. The bridge asks again
    later."""

    name: FileName
    sha256: Sha256


class Chosen(Struct, tag="chosen", frozen=True, kw_only=True):
    """The relay states which content the room plays, for synthdefs that differ between releases.

    files: one for each synthdef that is decided so far.
    """

    files: Files


StockNews = Give | Chunk | NoDonor | Chosen
"""The messages of a relay about files."""

FAMILY = Family(up=(Holdings, Want, Chunk), down=(Give, Chunk, NoDonor, Chosen))
