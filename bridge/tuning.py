"""Tuning: keeps Sonic Pi's schedule-ahead at what the room needs, through Sonic Pi's own `/run-code`.

A shell around `bridge.sonicpi`. The Sonic Pi is the one among whose descendants this bridge is; its command
line tells the port on which it takes code (Sonic Pi 3.2: `sonic-pi-server.rb -u SERVER GUI ...`).
"""

import contextlib
import logging
from collections.abc import Sequence

import psutil
from pythonosc.udp_client import SimpleUDPClient

from bridge.effects import Tell
from bridge.player import PlayerCounts
from bridge.session import JamSession
from bridge.sonicpi import AheadTuner, RunCode
from clock.model import Reading
from relay.wire.timetag import seconds

log = logging.getLogger(__name__)

SERVER = "sonic-pi-server.rb"
SERVER_PORT = 4557
"""Where it listens unless its command line says otherwise."""
GUI_ID = "jambridge"


class Tuning:
    """What sets the schedule-ahead of the Sonic Pi that this bridge serves.

    restarted: another bridge did so before.
    """

    def __init__(self, reading: Reading, *, restarted: bool) -> None:
        self._tuner = AheadTuner(reading.local_ns / 1e9, restarted=restarted)
        port = find_port()
        if port is None:
            log.warning("schedule-ahead stays as it is: no Sonic Pi 3.2 that takes code started this bridge")
        self._client = None if port is None else SimpleUDPClient("127.0.0.1", port)

    def wake(self, session: JamSession, counts: PlayerCounts, reading: Reading) -> None:
        """Set the schedule-ahead if now is the moment."""
        lead_s = seconds(session.timing.lead) if session.joined else None
        self._do(
            self._tuner.wake(
                lead_s=lead_s, heard=counts.messages, runs=counts.runs, now_s=reading.local_ns / 1e9
            )
        )

    def leave(self) -> None:
        """Set Sonic Pi's own schedule-ahead again: it goes on, without this bridge."""
        self._do(self._tuner.leave())

    def _do(self, effects: Sequence[RunCode | Tell]) -> None:
        if self._client is None:
            return
        for effect in effects:
            match effect:
                case RunCode(code):
                    with contextlib.suppress(OSError):  # nobody listens there any more
                        self._client.send_message("/run-code", [GUI_ID, code])
                case Tell(text):
                    log.info("%s", text)


def find_port() -> int | None:
    """Return the UDP port on which the Sonic Pi that started this process takes code, None without one."""
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process().parents():
            port = port_of(process.cmdline())
            if port is not None:
                return port
    return None


def port_of(command: Sequence[str]) -> int | None:
    """Return the UDP port on which a command lets Sonic Pi take code, None if it does no such thing."""
    at = next((at for at, word in enumerate(command) if word.endswith(SERVER)), None)
    if at is None:
        return None
    protocol, port = (*command[at + 1 : at + 3], *("-u", str(SERVER_PORT))[len(command[at + 1 : at + 3]) :])
    return int(port) if protocol == "-u" and port.isdecimal() else None
