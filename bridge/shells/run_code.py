"""Code port: sends code to the UDP port on which the local Sonic Pi accepts code.

A shell. The local Sonic Pi is the ancestor process of this bridge whose command line names the port (Sonic Pi
3.2: `sonic-pi-server.rb -u SERVER GUI ...`).
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
"""The port on which Sonic Pi 3.2's server listens unless its command line names another."""
GUI_ID = "jambridge"


@dataclass(frozen=True, slots=True)
class Server:
    """Sonic Pi's server process, and the UDP port on which it accepts code."""

    process: psutil.Process
    port: int


class CodePort:
    """Sends code to the local Sonic Pi."""

    def __init__(self) -> None:
        self._server = find_server()
        if self._server is None:
            log.warning("schedule-ahead stays as it is: no Sonic Pi 3.2 that takes code started this bridge")
            return
        self._client = SimpleUDPClient("127.0.0.1", self._server.port)

    def run(self, code: str) -> None:
        """Make Sonic Pi run `code`. Nothing happens if there is no Sonic Pi that accepts code."""
        if self._server is not None and self._server.process.is_running():
            with contextlib.suppress(OSError):  # it no longer listens
                self._client.send_message("/run-code", [GUI_ID, code])


def find_server() -> Server | None:
    """Return the server of the Sonic Pi that started this process; None if there is none that accepts code
    over UDP."""
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process().parents():
            port = port_of(process.cmdline())
            if port is not None:
                return Server(process, port)
    return None


def port_of(command: Sequence[str]) -> int | None:
    """Return the UDP port on which a process accepts code, if its command line is a Sonic Pi server's; else
    None."""
    at = next((at for at, word in enumerate(command) if word.endswith(SERVER)), None)
    if at is None:
        return None
    protocol, port = (*command[at + 1 : at + 3], *("-u", str(SERVER_PORT))[len(command[at + 1 : at + 3]) :])
    return int(port) if protocol == "-u" and port.isdecimal() else None
