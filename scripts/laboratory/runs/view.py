"""View: makes tables of a matrix's cells and of genuine runs, for a terminal. Pure."""

from collections.abc import Sequence

from rich.table import Table

from laboratory.runs.rows import GenuineRow, Row
from laboratory.study.cells import Cell
from laboratory.study.intervals import percent


def table_of(cells: Sequence[Cell]) -> Table:
    """Return cells as a table for a terminal, one row each."""
    table = Table(
        "network", "mode", "scheme", "lead", "members", "bad events (95 %)", "re-timed", "unavoidable",
        "spread p50/p99",
    )  # fmt: skip
    for cell in cells:
        row = cell.first
        spread = [cell.mean("spread_us_p50"), cell.mean("spread_us_p99")]
        table.add_row(
            row.network, cell.mode, row.scheme.value, lead_text(row), str(row.members),
            str(cell.bad), percent(cell.retimed.value),
            "?" if cell.unavoidable is None else percent(cell.unavoidable.value),
            "/".join("?" if value is None else f"{value / 1e3:.2f}" for value in spread) + " ms",
        )  # fmt: skip
    return table


def table_of_runs(found: Sequence[GenuineRow]) -> Table:
    """Return genuine runs as a table, one row each: the fate of their notes and of all messages of the
    room."""
    table = Table(
        "network", "seed", "events", "missing", "late", "out of order", "different", "re-timed", "moved",
        "unavoidable", "margin p1/p50", "late by scsynth", "messages (diverging)",
    )  # fmt: skip
    for row in found:
        margins = (row.margin_ms_p01, row.margin_ms_p50)
        counts = (row.events, row.missing, row.late, row.out_of_order, row.different, row.retimed, row.moved)
        table.add_row(
            row.network, str(row.seed), *map(str, counts), str(row.unavoidable),
            "/".join("?" if value is None else f"{value:.0f}" for value in margins) + " ms",
            str(row.late_lines), f"{row.messages} ({row.messages_diverging})",
        )  # fmt: skip
    return table


def lead_text(row: Row) -> str:
    """Return a row's lead as text: the fixed lead, or "auto" with the last value of a lead that tuned
    itself."""
    if row.lead_ms is not None:
        return f"{row.lead_ms:g} ms"
    return "auto" if row.lead_ms_last is None else f"auto, {row.lead_ms_last:.0f} ms"
