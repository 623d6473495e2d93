"""OSC: encodes messages, with the standard library alone, and sends one question to a scsynth.

The proof uses it, so it shares no code with the product. Decoding is in rehearsal.rigs.recording.
"""

import socket
import struct

from rehearsal.rigs.recording import Argument, parse_message

ANSWER_S = 5.0


def string(text: str) -> bytes:
    """Return an OSC string: zero-terminated, padded to four bytes."""
    raw = text.encode() + b"\0"
    return raw + bytes(-len(raw) % 4)


def message(address: str, *args: int | float | str | bytes, doubles: int = 0) -> bytes:
    """Return an encoded OSC message. Its type tags (i, f, s, b) follow from the arguments' types.

    doubles: this many arguments at the end are sent as doubles (d).
    """
    tags, values = ",", b""
    for at, arg in enumerate(args):
        if isinstance(arg, str):
            tags, values = tags + "s", values + string(arg)
        elif isinstance(arg, bytes):
            tags, values = tags + "b", values + struct.pack(">i", len(arg)) + arg + bytes(-len(arg) % 4)
        elif at >= len(args) - doubles:
            tags, values = tags + "d", values + struct.pack(">d", arg)
        elif isinstance(arg, int):
            tags, values = tags + "i", values + struct.pack(">i", arg)
        else:
            tags, values = tags + "f", values + struct.pack(">f", arg)
    return string(address) + string(tags) + values


def ask(port: int, question: bytes) -> tuple[str, tuple[Argument, ...]]:
    """Send a message to the scsynth at UDP `port`; return (address, arguments) of its answer.

    Raises OSError if no answer comes within ANSWER_S.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        sock.settimeout(ANSWER_S)
        sock.send(question)
        return parse_message(sock.recv(65_536))
