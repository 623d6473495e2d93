"""Not heard: a bridge reports the notes that its scsynth could not play, and the files that it lacks for
them.

Pure.
"""

import re
from typing import Annotated

from msgspec import Meta, Struct

from relay.wire.control.family import Family
from relay.wire.control.fields import Slot
from relay.wire.control.report import Tally

MAX_UNHEARD = 64
"""Greatest number of entries in one message."""

_FILE_NAME = r"^(synthdefs|samples|buffers)/[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}\Z"
FileName = Annotated[str, Meta(pattern=_FILE_NAME)]
"""The name of a file of Sonic Pi, as in relay/wire/stock.py. Its characters are safe to print."""
Release = Annotated[str, Meta(pattern=r"^[A-Za-z0-9.\-]{0,32}\Z")]
"""A release of Sonic Pi that relay/wire/stock.py covers; "" for any other."""


class Unheard(Struct, frozen=True, kw_only=True):
    """Notes of one member that another member didn't hear because one file is missing.

    slot: the slot of the member who plays. name: the missing file. notes: how many since the last message.
    percent: how much of the file has come; None if it isn't being fetched.
    """

    slot: Slot
    name: FileName
    notes: Tally
    percent: Annotated[int, Meta(ge=0, le=100)] | None = None


class NotHeard(Struct, tag="not_heard", frozen=True, kw_only=True):
    """The notes that the sending bridge's scsynth didn't play since its last such message. At most one is
    sent a second.

    release: the release of the sender's Sonic Pi.
    """

    release: Release = ""
    of: Annotated[list[Unheard], Meta(max_length=MAX_UNHEARD)]


FAMILY = Family(up=(NotHeard,))


def is_file_name(name: str) -> bool:
    """Return whether a text is a valid `FileName`."""
    return re.match(_FILE_NAME, name) is not None
