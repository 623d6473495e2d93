"""The shim: the program that Sonic Pi starts as `scsynth`, and the parent of the real scsynth and the bridge.

A shell, kept small because nothing restarts it. It owns the sockets to Sonic Pi and to scsynth, and hands
both to the bridge. So messages of Sonic Pi wait in the kernel while a dead bridge is replaced. The shim ends
when scsynth ends, when Sonic Pi ends it, or when the bridge has left for good.

The real scsynth has Sonic Pi's own port, on another address of the loopback network. scsynth names its shared
memory after its port, and the window's oscilloscope opens it by the port that Sonic Pi knows. Without the
shared memory Sonic Pi 3.2's window aborts. This works on Linux only: elsewhere loopback has one address.
"""

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path

import msgspec

from bridge.shells import config
from bridge.shells import scsynth_process as synth
from bridge.shells.config import ChildConfig, JoinConfig
from bridge.shells.die_with_parent import die_with_parent
from relay.transports import logs
from relay.wire.write import end_synth

log = logging.getLogger(__name__)

RESTART_PAUSE_S = 1.0
QUICK_DEATHS_MAX = 3
"""Restarts are RESTART_PAUSE_S apart after this many bridges have each died within QUICK_S of their start."""
QUICK_S = 2.0
LEAVE_S = 1.5
"""How long the bridge may take to say goodbye, s."""
QUIT_S = 1.0
"""How long scsynth may take to end after /quit, and again after SIGTERM, s. It frees its shared memory only
after /quit."""
TAP_HOST = "127.0.0.1"
SYNTH_HOSTS = tuple(f"127.0.0.{number}" for number in range(2, 10))
SHARED_MEMORY = Path("/dev/shm")
TAP_BUFFER = 4 << 20
EXIT_LEFT = 0
"""The bridge's exit status after the player has left."""


class Shim:
    """The parent of one scsynth and its bridge."""

    def __init__(self, join: JoinConfig, flags: synth.SynthFlags) -> None:
        self._join = join
        self._flags = flags
        # Never on every address, because the real scsynth needs the same port on another one.
        self._tap = _bound(TAP_HOST if flags.host == "0.0.0.0" else flags.host, flags.port)
        self._upstream = _bound(TAP_HOST, 0)
        self._latency: float | None = None
        self._ready = asyncio.Event()
        self._stop = asyncio.Event()
        self._bridge: asyncio.subprocess.Process | None = None
        self._spare: asyncio.subprocess.Process | None = None

    async def run(self) -> int:
        """Run until scsynth or the bridge ends, or a signal comes. Return the exit status."""
        host, port = synth_address(self._flags.port)
        command = synth.command(self._join.scsynth, self._flags, host, port)
        log.info("starting %s", " ".join(command))
        remove_shared_memory(port)  # of one that was killed
        try:
            scsynth = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                preexec_fn=die_with_parent,
            )
        except OSError as error:
            raise SystemExit(_no_start(self._join.scsynth, error)) from None
        self._upstream.connect((host, port))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop.set)
        reading = asyncio.create_task(self._pass_output(scsynth))
        keeping = asyncio.create_task(self._keep_bridge())
        ended = asyncio.create_task(scsynth.wait())
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait({ended, stopped, keeping}, return_when=asyncio.FIRST_COMPLETED)
        self._stop.set()
        await self._end_bridge()
        status = await self._end_scsynth(scsynth)
        remove_shared_memory(port)
        for task in (reading, keeping, stopped):
            task.cancel()
        log.info("scsynth ended status=%s", status)
        # As shells do, so that Sonic Pi or a person at a terminal sees that a signal ended it.
        return status if status >= 0 else 128 - status

    async def _end_scsynth(self, scsynth: asyncio.subprocess.Process) -> int:
        """End scsynth: ask it to quit, then terminate it, then kill it. Return its status."""
        for ask in (lambda: self._upstream.send(end_synth()), scsynth.terminate, scsynth.kill):
            if scsynth.returncode is None:
                with contextlib.suppress(OSError):
                    ask()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(scsynth.wait(), QUIT_S)
        return await scsynth.wait()

    async def _pass_output(self, scsynth: asyncio.subprocess.Process) -> None:
        """Copy scsynth's output to stdout, where Sonic Pi waits for the line that says that scsynth is
        ready."""
        assert scsynth.stdout is not None
        async for raw in scsynth.stdout:
            line = raw.decode("utf-8", "replace")
            found = synth.latency_ms(line)
            if found is not None:
                self._latency = found
            if synth.READY in line:
                self._ready.set()
            with contextlib.suppress(OSError):
                sys.stdout.write(line)
                sys.stdout.flush()

    async def _keep_bridge(self) -> None:
        """Start the bridge, and start another one whenever it dies. Return when it has left for good."""
        await self._ready.wait()
        deaths = 0
        self._spare = await self._spare_if_possible()
        while True:
            started = time.monotonic()
            try:
                self._bridge = await self._wake_spare()
            except OSError as error:  # no memory or no process; scsynth plays the rest of what it has
                log.warning("no bridge can be started: %s; trying again", error)
                await asyncio.sleep(RESTART_PAUSE_S)
                continue
            self._spare = await self._spare_if_possible()
            status = await self._bridge.wait()
            if status == EXIT_LEFT or self._stop.is_set():
                return
            deaths = deaths + 1 if time.monotonic() - started < QUICK_S else 0
            log.warning("bridge died status=%s; starting it again", status)
            if deaths >= QUICK_DEATHS_MAX:
                await asyncio.sleep(RESTART_PAUSE_S)

    async def _wake_spare(self) -> asyncio.subprocess.Process:
        """Make the spare bridge the active one, and return its process.

        A spare is used because a fresh start takes some tenths of a second on a busy machine, and Sonic Pi's
        threads block meanwhile. Raises OSError if there is no spare and none can be started.
        """
        bridge = self._spare
        if bridge is None or bridge.returncode is not None:
            bridge = await self._start_spare()
        assert bridge.stdin is not None
        with contextlib.suppress(OSError):
            bridge.stdin.write(b"go\n")
            await bridge.stdin.drain()
        return bridge

    async def _spare_if_possible(self) -> asyncio.subprocess.Process | None:
        """Start a spare bridge, and return its process. If that fails, return None, because the music must go
        on."""
        try:
            return await self._start_spare()
        except OSError as error:
            log.warning("no spare bridge can be started: %s", error)
            return None

    async def _start_spare(self) -> asyncio.subprocess.Process:
        """Start a bridge that waits until it is needed, and return its process."""
        fds = (self._tap.fileno(), self._upstream.fileno())
        child = ChildConfig(
            tap_fd=fds[0],
            synth_fd=fds[1],
            outs=self._flags.outs,
            ins=self._flags.ins,
            need_ms=synth.need_ms(self._latency),
            journal=str(Path(self._join.folder) / f"journal-{os.getpid()}"),
        )
        environment = {**os.environ, config.CHILD_ENV: msgspec.json.encode(child).decode()}
        return await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "bridge.shells.service",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
            env=environment, pass_fds=fds, preexec_fn=die_with_parent,
        )  # fmt: skip

    async def _end_bridge(self) -> None:
        spare = self._spare
        if spare is not None and spare.returncode is None:
            spare.kill()
            await spare.wait()
        bridge = self._bridge
        if bridge is None or bridge.returncode is not None:
            return
        bridge.terminate()
        try:
            await asyncio.wait_for(bridge.wait(), LEAVE_S)
        except TimeoutError:
            bridge.kill()
            await bridge.wait()


