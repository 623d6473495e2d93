"""Schemes of coherence side by side: judged rooms, and rooms that go by timestamps. Pure.

Two points make a pair if they differ in the scheme alone. Sentences are computed from the pairs there are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from laboratory.cells import Cell
from laboratory.figures import percent
from laboratory.findings import listed, luck_text, share_text
from laboratory.intervals import Share, difference_of
from laboratory.rows import Row
from laboratory.studyfigures import described, scheme_pairs
from laboratory.studyplan import SWEEPS
from laboratory.studyprose import Study, image, section, table

TITLE = "A judge, or timestamps alone"
Pair = tuple[Cell, Cell]
"""The same network and traffic: (judged, by timestamps)."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A share that both schemes have, and its name."""

    name: str
    count: Callable[[Row], int]
    share: Callable[[Cell], Share]


BAD = Figure("bad", lambda row: row.bad, lambda cell: cell.bad)
DIVERGENT = Figure("divergent", lambda row: row.divergent, lambda cell: cell.divergent)


def scheme_section(study: Study) -> str:
    """Return what a room without a judge does on the networks of the sweeps, beside one that has it."""
    pairs = [pair for sweep in SWEEPS for pair in scheme_pairs(study.cells, sweep.series)]
    if not pairs:
        return section(TITLE)
    intro = (
        "A room's scheme says what keeps its members together. *Judged*: the relay gives every event one due "
        "for all, and what comes too late to be served to everybody is re-timed, for everybody alike. *By "
        "timestamps*: every bridge plays an event when its stamp and the lead say, its own without asking; "
        "nobody re-times anything, so what is late is late at some and not at others. Numbers and repair are "
        "the same in both. UDP with repair; the same networks, lead and traffic."
    )
    against = "By timestamps against judged"
    told = [
        compared(pairs, BAD, against), compared(pairs, DIVERGENT, against), summed(pairs),
        *other_commits(pairs),
    ]  # fmt: skip
    return section(
        TITLE, intro, image(study, "schemes.png", "bad and divergent events by scheme"),
        "\n".join(f"* {sentence}" for sentence in told), side_by_side(pairs),
    )  # fmt: skip


def compared(pairs: Sequence[Pair], figure: Figure, against: str) -> str:
    """Return where the second of a pair has fewer of something than the first, by 99 % intervals.

    against: the two in words, the second first.
    """
    fewer: list[str] = []
    more: list[str] = []
    for first, second in pairs:
        difference = difference_of(counts(second, figure), counts(first, figure))
        shares = f"{percent(figure.share(second).value)} against {percent(figure.share(first).value)}"
        if not difference.holds(0.0):
            (more if difference.value > 0 else fewer).append(f"{described(first)} ({shares})")
    told = f"{against}, {len(pairs)} points, share of {figure.name} events:"
    told += f" less in {listed(fewer)};" if fewer else ""
    told += f" more in {listed(more)};" if more else ""
    return f"{told} no difference shown in {len(pairs) - len(fewer) - len(more)}. {luck_text(len(pairs))}"


def other_commits(pairs: Sequence[Pair]) -> list[str]:
    """Return what has to be said where the two of a pair weren't measured at one commit."""
    apart = sum(
        {row.commit for row in first.rows} != {row.commit for row in second.rows} for first, second in pairs
    )
    if not apart:
        return []
    return [
        f"In {apart} of {len(pairs)} pairs the two were **measured at different commits**: what was changed "
        "in between is in the difference too."
    ]


def summed(pairs: Sequence[Pair]) -> str:
    """Return what the bad events of either scheme were, over all pairs that are there."""
    parts = []
    for name, cells in (
        ("judged", [judged for judged, _ in pairs]),
        ("by timestamps", [stamped for _, stamped in pairs]),
    ):
        rows = [row for cell in cells for row in cell.rows]
        bad, divergent = sum(row.bad for row in rows), sum(row.divergent for row in rows)
        events = sum(row.events for row in rows)
        parts.append(
            f"{name}, {bad:,} of {events:,} events were bad, {divergent:,} divergent and "
            f"{bad - divergent:,} at another time than meant, but the same for all"
        )
    return "Over all of these points: " + "; ".join(parts) + "."


def side_by_side(pairs: Sequence[Pair]) -> str:
    def cells(pair: Pair, figure: Figure) -> list[str]:
        return [share_text(figure.share(cell)) for cell in pair]

    return table(
        (
            "network", "bad, judged", "bad, by timestamps", "divergent, judged", "divergent, by timestamps",
            "re-timed, judged",
        ),
        (
            (described(pair[0]), *cells(pair, BAD), *cells(pair, DIVERGENT), percent(pair[0].retimed.value))
            for pair in pairs
        ),
    )  # fmt: skip


def counts(cell: Cell, figure: Figure) -> list[tuple[int, int]]:
    """Return (of the figure, events) of every run."""
    return [(figure.count(row), row.events) for row in cell.rows]
