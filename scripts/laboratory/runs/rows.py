"""Row: the findings of one run of the laboratory. Also reads and writes CSV files of rows, one line a run.

Lines are appended in one write, and a torn file stays readable: an incomplete last line is ignored, and its
run is done again.
"""

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from laboratory.runs.points import Point
from relay.wire.sequence import Scheme


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one point with one seed. Counts are numbers of events in the measured window.

    An event counts once, however many faults it has at however many members. It is in time if scsynth is
    handed it at least 20 ms before its due. A figure that wasn't measured is None, an empty field in the CSV,
    never 0.
    """

    point: str
    """The point's unique name, see `laboratory.runs.points.Point`."""
    series: str
    x: float
    where: str
    """"virtual", "netlab", "genuine" or "inprocess"."""
    network: str
    """Text for `laboratory.runs.points.legs_of`."""
    transport: str
    """"udp", "tls-cubic" or "tls-bbr"."""
    repair: bool
    scheme: Scheme = Scheme.JUDGED
    lead_ms: float | None = None
    """The fixed lead (ms). None: the lead tuned itself, and lead_ms_last is its last value."""
    shift_auto: bool = False
    """True if the shift tuned itself; otherwise the shift was 0."""
    ahead_ms: float = 500.0
    """Sonic Pi's schedule-ahead (ms)."""
    members: int
    events_per_s: float
    """Events a second of each member."""
    seconds: float
    """Length of the measured window (s)."""
    seed: int
    cut: str = ""
    """Text of a laboratory.runs.points.Cut: a member whose events weren't counted for a while. Empty:
    none."""

    events: int
    """Number of all members' events in the measured window. All shares are shares of this number."""
    divergent: int
    """Number of events that were not the same or not in time at all members.

    A member missed the event, or got it late, out of order or with other bytes. Or the origin played it as
    stamped, while the others have it re-timed or moved.
    """
    missing: int
    late: int
    out_of_order: int
    different: int
    missed: int = 0
    """Number of events that, by the relay's verdict, missed their time. At most its own player heard such an
    event."""
    retimed: int
    """Number of events that the relay moved because the room's sequence was closed already."""
    moved: int
    """Number of events whose due is later than stamped, for another reason than re-timing.

    A due that is later only because of the lead doesn't count.
    """
    unconfirmed: int
    """Number of events that their origin played without waiting for a verdict. Each lab counts in its own
    way.

    netlab: the origin played the event as stamped, while the room has it at another instant or not at all.
    Recordings can show nothing else. Such an event is always divergent.

    virtual: the origin's scsynth was handed the event before its verdict arrived. Such an event is divergent
    only if it was re-timed or moved. In the scheme of timestamps no verdict is waited for. There only events
    that never reached the relay count.
    """
    unavoidable: int | None = None
    """Number of events that, by the oracle, no sender can deliver to all members in time."""
    doomed_but_good: int | None = None
    """Number of unavoidable events that weren't bad. If it isn't 0, the oracle or the emulation is wrong."""
    bad: int
    """Number of events that are divergent, re-timed or moved."""
    disturbed: int | None = None
    """Number of events left out of all counts, because this machine stood still while they were under way.

    It is 0 in virtual time.
    """
    disturbed_bad: int | None = None
    """Number of disturbed events that were bad, by the same rules. The cause may be the network or the
    machine."""

    margin_ms_p01: float | None = None
    """1st percentile of the margin (ms): the time from an event's arrival at scsynth to its due; > 0 is
    early.

    It is taken over all events at all members but the event's origin.
    """
    margin_ms_p50: float | None = None
    in_hand_ms_max: float | None = None
    """Greatest time (ms) from an event's emission to its arrival at a scsynth, its player's own included."""
    spread_us_p50: float | None = None
    """Median of the spread (us): the greatest difference between the members' true instants of one event."""
    spread_us_p99: float | None = None
    action_to_sound_ms_p50: float | None = None
    """Median time (ms) from an event's emission to its due."""
    action_to_sound_ms_max: float | None = None
    """Greatest time (ms) from an event's emission to its due. It shows even a short shift of the room."""
    clock_error_us_p99: float | None = None
    """p99 of the difference (us) between a member's session clock and the relay's."""
    lead_ms_last: float | None = None
    shift_ms_last: float | None = None
    bytes_up: int | None = None
    """IP bytes that all members sent. netlab: everything in the measured window, the control connection
    included. virtual: the datagrams of the whole run, without the control connection."""
    bytes_plain: int | None = None
    """IP bytes of the events alone, as if each had gone once in a datagram of its own.

    netlab: the events of the measured window; virtual: of the whole run.
    """

    commit: str = ""
    versions: str = ""
    """Versions as "python 3.11.9, linux 6.18", joined by semicolons."""
    started: str = ""
    """Start of the run: ISO 8601, UTC."""


class GenuineRow(Row, frozen=True, kw_only=True):
    """One run with genuine Sonic Pis and scsynths. Its events are the notes and the FX that have a timetag.

    events_per_s is 0: the pieces decide how many events there are.
    """

    late_lines: int
    """Number of lines in which scsynths report a late bundle, from the start of the pieces on."""
    messages: int
    """Number of all messages of the room that were due in the window, controls and frees included.

    They are counted in the recordings, without the relay's log.
    """
    messages_diverging: int
    """Number of those `messages` that were missing, late, out of order, different or otherwise stamped at any
    member."""


