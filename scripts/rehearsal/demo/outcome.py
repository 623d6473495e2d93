"""Outcome of a demo: all findings, the reasons why the demo failed, and a table to print.

Pure but for printing. The findings are the recorders' comparison, the relay's statistics, the heard levels
and, if asked for, the proof. A fault in any one of them makes the outcome a failure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from rehearsal.demo.heard import Hearing
from rehearsal.demo.story import Stay
from rehearsal.proof.compare import Comparison
from rehearsal.proof.prove import STEM_DBFS_MIN, MemberProof, Proof
from rehearsal.rigs.terminal import table

COLUMNS = {
    "events": "events",
    "missing": "missing",
    "late": "late",
    "order": "out_of_order",
    "differ": "different",
    "retimed": "retimed",
    "unconf": "unconfirmed",
    "silent": "silent_here",
}
TOTALS = ("missing", "late", "out_of_order", "different", "retimed", "unconfirmed", "silent_here")

SPREAD_US_MAX = 200.0
MARGIN_MS_MIN = 25.0
SHA_SHOWN = 56
"""Digits of a SHA-256 that fit into a table of 80 columns. The report has all 64."""

STAND_INS = (
    "Sonic Pi and scsynth are stand-ins here: recorded traffic of a genuine Sonic Pi, replayed through the "
    "real bridges and relay into recording sinks"
)
NO_SOUND = (
    "None of them sounds. So it was compared what they were handed and what was built for cleo, but not what "
    "is heard"
)


@dataclass(frozen=True, slots=True)
class DemoOutcome:
    """Everything that the demo found."""

    stays: Sequence[Stay]
    """The members, in the order in which they came. One who left and came back has two stays."""
    comparison: Comparison
    room: dict[str, Any]
    late_lines: dict[str, int]
    levels_dbfs: dict[str, float]
    """Stay -> level (dBFS) of its own sound, by its live take; empty for stand-ins, which make no sound."""
    heard: Sequence[Hearing]
    """Each part at each listener; empty for stand-ins."""
    scenes: Sequence[tuple[float, str]]
    """(seconds of music, what began then)."""
    seconds: float
    relay_trouble: str = ""
    """A sentence that says how the relay ended; "" if it still ran. Without a relay each member plays on
    alone."""
    embedded: bool = False
    proof: Proof | None = None
    """The proof; None if no proof was asked for, or if the relay had ended before it."""

    @property
    def retimed_later(self) -> int:
        """How many events were re-timed after the first second of their member's music."""
        return sum(stay.retimed_later for stay in self.stays)

    @property
    def bounds_us(self) -> list[float]:
        """The bounds of the members' clocks."""
        return [float(stay.figures["clock_bound_ms"]) * 1e3 for stay in self.stays]

    @property
    def troubles(self) -> list[str]:
        """The reasons, in words, why the jam failed; [] if it was coherent, in time, heard alike by all."""
        found: list[str] = [self.relay_trouble] if self.relay_trouble else []
        if not self.comparison.coherent:
            found.append(f"{self.comparison.diverging} of {self.comparison.events} events differ somewhere")
        for count, words in (
            (self.retimed_later, "events were re-timed after the first second"),
            (sum(self.late_lines.values()), "bundles were late by scsynth's own word"),
            (self.member_sum("silent_here"), "notes came before their sample or synthdef"),
            (self.member_sum("missing"), "events are missing by the bridges' reports"),
            (self.member_sum("different"), "events differ by the bridges' digests"),
        ):
            if count:
                found.append(f"{count} {words}")
        if self.comparison.timetag_spread_us > min(SPREAD_US_MAX, sum(sorted(self.bounds_us)[-2:])):
            found.append(f"timetags of one event lie {self.comparison.timetag_spread_us:.0f} us apart")
        for name, result in self.comparison.members.items():
            if not result.margin_ms_min >= MARGIN_MS_MIN:
                found.append(
                    f"{name}'s scsynth had an event only {result.margin_ms_min:.1f} ms before it was due"
                )
            level = self.levels_dbfs.get(name, 0.0)
            if level < STEM_DBFS_MIN:
                found.append(f"{name}'s own sound is silent ({level:.0f} dBFS)")
        found += [hearing.trouble for hearing in self.heard if hearing.trouble]
        return found + (self.proof.troubles if self.proof is not None else [])

    def member_sum(self, key: str) -> int:
        """Return the sum of a figure of `jamrelay stats` over the stays."""
        return sum(int(stay.figures[key]) for stay in self.stays)

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as one JSON object."""
        members = [self._member(stay) for stay in self.stays]
        proof = self.proof
        return {
            "coherent": not self.troubles,
            "proved": None if proof is None else proof.proved,
            "sha256": None if proof is None else proof.sha256,
            "embedded": self.embedded,
            "troubles": self.troubles,
            "seconds": round(self.seconds, 3),
            "events": self.comparison.events,
            **{key: sum(member[key] for member in members) for key in TOTALS},
            "retimed_after_first_second": self.retimed_later,
            "margin_ms_min": min(member["margin_ms_min"] for member in members),
            "timetag_spread_us": round(self.comparison.timetag_spread_us, 1),
            "heard_db_worst": self.worst_db,
            "lead_ms": round(self.room["lead_ms"], 3),
            "shift_ms": round(self.room["shift_ms"], 3),
            "scenes": [[round(at_s, 3), what] for at_s, what in self.scenes],
            "members": members,
            "heard": [hearing.as_json() for hearing in self.heard],
        }

    @property
    def worst_db(self) -> float | None:
        """The greatest difference between a part's level at a listener and at home; None without sound."""
        return max((round(abs(hearing.worst[1]), 2) for hearing in self.heard), default=None)

    def _member(self, stay: Stay) -> dict[str, Any]:
        result, reported = self.comparison.members[stay.label], stay.figures
        member = {
            "name": stay.label,
            "slot": stay.slot,
            "from_s": round(max(0.0, (stay.from_ns - self.comparison.from_ns) / 1e9), 3),
            "to_s": round((stay.to_ns - self.comparison.from_ns) / 1e9, 3),
            "events": result.received,
            "missing": len(result.missing),
            "late": len(result.late) + self.late_lines[stay.label],
            "out_of_order": len(result.out_of_order),
            "different": len(result.different) + len(result.mistimed),
            "retimed": reported["retimed"],
            "unconfirmed": reported["unconfirmed"],
            "silent_here": reported["silent_here"],
            "moved": reported["moved"],
            "margin_ms_min": round(result.margin_ms_min, 3),
            "margin_ms_p50": round(result.margin_ms_p50, 3),
            "stem_dbfs": rounded(self.levels_dbfs.get(stay.label)),
            "clock_bound_us": round(reported["clock_bound_ms"] * 1e3, 1),
        }
        if self.proof is not None:
            proof = self.proof.members[stay.label]
            member |= {
                "proved": proof.trouble is None,
                "mismatch": proof.trouble,
                "matched": len(proof.match.pairs),
                "covered": proof.match.covered,
                "sha256": proof.sha256,
                "rendered_stem_dbfs": rounded(proof.stem_dbfs),
            }
        return member


