"""The bench: measures the CPU time and memory of a jam, and the delay that relay and bridge add.

Cost: three genuine Sonic Pis play 20 events a second each, through one relay. The cost of a process is its
CPU time as a share of the time played. A recorder is measured too for comparison: it only passes the same
datagrams on to scsynth.

Delay: measured from outside, with kernel receive timestamps. The bench joins the room as a member of its own
(`Probe`), which speaks the sealed protocol over the loopback with the product's own code. These delays are
reported:

    echo         plain UDP there and back: the network and this host
    relay        from the probe's event to its verdict at the probe, less echo
    bridge up    from a datagram at the bridge's tap to the judged event at the probe, less the time from the
                 probe's event to its verdict
    bridge down  from the probe's event to the bridge's scsynth, less the time from the probe's event to its
                 verdict; the bridge hands the event over as soon as it comes (see LEAD_MS)

In a difference, the median of the shorter time is subtracted from p50 and p99 of the longer one. That is
exact for medians, and an upper bound for p99.

In hand: the time from an event's arrival at scsynth to its due. Nothing can delay the event after its
arrival.
"""

import asyncio
import json
import socket
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from rehearsal.cost.compiled import install_compiled
from rehearsal.cost.cost import Delay, delay_of, less, measure_cost
from rehearsal.cost.relaybench import HERE, core_us, measure_brokers, measure_relay, show_relay
from rehearsal.cost.relaycore import TURNS_OF, turns_ms
from rehearsal.embedded import SINK, SINK_RECORDING
from rehearsal.rigs import recording
from rehearsal.rigs.jam import BIN, RELAY_READY
from rehearsal.rigs.machine import StageError, find_ports
from rehearsal.rigs.recorder import ANCILLARY_BYTES, open_socket, read_ancillary
from rehearsal.rigs.stage import Stage, wait_for_text
from rehearsal.rigs.terminal import SETTINGS, table, told_in_words
from relay.transports import tls
from relay.transports.pins import KnownRelays
from relay.wire import control, frames
from relay.wire.datagram import Opener, Sealer
from relay.wire.endpoint import Endpoint
from relay.wire.osc import bundle, encode, walk
from relay.wire.sequence import Judged, Kind, Stamped
from relay.wire.timetag import from_unix_ns, ticks
from relay.wire.version import PROTOCOL_VERSION

WIDTH = 132
"""Least width (characters) of the relay's table. In a narrower one figures would be cut off."""
PROBES_PER_S = 40
LEAD_MS = 40
"""Lead (ms) of the relay while delays are measured. It is below the release advance of 49 ms. So a bridge
hands every event over as soon as it comes, even behind a gap."""


# -- delay -----------------------------------------------------------------------------------------------


class Probe:
    """A member of the room that sends events and records when the verdicts on all members' events arrive.

    welcome: the relay's answer to its Hello. port: the relay's UDP port.
    """

    def __init__(self, welcome: control.Welcome, port: int) -> None:
        self.slot = welcome.slot
        self.sealer = Sealer(welcome.key_up, welcome.channel)
        self.opener = Opener(welcome.key_down, welcome.channel)
        self.seq = 0
        self.sent_ns: dict[int, int] = {}
        self.judged_ns: dict[tuple[int, int], int] = {}
        """(slot, node) -> kernel receive timestamp (Unix ns) of the judged event with that node."""
        self.sock = open_socket()
        self.sock.connect(("127.0.0.1", port))

    def send(self, node: int) -> None:
        """Send one event with the timetag now, which starts a synth with the id `node`."""
        self.seq += 1
        now_ns = time.time_ns()
        now = from_unix_ns(now_ns)
        payload = encode("/s_new", "sonic-pi-beep", node, 0, 0)
        self.sent_ns[node] = now_ns
        self.sock.send(self.sealer.seal(frames.encode(Stamped(self.seq, now, now, Kind.TIMED, payload))))

    def receive(self) -> None:
        """Read all waiting datagrams and record the verdicts in them."""
        while True:
            try:
                payload, ancillary, _, _ = self.sock.recvmsg(2048, ANCILLARY_BYTES)
            except OSError:
                return
            t_ns, _ = read_ancillary(ancillary)
            for frame in frames.decode(self.opener.open(payload)):
                if isinstance(frame, Judged) and frame.payload:
                    self.judged_ns[frame.slot, node_of(frame.payload)] = t_ns


def node_of(payload: bytes) -> int:
    """Return the node id of an /s_new; -1 for any other message."""
    message = walk(payload)[0][1]
    return int(message.args[1]) if message.address == "/s_new" else -1


