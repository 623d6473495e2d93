"""Guests of a genuine jam: genuine bridges, with sockets of the test in place of Sonic Pi and scsynth.

A guest costs a second of one processor, not the five of a Sonic Pi, so that many can come and go.
"""

import contextlib
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from laboratory.runs.generator import RUN_GROUP, boot, schedule

from relay.wire.osc import bundle, encode
from relay.wire.timetag import from_unix_ns
from tests.real.standstill import Recorder, sleep_until
from tests.worlds.bridge_process import Bridge, bridge

SAMPLE = "/usr/share/sonic-pi/samples/bd_haus.flac"
BUFFERS = (5, 6)
CONTROL_BUS = 3
DRONE = 90
AHEAD_NS = 500_000_000
HELD_S = 60.0


@dataclass(frozen=True)
class Guest:
    """A guest who is in the room and has booted."""

    bridge: Bridge

    def send(self, message: bytes, *, ahead_ns: int | None = None) -> None:
        """Send a message as Sonic Pi does; with ahead_ns in a bundle that is due so much later."""
        datagram = message
        if ahead_ns is not None:
            datagram = bundle(from_unix_ns(time.time_ns() + ahead_ns), message)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sonic_pi:
            sonic_pi.sendto(datagram, self.bridge.tap)

    def load(self) -> None:
        """Load a sample and an empty buffer, and set a control bus."""
        self.send(encode("/b_allocRead", BUFFERS[0], SAMPLE, 0, 0))
        self.send(encode("/b_alloc", BUFFERS[1], 48_000, 1))
        self.send(encode("/c_set", CONTROL_BUS, 0.5))

    def hold(self, note: float) -> None:
        """Play one note for a minute."""
        how = ("note", note, "sustain", HELD_S, "amp", 0.5, "out_bus", 36.0)
        self.send(encode("/s_new", "sonic-pi-beep", DRONE, 0, RUN_GROUP, *how), ahead_ns=AHEAD_NS)

    def play(self, seed: int, seconds: float) -> None:
        """Play ten notes a second."""
        began_s = time.monotonic()
        for one in schedule(seed=seed, member=0, events_per_s=10.0, seconds=seconds, ahead_ms=500.0):
            sleep_until(began_s + one.at_s)
            self.send(one.message, ahead_ns=AHEAD_NS)

    def leave(self) -> None:
        """Leave the room, as Ctrl-C does."""
        self.bridge.leave()

    def vanish(self) -> None:
        """End without a word."""
        self.bridge.process.kill()


@contextlib.contextmanager
def guest(folder: Path, port: int, name: str) -> Iterator[Guest]:
    """Let a guest join room main of the relay at `port`, and its Sonic Pi start."""
    (folder / name).mkdir()
    with contextlib.ExitStack() as stack:
        joined = stack.enter_context(bridge(folder / name, port, name=name))
        stack.enter_context(Recorder({name: joined.synth}).running())
        joined.says("in room main as", "clock set")
        made = Guest(joined)
        began_s = time.monotonic()
        for after_s, message in boot():
            sleep_until(began_s + after_s)
            made.send(message)
        yield made
