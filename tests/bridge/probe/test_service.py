"""Short runs of `jambridge probe` on real loopback sockets: the output is complete.

How long they take isn't tested.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge.cli import main
from bridge.probe import measurement as probe_core
from bridge.probe.cli import probe as probe_command
from bridge.probe.measurement import Probe
from bridge.probe.service import ProbeService
from relay.lead.keeper import LeadPolicy
from relay.limits import PROBES_MAX, HubLimits
from relay.shells.service import RelayService, RelaySettings
from relay.shells.tls_identity import TlsIdentity, load_or_create
from relay.transports import tls
from relay.transports.pins import KnownRelays
from relay.transports.tls import ControlStream
from relay.wire import control
from relay.wire.endpoint import Endpoint
from relay.wire.errors import LocalError
from relay.wire.timetag import ticks
from relay.wire.trace import Sample, Trace, TraceWay, dumps, loads
from relay.wire.version import PROTOCOL_VERSION
from tests.worlds.places import ROOT

LIMIT_S = 20.0
LONG_AFTER = 0xF0 << 56
"""A session instant in 2027 (ticks), later than the end of any test."""


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> TlsIdentity:
    return load_or_create(tmp_path_factory.mktemp("relay"))


@pytest.fixture
def pins(tmp_path: Path) -> KnownRelays:
    return KnownRelays(tmp_path / "known_relays")


@pytest.fixture
async def relay(identity: TlsIdentity) -> AsyncIterator[RelayService]:
    settings = RelaySettings("127.0.0.1", 0, LeadPolicy(ticks(0.2), 0), HubLimits(), "jamrelay test")
    service = RelayService(settings, identity)
    await service.start()
    yield service
    await service.stop()


def service_for(port: int, pins: KnownRelays, *, seconds: float = 1.5, rate: float = 20) -> ProbeService:
    endpoint = Endpoint("127.0.0.1", port)
    return ProbeService(endpoint, pins, rate=rate, seconds=seconds, software="test")


async def run(service: ProbeService) -> Probe:
    return await asyncio.wait_for(service.run(lambda probe: None), LIMIT_S)


async def test_a_loopback_path_is_measured_both_ways(relay: RelayService, pins: KnownRelays) -> None:
    service = service_for(relay.port, pins)
    trace = (await run(service)).trace({"host": "here"})
    assert service.cut_short is None
    assert 2 <= len(trace.up.samples) <= 30
    assert len(trace.down.samples) == len(trace.up.samples) - trace.up.lost
    assert trace.up.lost + trace.down.lost <= 2
    assert {"host", "rate_per_s", "clock_bound_ms", "clock_rate_ppm", "clock_steady"} <= trace.about.keys()
    assert len(loads(dumps(trace)).up.samples) == len(trace.up.samples)
    await asyncio.sleep(0.05)
    assert (relay.hub.probing.stats().begun, relay.hub.probing.next_wakeup()) == (1, None)


async def test_stopped_early_it_returns_what_there_is(relay: RelayService, pins: KnownRelays) -> None:
    service = service_for(relay.port, pins, seconds=600)

    def stop_at_five(probe: Probe) -> None:
        if probe.progress().sent == 5:
            service.stop()

    found = await asyncio.wait_for(service.run(stop_at_five), LIMIT_S)
    assert len(found.trace({}).up.samples) == 5


async def test_a_relay_that_goes_away_cuts_it_short_in_words(
    identity: TlsIdentity, pins: KnownRelays
) -> None:
    settings = RelaySettings("127.0.0.1", 0, LeadPolicy(ticks(0.2), 0), HubLimits(), "jamrelay test")
    relay = RelayService(settings, identity)
    await relay.start()
    service = service_for(relay.port, pins, seconds=600)
    stopping: list[asyncio.Task[None]] = []

    def stop_the_relay(probe: Probe) -> None:
        if probe.progress().answered >= 3 and not stopping:
            stopping.append(asyncio.ensure_future(relay.stop()))

    await asyncio.wait_for(service.run(stop_the_relay), LIMIT_S)
    assert service.cut_short == "the connection to the relay broke"
    await stopping[0]


async def test_a_busy_relay_is_named_with_its_reason(relay: RelayService, pins: KnownRelays) -> None:
    hello = control.ProbeHello(protocol=PROTOCOL_VERSION, software="t", rate=1, seconds=60)
    for connection in range(PROBES_MAX):
        relay.hub.probing.hello(1000 + connection, hello, LONG_AFTER)
    with pytest.raises(LocalError, match="already: try again in a few minutes"):
        await run(service_for(relay.port, pins))


@pytest.mark.parametrize(
    ("arrivals", "words"), [([], "no datagram gets there; open UDP"), ([(0, 2**63 + 5)], "none comes back")]
)
async def test_udp_that_is_shut_is_told_from_a_relay_that_is_not_there(
    identity: TlsIdentity,
    pins: KnownRelays,
    monkeypatch: pytest.MonkeyPatch,
    arrivals: list[tuple[int, int]],
    words: str,
) -> None:
    async def deaf(stream: ControlStream) -> None:
        """Act as a relay that welcomes a prober and reports arrivals, but answers no UDP."""
        assert await stream.receive() is not None
        stream.send(control.encode(control.ProbeWelcome(channel=1, key_up=bytes(32), key_down=bytes(32))))
        await asyncio.sleep(0.1)
        stream.send(control.encode(control.ProbeReport(arrivals=arrivals)))
        await stream.receive()

    monkeypatch.setattr(probe_core, "QUIET_NS", 400_000_000)
    server = await tls.serve("127.0.0.1", 0, identity, deaf)
    try:
        with pytest.raises(LocalError, match=words):
            await run(service_for(server.port, pins, seconds=600))
    finally:
        await server.close()


@pytest.mark.parametrize(
    "answer", [control.Roster(members=[]), None, b"\xc1"], ids=["other", "hang-up", "noise"]
)
async def test_what_is_no_relay_of_ours_is_said_to_be_none(
    identity: TlsIdentity, pins: KnownRelays, answer: control.Down | bytes | None
) -> None:
    async def strange(stream: ControlStream) -> None:
        assert await stream.receive() is not None
        if answer is not None:
            stream.send(answer if isinstance(answer, bytes) else control.encode(answer))

    server = await tls.serve("127.0.0.1", 0, identity, strange)
    try:
        with pytest.raises(LocalError, match=r"instead of answering|can't be understood"):
            await run(service_for(server.port, pins))
    finally:
        await server.close()


async def test_without_a_relay_it_says_so(pins: KnownRelays) -> None:
    with pytest.raises(LocalError, match="is `jamrelay serve` running there"):
        await run(service_for(9, pins))


# -- the command -----------------------------------------------------------------------------------------


@pytest.fixture
def written(tmp_path: Path) -> Path:
    up = TraceWay(tuple(Sample(at / 50, None if at % 20 == 3 else 20 + at % 7) for at in range(300)))
    down = TraceWay(tuple(Sample(at / 50, 30 + at % 5) for at in range(300)))
    path = tmp_path / "there.jsonl"
    path.write_text(dumps(Trace(up, down, {"host": "jam.example", "clock_bound_ms": 20.0})), "utf-8")
    return path


def test_the_command_is_jambridges() -> None:
    assert main.commands["probe"] is probe_command


def test_a_trace_is_shown_and_drawn(written: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "there.png"
    result = CliRunner().invoke(main, ["probe", "--show", str(written), "--picture", str(picture)])
    assert result.exit_code == 0, result.output
    for part in ("path to jam.example", "5.00%", "needs a lead of", "●", str(picture)):
        assert part in result.output.replace("\n", ""), part
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_picture_without_matplotlib_is_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bridge.probe.plot", None)
    monkeypatch.chdir(tmp_path)
    # Nobody listens there: a measurement would say so.
    result = CliRunner().invoke(main, ["probe", "127.0.0.1:9", "--picture", "x.png"])
    assert result.exit_code == 1
    assert "a picture needs matplotlib, which isn't here: pipx inject jamrelay matplotlib" in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_trace_is_compared_with_another(written: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    trace = loads(written.read_text("utf-8"))
    other.write_text(dumps(Trace(trace.down, trace.down)), "utf-8")
    result = CliRunner().invoke(main, ["probe", "--show", str(written), "--against", str(other)])
    assert result.exit_code == 0, result.output
    assert "up: different" in result.output
    assert "down: the same" in result.output


def test_a_trace_as_json_says_the_same_to_programs(written: Path) -> None:
    result = CliRunner().invoke(main, ["probe", "--show", str(written), "--json"])
    said = json.loads(result.output)
    assert (said["up"]["sent"], said["up"]["lost"], said["down"]["lost"]) == (300, 15, 0)
    assert said["about"]["host"] == "jam.example"
    assert said["lead_ms"] > said["rtt_ms"] > 50


def test_the_comparison_of_two_traces_is_in_the_json_too(written: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    trace = loads(written.read_text("utf-8"))
    other.write_text(dumps(Trace(trace.down, trace.down)), "utf-8")
    result = CliRunner().invoke(main, ["probe", "--show", str(written), "--against", str(other), "--json"])
    assert result.exit_code == 0, result.output
    against = json.loads(result.output)["against"]
    assert against["trace"] == str(other)
    assert (against["up"]["agree"], against["down"]["agree"]) == (False, True)
    assert against["up"]["loss_p"] < 0.01 < against["down"]["delays_p"]
    assert (against["up"]["other"]["sent"], against["up"]["other"]["lost"]) == (300, 0)
    alone = CliRunner().invoke(main, ["probe", "--show", str(written), "--json"])
    assert "against" not in json.loads(alone.output)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name a relay"),
        (["jam.example", "--show", "{written}"], "name a relay"),
        (["--show", "{broken}"], "is no trace"),
        (["--show", "{written}", "--picture", "{nowhere}/x.png"], "can't be written"),
        (["127.0.0.1:9", "--seconds", "1"], "is `jamrelay serve` running"),
    ],
)
def test_mistakes_are_answered_in_words(
    written: Path, tmp_path: Path, arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{}\n")
    places = {"written": written, "broken": broken, "nowhere": tmp_path / "no" / "such"}
    result = CliRunner().invoke(main, ["probe", *(word.format(**places) for word in arguments)])
    assert result.exit_code == 1
    assert words in result.output
    assert "Traceback" not in result.output


async def test_a_measurement_leaves_a_trace_under_its_usual_name(
    relay: RelayService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    arguments = ["probe", f"127.0.0.1:{relay.port}", "--seconds", "1", "--rate", "20"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from bridge.cli import main; main()", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    printed, _ = await asyncio.wait_for(process.communicate(), LIMIT_S)
    assert process.returncode == 0, printed.decode()
    (path,) = tmp_path.glob(f"probe-127.0.0.1-{relay.port}-*.jsonl")
    assert path.name in printed.decode()
    assert len(loads(path.read_text("utf-8")).up.samples) >= 2