def rounded(level_dbfs: float | None) -> float | None:
    return None if level_dbfs is None else round(level_dbfs, 1)


def show(outcome: DemoOutcome, output: Path, console: Console) -> None:
    """Print the outcome as tables and sentences. output: the folder with WAV files and picture, named in the
    text."""
    report = outcome.as_json()
    title = f"{report['events']} events in {outcome.seconds:.0f} s, by the recorders"
    rows = [
        (
            member["name"], *(member[key] for key in COLUMNS.values()),
            f"{member['margin_ms_min']:.0f} ms", "-" if level is None else f"{level:.0f}",
        )
        for member in report["members"]
        for level in (member["stem_dbfs"] or member.get("rendered_stem_dbfs"),)
    ]  # fmt: skip
    console.print(table(("member", *COLUMNS, "margin", "dBFS"), rows, title=title))
    if outcome.heard:
        console.print(heard_table(outcome))
    if outcome.proof is not None:
        console.print(proof_table(outcome.proof))
    if outcome.embedded:
        console.print(f"{STAND_INS}. {NO_SOUND}.", highlight=False)
    heard = f"heard in {output}/*.wav, " if list(output.glob("*.wav")) else ""
    spread = f"timetags of one event within {report['timetag_spread_us']:.0f} us"
    console.print(f"{spread}; {heard}seen in {output}/jam.png")
    if outcome.troubles:
        console.print("NOT coherent:", style="bold red")
        for trouble in outcome.troubles:
            console.print(f"  {trouble}", style="red", markup=False)
        console.print(outcome.comparison.report(), style="dim", highlight=False, markup=False)
    else:
        what = "sinks" if outcome.embedded else "scsynths"
        console.print(f"coherent: all three {what} were handed the same music, in time", style="bold green")
        if outcome.worst_db is not None:
            console.print(
                f"heard alike: each part at each, every second, within {outcome.worst_db:.2f} dB",
                style="bold green", highlight=False,
            )  # fmt: skip
    if outcome.proof is not None and outcome.proof.proved:
        console.print(proof_line(outcome.proof), style="bold green", highlight=False)


def heard_table(outcome: DemoOutcome) -> Table:
    """Return a table of how differently each part is heard by each listener, at worst."""
    labels = [stay.label for stay in outcome.stays]
    found = {(hearing.player, hearing.listener): hearing for hearing in outcome.heard}

    def cell(player: str, listener: str) -> str:
        hearing = found.get((player, listener))
        if player == listener:
            return "home"
        if hearing is None or not hearing.seconds:
            return "-"
        return f"{hearing.worst[1]:+.2f} ({len(hearing.seconds)} s)"

    rows = [(player, *(cell(player, listener) for listener in labels)) for player in labels]
    title = "each part, heard by each: the second that differs most from home, in dB"
    return table(("part of", *(f"by {label}" for label in labels)), rows, title=title)


def proof_table(proof: Proof) -> Table:
    """Return a table of what was proved of each recording."""
    rows = [
        (name, (one.sha256 or why_not_rendered(one))[:SHA_SHOWN], len(one.match.pairs))
        for name, one in proof.members.items()
    ]
    return table(("member", "sha256 of its recording, rendered", "matched"), rows, words=2)


def why_not_rendered(proof: MemberProof) -> str:
    """Return in words why a recording wasn't rendered."""
    if proof.match.mismatch or proof.error or proof.match.is_whole:
        return "-"
    return f"came later: {proof.match.covered} events were built, not handed over"


def proof_line(proof: Proof) -> str:
    """Return the line about a successful proof."""
    matched = f"proved: {proof.events} events of the relay's log, one by one, in every recording"
    if not proof.rendered:
        return f"{matched}; sequence only: no sound was rendered here ({proof.why_silent})"
    return f"{matched}; and all renders of the whole music are the same, bit by bit"
