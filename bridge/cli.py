"""`jambridge`: the command line program beside a player's own Sonic Pi."""

import asyncio
import contextlib
import getpass
import os
import shlex
import shutil
import signal
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click
import platformdirs

from bridge.probe.cli import probe
from bridge.shells import config
from bridge.shells.config import JoinConfig
from bridge.shells.descendants import Descendants
from bridge.shells.shims import Shims
from bridge.sonicpi.ending import KILLED_AFTER_S, shim_killed
from bridge.sonicpi.starting import StartWatch, cannot_start
from relay.transports.impaired import parse_leg
from relay.transports.one_question import ask_admission
from relay.transports.pins import KnownRelays, default_path
from relay.transports.terminal import Commands, say
from relay.wire.carrier import CARRIERS, UDP
from relay.wire.control import Admission
from relay.wire.endpoint import Endpoint, parse_endpoint
from relay.wire.errors import LocalError
from relay.wire.names import clean_name, clean_room

GRACE_S = 6.0
"""How long the command may take to end by itself after Ctrl-C, s."""
LINGER_S = 6.0
"""When the command has ended by itself, the processes that it has started may run on for this time (s). Sonic
Pi 3.2's server takes up to 3 s after its window is closed."""
POLL_S = 0.1


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(version("jamrelay"), prog_name="jambridge")
def main() -> None:
    """Join a room of a relay with your own Sonic Pi."""


main.add_command(probe)


@main.command()
@click.argument("address", metavar="HOST[:PORT]")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--room", default="main", help="Join this room.")
@click.option("--name", show_default="your login name", help="Be called this; made unique in the room.")
@click.option(
    "--scsynth",
    metavar="PROGRAM",
    show_default="scsynth from PATH",
    help="Start this program as the real scsynth.",
)
@click.option(
    "--transport",
    type=click.Choice(list(CARRIERS)),
    default=UDP.name,
    help="Send events this way; tls where UDP is blocked.",
)
@click.option(
    "--impair",
    metavar="NETWORK",
    show_default="the network as it is",
    help="Meet a bad network on purpose: hotel-wifi, or delay=60,jitter=15,loss=5%; over UDP only.",
)
@click.option(
    "--tune-sonic-pi",
    is_flag=True,
    help="Let Sonic Pi's schedule-ahead follow what the room needs, and be 0.5 s again at the end.",
)
@click.option(
    "--no-fetch",
    is_flag=True,
    help="Get no synths and samples of another version of Sonic Pi from other members, and give none.",
)
def join(
    address: str,
    command: tuple[str, ...],
    room: str,
    name: str | None,
    scsynth: str | None,
    transport: str,
    impair: str | None,
    tune_sonic_pi: bool,
    no_fetch: bool,
) -> None:
    """Join a room. COMMAND after -- is started with our scsynth first in its PATH.

    Without a COMMAND, print the line that starts Sonic Pi through the bridge, and wait.
    """
    try:
        endpoint = parse_endpoint(address)
        if impair is not None:
            if impair.startswith("trace:"):  # the bridge reads it again, from wherever Sonic Pi is started
                impair = f"trace:{Path(impair.removeprefix('trace:')).absolute()}"
            parse_leg(impair)
            if CARRIERS[transport].reliable:
                raise LocalError("--impair works on UDP alone: leave --transport tls out")
        room, name = clean_room(room), clean_name(name if name is not None else _login_name())
        real = find_scsynth(scsynth)
        software = f"jambridge {version('jamrelay')}"
        admission = asyncio.run(
            ask_admission(endpoint, KnownRelays(default_path()), room=room, name=name, software=software)
        )
        say(_who_is_there(endpoint, admission))
        with _join_folder() as folder:
            settings = JoinConfig(
                host=endpoint.host,
                port=endpoint.port,
                room=room,
                name=name,
                pins=str(default_path()),
                cache=str(platformdirs.user_cache_path("jamrelay", appauthor=False) / "stock"),
                scsynth=real,
                folder=str(folder),
                software=software,
                transport=transport,
                impair=impair,
                tune_sonic_pi=tune_sonic_pi,
                fetch=not no_fetch,
            )
            raise SystemExit(_play(settings, folder, list(command)))
    except LocalError as error:
        raise click.ClickException(str(error)) from None


def find_scsynth(program: str | None) -> str:
    """Return the path of the real scsynth. Raises LocalError, with advice, if there is none.

    program: a name or path from the player; None: take `scsynth` from PATH.
    """
    found = shutil.which(program or "scsynth")
    if found is None and program is not None:
        raise LocalError(f"no program {program!r}: give --scsynth a path, or a name that PATH knows")
    if found is None:
        raise LocalError(
            "no scsynth in PATH; it comes with Sonic Pi or SuperCollider: "
            "apt install supercollider-server, or name it with --scsynth"
        )
    return str(Path(found).absolute())


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no entry for this user id
        return "player"


