"""Findings: sentences about the data, each computed from it, so that none can outlive a re-run. Pure."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median

from laboratory.cells import COHERENT, Cell, Threshold, agreements, counts, curve, sweep_curve, threshold
from laboratory.figures import LABELS, percent
from laboratory.intervals import Share, difference_of
from laboratory.rows import WHOLE, Minute
from laboratory.studyfigures import ahead_lines, described
from laboratory.studyplan import BASE_AHEAD_MS, BASE_LEAD_MS, SPREAD_EVENTS_PER_S, SWEEPS, Experiment
from relay.wire.sequence import Scheme

NOT_MEASURED = "not measured"

# -- figures as words ------------------------------------------------------------------------------------


def share_text(share: Share) -> str:
    """Return a share with its 95 % interval and its whole: "1.2 % (0.9-1.6 %) of 5,400"."""
    return f"{percent(share.value)} ({interval_text(share)}) of {share.events:,}"


def interval_text(share: Share) -> str:
    return f"{percent(share.low).removesuffix(' %')}–{percent(share.high)}"


def ms_text(value_us: float | None) -> str:
    """Return microseconds as milliseconds for people; "?" for what wasn't measured."""
    if value_us is None:
        return "?"
    value_ms = value_us / 1e3
    return f"{value_ms:.0f} ms" if value_ms >= 99.5 else f"{value_ms:.2g} ms"


def range_text(values: Sequence[float]) -> str:
    """Return "500", or "498 to 502"."""
    low, high = f"{min(values):.0f}", f"{max(values):.0f}"
    return low if low == high else f"{low} to {high}"


def network_text(network: str) -> str:
    """Return a network for people: "fibre, ben on mobile"."""
    common, *exceptions = (part.strip() for part in network.split("|"))
    return ", ".join([common, *(exception.replace("=", " on ", 1) for exception in exceptions)])


def listed(items: Iterable[str]) -> str:
    """Return "a", "a and b", "a, b and c"; "none" of nothing."""
    *most, last = [*items] or ["none"]
    return f"{', '.join(most)} and {last}" if most else last


# -- thresholds ------------------------------------------------------------------------------------------


def threshold_text(found: Threshold | None, unit: str) -> str:
    """Return up to where a session is coherent: "up to 375 ms, no longer at 400 ms (2.1 % bad)".

    "about" stands before where the share is below the bound but its interval isn't, "perhaps" before where
    the share isn't below it but its interval reaches there.
    """
    if found is None:
        return NOT_MEASURED
    if found.holds is None:
        assert found.fails is not None
        bad = percent(found.fails.bad.value)
        perhaps = "" if surely_fails(found.fails) else "perhaps "
        return f"{perhaps}not even at {found.fails.x:g}{unit}, the least that was tried ({bad} bad)"
    about = "" if found.sure else "about "
    if found.fails is None:
        return f"up to {about}{found.holds.x:g}{unit}, the most that was tried"
    upto = f"up to {about}" if found.holds.x else "only "
    no_longer = "no longer" if surely_fails(found.fails) else "perhaps no longer"
    return (
        f"{upto}{found.holds.x:g}{unit}, {no_longer} at {found.fails.x:g}{unit} "
        f"({percent(found.fails.bad.value)} bad)"
    )


def surely_fails(cell: Cell) -> bool:
    """Whether a cell's whole interval, not only its share, is above the bound."""
    return cell.bad.low >= COHERENT


def sweep_threshold(cells: Sequence[Cell], sweep: Experiment, mode: str) -> tuple[str, Threshold | None]:
    """Return (where, threshold) of one experiment, from virtual time if it can be: its points lie closer."""
    for where in ("virtual", "netlab"):
        if found := threshold(sweep_curve(cells, where, sweep, mode)):
            return where, found
    return "", None


