"""Fuzzing with mutated input: every parser raises only our own errors and lets nothing harmful through.

The inputs are the same each time. JAMRELAY_FUZZ sets their number; scripts/fuzz does a long run with
progress.
"""

import gc
import os
import struct
import tracemalloc
from random import Random

import pytest

from relay.wire import osc
from relay.wire.osc import encode
from tests.fuzz.checks import check_to_synth
from tests.fuzz.inputs import NOW, osc_input
from tests.fuzz.targets import SHARES, TARGETS, FuzzError, Host, check_osc, run_one

pytestmark = pytest.mark.computes

INPUTS = int(os.environ.get("JAMRELAY_FUZZ", "300000"))
PARTS = 4
"""Number of tests into which each target is divided, so that a long run shows progress."""
REPEATED = 300
GROWTH_BYTES_MAX = 40_000
"""Memory (bytes) that filling caches may add. A leak of 100 bytes an input would add 60,000."""


def part_of(target: str, part: int) -> range:
    count = round(INPUTS * SHARES[target] / PARTS)
    return range(part * count, (part + 1) * count)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("target", TARGETS)
def test_no_mutation_raises_grows_or_gets_through_that_should_not(target: str, part: int) -> None:
    for number in part_of(target, part):
        run_one(target, number)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_the_same_inputs_again_take_no_more_memory(target: str) -> None:
    def run() -> int:
        for number in range(REPEATED):
            run_one(target, number)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    run()  # before anything is measured: imports, caches
    tracemalloc.start()
    try:
        first, *_, last = [run() for _ in range(3)]
    finally:
        tracemalloc.stop()
    assert last - first < GROWTH_BYTES_MAX


def test_the_inputs_are_of_use() -> None:
    """Enough inputs are accepted by the OSC walk, and enough are refused."""
    accepted = 0
    seen: set[str] = set()
    for number in range(4000):
        try:
            messages = check_osc(osc_input(Random(f"osc:{number}")))
        except AssertionError:
            continue
        accepted += bool(messages)
        seen |= {message.address for message in messages}
    assert 1000 < accepted < 3500
    assert len(seen) > 60, "every command of the table is reached"


def until_found(target: str) -> None:
    for number in range(20_000):
        run_one(target, number)


def test_a_hole_in_the_walk_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(osc, "_check_arrays", lambda tags, at: None)
    with pytest.raises(FuzzError, match=r"osc:\d+ \(scripts/fuzz --only osc:\d+\)"):
        until_found("osc")


@pytest.mark.parametrize("check", ["_check_order", "_Patch.count", "_Patch.plain", "_Patch.mapped_value"])
def test_a_hole_in_the_remap_is_found(check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"bridge.scsynth.remap.{check}", lambda *_: None)
    with pytest.raises(FuzzError, match="scripts/fuzz --only osc"):
        until_found("osc")


def test_a_file_named_by_a_member_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.playout.bodies._LOADS", frozenset())
    with pytest.raises(FuzzError, match="is read"):
        until_found("events")


FOUND = {
    "recording-in-sonic-pi": encode("/s_new", "sonic-pi-recorder", 9, 0, 2),
    "recording-into-a-buffer": encode("/s_new", "sonic-pi-recorder", 9, 0, 2, "out-buf", 1.0),
    "refused-node-beyond-all-ints": encode("/s_new", "sonic-pi-beep", float(2**31), 0, 2),
    "group-of-nothing": encode("/g_new"),
    "load-beyond-all-floats": b"/b_allocRead\0\0\0\0,isd\0\0\0\0\0\0\0\1samples/bd_haus.flac\0\0\0\0"
    + struct.pack(">d", 1e300),
    "done-with-a-word": encode("/done", "/b_allocRead", "x"),
}
"""Messages that once ended a bridge or a scsynth, by name. Fuzzing found them."""


@pytest.mark.parametrize("name", FOUND)
@pytest.mark.parametrize("timed", [False, True], ids=["bare", "timed"])
def test_what_fuzzing_found_ends_no_bridge_any_more(name: str, timed: bool) -> None:
    host, payload = Host(), FOUND[name]
    datagram = osc.bundle(NOW, payload) if timed else payload
    local_ns = host.reading.local_ns
    host.player.receive(datagram, ("127.0.0.1", 5), received_local_ns=local_ns, reading=host.reading)
    host.out()
    host.later(3.0)
    for handed in host.out():
        check_to_synth(handed, member=3, root=None)
    host.player.reply(payload)


def test_a_local_path_beyond_all_floats_ends_no_bridge_either() -> None:
    host = Host()
    folder = str(host.folders.root)
    load = FOUND["load-beyond-all-floats"]
    _, message = osc.walk(load)[0]
    path = osc.encode_string(f"{folder}/samples/bd_haus.flac")
    datagram = load[: message.offsets[1]] + path + load[message.offsets[2] :]
    local_ns = host.reading.local_ns
    host.player.receive(datagram, ("127.0.0.1", 5), received_local_ns=local_ns, reading=host.reading)
    assert host.player.counts.refused == {"arguments": 1}


@pytest.mark.parametrize(
    "datagram",
    [
        b"/n_free\0,h\0\0" + bytes(8),
        encode("/n_set", -1, "amp", 0.0),
        encode("/d_load", "/tmp/x", b"/n_set\0\0,is["),
        encode("/nothing"),
    ],
    ids=["malformed", "refused", "completion", "unknown"],
)
def test_what_the_tap_refuses_is_reported_to_the_relay(datagram: bytes) -> None:
    host = Host()
    local_ns = host.reading.local_ns
    host.player.receive(datagram, ("127.0.0.1", 5), received_local_ns=local_ns, reading=host.reading)
    assert host.out() == []
    assert host.ledger.refused == 1
