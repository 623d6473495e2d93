"""A lead that tunes itself beside a fixed one, on the networks of the study. Pure.

Two points make a pair if they differ in lead and shift alone, and in how long they were played. Sentences
are computed from the pairs there are.
"""

from collections.abc import Callable, Sequence

from laboratory.cells import Cell
from laboratory.figures import percent
from laboratory.findings import share_text
from laboratory.rows import Row
from laboratory.studyfigures import auto_pairs, described
from laboratory.studyplan import BASE_LEAD_MS, BY_ITSELF_SECONDS
from laboratory.studyprose import Study, section, table
from laboratory.studyschemes import BAD, DIVERGENT, compared, other_commits

TITLE = "A lead that tunes itself"


def auto_section(study: Study) -> str:
    """Return what lead and shift come to by themselves, and what becomes of events meanwhile."""
    pairs = auto_pairs(study.cells)
    if not pairs:
        return section(TITLE)
    intro = (
        f"The same networks and traffic, played for {BY_ITSELF_SECONDS:g} s after two that aren't counted: "
        f"the lead begins at {BASE_LEAD_MS:g} ms and follows what events need, the shift what notes lack "
        "(0 if they have enough). UDP with repair. What an event needed is known when it has come: the first "
        "ones after a change for the worse are bad, or were re-timed for everybody alike."
    )
    against = f"A lead that tunes itself against one of {BASE_LEAD_MS:g} ms"
    told = [compared(pairs, BAD, against), compared(pairs, DIVERGENT, against), *other_commits(pairs)]
    return section(TITLE, intro, "\n".join(f"* {sentence}" for sentence in told), side_by_side(pairs))


def side_by_side(pairs: Sequence[tuple[Cell, Cell]]) -> str:
    return table(
        (
            "network", f"bad, {BASE_LEAD_MS:g} ms", "bad, by itself", "divergent, by itself",
            "re-timed or moved, by itself", "lead came to", "shift came to", "from action to sound",
        ),
        (
            (
                described(fixed), share_text(fixed.bad), share_text(auto.bad), share_text(auto.divergent),
                percent(auto.share(lambda row: row.bad - row.divergent).value),
                came_to(auto, lambda row: row.lead_ms_last), came_to(auto, lambda row: row.shift_ms_last),
                came_to(auto, lambda row: row.action_to_sound_ms_p50),
            )
            for fixed, auto in pairs
        ),
    )  # fmt: skip


def came_to(cell: Cell, figure: Callable[[Row], float | None]) -> str:
    """Return the range of a figure over the runs, in ms."""
    known = sorted(round(value) for row in cell.rows if (value := figure(row)) is not None)
    if not known:
        return "?"
    return f"{known[0]} ms" if known[0] == known[-1] else f"{known[0]} to {known[-1]} ms"
