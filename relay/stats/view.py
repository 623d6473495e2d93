"""Statistics as people see them: a headline, a table of the members, and remarks on problems.

Pure, apart from colours.
"""

from collections.abc import Callable

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from relay.wire.counted_nouns import counted
from relay.wire.sequence import Scheme
from relay.wire.stats import MemberStats, ProbeStats, RoomStats, Stats

WIDE = 1000
"""A practically unlimited width, in columns. It is used to measure how wide a table is without a limit."""

CLOCK_UNKNOWN_MS = 1e5
"""A clock's error bound above this (ms) means that the bridge doesn't know its clock's offset yet."""

GOOD, FAIR, BAD, QUIET = "green", "yellow", "bold red", "dim"


def stats_view(stats: Stats, room_asked: str | None = None) -> RenderableType:
    """Return the statistics as text for a terminal. room_asked: the requested room; None: all rooms."""
    parts: list[RenderableType] = [_headline(stats)]
    parts += [
        Text(f"{name} is off since it failed: the relay's log says why", style=FAIR) for name in stats.off
    ]
    if stats.probes != ProbeStats():
        parts.append(_probes_line(stats.probes))
    if not stats.rooms and room_asked is not None:
        parts.append(Text(f"room {room_asked} is not open: nobody is there any more", style=QUIET))
    elif not stats.rooms:
        parts.append(Text("no room is open: nobody has joined yet", style=QUIET))
    for room in stats.rooms:
        parts += [Text(), _room_line(room), _Members(room), *_needs(room)]
        parts += [Text(f"  {line}", style=FAIR) for member in room.members for line in _remarks(member)]
        parts += [Text(f"  {line}", style=FAIR) for line in room.incidents[-5:]]
    return Group(*parts)


def verdict(room: RoomStats) -> tuple[str, str]:
    """Return (words, style) that say whether all members of a room were handed the same events."""
    deaf = [member.name for member in room.members if member.unfounded]
    if deaf:
        return f"NOT heard by {', '.join(deaf)}: what others built at their start isn't there", BAD
    lacking = [member.name for member in room.members if member.not_heard]
    if lacking:
        notes = counted(sum(member.not_heard for member in room.members), "note")
        return (
            f"NOT heard by {', '.join(lacking)}: {notes}, for want of files of Sonic Pi",
            BAD,
        )
    if not room.seconds_compared:
        return "not compared yet", QUIET
    bad = room.divergent + sum(
        member.missing + member.late + member.out_of_order + member.different for member in room.members
    )
    if bad:
        return f"NOT coherent: {room.divergence:.2%} of events differ somewhere", BAD
    silent = sum(member.unplayed for member in room.members)
    if silent:
        return f"the same everywhere, but {counted(silent, 'note')} came too late to be played at all", FAIR
    if room.retimed_share > 0.01:
        return f"the same everywhere, but {room.retimed_share:.1%} of events were re-timed", FAIR
    return "coherent: the same everywhere", GOOD


_HAPPENED = {
    "absent_samples": "a sample of the others was not on its computer, or could not be read",
    "missed_here": "a note was not played there, since its computer came to it when its time was over",
    "overflowed": "an event was dropped there, since too many waited",
}
"""The remark that people see if a count of a bridge isn't 0, by the count's name. All counts are in the
output of `--json`."""


def _remarks(member: MemberStats) -> list[str]:
    """Return remarks on figures that have no column in the table. They are 0 for most members."""
    remarks: list[str] = []
    if member.transport != "udp":
        remarks.append(f"{member.name}: events over {member.transport.upper()}, since UDP is not used")
    if member.local_only:
        remarks.append(
            f"{member.name}: {member.local_only} of its own sounds (samples, synthdefs, sound input) "
            "heard at home only"
        )
    if member.unfounded:
        remarks.append(
            f"{member.name}: scsynth there lacks {member.unfounded} of the groups and mixers that the others "
            "built at their start, so they are silent there; join again"
        )
    remarks += [f"{member.name} {sentence}" for sentence in member.not_heard_why]
    if member.alone:
        remarks.append(f"{member.name}: {counted(member.alone, 'event')} of its own heard by nobody else")
    if member.unplayed:
        remarks.append(
            f"{member.name}: {counted(member.unplayed, 'note')} of its own played nowhere, since its "
            "computer came to them when their time was over"
        )
    if member.beyond:
        events = f"{counted(member.beyond, 'event')} needed more than the longest lead"
        remarks.append(f"{member.name}: {events} and {_was(member.beyond)}n't waited for")
    for name, happened in _HAPPENED.items():
        if count := member.counts.get(name, 0):
            remarks.append(f"{member.name}: {counted(count, 'time')} {happened}")
    if member.refused:
        remarks.append(f"{member.name}: {counted(member.refused, 'message')} refused")
    return remarks


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def _headline(stats: Stats) -> Text:
    minutes, seconds = divmod(int(stats.uptime_s), 60)
    line = f"{stats.software}  up {minutes // 60}:{minutes % 60:02d}:{seconds:02d}  {stats.members} here"
    if stats.ntp_offset_ms is not None:
        line += f"  clock {stats.ntp_offset_ms:+.1f} ms to NTP"
    if stats.datagrams_refused:
        line += f"  {counted(stats.datagrams_refused, 'datagram')} refused"
    return Text(line)