def measure_delay(folder: Path, seconds: float) -> dict[str, Delay]:
    """Start a relay and a bridge, and measure for `seconds`. Return the delays by name.

    Both the differences and the raw delays are returned. folder: for files of the programs.
    """
    with Stage() as stage:
        log = folder / "relay.log"
        stage.spawn(
            [BIN / "jamrelay", "serve", "--host", "127.0.0.1", "--port", "0", "--lead-ms", str(LEAD_MS),
             "--data-dir", folder / "relay"], log,
        )  # fmt: skip
        port = int(wait_for_text(log, RELAY_READY).split(",")[0])
        taps = find_ports(7)
        sink = folder / "sink.jsonl"
        env = {
            "HOME": str(folder), "XDG_DATA_HOME": str(folder / "data"), SINK_RECORDING: str(sink),
            "REHEARSAL_PYTHON": sys.executable,
        }  # fmt: skip
        stage.spawn(
            [BIN / "jambridge", "join", f"127.0.0.1:{port}", "--scsynth", SINK, "--name", "bridge",
             "--", "scsynth", "-u", str(taps.scsynth), "-i", "2", "-o", "2"],
            folder / "join.log", env=env,
        )  # fmt: skip
        wait_for_text(folder / "join.log", "clock set to the room's")
        return asyncio.run(probe(folder, port, taps.scsynth, sink, seconds))


async def probe(folder: Path, port: int, tap: int, sink: Path, seconds: float) -> dict[str, Delay]:
    stream = await tls.connect(Endpoint("127.0.0.1", port), pins=KnownRelays(folder / "pins"))
    stream.send(control.encode(hello()))
    welcome = control.decode_down(await stream.receive() or b"")
    if not isinstance(welcome, control.Welcome):
        raise StageError(f"the relay did not let the probe in: {welcome}")
    member = Probe(welcome, port)
    other = next(found.slot for found in welcome.members if found.slot != welcome.slot)
    tapped_ns: dict[int, int] = {}
    echoes_ns: list[int] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as player, Echo() as echo:
        player.connect(("127.0.0.1", tap))
        for index in range(round(seconds * PROBES_PER_S)):
            node = 1000 + index
            # The two ways are measured alternately, with a pause between, so that neither delays the other.
            if index % 2:
                member.send(node)
            else:
                tapped_ns[node] = time.time_ns()
                player.send(bundle(from_unix_ns(tapped_ns[node]) + ticks(0.5), beep(node)))
            await pause(member)
            echoes_ns.append(echo.there_and_back_ns())
            await pause(member)
        for _ in range(20):
            await pause(member)
    member.sock.close()
    stream.abort()
    handed_ns = dict(handed_over(sink, member.slot))
    verdicts = [member.judged_ns[member.slot, node] - t_ns for node, t_ns in member.sent_ns.items()
                if (member.slot, node) in member.judged_ns]  # fmt: skip
    ups = [member.judged_ns[other, node] - t_ns for node, t_ns in tapped_ns.items()
           if (other, node) in member.judged_ns]  # fmt: skip
    downs = [handed_ns[node] - t_ns for node, t_ns in member.sent_ns.items() if node in handed_ns]
    raw = {
        "echo": delay_of(echoes_ns),
        "own event to its verdict": delay_of(verdicts),
        "tap to another member": delay_of(ups),
        "another member to scsynth": delay_of(downs),
    }
    return raw | {
        "relay": less(raw["own event to its verdict"], raw["echo"]),
        "bridge up": less(raw["tap to another member"], raw["own event to its verdict"]),
        "bridge down": less(raw["another member to scsynth"], raw["own event to its verdict"]),
    }


async def pause(member: Probe) -> None:
    await asyncio.sleep(0.5 / PROBES_PER_S)
    member.receive()


def hello() -> control.Hello:
    return control.Hello(
        protocol=PROTOCOL_VERSION, software="bench", room="main", name="probe", outs=2, ins=2, ticket=None,
        slot_wanted=None, epoch=None, next_seq=1, release_advance=ticks(0.02),
    )  # fmt: skip


def beep(node: int) -> bytes:
    return encode("/s_new", "sonic-pi-beep", node, 0, 0)


class Echo:
    """A pair of sockets on the loopback, to send a datagram there and back."""

    def __enter__(self) -> "Echo":
        self.near, self.far = open_socket(), open_socket()
        self.near.connect(self.far.getsockname())
        self.far.connect(self.near.getsockname())
        self.far.setblocking(True)
        self.near.setblocking(True)
        return self

    def __exit__(self, *_: object) -> None:
        self.near.close()
        self.far.close()

    def there_and_back_ns(self) -> int:
        """Send a datagram of ordinary size to the other socket and back; return the time (ns) that it
        took."""
        began_ns = time.time_ns()
        self.near.send(bytes(150))
        self.far.send(self.far.recv(2048))
        _, ancillary, _, _ = self.near.recvmsg(2048, ANCILLARY_BYTES)
        return read_ancillary(ancillary)[0] - began_ns


