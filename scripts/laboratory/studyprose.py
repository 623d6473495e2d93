"""Study prose: what the study asks, how it was done, what it left out, how to repeat it. Pure.

Counts and lists in it are looked up in the data; the rest tells of the method, which data don't change.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from laboratory import findings, studyplan
from laboratory.cells import Cell
from laboratory.figures import percent
from laboratory.findings import NOT_MEASURED
from laboratory.rows import WHOLE, Minute


@dataclass(frozen=True, slots=True)
class Study:
    """All data of a study. figures: names of files in `folder`, which stands beside the text."""

    cells: Sequence[Cell]
    minutes: Sequence[Minute]
    figures: set[str]
    folder: str


def section(title: str, *parts: str) -> str:
    """Return a section; without anything to say, that it wasn't measured."""
    known = [part for part in parts if part]
    return f"## {title}\n\n" + ("\n\n".join(known) if known else f"{NOT_MEASURED.capitalize()}.")


def table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    rule = ["---"] * len(header)
    return "\n".join("| " + " | ".join(line).replace("\n", " ") + " |" for line in (header, rule, *lines))


def image(study: Study, name: str, words: str) -> str:
    return f"![{words}]({study.folder}/{name})" if name in study.figures else ""


def question() -> str:
    return """## Question

The proposal of 2017 predicted that a performance stays coherent over a wide-area network while latency
and jitter are below some threshold, and wanted to find it by emulation: UDP against TCP, each impairment
by itself, with the players' time lines not drifting apart. As far as we know nobody published the answer."""


def method(study: Study) -> str:
    rows = [row for cell in study.cells for row in cell.rows]
    wheres = {cell.where for cell in study.cells}
    events = sum(row.events for row in rows)
    labs = {
        "virtual": "*Virtual time*: the product's relay and bridges, driven by a simulated clock over the "
        "model of a bad network (`relay/impairment.py`); exact, repeatable, UDP only.",
        "netlab": "*netlab*: the product's real processes in network namespaces, UDP and TCP through the "
        "kernel's own stack, over a user-space emulator that runs the same model; judged from recordings "
        "behind the bridges.",
    }
    told = "\n".join(
        f"* {text}" if lab in wheres else f"* {text} **Not run here.**" for lab, text in labs.items()
    )
    return f"""## Method

{len(rows):,} runs, {events:,} events.

{told}
* One run is one row of [`rows.csv`]({study.folder}/rows.csv): a network, a way of sending, a seed. The
  same network, lead and traffic with several seeds is a point.
* **Bad** is an event that was missing, late, out of order, different, re-timed or moved at any member,
  counted once. **Divergent** leaves out those that were only re-timed or moved: they sound alike
  everywhere, if not when they were meant to. But where the verdict came too late, the origin had
  played its own as stamped already (unconfirmed), at another instant than the others: that is divergent.
* **UDP without repair**: nothing is asked for again. The relay still waits for gaps before it lets later
  events pass, so losses come in clusters.
* The **lead** is {studyplan.BASE_LEAD_MS:g} ms, what a room begins with, wherever nothing else
  is said; a room would tune it (*A lead that tunes itself*).
* **In time** is handed to scsynth at least 20 ms before due. Order is scsynth's: timetag, then arrival.
* The **oracle** asks the model what the best possible sender could have done: one that repeats an event
  without end from the moment it is played, to a relay that does the same. What not even it brings to all
  members in time is *unavoidable*: no repair and no transport could have saved it. Independent loss and
  the jitter of single datagrams never stop it; delay, bursts, outages and spikes do. Rate limits are
  ignored there, and so is the order of a queue: for jitter it is a floor, not a goal.
* {disturbed_text(study.cells)}
* **Intervals** are 95 %: the hull of Wilson's interval over all events and Student's t interval over
  runs, since events of one run fail together. They are wide with so few runs. Where no event was bad at
  all only Wilson's is left, which takes events for independent: a rare burst may be hidden there.
* A network text such as `delay=15,loss=5%` holds for each direction between a member and the relay, so an
  event passes two such ways before others have it. Round trips are between a member and the relay."""


def disturbed_text(cells: Sequence[Cell]) -> str:
    """Return how many events were left out since the machine stood still, and how many of them were bad."""
    asked = [cell for cell in cells if all(row.disturbed is not None for row in cell.rows)]
    told = "Events that were under way while the **machine stood still** are left out:"
    if not asked:
        return f"{told} how many, {NOT_MEASURED}."
    out = {id(cell): sum(row.disturbed or 0 for row in cell.rows) for cell in asked}
    total = sum(out.values())
    if not total:
        return f"{told} none in {len(asked)} points."

    def share(cell: Cell) -> float:
        return out[id(cell)] / (out[id(cell)] + cell.bad.events)

    worst = max(asked, key=share)
    bad = [row.disturbed_bad for cell in asked for row in cell.rows]
    counted = [count for count in bad if count is not None]
    of_them = f"{sum(counted):,} of them bad" if len(counted) == len(bad) else "how many were bad isn't known"
    return (
        f"{told} {total:,} in {len(asked)} points, {of_them}; the most in {worst.first.point}, "
        f"{percent(share(worst))} of its events."
    )


