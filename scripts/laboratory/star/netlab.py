"""The command `netlab`: runs programs on a bad network emulated inside this machine, and checks that network.

    scripts/netlab --profile hotel-wifi --members 3 -- jambridge probe {relay}

Exit status: 0; 1 (the network wasn't as asked, or a program failed); 2 (the command line is wrong); 3 (it
can't work on this machine: no root, no /dev/net/tun).
"""

import os
import selectors
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
import msgspec
from rehearsal.rigs.terminal import SETTINGS, progress_on
from rich.console import Console

from laboratory.runs.players import RELAY_PORT, RELAY_READY
from laboratory.runs.points import legs_over
from laboratory.star import netlab_view, selfcheck
from laboratory.star.decisionlog import read_log
from laboratory.star.namespaces import NetlabError, why_not
from laboratory.star.star import MEMBERS_MAX, Host, Star
from laboratory.star.wayreport import report
from relay.netmodel.impairment import Leg
from relay.netmodel.networks import PROFILES
from relay.wire.errors import LocalError

NOT_HERE = 3
NAMES = ("anna", "bob", "cleo", "dora", "emil", "frida", "gus", "hanna")
LISTEN_S = 10.0
FAREWELL_S = 5.0
TABLE_COLUMNS = 160
"""Columns of the widest table. In a narrower terminal the lines wrap, so no figure is cut off."""