def mode_line(cells: Sequence[Cell], mode: str) -> str:
    """Return what one way of sending stands, every impairment for itself: a line of the summary."""
    parts, wheres = [], set()
    for sweep in SWEEPS:
        where, found = sweep_threshold(cells, sweep, mode)
        wheres |= {where} - {""}
        parts.append(f"{sweep.what} {threshold_text(found, sweep.unit)}")
    if not wheres:
        return f"* **{LABELS[mode]}**: {NOT_MEASURED}."
    places = {"virtual": "in virtual time", "netlab": "with real processes"}
    return f"* **{LABELS[mode]}** ({listed(places[where] for where in sorted(wheres))}): {'; '.join(parts)}."


def lead_line(cells: Sequence[Cell]) -> str:
    """Return how much time each network needs, the least first: a line of the summary."""
    parts: list[tuple[float, str]] = []
    for name, line in ahead_lines(cells):
        found = threshold(line[::-1])
        assert found is not None
        parts.append((found.holds.x if found.holds else math.inf, f"{name} {needed_text(found)}"))
    told = ", ".join(text for _, text in sorted(parts)) if parts else NOT_MEASURED
    return (
        f"* **Time from emission to due that a network needs** (UDP with repair; lead {BASE_LEAD_MS:g} ms or "
        "half of the time, whichever is less): "
        f"{told}."
    )


def needed_text(found: Threshold) -> str:
    """Return the least that is enough, and that the next lower one isn't."""
    if found.holds is None:
        assert found.fails is not None
        perhaps = "" if surely_fails(found.fails) else "perhaps "
        return f"{perhaps}more than {found.fails.x:g} ms"
    about = "" if found.sure else "about "
    if found.fails is None:
        return f"{about}{found.holds.x:g} ms or less"
    isnt = "isn't" if surely_fails(found.fails) else "perhaps isn't"
    return f"{about}{found.holds.x:g} ms ({found.fails.x:g} {isnt} enough)"


def spread_line(cells: Sequence[Cell], minutes: Sequence[Minute]) -> str:
    """Return what the spread was, and the time from action to sound: a line of the summary."""
    usual = [cell for cell in cells if has_base_lead(cell) and is_judged(cell) and cell.bad.value < COHERENT]
    known = [ms for cell in usual if (ms := cell.mean(lambda row: row.action_to_sound_ms_p50)) is not None]
    action = f"{range_text(known)} ms in coherent sessions" if known else NOT_MEASURED
    wholes = [minute for minute in minutes if minute.minute == WHOLE]
    parts = [
        f"{network_text(one.network)}: p50 {ms_text(one.spread_us_p50)}, p99 {ms_text(one.spread_us_p99)} "
        f"({one.events:,} events)"
        for one in wholes
    ]
    told = (
        f"over {minutes_text(wholes)} of clocks at ±50 ppm, {SPREAD_EVENTS_PER_S:g} events/s each, "
        f"{seeds_text(wholes)}: {'; '.join(parts)}"
    )
    spread = told if parts else NOT_MEASURED
    return f"* **Spread** {spread}. From action to sound: {action}."


def has_base_lead(cell: Cell) -> bool:
    return (cell.first.ahead_ms, cell.first.lead_ms) == (BASE_AHEAD_MS, BASE_LEAD_MS)


def is_judged(cell: Cell) -> bool:
    return cell.first.scheme is Scheme.JUDGED


def seeds_text(wholes: Sequence[Minute]) -> str:
    seeds = len({whole.seed for whole in wholes})
    return "one seed" if seeds == 1 else f"{seeds} seeds"


def minutes_text(wholes: Sequence[Minute]) -> str:
    """Return how long clocks were watched: "an hour", or what it was."""
    lengths = sorted({whole.seconds for whole in wholes})
    return "an hour" if lengths == [3600.0] else listed(f"{length / 60:g} min" for length in lengths)


# -- comparisons -----------------------------------------------------------------------------------------