def _probes_line(probes: ProbeStats) -> Text:
    line = f"paths measured: {probes.begun}, of them now {probes.now}"
    if probes.refused:
        line += f"; {counted(probes.refused, 'prober')} refused"
    if probes.datagrams_refused:
        line += f"; {counted(probes.datagrams_refused, 'datagram')} of theirs refused"
    return Text(line, style=QUIET)


def _room_line(room: RoomStats) -> Text:
    words, style = verdict(room)
    line = Text(f"room {room.name}  ", style="bold")
    line.append(words, style=style)
    line.append(
        f"  {counted(room.events, 'event')} in {room.seconds_compared} s, "
        f"re-timed {room.retimed} ({room.retimed_share:.2%}), "
        f"lead {room.lead_ms:.0f} ms{_tuned(room.lead_auto)}, "
        f"shift {room.shift_ms:.0f} ms{_tuned(room.shift_auto)}",
        style=QUIET,
    )
    if room.scheme is not Scheme.JUDGED:
        line.append(f"  scheme {room.scheme}: late events are late, not re-timed", style=FAIR)
    return line


def _needs(room: RoomStats) -> list[Text]:
    """Return the line that says which lead the room needs, and why. The list is empty before there is
    data."""
    if not room.lead_why:
        return []
    each = ", ".join(
        f"{member.name} {member.need_up_ms:.0f}/{member.need_down_ms:.0f}"
        for member in room.members
        if member.need_down_ms
    )
    return [Text(f"  lead needed: {room.lead_why}; up/down in ms: {each}", style=QUIET)]


def _tuned(auto: bool) -> str:
    return "" if auto else " (fixed)"


def _count(name: str) -> Callable[[MemberStats], str]:
    return lambda member: str(getattr(member, name))


_Columns = tuple[tuple[str, str, Callable[[MemberStats], str]], ...]
"""For each column its heading, the style of cells other than "0", and a function that returns a cell's
text."""

_COUNTS: _Columns = (
    ("events", "", _count("events")),
    ("missing", BAD, _count("missing")),
    ("late", BAD, _count("late")),
    ("order", BAD, _count("out_of_order")),
    ("diff", BAD, _count("different")),
    ("retimed", FAIR, _count("retimed")),
    ("moved", FAIR, _count("moved")),
    ("unconf", FAIR, _count("unconfirmed")),
    ("silent", FAIR, _count("silent_here")),
)


def _margins(member: MemberStats) -> str:
    if member.margin_ms_worst is None or member.margin_ms_p99 is None:
        return "-"
    return f"{member.margin_ms_worst:.0f}/{member.margin_ms_p99:.0f} ms"


def _clock(member: MemberStats) -> str:
    if member.clock_bound_ms >= CLOCK_UNKNOWN_MS:
        return "not locked"
    return f"{member.clock_offset_ms:+.1f} ±{member.clock_bound_ms:.2f} ms"


_PATH: _Columns = (
    ("margin worst/p99", "", _margins),
    ("rtt", "", lambda member: f"{member.rtt_ms:.1f} ms"),
    ("jitter", "", lambda member: f"{member.jitter_ms:.1f} ms"),
    ("loss", "", lambda member: f"{member.loss_percent:.2f} %"),
    ("clock", "", _clock),
)


class _Members:
    """A table with one line for each member. If the terminal is too narrow, its columns are split into two
    tables."""

    def __init__(self, room: RoomStats) -> None:
        self._room = room

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        whole = self._table(_COUNTS + _PATH)
        if Measurement.get(console, options.update(max_width=WIDE), whole).maximum <= options.max_width:
            yield whole
        else:
            yield self._table(_COUNTS)
            yield self._table(_PATH)

    def _table(self, columns: _Columns) -> Table:
        table = Table(box=None, pad_edge=False, header_style=QUIET)
        table.add_column("slot", justify="right", no_wrap=True)
        table.add_column("member", no_wrap=True)
        for heading, _, _ in columns:
            table.add_column(heading, justify="right", no_wrap=True)
        for member in self._room.members:
            here = "" if member.present else QUIET
            cells = [(text(member), style) for _, style, text in columns]
            table.add_row(
                Text(str(member.slot), style=here),
                Text(member.name + ("" if member.present else " (away)"), style=here or "bold"),
                *(Text(text, style=style if style and text != "0" else here) for text, style in cells),
            )
        return table
