"""Study text: STUDY.md from the data alone. Pure.

Nothing here states a finding: sentences that do are made by `laboratory.findings`. What a part of the data is
missing for is said to be not measured.
"""

from collections.abc import Iterable, Sequence

from laboratory import findings, studyplan
from laboratory.cells import COHERENT, Cell, agreements, curve, sweep_curve, threshold
from laboratory.figures import LABELS, high_spread, median_spread, percent
from laboratory.findings import NOT_MEASURED, interval_text, ms_text, share_text
from laboratory.points import MODES
from laboratory.rows import WHOLE, Minute
from laboratory.studyauto import TITLE as AUTO_TITLE
from laboratory.studyauto import auto_section
from laboratory.studyfigures import (
    ahead_lines,
    described,
    grid_lines,
    lead_lines,
    profile_groups,
    size_lines,
    transport_groups,
)
from laboratory.studyplan import SWEEPS
from laboratory.studyprose import (
    Study,
    image,
    method,
    not_measured,
    question,
    repeating,
    section,
    table,
)
from laboratory.studyschemes import scheme_section
from relay.profiles import PROFILES

__all__ = ["Study", "share_text", "write_study"]


LEAD_TITLE = "The lead by itself"


def write_study(study: Study) -> str:
    """Return the whole text."""
    sections = [
        summary(study.cells, study.minutes),
        question(),
        method(study),
        *(sweep_section(study, sweep) for sweep in SWEEPS),
        jitter_kinds(study),
        other_section(study),
        grid_section(study),
        ahead_section(study),
        lead_section(study),
        auto_section(study),
        scheme_section(study),
        profile_section(study),
        transport_section(study),
        size_section(study),
        spread_section(study),
        against_oracle(study),
        surprising(study),
        not_measured(study),
        repeating(study),
    ]
    return "\n\n".join(section.strip() for section in sections) + "\n"


def summary(cells: Sequence[Cell], minutes: Sequence[Minute]) -> str:
    """Return the first ten lines: title, what coherent means, one line a mode, lead, spread."""
    lines = [
        "# On which networks does a jam stay coherent?",
        "",
        "Three players, 20 events/s each, 0.5 s schedule-ahead; coherent: fewer than 1 event in 1,000 "
        "missing, late, out of order, different, re-timed or moved at anybody. One impairment at a time, on "
        f"every way, {studyplan.BASE_RTT_MS} ms of round trip to the relay otherwise; *about*, *perhaps*: "
        "the 95 % interval reaches over 1 in 1,000. **All thresholds hold for a lead of "
        f"{studyplan.BASE_LEAD_MS:g} ms**, with which a room begins; another lead has others: see "
        f"*{LEAD_TITLE}*, and *{AUTO_TITLE}*.",
        "",
        *(findings.mode_line(cells, mode) for mode in ("udp-repair", "udp-plain", "tls-cubic", "tls-bbr")),
        findings.lead_line(cells),
        findings.spread_line(cells, minutes),
    ]
    assert len(lines) == 10
    return "\n".join(lines)


# -- sections with data ----------------------------------------------------------------------------------


def results(cells: Iterable[Cell], first: str, named: str = "x") -> str:
    """Return cells as a table, a line each. named: "x" shows their x, "what" what they were tried on."""
    return table(
        (
            first,
            "sent by",
            "lab",
            "events",
            "bad (95 %)",
            "divergent (95 %)",
            "re-timed (95 %)",
            "unavoidable",
            "margin p1",
        ),
        (
            (
                f"{cell.x:g}" if named == "x" else described(cell),
                LABELS[cell.mode],
                cell.where,
                f"{cell.bad.events:,}",
                f"{percent(cell.bad.value)} ({interval_text(cell.bad)})",
                f"{percent(cell.divergent.value)} ({interval_text(cell.divergent)})",
                f"{percent(cell.retimed.value)} ({interval_text(cell.retimed)})",
                "?" if cell.unavoidable is None else percent(cell.unavoidable.value),
                "?" if (margin := cell.mean(lambda row: row.margin_ms_p01)) is None else f"{margin:.0f} ms",
            )
            for cell in cells
        ),
    )