ASKED = (
    "series", "x", "where", "network", "transport", "repair", "scheme", "lead_ms", "shift_auto", "ahead_ms",
    "members", "events_per_s", "seconds", "cut",
)  # fmt: skip
"""Names of the fields that a Point and a Row share."""


def asked(point: Point, seed: int) -> dict[str, Any]:
    """Return the fields of a Row that name its point, settings and seed. Rows are found by them."""
    given = {name: getattr(point, name) for name in ASKED}
    # A row read from a CSV has floats here, so ints become floats.
    floats = {name: float(value) for name, value in given.items() if type(value) is int and name != "members"}
    return {"point": point.name, **given, **floats, "seed": seed}


class Minute(msgspec.Struct, frozen=True, kw_only=True):
    """One minute of an hour in which clocks were watched, or the whole hour if `minute` is WHOLE."""

    network: str
    seed: int
    seconds: float
    """Length (s) of the hour (SpreadPoint.seconds). It is less in a short trial."""
    minute: int
    """Number of the minute, from 0; WHOLE for the whole hour."""
    events: int
    bad: int
    spread_us_p50: float | None = None
    """Median of the spread (us): the greatest difference between the members' true instants of one event."""
    spread_us_p99: float | None = None
    spread_us_max: float | None = None
    clock_error_us: float | None = None
    """Difference (us) between the members' session clocks and the relay's.

    For a minute: of each member's median, the greatest. For the whole hour: the p99 over all members.
    """
    action_to_sound_ms_p50: float | None = None
    """Median time (ms) from an event's emission to its due, for the whole hour only."""
    free_us: float | None = None
    """Distance (us) of the outermost members' clocks at the end of the minute or hour, if nothing corrected
    them."""
    commit: str = ""
    versions: str = ""
    started: str = ""


WHOLE = -1

Line = TypeVar("Line", Row, GenuineRow, Minute)


class BadRows(ValueError):
    """The file isn't a file of rows. The text has the reason."""


def line_of(values: Iterable[object]) -> str:
    """Return one line of CSV, with the end of the line. None becomes an empty field."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(["" if value is None else value for value in values])
    return text.getvalue()


def dumps(rows: Iterable[Line], kind: type[Line]) -> str:
    """Return rows as CSV text, with a header line first. kind: the class of the rows."""
    return line_of(kind.__struct_fields__) + "".join(line_of(msgspec.structs.astuple(row)) for row in rows)


def loads(text: str, kind: type[Line], name: str = "rows.csv") -> list[Line]:
    """Return the rows in a CSV text. An incomplete last line is ignored. kind: the class of the rows.

    Columns are found by their names, in any order. A column with a default may be absent. name: the file's
    name, for error texts. Raises BadRows, in words.
    """
    lines = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1]))
    if unknown := set(lines.fieldnames or ()) - set(kind.__struct_fields__):
        columns = ", ".join(sorted(unknown))
        raise BadRows(f"{name}: unknown columns {columns}; was it written by another version?")
    rows = []
    for line in lines:
        found, expected = sum(value is not None for value in line.values()), len(lines.fieldnames or ())
        if found != expected:
            raise BadRows(f"{name}, line {lines.line_num}: {found} fields, expected {expected}")
        fields = {key: value for key, value in line.items() if value or key in TEXTS}
        try:
            rows.append(msgspec.convert(fields, kind, strict=False))
        except msgspec.ValidationError as error:
            raise BadRows(f"{name}, line {lines.line_num}: {error}") from error
    return rows


TEXTS = frozenset({"commit", "versions", "started"})
"""Names of the fields that are texts and may be empty. Any other empty field means a figure not measured."""


def read(path: Path, kind: type[Line]) -> list[Line]:
    """Return the rows of a file; [] if there is no file. Raises BadRows."""
    return loads(path.read_text(encoding="utf-8"), kind, str(path)) if path.exists() else []


def append(path: Path, *rows: Line) -> None:
    """Append rows of one kind to a file in one write, after a header line if the file is new.

    An incomplete last line of the file is removed first. If rows have a column that the file lacks, the file
    is written anew with it. Raises BadRows if the file has an unknown column or other faults.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    header = line_of(rows[0].__struct_fields__).encode()
    with path.open("a+b") as file:
        file.seek(0)
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole and not content.startswith(header):
            write(path, read(path, type(rows[0])), type(rows[0]))
            append(path, *rows)
            return
        file.truncate(whole)
        lines = "".join(line_of(msgspec.structs.astuple(row)) for row in rows).encode()
        file.write(lines if whole else header + lines)
        file.flush()
        os.fsync(file.fileno())


def write(path: Path, rows: Iterable[Line], kind: type[Line]) -> None:
    """Replace a file by one with these rows. It is replaced whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(dumps(rows, kind), encoding="utf-8")
    new.replace(path)


def latest(rows: Iterable[Row]) -> dict[tuple[str, int], Row]:
    """Return (point, seed) -> its last row: a repeated run replaces the earlier one."""
    return {(row.point, row.seed): row for row in rows}
