"""Heard: compares each member's part at every synthesizer with what its player hears, second by second.

The sound is that of live takes: of all that each scsynth sends to JACK, each member's part by itself. Levels
are in dB of full scale.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import soundfile

from rehearsal.demo.story import Stay
from rehearsal.rigs import parts
from rehearsal.rigs.levels import SECOND_NS, level_of
from rehearsal.rigs.livetake import SILENCE_DBFS, TakeError

HEARD_AFTER_S = 2.0
"""A listener's levels are compared from this time (s) on after it has built what others play."""
WORST_DB = 1.0
"""Greatest difference between a part's level at a listener and at home, for any second of music."""
FAINTEST_DBFS = -60.0
"""A second counts as silence if it is fainter than this (dBFS) both at home and at the listener."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """One player's part at one listener.

    player, listener: labels of stays. seconds: (seconds after the begin of the music, level at home, level at
    the listener) for each second that was compared. error: why nothing could be compared; "" if it could.
    """

    player: str
    listener: str
    seconds: tuple[tuple[float, float, float], ...] = ()
    error: str = ""

    @property
    def worst(self) -> tuple[float, float]:
        """The second with the greatest difference, and this difference: level at the listener minus level at
        home, in dB."""
        return max(
            ((at_s, there - home) for at_s, home, there in self.seconds),
            key=lambda one: abs(one[1]),
            default=(0.0, 0.0),
        )

    @property
    def trouble(self) -> str | None:
        """The reason in words why the listener did not hear the part as its player did; None if it did."""
        who = f"{self.player}'s part at {self.listener}"
        if self.error or not self.seconds:
            return f"{who} could not be compared: {self.error or 'no second of music'}"
        at_s, differs_db = self.worst
        if abs(differs_db) <= WORST_DB:
            return None
        wrong = "loud" if differs_db > 0 else "quiet"
        return f"{who} was {abs(differs_db):.1f} dB too {wrong} in second {at_s:.0f}"

    def as_json(self) -> dict[str, Any]:
        """Return the hearing as a JSON object."""
        levels = [[round(value, 2) for value in second] for second in self.seconds]
        return {
            "player": self.player,
            "listener": self.listener,
            "seconds": len(levels),
            "worst_db": round(self.worst[1], 2),
            "levels": levels,
            "error": self.error,
        }


def hear(stays: Sequence[Stay], from_ns: int, to_ns: int) -> list[Hearing]:
    """Compare all parts at all listeners in [from_ns, to_ns) (Unix ns). Of two stays of one member neither is
    the other's listener."""
    return [
        hearing(player, listener, from_ns, to_ns)
        for player in stays
        for listener in stays
        if player.name != listener.name and together(player, listener, from_ns, to_ns)
    ]


def together(player: Stay, listener: Stay, from_ns: int, to_ns: int) -> list[int]:
    """Return the starts (Unix ns) of the seconds in which both were there and the listener is judged. All of
    the demo's seconds are counted from from_ns."""
    begins_ns = max(from_ns, player.plays_ns, player.from_ns)
    if listener.from_ns > from_ns:
        begins_ns = max(begins_ns, listener.from_ns + round(HEARD_AFTER_S * SECOND_NS))
    first = -(-(begins_ns - from_ns) // SECOND_NS)
    last = (min(to_ns, player.to_ns, listener.to_ns) - from_ns) // SECOND_NS
    return [from_ns + at * SECOND_NS for at in range(first, last)]


def hearing(player: Stay, listener: Stay, from_ns: int, to_ns: int) -> Hearing:
    """Compare a player's part at a listener with the same part at home."""
    home, there = (parts.part(stay.performer.take, player.slot) for stay in (player, listener))
    found = []
    try:
        for at_ns in together(player, listener, from_ns, to_ns):
            levels = [
                level_of(take.between(at_ns, at_ns + SECOND_NS).astype("float64")) for take in (home, there)
            ]
            if max(levels) > FAINTEST_DBFS:
                found.append(((at_ns - from_ns) / SECOND_NS, levels[0], levels[1]))
    except TakeError as error:
        return Hearing(player.label, listener.label, (), str(error))
    return Hearing(player.label, listener.label, tuple(found))


def own_level_dbfs(stay: Stay) -> float:
    """Return the level of a member's own part at home while it played; SILENCE_DBFS if it isn't known."""
    took = parts.part(stay.performer.take, stay.slot)
    try:
        return took.level_dbfs(max(stay.plays_ns, stay.from_ns), stay.to_ns)
    except TakeError:
        return SILENCE_DBFS


def keep(stay: Stay, slots: Sequence[int], from_ns: int, folder: Path) -> None:
    """Write what a member heard to LABEL.wav, and its own part to LABEL-stem.wav. Raises TakeError."""
    since_ns = max(from_ns, stay.from_ns)
    own = parts.part(stay.performer.take, stay.slot).between(since_ns, stay.to_ns)
    whole = stay.performer.take.between(since_ns, stay.to_ns) + sum(
        parts.part(stay.performer.take, slot).between(since_ns, stay.to_ns) for slot in slots
    )
    for samples, name in ((whole, stay.label), (own, f"{stay.label}-stem")):
        soundfile.write(
            folder / f"{name}.wav", numpy.clip(samples.T, -1.0, 1.0), stay.performer.take.rate, "PCM_16"
        )