def sweep_section(study: Study, sweep: studyplan.Experiment) -> str:
    cells = [cell for cell in study.cells if cell.series == sweep.series]
    if not cells:
        return section(sweep.title)
    lines = []
    for where in ("virtual", "netlab"):
        for mode in MODES:
            if found := threshold(sweep_curve(study.cells, where, sweep, mode)):
                text = findings.threshold_text(found, sweep.unit)
                lines.append(f"* {LABELS[mode]} ({where}): coherent {text}.")
    shown = sorted(cells, key=lambda cell: (cell.x, cell.where, cell.mode))
    return section(
        sweep.title,
        image(study, f"{sweep.series}.png", sweep.label),
        "Bad in the figure is divergent, re-timed or moved; the table has divergent by itself."
        if f"{sweep.series}.png" in study.figures
        else "",
        "\n".join(lines),
        results(shown, sweep.what),
    )


def jitter_kinds(study: Study) -> str:
    title = "Jitter by its distribution"
    kinds = [
        (kind, curve(study.cells, "virtual", series, "udp-repair"))
        for kind, series in (
            ("lognormal", "jitter"),
            ("normal", "normal jitter"),
            ("pareto", "pareto jitter"),
        )
    ]
    known = [(kind, line) for kind, line in kinds if line]
    if len(known) < 2:
        return section(title)
    lines = [f"* {kind}: coherent {findings.threshold_text(threshold(line), ' ms')}." for kind, line in known]
    told = (
        "Normal jitter lies on both sides of the delay, cut at 0, and its figure is the standard deviation; "
        "the others are added to it, and the figure is their mean. UDP with repair, virtual time."
    )
    others = [cell for kind, line in known if kind != "lognormal" for cell in line]
    return section(title, told, "\n".join(lines), results(others, "jitter", "what"))


def other_section(study: Study) -> str:
    cells = [cell for cell in study.cells if cell.series.startswith(("alone ", "sparse "))]
    title = "Other impairments, one value each"
    return section(title, results(cells, "network", "what")) if cells else section(title)


def grid_section(study: Study) -> str:
    lines = grid_lines(study.cells)
    if len(lines) < 2:
        return section("Delay and loss together")
    told = [
        f"* {name}: coherent {findings.threshold_text(threshold(line), ' %')} of loss."
        for name, line in lines
    ]
    shown = [cell for _, line in lines[1:] for cell in line]
    return section(
        "Delay and loss together", image(study, "grid.png", "bad events by round trip and loss"),
        "\n".join(told), results(shown, "loss", "what"),
    )  # fmt: skip


def ahead_section(study: Study) -> str:
    virtual = ahead_lines(study.cells)
    real = [
        (f"{name}, {LABELS[mode]}, real processes", line)
        for mode in ("udp-repair", "tls-cubic")
        for name, line in ahead_lines(study.cells, "netlab", mode)
    ]
    told = [f"* {name}: {needed(line)}." for name, line in [*virtual, *real]]
    intro = (
        "An event is due at its stamp plus the schedule-ahead for every lead up to it. Here the "
        f"schedule-ahead is varied; the lead is {studyplan.BASE_LEAD_MS:g} ms, or half of the schedule-ahead "
        "where that is less. Searched from the longest down, the least that keeps the session coherent:"
    )
    if not told:
        return section("How much time a network needs")
    shown = [cell for _, line in [*virtual, *real] for cell in line]
    return section(
        "How much time a network needs", intro, image(study, "ahead.png", "bad events by network and time"),
        "\n".join(told), results(shown, "network", "what"),
    )  # fmt: skip


