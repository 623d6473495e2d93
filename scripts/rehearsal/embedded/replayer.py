"""Replayer: a stand-in for Sonic Pi that repeats the datagrams of a genuine one at the same pace.

    replayer.py ROOT BOOT PORT

It starts `scsynth` from PATH with Sonic Pi's own flags and waits until scsynth is ready. It sends the boot
(BOOT, a file of recorded traffic) and waits for the answers that Sonic Pi waits for. Then it reads commands
from standard input: "play FILE" sends a recorded run, "stop" sends the recorded end of that run. At the end
of the input it quits, as Sonic Pi does.

The recorded send times and timetags are all moved from the recording's time to now, by the same amount. So
every message is sent as long before its timetag as the genuine one was. In paths, ROOT replaces Sonic Pi's
folder.

Standard library only. Traffic: JSON lines {"t": seconds, "hex": datagram}, timetags counted from t = 0. The
line with "stop" begins the end of the run.
"""

import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from rehearsal.rigs.osc import string
from rehearsal.rigs.recorder import die_with_parent
from rehearsal.rigs.recording import BUNDLE, NTP_UNIX_OFFSET_S, parse_message, take_string, walk

BOOTED = "replayer: booted"
SONIC_PIS_FOLDER = "/usr/share/sonic-pi"
READY = "SuperCollider 3 server ready"
READY_S = 60.0
"""Longest wait (s) for scsynth to be ready. READY_S, STATUS_S, ANSWER_S and QUIT_S are Sonic Pi's own
limits."""
STATUS_S = 30.0
ANSWER_S = 10.0
QUIT_S = 2.0
FLAGS = "-m 131072 -a 1024 -D 0 -R 0 -l 1 -i 16 -o 16 -b 4096 -B 127.0.0.1"
ANSWERS = {
    "/status": "/status.reply",
    "/d_loadDir": "/done",
    "/sync": "/synced",
    "/g_new": "/n_go",
    "/b_allocRead": "/done",
    "/b_query": "/b_info",
}
"""Command -> address of the answer that Sonic Pi waits for when it sends the command at its start."""
SERVER_INFO = "/sonic-pi/server-info"


@dataclass(frozen=True, slots=True)
class Sent:
    """One recorded datagram. at_s: seconds from the start of its file. stops: True for the first datagram of
    the run's recorded end."""

    at_s: float
    datagram: bytes
    stops: bool = False


class ReplayError(RuntimeError):
    """scsynth didn't start or doesn't answer."""


def read(path: Path, root: Path) -> list[Sent]:
    """Read recorded traffic from the file `path`. Paths in its messages are changed to lie in the folder
    `root`."""
    entries = [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]
    return [
        Sent(entry["t"], moved_path(bytes.fromhex(entry["hex"]), root), "stop" in entry) for entry in entries
    ]


def moved_path(datagram: bytes, root: Path) -> bytes:
    """Return a datagram with the path that it names moved to the folder `root`.

    Only an /b_allocRead or a /d_loadDir outside a bundle is changed. Any other datagram is returned as it is.
    """
    if not datagram.startswith((b"/b_allocRead\0", b"/d_loadDir\0")):
        return datagram
    address, args = parse_message(datagram)
    at = 1 if address == "/b_allocRead" else 0
    old = str(args[at])
    path = root / Path(old).relative_to(SONIC_PIS_FOLDER)
    if path.with_suffix(".wav").exists():
        path = path.with_suffix(".wav")  # not every engine reads FLAC
    return datagram.replace(string(old), string(str(path)), 1)


def moved(datagram: bytes, ticks: int) -> bytes:
    """Return a datagram whose timetag, if it has one, is `ticks` times 2**-32 s later."""
    if not datagram.startswith(BUNDLE):
        return datagram
    (timetag,) = struct.unpack_from(">Q", datagram, 8)
    return datagram[:8] + struct.pack(">Q", timetag + ticks) + datagram[16:]


