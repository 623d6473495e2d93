"""Guests join a genuine jam, play and leave: they fade out, nothing of them stays, and nobody else notices.

Anna and bob are genuine Sonic Pis who stay. Live takes of both, and their scsynths, show whether anything of
the guests is left.
"""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy
import psutil
import pytest
from matplotlib.figure import Figure
from rehearsal.rigs import tree
from rehearsal.rigs.jam import Jam
from rehearsal.rigs.osc import ask, message
from rehearsal.rigs.performer import Performer
from rehearsal.rigs.stage import Stage

from bridge.scsynth.id_space import Origin
from tests.real.guests import BUFFERS, CONTROL_BUS, Guest, guest
from tests.real.inquiry import scsynth_port

pytestmark = pytest.mark.real

ANNA, BOB = "anna", "bob"
SECOND_NS = 1_000_000_000
GUEST_SLOTS = (4, 5, 6)
"""Slot 3 is kept for five minutes for the guest who vanished."""
TONE_NOTE, GUEST_NOTE = 48, 72
TONE = f"use_synth :beep\nplay {TONE_NOTE}, sustain: 40, release: 0.1, amp: 0.5"
LOOP = """
live_loop :it do
  use_synth :{synth}
  8.times do
    play (scale :c4, :minor_pentatonic).choose, release: 0.2, amp: 0.3
    sleep 0.125
  end
end
"""
WINDOW_S = 0.020
GONE_S = 9.0
GROWTH_MB_MAX = 3.0
"""Greatest growth of a process's memory while the last two thirds of the guests come and go. Some growth is
allowed, because records of the last ten minutes aren't full yet."""


def frequency(note: int) -> float:
    """Return the frequency (Hz) of a MIDI note."""
    return float(440 * 2 ** ((note - 69) / 12))


# -- fading out -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Exit:
    """How a guest's end was heard at one sound card.

    took_s: from its leaving until its sound had fallen by 60 dB. fell_s: from the last moment at full level
    to 60 dB less. steps: the greatest difference of two neighbouring samples, before the leaving and after
    it. levels: amplitude of the player who goes on, before and after the leaving.
    """

    took_s: float
    fell_s: float
    steps: tuple[float, float]
    levels: tuple[float, float]


def amplitudes(samples: Any, rate: int, hertz: float) -> Any:
    """Return the amplitude of one frequency in each window of WINDOW_S."""
    size = round(WINDOW_S * rate)
    windows = samples[: len(samples) // size * size].reshape(-1, size) * numpy.hanning(size)
    turns = numpy.exp(-2j * numpy.pi * hertz * numpy.arange(size) / rate)
    return numpy.abs(windows @ turns) * 4 / size


def listen(performer: Performer, left_ns: int, until_ns: int) -> Exit:
    """Judge a guest's end by a performer's take."""
    before_ns = SECOND_NS
    take = performer.take
    rate = take.rate
    samples = take.between(left_ns - before_ns, until_ns)[0].astype("float64")
    heard = amplitudes(samples, rate, frequency(GUEST_NOTE))
    full = float(numpy.median(heard[: round(0.8 / WINDOW_S)]))
    last_full = int(numpy.nonzero(heard > 0.95 * full)[0][-1])
    silent = int(numpy.nonzero(heard > 0.001 * full)[0][-1]) + 1
    tone = amplitudes(samples, rate, frequency(TONE_NOTE))
    return Exit(
        took_s=silent * WINDOW_S - before_ns / 1e9,
        fell_s=(silent - last_full) * WINDOW_S,
        steps=(take.greatest_step(left_ns - before_ns, left_ns), take.greatest_step(left_ns, until_ns)),
        levels=(float(numpy.median(tone[:20])), float(numpy.median(tone[-20:]))),
    )


@dataclass
class Found:
    """How guests' ends were heard, by kind and listener; snapshots before and after all guests; memory after
    each guest."""

    exits: dict[str, dict[str, Exit]] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)
    during: list[dict[str, float]] = field(default_factory=list)
    room: dict[str, Any] = field(default_factory=dict)
    guests: int = 0


def hear_exits(jam: Jam, found: Found) -> None:
    """Let one guest leave and one vanish, while bob holds a note."""
    stage = jam.stage
    jam.performers[BOB].run_code(TONE)
    for kind, wait_s in (("leaves", 1.5), ("vanishes", GONE_S)):
        with guest(jam.folder, jam.port, kind) as one:
            one.hold(GUEST_NOTE)
            stage.play_for(2.2)
            left_ns = time.time_ns()
            one.leave() if kind == "leaves" else one.vanish()
        stage.play_for(wait_s)
        until_ns = time.time_ns() - SECOND_NS // 5
        found.exits[kind] = {
            name: listen(performer, left_ns, until_ns) for name, performer in jam.performers.items()
        }
    jam.performers[BOB].stop_jobs()


# -- nothing stays --------------------------------------------------------------------------------------


def buffers(port: int) -> dict[str, int]:
    """Return the frames of each buffer that a guest may load."""
    numbers = [Origin(slot).buffer(number) for slot in GUEST_SLOTS for number in BUFFERS]
    answers = (ask(port, message("/b_query", number))[1] for number in numbers)
    return {str(number): int(answer[1]) for number, answer in zip(numbers, answers, strict=True)}


def control_buses(port: int) -> dict[str, float]:
    """Return the values of the control buses that guests set."""
    numbers = [Origin(slot).control_bus(CONTROL_BUS) for slot in GUEST_SLOTS]
    return {str(number): float(ask(port, message("/c_get", number))[1][1]) for number in numbers}