def handed_over(path: Path, slot: int) -> Iterable[tuple[int, int]]:
    """Yield (node in the sender's own numbers, arrival in Unix ns) for each note of a slot in a sink's
    recording."""
    for message in recording.read(path).to_scsynth:
        node = message.args[1] if message.address == "/s_new" else None
        if isinstance(node, int) and node >> 26 == slot:
            yield node & (1 << 26) - 1, message.t_ns


# -- the command -----------------------------------------------------------------------------------------


def show(report: dict[str, Any], console: Console) -> None:
    """Print a report of costs and delays as tables."""
    plain = report["cost"]["recorder"]["cpu_percent"]
    costs = [
        (kind, f"{one['cpu_percent']:.1f}", f"{one['rss_mb']:.0f}", f"{one['cpu_percent'] / plain:.1f}x")
        for kind, one in report["cost"].items()
    ]
    title = f"cost at {report['events_per_s']:.1f} events/s each, three members"
    headings = ("process", "CPU % of a core", "memory MB", "CPU against a recorder")
    console.print(table(headings, costs, title=title))
    delays = [
        (way, f"{delay['p50_ms']:.2f}", f"{delay['p99_ms']:.2f}", delay["samples"])
        for way, delay in report["delay"].items()
    ]
    console.print(table(("way", "p50 ms", "p99 ms", "samples"), delays, title="delay"))
    in_hand = report["in_hand_ms"]
    console.print(f"in hand before its due, ms: p50 {in_hand['p50']:.0f}, p1 {in_hand['p1']:.0f}")


def show_turns(longest: dict[tuple[int, int], dict[str, tuple[float, float]]], console: Console) -> None:
    """Print the longest turns (calls of the relay's hub) as a table.

    longest: (rooms, members) -> name of the call -> (99.9th percentile, longest), in ms of CPU time.
    """
    calls = list(dict.fromkeys(call for found in longest.values() for call in found))
    rows = [
        (f"{rooms} x {members}", *("{:.2f} / {:.2f}".format(*found[call]) for call in calls))
        for (rooms, members), found in longest.items()
    ]
    title = "turns of the relay's core, ms of CPU time: 99.9th percentile / longest"
    console.print(table(("rooms x members", *calls), rows, title=title))


@click.command(context_settings=SETTINGS)
@click.option(
    "--seconds",
    default=20.0,
    type=click.FloatRange(2, 600),
    help="Play and probe this long each, in seconds.",
)
@click.option("--relay", is_flag=True, help="Measure the relay alone, with many rooms of made traffic.")
@click.option(
    "--turns",
    is_flag=True,
    help="Measure the longest turns of the relay's core, with ten minutes of music in its books; "
    "takes some minutes.",
)
@click.option(
    "--against",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="With --relay: another checkout, whose relay is measured in turn with this one.",
)
@click.option(
    "--compiled", is_flag=True, help="With --relay: measure a compiled core in turn with this one, too."
)
@click.option("--rooms", type=int, help="With --relay: measure only the cases with so many rooms.")
@click.option(
    "--pairs", default=1, type=click.IntRange(1, 20), help="With --relay: how often each case runs."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
def main(
    seconds: float,
    relay: bool,
    turns: bool,
    against: Path | None,
    compiled: bool,
    rooms: int | None,
    pairs: int,
    as_json: bool,
) -> None:
    """Measure the cost of relay and bridge on this machine, and the delay they add."""
    with told_in_words(StageError), ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jamrelay-bench-")))
        if turns:
            longest = {shape: turns_ms(*shape) for shape in TURNS_OF}
            if as_json:
                named = {f"{rooms} x {members}": found for (rooms, members), found in longest.items()}
                click.echo(json.dumps(named))
            else:
                show_turns(longest, Console())
            return
        if relay:
            trees = {"this": HERE}
            if compiled:
                trees["compiled"] = install_compiled(folder / "compiled")
            for name, tree in trees.items():
                one_us, many_us = core_us(tree)
                click.echo(
                    f"core alone, {name}, an event of one room of 4: {one_us:.0f} us; of 64 such rooms: "
                    f"{many_us:.0f} us, {many_us / one_us:.2f} times as much",
                    err=True,
                )
            if against is not None:
                trees["other"] = against.resolve()
            rows = measure_relay(folder, seconds, trees, pairs, rooms)
            if rooms is None:
                rows += measure_brokers(folder, seconds, pairs)
            if as_json:
                click.echo(json.dumps(rows))
            else:
                show_relay(rows, Console(width=max(WIDTH, Console().width)))
            return
        for name in ("cost", "delay"):
            (folder / name).mkdir()
        report = measure_cost(folder / "cost", seconds)
        delays = measure_delay(folder / "delay", seconds)
    report["delay"] = {
        way: {"p50_ms": round(delay.p50_ms, 3), "p99_ms": round(delay.p99_ms, 3), "samples": delay.samples}
        for way, delay in delays.items()
    }
    if as_json:
        click.echo(json.dumps(report))
    else:
        show(report, Console())


if __name__ == "__main__":
    main(prog_name="scripts/bench")