class Replayer:
    """Sends recorded datagrams when they are due, obeys standard input, and reads scsynth's answers.

    root: the folder that replaces Sonic Pi's own in paths. port: scsynth's UDP port on 127.0.0.1.
    """

    def __init__(self, root: Path, port: int) -> None:
        self.root = root
        self.to = ("127.0.0.1", port)
        self.sock = self.open_socket()
        self.waiting: deque[tuple[float, bytes]] = deque()
        self.ends: list[Sent] = []
        self.child: subprocess.Popen[bytes] | None = None

    def open_socket(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        return sock

    def start_scsynth(self) -> None:
        """Start scsynth as Sonic Pi does. Raises ReplayError, OSError."""
        subprocess.run(["scsynth", "-v"], check=False, stdin=subprocess.DEVNULL)
        self.child = subprocess.Popen(
            ["scsynth", "-u", str(self.to[1]), *FLAGS.split()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            preexec_fn=partial(die_with_parent, signal.SIGTERM),
        )
        assert self.child.stdout is not None
        out = self.child.stdout.fileno()
        heard = b""
        deadline_s = time.monotonic() + READY_S
        while READY.encode() not in heard:
            left_s = deadline_s - time.monotonic()
            ready, _, _ = select.select([out], [], [], max(0.0, left_s))
            more = os.read(out, 65_536) if ready else b""
            if not more:
                raise ReplayError(f"scsynth isn't ready: {heard.decode(errors='replace')[-500:]}")
            heard += more
            os.write(1, more)

    def boot(self, entries: list[Sent]) -> None:
        """Send the recorded boot. After each message, wait for the answer that Sonic Pi waits for. Raises
        ReplayError."""
        sent_at_s = entries[0].at_s
        for entry in entries:
            time.sleep(max(0.0, entry.at_s - sent_at_s))
            sent_at_s = entry.at_s
            address, args = parse_message(next(raw for _, raw in walk(entry.datagram)))
            wanted = SERVER_INFO if args[:1] == ("sonic-pi-server-info",) else ANSWERS.get(address)
            # Sonic Pi asks for the status from a socket of its own and closes that socket.
            sock = self.open_socket() if address == "/status" else self.sock
            self.send(self.retimed(entry, entry.at_s, time.time()), sock)
            started_s = time.monotonic()
            if wanted is not None:
                self.wait_for(wanted, sock, STATUS_S if address == "/status" else ANSWER_S)
            sent_at_s += time.monotonic() - started_s
            if sock is not self.sock:
                sock.close()

    def wait_for(self, wanted: str, sock: socket.socket, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            sock.settimeout(left_s)
            with contextlib.suppress(TimeoutError):
                if take_string(sock.recv(65_536), 0)[0] == wanted:
                    return
        raise ReplayError(f"no {wanted} from scsynth within {timeout_s:.0f} s")

    def retimed(self, entry: Sent, from_s: float, to_s: float) -> bytes:
        """Return the entry's datagram with its timetag moved from the recording's time to now.

        The instant `from_s` of the recording (s from its start) becomes the Unix time `to_s` (s).
        """
        return moved(entry.datagram, (NTP_UNIX_OFFSET_S << 32) + round((to_s - from_s) * 2**32))

    def play(self, path: Path) -> None:
        entries = read(path, self.root)
        end = next((at for at, entry in enumerate(entries) if entry.stops), len(entries))
        self.ends = entries[end:]
        self.schedule(entries[:end])

    def stop(self) -> None:
        """Drop the rest of the run and send the recorded end of the run instead, starting now."""
        if not self.ends:
            return  # nothing runs, or its end is under way
        self.waiting.clear()
        self.schedule(self.ends)
        self.ends = []

    def schedule(self, entries: list[Sent]) -> None:
        if not entries:
            return
        first_s, now_s = entries[0].at_s, time.time()
        # One shift for all, so equal timetags stay equal and the order stays.
        self.waiting.extend(
            (now_s + entry.at_s - first_s, self.retimed(entry, first_s, now_s)) for entry in entries
        )

    def run(self) -> None:
        """Send datagrams and obey standard input. Return when standard input or scsynth ends."""
        assert self.child is not None
        assert self.child.stdout is not None
        out = self.child.stdout.fileno()
        self.sock.setblocking(False)
        commands = b""
        while True:
            timeout_s = max(0.0, self.waiting[0][0] - time.time()) if self.waiting else None
            heard = self.sock.fileno()
            ready, _, _ = select.select([0, out, heard], [], [], timeout_s)
            while self.waiting and self.waiting[0][0] <= time.time():
                self.send(self.waiting.popleft()[1], self.sock)
            if heard in ready:
                self.drain()
            if out in ready:
                printed = os.read(out, 65_536)
                if not printed:
                    return  # scsynth is gone
                os.write(1, printed)
            if 0 in ready:
                more = os.read(0, 65_536)
                if not more:
                    return
                *lines, commands = (commands + more).split(b"\n")
                for line in lines:
                    self.obey(line.decode())

    def obey(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == "play":
            self.play(Path(rest))
        elif word == "stop":
            self.stop()
        else:
            print(f"replayer: {line!r}: expected play FILE or stop", flush=True)

    def drain(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.sock.recv(65_536)

    def send(self, datagram: bytes, sock: socket.socket) -> None:
        with contextlib.suppress(ConnectionRefusedError):
            sock.sendto(datagram, self.to)

    def quit(self) -> None:
        """Send /quit to scsynth, as Sonic Pi does, and terminate scsynth if it doesn't end within QUIT_S."""
        if self.child is None:
            return
        self.send(string("/quit") + string(","), self.sock)
        for end in (self.child.terminate, self.child.kill):
            try:
                self.child.wait(QUIT_S)
                return
            except subprocess.TimeoutExpired:
                end()
        self.child.wait()


def serve(replayer: Replayer, name: str, boot: list[Sent]) -> int:
    """Boot a replayer, print "NAME: booted", let it run until it ends, and return the exit status."""
    die_with_parent(signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        replayer.start_scsynth()
        replayer.boot(boot)
        print(f"{name}: booted", flush=True)
        replayer.run()
    except (ReplayError, OSError) as error:
        print(f"{name}: {error}", flush=True)
        return 1
    finally:
        replayer.quit()
    return 0


def main(arguments: list[str]) -> int:
    if len(arguments) != 3:
        raise SystemExit("usage: replayer.py ROOT BOOT PORT")
    root, boot, port = Path(arguments[0]), Path(arguments[1]), int(arguments[2])
    print("replayer: a stand-in for Sonic Pi, sending what a genuine one once sent", flush=True)
    return serve(Replayer(root, port), "replayer", read(boot, root))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