def comparison(cells: Sequence[Cell], one: str, other: str, where: str) -> list[str]:
    """Return sentences that compare two modes wherever both were tried on the same point, 99 % intervals."""
    better: list[str] = []
    worse: list[str] = []
    open_: list[str] = []
    for cell in cells:
        if (cell.where, cell.mode) != (where, one):
            continue
        against = next(
            (c for c in cells if (c.where, c.series, c.x, c.mode) == (where, cell.series, cell.x, other)),
            None,
        )
        if against is None:
            continue
        difference = difference_of(counts(cell), counts(against))
        text = f"{described(cell)} ({percent(cell.bad.value)} against {percent(against.bad.value)})"
        (open_ if difference.holds(0) else worse if difference.value > 0 else better).append(text)
    tried = len(better) + len(worse) + len(open_)
    if not tried:
        return [f"{LABELS[one]} against {LABELS[other]}: {NOT_MEASURED}."]
    sentences = [f"{LABELS[one]} against {LABELS[other]}, {tried} points, share of bad events:"]
    sentences += [f"less in {listed(better)};"] * bool(better) + [f"more in {listed(worse)};"] * bool(worse)
    sentences.append(f"no difference shown in {len(open_)}.")
    if tried > 1:
        sentences.append(luck_text(tried))
    return [" ".join(sentences)]


def luck_text(comparisons: int) -> str:
    """Return how many of some comparisons with 99 % intervals differ though nothing does."""
    return f"Of {comparisons} comparisons about {comparisons / 100:.2g} differ by luck."


def agreement_sentence(cells: Sequence[Cell]) -> str:
    """Return whether the two labs agree where both tried the same."""
    pairs = agreements(cells)
    if not pairs:
        return f"Agreement of virtual time and real processes: {NOT_MEASURED}, no point was tried in both."
    apart = [pair for pair in pairs if not pair.agrees]
    missed = median((pair.difference.high - pair.difference.low) / 2 for pair in pairs)
    power = (
        f" {luck_text(len(pairs))} A difference of less than about {missed * 100:.2g} points (the median "
        "half width of these intervals) could have been missed."
    )
    text = (
        f"Of {len(pairs)} points that were tried in virtual time and with real processes alike, the share of "
        f"bad events agrees in {len(pairs) - len(apart)} (99 % interval of the difference contains 0)"
    )
    if not apart:
        return f"{text}.{power}"
    named = [
        f"{described(pair.netlab)} {LABELS[pair.netlab.mode]} (real {percent(pair.netlab.bad.value)}, "
        f"virtual {percent(pair.virtual.bad.value)})"
        for pair in apart
    ]
    return f"{text}; it differs in {listed(named)}.{power}"


def oracle_sentence(cells: Sequence[Cell]) -> str:
    """Return how results stand against the oracle, and whether any is impossible."""
    asked = [cell for cell in cells if cell.unavoidable is not None]
    if not asked:
        return f"The oracle: {NOT_MEASURED}."
    rows = [row for cell in asked for row in cell.rows]
    some = [cell for cell in asked if cell.unavoidable and cell.unavoidable.bad]
    at_best = [cell for cell in some if cell.unavoidable and cell.bad.bad == cell.unavoidable.bad]
    text = (
        f"The oracle was asked in {len(rows)} runs. It found events that no sender could have saved in "
        f"{len(some)} of {len(asked)} points"
    )
    if some:
        text += f"; in {len(at_best)} of those as many events were bad as it says"
    text += ". It doesn't know the order of a queue: for jitter it is a floor, not a goal."
    told = [row for row in rows if row.doomed_but_good is not None]
    impossible = [row for row in told if row.doomed_but_good]
    if impossible:
        events = sum(row.doomed_but_good or 0 for row in impossible)
        points = sorted({row.point for row in impossible})
        return (
            f"{text} **{events:,} events were good although the oracle calls them unavoidable, so either the "
            f"oracle or the measurement is wrong in {listed(points)}.**"
        )
    if not told:
        return f"{text} Whether an event that it calls unavoidable was good after all: {NOT_MEASURED}."
    return f"{text} No event that it calls unavoidable was good, in {len(told)} runs that looked at each."


