"""Feeder: a stand-in for Sonic Pi that starts `scsynth` from PATH and sends the generator's notes.

    python -m laboratory.runs.feeder OPTIONS        (see --help)

It boots as Sonic Pi does: the same flags, then /status, /notify, synthdefs, groups and mixer, each with a
wait for the answer. It prints a line when it has booted. Then it reads "start UNIX_NS" from standard input,
once; all feeders of a run get the same instant. At the end of standard input it ends.

Each note is sent at its scheduled instant. Its timetag is computed from that instant, even if this process
sends it late. The log gets a line for each note, in the recorder's format; t_ns is CLOCK_REALTIME just before
sending.
"""

import argparse
import json
import os
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rehearsal.embedded.replayer import Replayer, Sent, serve
from rehearsal.rigs.osc import message
from rehearsal.rigs.recording import timetag_at

from laboratory.runs.generator import Emission, boot, schedule

BOOTED = "feeder: booted"
PLAYING = "feeder: playing"


class Feeder(Replayer):
    """A replayer that sends the generator's notes in place of recorded traffic, and logs them.

    port: scsynth's UDP port. notes: the schedule. log: the file to write.
    """

    def __init__(self, port: int, notes: Sequence[Emission], log: Path) -> None:
        super().__init__(Path("/"), port)
        self.notes = notes
        self.log = log.open("w", encoding="ascii", buffering=1)
        self.playing = False

    def run(self) -> None:
        """Send the notes as a replayer does, with real-time priority if the system allows it.

        A note's timetag is computed from its scheduled instant, as in Sonic Pi. So a note that is sent late
        has less time left until its timetag.
        """
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
        super().run()

    def obey(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word != "start" or not rest.isdigit() or self.playing:
            print(f"feeder: {line!r}: expected start UNIX_NS, once", flush=True)
            return
        start_ns = int(rest)
        start = timetag_at(start_ns)
        self.waiting.extend((start_ns / 1e9 + note.at_s, note.datagram(start)) for note in self.notes)
        self.playing = True
        print(PLAYING, flush=True)

    def send(self, datagram: bytes, sock: socket.socket) -> None:
        t_ns = time.time_ns()
        super().send(datagram, sock)
        if self.playing:
            self.log.write(json.dumps({"t_ns": t_ns, "dir": "to", "hex": datagram.hex()}) + "\n")

    def quit(self) -> None:
        self.playing = False
        super().quit()


def options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Play the generator's schedule as a Sonic Pi would.")
    parser.add_argument("--port", type=int, required=True, help="UDP port that scsynth is started on")
    parser.add_argument("--log", type=Path, required=True, help="write here what was sent when")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--member", type=int, required=True, help="0, 1, ...")
    parser.add_argument("--events-per-s", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--ahead-ms", type=float, default=500.0, help="Sonic Pi's schedule-ahead")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    given = options(arguments)
    notes = schedule(
        seed=given.seed, member=given.member, events_per_s=given.events_per_s, seconds=given.seconds,
        ahead_ms=given.ahead_ms,
    )  # fmt: skip
    opening = [Sent(0.0, message("/status")), Sent(0.0, message("/notify", 1))]
    messages = [*opening, *(Sent(at_s, datagram) for at_s, datagram in boot())]
    return serve(Feeder(given.port, notes, given.log), "feeder", messages)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