# -- honesty ---------------------------------------------------------------------------------------------

IMPAIRMENTS = {
    "reorder": "reordering", "duplicate": "duplication", "rate": "a limited rate with its queue",
    "outage": "outages", "spikes": "spikes", "up:": "asymmetry", "trace": "recorded traces",
}  # fmt: skip
"""Words of a network's text -> what is missing if no text has them."""


def not_measured(study: Study) -> str:
    """Return what the data don't hold, looked up in them, and what no data of these labs can."""
    planned = [*studyplan.virtual_points(), *studyplan.netlab_points()]
    there = {cell.first.point for cell in study.cells}
    gone = {
        where: [p for p in planned if p.where == where and p.name not in there]
        for where in ("virtual", "netlab")
    }
    lines = [
        f"* {len(points)} of {sum(p.where == where for p in planned)} planned points of {where}"
        + ("." if len(points) > 8 else f": {findings.listed(p.name for p in points)}.")
        for where, points in gone.items()
        if points
    ]
    seeds = {
        name: len({row.seed for cell in study.cells for row in cell.rows if row.point == name})
        for name in there
    }
    fewer = [p for p in planned if 0 < seeds.get(p.name, 0) < len(p.seeds)]
    if fewer:
        named = (f"{p.name} ({seeds[p.name]} of {len(p.seeds)})" for p in fewer)
        lines.append(f"* With fewer seeds than planned: {findings.listed(named)}.")
    networks = " ".join({cell.first.network for cell in study.cells} | {m.network for m in study.minutes})
    alone = [words for word, words in IMPAIRMENTS.items() if word not in networks]
    if alone:
        lines.append(f"* By itself, as a curve or a point of its own: {findings.listed(alone)}.")
    if not any(minute.minute == WHOLE for minute in study.minutes):
        lines.append("* Spread over an hour, and drift of clocks.")
    if not any(cell.where == "netlab" for cell in study.cells):
        lines.append("* Anything over TCP: it needs netlab.")
    largest = max((cell.first.members for cell in study.cells if cell.where == "netlab"), default=0)
    if largest:
        lines.append(f"* Rooms of more than {largest} members with real processes.")
    lines += [
        "* People. Coherent is a count of events here, not whether anybody minds.",
        "* Sound cards: spread is that of timetags at scsynth; audio hardware adds its own.",
        "* Real paths of the Internet: profiles are models, their sources are named above.",
        "* Genuine Sonic Pi: a generator plays evenly spread notes here; `scripts/demo` plays genuine ones.",
        "* Spread between separate machines with real processes: netlab's members share one host's clock.",
        "* In neither lab: recorded traffic and genuine servers, events without a time, effects and chords.",
        "* TCP in rooms of other sizes than three.",
        "* Action to sound: what is told is due minus emission; neither keyboard nor sound card is in it.",
        f"* Hours of clocks with other seeds, and with more than {studyplan.SPREAD_EVENTS_PER_S:g} events/s.",
        "* Rare things: a point of a few thousand events tells nothing about 1 in 100,000.",
        "* In virtual time: TCP, timers that fire late, a busy machine.",
    ]
    return section("What wasn't measured", "\n".join(lines))


def repeating(study: Study) -> str:
    rows = [row for cell in study.cells for row in cell.rows]
    virtual = {row.commit for row in rows if row.where == "virtual"}
    made_at = [
        f"{lab} at {findings.listed(commit or 'an unknown commit' for commit in sorted(commits))}"
        for lab, commits in (
            ("in virtual time", virtual | {minute.commit for minute in study.minutes}),
            ("with real processes", {row.commit for row in rows if row.where != "virtual"}),
        )
        if commits
    ]
    versions = sorted({row.versions for row in rows})
    started = sorted(row.started for row in rows if row.started)
    when = f"{started[0]} to {started[-1]}" if started else "unknown"
    return f"""## How to repeat it

```
scripts/lab --plan                 # what it is made of, and how long it takes
scripts/lab --study                # all of it; goes on where it was stopped (netlab: root, /dev/net/tun)
scripts/lab --study --part text    # only text and figures, from the data
scripts/lab --repeat               # {" and ".join(studyplan.REPEATED)} anew, with other seeds
scripts/lab --repeat POINT...      # any points of rows.csv
```

`--repeat` fails if a share differs from the committed one: if 0 lies outside the 99 % interval of the
difference, the hull of Newcombe's interval (events pooled) and Welch's (runs). The median spread may
differ by half of it, or by 0.15 ms.

Measured {when}, {findings.listed(made_at) if made_at else "at an unknown commit"}.
What was changed since then is not in these figures; [LEADS.md](LEADS.md) and [ENVELOPE.md](ENVELOPE.md) say
at which commits theirs were made. {
        findings.listed(version or "versions unknown" for version in versions)
    }."""
