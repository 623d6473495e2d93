"""Real run: one point of the laboratory with the real relay and real bridges in a star of namespaces.

A shell. Each member is `jambridge join` with a feeder in Sonic Pi's place and a recording sink in scsynth's.
All programs run in namespaces, so several runs may go on at once, each with a folder of its own. The events
are judged afterwards, from the recordings and the relay's log (`measure`) and from the emulator's log
(`oracle`).

A watch records when this machine itself stands still. Notes that were under way at such a moment show nothing
about the network, so they aren't counted. The row and run.json have their number.

Time line: start; wait until every clock is set to the room's; SETTLE_S of silence; LEAD_IN_S of uncounted
notes; `seconds` of counted notes; TAIL_S after the last due, for late arrivals.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from rehearsal.proof import relaylog
from rehearsal.rigs import recording
from rehearsal.rigs.machine import tail

from laboratory.runs import health, measure
from laboratory.runs.measure import MeasureError, Member
from laboratory.runs.oracle import Oracle
from laboratory.runs.players import POLL_S, Player, Relay, RunFailed, Seated
from laboratory.runs.points import Cut, Point, legs_of
from laboratory.runs.rows import Row, asked
from laboratory.runs.tallying import TalliedNote
from laboratory.star.decisionlog import read_log
from laboratory.star.star import Star
from relay.lead.keeper import LEAD_START
from relay.wire.timetag import TICKS_PER_S

READY_S = 60.0
"""Time (s) for all members to get ready. With 20 % of all datagrams lost, a TLS handshake needs many
tries."""
STARTS_MAX = 6
"""Greatest number of times that a member is started.

