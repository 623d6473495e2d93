"""The genuine Sonic Pi window in a jam, beside the window of a plain Sonic Pi.

The window is started as README shows, and played by keys and mouse. Pictures of the screen and the sound
card's output show the result. The pictures are kept in demo-output/window.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import soundfile
from laboratory.windows.jam import WindowJam
from PIL import Image
from rehearsal.rigs import livetake, sound
from rehearsal.rigs.window import Window

from tests.worlds.places import ROOT

pytestmark = [pytest.mark.real, pytest.mark.netlab]

PICTURES = ROOT / "demo-output" / "window"
NOISE = "synth :noise, sustain: 600, amp: 0.4"
QUIET = 0.4
"""Where the volume slider is moved to, as a share of its length. It begins at about 0.8."""
DROP_DB = (3.0, 12.0)
"""Least and greatest drop (dB) when the slider moves to QUIET. From 0.8 to 0.4 is 6 dB; the mouse isn't
exact."""
BOTH_DB = 1.0
SILENCE_DBFS = -90.0
ENDS_S = 25.0
"""Time (s) within which a window closes. Plain Sonic Pi's takes 5 s."""
FADES_S = 10.0
"""Time (s) within which a stopped run is silent. Sonic Pi fades for 1 s and may begin late."""
SECOND_NS = 1_000_000_000


@dataclass
class Seen:
    """What was seen and heard of one window."""

    alive_s: float = 0.0
    silent: list[bytes] = field(default_factory=list)
    sounding: list[bytes] = field(default_factory=list)
    loud_dbfs: float = 0.0
    quiet_dbfs: float = 0.0
    stopped_dbfs: float = 0.0
    recorded_s: float = 0.0
    recorded_dbfs: float = livetake.SILENCE_DBFS
    left: list[str] = field(default_factory=list)
    log: str = ""


@dataclass
class Evening:
    """What was seen of all windows, and the relay's statistics of the members."""

    seen: dict[str, Seen]
    members: dict[str, dict[str, object]]


def evening(folder: Path, members: list[str], plain: list[str], *, until_s: float, ctrl_c: bool) -> Evening:
    """Use all windows at the same time as a person would, and end them after `until_s`; return what was seen.

    ctrl_c: end the members' windows by Ctrl-C instead of closing them.
    """
    PICTURES.mkdir(parents=True, exist_ok=True)
    with WindowJam(folder, members, plain) as jam:
        began_s = time.monotonic()
        jam.stage.play_for(1.0)
        seen = play(jam)
        jam.stage.play_for(max(0.0, until_s - (time.monotonic() - began_s)))
        here = jam.members()
        for name, window in jam.windows.items():
            seen[name].alive_s = time.monotonic() - began_s if window.is_alive else 0.0
            if ctrl_c and name in members:
                window.interrupt()
            else:
                window.close()
        for name, window in jam.windows.items():
            seen[name].left = window.wait_gone(ENDS_S)
            seen[name].log = window.log_text()
    return Evening(seen, here)


def play(jam: WindowJam) -> dict[str, Seen]:
    """Play, set the volume, record and stop in every window; return what was seen and heard of each."""
    seen = {name: Seen() for name in jam.windows}
    windows = [(window, seen[name]) for name, window in jam.windows.items()]
    for window, one in windows:
        one.silent = scopes(window, "silent")
        window.run_code(NOISE)
    jam.stage.play_for(1.5)
    for window, one in windows:
        one.sounding = scopes(window, "sounding")
        window.screen.picture().save(PICTURES / f"{window.name}.png")
    listen(jam, seen, "loud_dbfs")
    for window, _ in windows:
        window.show_preferences()
        window.slide_volume(QUIET)
        window.screen.picture().save(PICTURES / f"{window.name}-volume.png")
        window.show_preferences()
        window.record()
    jam.stage.play_for(0.5)
    listen(jam, seen, "quiet_dbfs")
    jam.stage.play_for(1.0)
    for window, one in windows:
        window.record()
        path = window.home / "mine.wav"
        window.save_recording(path)
        window.wait_until(path.exists, "the recording saved", 5.0)
        one.recorded_s = soundfile.info(path).duration
        one.recorded_dbfs = sound.level_dbfs(path)
        window.stop_jobs()
    until_s = time.monotonic() + FADES_S
    listen(jam, seen, "stopped_dbfs")
    while max(one.stopped_dbfs for one in seen.values()) > SILENCE_DBFS and time.monotonic() < until_s:
        listen(jam, seen, "stopped_dbfs")
    return seen


