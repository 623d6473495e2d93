"""Loaded buffers: the buffers that this host's scsynth has loaded, and the notes whose buffers were missing.

Pure. Buffers have scsynth's own numbers, and instants are session timetags. A note is handed over long
before its due, and its buffers may still be loaded in between. So only at the note's due is it known whether
the note was silent here. Bound: as many notes as are handed over ahead of their dues.
"""

import heapq
from collections.abc import Callable
from typing import NamedTuple

from bridge.scsynth.samples import BufferMemory


class Silent(NamedTuple):
    """A note that lacked a buffer or a synthdef at its due (session ticks).

    number: its room number. slot: its player's slot. buffers: all buffers that it plays. synthdef: the note's
    synthdef if scsynth lacks the synthdef; else "".
    """

    number: int
    due: int
    slot: int
    buffers: tuple[int, ...]
    synthdef: str


class Buffers:
    """The buffers of the scsynth that plays the jam, and the notes that may lack one."""

    def __init__(self, lacks: Callable[[str], bool] = lambda _: False) -> None:
        """lacks: tells whether scsynth lacks a synthdef, as far as is known."""
        self._lacks = lacks
        self.loaded: set[int] = set()
        self.synthdefs_loaded = False
        self._memory = BufferMemory()
        self._unsure: list[tuple[int, int, int, tuple[int, ...], str]] = []
        """(due, number, slot, buffers, synthdef) of notes that were handed over while one of their buffers,
        or their synthdef, was not surely loaded."""
        self._frees: list[tuple[int, int]] = []
        """(due, buffer) of buffers that scsynth was told to free but hasn't freed yet."""

    def note_loaded(self, buffer: int) -> None:
        """Note that scsynth has loaded a buffer."""
        self.loaded.add(buffer)

    def claim(self, buffer: int, samples: int) -> None:
        """Reserve memory for `samples` samples that a buffer will hold. Call it before the load is handed
        over.

        Raises Refused (buffer-memory) if they would take too much memory.
        """
        self._memory.claim(buffer, samples)

    def free(self, buffer: int, due: int) -> None:
        """Note that scsynth is told to free a buffer at the session instant `due`."""
        heapq.heappush(self._frees, (due, buffer))
        self._memory.free(buffer)

    def handed_over(
        self, number: int, due: int, buffers: tuple[int, ...], *, slot: int = 0, synthdef: str = ""
    ) -> None:
        """Note that scsynth was handed a note that plays `buffers`.

        number: its room number. due: session ticks. slot: its player's slot.
        """
        freed = any(buffer in buffers for _, buffer in self._frees)
        if freed or self._is_silent(buffers) or self._lacks(synthdef):
            heapq.heappush(self._unsure, (due, number, slot, buffers, synthdef))

    def silent(self, until: int) -> list[Silent]:
        """Remove the notes due at or before `until` (session ticks). Return those that lacked a buffer or
        synthdef."""
        found: list[Silent] = []
        while self._unsure and self._unsure[0][0] <= until:
            due, number, slot, buffers, synthdef = heapq.heappop(self._unsure)
            self._free_until(due)
            lacking = synthdef if self._lacks(synthdef) else ""
            if lacking or self._is_silent(buffers):
                found.append(Silent(number, due, slot, buffers, lacking))
        self._free_until(until)
        return found

    def clear_notes(self) -> None:
        """Forget the notes, because session time was set and their dues are no longer valid.

        Buffers that scsynth was told to free count as freed.
        """
        self._unsure.clear()
        while self._frees:
            self.loaded.discard(heapq.heappop(self._frees)[1])

    def _free_until(self, until: int) -> None:
        while self._frees and self._frees[0][0] <= until:
            self.loaded.discard(heapq.heappop(self._frees)[1])

    def _is_silent(self, buffers: tuple[int, ...]) -> bool:
        return not self.synthdefs_loaded or any(number not in self.loaded for number in buffers)