`jambridge join` gives up if the relay doesn't answer in 3 s. A person would try again, and so does a run.
"""
SETTLE_S = 3.0
NOTICE_S = 0.5
"""Time (s) in which all feeders receive the line that starts them. The silence of SETTLE_S comes after
that."""
LEAD_IN_S = 2.0
TAIL_S = 2.0
END_S = 6.0
LEAD_START_MS = LEAD_START / TICKS_PER_S * 1e3
CLOCK_STEP_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class Performance:
    """A point that has been played once and isn't judged yet.

    folder: its logs and recordings. window_ns: start and end of the measured window. stalls: standstills of
    this machine. Both are in ns of CLOCK_REALTIME. cpu_s: kind of process -> CPU time (s).
    """

    point: Point
    seed: int
    folder: Path
    star: Star
    """The run's star. It is closed, so its emulator's log is complete."""
    relay: Relay
    players: Sequence[Seated]
    members: list[Member]
    window_ns: tuple[int, int]
    stalls: list[tuple[int, int]]
    cpu_s: dict[str, float]
    began_s: float
    """Start of the performance, in seconds of CLOCK_MONOTONIC."""


def run(point: Point, seed: int, folder: Path) -> Row:
    """Run a point once and return its row.

    Call it from a thread that lives as long as the run: the programs die with the thread that started them.
    It needs a machine on which laboratory.star.namespaces.why_not() returns None. folder: gets all logs and
    recordings, and run.json with the figures about the machine.

    Raises RunFailed, NetlabError, and LocalError for a network that can't be parsed, all in words. In any
    case all programs are ended.
    """
    played = perform(point, seed, folder)
    lead_ms, shift_ms = played.relay.lead_and_shift_ms() or (point.lead_ms or LEAD_START_MS, 0.0)
    row, state, events = judge(played)
    finish(played, state, {"feeder_lag_ms_p99": measure.lag_ms(events, point.ahead_ms, 0.99)})
    return msgspec.structs.replace(row, lead_ms_last=lead_ms, shift_ms_last=shift_ms)


def finish(played: Performance, state: dict[str, Any], more: dict[str, Any]) -> None:
    """Write run.json with the figures in `state`, which `judge` returned, and in `more`.

    Raises RunFailed if this machine spoiled the run.
    """
    state |= more | {
        "wall_s": time.monotonic() - played.began_s,
        "starts": {player.name: player.starts for player in played.players},
        "cpu_s": played.cpu_s | {"emulator": played.star.ending.cpu_s if played.star.ending else None},
    }
    (played.folder / "run.json").write_text(json.dumps(state, indent=1) + "\n")
    health.check(state)


def perform(
    point: Point,
    seed: int,
    folder: Path,
    *,
    skews_ppm: Mapping[str, float] | None = None,
    beside_relay: str = "",
    look: Callable[[Relay], None] = lambda _: None,
) -> Performance:
    """Let a point's members play and return the recordings. `folder` and the errors are those of `run`.

    skews_ppm: member -> rate (ppm) by which its local clock runs faster than true time. beside_relay: a
    member on the relay's host. It reaches the relay by loopback, not through the emulator. look: called with
    the relay again and again while they play. It must be quick.
    """
    if point.where != "netlab":
        raise RunFailed(f"point {point.name} is for {point.where!r}; a real run is for 'netlab'")
    began_s = time.monotonic()
    with opened(point, seed, folder) as (star, relay):
        players = [
            Player(
                name, index, star.relay if name == beside_relay else host, relay.folder / name,
                transport_of(point),
                skew_ppm=(skews_ppm or {}).get(name, 0.0), beside_relay=name == beside_relay,
            )
            for index, (name, host) in enumerate(star.members.items())
        ]  # fmt: skip
        wait_ready(star, relay, players, schedule_of(point, seed))
        start_ns = time.time_ns() + round((SETTLE_S + NOTICE_S) * 1e9)
        for player in players:
            player.say(f"start {start_ns}")
        from_ns = start_ns + round(LEAD_IN_S * 1e9)
        to_ns = from_ns + round(point.seconds * 1e9)
        watch = health.Watch()

        def look_around() -> None:
            check_alive(star, relay, players)
            look(relay)

        watch.sleep_until(to_ns + round((point.due_ms / 1e3 + TAIL_S) * 1e9), look_around)
        cpu_s = health.cpu_by_kind(star)
        slots = {player.name: player.slot for player in players}
        end(relay, players)
    members = [
        Member(player.name, slots[player.name], recording.read(player.sent), recording.read(player.handed))
        for player in players
    ]
    return Performance(
        point,
        seed,
        relay.folder,
        star,
        relay,
        players,
        members,
        (from_ns, to_ns),
        watch.stalls,
        cpu_s,
        began_s,
    )


@contextlib.contextmanager
def opened(point: Point, seed: int, folder: Path) -> Iterator[tuple[Star, Relay]]:
    """Set up a star with the point's networks, start a relay in it, and yield both.

    folder: is created, and gets all logs. Raises RunFailed if this machine's clock was set meanwhile.
    """
    clocks_ns = time.time_ns() - time.monotonic_ns()
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    congestion = point.transport.partition("-")[2]
    star = Star(legs_of(point), seed=seed, log=folder / "decisions.log", congestion=congestion or None)
    with star:
        relay = Relay(
            star.relay, folder, lead_ms=point.lead_ms, shift_auto=point.shift_auto, repair=repairs(point),
            scheme=point.scheme,
        )  # fmt: skip
        relay.start()
        yield star, relay
    if abs(time.time_ns() - time.monotonic_ns() - clocks_ns) > CLOCK_STEP_NS:
        raise RunFailed("this machine's clock was set during the run: its instants can't be compared")


def transport_of(point: Point) -> str:
    """Return the bridges' --transport: the point's transport without the name of TCP's congestion control."""
    return point.transport.partition("-")[0]


