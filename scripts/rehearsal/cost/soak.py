"""The soak: three genuine Sonic Pis play for half an hour, with other examples in each cycle of one minute.

In each cycle all play, one is stopped and started again, then all are stopped and everything fades. Each
cycle's recordings are compared on their own, so memory here stays small in a long soak. In the silence at the
end of a cycle, counts are taken that must stay flat: memory and file handles of relay, bridges and shims;
nodes in each scsynth; buses and buffers in use.

Sonic Pi 3.2.2 itself leaves nodes behind, with plain scsynth too. At a stop one of its threads may end with
PromiseAlreadyDeliveredError (runtime.rb). Then it never frees that run's group and mixer. Nodes that Sonic Pi
never freed are counted apart (`kept`), and the report gives the number of these errors in Sonic Pi's log. Any
other growth is our fault, and the soak fails.

The soak also fails if an event is late. The report says how many late events met a standstill of the whole
machine (stillwatch.py). On a virtual machine it also gives the processor time that the host took away.
"""

import json
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import matplotlib
import psutil
from rich.console import Console
from rich.progress import Progress

from rehearsal.proof.compare import compare
from rehearsal.proof.matching import MatchedEvent
from rehearsal.proof.slots import node_of, number_at, slot_of
from rehearsal.rigs import recording
from rehearsal.rigs.jam import Jam, late_lines
from rehearsal.rigs.machine import StageError, examples
from rehearsal.rigs.osc import ask, message
from rehearsal.rigs.recording import RecordedMessage, Recording
from rehearsal.rigs.stage import Stage
from rehearsal.rigs.terminal import SETTINGS, progress_on, told_in_words

matplotlib.use("Agg")
from matplotlib.figure import Figure

NAMES = ("anna", "bob", "cleo")
LEAD_MS = 250.0
"""Lead (ms) of the soak's room, fixed to that of a safe room (`jamrelay serve --profile safe`), because the
half hour must not fail."""
CYCLE_S = 60.0
QUIET_S = 14.0
"""Length (s) of the silence at the end of a cycle. Sonic Pi's longest kill_delay is 8 s, its own fade 1.7
s."""
RESTART_AT = 0.5
"""Share of a cycle's playing time after which one member stops and starts again."""
STALL_REACH_S = 0.3
"""Time (s) after a standstill in which a due event still counts as affected. An untimed event is due 200 ms
after its emission, and scsynth needs it a little earlier."""
SONIC_PI_ERROR = "PromiseAlreadyDeliveredError"
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")


KEPT = {"synths": "kept_synths", "groups": "kept_groups", "buses_in_use": "kept_buses"}
"""Name of a count of nodes or buses -> name of the count of those among them that Sonic Pi itself never
freed."""
FLAT = ("memory_mb", "handles", "synths", "groups", "buses_in_use", "buffers_loaded")
"""Names of the counts that must stay flat, taken in the silence after a cycle. The first two are per process,
the others per performer's scsynth."""
FAULTS = ("missing", "late", "out_of_order", "different")


@dataclass(slots=True)
class Cycle:
    """One cycle. at_s: its start, in s after the start of the soak. playing: performer -> example that it
    played."""

    at_s: float
    playing: dict[str, str]
    found: dict[str, float] = field(default_factory=dict)
    """Name -> figure of this cycle: numbers of events, of each of FAULTS and of re-timed events, and these:

        late_in_stalls     late events due in a standstill of the machine, or within STALL_REACH_S after one
        stalls             standstills of the whole machine
        stall_ms_max       length of the longest standstill
        steal_s            processor time that the host of a virtual machine took away
        margin_ms_min      least margin of an event
        timetag_spread_us  greatest spread between the members' timetags of an event
        sonic_pi_errors    threads of Sonic Pi that have ended with PromiseAlreadyDeliveredError

    sonic_pi_errors counts from the start of the soak, all other figures from the start of the cycle.
    """
    counts: dict[str, dict[str, float]] = field(default_factory=dict)
    """Name of a count (one of FLAT or a value of KEPT) -> process or performer -> the count."""


