"""Outcome of a demo: all findings, the reasons why the demo failed, and a table to print.

Pure but for printing. The findings are the recorders' comparison, the relay's statistics and, if asked for,
the proof. A fault in any one of them makes the outcome a failure.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from rehearsal.proof.compare import Comparison
from rehearsal.proof.prove import STEM_DBFS_MIN, Proof
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

STAND_INS = (
    "Sonic Pi and scsynth are stand-ins here: recorded traffic of a genuine Sonic Pi, replayed through the "
    "real bridges and relay into recording sinks"
)


@dataclass(frozen=True, slots=True)
class DemoOutcome:
    """Everything that the demo found."""

    comparison: Comparison
    room: dict[str, Any]
    retimed_later: int
    late_lines: dict[str, int]
    levels_dbfs: dict[str, float]
    """Member -> level (dBFS) of its own sound, recorded in real time; empty for stand-ins, which make no
    sound."""
    seconds: float
    bounds_us: list[float]
    relay_trouble: str = ""
    """A sentence that says how the relay ended; "" if it still ran. Without a relay each member plays on
    alone."""
    embedded: bool = False
    proof: Proof | None = None
    """The proof; None if no proof was asked for, or if the relay had ended before it."""

    @property
    def troubles(self) -> list[str]:
        """The reasons, in words, why the jam failed; [] if it was coherent, in time and audible."""
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
        return found + (self.proof.troubles if self.proof is not None else [])

    def member_sum(self, key: str) -> int:
        """Return the sum of a figure of `jamrelay stats` over the members."""
        return sum(int(member[key]) for member in self.room["members"])

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as one JSON object."""
        members = [self._member(name) for name in self.comparison.members]
        proof = self.proof
        return {
            "coherent": not self.troubles,
            "proved": None if proof is None else proof.proved,
            "sha256": None if proof is None else proof.sha256,
            "embedded": self.embedded,
            "troubles": self.troubles,
            "seconds": self.seconds,
            "events": self.comparison.events,
            **{key: sum(member[key] for member in members) for key in TOTALS},
            "retimed_after_first_second": self.retimed_later,
            "margin_ms_min": min(member["margin_ms_min"] for member in members),
            "timetag_spread_us": round(self.comparison.timetag_spread_us, 1),
            "lead_ms": round(self.room["lead_ms"], 3),
            "shift_ms": round(self.room["shift_ms"], 3),
            "members": members,
        }

    def _member(self, name: str) -> dict[str, Any]:
        result = self.comparison.members[name]
        reported = {member["name"]: member for member in self.room["members"]}[name]
        member = {
            "name": name,
            "slot": reported["slot"],
            "events": result.received,
            "missing": len(result.missing),
            "late": len(result.late) + self.late_lines[name],
            "out_of_order": len(result.out_of_order),
            "different": len(result.different) + len(result.mistimed),
            "retimed": reported["retimed"],
            "unconfirmed": reported["unconfirmed"],
            "silent_here": reported["silent_here"],
            "moved": reported["moved"],
            "margin_ms_min": round(result.margin_ms_min, 3),
            "margin_ms_p50": round(result.margin_ms_p50, 3),
            "stem_dbfs": rounded(self.levels_dbfs.get(name)),
            "clock_bound_us": round(reported["clock_bound_ms"] * 1e3, 1),
        }
        if self.proof is not None:
            proof = self.proof.members[name]
            member |= {
                "proved": proof.trouble is None,
                "mismatch": proof.trouble,
                "matched": len(proof.match.pairs),
                "sha256": proof.sha256,
                "rendered_stem_dbfs": rounded(proof.stem_dbfs),
            }
        return member


def rounded(level_dbfs: float | None) -> float | None:
    return None if level_dbfs is None else round(level_dbfs, 1)


def show(outcome: DemoOutcome, output: Path, console: Console) -> None:
    """Print the outcome as a table and sentences. output: the folder with WAV files and picture, named in the
    text."""
    report = outcome.as_json()
    title = f"{report['events']} events in {outcome.seconds:.0f} s, by the recorders"
    rows = [
        (
            member["name"], *(member[key] for key in COLUMNS.values()),
            f"{member['margin_ms_min']:.0f} ms", "-" if level is None else f"{level:.0f} dBFS",
        )
        for member in report["members"]
        for level in (member["stem_dbfs"] or member.get("rendered_stem_dbfs"),)
    ]  # fmt: skip
    console.print(table(("member", *COLUMNS, "margin", "stem"), rows, title=title))
    if outcome.proof is not None:
        proved = [
            (name, one.sha256 or "-", len(one.match.pairs)) for name, one in outcome.proof.members.items()
        ]
        console.print(table(("member", "sha256 of its recording, rendered", "matched"), proved, words=2))
    if outcome.embedded:
        console.print(STAND_INS + ".", highlight=False)
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
    if outcome.proof is not None and outcome.proof.proved:
        console.print(proof_line(outcome.proof), style="bold green", highlight=False)


def proof_line(proof: Proof) -> str:
    """Return the line about a successful proof."""
    matched = f"proved: {proof.events} events of the relay's log, one by one, in every recording"
    if not proof.rendered:
        return f"{matched}; sequence only: no sound was rendered here ({proof.why_silent})"
    return f"{matched}; and all renders are the same, bit by bit"