def lead_section(study: Study) -> str:
    lines = [
        (mode, where, name, line)
        for where, mode in (("virtual", "udp-repair"), *(("netlab", mode) for mode in MODES))
        for name, line in lead_lines(study.cells, where, mode)
    ]
    if not lines:
        return section(LEAD_TITLE)
    intro = (
        f"With {studyplan.BASE_AHEAD_MS:g} ms of schedule-ahead an event is due at the same instant for "
        "every lead up to it. But the lead bounds how far ahead of now the relay closes the room's sequence "
        "(H, at most the lead less 10 ms), and an event that comes when its place is closed already is "
        "re-timed. A larger lead gives members' slow ways more time and takes it from the ways up; so a "
        "threshold is one of a lead."
    )
    told = [
        f"* {name}: coherent with {leads_text(line)}." for _, where, name, line in lines if where == "virtual"
    ]
    pairs = [
        (cell, base)
        for _, where, _, line in lines
        if where == "netlab"
        for cell in line
        if (base := at_base_lead(study.cells, cell))
    ]
    side_by_side = table(
        ("with real processes", "sent by", "bad", f"with {studyplan.BASE_LEAD_MS:g} ms"),
        (
            (described(cell), LABELS[cell.mode], share_text(cell.bad), share_text(base.bad))
            for cell, base in pairs
        ),
    )
    shown = [cell for _, _, _, line in lines for cell in line]
    return section(
        LEAD_TITLE, intro, image(study, "lead.png", "bad events by network and lead"), "\n".join(told),
        side_by_side if pairs else "", results(shown, "network", "what"),
    )  # fmt: skip


def leads_text(line: Sequence[Cell]) -> str:
    """Return the leads with which a network is coherent, of those tried; of none, the share at the best."""
    tried = f"of {findings.listed(f'{cell.x:g}' for cell in line)} ms"
    good = [f"{cell.x:g}" for cell in line if cell.bad.value < COHERENT]
    if good:
        return "every lead " + tried if len(good) == len(line) else f"{findings.listed(good)} ms {tried}"
    best = min(line, key=lambda cell: cell.bad.value)
    return f"no lead {tried}; fewest were bad with {best.x:g} ms, {share_text(best.bad)}"


def at_base_lead(cells: Sequence[Cell], cell: Cell) -> Cell | None:
    """Return the cell of the same lab, network and way of sending with the base lead."""
    row = cell.first
    return next(
        (
            other
            for other in cells
            if (other.where, other.mode) == (cell.where, cell.mode)
            and findings.has_base_lead(other)
            and (other.first.network, other.first.scheme, other.first.members, other.first.events_per_s)
            == (row.network, row.scheme, row.members, row.events_per_s)
        ),
        None,
    )


def needed(line: Sequence[Cell]) -> str:
    found = threshold(line[::-1])
    return NOT_MEASURED if found is None else findings.needed_text(found)


def profile_section(study: Study) -> str:
    groups = profile_groups(study.cells)
    if not groups:
        return section("Named networks")
    sources = [f"* **{name}**: {PROFILES[name].source}" for name, _ in groups if name in PROFILES]
    cells = [cell for _, line in groups for cell in line]
    return section(
        "Named networks", image(study, "profiles.png", "bad events on named networks"),
        "\n".join(findings.comparison(cells, "udp-repair", "udp-plain", "virtual")),
        results(cells, "network", "what"), "\n".join(["Where their figures come from:", "", *sources]),
    )  # fmt: skip


