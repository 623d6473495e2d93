"""The shim: what Sonic Pi starts as `scsynth`; parent of the real scsynth and of the bridge.

A shell, kept small because nothing restarts it. It owns the tap's socket and the one to scsynth, and hands
both to the bridge: while a dead bridge is started again, what Sonic Pi sends waits in the kernel. It ends
when scsynth ends, when Sonic Pi ends it, or when the bridge left for good.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path

import msgspec

from bridge import config, synth
from bridge.config import ChildConfig, JoinConfig
from bridge.orphans import die_with_parent

log = logging.getLogger(__name__)

RESTART_PAUSE_S = 1.0
QUICK_DEATHS_MAX = 3
"""After that many deaths within QUICK_S of their start, restarts are RESTART_PAUSE_S apart."""
QUICK_S = 2.0
LEAVE_S = 1.5
"""How long the bridge may take to say goodbye."""
TAP_BUFFER = 4 << 20
EXIT_LEFT = 0
"""The bridge's exit status when the player left."""


class Shim:
    """The parent of one scsynth and its bridge."""

    def __init__(self, join: JoinConfig, flags: synth.SynthFlags) -> None:
        self._join = join
        self._flags = flags
        self._tap = _bound(flags.host, flags.port)
        self._upstream = _bound("127.0.0.1", 0)
        self._latency: float | None = None
        self._ready = asyncio.Event()
        self._stop = asyncio.Event()
        self._bridge: asyncio.subprocess.Process | None = None
        self._spare: asyncio.subprocess.Process | None = None

    async def run(self) -> int:
        """Run until scsynth ends or somebody asks; return the exit status."""
        port = _free_port()
        command = synth.command(self._join.scsynth, self._flags, port)
        log.info("starting %s", " ".join(command))
        scsynth = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            preexec_fn=die_with_parent,
        )
        self._upstream.connect(("127.0.0.1", port))
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
        if scsynth.returncode is None:
            scsynth.terminate()
            try:
                await asyncio.wait_for(scsynth.wait(), 2.0)
            except TimeoutError:
                scsynth.kill()
        status = await scsynth.wait()
        for task in (reading, keeping, stopped):
            task.cancel()
        log.info("scsynth ended status=%s", status)
        return max(0, status)

    async def _pass_output(self, scsynth: asyncio.subprocess.Process) -> None:
        """Let Sonic Pi read what scsynth prints: it waits for the line that says it is ready."""
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
        """Start the bridge, and start it again as often as it dies; return when it left for good."""
        await self._ready.wait()
        deaths = 0
        self._spare = await self._start_spare()
        while True:
            started = time.monotonic()
            self._bridge = await self._wake_spare()
            status = await self._bridge.wait()
            if status == EXIT_LEFT or self._stop.is_set():
                return
            deaths = deaths + 1 if time.monotonic() - started < QUICK_S else 0
            log.warning("bridge died status=%s; starting it again", status)
            if deaths >= QUICK_DEATHS_MAX:
                await asyncio.sleep(RESTART_PAUSE_S)

    async def _wake_spare(self) -> asyncio.subprocess.Process:
        """Let the spare be the bridge, and have another one: while there is no bridge, Sonic Pi's threads
        block, and starting one from nothing takes some tenths of a second on a busy machine."""
        bridge = self._spare
        if bridge is None or bridge.returncode is not None:
            bridge = await self._start_spare()
        assert bridge.stdin is not None
        with contextlib.suppress(OSError):
            bridge.stdin.write(b"go\n")
            await bridge.stdin.drain()
        self._spare = await self._start_spare()
        return bridge

    async def _start_spare(self) -> asyncio.subprocess.Process:
        """Start a bridge that waits for its turn."""
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
            sys.executable, "-P", "-m", "bridge.service",
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


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def main() -> None:
    """Be scsynth for Sonic Pi. The join's configuration is in the file that JAMBRIDGE_CONFIG names."""
    join = config.load(Path(os.environ[config.CONFIG_ENV]))
    arguments = sys.argv[1:]
    if not arguments or arguments[0] == "-v":
        os.execv(join.scsynth, [join.scsynth, *arguments])
    logging.basicConfig(
        filename=Path(join.folder) / "bridge.log",
        level=logging.INFO,
        format="%(asctime)s %(levelname)s shim: %(message)s",
    )
    try:
        flags = synth.parse_flags(arguments)
    except ValueError as error:
        raise SystemExit(f"jambridge: {error}") from None
    pid_file = Path(join.folder) / f"shim-{os.getpid()}.pid"
    pid_file.write_text(str(os.getpid()))
    try:
        status = asyncio.run(Shim(join, flags).run())
    finally:
        pid_file.unlink(missing_ok=True)
    raise SystemExit(status)


if __name__ == "__main__":
    main()
