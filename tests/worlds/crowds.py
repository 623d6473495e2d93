"""Signs of a stall in recorded music: notes at one instant, incomplete chords, late notes, gaps. Pure.

Used for recordings of virtual jams and of real ones. A note's key is its message without the numbers that
differ between members. A note sounds at its timetag, or when scsynth is handed it if that is later.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import pairwise


def crowds(instants_ns: Iterable[int], within_ns: int) -> int:
    """Return the greatest number of instants in any window of length `within_ns`."""
    ordered = sorted(instants_ns)
    most = first = 0
    for last, instant_ns in enumerate(ordered):
        while instant_ns - ordered[first] >= within_ns:
            first += 1
        most = max(most, last - first + 1)
    return most


def torn(chords: Iterable[Sequence[Hashable]], heard: Mapping[Hashable, int]) -> list[Sequence[Hashable]]:
    """Return the chords of which only some notes were heard."""
    return [chord for chord in chords if len({note in heard for note in chord}) > 1]


def echoes(
    own: Mapping[Hashable, int], heard: Mapping[Hashable, int], after_ns: int
) -> list[tuple[Hashable, int]]:
    """Return (note, lateness in ns) of the notes heard more than `after_ns` later than at their own player.

    own, heard: note -> instant (ns) when it sounded, at its player and at another member.
    """
    return [
        (note, at_ns - own[note])
        for note, at_ns in heard.items()
        if note in own and at_ns - own[note] > after_ns
    ]


def widest_gap_ns(instants_ns: Iterable[int]) -> int:
    """Return the longest time (ns) between two neighbouring instants; 0 for fewer than two instants."""
    return max((after - before for before, after in pairwise(sorted(instants_ns))), default=0)