def _who_is_there(endpoint: Endpoint, admission: Admission) -> str:
    members = [member.name for member in admission.members if member.present]
    who = f"with {', '.join(members)} in it" if members else "empty so far"
    return f"relay {endpoint} answers; room {admission.room} is {who}"


@contextlib.contextmanager
def _join_folder() -> Iterator[Path]:
    """Make a folder for the shim, the journal and the log, yield it, and remove it afterwards.

    Raises LocalError if the folder can't be made.
    """
    with contextlib.ExitStack() as kept:
        with _room_needed():
            made = tempfile.TemporaryDirectory(prefix="jambridge-", ignore_cleanup_errors=True)
            folder = Path(kept.enter_context(made))
            shim = folder / "bin" / "scsynth"
            shim.parent.mkdir()
            shim.write_text(
                "#!/bin/sh\n"
                f"{config.CONFIG_ENV}={shlex.quote(str(folder / 'join.json'))}; export {config.CONFIG_ENV}\n"
                f'exec {shlex.quote(sys.executable)} -P -m bridge.shells.shim "$@"\n'
            )
            shim.chmod(shim.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        yield folder


@contextlib.contextmanager
def _room_needed() -> Iterator[None]:
    """Turn an OSError within this context into a LocalError that asks the player to make room on the disk."""
    try:
        yield
    except OSError as error:
        raise LocalError(
            f"a join needs a little room for files of its own, and there is none: {error.strerror}; make "
            "room, or name another place: TMPDIR=FOLDER jambridge join ..."
        ) from None


def _play(settings: JoinConfig, folder: Path, command: list[str]) -> int:
    with _room_needed():
        config.save(settings, folder / "join.json")
    path = f"{folder / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    interrupted: list[float] = []
    ending = False  # set once nothing may be interrupted any more

    def interrupt(number: int, _frame: object) -> None:
        interrupted.append(time.monotonic())
        if len(interrupted) > 1 and not ending:
            raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    story = _Story(folder / "bridge.log")
    shims = Shims(folder)
    descendants: Descendants | None = None
    status: int | None = None
    starting: StartWatch | None = None
    try:
        if command:
            try:
                descendants = Descendants(command, {**os.environ, "PATH": path})
            except OSError as error:
                raise LocalError(cannot_start(command[0], error.strerror)) from None
            starting = StartWatch(command[0], str(folder / "bin"), time.monotonic())
        else:
            say("start Sonic Pi with this line; Ctrl-C here ends the jam:")
            say(f"  PATH={shlex.quote(str(folder / 'bin'))}:$PATH sonic-pi")
        asked = False
        while descendants is None or (status := descendants.poll()) is None:
            story.tell()
            _say_if_not_started(starting, shims)
            for pid in [] if interrupted else shims.killed(time.monotonic(), KILLED_AFTER_S):
                for line in shim_killed(pid):
                    say(line, err=True)
            if interrupted and (descendants is None or time.monotonic() - interrupted[0] > GRACE_S):
                break
            if interrupted and descendants is not None and not asked:
                asked = True
                descendants.ask_to_end()
            time.sleep(POLL_S)
        _say_if_not_started(None if interrupted else starting, shims, ended=True)
        if status is None or interrupted:
            return 0
        return status if status >= 0 else 128 - status  # ended by a signal: as a shell has it
    finally:
        ending = True
        if descendants is not None:
            patience_s = 0.0 if interrupted else LINGER_S
            descendants.end(patience_s, shims.pids(), hurried=lambda: len(interrupted) > 1)
        shims.end()
        story.tell()


def _say_if_not_started(starting: StartWatch | None, shims: Shims, *, ended: bool = False) -> None:
    """Tell the player, once, if the command hasn't started our scsynth.

    starting: None to tell nothing. ended: the command has ended by itself.
    """
    if starting is not None:
        for line in starting.news(time.monotonic(), started=shims.any_started(), ended=ended):
            say(line, err=True)


class _Story:
    """Shows new lines of the bridge's log on the terminal."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    def tell(self) -> None:
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                news = file.read()
        except OSError:  # not there yet, or not to be had: the jam matters more
            return
        whole = news[: news.rfind(b"\n") + 1]
        self._at += len(whole)
        for line in whole.decode("utf-8", "replace").splitlines():
            say(line)
