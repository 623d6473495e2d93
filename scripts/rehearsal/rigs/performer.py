"""Performer: one genuine Sonic Pi with jackd and scsynth, in namespaces of its own.

The programs run in a mount and PID namespace (`unshare`; as root, or with user namespaces). There are two
reasons: a machine has few names for jackd servers in /dev/shm, and a PID namespace ends as a whole. The
network is this machine's, or that of `place`.

The namespace ends when the performer's owner dies, even by SIGKILL. First, its PID 1 (`inside.py`) ends when
a pipe is closed that only the owner holds open. Second, the kernel kills `unshare` when its parent dies, and
PID 1 when `unshare` dies.

Synchronous and without threads. Call `poll` or a waiting method regularly, or Sonic Pi's messages to its GUI
fill the socket's buffer.
"""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from rehearsal.rigs import livetake
from rehearsal.rigs.machine import (
    END_S,
    Place,
    Ports,
    StageError,
    ThisMachine,
    find_ports,
    find_ruby_server,
    tail,
)
from rehearsal.rigs.osc import message
from rehearsal.rigs.recording import Argument, parse_message

BOOTED = "Sonic Pi Server successfully booted."
BOOT_S = 60.0
EXIT_S = 8.0
POLL_S = 0.05

GUI_RECEIVE_BUFFER = 4 << 20

TIMING_WARNING = re.compile(r"running slightly behind|Timing (?:error|Exception)", re.IGNORECASE)
GUI_ID = "rehearsal"


