"""Why: the reasons why nobody but its player hears an event.

Pure.
"""

from enum import Enum


class Why(Enum):
    """Why nobody but its player hears an event. The value is the text that incidents show."""

    LOST = "it never reached the relay"
    MISSED = "it came too late"
    RATE = "there were too many"
    FAR = "it is due too far ahead"
    RANGE = "it might end a scsynth"
