"""Sink: a stand-in for scsynth that accepts every message, makes no sound and gives plausible answers.

    sink -v                  prints its version
    sink -u PORT FLAGS...    listens on UDP PORT of -B (127.0.0.1) until /quit or SIGTERM

If the environment variable REHEARSAL_SINK_RECORDING names a file, the sink appends every datagram to it with
the kernel's timestamp, as a recorder does. Then no recorder has to run in front of the sink. That matters to
experiments with up to 16 members on one machine, and to experiments that measure a program's delay.

The sink keeps a tree of groups and synths, so that clients of /notify get /n_go, /n_end and /fail. A synth
ends when its envelope should end, an FX or mixer when it is freed. Like scsynth with jackd at 256 frames, the
sink executes a bundle LATENCY_S before its timetag. It never reports a bundle as late: this program's own
delays prove nothing, and a recorder's timestamps are the kernel's. It needs only the standard library, so it
starts as fast as the genuine scsynth.
"""

import contextlib
import heapq
import json
import os
import select
import signal
import socket
import sys
import time
import wave
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from rehearsal.embedded import SINK_RECORDING
from rehearsal.rigs.nodes import LiveNode, Nodes, NoSuchPlace
from rehearsal.rigs.osc import message
from rehearsal.rigs.recorder import ANCILLARY_BYTES, MAX_DATAGRAM, open_socket, read_ancillary
from rehearsal.rigs.recording import Argument, parse_message, unix_ns, walk

VERSION = "sink: a stand-in for scsynth without sound (scsynth 3.13.0 is what it answers like)"
GREETING = (
    "sink: a stand-in for scsynth, nothing will be heard\n"
    "SC_AudioDriver: sample rate = 48000.000000, driver's block size = 256\n"
    "SuperCollider 3 server ready."
)
LATENCY_S = 0.016
"""A bundle is executed this long (s) before its timetag: three blocks of 256 frames at 48 kHz."""
SYNTH_S = 1.0
"""Duration (s) of a synth without an envelope of its own."""
ENVELOPE = ("attack", "decay", "sustain", "release")
STAYING = ("-fx_", "-mixer", "-basic_mixer", "-scope", "-recorder", "-amp_stereo_monitor")
"""Parts of synthdef names. A synth plays until it is freed if its synthdef's name contains one of them."""

Address = tuple[str, int]


class RecordingSocket(socket.socket):
    """A UDP socket that appends every datagram it receives to a file, in the format of
    `rehearsal.rigs.recorder`."""

    def __init__(self, sock: socket.socket, path: Path, meta: dict[str, object]) -> None:
        """Take over the file descriptor of `sock`. Append `meta` to the file at `path`, and then every
        datagram. Raises OSError."""
        super().__init__(fileno=sock.detach())
        self.lost = 0
        self.file = path.open("a", encoding="ascii")
        self.file.write(json.dumps({"meta": meta}) + "\n")
        self.file.flush()

    def recvfrom(self, size: int, flags: int = 0) -> tuple[bytes, Any]:
        try:
            datagram, ancillary, _, source = self.recvmsg(size, ANCILLARY_BYTES, flags)
        except BlockingIOError:
            self.file.flush()  # one flush for all datagrams that came together
            raise
        t_ns, lost = read_ancillary(ancillary)
        if lost > self.lost:
            self.file.write(json.dumps({"dropped": lost - self.lost}) + "\n")
            self.lost = lost
        self.file.write(f'{{"t_ns": {t_ns}, "dir": "to", "hex": "{datagram.hex()}"}}\n')
        return datagram, source