def transport_section(study: Study) -> str:
    groups = transport_groups(study.cells)
    title = "UDP against TCP, with real processes"
    if not groups:
        return section(title)
    cells = study.cells
    sentences = [
        *findings.comparison(cells, "tls-cubic", "udp-repair", "netlab"),
        *findings.comparison(cells, "tls-cubic", "udp-plain", "netlab"),
        *findings.comparison(cells, "tls-bbr", "tls-cubic", "netlab"),
        *findings.comparison(cells, "udp-repair", "udp-plain", "netlab"),
        findings.agreement_sentence(cells),
    ]
    pairs = agreements(cells)
    side_by_side = table(
        ("point", "sent by", "virtual", "real", "real - virtual, 99 %", "agree"),
        (
            (
                described(pair.netlab), LABELS[pair.netlab.mode], share_text(pair.virtual.bad),
                share_text(pair.netlab.bad),
                f"{pair.difference.low * 100:+.2f} to {pair.difference.high * 100:+.2f} points",
                "yes" if pair.agrees else "**no**",
            )
            for pair in pairs
        ),
    )  # fmt: skip
    return section(
        title, image(study, "transports.png", "bad events by transport"),
        "\n".join(f"* {sentence}" for sentence in sentences),
        results((cell for _, line in groups for cell in line), "point", "what"),
        "The two labs side by side:\n\n" + side_by_side if pairs else "",
    )  # fmt: skip


def size_section(study: Study) -> str:
    lines = size_lines(study.cells)
    if not lines:
        return section("Size of the room")
    told = table(
        ("network", "members", "bad (95 %)", "divergent (95 %)", "re-timed (95 %)", "spread p50 / p99"),
        (
            (
                name, f"{cell.x:g}", share_text(cell.bad),
                f"{percent(cell.divergent.value)} ({interval_text(cell.divergent)})",
                f"{percent(cell.retimed.value)} ({interval_text(cell.retimed)})",
                f"{ms_text(cell.mean(median_spread))} / {ms_text(cell.mean(high_spread))}",
            )
            for name, line in lines for cell in line
        ),
    )  # fmt: skip
    return section("Size of the room", image(study, "members.png", "bad events and spread by members"), told)


def spread_section(study: Study) -> str:
    wholes = [minute for minute in study.minutes if minute.minute == WHOLE]
    if not wholes:
        return section("Spread, and drift of clocks")
    told = table(
        ("network", "events", "spread p50", "p99", "greatest", "clock error p99", "undisciplined",
            "action to sound"),
        (
            (
                findings.network_text(minute.network), f"{minute.events:,}", ms_text(minute.spread_us_p50),
                ms_text(minute.spread_us_p99),
                ms_text(minute.spread_us_max), ms_text(minute.clock_error_us), ms_text(minute.free_us),
                "?" if minute.action_to_sound_ms_p50 is None else f"{minute.action_to_sound_ms_p50:.0f} ms",
            )
            for minute in wholes
        ),
    )  # fmt: skip
    intro = (
        f"Three members whose crystals are spread over ±50 ppm, for {findings.minutes_text(wholes)} of "
        "virtual time over each network, "
        f"{studyplan.SPREAD_EVENTS_PER_S:g} events/s each, {findings.seeds_text(wholes)}. **Spread** "
        "is the greatest difference between members of the true instant of one event; *undisciplined* is "
        "how far apart the clocks would be by the end if nobody "
        "set them. A constant asymmetry of a path can't be seen by any exchange of time: half of it is in "
        "the spread."
    )
    return section(
        "Spread, and drift of clocks",
        intro,
        image(study, "spread.png", "spread and clock error by minute"),
        told,
    )


def against_oracle(study: Study) -> str:
    kinds = [f"* {findings.kinds_sentence(study.cells, mode)}" for mode in MODES]
    return section(
        "Against the oracle", findings.oracle_sentence(study.cells), "What bad events were:", "\n".join(kinds)
    )


def surprising(study: Study) -> str:
    found = findings.surprises(study.cells, study.minutes)
    return section(
        "What surprised",
        "\n".join(f"* {sentence}" for sentence in found)
        or "By the rules that look for it (fewer bad events on a worse network, TCP better than UDP, the "
        "labs at odds, networks that need more than 0.5 s, an hour that isn't coherent): nothing.",
    )
