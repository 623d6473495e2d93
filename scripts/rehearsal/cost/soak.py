"""The soak: three genuine Sonic Pis for half an hour, other examples every minute, stopped and started.

Each cycle plays, stops, lets everything fade and is compared by the recorders on its own, so that memory
here stays small however long it runs. In the silence between cycles the counts that must stay flat are
taken: memory and file handles of relay, bridges and shims; nodes in each scsynth; what the recordings say
of buses and buffers in use.

Sonic Pi 3.2.2 itself leaves runs behind: at a stop a thread of it may end with PromiseAlreadyDeliveredError
(runtime.rb), and then it never frees that run's group and mixer, with scsynth alone too. Such nodes are
counted beside (`kept`), by what Sonic Pi never asked to be freed, and its log's word on it stands in the
report. What grows beyond them is ours and fails.

Late is late, and fails; but where the machine itself stood still (stillwatch.py) the report says that beside
it, and how much of its processors' time the host of a virtual machine kept for others.
"""

import json
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
import matplotlib
import psutil
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from rehearsal.proof.compare import compare
from rehearsal.proof.matching import Event
from rehearsal.proof.slots import node_of, number_at, slot_of
from rehearsal.rigs import recording
from rehearsal.rigs.jam import Jam, late_lines
from rehearsal.rigs.machine import StageError, examples
from rehearsal.rigs.osc import ask, message
from rehearsal.rigs.recording import RecordedMessage, Recording
from rehearsal.rigs.stage import Stage

matplotlib.use("Agg")
from matplotlib.figure import Figure

NAMES = ("anna", "bob", "cleo")
LEAD_MS = 250.0
"""That of a safe room (`jamrelay serve --profile safe`), fixed: half an hour that must not fail."""
CYCLE_S = 60.0
QUIET_S = 14.0
"""Of each cycle: Sonic Pi's longest kill_delay is 8 s, its own fade 1.7 s."""
RESTART_AT = 0.5
"""In the middle of the playing part one member stops and starts again."""
STALL_REACH_S = 0.3
"""From emission to due of an untimed event are 200 ms; and scsynth wants it a little before."""
SONIC_PI_ERROR = "PromiseAlreadyDeliveredError"
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")


@dataclass(slots=True)
class Cycle:
    """One cycle's outcome: by the recorders, and the counts in the silence after it."""

    at_s: float
    playing: dict[str, str]
    events: int = 0
    missing: int = 0
    late: int = 0
    out_of_order: int = 0
    different: int = 0
    retimed: int = 0
    margin_ms_min: float = 0.0
    timetag_spread_us: float = 0.0
    memory_mb: dict[str, float] = field(default_factory=dict)
    handles: dict[str, int] = field(default_factory=dict)
    synths: dict[str, int] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    buses_in_use: dict[str, int] = field(default_factory=dict)
    buffers_loaded: dict[str, int] = field(default_factory=dict)
    kept_synths: dict[str, int] = field(default_factory=dict)
    kept_groups: dict[str, int] = field(default_factory=dict)
    kept_buses: dict[str, int] = field(default_factory=dict)
    late_in_stalls: int = 0
    """Of the late ones: due within STALL_REACH_S after a moment in which the whole machine stood still."""
    stalls: int = 0
    stall_ms_max: float = 0.0
    steal_s: float = 0.0
    """Seconds of its processors that this machine's host kept for others, if it is a virtual one."""
    sonic_pi_errors: int = 0
    """Threads of Sonic Pi that ended with its own PromiseAlreadyDeliveredError, so far."""


class Tail:
    """A recording read piece by piece, each line once; knows which buses are taken and buffers loaded."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self.live: dict[int, int] = {}
        """synth -> the internal bus it reads from: an FX or a mixer that keeps a bus of Sonic Pi's taken."""
        self.buffers: set[int] = set()
        self.kept: dict[int, str] = {}
        """node -> address that made it: groups and mixers that Sonic Pi has not asked to be freed."""

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
    """Return (synths, groups) of the scsynth on `port`, by its own count. Raises StageError."""
    try:
        _, args = ask(port, message("/status"))
    except OSError as error:
        raise StageError(f"scsynth at UDP {port} does not answer /status: {error}") from None
    return number_at(args, 2) or 0, number_at(args, 3) or 0


