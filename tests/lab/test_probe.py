"""`jambridge probe` over an emulated network: its trace agrees with the emulator's log for every datagram."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from laboratory.star.decisionlog import PROTOCOLS, Log, read_log
from laboratory.star.star import Star

from bridge.probe.same_path import Agreement, agreement
from relay.netmodel.impairment import Bursts, Fate, Jitter, JitterKind, Leg, Way
from relay.netmodel.networks import PROFILES
from relay.wire.trace import Sample, TraceWay, loads

pytestmark = pytest.mark.netlab

BIN = Path(sys.executable).parent
JITTER = Jitter(JitterKind.LOGNORMAL, 5.0, hold_ms=20.0)
LEG = Leg(
    up=Way(delay_ms=30.0, jitter=JITTER, loss=0.03, bursts=Bursts(0.02, 0.08)),
    down=Way(delay_ms=20.0, loss=0.05),
)
PASSED = tuple(Fate).index(Fate.PASSED)
UDP = next(number for number, name in PROTOCOLS.items() if name == "udp")


def probed(star: Star, folder: Path, seconds: int = 8) -> None:
    env: Mapping[str, str] = os.environ | {"HOME": str(folder), "XDG_DATA_HOME": str(folder / "data")}
    folder.mkdir(exist_ok=True)
    with (folder / "relay.log").open("wb") as log:
        relay = star.relay.popen(
            [BIN / "jamrelay", "serve", "--host", star.relay_address, "--data-dir", folder / "relay"],
            stdout=log, stderr=log, env=env,
        )  # fmt: skip
        command = [BIN / "jambridge", "probe", star.relay_address, "--seconds", str(seconds), "--output"]
        for _ in range(10):  # until the relay listens
            done = star.member("anna").run(
                [*command, folder / "trace.jsonl"], capture_output=True, text=True, env=env, timeout=60
            )
            if "refused the connection" not in done.stderr:
                break
        relay.terminate()
        relay.wait(10)
    assert done.returncode == 0, done.stdout + done.stderr


def lost_in(log: Log, way: str) -> int:
    rows = log.rows_of("anna", way)
    return int(((rows["fate"] != PASSED) & (rows["protocol"] == UDP)).sum())


def test_a_trace_counts_what_the_network_lost_and_tells_its_delays(tmp_path: Path) -> None:
    path = tmp_path / "decisions.log"
    with Star({"anna": LEG}, seed=3, log=path) as star:
        probed(star, tmp_path)
    trace = loads((tmp_path / "trace.jsonl").read_text())
    log = read_log(path)
    sent = sum(bool(row["protocol"] == UDP) for row in log.rows_of("anna", "up"))
    assert len(trace.up.samples) == sent > 300
    assert trace.up.lost == lost_in(log, "up") > 5
    assert trace.down.lost == lost_in(log, "down") > 5
    # The clock knows the difference of the two ways as far as the quicker of its exchanges shows it.
    for way, least_ms in ((trace.up, 30.0), (trace.down, 20.0)):
        assert abs(least_of(way) - least_ms) < 25.0
    assert abs(least_of(trace.up) + least_of(trace.down) - 50.0) < 3.0


def decided(log: Log, way: str) -> TraceWay:
    """Return what the emulator did to the probe datagrams of one direction, as a trace."""
    rows = [row for row in log.rows_of("anna", way) if row["protocol"] == UDP]
    return TraceWay(
        tuple(
            Sample(
                float(row["at_s"] - rows[0]["at_s"]),
                float(row["arrival_s"] - row["at_s"]) * 1e3 if row["fate"] == PASSED else None,
            )
            for row in rows
        )
    )


@pytest.mark.parametrize("seconds", [12, pytest.param(20, marks=pytest.mark.exhaustive)])
def test_a_trace_taken_over_a_bad_network_makes_that_network_again(tmp_path: Path, seconds: int) -> None:
    first, second, path = tmp_path / "first", tmp_path / "second", tmp_path / "decisions.log"
    with Star({"anna": PROFILES["hotel-wifi"].leg}, seed=5, awake=True) as star:
        probed(star, first, seconds)
    original = loads((first / "trace.jsonl").read_text())
    replay = {"anna": Leg(up=Way(trace=original.up), down=Way(trace=original.down))}
    with Star(replay, seed=6, log=path, awake=True) as star:
        probed(star, second, seconds)
    log, again = read_log(path), loads((second / "trace.jsonl").read_text())
    for name, way, measured in (("up", original.up, again.up), ("down", original.down, again.down)):
        remade = agreement(way, decided(log, name))
        print(told(f"{name} as decided", remade))
        # What is measured again holds a second time what measuring adds: as much as this machine makes it.
        print(told(f"{name} as measured", agreement(way, measured)))
        assert remade.agree, name


def told(name: str, found: Agreement) -> str:
    return (
        f"{name}: D={found.delays_apart:.4f} p={found.delays_p:.3f} "
        f"loss {found.first.loss:.4f} {found.second.loss:.4f} p={found.loss_p:.3f}"
    )


def least_of(way: TraceWay) -> float:
    return min(sample.delay_ms for sample in way.samples if sample.delay_ms is not None)
