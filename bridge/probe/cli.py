"""`jambridge probe`: measures the path to a relay, writes a trace of it, and shows the figures."""

import asyncio
import os
import re
import signal
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from bridge.probe.measurement import Probe
from bridge.probe.path_stats import path_figures
from bridge.probe.same_path import agreements
from bridge.probe.service import ProbeService
from bridge.probe.view import comparison, drawing, meaning, summary
from relay.transports.pins import KnownRelays, default_path
from relay.wire.control.probe import RATE_MAX, SECONDS_MAX
from relay.wire.endpoint import DEFAULT_PORT, Endpoint, parse_endpoint
from relay.wire.errors import LocalError
from relay.wire.trace import Trace, dumps, loads

REFRESH_NS = 250_000_000
"""Time between two drawings of the progress, ns. It is short enough for the eye. It is also long enough that
the few ms of a drawing delay no timestamp."""


@click.command()
@click.argument("address", metavar="[HOST[:PORT]]", required=False)
@click.option(
    "--seconds",
    default=60.0,
    type=click.FloatRange(1, SECONDS_MAX),
    help="Measure for this many seconds.",
)
@click.option(
    "--rate",
    default=50.0,
    type=click.FloatRange(1, RATE_MAX),
    help="Send this many datagrams a second, each way.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    show_default="probe-HOST-DATE.jsonl",
    help="Write the trace to this file.",
)
@click.option(
    "--show",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="TRACE",
    show_default="measure",
    help="Draw a trace that was written before, instead of measuring.",
)
@click.option(
    "--against",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="TRACE",
    show_default="none",
    help="Say whether this trace can be of the same path.",
)
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.png",
    show_default="none",
    help="Draw the trace to this PNG file as well.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def probe(
    address: str | None,
    seconds: float,
    rate: float,
    output: Path | None,
    show: Path | None,
    against: Path | None,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Measure the path to a relay, both ways, and write it to a trace.

    Needs no room and no Sonic Pi, and disturbs nobody. Ctrl-C ends it early and keeps what there is.
    """
    try:
        if (address is None) == (show is None):
            raise LocalError("name a relay, HOST or HOST:PORT, to be measured; or a trace, --show TRACE")
        draw = _drawer() if picture is not None else None
        other = _read(against) if against is not None else None
        if show is not None:
            trace, kept = _read(show), show
        else:
            assert address is not None
            endpoint = parse_endpoint(address)
            if output is not None and not os.access(output.absolute().parent, os.W_OK):
                raise LocalError(f"can't write to {output.absolute().parent}: give --output another place")
            trace = asyncio.run(_measure(endpoint, rate=rate, seconds=seconds))
            kept = output if output is not None else _usual_name(endpoint)
            _write(kept, trace)
        if picture is not None and draw is not None:
            _draw(draw, trace, picture)
        if as_json:
            said = _for_programs(trace, kept)
            if other is not None:
                said["against"] = {"trace": str(against)} | _compared(trace, other)
            click.echo(msgspec.json.encode(said))
            return
        _print(trace, kept, drawn=show is not None)
        if other is not None:
            Console().print(comparison(trace, other))
        if picture is not None:
            click.echo(f"picture: {picture}")
    except LocalError as error:
        raise click.ClickException(str(error)) from None


async def _measure(endpoint: Endpoint, *, rate: float, seconds: float) -> Trace:
    service = ProbeService(
        endpoint,
        KnownRelays(default_path()),
        rate=rate,
        seconds=seconds,
        software=f"jambridge {version('jamrelay')}",
    )
    loop = asyncio.get_running_loop()
    console = Console(stderr=True)

    def end_early(number: signal.Signals) -> None:
        # The second signal meets the default handler, which ends the process at once.
        loop.remove_signal_handler(number)
        console.print("ending; waiting for what is on its way (Ctrl-C again: no trace)")
        service.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end_early, number)
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[seen]}"),
    )
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as bar:
        task = bar.add_task(f"measuring {endpoint}", total=None, seen="")
        refreshed_ns = 0

        def show(probe: Probe) -> None:
            nonlocal refreshed_ns
            if time.monotonic_ns() - refreshed_ns < REFRESH_NS:
                return
            found = probe.progress()
            bar.update(task, completed=found.sent, total=found.planned, seen=_seen(probe), refresh=True)
            refreshed_ns = time.monotonic_ns()

        probe = await service.run(show)
    if service.cut_short is not None:
        console.print(f"ended early: {service.cut_short}")
    about: dict[str, str | float] = {
        "host": str(endpoint),
        "started": started,
        "software": f"jambridge {version('jamrelay')}",
    }
    return probe.trace(about)


def _seen(probe: Probe) -> str:
    found = probe.progress()
    if found.rtt_ms is None or found.jitter_ms is None:
        return "no answer yet"
    return f"rtt {found.rtt_ms:.1f} ms, jitter {found.jitter_ms:.1f} ms, unanswered {found.overdue}"


def _usual_name(endpoint: Endpoint) -> Path:
    place = endpoint.host if endpoint.port == DEFAULT_PORT else f"{endpoint.host}-{endpoint.port}"
    return Path(f"probe-{re.sub(r'[^A-Za-z0-9.-]', '-', place)}-{time.strftime('%Y%m%d-%H%M%S')}.jsonl")


def _read(path: Path) -> Trace:
    try:
        return loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise LocalError(f"{path} can't be read as a trace: {error}") from None
    except LocalError as error:
        raise LocalError(f"{path} is no trace of `jambridge probe`: {error}") from None


def _write(path: Path, trace: Trace) -> None:
    try:
        path.write_text(dumps(trace), "utf-8")
    except OSError as error:
        raise LocalError(f"the trace can't be written to {path}: {error.strerror}") from None


def _drawer() -> Callable[[Trace, Path], None]:
    """Return the function that draws a picture. Raises LocalError if matplotlib is missing.

    Call it before measuring, so that the error comes before a minute's work.
    """
    try:
        from bridge.probe.plot import draw
    except ImportError:
        text = (
            "a picture needs matplotlib, which isn't here: pipx inject jamrelay matplotlib (where pipx "
            "installed jamrelay), or leave --picture out"
        )
        raise LocalError(text) from None
    return draw


def _draw(draw: Callable[[Trace, Path], None], trace: Trace, path: Path) -> None:
    try:
        draw(trace, path)
    except OSError as error:
        raise LocalError(f"the picture can't be written to {path}: {error.strerror}") from None


def _for_programs(trace: Trace, kept: Path) -> dict[str, Any]:
    figures = path_figures(trace)
    said = {"trace": str(kept), "about": trace.about} | asdict(figures)
    said["meaning"] = [text for text, _ in meaning(trace, figures)]
    return said


def _compared(trace: Trace, other: Trace) -> dict[str, Any]:
    """Return, for each direction, the figures of the comparison of two traces, and the figures of `other`."""
    return {
        name: {
            "agree": found.agree,
            "delays_apart": found.delays_apart,
            "delays_p": found.delays_p,
            "loss_p": found.loss_p,
            "other": asdict(found.second),
        }
        for name, found in agreements(trace, other).items()
    }


def _print(trace: Trace, kept: Path, *, drawn: bool) -> None:
    console = Console()
    console.print(summary(trace))
    if drawn:
        console.print()
        console.print(drawing(trace))
    else:
        console.print(
            f"\ntrace: {kept} (draw it: jambridge probe --show {kept})", highlight=False, soft_wrap=True
        )
