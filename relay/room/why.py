"""Why: the reasons why an event is heard only by its own player.

Pure.
"""

from enum import Enum


class Why(Enum):
    """The reason why an event is heard only by its own player. The value is the text that incidents show."""

    LOST = "it never reached the relay"
    MISSED = "it came too late"
    RATE = "there were too many"
    FAR = "it is due too far ahead"
    RANGE = "it might end a scsynth"
