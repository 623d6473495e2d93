"""Meaning: what an event is to the music, read from its OSC message.

Pure.
"""

MASTER_MIXER = "sonic-pi-mixer"
"""The last thing that Sonic Pi builds at its start."""
RUN_MIXER = "sonic-pi-basic_mixer"
"""The first synth of each run that sounds."""
_MIXERS = (MASTER_MIXER.encode(), RUN_MIXER.encode())
_FX_PREFIX = b"sonic-pi-fx_"
_NEW_SYNTH = b"/s_new\0\0,"
_TAGS_AT = len(_NEW_SYNTH)


def makes_synth(payload: bytes) -> bool:
    """Tell whether an event makes a synth, a note or not."""
    return payload.startswith(_NEW_SYNTH)


def is_note(payload: bytes) -> bool:
    """Tell whether an event is a note: a synth that is neither FX nor mixer. Nothing else depends on a note,
    and nobody wants it late. What can't be read is none."""
    if not payload.startswith(_NEW_SYNTH) or payload[_TAGS_AT : _TAGS_AT + 1] != b"s":
        return False
    name_at = payload.find(b"\0", _TAGS_AT) + 4 & -4
    name = payload[name_at : payload.find(b"\0", name_at)]
    return bool(name) and name not in _MIXERS and not name.startswith(_FX_PREFIX)