NEARLY = 0.5
"""Kinds are told of points with less than this share bad: a jam that has broken down says nothing of them."""


def kinds_sentence(cells: Sequence[Cell], mode: str) -> str:
    """Return what bad events of a mode were, over its judged points with the base lead that are not broken
    down."""
    mine = [cell for cell in cells if cell.mode == mode and has_base_lead(cell) and is_judged(cell)]
    used = [cell for cell in mine if cell.bad.value < NEARLY]
    rows = [row for cell in used for row in cell.rows]
    bad = sum(row.bad for row in rows)
    if not mine:
        return f"{LABELS[mode]}: {NOT_MEASURED}."
    told = f"{LABELS[mode]}, {len(used)} of {len(mine)} points"
    if not bad:
        return f"{told}: " + ("no event was bad." if rows else "in every one at least half is bad.")
    kinds = (
        ("missing", sum(row.missing for row in rows)),
        ("late", sum(row.late for row in rows)),
        ("out of order", sum(row.out_of_order for row in rows)),
        ("different", sum(row.different for row in rows)),
        ("re-timed", sum(row.retimed for row in rows)),
        ("moved", sum(row.moved for row in rows)),
    )
    parts = [f"{count / bad:.0%} {name}" for name, count in kinds if count]
    return f"{told}: of {bad:,} bad events {listed(parts)} (one event can be several)."


def surprises(cells: Sequence[Cell], minutes: Sequence[Minute]) -> list[str]:
    """Return what the data show against expectation, in sentences; [] if nothing."""
    found: list[str] = []
    for sweep in SWEEPS:
        for where, mode in dict.fromkeys(
            (cell.where, cell.mode) for cell in cells if cell.series == sweep.series
        ):
            line = curve(cells, where, sweep.series, mode)
            for before, after in pairwise(line):
                if difference_of(counts(after), counts(before)).high < 0:
                    found.append(
                        f"{LABELS[mode]} ({where}): fewer bad events at {sweep.what} {after.x:g}{sweep.unit} "
                        f"({percent(after.bad.value)}) than at {before.x:g}{sweep.unit} "
                        f"({percent(before.bad.value)})."
                    )
    for tcp in ("tls-cubic", "tls-bbr"):
        for cell in cells:
            if (cell.where, cell.mode) == ("netlab", tcp):
                point = (cell.where, cell.series, cell.x)
                udp = next(
                    (c for c in cells if (c.where, c.series, c.x, c.mode) == (*point, "udp-repair")), None
                )
                if udp and difference_of(counts(cell), counts(udp)).high < 0:
                    found.append(
                        f"{LABELS[tcp]} did better than UDP with repair on {described(cell)}: "
                        f"{percent(cell.bad.value)} against {percent(udp.bad.value)}."
                    )
    pairs = agreements(cells)
    found += [
        f"Virtual time and real processes differ on {described(pair.netlab)}, {LABELS[pair.netlab.mode]}: "
        f"{percent(pair.virtual.bad.value)} against {percent(pair.netlab.bad.value)}."
        for pair in pairs
        if not pair.agrees
    ]
    for name, line in ahead_lines(cells):
        result = threshold(line[::-1])
        if result and result.holds and result.holds.x > 500:
            found.append(
                f"{name} needs {result.holds.x:g} ms: more than Sonic Pi's own schedule-ahead of 500 ms."
            )
    found += [
        f"Over {network_text(minute.network)} {minutes_text([minute])} brought {minute.bad:,} "
        f"bad events of {minute.events:,}."
        for minute in minutes
        if minute.minute == WHOLE and minute.events and minute.bad / minute.events >= COHERENT
    ]
    return found
