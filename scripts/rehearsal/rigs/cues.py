"""Cues: MIDI and OSC messages that are sent to a Sonic Pi at given instants of a program.

A cue file has a line for each message: seconds after the start of the run, address, arguments (numbers or
words). Empty lines and lines that begin with # are skipped.

    0.5 /midi:keys:0:1/note_on 60 100
    1.0 /osc-controller/fader 0.7
"""

from collections.abc import Iterable
from dataclasses import dataclass

from rehearsal.rigs.machine import StageError
from rehearsal.rigs.osc import message
from rehearsal.rigs.performer import Performer


@dataclass(frozen=True, slots=True)
class Cue:
    """One message to send to Sonic Pi. at_s: when to send it, in seconds after the start of the run."""

    at_s: float
    address: str
    arguments: tuple[int | float | str, ...]


def parse(lines: Iterable[str]) -> list[Cue]:
    """Return the cues of a file, in the order of their times. Raises ValueError, naming the line."""
    found = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            at_s, address = float(words[0]), words[1]
        except (ValueError, IndexError):
            raise ValueError(
                f"line {number}: {line.strip()!r}: expected SECONDS /ADDRESS ARGUMENTS"
            ) from None
        found.append(Cue(at_s, address, tuple(map(value_of, words[2:]))))
    return sorted(found, key=lambda cue: cue.at_s)


def value_of(word: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


def send(performer: Performer, cue: Cue) -> None:
    """Send a cue now, in the form in which Sonic Pi itself would receive it.

    With a /midi address it is sent as from Sonic Pi's MIDI reader, otherwise as from Sonic Pi's OSC cue port.
    """
    ports = performer.ports
    if ports is None:
        raise StageError(f"{performer.name}: not started, cannot send {cue.address}")
    if cue.address.startswith("/midi"):
        to, payload = ports.midi_in, message(cue.address, *cue.arguments)
    else:
        to = ports.server
        payload = message("/external-osc-cue", "127.0.0.1", ports.cues, cue.address, *cue.arguments)
    with performer.place.socket() as sock:
        sock.sendto(payload, ("127.0.0.1", to))