class Sink:
    """A UDP server that answers as scsynth does and makes no sound.

    flags: scsynth's command line, flag -> value. record: a file to append every datagram to; None: no file.
    """

    def __init__(self, port: int, flags: dict[str, str], record: Path | None = None) -> None:
        self.flags = flags
        self.sock = open_socket(port, flags.get("-B", "127.0.0.1"))
        if record is not None:
            meta = {"pid": os.getpid(), "port": port, "scsynth_port": port, "flags": flags}
            self.sock = RecordingSocket(self.sock, record, meta)
        self.clients: dict[Address, None] = {}
        self.waiting: list[tuple[int, int, bytes, Address]] = []
        self.ending: list[tuple[int, int]] = []
        self.count = 0
        self.nodes = Nodes()
        self.buffers: dict[int, tuple[int, int, float]] = {}
        self.running = True

    def run(self) -> None:
        """Receive and execute messages until /quit."""
        print(GREETING, flush=True)
        while self.running:
            instants = [queue[0][0] for queue in (self.waiting, self.ending) if queue]
            timeout_s = max(0.0, (min(instants) - time.time_ns()) / 1e9) if instants else None
            select.select([self.sock], [], [], timeout_s)
            self.receive()
            now_ns = time.time_ns()
            while self.waiting and self.waiting[0][0] <= now_ns:
                _, _, raw, source = heapq.heappop(self.waiting)
                self.execute(raw, source)
            while self.ending and self.ending[0][0] <= now_ns:
                self.end(heapq.heappop(self.ending)[1])

    def receive(self) -> None:
        while True:
            try:
                datagram, source = self.sock.recvfrom(MAX_DATAGRAM)
            except (BlockingIOError, ConnectionRefusedError):
                return
            for timetag, raw in walk(datagram):
                if timetag is None:
                    self.execute(raw, source)
                    continue
                take_at_ns = unix_ns(timetag) - round(LATENCY_S * 1e9)
                self.count += 1
                heapq.heappush(self.waiting, (take_at_ns, self.count, raw, source))

    def execute(self, raw: bytes, source: Address) -> None:
        address, args = parse_message(raw)
        match address:
            case "/quit":
                self.reply(source, "/done", "/quit")
                self.running = False
            case "/notify":
                self.clients[source] = None
                self.reply(source, "/done", "/notify", 0, int(self.flags.get("-l", "1")))
            case "/status":
                groups = sum(one.inside is not None for one in self.nodes.by_id.values())
                synths = len(self.nodes.by_id) - groups
                figures = (1, 0, synths, groups, 0, 0.1, 0.2, 48000.0, 48000.0)
                self.sock.sendto(message("/status.reply", *figures, doubles=2), source)
            case "/sync":
                self.reply(source, "/synced", number(args, 0))
            case "/g_new" | "/p_new":
                for at in range(0, len(args), 3):
                    node, action, target = (number(args, at + each) for each in range(3))
                    self.create(address, node, action, target)
            case "/s_new":
                self.new_synth(args)
            case "/n_free":
                for at in range(len(args)):
                    if number(args, at) not in self.nodes.by_id:
                        self.notify("/fail", "/n_free", f"Node {number(args, at)} not found")
                    self.end(number(args, at))
            case "/g_freeAll" | "/g_deepFree":
                for at in range(len(args)):
                    group = self.nodes.by_id.get(number(args, at))
                    for one in list(group.inside or ()) if group else ():
                        self.end(one.id)
            case "/n_set" if number(args, 0) not in self.nodes.by_id:
                self.notify("/fail", "/n_set", f"Node {number(args, 0)} not found")
            case "/n_query" if (found := self.nodes.by_id.get(number(args, 0))) and found.parent:
                self.tell("/n_info", found)
            case "/n_query":
                self.reply(source, "/fail", "/n_query", f"Node {number(args, 0)} not found")
            case _ if address.startswith("/b_"):
                self.buffer(address, args, source)
            case _ if address.startswith("/d_"):
                self.reply(source, "/done", address)

    def buffer(self, address: str, args: tuple[Argument, ...], source: Address) -> None:
        at = number(args, 0)
        if address == "/b_query":
            frames, channels, rate = self.buffers.get(at, (0, 0, 0.0))
            self.reply(source, "/b_info", at, frames, channels, rate)
            return
        if address == "/b_allocRead":
            try:
                with contextlib.closing(wave.open(str(args[1]), "rb")) as file:
                    self.buffers[at] = (file.getnframes(), file.getnchannels(), float(file.getframerate()))
            except (OSError, EOFError, wave.Error, IndexError):
                self.reply(source, "/fail", address, "File could not be opened")
        self.reply(source, "/done", address, at)

    def new_synth(self, args: tuple[Argument, ...]) -> None:
        name, node = str(args[0]), number(args, 1)
        if not self.create("/s_new", node, number(args, 2), number(args, 3), name):
            return
        if name == "sonic-pi-server-info":
            outs, ins = float(self.flags.get("-o", "8")), float(self.flags.get("-i", "8"))
            audio, control, buffers = (float(self.flags.get(flag, "1024")) for flag in ("-a", "-c", "-b"))
            rates = (48000.0, 1 / 48000, 0.00013, 750.0, 0.00133, 0.0)
            self.notify("/sonic-pi/server-info", node, -1, *rates, outs, ins, audio, control, buffers, 1.0)
            self.end(node)
        elif not any(part in name for part in STAYING):
            controls = dict(zip(args[4::2], args[5::2], strict=False))
            lengths = [controls[each] for each in ENVELOPE if each in controls]
            life_s = sum(each for each in lengths if isinstance(each, int | float) and each > 0)
            heapq.heappush(self.ending, (time.time_ns() + round((life_s or SYNTH_S) * 1e9), node))

    def create(self, address: str, node: int, action: int, target: int, synth: str | None = None) -> bool:
        try:
            made = self.nodes.make(node, action, target, synth=synth)
        except NoSuchPlace as error:
            self.notify("/fail", address, str(error))
            return False
        self.tell("/n_go", made)
        return True

    def end(self, node: int) -> None:
        """End all nodes inside a node, and then the node itself. Do nothing if it has ended already."""
        found = self.nodes.by_id.get(node)
        if found is None or found.parent is None:
            return
        for one in list(found.inside or ()):
            self.end(one.id)
        self.nodes.free(found)
        self.tell("/n_end", found)

    def tell(self, address: str, node: LiveNode) -> None:
        rest = (0,) if node.inside is None else (1, -1, -1)
        self.notify(address, node.id, node.parent.id if node.parent else -1, -1, -1, *rest)

    def notify(self, address: str, *args: int | float | str) -> None:
        for client in self.clients:
            self.reply(client, address, *args)

    def reply(self, to: Address, address: str, *args: int | float | str) -> None:
        with contextlib.suppress(OSError):
            self.sock.sendto(message(address, *args), to)


def number(args: tuple[Argument, ...], at: int) -> int:
    value = args[at] if at < len(args) else -1
    return int(value) if isinstance(value, int | float) else -1


def main(arguments: list[str]) -> int:
    record = os.environ.get(SINK_RECORDING)
    if "-u" not in arguments[:-1]:
        print(VERSION)
        return 0
    flags = dict(zip(arguments[::2], arguments[1::2], strict=False))
    try:
        sink = Sink(int(flags["-u"]), flags, Path(record) if record else None)
    except (OSError, ValueError) as error:
        raise SystemExit(f"sink: cannot listen on UDP {flags.get('-u')} or write: {error}") from error
    if record:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    sink.run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
