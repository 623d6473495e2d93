"""Row: the findings of one run of the laboratory; and the CSV of rows, one line a run.

A row is written whole or not at all. A file that was cut off in the middle of a line stays readable: its last
line is left out, and that run is done again.
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
    """One run of one point with one seed. Counts are of events in the measured window.

    An event counts once, however many faults it has at however many members. In time: handed to scsynth at
    least 20 ms before it was due. A figure that wasn't measured is None, which is an empty field in the CSV
    and never 0.
    """

    point: str
    """Unique name of the point, see `laboratory.runs.points.Point`."""
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
    """The fixed lead (ms). None: the lead tuned itself, and lead_ms_last has its last value."""
    shift_auto: bool = False
    """Whether the shift tuned itself. If not, it is 0."""
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
    """Number of all members' events in the measured window. Every share is a share of this number."""
    divergent: int
    """Events that went wrong at one member or more.

    Some member missed the event, or got it late, out of order or differently. Or the origin played it as
    stamped while the others have it re-timed or moved.
    """
    missing: int
    late: int
    out_of_order: int
    different: int
    missed: int = 0
    """Events that the relay judged to have missed their time. Only the members who played them can have heard
    them."""
    retimed: int
    """Events that the relay moved because the room's sequence was closed already."""
    moved: int
    """Events that the relay made due later than stamped, for another reason than re-timing.

    A later due that the lead alone demands doesn't count.
    """
    unconfirmed: int
    """Events that their origin played without waiting for a verdict. Each lab counts them in its own way.

    netlab: the origin played the event as stamped, although the room has it at another instant or not at all.
    That is all that recordings can show, and such an event is always divergent.

    virtual: the origin's scsynth was handed the event before its verdict came, whatever the verdict said.
    Such an event is divergent only if it was re-timed or moved. In the scheme of timestamps nobody waits for
    a verdict. So there only those events count that the room doesn't have at all.
    """
    unavoidable: int | None = None
    """Number of events that, by the oracle, no sender could have brought to all members in time."""
    doomed_but_good: int | None = None
    """Number of unavoidable events that weren't bad. If it isn't 0, the oracle or the emulation is wrong."""
    bad: int
    """Events that are divergent, re-timed or moved."""
    disturbed: int | None = None
    """Events of the window that are left out of all counts, because this machine stood still while they were
    under way.

    It is 0 in virtual time.
    """
    disturbed_bad: int | None = None
    """How many of the disturbed events were bad, by the same rules. The network or the machine may have done
    it."""

    margin_ms_p01: float | None = None
    """Margin (ms): from the instant at which a scsynth gets an event until the event is due; > 0 is early.

    This is the 1st percentile, over all events at all members but each event's origin.
    """
    margin_ms_p50: float | None = None
    in_hand_ms_max: float | None = None
    """Greatest time (ms) from an event's emission until a scsynth was handed it. Its player's own scsynth
    counts too."""
    spread_us_p50: float | None = None
    """Median of the spread (us): the greatest difference between the members' true instants of one event."""
    spread_us_p99: float | None = None
    action_to_sound_ms_p50: float | None = None
    """Median time (ms) from an event's emission to its due."""
    action_to_sound_ms_max: float | None = None
    """Greatest time (ms) from an event's emission to its due. It shows a shift of the room, however short it
    lasted."""
    clock_error_us_p99: float | None = None
    """p99 of the distance (us) between a member's session clock and the relay's."""
    lead_ms_last: float | None = None
    shift_ms_last: float | None = None
    bytes_up: int | None = None
    """IP bytes of all members' uplinks. netlab: everything sent in the measured window, the control
    connection included. virtual: the datagrams of the whole run from the joining on, without the control
    connection."""
    bytes_plain: int | None = None
    """IP bytes of the events alone if each went once, in a datagram of its own.

    netlab: the events of the measured window; virtual: of the whole run.
    """

    commit: str = ""
    versions: str = ""
    """Versions as "python 3.11.9, linux 6.18", joined by semicolons."""
    started: str = ""
    """Start of the run: ISO 8601, UTC."""