def soak(minutes: float, progress: Progress) -> list[Cycle]:
    """Play for so long and return the cycles."""
    cycles: list[Cycle] = []
    shipped = [path for name, path in examples().items()]
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
            cycle.events = result.events
            cycle.missing = sum(len(member.missing) for member in members)
            late_now = sum(len(late_lines(performer)) for performer in jam.performers.values())
            cycle.late = sum(len(member.late) for member in members) + late_now - late_before
            late_before = late_now
            stalls = stalls_of(still, from_ns)
            cycle.late_in_stalls = sum(is_in(event, stalls) for member in members for event in member.late)
            cycle.stalls = len(stalls)
            cycle.stall_ms_max = max((round((to - at) / 1e6, 1) for at, to in stalls), default=0.0)
            stolen_now_s = psutil.cpu_times().steal
            cycle.steal_s, stolen_before_s = round(stolen_now_s - stolen_before_s, 2), stolen_now_s
            cycle.out_of_order = sum(len(member.out_of_order) for member in members)
            cycle.different = sum(len(member.different) + len(member.mistimed) for member in members)
            cycle.margin_ms_min = round(min(member.margin_ms_min for member in members), 2)
            cycle.timetag_spread_us = round(result.timetag_spread_us, 1)
            retimed_now = sum(int(member["retimed"]) for member in jam.members().values())
            cycle.retimed, retimed_before = retimed_now - retimed_before, retimed_now
            count(cycle, jam, tails, ports)
            cycles.append(cycle)
            if not result.coherent:
                progress.console.print(result.report(), highlight=False)
            line = f"{now_s / 60:5.1f} min  {cycle.events} events  {', '.join(cycle.playing.values())}"
            progress.console.print(line, highlight=False)
    return cycles


def stalls_of(log: Path, from_ns: int) -> list[tuple[int, int]]:
    """Return the moments since `from_ns` in which the machine stood still (from, to in ns since 1970)."""
    pairs = (line.split() for line in log.read_text().splitlines())
    return [(int(at), int(to)) for at, to in (pair for pair in pairs if len(pair) == 2) if int(to) >= from_ns]


def is_in(event: Event, stalls: list[tuple[int, int]]) -> bool:
    """Tell whether an event was due in such a moment, or soon after it."""
    return any(at <= event.due_ns <= to + round(STALL_REACH_S * 1e9) for at, to in stalls)


def count(cycle: Cycle, jam: Jam, tails: dict[str, Tail], ports: dict[str, int]) -> None:
    """Take the counts that must stay flat."""
    assert jam.relay is not None
    processes = {"relay": psutil.Process(jam.relay.pid)}
    for name in NAMES:
        processes[f"bridge {name}"] = jam.bridge_of(name)
        processes[f"shim {name}"] = jam.shim_of(name)
    for what, process in processes.items():
        cycle.memory_mb[what] = round(process.memory_info().rss / 2**20, 2)
        cycle.handles[what] = process.num_fds()
    for name, tail in tails.items():
        cycle.synths[name], cycle.groups[name] = nodes_of(ports[name])
        cycle.buses_in_use[name] = len(set(tail.live.values()))
        cycle.buffers_loaded[name] = len(tail.buffers)
        cycle.kept_synths[name] = sum(address == "/s_new" for address in tail.kept.values())
        cycle.kept_groups[name] = sum(address == "/g_new" for address in tail.kept.values())
        cycle.kept_buses[name] = len({bus for node, bus in tail.live.items() if node in tail.kept})
    logs = (performer.log_text() for performer in jam.performers.values())
    cycle.sonic_pi_errors = sum(log.count(SONIC_PI_ERROR) for log in logs)