@dataclass(eq=False)
class Performer:
    """One genuine Sonic Pi with jackd and scsynth. index: decides its ports. home: the folder of all its
    files."""

    name: str
    index: int
    home: Path
    path_prefix: Path | None = None
    """Folder with the `scsynth` that Sonic Pi starts (see make_shim); None: the genuine one."""
    env: dict[str, str] = field(default_factory=dict)
    """Environment variables to set. They override those of this process and those that `_environment`
    sets."""
    launcher: Sequence[str | Path] = ()
    """A command that starts another command (`jambridge join ... --`). Sonic Pi's own command is appended to
    it."""
    place: Place = field(default_factory=ThisMachine)
    """The network in which the programs run. Their ports are chosen by what is free in this machine's own
    network."""
    listened: bool = False
    """True if its sound card is recorded (see `take`)."""
    server: Path | None = None
    """The Ruby server to start, such as that of a copy of Sonic Pi; None: the one that is installed."""
    further_ears: Sequence[str] = ()
    """Outputs of programs that are recorded besides the sound card, as further channels of the take."""

    def __post_init__(self) -> None:
        self.home = self.home.resolve()
        self.env = dict(self.env)
        self.launcher = [str(part) for part in self.launcher]
        self.recording_path = self.home / "recording.jsonl"
        self.server_log_path = self.home / "server.log"
        self.jack_log_path = self.home / "jack.log"
        self.take_path = self.home / "take.live"
        self.gui_messages: list[tuple[str, tuple[Argument, ...]]] = []
        """(address, arguments) of each message that Sonic Pi has sent to its GUI."""
        self.ports: Ports | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at_s = 0.0
        self.boot_s: float | None = None
        """Time (s) from `start` until Sonic Pi had booted; None before."""
        self._gui: socket.socket | None = None

    def start(self) -> None:
        """Start jackd and Sonic Pi in new namespaces, without waiting for the boot. Raises StageError if a
        program is missing."""
        if self.process is not None:
            raise StageError(f"{self.name}: already started")
        server = self.server or find_ruby_server()
        self.ports = ports = find_ports(self.index)
        settings = self.home / ".sonic-pi" / "settings.json"
        settings.parent.mkdir(parents=True, exist_ok=True)
        # Otherwise every boot asks sonic-pi.net for updates.
        settings.write_text('{"no_update_checking": true}')
        (self.home / "tmp").mkdir(mode=0o700, exist_ok=True)
        self._gui = self.place.socket()
        self._gui.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, GUI_RECEIVE_BUFFER)
        self._gui.bind(("127.0.0.1", ports.gui))
        self._gui.setblocking(False)
        jack_name = f"rehearsal{self.index}"
        plan = {
            "private": ["/dev/shm"],
            "jack_name": jack_name,
            # 256 frames: scsynth takes a bundle 11-17 ms before its time (measured), as with a good card.
            "jackd": ["jackd", "-n", jack_name, "-d", "dummy", "-r", "48000", "-p", "256"],
            "jack_log": str(self.jack_log_path),
            "beside": self._beside(),
            "beside_log": str(self.home / "beside.log"),
            "sonic_pi": self._command(server, ports),
            "server_log": str(self.server_log_path),
        }
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        inside = Path(__file__).resolve().parent / "inside.py"
        self.started_at_s = time.monotonic()
        with (self.home / "stage.log").open("ab") as log:
            self.process = self.place.popen(
                ["unshare", *user, *namespaces, sys.executable, "-I", "-S", str(inside), json.dumps(plan)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.home,
                env=self._environment(jack_name),
                start_new_session=True,  # Ctrl-C in a terminal is the stage's to handle, in its order
            )

    def _beside(self) -> list[list[str]]:
        """Return the commands of programs that are started before Sonic Pi and run beside it."""
        return [livetake.command(self.take_path, self.further_ears)] if self.listened else []

    def _command(self, server: Path, ports: Ports) -> list[str]:
        """Return the command that starts Sonic Pi, launcher included."""
        sound = (ports.scsynth, ports.scsynth)  # where it listens, where it is sent to
        rest = (ports.cues, ports.erlang, ports.midi_out, ports.midi_in, ports.websocket)
        udp_ports = map(str, (ports.server, ports.gui, *sound, *rest))
        return [*map(str, self.launcher), "ruby", "-E", "utf-8", str(server), "-u", *udp_ports]

    @property
    def take(self) -> livetake.LiveTake:
        """The sound of the performer's sound card so far, from jackd's start on."""
        return livetake.LiveTake(self.take_path)

    def _environment(self, jack_name: str) -> dict[str, str]:
        env = {key: value for key, value in os.environ.items() if not key.startswith("XDG_")}
        path = env.get("PATH", os.defpath)
        env |= {
            "HOME": str(self.home),
            "SONIC_PI_HOME": str(self.home),
            # All Sonic Pis of a machine share sonic-pi-pids in here, and one's exit may kill what it lists.
            "TMPDIR": str(self.home / "tmp"),
            "LANG": "C.UTF-8",
            "PATH": f"{self.path_prefix}:{path}" if self.path_prefix else path,
            "JACK_DEFAULT_SERVER": jack_name,
            "JACK_NO_AUDIO_RESERVATION": "1",
            "JACK_NO_START_SERVER": "1",
            "REHEARSAL_RECORDING": str(self.recording_path),
            "REHEARSAL_PYTHON": sys.executable,
        }
        return env | self.env

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def poll(self) -> bool:
        """Read Sonic Pi's messages to its GUI from the socket; return whether Sonic Pi has booted."""
        while self._gui is not None:
            try:
                payload = self._gui.recv(65_536)
            except OSError:
                break
            self.gui_messages.append(parse_message(payload))
        if self.boot_s is None and BOOTED in self.log_text():
            self.boot_s = time.monotonic() - self.started_at_s
        return self.boot_s is not None

    def wait_booted(self, timeout_s: float = BOOT_S) -> None:
        """Wait until Sonic Pi reports that it has booted. Raises StageError with the ends of all logs."""
        self.wait_until(self.poll, "booted", timeout_s)

    def wait_until(self, condition: Callable[[], bool], what: str, timeout_s: float) -> None:
        """Poll until `condition` holds. Raises StageError if it doesn't within timeout_s, or if the performer
        ends.

        what: the condition in words, for the error's text.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            self.poll()
            if condition():
                return
            if not self.is_alive:
                code = None if self.process is None else self.process.returncode
                raise StageError(f"{self.name}: expected {what}, but it ended ({code})\n{self._log_tails()}")
            if time.monotonic() > deadline_s:
                raise StageError(f"{self.name}: not {what} within {timeout_s:.0f} s\n{self._log_tails()}")
            time.sleep(POLL_S)

    def play_for(self, seconds: float) -> None:
        """Poll for `seconds`. Raises StageError if the performer ends meanwhile."""
        until_s = time.monotonic() + seconds
        self.wait_until(lambda: time.monotonic() >= until_s, f"alive for {seconds:.1f} s", seconds + 60)

    def run_code(self, code: str) -> None:
        """Run Sonic Pi code, as the Run button does."""
        self._send("/run-code", code)

    def run_file(self, path: Path) -> None:
        """Run a file of Sonic Pi code (see examples)."""
        self.run_code(path.read_text(encoding="utf-8"))

    def stop_jobs(self) -> None:
        """Stop all runs, as the Stop button does."""
        self._send("/stop-all-jobs")

    def close_window(self) -> None:
        """Ask Sonic Pi to end, as closing its window does. Don't wait for it."""
        self._send("/exit")

    def exit(self, timeout_s: float = EXIT_S) -> None:
        """Ask Sonic Pi to end, as closing its window does. After timeout_s, end all processes that are
        left."""
        if self.is_alive:
            self.close_window()
            assert self.process is not None
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout_s)
        self.end()

    def end(self) -> None:
        """End the performer: its processes get SIGTERM, and 1 s to flush their files. Idempotent."""
        if self.process is not None:
            assert self.process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(END_S)
        self.kill()

    def kill(self) -> None:
        """Kill all the performer's processes at once (SIGKILL). Idempotent."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            assert self.process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        if self._gui is not None:
            self.poll()
            self._gui.close()
            self._gui = None

    def processes(self) -> list[psutil.Process]:
        """Return the performer's living processes, with this machine's pids, so that a test can measure or
        kill one."""
        found: list[psutil.Process] = []
        if self.process is not None and self.is_alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                for process in psutil.Process(self.process.pid).children(recursive=True):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        if process.status() != psutil.STATUS_ZOMBIE:
                            found.append(process)
        return found

    def log_text(self) -> str:
        """Return the output of Sonic Pi's Ruby server, followed by its messages to the GUI, one a line."""
        with contextlib.suppress(OSError):
            return self.server_log_path.read_text(errors="replace") + "\n".join(self.gui_lines())
        return "\n".join(self.gui_lines())

    def gui_lines(self) -> Iterator[str]:
        """Yield each message to the GUI as a line of text: address, then arguments."""
        for address, args in self.gui_messages:
            yield f"{address} {' '.join(map(str, args))}"

    def timing_warnings(self) -> list[str]:
        """Return Sonic Pi's warnings that it fell behind."""
        return [line for line in self.log_text().splitlines() if TIMING_WARNING.search(line)]

    def scsynth_log(self) -> str:
        """Return scsynth's own output: the recorder's copy if there is one, else Sonic Pi's."""
        for path in (Path(f"{self.recording_path}.scsynth.log"), self.home / ".sonic-pi/log/scsynth.log"):
            with contextlib.suppress(OSError):
                return path.read_text(errors="replace")
        return ""

    def _send(self, address: str, *arguments: str) -> None:
        if self.ports is None:
            raise StageError(f"{self.name}: not started, cannot send {address}")
        with self.place.socket() as sock:
            sock.sendto(message(address, GUI_ID, *arguments), ("127.0.0.1", self.ports.server))

    def _log_tails(self) -> str:
        paths = (
            *(self.server_log_path, self.jack_log_path, self.home / "stage.log"),
            Path(f"{self.recording_path}.scsynth.log"),
        )
        return "\n".join(map(tail, paths))