class GenuineRow(Row, frozen=True, kw_only=True):
    """One run with genuine Sonic Pis and scsynths. Its events are the notes and the FX that have a timetag.

    events_per_s is 0, which means that there are as many events as the pieces have.
    """

    late_lines: int
    """Number of lines in which the scsynths complain of a late bundle, from the moment at which the pieces
    were started."""
    messages: int
    """Number of all messages of the room that were due in the window, controls and frees included.

    They are counted in the recordings alone, without the relay's log.
    """
    messages_diverging: int
    """How many of `messages` were missing, late, out of order, different or otherwise stamped at any
    member."""


ASKED = (
    "series", "x", "where", "network", "transport", "repair", "scheme", "lead_ms", "shift_auto", "ahead_ms",
    "members", "events_per_s", "seconds", "cut",
)  # fmt: skip
"""Names of the fields that a Point and a Row share."""


def asked(point: Point, seed: int) -> dict[str, Any]:
    """Return the fields of a Row that say which point and seed it is of. Rows are found again by them."""
    given = {name: getattr(point, name) for name in ASKED}
    # As a CSV has them: where a float is meant it isn't an int.
    floats = {name: float(value) for name, value in given.items() if type(value) is int and name != "members"}
    return {"point": point.name, **given, **floats, "seed": seed}


class Minute(msgspec.Struct, frozen=True, kw_only=True):
    """One minute of an hour in which clocks were watched, or the whole hour (then `minute` is WHOLE)."""

    network: str
    seed: int
    seconds: float
    """Length (s) of the whole hour, SpreadPoint.seconds. A short trial may watch less than an hour."""
    minute: int
    """Number of the minute, from 0; WHOLE for the whole hour."""
    events: int
    bad: int
    spread_us_p50: float | None = None
    """Median of the spread (us): the greatest difference between the members' true instants of one event."""
    spread_us_p99: float | None = None
    spread_us_max: float | None = None
    clock_error_us: float | None = None
    """Distance (us) between the members' session clocks and the relay's.

    In a minute it is the median of the member whose median is greatest. In the whole hour it is the p99 over
    all members.
    """
    action_to_sound_ms_p50: float | None = None
    """Median time (ms) from an event's emission to its due. Only the whole hour has it."""
    free_us: float | None = None
    """How far apart (us) the members' clocks would be at the end of the minute or hour if nobody disciplined
    them."""
    commit: str = ""
    versions: str = ""
    started: str = ""


WHOLE = -1

Line = TypeVar("Line", Row, GenuineRow, Minute)


class BadRows(ValueError):
    """Raised for a file that isn't a file of rows."""


def line_of(values: Iterable[object]) -> str:
    """Return one line of CSV, with the end of the line. None becomes an empty field."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(["" if value is None else value for value in values])
    return text.getvalue()


def dumps(rows: Iterable[Line], kind: type[Line]) -> str:
    """Return rows as CSV, a header first."""
    return line_of(kind.__struct_fields__) + "".join(line_of(msgspec.structs.astuple(row)) for row in rows)


def loads(text: str, kind: type[Line], name: str = "rows.csv") -> list[Line]:
    """Return the rows of a CSV, without a last line that was cut off.

    Fields are found by their names: columns may come in any order, and fields with a default may be absent.
    Raises BadRows, in words.
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
"""Fields that are texts. If one is empty, its value is an empty text; any other empty field is a figure not
measured."""


def read(path: Path, kind: type[Line]) -> list[Line]:
    """Return the rows of a file, [] if there is none yet. Raises BadRows."""
    return loads(path.read_text(encoding="utf-8"), kind, str(path)) if path.exists() else []


def append(path: Path, *rows: Line) -> None:
    """Add rows of one kind to a file in one write, with a header first where the file is new.

    A line that a killed run left unfinished is removed first. If a column was added to rows since, the file
    gets it too. Raises BadRows if the file has a column that rows no longer have, or other faults.
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
    """Write a file anew, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(dumps(rows, kind), encoding="utf-8")
    new.replace(path)


def latest(rows: Iterable[Row]) -> dict[tuple[str, int], Row]:
    """Return the last row of each (point, seed): a repeated run replaces the one before."""
    return {(row.point, row.seed): row for row in rows}