def judge(played: Performance) -> tuple[Row, dict[str, Any], list[TalliedNote]]:
    """Judge a performance. Return its row, further figures for run.json by name, and the events that count.

    These events are the notes emitted in the measured window, without disturbed ones. Raises RunFailed.
    """
    point, folder, star, members, stalls = (
        played.point,
        played.folder,
        played.star,
        played.members,
        played.stalls,
    )
    log = read_log(folder / "decisions.log")
    zero_ns = log.header.zero_realtime_ns
    try:
        judged = relaylog.read(folder / "events.jsonl")
        observed = measure.observe(members, judged, *played.window_ns, lead_ms=point.lead_ms or 0.0)
        events = measure.undisturbed(observed, stalls)
    except (MeasureError, relaylog.RelayLogError) as error:
        raise RunFailed(str(error)) from error
    away = set[int]()
    if cut := Cut.parse(point.cut):
        from_ns, to_ns = (zero_ns + round(at_s * 1e9) for at_s in (cut.from_s, cut.to_s))
        events = measure.cut_off(events, cut.member, from_ns, to_ns)
        away = {number for number, event in enumerate(events) if measure.lives_in(event, from_ns, to_ns)}
    oracle = Oracle(star.legs, seed=played.seed)
    doomed = []
    for number, event in enumerate(events):
        unserved = set(oracle.out_of_reach(event.emission(zero_ns)))
        doomed.append(bool(unserved - {cut.member} if cut and number in away else unserved))
    state: dict[str, Any] = {
        "point": point.name,
        "seed": played.seed,
        "window_s": [(at_ns - zero_ns) / 1e9 for at_ns in played.window_ns],
        "events": len(events),
        "disturbed": len(observed) - len(events),
        "disturbed_bad": sum(event.bad for event in observed if measure.is_disturbed(event, stalls)),
        "stalls_s": [[(at_ns - zero_ns) / 1e9 for at_ns in stall] for stall in stalls],
        "emulation_error_ms_p99": health.emulation_error_ms(log),
        "unlogged": star.unlogged,
        "realtime": log.header.realtime,
        # If this isn't 0, the oracle is wrong, or the emulator deviated from the model.
        "doomed_but_good": sum(lost and not event.bad for lost, event in zip(doomed, events, strict=True)),
    }
    from_ns, to_ns = played.window_ns
    row = Row(
        **asked(point, played.seed),
        unavoidable=sum(doomed),
        doomed_but_good=state["doomed_but_good"],
        disturbed=state["disturbed"],
        disturbed_bad=state["disturbed_bad"],
        bytes_up=health.bytes_up(log, from_ns - zero_ns, to_ns - zero_ns),
        bytes_plain=measure.plain_bytes(members, from_ns, to_ns),
        **measure.figures(events),
    )
    return row, state, events


def repairs(point: Point) -> bool:
    """Tell whether the relay asks for missing events.

    Over TLS it always does, as is its default. TCP repairs losses within a connection. Datagrams lost with a
    broken connection must be asked for on the next one.
    """
    return point.repair or point.transport != "udp"


def schedule_of(point: Point, seed: int) -> list[str | float]:
    """Return the command-line options that are the same for all feeders of a point."""
    return [
        "--seed", seed, "--events-per-s", point.events_per_s, "--seconds", LEAD_IN_S + point.seconds,
        "--ahead-ms", point.ahead_ms,
    ]  # fmt: skip


def wait_ready(
    star: Star, relay: Relay, players: Sequence[Seated], options: Sequence[str | float] = ()
) -> None:
    """Start all members and wait until their clocks are set to the room's.

    A member that ended because it couldn't join is started again. options: for the members' `start`. Raises
    RunFailed if some don't get ready.
    """
    deadline_s = time.monotonic() + READY_S
    for player in players:
        player.start(star.relay_address, options)
    while waiting := [player for player in players if not player.is_ready]:
        star.check()
        for player in waiting:
            if not player.has_ended:
                continue
            if player.starts == STARTS_MAX:
                raise RunFailed(f"{player.name} could not join in {STARTS_MAX} tries\n{tail(player.log)}")
            player.start(star.relay_address, options)
        if relay.has_ended:
            raise RunFailed(f"the relay ended\n{tail(relay.log)}")
        if time.monotonic() > deadline_s:
            names = ", ".join(player.name for player in waiting)
            raise RunFailed(f"{names} not ready within {READY_S:.0f} s\n{tail(waiting[0].log)}")
        time.sleep(POLL_S)


def check_alive(star: Star, relay: Relay, players: Sequence[Seated]) -> None:
    """Raise RunFailed or NetlabError if the emulator, the relay or a member has ended by itself."""
    star.check()
    everybody: list[Relay | Seated] = [relay, *players]
    for one in everybody:
        if one.has_ended:
            raise RunFailed(f"{one.name} ended during the run\n{tail(one.log)}")


def end(relay: Relay, players: Sequence[Seated]) -> None:
    """Let the members leave, and then the relay. The star ends those that don't leave in time."""
    deadline_s = time.monotonic() + END_S
    for player in players:
        player.leave()
    while not all(player.has_ended for player in players) and time.monotonic() < deadline_s:
        time.sleep(POLL_S)
    relay.leave()
    while not relay.has_ended and time.monotonic() < deadline_s:
        time.sleep(POLL_S)
