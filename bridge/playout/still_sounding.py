"""Still sounding: what remains of a note that began before this host could play it.

Pure. Sonic Pi's notes have an envelope of four parts: attack, decay, sustain and release. A note that sounds
for more than WORTH longer is built with the parts that remain, from the level at which it stands. So the note
ends by itself, at the same instant as at the other members. Three kinds of note are not built: samples, notes
of synthdefs without such an envelope, and notes whose beginning is unknown. Two simplifications: between two
points of the envelope the level follows a straight line. If a note is still in its attack, decay and sustain
become one straight line.
"""

from typing import NamedTuple

from relay.wire.arguments import FIRST_CONTROL
from relay.wire.errors import RemoteError
from relay.wire.live.tree import Node
from relay.wire.meaning import Meaning
from relay.wire.osc import Message, encode
from relay.wire.stock import Envelope, envelope_of
from relay.wire.timetag import seconds

WORTH_S = 1.0
"""A note that ends within this time (s) isn't built."""
GREATEST = 1e6
"""A note with a longer part (s) or a greater level isn't built. Sums of such floats don't fit a message."""
_SOFT_S = 0.005
"""Attack (s) of a note that is built in its middle. Without an attack the note would click."""
_SAME_AS_SUSTAIN = -1.0


class Part(NamedTuple):
    """One part of an envelope: a straight line to the level `to` in `lasts` seconds."""

    lasts: float
    to: float


def rest_of(note: Node, at: int) -> Node | None:
    """Return the note as it must be built at the session instant `at`; None if it isn't worth building."""
    try:
        meaning = Meaning(note.payload)
        envelope = _envelope(meaning)
        parts = [] if envelope is None else _parts(envelope)
    except RemoteError:
        return None
    gone_s = seconds(at - note.due)
    if not parts or not note.due or gone_s < 0 or sum(part.lasts for part in parts) - gone_s <= WORTH_S:
        return None
    rest = Node(note.id, _with(meaning.message, _rest(parts, gone_s)), due=note.due, seq=note.seq,
                is_group=False, is_note=True)  # fmt: skip
    rest.settings, rest.runs = note.settings, note.runs
    return rest


def _rest(parts: list[Part], gone_s: float) -> Envelope:
    """Return the envelope of what remains of a note that began `gone_s` seconds ago. parts: its four
    parts."""
    level, left_s, rest = 0.0, gone_s, list(parts)
    while left_s >= rest[0].lasts:
        level, left_s = rest[0].to, left_s - rest[0].lasts
        del rest[0]
    level += (rest[0].to - level) * left_s / rest[0].lasts
    rest[0] = Part(rest[0].lasts - left_s, rest[0].to)
    release = rest.pop()
    if len(rest) == 3:  # still in its attack
        rest[1:] = [Part(rest[1].lasts + rest[2].lasts, rest[2].to)]
    while len(rest) < 2:
        rest.insert(0, Part(0.0, level))
    decay, sustain = rest
    return Envelope(
        attack=_SOFT_S,
        decay=decay.lasts,
        sustain=sustain.lasts,
        release=release.lasts,
        attack_level=level,
        decay_level=decay.to,
        sustain_level=sustain.to,
    )


def _envelope(meaning: Meaning) -> Envelope | None:
    """Return the envelope of a note; None if the note has no envelope, or if its values aren't known."""
    default = envelope_of(meaning.synthdef)
    if default is None:
        return None
    message = meaning.message
    given = dict(zip(message.args[FIRST_CONTROL::2], message.args[FIRST_CONTROL + 1 :: 2], strict=False))
    values: dict[str, float] = {}
    for name in ("attack", "decay", "sustain", "release", "attack_level", "decay_level", "sustain_level"):
        value = given.get(name, getattr(default, name))
        if not isinstance(value, int | float):  # it follows a bus
            return None
        values[name] = float(value)
    if values["decay_level"] == _SAME_AS_SUSTAIN:
        values["decay_level"] = values["sustain_level"]
    if min(values.values()) < 0 or max(values.values()) > GREATEST:  # NaN can't pass the guard
        return None
    return Envelope(**values)


def _parts(envelope: Envelope) -> list[Part]:
    return [
        Part(envelope.attack, envelope.attack_level),
        Part(envelope.decay, envelope.decay_level),
        Part(envelope.sustain, envelope.sustain_level),
        Part(envelope.release, 0.0),
    ]


def _with(message: Message, envelope: Envelope) -> bytes:
    """Return a note's message with `envelope` added. If a control occurs twice, scsynth takes the last
    value."""
    controls: list[str | float] = []
    for name in ("attack", "decay", "sustain", "release", "attack_level", "decay_level", "sustain_level"):
        controls += [name, float(getattr(envelope, name))]
    return encode(message.address, *message.args, *controls)
