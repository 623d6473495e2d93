"""A room of a real relay and three real bridges, whose processes can be stopped for a while.

Each bridge has a carrier of its own between itself and the relay. Test sockets take the place of Sonic Pi and
scsynth. What comes for scsynth is recorded with the kernel's receive timestamps, so a busy test process makes
nothing look late.
"""

import contextlib
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from laboratory.runs.generator import boot
from laboratory.virtual.host import synth_reply
from rehearsal.rigs.recorder import ANCILLARY_BYTES, SO_TIMESTAMPNS

from relay.wire.osc import walk
from relay.wire.timetag import from_unix_ns, to_unix_ns
from tests.real import carrier
from tests.worlds.bridge_process import Bridge, bridge
from tests.worlds.commands import own_user, relay, run
from tests.worlds.hearing import Heard, Seen, hear
from tests.worlds.steady import Steady

PLAYER, LISTENER, OVER_TLS = "anna", "bob", "cleo"
LEAD_MS = "200"
"""The relay's lead is fixed. How a stall changes the lead isn't tested here."""
CARRIER = Path(carrier.__file__)
BEFORE_S, AFTER_S, LAST_DUE_S = 0.7, 1.8, 0.8
NOTICE_S = 0.1


class Recorder:
    """Takes scsynth's place for several bridges, in a thread: it records all messages and answers queries."""

    def __init__(self, synths: dict[str, socket.socket]) -> None:
        self.seen: dict[str, list[Seen]] = {name: [] for name in synths}
        self._selector = selectors.DefaultSelector()
        self._ended = False
        for name, sock in synths.items():
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, carrier.BUFFER_BYTES)
            self._selector.register(sock, selectors.EVENT_READ, name)
        self._thread = threading.Thread(target=self._record)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Record until the end of the `with` block."""
        self._thread.start()
        try:
            yield
        finally:
            self._ended = True
            self._thread.join()

    def _record(self) -> None:
        while not self._ended:
            for key, _ in self._selector.select(0.1):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                self._take(sock, self.seen[key.data])

    def _take(self, sock: socket.socket, seen: list[Seen]) -> None:
        datagram, ancillary, _, source = sock.recvmsg(carrier.PIECE_BYTES, ANCILLARY_BYTES)
        (stamp,) = [data for _, kind, data in ancillary if kind == SO_TIMESTAMPNS]
        seconds, nanoseconds = struct.unpack("ll", stamp)
        at_ns = seconds * 1_000_000_000 + nanoseconds
        for timetag, message in walk(datagram):
            seen.append((at_ns, None if timetag is None else to_unix_ns(timetag), timetag or 0, message.raw))
            if (answer := synth_reply(message)) is not None:
                sock.sendto(answer, source)


@dataclass(frozen=True)
class Found:
    """What all members heard of one player's music.

    start_ns: start of the music. end_ns: end of the stall. Both are Unix time.
    """

    player: str
    music: Steady
    start_ns: int
    end_ns: int
    heard: dict[str, Heard]

    @property
    def own(self) -> Heard:
        return self.heard[self.player]


@dataclass
class Room:
    """The running room. pids: the processes that can be stopped, by name. slots: by member."""

    bridges: dict[str, Bridge]
    pids: dict[str, int]
    recorder: Recorder
    port: int
    env: dict[str, str]
    slots: dict[str, int] = field(default_factory=dict)
    played: int = 0

    def boot(self) -> None:
        """Send all bridges the messages of Sonic Pi's start, and look up the members' slots."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sonic_pi:
            began_s = time.monotonic()
            for after_s, message in boot():
                sleep_until(began_s + after_s)
                for joined in self.bridges.values():
                    sonic_pi.sendto(message, joined.tap)
        self.slots = {str(one["name"]): int(one["slot"]) for one in self.stats()["members"]}

    def stats(self) -> dict[str, list[dict[str, int | str]]]:
        """Return the room's statistics, as `jamrelay stats --json` prints them."""
        status, printed, errors = run(self.env, "jamrelay", "stats", f"127.0.0.1:{self.port}", "--json")
        assert status == 0, errors
        room: dict[str, list[dict[str, int | str]]]
        (room,) = json.loads(printed)["rooms"]
        return room

    def play(self, player: str, music: Steady, what: str, seconds: float) -> Found:
        """Let a member play, and in the middle of the music stop the process `what` for some seconds.

        Returns what all members heard.
        """
        start_s = time.monotonic() + NOTICE_S
        start_ns = time.time_ns() + round(NOTICE_S * 1e9)
        start = from_unix_ns(start_ns)
        stall_s, end_s = start_s + BEFORE_S, start_s + BEFORE_S + seconds
        pid = self.pids[what]
        to_do: list[tuple[float, int, bytes]] = [(stall_s, signal.SIGSTOP, b""), (end_s, signal.SIGCONT, b"")]
        to_do += [(start_s + one.at_s, 0, one.stamped(start)) for one in music.sent]
        to_do.sort(key=lambda one: one[0])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sonic_pi:
            try:
                for at_s, word, datagram in to_do:
                    sleep_until(at_s)
                    if word:
                        os.kill(pid, word)
                    else:
                        sonic_pi.sendto(datagram, self.bridges[player].tap)
            finally:
                os.kill(pid, signal.SIGCONT)
        sleep_until(to_do[-1][0] + LAST_DUE_S)
        heard = {
            name: hear(list(seen), self.slots[player], music) for name, seen in self.recorder.seen.items()
        }
        return Found(player, music, start_ns, start_ns + round((end_s - start_s) * 1e9), heard)


def sleep_until(at_s: float) -> None:
    """Sleep until an instant (s) of the monotonic clock."""
    time.sleep(max(0.0, at_s - time.monotonic()))


@contextlib.contextmanager
def carried(relay_port: int) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run a carrier in front of a relay; yield its process and its port."""
    with subprocess.Popen(
        [sys.executable, str(CARRIER), str(relay_port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


@contextlib.contextmanager
def room(folder: Path) -> Iterator[Room]:
    """Run a relay and three bridges; yield the room when all have joined, set their clocks and booted.

    The third bridge sends its events over TLS.
    """
    env = own_user(folder)
    with contextlib.ExitStack() as stack:
        process, port = stack.enter_context(relay(env, folder / "data", 0, "--lead-ms", LEAD_MS))
        bridges, pids = {}, {"relay": process.pid}
        for name in (PLAYER, LISTENER, OVER_TLS):
            (folder / name).mkdir()
            carrier_process, carrier_port = stack.enter_context(carried(port))
            transport = "tls" if name == OVER_TLS else "udp"
            joined = stack.enter_context(bridge(folder / name, carrier_port, name=name, transport=transport))
            bridges[name] = joined
            pids |= {f"{name}'s bridge": joined.process.pid, f"{name}'s carrier": carrier_process.pid}
        recorder = Recorder({name: joined.synth for name, joined in bridges.items()})
        stack.enter_context(recorder.running())
        for joined in bridges.values():
            joined.says("in room main as", "clock set")
        made = Room(bridges, pids, recorder, port, env)
        made.boot()
        yield made