def _bound(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, TAP_BUFFER)
    sock.setblocking(False)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise SystemExit(f"jambridge: UDP {host}:{port} can't be used: {error.strerror}") from None
    return sock


def synth_address(port: int) -> tuple[str, int]:
    """Return the host and port for the real scsynth.

    It gets Sonic Pi's own port on a free address of the loopback network. If no address is free, it gets a
    free port at TAP_HOST, and the window's oscilloscope finds nothing.
    """
    hosts = SYNTH_HOSTS if sys.platform == "linux" else ()
    for host, wanted in (*((host, port) for host in hosts), (TAP_HOST, 0)):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
            sock.bind((host, wanted))
            return host, int(sock.getsockname()[1])
    raise SystemExit(f"jambridge: no UDP port is free at {TAP_HOST}")


def remove_shared_memory(port: int) -> None:
    """Remove the shared memory (8 MB) that a scsynth on `port` has left. Nothing else would free it."""
    with contextlib.suppress(OSError):
        (SHARED_MEMORY / f"SuperColliderServer_{port}").unlink()


def _no_start(program: str, error: OSError) -> str:
    text = f"jambridge: can't start {program}: {error.strerror}"
    if error.errno == errno.ENOEXEC:
        text += "; a script needs a first line such as #!/bin/sh"
    return text


def main() -> None:
    """Run this program, which Sonic Pi starts as `scsynth`. JAMBRIDGE_CONFIG names the file of the join's
    settings."""
    join = config.load(Path(os.environ[config.CONFIG_ENV]))
    arguments = sys.argv[1:]
    if not arguments or arguments[0] == "-v":
        try:
            os.execv(join.scsynth, [join.scsynth, *arguments])
        except OSError as error:
            raise SystemExit(_no_start(join.scsynth, error)) from None
    logs.begin("INFO", who="shim: ", path=Path(join.folder) / "bridge.log")
    try:
        flags = synth.parse_flags(arguments)
    except ValueError as error:
        raise SystemExit(f"jambridge: {error}") from None
    pid_file = Path(join.folder) / f"shim-{os.getpid()}.pid"
    with contextlib.suppress(OSError):  # without it `jambridge join` can't end us if Sonic Pi doesn't
        pid_file.write_text(str(os.getpid()))
    try:
        status = asyncio.run(Shim(join, flags).run())
    finally:
        pid_file.unlink(missing_ok=True)
    raise SystemExit(status)


if __name__ == "__main__":
    main()
