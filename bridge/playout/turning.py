"""Turning: how far an FX with a slow oscillator has turned that began before this host could build it.

Pure. These FX open and close, or move, in periods of `phase` seconds, and begin at the part `phase_offset`
(0 to 1) of a period. If such an FX began at its start here, it would be closed when it is open elsewhere.
Not turned are FX whose period was set since they began, or follows a bus, and those whose beginning is
unknown. Source: Sonic Pi's synthdefs.
"""

from relay.wire.arguments import FIRST_CONTROL
from relay.wire.errors import RemoteError
from relay.wire.live.tree import Node
from relay.wire.meaning import Meaning
from relay.wire.osc import encode, encode_string
from relay.wire.timetag import seconds

PERIODS_S = {
    "sonic-pi-fx_flanger": 4.0,
    "sonic-pi-fx_ixi_techno": 4.0,
    "sonic-pi-fx_panslicer": 0.25,
    "sonic-pi-fx_slicer": 0.25,
    "sonic-pi-fx_tremolo": 4.0,
    "sonic-pi-fx_wobble": 0.5,
}
"""The FX that turn, and the default of their control `phase`: the period, s."""
_PERIOD, _PART = "phase", "phase_offset"
_CHANGED = {encode_string(_PERIOD), encode_string(_PART)}


def turned(fx: Node, at: int) -> bytes:
    """Return the message that makes an FX as it stands at the session instant `at`."""
    try:
        meaning = Meaning(fx.payload)
        default_s = PERIODS_S.get(meaning.synthdef)
        if default_s is None or not fx.due or fx.due > at or not _CHANGED.isdisjoint(fx.settings):
            return fx.payload
        message = meaning.message
        args = message.args
        given = dict(zip(args[FIRST_CONTROL::2], args[FIRST_CONTROL + 1 :: 2], strict=False))
        period_s, part = given.get(_PERIOD, default_s), given.get(_PART, 0.0)
        if not isinstance(period_s, int | float) or not isinstance(part, int | float) or period_s <= 0:
            return fx.payload
        part = (part + seconds(at - fx.due) / period_s) % 1.0
        return encode(message.address, *args, _PART, float(part))
    except RemoteError:
        return fx.payload
