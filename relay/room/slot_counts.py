"""Slot counts: how many events of a slot were judged, and with which verdicts. Pure."""

from dataclasses import dataclass


@dataclass(slots=True)
class SlotCounts:
    """The judge's counts for one slot since its present owner took it."""

    judged: int = 0
    retimed: int = 0
    overtaken: int = 0
    moved: int = 0
    duplicates: int = 0
    skipped: int = 0
    refused: int = 0
    missed: int = 0
