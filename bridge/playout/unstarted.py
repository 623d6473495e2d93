"""Unstarted: finds the notes that scsynth refused because it lacks their synthdef.

Pure. scsynth's /fail names neither the note nor the synthdef. But scsynth reports every synth that begins. So
each failure is put down to a note that has not begun GRACE after its due. Instants are session timetags.
Bound: NOTES_MAX notes; the oldest are forgotten first.
"""

import heapq
from typing import NamedTuple

from relay.wire.timetag import ticks

GRACE = ticks(0.25)
"""Time (ticks) after a note's due within which scsynth reports that the note has begun."""
FORGOTTEN = ticks(1.0)
"""A failure that no note explains is forgotten after this time (ticks). It was about a synth of the player's
own, which is no event."""
NOTES_MAX = 8192


class Note(NamedTuple):
    """A note that scsynth was handed.

    due: session ticks. number: its room number. slot: its player's slot. node: scsynth's number.
    """

    due: int
    number: int
    slot: int
    node: int
    synthdef: str


class Unstarted:
    """The notes that scsynth was handed, until it reports that they have begun."""

    def __init__(self) -> None:
        self.failures = 0
        """How often scsynth has said that it lacks a synthdef."""
        self._by_node: dict[int, Note] = {}
        self._by_due: list[Note] = []
        self._expected: set[int] = set()
        """Room numbers of notes that are known to fail, and are counted already."""
        self._now = 0
        self._open: list[int] = []
        """The instants of failures that no note explains yet, the oldest first."""

    def handed_over(self, note: Note) -> None:
        """Note that scsynth was handed `note`."""
        self._by_node[note.node] = note
        heapq.heappush(self._by_due, note)
        while len(self._by_due) > NOTES_MAX:
            self._forget(heapq.heappop(self._by_due))

    def expect_failure(self, number: int) -> None:
        """Store that the note with room number `number` counts as silent already, so its failure isn't
        counted again."""
        self._expected.add(number)

    def began(self, node: int) -> None:
        """Note that scsynth has begun to play a synth. node: scsynth's number."""
        self._by_node.pop(node, None)

    def failed(self) -> None:
        """Note that scsynth says it lacks the synthdef of a synth. It doesn't say which synth."""
        self.failures += 1
        self._open.append(self._now)
        del self._open[:-NOTES_MAX]

    def refused(self, now: int) -> list[Note]:
        """Return the notes that scsynth has refused, as far as that is clear at `now` (session ticks). Each
        is returned once."""
        self._now = now
        found: list[Note] = []
        while self._by_due and self._by_due[0].due <= now - GRACE:
            note = heapq.heappop(self._by_due)
            if self._by_node.get(note.node) != note:
                self._expected.discard(note.number)
                continue
            del self._by_node[note.node]
            if self._open:
                del self._open[0]
                if note.number not in self._expected:
                    found.append(note)
            self._expected.discard(note.number)
        while self._open and self._open[0] < now - FORGOTTEN:
            del self._open[0]
        return found

    def clear(self) -> None:
        """Forget the notes, because session time was set and their dues are no longer valid."""
        self._by_node.clear()
        self._by_due.clear()
        self._expected.clear()

    def _forget(self, note: Note) -> None:
        if self._by_node.get(note.node) == note:
            del self._by_node[note.node]
        self._expected.discard(note.number)