class Tail:
    """Reads a growing recording piece by piece, each line once, and tracks buses and buffers in use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self.live: dict[int, int] = {}
        """Node id of each living FX and mixer -> the internal bus that it reads. Sonic Pi can't use that bus
        for another."""
        self.buffers: set[int] = set()
        self.kept: dict[int, str] = {}
        """Node id -> address of the message that created it, for groups, FX and mixers that Sonic Pi hasn't
        freed."""

    def read(self) -> Recording:
        with self._path.open("rb") as file:
            file.seek(self._at)
            news = file.read()
        whole = news[: news.rfind(b"\n") + 1]
        self._at += len(whole)
        piece = recording.parse(whole.decode("ascii", "replace").splitlines())
        for sent in piece.to_scsynth:
            self._note_sent(sent)
        for heard in piece.from_scsynth:
            if heard.address == "/n_end":
                for nodes in (self.live, self.kept):
                    nodes.pop(number_at(heard.args, 0) or 0, None)
        return piece

    def _note_sent(self, sent: RecordedMessage) -> None:
        if not slot_of(sent):
            return
        if sent.address == "/s_new" and "in_bus" in sent.args:
            bus = sent.args[sent.args.index("in_bus") + 1]
            node = node_of(sent)
            if node is not None and isinstance(bus, int | float):
                self.live[node] = int(bus)
                self.kept[node] = sent.address
        elif sent.address == "/g_new":
            self.kept[number_at(sent.args, 0) or 0] = sent.address
        elif sent.address == "/n_free":
            self.kept.pop(number_at(sent.args, 0) or 0, None)
        elif sent.address in ("/b_alloc", "/b_allocRead"):
            self.buffers.add(number_at(sent.args, 0) or 0)
        elif sent.address == "/b_free":
            self.buffers.discard(number_at(sent.args, 0) or 0)


def nodes_of(port: int) -> tuple[int, int]:
    """Ask the scsynth at UDP `port` for its (number of synths, number of groups). Raises StageError."""
    try:
        _, args = ask(port, message("/status"))
    except OSError as error:
        raise StageError(f"scsynth at UDP {port} does not answer /status: {error}") from None
    return number_at(args, 2) or 0, number_at(args, 3) or 0


def soak(minutes: float, progress: Progress) -> list[Cycle]:
    """Let three Sonic Pis play for `minutes`, and return the cycles. Raises StageError."""
    cycles: list[Cycle] = []
    shipped = list(examples().values())
    step = progress.add_task("booting three Sonic Pis", total=minutes * 60)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jamrelay-soak-")))
        stage = stack.enter_context(Stage())
        jam = Jam(stage, folder, NAMES, lead_ms=LEAD_MS)
        jam.start_relay()
        jam.boot()
        stage.play_for(3.0)
        tails = {name: Tail(performer.recording_path) for name, performer in jam.performers.items()}
        ports = {name: tail.read().scsynth_port for name, tail in tails.items()}
        still = folder / "still.txt"
        stage.spawn([sys.executable, Path(__file__).with_name("stillwatch.py")], still)
        stolen_before_s = psutil.cpu_times().steal
        started_s = time.monotonic()
        late_before = retimed_before = 0
        while (now_s := time.monotonic() - started_s) < minutes * 60:
            turn = len(cycles)
            playing = {
                name: shipped[(turn * len(NAMES) + index) % len(shipped)] for index, name in enumerate(NAMES)
            }
            cycle = Cycle(now_s, {name: path.stem for name, path in playing.items()})
            progress.update(step, description=f"cycle {turn + 1}", completed=now_s)
            from_ns = time.time_ns()
            for name, path in playing.items():
                jam.performers[name].run_file(path)
            half_s = (CYCLE_S - QUIET_S) * RESTART_AT
            stage.play_for(half_s)
            again = NAMES[turn % len(NAMES)]
            jam.performers[again].stop_jobs()
            stage.play_for(2.0)
            jam.performers[again].run_file(playing[again])
            stage.play_for(CYCLE_S - QUIET_S - half_s - 2.0)
            for performer in jam.performers.values():
                performer.stop_jobs()
            stage.play_for(QUIET_S)
            result = compare(
                {name: tail.read() for name, tail in tails.items()}, from_ns, time.time_ns() - 10**9
            )
            members = result.members.values()
            late_now = sum(len(late_lines(performer)) for performer in jam.performers.values())
            retimed_now = sum(int(member["retimed"]) for member in jam.members().values())
            stolen_now_s = psutil.cpu_times().steal
            stalls = stalls_of(still, from_ns)
            cycle.found = {
                "events": result.events,
                "missing": sum(len(member.missing) for member in members),
                "late": sum(len(member.late) for member in members) + late_now - late_before,
                "out_of_order": sum(len(member.out_of_order) for member in members),
                "different": sum(len(member.different) + len(member.mistimed) for member in members),
                "retimed": retimed_now - retimed_before,
                "late_in_stalls": sum(is_in(event, stalls) for member in members for event in member.late),
                "stalls": len(stalls),
                "stall_ms_max": max((round((to - at) / 1e6, 1) for at, to in stalls), default=0.0),
                "steal_s": round(stolen_now_s - stolen_before_s, 2),
                "margin_ms_min": round(min(member.margin_ms_min for member in members), 2),
                "timetag_spread_us": round(result.timetag_spread_us, 1),
                "sonic_pi_errors": sum(
                    performer.log_text().count(SONIC_PI_ERROR) for performer in jam.performers.values()
                ),
            }
            late_before, retimed_before, stolen_before_s = late_now, retimed_now, stolen_now_s
            cycle.counts = counts_of(jam, tails, ports)
            cycles.append(cycle)
            if not result.coherent:
                progress.console.print(result.report(), highlight=False)
            line = f"{now_s / 60:5.1f} min  {result.events} events  {', '.join(cycle.playing.values())}"
            progress.console.print(line, highlight=False)
    return cycles


def stalls_of(log: Path, from_ns: int) -> list[tuple[int, int]]:
    """Return (start, end), in Unix ns, of each standstill of the machine that ended at `from_ns` (Unix ns) or
    later.

    log: the output of stillwatch.py.
    """
    pairs = (line.split() for line in log.read_text().splitlines())
    return [(int(at), int(to)) for at, to in (pair for pair in pairs if len(pair) == 2) if int(to) >= from_ns]


def is_in(event: MatchedEvent, stalls: list[tuple[int, int]]) -> bool:
    """Tell whether an event was due in a standstill, or within STALL_REACH_S after it. stalls: (start, end),
    Unix ns."""
    return any(at <= event.due_ns <= to + round(STALL_REACH_S * 1e9) for at, to in stalls)


def counts_of(jam: Jam, tails: dict[str, Tail], ports: dict[str, int]) -> dict[str, dict[str, float]]:
    """Take the counts at the end of a cycle. Return name of the count -> process or performer -> the count.

    tails, ports: each performer's recording, and its scsynth's UDP port.
    """
    assert jam.relay is not None
    processes = {"relay": psutil.Process(jam.relay.pid)}
    for name in NAMES:
        processes |= {f"bridge {name}": jam.bridge_of(name), f"shim {name}": jam.shim_of(name)}
    nodes = {name: nodes_of(port) for name, port in ports.items()}
    kept = {name: list(tail.kept.values()) for name, tail in tails.items()}
    return {
        "memory_mb": {what: round(each.memory_info().rss / 2**20, 2) for what, each in processes.items()},
        "handles": {what: each.num_fds() for what, each in processes.items()},
        "synths": {name: synths for name, (synths, _) in nodes.items()},
        "groups": {name: groups for name, (_, groups) in nodes.items()},
        "buses_in_use": {name: len(set(tail.live.values())) for name, tail in tails.items()},
        "buffers_loaded": {name: len(tail.buffers) for name, tail in tails.items()},
        "kept_synths": {name: made.count("/s_new") for name, made in kept.items()},
        "kept_groups": {name: made.count("/g_new") for name, made in kept.items()},
        "kept_buses": {
            name: len({bus for node, bus in tail.live.items() if node in tail.kept})
            for name, tail in tails.items()
        },
    }


def draw(cycles: list[Cycle], path: Path) -> None:
    """Draw memory, file handles, nodes, buses and buffers over time to the picture `path`."""
    at = [cycle.at_s / 60 for cycle in cycles]
    figure = Figure(figsize=(11, 8), dpi=120, facecolor="white", layout="constrained")
    titles = (
        "memory (MB)", "file handles", "synths in each scsynth, in silence",
        "groups in each scsynth, in silence", "buses in use, in silence",
        "buffers loaded (grow to what the examples use)",
    )  # fmt: skip
    for position, (key, title) in enumerate(zip(FLAT, titles, strict=True)):
        axes = figure.add_subplot(3, 2, position + 1)
        for index, name in enumerate(cycles[0].counts[key]):
            values = [cycle.counts[key][name] for cycle in cycles]
            axes.plot(at, values, label=name, color=COLOURS[index % len(COLOURS)], linewidth=1.4)
        if key in KEPT:
            values = [cycle.counts[KEPT[key]][NAMES[0]] for cycle in cycles]
            axes.plot(at, values, color="black", linestyle=":", label="not freed by Sonic Pi", linewidth=1.4)
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
        if key in ("memory_mb", "synths"):
            axes.legend(fontsize=7, frameon=False, ncols=2)
        if position > 3:
            axes.set_xlabel("minutes")
    events = sum(cycle.found["events"] for cycle in cycles)
    figure.suptitle(f"{len(cycles)} cycles, {events:.0f} events", x=0.01, ha="left", fontsize=13)
    figure.savefig(path)


def summary(cycles: list[Cycle]) -> dict[str, Any]:
    """Return the sums over all cycles, and the growth of each count from the second cycle to the last."""

    def sum_of(key: str) -> float:
        return sum(cycle.found[key] for cycle in cycles)

    # The first cycle still fills caches and pools; growth after it would be a leak.
    first, last = cycles[min(1, len(cycles) - 1)].counts, cycles[-1].counts

    def growth(key: str) -> dict[str, float]:
        return {name: round(value - first[key][name], 2) for name, value in last[key].items()}

    summed = ("events", "missing", "late", "late_in_stalls", "out_of_order", "different", "retimed", "stalls")
    return {
        "cycles": len(cycles),
        **{key: sum_of(key) for key in summed},
        "stall_ms_max": max(cycle.found["stall_ms_max"] for cycle in cycles),
        "steal_s": round(sum_of("steal_s"), 2),
        "margin_ms_min": min(cycle.found["margin_ms_min"] for cycle in cycles),
        "timetag_spread_us_max": max(cycle.found["timetag_spread_us"] for cycle in cycles),
        "growth": {key: growth(key) for key in FLAT},
        "growth_beyond_what_sonic_pi_keeps": {
            key: {name: grown - growth(kept)[name] for name, grown in growth(key).items()}
            for key, kept in KEPT.items()
        },
        "sonic_pi_errors": cycles[-1].found["sonic_pi_errors"],
    }


@click.command(context_settings=SETTINGS)
@click.option(
    "--minutes", default=30.0, type=click.FloatRange(1, 24 * 60), help="Play for this long, in minutes."
)
@click.option(
    "--output",
    default="soak-output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write report and curves here.",
)
def main(minutes: float, output: Path) -> None:
    """Let three genuine Sonic Pis play for a long time, and check that all hear the same and nothing
    grows."""
    output.mkdir(parents=True, exist_ok=True)
    console = Console()
    with told_in_words(StageError), progress_on(console) as progress:
        cycles = soak(minutes, progress)
    report = summary(cycles)
    draw(cycles, output / "soak.png")
    details = [{"at_s": one.at_s, "playing": one.playing, **one.found, **one.counts} for one in cycles]
    (output / "soak.json").write_text(json.dumps({"summary": report, "cycles": details}, indent=1) + "\n")
    console.print_json(data=report)
    faults = sum(report[key] for key in FAULTS)
    console.print("coherent throughout" if not faults else f"{faults} faults", style="bold")
    if report["late_in_stalls"]:
        console.print(
            f"{report['late_in_stalls']} of the {report['late']} late ones met one of {report['stalls']} "
            f"moments in which the whole machine stood still, up to {report['stall_ms_max']:.0f} ms"
        )
    grown = {
        f"{key} of {name}": by
        for counts in (report["growth_beyond_what_sonic_pi_keeps"], {"handles": report["growth"]["handles"]})
        for key, names in counts.items()
        for name, by in names.items()
        if by > 0
    }
    for what, by in grown.items():
        console.print(f"{what} grew by {by}", style="bold red")
    sys.exit(1 if faults or grown else 0)


if __name__ == "__main__":
    main(prog_name="scripts/test --long")