class Programs:
    """Prints the programs' output as it comes, and keeps their exit statuses."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.statuses: dict[str, int] = {}
        self.relay_is_ready = False
        """True once the relay has printed that it listens."""
        self._selector = selectors.DefaultSelector()
        self._rest: dict[str, bytes] = {}

    def listen(self, name: str, child: "subprocess.Popen[bytes]") -> None:
        """Print a child's output from now on, with `name` in front of each line. name: the member, or
        "relay"."""
        assert child.stdout is not None
        os.set_blocking(child.stdout.fileno(), False)
        self._selector.register(child.stdout, selectors.EVENT_READ, name)
        self._rest[name] = b""

    def hear(self, timeout_s: float) -> bool:
        """Wait up to timeout_s for output, and print it. Return True if there was any."""
        ready = self._selector.select(timeout_s)
        for key, _ in ready:
            name = key.data
            data = os.read(key.fd, 65_536)
            if not data:
                self._selector.unregister(key.fileobj)
            *lines, self._rest[name] = (self._rest[name] + data).split(b"\n")
            if not data and self._rest[name]:
                lines.append(self._rest[name])
            for line in lines:
                text = line.decode(errors="replace").rstrip("\r")
                self.relay_is_ready |= name == "relay" and RELAY_READY in text
                self.console.print(f"{name:>6} | {text}", markup=False, highlight=False, soft_wrap=True)
        return bool(ready)


def members_of(text: str) -> list[str]:
    """Return the names of the members in an option's text.

    A number ("3") means the first names of NAMES. Any other text is a list of names ("anna,zoe").
    """
    if text.isdigit():
        count = int(text)
        names = [NAMES[i] if i < len(NAMES) else f"member{i + 1}" for i in range(min(count, MEMBERS_MAX + 1))]
    else:
        names = [name.strip() for name in text.split(",")]
    if not 1 <= len(names) <= MEMBERS_MAX:
        raise click.BadParameter(f"{text}: a star has 1 to {MEMBERS_MAX} members")
    if len(set(names)) < len(names) or not all(names) or "relay" in names:
        raise click.BadParameter(f"{text}: names differ from each other, and none is empty or 'relay'")
    return names


def legs_of(profile: str, members: Sequence[str], exceptions: Sequence[str]) -> dict[str, Leg]:
    """Return each member's leg. It is `profile`, except for members with one of their own in `exceptions`
    ("bob=dsl,loss=5%")."""
    try:
        return legs_over(" | ".join([profile, *exceptions]), members)
    except LocalError as error:
        raise click.UsageError(f"{error} (--list shows the profiles)") from error


def run(star: Star, relay: str, command: Sequence[str], folder: Path, outcome: Programs) -> None:
    """Run the relay's and the members' programs until all members' programs have ended, or until Ctrl-C.

    relay: "serve" for a jamrelay, "none", or a command line. command: each member's program. outcome: gets
    the exit statuses; after Ctrl-C it gets none.
    """
    settings = os.environ | {"NETLAB_RELAY": star.relay_address}
    paths = f"{Path(sys.executable).parent}{os.pathsep}{settings.get('PATH', '')}"
    settings |= {"PATH": paths, "PYTHONUNBUFFERED": "1"}

    def start(host: Host, words: Sequence[str]) -> "subprocess.Popen[bytes]":
        filled = [
            word.replace("{member}", host.name).replace("{relay}", star.relay_address) for word in words
        ]
        try:
            child = host.popen(
                filled,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=settings | {"NETLAB_MEMBER": host.name},
            )
        except OSError as error:
            raise NetlabError(f"{filled[0]} can't be started: {error.strerror}") from error
        outcome.listen(host.name, child)
        return child

    if relay == "serve":
        serve = ["jamrelay", "serve", "--port", str(RELAY_PORT), "--data-dir", str(folder)]
        server = start(star.relay, serve)
        deadline_s = time.monotonic() + LISTEN_S
        while not outcome.relay_is_ready:
            if server.poll() is not None or time.monotonic() > deadline_s:
                outcome.hear(0.5)
                raise NetlabError(f"jamrelay doesn't listen on port {RELAY_PORT} after {LISTEN_S:.0f} s")
            outcome.hear(0.05)
    elif relay != "none":
        start(star.relay, shlex.split(relay))
    children = {name: start(host, command) for name, host in star.members.items()}
    try:
        while any(child.poll() is None for child in children.values()):
            outcome.hear(0.1)
            star.check()
    except KeyboardInterrupt:
        outcome.console.print("ending all programs (Ctrl-C)")
        for child in children.values():
            child.terminate()  # their last output is still read below, while the relay runs
        deadline_s = time.monotonic() + FAREWELL_S
        while any(child.poll() is None for child in children.values()) and time.monotonic() < deadline_s:
            outcome.hear(0.1)
    else:
        outcome.statuses = {name: child.returncode for name, child in children.items()}
    deadline_s = time.monotonic() + FAREWELL_S
    while outcome.hear(0.1) and time.monotonic() < deadline_s:
        pass


def check_profiles(
    names: Sequence[str], *, seed: int, rate: float, seconds: float, realtime: bool, console: Console
) -> dict[str, selfcheck.SelfCheck]:
    """Run the self-check over each named network, with a progress bar. Return name -> findings.

    names: profiles, or other texts that parse_leg reads. rate: datagrams a second. seconds: for each network.
    """
    legs = {name: legs_of(name, [selfcheck.MEMBER], [])[selfcheck.MEMBER] for name in names}
    results = {}
    with progress_on(console) as progress:
        each_s = seconds + selfcheck.QUIET_S
        task = progress.add_task("checking", total=each_s * len(names))
        for number, (name, leg) in enumerate(legs.items()):
            done_s = number * each_s

            def tick(at_s: float, done_s: float = done_s) -> None:
                progress.update(task, completed=done_s + at_s)

            progress.update(task, description=f"checking {name}", completed=done_s)
            results[name] = selfcheck.check(
                leg, seed=seed, rate=rate, seconds=seconds, realtime=realtime, tick=tick
            )
    return results


def as_json(value: object) -> str:
    """Return reports as JSON. NaN becomes null, because JSON has no NaN."""
    return msgspec.json.format(msgspec.json.encode(value), indent=1).decode()


@click.command(context_settings={**SETTINGS, "max_content_width": 100})
@click.option(
    "--profile",
    metavar="NETWORK",
    help='Network of every member: a profile (--list), or as "delay=50,jitter=10,loss=5%", '
    '"hotel-wifi,loss=5%", "up:dsl;down:cable", "trace:FILE".',
)
@click.option("--members", default="3", metavar="N|NAMES", help="How many, or their names.")
@click.option(
    "--leg", "exceptions", multiple=True, metavar="NAME=NETWORK", help="Give one member another network."
)
@click.option("--seed", default=1, help="Fixes what chance decides.")
@click.option(
    "--relay",
    default="serve",
    metavar="serve|none|COMMAND",
    help="What runs in the middle: jamrelay serve with a key of its own, nothing, or a command.",
)
@click.option(
    "--congestion",
    metavar="NAME",
    help="TCP's congestion control inside, as cubic or bbr.  [default: this machine's]",
)
@click.option("--log", type=click.Path(dir_okay=False, path_type=Path), help="Keep every decision here.")
@click.option(
    "--selfcheck",
    "checked",
    metavar="NETWORK|all",
    help="Send numbered datagrams and check the emulator from outside; no COMMAND.",
)
@click.option(
    "--rate",
    default=5000.0,
    type=click.FloatRange(10, 50_000),
    help="With --selfcheck: datagrams a second, both directions together.",
)
@click.option(
    "--seconds",
    default=10.0,
    type=click.FloatRange(1, 3600),
    help="With --selfcheck: so long for each network.",
)
@click.option(
    "--realtime/--no-realtime",
    default=True,
    help="Run the emulator before all else (SCHED_FIFO); without, on a machine that others need.",
)
@click.option("--list", "listing", is_flag=True, help="Show the profiles and where their figures come from.")
@click.option("--json", "in_json", is_flag=True, help="Report in JSON on stdout; all else on stderr.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def main(
    profile: str | None, members: str, exceptions: tuple[str, ...], seed: int, relay: str,
    congestion: str | None, log: Path | None, checked: str | None, rate: float, seconds: float,
    realtime: bool, listing: bool, in_json: bool, command: tuple[str, ...],
) -> None:  # fmt: skip
    """Run COMMAND for each member of an emulated bad network, with a relay in the middle.

    Each member has a network of its own (namespace and TUN device), which treats UDP, TCP and ICMP alike. In
    COMMAND, {member} is the member's name and {relay} is the relay's address. The environment has both as
    NETLAB_MEMBER and NETLAB_RELAY. At the end, or at Ctrl-C, the network's behaviour is checked against what
    was asked for. Needs Linux, root and /dev/net/tun.
    """
    console = Console(stderr=in_json)
    console.width = max(console.width, TABLE_COLUMNS)
    if listing:
        netlab_view.show_profiles(PROFILES, console)
        return
    if (checked is None) == (not command):
        raise click.UsageError("give either a COMMAND (after --) or --selfcheck NETWORK")
    if command and profile is None:
        raise click.UsageError("--profile NETWORK is missing (--list shows the named ones)")
    if (reason := why_not()) is not None:
        click.echo(f"netlab can't work here: {reason}", err=True)
        sys.exit(NOT_HERE)
    try:
        if checked is not None:
            names = list(PROFILES) if checked == "all" else [checked]
            results = check_profiles(
                names, seed=seed, rate=rate, seconds=seconds, realtime=realtime, console=console
            )
            netlab_view.show_selfcheck(results, seed, console)
            if in_json:
                click.echo(as_json(results))
            sys.exit(0 if all(result.is_ok for result in results.values()) else 1)
        legs = legs_of(profile or "", members_of(members), exceptions)
        with tempfile.TemporaryDirectory(prefix="netlab-") as folder:
            path = log or Path(folder) / "decisions.log"
            star = Star(legs, seed=seed, log=path, congestion=congestion, realtime=realtime)
            outcome = Programs(console)
            with star:
                run(star, relay, command, Path(folder) / "relay", outcome)
            reports = report(read_log(path))
        netlab_view.show_reports(reports, star, console)
        failed = {name: status for name, status in outcome.statuses.items() if status}
        for name, status in failed.items():
            console.print(f"{name}'s program ended with {status}")
        if in_json:
            ways = {one.name: asdict(one) | {"ok": one.is_ok} for one in reports}
            click.echo(as_json({"seed": seed, "ways": ways, "unlogged": star.unlogged, "failed": failed}))
        sys.exit(0 if all(one.is_ok for one in reports) and not star.unlogged and not failed else 1)
    except NetlabError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        console.print("interrupted: nothing was checked")
        sys.exit(130)


if __name__ == "__main__":
    main(prog_name="scripts/netlab")