def scopes(window: Window, name: str) -> list[bytes]:
    """Return two pictures (as bytes) of the oscilloscope, taken 0.3 s apart."""
    pictures: list[Image.Image] = []
    for again in ("", "-again"):
        time.sleep(0.3)
        pictures.append(window.scope())
        pictures[-1].save(PICTURES / f"{window.name}-scope-{name}{again}.png")
    return [picture.tobytes() for picture in pictures]


def listen(jam: WindowJam, seen: dict[str, Seen], what: str) -> None:
    """Measure the next second's level at each sound card; store it in the attribute `what` of each Seen."""
    from_ns = time.time_ns()
    jam.stage.play_for(1.2)
    for name, window in jam.windows.items():
        setattr(seen[name], what, window.take.level_dbfs(from_ns, from_ns + SECOND_NS))


def check(one: Seen, *, alive_s: float) -> None:
    assert one.alive_s > alive_s
    assert one.silent[0] == one.silent[1], "in silence the oscilloscope stands still"
    assert one.sounding[0] != one.sounding[1], "while a note sounds it moves"
    assert one.sounding[0] not in one.silent
    assert one.loud_dbfs > -45
    assert DROP_DB[0] < one.loud_dbfs - one.quiet_dbfs < DROP_DB[1], "the volume slider"
    assert one.recorded_s > 1.5
    assert one.recorded_dbfs > -45
    assert one.stopped_dbfs < SILENCE_DBFS


def check_in_jam(found: Evening, name: str, *, alive_s: float) -> None:
    check(found.seen[name], alive_s=alive_s)
    assert found.seen[name].left == []
    assert "bridge: left" in found.seen[name].log
    member = found.members[name]
    assert member["sent"] != 0
    assert member["missing"] == member["different"] == member["late"] == 0


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Evening:
    return evening(tmp_path_factory.mktemp("once"), ["guy"], ["solo"], until_s=0.0, ctrl_c=False)


def test_the_window_lives_in_a_jam_plays_and_closes_without_leaving_anything(once: Evening) -> None:
    check_in_jam(once, "guy", alive_s=15.0)


def test_it_sounds_and_records_as_plain_sonic_pis_window_does(once: Evening) -> None:
    guy, solo = once.seen["guy"], once.seen["solo"]
    check(solo, alive_s=15.0)
    assert abs(guy.loud_dbfs - solo.loud_dbfs) < BOTH_DB
    assert abs(guy.quiet_dbfs - solo.quiet_dbfs) < BOTH_DB
    assert abs(guy.recorded_dbfs - solo.recorded_dbfs) < BOTH_DB


@pytest.mark.exhaustive
@pytest.mark.parametrize("time", [1, 2, 3])
def test_it_is_alive_after_a_minute_and_ctrl_c_ends_it_three_times_in_a_row(
    time: int, tmp_path: Path
) -> None:
    found = evening(tmp_path, ["guy"], [], until_s=61.0, ctrl_c=True)
    check_in_jam(found, "guy", alive_s=60.0)


@pytest.mark.exhaustive
def test_two_windows_play_in_one_room(tmp_path: Path) -> None:
    found = evening(tmp_path, ["guy", "gal"], [], until_s=61.0, ctrl_c=False)
    for name in ("guy", "gal"):
        check_in_jam(found, name, alive_s=60.0)
    assert set(found.members) == {"guy", "gal"}
