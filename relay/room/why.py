"""Why: the reasons for which only its player hears an event.

Pure.
"""

from enum import Enum


class Why(Enum):
    """The reason, in the words of incidents."""

    LOST = "it never reached the relay"
    MISSED = "it came too late"
    RATE = "there were too many"
    FAR = "it is due too far ahead"
    RANGE = "it might end a scsynth"
