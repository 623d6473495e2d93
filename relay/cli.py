"""The command `jamrelay`: runs a relay, and shows a relay's statistics."""

import asyncio
import signal
import socket
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.live import Live

from relay.lead.keeper import LEAD_MAX, LeadPolicy, Safety
from relay.limits import HubLimits
from relay.shells.announcement import announcement
from relay.shells.service import RelayService, RelaySettings, default_data_dir, run
from relay.shells.tls_identity import TlsIdentity, load_or_create
from relay.stats.view import stats_view
from relay.transports import logs
from relay.transports.addresses import own_address
from relay.transports.one_question import ask_stats
from relay.transports.pins import KnownRelays, default_path
from relay.transports.terminal import Commands, say
from relay.wire.endpoint import DEFAULT_PORT, Endpoint, parse_endpoint
from relay.wire.errors import LocalError
from relay.wire.names import clean_room
from relay.wire.sequence import Scheme
from relay.wire.stats import Stats
from relay.wire.timetag import TICKS_PER_S, ticks
from relay.wire.version import COMPILED

ROOMS_NAMED_MAX = 10
VERSION = version("jamrelay") + (", compiled core" if COMPILED else "")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(VERSION, prog_name="jamrelay")
def main() -> None:
    """Join several Sonic Pis into one performance."""


@main.command()
@click.option("--host", default="", show_default="every address", help="Listen on this address only.")
@click.option(
    "--port",
    default=DEFAULT_PORT,
    type=click.IntRange(0, 65535),
    help="Listen on this port, TCP and UDP; 0: any free one.",
)
@click.option("--rooms-max", default=64, type=click.IntRange(1, 10_000), help="Open at most this many rooms.")
@click.option(
    "--members-max", default=16, type=click.IntRange(1, 31), help="Seat at most this many members in a room."
)
@click.option(
    "--lead-ms",
    type=click.FloatRange(40, 5000),
    show_default="tuned to the network",
    help="Fix the least time from a message of Sonic Pi to its due, in milliseconds.",
)
@click.option(
    "--shift-ms",
    type=click.FloatRange(0, 5000),
    show_default="as little as the lead allows",
    help="Fix how much later than Sonic Pi says everything is played, in milliseconds; at most the lead.",
)
@click.option(
    "--profile",
    type=click.Choice([safety.value for safety in Safety]),
    default=Safety.BALANCED.value,
    help="How safe a lead is that tunes itself: which of ten minutes' worst moments it must be good for.",
)
@click.option(
    "--lead-max-ms",
    default=LEAD_MAX / TICKS_PER_S * 1e3,
    type=click.FloatRange(40, 5000),
    help="Tune the lead to at most this, in milliseconds; what needs longer isn't waited for.",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=default_data_dir,
    show_default=str(default_data_dir()),
    help="Keep the relay's key here.",
)
@click.option(
    "--ntp",
    metavar="HOST",
    show_default="no check",
    help="Check this machine's clock against this NTP server every 10 minutes.",
)
@click.option(
    "--event-log",
    type=click.Path(dir_okay=False, path_type=Path),
    show_default="no log",
    help="Write every judged event to this file, a JSON object a line.",
)
@click.option(
    "--repair/--no-repair",
    default=True,
    help="Ask again for what the network lost, and send it twice; without, to compare.",
)
@click.option(
    "--scheme",
    type=click.Choice([scheme.value for scheme in Scheme]),
    default=Scheme.JUDGED.value,
    help="Move what comes late for everyone alike (judged), or leave it late where it is (timestamp, to "
    "compare; the relay drops nothing that is late, and the lead is fixed, 200 ms unless told).",
)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning"]), default="info", help="Log this much."
)
def serve(
    host: str,
    port: int,
    rooms_max: int,
    members_max: int,
    lead_ms: float | None,
    shift_ms: float | None,
    profile: str,
    lead_max_ms: float,
    data_dir: Path,
    ntp: str | None,
    event_log: Path | None,
    repair: bool,
    scheme: str,
    log_level: str,
) -> None:
    """Run a relay until Ctrl-C."""
    logs.begin(log_level.upper())
    try:
        settings = RelaySettings(
            host=host,
            port=port,
            policy=_policy(Scheme(scheme), lead_ms, shift_ms, profile, lead_max_ms),
            limits=HubLimits(rooms_max=rooms_max, members_max=members_max),
            software=f"jamrelay {VERSION}",
            ntp_server=ntp,
            event_log=event_log,
            repair=repair,
            scheme=Scheme(scheme),
        )
        identity = load_or_create(data_dir)

        def announce(service: RelayService) -> None:
            reached = own_address(host) or socket.gethostname()
            for line in announcement(host, reached, service.port, identity.fingerprint):
                say(line)

        asyncio.run(_until_asked(settings, identity, announce))
    except LocalError as error:
        raise click.ClickException(str(error)) from None


