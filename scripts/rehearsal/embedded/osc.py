"""OSC messages encoded, with the standard library alone: what the stand-ins say.

Pure. Decoding is rehearsal.rigs.recording's.
"""

import struct


def string(text: str) -> bytes:
    """Return an OSC string: zero-terminated, padded to four bytes."""
    raw = text.encode() + b"\0"
    return raw + bytes(-len(raw) % 4)


def message(address: str, *args: int | float | str, doubles: int = 0) -> bytes:
    """Return a message whose types follow from the arguments' (i, f, s); the last `doubles` are d."""
    tags, values = ",", b""
    for at, arg in enumerate(args):
        if isinstance(arg, str):
            tags, values = tags + "s", values + string(arg)
        elif at >= len(args) - doubles:
            tags, values = tags + "d", values + struct.pack(">d", arg)
        elif isinstance(arg, int):
            tags, values = tags + "i", values + struct.pack(">i", arg)
        else:
            tags, values = tags + "f", values + struct.pack(">f", arg)
    return string(address) + string(tags) + values
