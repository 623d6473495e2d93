"""Code port: where the Sonic Pi that this bridge serves takes code.

A shell. The Sonic Pi is the one among whose descendants this bridge is; its command line tells the port
(Sonic Pi 3.2: `sonic-pi-server.rb -u SERVER GUI ...`).
"""

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import psutil
from pythonosc.udp_client import SimpleUDPClient

log = logging.getLogger(__name__)

SERVER = "sonic-pi-server.rb"
SERVER_PORT = 4557
"""Where it listens unless its command line says otherwise."""
GUI_ID = "jambridge"


@dataclass(frozen=True, slots=True)
class Server:
    """Sonic Pi's server, and the UDP port on which it takes code."""

    process: psutil.Process
    port: int


class CodePort:
    """The way to let the local Sonic Pi run code."""

    def __init__(self) -> None:
        self._server = find_server()
        if self._server is None:
            log.warning("schedule-ahead stays as it is: no Sonic Pi 3.2 that takes code started this bridge")
            return
        self._client = SimpleUDPClient("127.0.0.1", self._server.port)

    def run(self, code: str) -> None:
        """Let Sonic Pi run code, if it is there."""
        if self._server is not None and self._server.process.is_running():
            with contextlib.suppress(OSError):  # nobody listens there any more
                self._client.send_message("/run-code", [GUI_ID, code])


def find_server() -> Server | None:
    """Return the Sonic Pi that started this process, None if none did that takes code over UDP."""
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process().parents():
            port = port_of(process.cmdline())
            if port is not None:
                return Server(process, port)
    return None


def port_of(command: Sequence[str]) -> int | None:
    """Return the UDP port on which a command lets Sonic Pi take code, None if it does no such thing."""
    at = next((at for at, word in enumerate(command) if word.endswith(SERVER)), None)
    if at is None:
        return None
    protocol, port = (*command[at + 1 : at + 3], *("-u", str(SERVER_PORT))[len(command[at + 1 : at + 3]) :])
    return int(port) if protocol == "-u" and port.isdecimal() else None