def _policy(
    scheme: Scheme, lead_ms: float | None, shift_ms: float | None, profile: str, lead_max_ms: float
) -> LeadPolicy:
    policy = LeadPolicy(
        lead=None if lead_ms is None else ticks(lead_ms / 1e3),
        shift=None if shift_ms is None else ticks(shift_ms / 1e3),
        safety=Safety(profile),
        lead_max=ticks(lead_max_ms / 1e3),
    )
    if scheme is Scheme.JUDGED:
        return policy
    # With timestamps alone no event is judged, so no need is measured and nothing can be tuned.
    first = policy.first()
    return replace(policy, lead=first.lead, shift=first.shift)


async def _until_asked(
    settings: RelaySettings, identity: TlsIdentity, announce: Callable[[RelayService], None]
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask(number: signal.Signals) -> None:
        # The second signal meets the default handler, which ends the process at once.
        loop.remove_signal_handler(number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask, number)
    await run(settings, identity, announce, stop)
    say("relay stopped")


@main.command()
@click.argument("address", metavar="[HOST[:PORT]]", default="localhost")
@click.option("--room", show_default="all rooms", help="Show this room only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--watch", is_flag=True, help="Show it anew every second until Ctrl-C.")
def stats(address: str, room: str | None, as_json: bool, watch: bool) -> None:
    """Show the members of each room, and whether all of them are handed the same events."""
    try:
        asyncio.run(_show(address, room, as_json=as_json, watch=watch))
    except LocalError as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        click.echo()


async def _show(address: str, room: str | None, *, as_json: bool, watch: bool) -> None:
    endpoint = parse_endpoint(address)
    pins = KnownRelays(default_path())
    console = Console()
    if room is not None:
        room = clean_room(room)
        await _check_room(endpoint, pins, room)

    async def ask() -> Stats:
        return await ask_stats(endpoint, pins, room=room)

    if as_json:
        while True:
            click.echo(msgspec.json.encode(await ask()))
            if not watch:
                return
            await asyncio.sleep(1.0)
    if not watch:
        console.print(stats_view(await ask(), room))
        return
    if not console.is_terminal:  # a file or a pipe gets one picture after the other
        while True:
            console.print(stats_view(await ask(), room))
            console.print()
            await asyncio.sleep(1.0)
    with Live(stats_view(await ask(), room), console=console, auto_refresh=False, screen=False) as live:
        while True:
            await asyncio.sleep(1.0)
            live.update(stats_view(await ask(), room), refresh=True)


async def _check_room(endpoint: Endpoint, pins: KnownRelays, room: str) -> None:
    """Raise LocalError if this room isn't open on the relay. The error names the open rooms."""
    if (await ask_stats(endpoint, pins, room=room)).rooms:
        return
    rooms = (await ask_stats(endpoint, pins)).rooms
    here = [f"{one.name} ({sum(member.present for member in one.members)} here)" for one in rooms]
    if len(here) > ROOMS_NAMED_MAX:
        here[ROOMS_NAMED_MAX:] = [f"and {len(here) - ROOMS_NAMED_MAX} more"]
    named = f"open: {', '.join(here)}" if here else "no other is: nobody has joined yet"
    raise LocalError(f"room {room} is not open on {endpoint}; {named}")