KEPT = {"synths": "kept_synths", "groups": "kept_groups", "buses_in_use": "kept_buses"}
"""Count -> how many of it Sonic Pi itself keeps."""


def draw(cycles: list[Cycle], path: Path) -> None:
    """Draw the curves: memory, handles, nodes, buses and buffers over time."""
    at = [cycle.at_s / 60 for cycle in cycles]
    figure = Figure(figsize=(11, 8), dpi=120, facecolor="white", layout="constrained")
    panels = (
        ("memory_mb", "memory (MB)"),
        ("handles", "file handles"),
        ("synths", "synths in each scsynth, in silence"),
        ("groups", "groups in each scsynth, in silence"),
        ("buses_in_use", "buses in use, in silence"),
        ("buffers_loaded", "buffers loaded (grow to what the examples use)"),
    )
    for position, (key, title) in enumerate(panels, start=1):
        axes = figure.add_subplot(3, 2, position)
        names = list(getattr(cycles[0], key))
        for index, name in enumerate(names):
            values = [getattr(cycle, key)[name] for cycle in cycles]
            axes.plot(at, values, label=name, color=COLOURS[index % len(COLOURS)], linewidth=1.4)
        kept = getattr(cycles[0], KEPT[key], {}) if key in KEPT else {}
        for name in list(kept)[:1]:
            values = [getattr(cycle, KEPT[key])[name] for cycle in cycles]
            axes.plot(at, values, color="black", linestyle=":", label="not freed by Sonic Pi", linewidth=1.4)
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
        if key in ("memory_mb", "synths"):
            axes.legend(fontsize=7, frameon=False, ncols=2)
        if position > 4:
            axes.set_xlabel("minutes")
    events = sum(cycle.events for cycle in cycles)
    figure.suptitle(f"{len(cycles)} cycles, {events} events", x=0.01, ha="left", fontsize=13)
    figure.savefig(path)


def summary(cycles: list[Cycle]) -> dict[str, Any]:
    """Return the sums of all cycles, and how much each count grew from the second cycle to the last."""
    counted = (
        "events",
        "missing",
        "late",
        "late_in_stalls",
        "out_of_order",
        "different",
        "retimed",
        "stalls",
    )
    sums = {key: sum(getattr(cycle, key) for cycle in cycles) for key in counted}
    # The first cycle still fills caches and pools; growth after it would be a leak.
    first, last = cycles[min(1, len(cycles) - 1)], cycles[-1]
    growth = {
        key: {name: round(value - getattr(first, key)[name], 2) for name, value in getattr(last, key).items()}
        for key in ("memory_mb", "handles", "synths", "groups", "buses_in_use", "buffers_loaded")
    }
    beyond = {
        key: {
            name: grown - (getattr(last, kept)[name] - getattr(first, kept)[name])
            for name, grown in growth[key].items()
        }
        for key, kept in KEPT.items()
    }
    return {
        "cycles": len(cycles),
        **sums,
        "stall_ms_max": max(cycle.stall_ms_max for cycle in cycles),
        "steal_s": round(sum(cycle.steal_s for cycle in cycles), 2),
        "margin_ms_min": min(cycle.margin_ms_min for cycle in cycles),
        "timetag_spread_us_max": max(cycle.timetag_spread_us for cycle in cycles),
        "growth": growth,
        "growth_beyond_what_sonic_pi_keeps": beyond,
        "sonic_pi_errors": last.sonic_pi_errors,
    }


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
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
    """Let three genuine Sonic Pis play for a long time and see that all stays the same, and flat."""
    output.mkdir(parents=True, exist_ok=True)
    console = Console()
    try:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            cycles = soak(minutes, progress)
    except StageError as error:
        raise click.ClickException(str(error)) from None
    report = summary(cycles)
    draw(cycles, output / "soak.png")
    details = {"summary": report, "cycles": [asdict(cycle) for cycle in cycles]}
    (output / "soak.json").write_text(json.dumps(details, indent=1) + "\n")
    console.print_json(data=report)
    faults = sum(report[key] for key in ("missing", "late", "out_of_order", "different"))
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