def processes(jam: Jam) -> dict[str, psutil.Process]:
    """Return the processes whose memory is checked: relay, bridges and scsynths, by name."""
    assert jam.relay is not None
    found = {"relay": psutil.Process(jam.relay.pid)}
    for name, performer in jam.performers.items():
        found[f"{name}'s bridge"] = jam.bridge_of(name)
        found |= {f"{name}'s scsynth": one for one in performer.processes() if one.name() == "scsynth"}
    return found


def snapshot(jam: Jam) -> dict[str, Any]:
    """Return what is there: nodes, buffers, control buses, descriptors, and files."""
    found: dict[str, Any] = {}
    for name, performer in jam.performers.items():
        port = scsynth_port(performer)
        shared = Path(f"/proc/{jam.bridge_of(name).pid}/root/dev/shm")
        found[name] = {
            "nodes": str(tree.query(port)),
            "buffers": buffers(port),
            "buses": control_buses(port),
            "files": sorted(path.name for at in (performer.home / "tmp", shared) for path in at.iterdir()),
        }
    found["descriptors"] = {name: one.num_fds() for name, one in processes(jam).items()}
    return found


def have(jam: Jam, found: Found, guests: int) -> None:
    """Let guests come and go, as many at a time as there are GUEST_SLOTS, while anna and bob play."""
    for name, synth in ((ANNA, "tri"), (BOB, "pulse")):
        jam.performers[name].run_code(LOOP.format(synth=synth))
    jam.stage.play_for(2.0)
    watched = processes(jam)

    def visits(first: int) -> None:
        for number in range(first, guests, len(GUEST_SLOTS)):
            with guest(jam.folder, jam.port, f"guest{number}") as one:
                visit(one, number)

    def visit(one: Guest, number: int) -> None:
        one.load()
        one.hold(GUEST_NOTE)
        one.play(number, 0.5)
        if number < len(GUEST_SLOTS):
            found.during.append({**buffers(scsynth_port(jam.performers[ANNA]))})
        one.leave()
        found.guests += 1
        found.curve.append({name: each.memory_info().rss / 1e6 for name, each in watched.items()})

    threads = [threading.Thread(target=visits, args=(first,)) for first in range(len(GUEST_SLOTS))]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        jam.stage.play_for(0.2)
    jam.stage.play_for(2.0)
    found.room = jam.room()
    for name in (ANNA, BOB):
        jam.performers[name].stop_jobs()
    jam.stage.play_for(3.0)


def draw(curve: list[dict[str, float]], path: Path) -> None:
    """Draw the memory of each process over the guests."""
    figure = Figure(figsize=(7, 3.5))
    axes = figure.subplots()
    for name in sorted(curve[0]):
        axes.plot(range(1, len(curve) + 1), [one[name] for one in curve], label=name)
    axes.set(xlabel="guests who have left", ylabel="memory, MB", ylim=(0, None))
    axes.legend(ncols=3, fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


@pytest.fixture(
    scope="module",
    params=[pytest.param(20, id="20"), pytest.param(200, id="200", marks=pytest.mark.exhaustive)],
)
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    with Stage() as stage:
        jam = Jam(stage, tmp_path_factory.mktemp("leaving"), [ANNA, BOB], listened=True)
        jam.start_relay()
        jam.boot()
        stage.play_for(1.5)
        made = Found()
        hear_exits(jam, made)
        stage.play_for(1.5)
        made.before = snapshot(jam)
        have(jam, made, request.param)
        made.after = snapshot(jam)
        (jam.folder / "curve.json").write_text(json.dumps(made.curve))
        draw(made.curve, jam.folder / "curve.png")
        yield made


@pytest.mark.parametrize("kind", ["leaves", "vanishes"])
def test_who_leaves_or_vanishes_fades_out_everywhere_without_a_step(found: Found, kind: str) -> None:
    for listener, heard in found.exits[kind].items():
        assert heard.took_s < (1.0 if kind == "leaves" else 10.5), (listener, heard)
        assert 0.08 < heard.fell_s <= 0.15, (listener, heard)
        before, since = heard.steps
        assert since < before * 1.05, (listener, heard)


@pytest.mark.parametrize("kind", ["leaves", "vanishes"])
def test_who_plays_on_is_as_loud_as_before(found: Found, kind: str) -> None:
    for listener, heard in found.exits[kind].items():
        before, after = heard.levels
        assert before > 0.01, "bob's note is heard"
        assert after == pytest.approx(before, rel=0.02), listener


def test_while_guests_are_there_their_buffers_are_loaded(found: Found) -> None:
    assert any(min(frames.values()) >= 0 and max(frames.values()) >= 48_000 for frames in found.during)


def test_of_guests_nothing_stays(found: Found) -> None:
    for name in (ANNA, BOB):
        assert found.after[name] == found.before[name], name
    assert set(found.after[ANNA]["buffers"].values()) == {0}
    assert set(found.after[ANNA]["buses"].values()) == {0.0}
    assert found.after["descriptors"] == found.before["descriptors"]


def test_no_process_grows_with_the_guests(found: Found) -> None:
    settled, last = found.curve[len(found.curve) // 3], found.curve[-1]
    grown = {name: last[name] - settled[name] for name in last}
    assert max(grown.values()) < GROWTH_MB_MAX, grown


def test_those_who_stay_lose_nothing_and_nothing_of_theirs_is_late_while_guests_come_and_go(
    found: Found,
) -> None:
    wrong = {
        one["name"]: (one["missing"], one["late"], one["retimed"], one["unfounded"])
        for one in found.room["members"]
        if one["present"]
    }
    assert wrong == dict.fromkeys((ANNA, BOB), (0, 0, 0, 0))
