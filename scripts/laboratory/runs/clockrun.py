"""Clock run: real bridges with skewed local clocks, over a network with unequal jitter up and down, or beside
the relay.

A shell. The machine's own clock, which all processes share, counts as true time. A bridge computes each
message's timetag from its session clock. So the session clock's error is the relay's due minus that timetag.
Two more figures come from the relay's statistics: the bound that each bridge states for its error, and its
estimate of its local clock's rate error.
"""

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rehearsal.proof import relaylog

from laboratory.runs import health, measure, realrun
from laboratory.runs.players import BIN, CLOCK_SET, RELAY_PORT, Player, Relay, RunFailed, environment
from laboratory.runs.points import Point
from laboratory.runs.runs import stamp
from laboratory.star.decisionlog import read_log
from laboratory.star.star import Star
from laboratory.tables.clockreport import ClockSetting, Error, Found, Stated

ASK_S = 2.0
RATE_PPM_OFF_MAX = 15.0
DAY_S = 86_400.0


class Asker:
    """Asks the relay for its statistics every ASK_S seconds, without waiting for the answers.

    home: folder for the files of the asking program.
    """

    def __init__(self, home: Path) -> None:
        self.stated: list[Stated] = []
        self._home = home
        self._asked_at_s = 0.0
        self._asking: subprocess.Popen[bytes] | None = None

    def look(self, relay: Relay) -> None:
        """Read the relay's answer if it has arrived. Ask again if the last question is ASK_S ago."""
        if self._asking is not None:
            if self._asking.poll() is None:
                return
            assert self._asking.stdout is not None
            with self._asking.stdout as answer:
                self._take_in(answer.read())
            self._asking = None
        if time.monotonic() >= self._asked_at_s + ASK_S:
            self._asked_at_s = time.monotonic()
            self._asking = relay.host.popen(
                [BIN / "jamrelay", "stats", f"127.0.0.1:{RELAY_PORT}", "--json"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env=environment(self._home),
            )  # fmt: skip

    def _take_in(self, answer: bytes) -> None:
        if not answer:
            return
        for member in json.loads(answer)["rooms"][0]["members"]:
            bound_us, rate_ppm = member["clock_bound_ms"] * 1e3, member["clock_rate_ppm"]
            self.stated.append(Stated(member["name"], time.time_ns(), bound_us, rate_ppm))


def run(setting: ClockSetting, folder: Path, *, seed: int = 1) -> Found:
    """Let real bridges play and return the errors of their clocks from `setting.settled_s` on.

    folder: gets all logs and recordings. Call it from a thread that lives as long as the run: the programs
    die with the thread that started them. Raises RunFailed, and all that `realrun.perform` raises.
    """
    point = Point(
        name="clock", series="clock", x=0.0, where="netlab", network=setting.network,
        members=len(setting.skews_ppm), events_per_s=setting.events_per_s, seconds=setting.seconds,
    )  # fmt: skip
    asker = Asker(folder / "asker")
    played = realrun.perform(
        point, seed, folder, skews_ppm=setting.skews_ppm, beside_relay=setting.beside_relay, look=asker.look
    )
    judged = relaylog.read(folder / "events.jsonl")
    check_network(played.star, folder)
    check_skews(asker.stated, setting.skews_ppm)
    events = measure.observe(played.members, judged, *played.window_ns, lead_ms=point.lead_ms or 0.0)
    # Members joined before the window began. Their clocks get settled_s more before errors count.
    from_ns = played.window_ns[0] + round(setting.settled_s * 1e9)
    errors = [
        Error(name, handed.at_ns, by_ns / 1e3)
        for event in events
        for name, handed, by_ns in measure.clock_errors(event)
        if handed.at_ns >= from_ns
    ]
    lock_times_s = {player.name: lock_s(player) for player in played.players if isinstance(player, Player)}
    return Found(setting, stamp().commit, errors, asker.stated, lock_times_s)


def check_network(star: Star, folder: Path) -> None:
    """Raise RunFailed if the emulator delivered too late, or if the kernel lost datagrams in front of it."""
    error_ms = health.emulation_error_ms(read_log(folder / "decisions.log"))
    if error_ms is not None and error_ms > health.EMULATION_MS_MAX:
        raise RunFailed(f"1 % of the datagrams were {error_ms:.1f} ms later than the model says")
    if star.unlogged:
        raise RunFailed(f"the kernel lost {star.unlogged} datagrams in front of the emulator")


def check_skews(stated: Sequence[Stated], skews_ppm: Mapping[str, float]) -> None:
    """Raise RunFailed if a bridge misjudges its local clock's rate by more than RATE_PPM_OFF_MAX.

    skews_ppm: member -> rate (ppm) by which its local clock was made to run faster than true time.
    """
    for name, skew_ppm in skews_ppm.items():
        rates = [one.rate_ppm for one in stated if one.member == name]
        if not rates or abs(rates[-1] + skew_ppm) > RATE_PPM_OFF_MAX:
            found = f"{rates[-1]:+.1f}" if rates else "nothing"
            raise RunFailed(f"{name}'s clock should see {-skew_ppm:+g} ppm, but sees {found}")


def lock_s(player: Player) -> float:
    """Return the time (s) from a member's admission to the room until its clock was set, read from its log.

    Raises RunFailed if the log lacks either.
    """
    joined, locked = (told_at_s(player, words) for words in (" in room ", CLOCK_SET))
    return (locked - joined) % DAY_S


def told_at_s(player: Player, words: str) -> float:
    line = next((line for line in player.text.splitlines() if words in line), None)
    if line is None:
        raise RunFailed(f"{player.name} never said{words}")
    clock, _, millis = line.split()[1].partition(",")
    hours, minutes, seconds = map(int, clock.split(":"))
    return hours * 3600 + minutes * 60 + seconds + int(millis) / 1e3
